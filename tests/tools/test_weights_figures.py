"""What is derived from the bundled weights was made of the very files that are bundled."""

import json

import pytest

from tools.release import weights_figures

PAGE = """
text
```console
$ npreslstm info nothing.npz
old output
$ npreslstm --version
npreslstm 0.0.0
```
```python
>>> k = 2
>>> k + 1
17
>>> print("a\\nb")
a

```
```python
>>> k
1
```
"""


def test_nothing_is_of_other_weights():
    """After a change of the weights: make weights-figures, and what it says."""
    assert weights_figures.stale() == {}


def test_other_weights_are_noticed(monkeypatch, capsys):
    now = weights_figures.weights_of
    monkeypatch.setattr(weights_figures, "weights_of", lambda figure: now(figure) | {"mcu": "0" * 64})
    assert set(weights_figures.stale()) == {*weights_figures.FIGURES, *weights_figures.BY_HAND}
    assert weights_figures.main(["--list"]) == 1
    assert (
        "docs/c-port.md, accuracy       of other weights: python tools/accuracy/c_parity.py"
        in capsys.readouterr().out
    )


def test_a_figure_made_by_hand_is_marked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(weights_figures, "MADE_OF", tmp_path / "made.json")
    (tmp_path / "made.json").write_text("{}")
    assert weights_figures.main(["--seen", "docs/accuracy.md, robustness"]) == 1
    made = json.loads((tmp_path / "made.json").read_text())
    assert made == {
        "docs/accuracy.md, robustness": weights_figures.weights_of("docs/accuracy.md, robustness")
    }
    assert "docs/accuracy.md, robustness   of the bundled weights\n" in capsys.readouterr().out


def test_python_examples_get_the_results_of_today():
    text = weights_figures.with_results(PAGE)
    assert ">>> k + 1\n3\n>>> print" in text and ">>> k\n2\n" in text and 'b")\na\nb\n\n```' in text
    with pytest.raises(RuntimeError, match="an example raised an error"):
        weights_figures.with_results("```python\n>>> 1 / 0\n1\n```\n")


def test_commands_get_the_output_of_today():
    [block] = weights_figures.CONSOLE.findall(PAGE.replace("$ npreslstm info nothing.npz\nold output\n", ""))
    text = weights_figures.COMMAND.sub(weights_figures._with_output, block[1])
    assert text.startswith("$ npreslstm --version\nnpreslstm ") and "0.0.0" not in text
    with pytest.raises(RuntimeError, match="npreslstm info nothing.npz ended with exit status 2"):
        weights_figures.COMMAND.sub(weights_figures._with_output, PAGE)


def test_a_command_gets_the_file_it_reads(monkeypatch):
    monkeypatch.chdir(weights_figures.ROOT)
    page = "$ npreslstm listen - --format jsonl < npreslstm/data/demo.wav\nold output\n"
    text = weights_figures.COMMAND.sub(weights_figures._with_output, page)
    assert text.startswith(page.splitlines()[0] + '\n{"start": ') and "old output" not in text


def test_a_page_is_written_anew_and_then_stays(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(PAGE.replace("$ npreslstm info nothing.npz\nold output\n", ""))
    weights_figures.write_examples(page)
    first = page.read_text()
    assert "npreslstm 0.0.0" not in first and ">>> k + 1\n3\n" in first
    weights_figures.write_examples(page)
    assert page.read_text() == first


def test_a_block_is_put_in_the_place_of_the_old_one_or_refused(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("It prints:\n\n    old 1\n    old 2\n\nThe rest\n")
    monkeypatch.setattr(weights_figures, "PORT", page)
    weights_figures._put_block("It prints:\n\n", ["new 1"])
    assert page.read_text() == "It prints:\n\n    new 1\n\nThe rest\n"
    with pytest.raises(RuntimeError, match="'It says:' 0 times; expected once"):
        weights_figures._put_block("It says:\n\n", ["new"])


def test_without_an_emulator_a_figure_is_left_as_it_is(monkeypatch, capsys):
    marked = []
    monkeypatch.setattr(weights_figures, "mark", marked.extend)
    monkeypatch.setattr(weights_figures.shutil, "which", lambda program: None)
    monkeypatch.setattr(weights_figures, "FIGURES", {"a": (lambda: 1 / 0, ("qemu",)), "b": (print, ())})
    weights_figures.regenerate()
    assert marked == ["b"] and "a is left as it is: qemu is not installed" in capsys.readouterr().err
