"use strict";
// The tour and the list of exercises; their words are in lessons.js.

const tour = {
  at: -1,
  steps: [],

  go(at) {
    document.querySelector(".looked-at")?.classList.remove("looked-at");
    this.at = at;
    find("tour").hidden = at < 0;
    document.body.classList.toggle("touring", at >= 0);
    if (at < 0) {
      find("tour-start").focus({ preventScroll: true }); // where it was started
      return;
    }
    const step = this.steps[at];
    page.controls.set(step.changes ?? noChanges());
    if (step.unit !== undefined) {
      page.index = step.index;
      pickUnit(page.network.cells.length - 1, step.unit);
    } else if (step.index !== undefined) {
      pickFrame(step.index);
    }
    find("tour-title").textContent = step.title;
    find("tour-text").innerHTML = step.text;
    find("tour-count").textContent = `${at + 1} of ${this.steps.length}`;
    find("tour-back").disabled = at === 0;
    find("tour-next").textContent = at === this.steps.length - 1 ? "Done" : "Next";
    const target = find(step.look);
    target.closest("details")?.setAttribute("open", "");
    target.classList.add("looked-at");
    target.scrollIntoView({ block: "center" });
    find("tour-title").focus({ preventScroll: true });
  },

  start() {
    this.steps = tourSteps(page);
    this.go(0);
  },
};

function listExercises() {
  find("exercise-list").replaceChildren();
  for (const { question, answer } of exercises(page)) {
    const text = make("p");
    const details = make("details", {}, make("summary", {}, "Answer"), text);
    details.addEventListener("toggle", () => {
      text.textContent = answer();
    });
    find("exercise-list").append(make("li", {}, make("p", {}, question), details));
  }
}

function listenToTour() {
  find("tour-start").addEventListener("click", () => tour.start());
  find("tour-back").addEventListener("click", () => tour.go(tour.at - 1));
  find("tour-next").addEventListener("click", () =>
    tour.go(tour.at + 1 < tour.steps.length ? tour.at + 1 : -1),
  );
  find("tour-end").addEventListener("click", () => tour.go(-1));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && tour.at >= 0) {
      tour.go(-1);
    }
  });
}
