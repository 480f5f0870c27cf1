"""Exports under names of their own: two models in one program, and which names are taken."""

import dataclasses
import re

import numpy as np
import pytest
from c_models import LABELS, checkpoint, needs
from c_programs import run

from npreslstm.errors import InputError
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.ports.c_export import export_c
from npreslstm.streaming import StreamingResLSTM


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An int8 export with all names as they are."""
    made = tmp_path_factory.mktemp("export")
    export_c(checkpoint("h32"), made, "int8")
    return made


TWO = """
#include <stdio.h>
#include "first.h"
#include "second_2.h"
static uint32_t noise;
static float draw(void) {
    noise = noise * 1664525u + 1013904223u;
    return (float)(noise >> 8) / 16777216.0f - 0.5f;
}
int main(void) {
    static first_state a;
    static second_2_state b;
    static float of_a[FIRST_CLASSES], of_b[SECOND_2_CLASSES], x[64];
    size_t label_a, label_b;
    if (first_verify(&first_weights) != FIRST_OK) { return 1; }
    if (second_2_verify(&second_2_weights) != SECOND_2_OK) { return 1; }
    if (first_init(&first_weights, &a) != FIRST_OK) { return 2; }
    if (second_2_init(&second_2_weights, &b) != SECOND_2_OK) { return 2; }
    for (int t = 0; t < 20; t++) {
        for (int k = 0; k < FIRST_INPUTS; k++) {
            x[k] = (draw() * 4 / first_weights.inverse_std[k]) + first_weights.mean[k];
        }
        if (first_push_frame(&first_weights, &a, x, FIRST_INPUTS) != FIRST_OK) { return 3; }
        for (int k = 0; k < SECOND_2_INPUTS; k++) {
            x[k] = (draw() * 4 / second_2_weights.inverse_std[k]) + second_2_weights.mean[k];
        }
        if (second_2_push_frame(&second_2_weights, &b, x, SECOND_2_INPUTS) != SECOND_2_OK) { return 4; }
    }
    if (first_result(&first_weights, &a, of_a, FIRST_CLASSES, &label_a) != FIRST_OK) { return 5; }
    if (second_2_result(&second_2_weights, &b, of_b, SECOND_2_CLASSES, &label_b) != SECOND_2_OK) { return 6; }
    for (int k = 0; k < FIRST_CLASSES; k++) {
        printf("%s %.5f\\n", first_weights.labels[k], (double)of_a[k]);
    }
    for (int k = 0; k < SECOND_2_CLASSES; k++) {
        printf("%s %.5f\\n", second_2_weights.labels[k], (double)of_b[k]);
    }
    return 0;
}
"""


def probabilities_alone(made, type, frames):
    """By NumPy, of z-scored frames (T, D): {label: probability}."""
    if type == "int8":
        logits = QuantizedModel.from_checkpoint(made).infer(frames[None], [len(frames)])[0]
    else:
        stream = StreamingResLSTM(made.model(np.float64))
        stream.push(frames)
        logits = stream.result()
    e = np.exp(logits - logits.max())
    names = made.classes or [f"class {k}" for k in range(len(e))]
    return dict(zip(names, e / e.sum()))


def noise_of_c(sizes, frames=20):
    """The z-scored frames that TWO draws for its two networks, one after the other."""
    state, rows = 0, ([], [])
    for _ in range(frames):
        for row, size in zip(rows, sizes):
            values = []
            for _ in range(size):
                state = (1664525 * state + 1013904223) % 2**32
                values.append(4 * ((state >> 8) / 2**24 - 0.5))
            row.append(values)
    return [np.array(row, np.float32) for row in rows]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("h32", "int8"), ("h32", "int8")),
        (("h32", "float32"), ("h64", "int8")),
        (("h64", "int8"), ("two layers, two vectors", "float32")),
    ],
)
def test_two_models_in_one_program_are_two(tmp_path, first, second):
    needs("gcc", "ar", "nm")
    models = []
    for prefix, (name, type), seed in (("first", first, 0), ("second_2", second, 5)):
        made = checkpoint(name, seed=seed)
        if made.classes and prefix == "second_2":
            made = dataclasses.replace(made, classes=tuple(reversed(LABELS)))
        export_c(made, tmp_path / prefix, type, prefix=prefix)
        models.append((made, type))
        (tmp_path / f"{prefix}_o").mkdir()
        sources = sorted((tmp_path / prefix / "src").glob("*.c"))
        run("gcc", "-std=c99", "-O1", "-Wall", "-Werror", "-c", *sources, cwd=tmp_path / f"{prefix}_o")
        objects = sorted((tmp_path / f"{prefix}_o").glob("*.o"))
        run("ar", "rcs", tmp_path / f"lib{prefix}.a", *objects)
    folders = [tmp_path / "first_o", tmp_path / "second_2_o"]
    defined = [
        set(re.findall(r" [TDRB] (\w+)$", run("nm", *folder.glob("*.o")), re.MULTILINE)) for folder in folders
    ]
    assert len(defined[0]) > 15 and not defined[0] & defined[1]
    assert all(symbol.startswith(("first_", "second_2_")) for symbol in defined[0] | defined[1])
    (tmp_path / "two.c").write_text(TWO)
    include = [f"-I{tmp_path / 'first' / 'src'}", f"-I{tmp_path / 'second_2' / 'src'}"]
    archives = [tmp_path / "libfirst.a", tmp_path / "libsecond_2.a"]
    linked = [[*folders[0].glob("*.o"), *folders[1].glob("*.o")], archives, archives[::-1]]
    frames = noise_of_c([made.config.input_size for made, _ in models])
    expected = [
        row for (made, type), x in zip(models, frames) for row in probabilities_alone(made, type, x).items()
    ]
    for k, objects in enumerate(linked):
        run(
            "gcc",
            "-std=c99",
            "-Wall",
            "-Werror",
            *include,
            tmp_path / "two.c",
            *objects,
            "-o",
            tmp_path / f"two{k}",
        )
        rows = [line.rsplit(" ", 1) for line in run(tmp_path / f"two{k}").splitlines()]
        assert [name for name, _ in rows] == [name for name, _ in expected]
        difference = [abs(float(value) - wanted) for (_, value), (_, wanted) in zip(rows, expected)]
        assert max(difference) < 1e-4  # achieved 2e-5: a feature of C may be rounded to the next integer


def test_prefixes_reach_macros_and_guards(tmp_path, folder):
    needs("gcc")
    export_c(checkpoint("h32"), tmp_path / "own", "int8", prefix="own")
    for path in (tmp_path / "own").rglob("*"):
        if path.is_file():
            assert not re.search(r"(?i)(?<![A-Za-z0-9])npr(?![A-Za-z0-9])", path.read_text()), path
            assert not re.match(r"npr(?![a-z])", path.name)

    def macros(where, prefix):
        (tmp_path / "all.c").write_text(f'#include "{prefix}_stream.h"\n')
        listing = run("gcc", "-dM", "-E", f"-I{where}", tmp_path / "all.c")
        return set(re.findall(r"#define (\w+)", listing))

    (tmp_path / "none.c").write_text("#include <stddef.h>\n#include <stdint.h>\n")
    known = set(re.findall(r"#define (\w+)", run("gcc", "-dM", "-E", tmp_path / "none.c")))
    ours = macros(folder / "src", "npr") - known
    theirs = macros(tmp_path / "own" / "src", "own") - known
    assert len(ours) > 30 and not ours & theirs
    assert {name.replace("NPR", "OWN", 1) for name in ours} == theirs


def test_prefixes_that_are_no_names_are_refused(tmp_path):
    for prefix in ("", "2nd", "Own", "a-b", "a__b", "a_", "_a", "ü"):
        with pytest.raises(InputError, match="prefix is .*; expected small letters"):
            export_c(checkpoint("h32"), tmp_path / "x", prefix=prefix)
    assert not (tmp_path / "x").exists()


def test_another_prefix_takes_the_place_of_the_first(tmp_path):
    made = checkpoint("h32")
    export_c(made, tmp_path, "int8")
    (tmp_path / "src" / "mine.txt").write_text("kept")
    names = export_c(made, tmp_path, "float32", prefix="own", weights="blob")
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*names, "src/mine.txt"}
