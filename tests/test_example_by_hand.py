"""docs/example-by-hand.md: every number on the page is what the package computes."""

import re
from pathlib import Path

import numpy as np
from naive import lstm as naive_lstm

from npreslstm.layers.lstm import GATES, gate_slices
from npreslstm.layers.recurrent import PARAMETERS, recurrent_backward, recurrent_forward
from npreslstm.testing import trace_lstm

PAGE = Path(__file__).resolve().parents[1] / "docs" / "example-by-hand.md"
ROW = re.compile(r"^    (\w+)((?: +-?\d+\.\d+)+)(?: +#.*)?$", re.MULTILINE)


def sections():
    """{heading: {row's name: numbers}}; rows of one name under each other are a matrix."""
    tables = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        rows = {}
        for name, numbers in ROW.findall(part):
            rows.setdefault(name, []).append([float(number) for number in numbers.split()])
        tables[part.splitlines()[0]] = {name: np.array(values[0] if len(values) == 1 else values) for name, values in rows.items()}
    return tables


def arguments(given):
    return {f"{name}_l0": given[name] for name in PARAMETERS}, np.array([given[f"x{t}"] for t in (1, 2, 3)])[None]


def assert_printed(printed, computed, name):
    """Equal to all six decimals that are printed."""
    np.testing.assert_array_equal(printed, np.round(computed, 6) + 0.0, err_msg=name)


def test_forward():
    tables = sections()
    weights, x = arguments(tables["Given"])
    tensors, bias = trace_lstm(weights, x), weights["bias_ih_l0"] + weights["bias_hh_l0"]
    h = np.zeros(2)
    for t in range(3):
        rows = tables[f"Frame {t + 1}"]
        assert rows.keys() == {"x", "h_before", "c_before", *(f"a_{gate}" for gate in GATES), *GATES, "c", "tanh_c", "h"}
        a = weights["weight_ih_l0"] @ x[0, t] + weights["weight_hh_l0"] @ h + bias
        before = tensors["l0.c"][0, t - 1] if t else np.zeros(2)
        expected = {"x": x[0, t], "h_before": h, "c_before": before, "tanh_c": np.tanh(tensors["l0.c"][0, t])}
        expected |= {f"a_{gate}": a[block] for gate, block in gate_slices(2).items()}
        expected |= {name: tensors[f"l0.{name}"][0, t] for name in (*GATES, "c", "h")}
        for name, printed in rows.items():
            assert_printed(printed, expected[name], f"frame {t + 1}: {name}")
        h = tensors["l0.h"][0, t]
    np.testing.assert_allclose(tensors["y"][0], naive_lstm(x[0], *weights.values())[0], rtol=0, atol=1e-15)  # achieved 1e-16


def test_backward():
    tables = sections()
    weights, x = arguments(tables["Given"])
    y, _, cache = recurrent_forward(x, None, weights)
    dy = np.zeros_like(y)
    dy[0, -1] = 1  # the loss is the sum of the last hidden state
    dx, (dh0, dc0), grads = recurrent_backward(dy, cache)
    expected = {f"dx{t + 1}": dx[0, t] for t in range(3)} | {"dh0": dh0[0, 0], "dc0": dc0[0, 0]}
    expected |= {f"d{name}": grads[f"{name}_l0"] for name in PARAMETERS}
    assert tables["Backward"].keys() == expected.keys()
    for name, printed in tables["Backward"].items():
        assert_printed(printed, expected[name], name)
