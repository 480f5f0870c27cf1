"""docs/lstm.md: its tags are those of the code, its numbers and answers are right, its figures are fresh."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from npreslstm.layers.activations import sigmoid
from npreslstm.layers.attention import attention_backward, attention_forward
from npreslstm.layers.batchnorm import batchnorm_backward, batchnorm_forward
from npreslstm.layers.lstm import lstm_backward, lstm_step_backward
from npreslstm.schema import ModelConfig
from tools.make_figures import main as make_figures

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "lstm.md").read_text(encoding="utf-8")
SOURCES = [*sorted((ROOT / "npreslstm" / "layers").glob("*.py")), ROOT / "npreslstm" / "model.py"]
TAG = r"\(([LARBEDS]\d'?)\)"


def tags(text):
    return set(re.findall(TAG, text))


def test_every_tag_of_the_page_is_in_the_code_and_every_tag_of_the_code_on_the_page():
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    assert tags(code) == tags(PAGE)
    equations = {tag for line in PAGE.splitlines() if line.startswith("    ") for tag in tags(line)}
    assert {tag for tag in tags(PAGE) if not tag.startswith("R")} <= equations


def test_every_equation_of_the_lstm_and_its_gradient_is_the_comment_of_a_line():
    lines = "\n".join(
        re.findall(r"#.*", (ROOT / "npreslstm" / "layers" / "lstm.py").read_text(encoding="utf-8"))
    )
    assert tags(lines) == {f"L{k}{prime}" for k in range(1, 5) for prime in ("", "'")}


def test_three_hops_from_the_readme_to_the_line_that_computes_dw_hh():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "**You want to know how an LSTM works.** [The derivation](docs/lstm.md)" in readme
    section = PAGE.partition("## 4. Backwards through one frame")[2].partition("\n## 5.")[0]
    assert re.search(r"\(L1'\)\n.* dW_hh = da h_before\^T ", section) and "`lstm_step_backward`" in section
    assert "`npreslstm/layers/lstm.py`" in PAGE
    assert "    dW_hh = da.T @ h_before  # (4H, H)  (L1')\n" in inspect.getsource(lstm_step_backward)
    assert "lstm_step_backward(" in inspect.getsource(lstm_backward)


def test_the_problem_in_numbers():
    assert f"0.5^50 = {0.5**50:.1e}" in PAGE and f"0.88^50 = {0.88**50:.1e}".replace("e-03", "e-3") in PAGE
    assert f"0.99^50 is {0.99**50:.2f}" in PAGE
    assert sigmoid(np.array(0.0)) == 0.5 and round(float(sigmoid(np.array(2.0))), 2) == 0.88


def test_answers_in_numbers():
    config = ModelConfig()
    trained = sum(
        int(np.prod(shape)) for name, shape in config.parameters.items() if name.startswith("lstm2")
    )
    assert f"4 * 64 * (46 + 64 + 2) = {trained:,}" in PAGE
    assert (
        f"{np.log(0.5) / np.log(0.88):.1f} frames; with 0.99 it is {np.log(0.5) / np.log(0.99):.1f}" in PAGE
    )


def test_answers_of_sums_that_are_zero():
    """Of the scores' gradients over time, and of a bias before a batch norm."""
    rng = np.random.default_rng(0)
    h, V = rng.normal(size=(6, 2, 3)), rng.normal(size=(3, 1))
    longer = np.concatenate([h, np.ones((6, 2, 1))], axis=2)  # with the vector, a bias of the score
    _, cache = attention_forward(longer, np.concatenate([V, [[5.0]]]))
    plain = attention_forward(h, V)[1].alpha
    np.testing.assert_allclose(cache.alpha, plain, rtol=0, atol=2e-15)  # achieved 2.2e-16
    dcontext = np.concatenate([rng.normal(size=(2, 3)), np.zeros((2, 1))], axis=1)
    _, dV, _ = attention_backward(dcontext, cache)
    assert abs(dV[3, 0]) < 1e-15  # achieved 1.1e-16: the bias's gradient
    x, dy = rng.normal(size=(8, 3)), rng.normal(size=(8, 3))
    dx, _, _ = batchnorm_backward(dy, batchnorm_forward(x, np.ones(3), np.zeros(3))[2])
    np.testing.assert_allclose(dx.sum(axis=0), 0, rtol=0, atol=8e-15)  # achieved 8.9e-16


def test_the_figures_are_fresh_and_on_the_page(capsys, monkeypatch, tmp_path):
    assert make_figures(["--check"]) == 0
    for name in ("cell", "network"):
        assert f"(figures/{name}.svg)" in PAGE
    monkeypatch.setattr("tools.make_figures.FOLDER", tmp_path)
    (tmp_path / "cell.svg").write_text("old", encoding="utf-8")
    assert make_figures(["--check"]) == 1
    assert "stale: cell.svg, network.svg; run python tools/make_figures.py" in capsys.readouterr().err
    assert make_figures([]) == 0 == make_figures(["--check"])


@pytest.mark.parametrize("name", ["cell", "network"])
def test_a_figure_is_one_well_formed_drawing(name):
    from xml.etree import ElementTree

    root = ElementTree.parse(ROOT / "docs" / "figures" / f"{name}.svg").getroot()
    assert root.tag.endswith("svg") and root.find("{http://www.w3.org/2000/svg}title").text
