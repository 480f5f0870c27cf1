"""docs/example-by-hand.md: every number on the page is what the package computes."""

import re
from pathlib import Path

import numpy as np
from reference import lstm as reference_lstm

from npreslstm.layers.lstm import GATES, LSTMParams, gate_slices, lstm_step, lstm_step_backward
from npreslstm.testing import trace_lstm
from npreslstm.testing.recurrent import PARAMETERS, recurrent_backward, recurrent_forward

PAGE = Path(__file__).resolve().parents[2] / "docs" / "example-by-hand.md"
ROW = re.compile(r"^    (\w+)((?: +-?\d+\.\d+)+)(?: +#.*)?$", re.MULTILINE)


def sections():
    """{heading: {row's name: numbers}}; rows of one name under each other are a matrix."""
    tables = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        rows = {}
        for name, numbers in ROW.findall(part):
            rows.setdefault(name, []).append([float(number) for number in numbers.split()])
        tables[part.splitlines()[0]] = {
            name: np.array(values[0] if len(values) == 1 else values) for name, values in rows.items()
        }
    return tables


def arguments(given):
    return {f"{name}_l0": given[name] for name in PARAMETERS}, np.array([given[f"x{t}"] for t in (1, 2, 3)])[
        None
    ]


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
        assert rows.keys() == {
            "x",
            "h_before",
            "c_before",
            *(f"a_{gate}" for gate in GATES),
            *GATES,
            "c",
            "tanh_c",
            "h",
        }
        a = weights["weight_ih_l0"] @ x[0, t] + weights["weight_hh_l0"] @ h + bias
        before = tensors["l0.c"][0, t - 1] if t else np.zeros(2)
        expected = {"x": x[0, t], "h_before": h, "c_before": before, "tanh_c": np.tanh(tensors["l0.c"][0, t])}
        expected |= {f"a_{gate}": a[block] for gate, block in gate_slices(2).items()}
        expected |= {name: tensors[f"l0.{name}"][0, t] for name in (*GATES, "c", "h")}
        for name, printed in rows.items():
            assert_printed(printed, expected[name], f"frame {t + 1}: {name}")
        h = tensors["l0.h"][0, t]
    # achieved 1e-16
    np.testing.assert_allclose(
        tensors["y"][0], reference_lstm(x[0], *weights.values())[0], rtol=0, atol=1e-15
    )


def reference_frames(weights, x):
    """The reference's cache of each frame, and {frame: (dh, dc_after, what lstm_step_backward makes of
    them)}.
    """
    params = LSTMParams(*weights.values())
    h, c, caches = np.zeros((1, 2)), np.zeros((1, 2)), {}
    for frame in (1, 2, 3):
        h, c, caches[frame] = lstm_step(x[:, frame - 1], h, c, params)
    dh, dc, backward = np.ones((1, 2)), np.zeros((1, 2)), {}
    for frame in (3, 2, 1):
        backward[frame] = dh, dc, lstm_step_backward(dh, dc, caches[frame])
        _, dh, dc, _ = backward[frame][2]
    return caches, backward


def test_backward_frame_by_frame():
    """da is what one clip adds to the biases' gradients; the lines before it are written out here
    once more.
    """
    tables = sections()
    caches, backward = reference_frames(*arguments(tables["Given"]))
    for frame, (dh, dc_after, (dx, dh_before, dc_before, grads)) in backward.items():
        cache = caches[frame]
        tanh_c = np.tanh(cache.c)
        dc = dc_after + dh * cache.o * (1 - tanh_c**2)
        expected = {"dh": dh, "dc_after": dc_after, "do": dh * tanh_c, "dc": dc, "di": dc * cache.g}
        expected |= {"df": dc * cache.c_before, "dg": dc * cache.i, "dc_before": dc_before}
        expected |= {f"da_{gate}": grads.b_ih[block] for gate, block in gate_slices(2).items()}
        expected |= {"dx": dx, "dh_before": dh_before}
        rows = tables[f"Backward, frame {frame}"]
        assert list(rows) == list(expected)
        for name, printed in rows.items():
            assert_printed(printed, np.ravel(expected[name]), f"frame {frame}: {name}")


def test_one_weight_in_three_products():
    tables = sections()
    caches, backward = reference_frames(*arguments(tables["Given"]))
    rows = tables["One weight, in three products"]
    total = 0.0
    for frame, (_, _, (_, _, _, grads)) in backward.items():
        da, h_before = grads.b_ih[5], caches[frame].h_before[0, 1]
        assert_printed(rows[f"frame{frame}"], [da, h_before, da * h_before], f"frame {frame}")
        np.testing.assert_allclose(grads.W_hh[5, 1], da * h_before, rtol=0, atol=1e-17)  # achieved 0
        total += da * h_before
    assert_printed(rows["sum"], [total], "sum")
    assert rows["sum"][0] == tables["All gradients"]["dweight_hh"][5, 1]


def test_the_page_says_what_it_shows():
    """The two sums that are written out in words."""
    page = PAGE.read_text(encoding="utf-8")
    assert "0.218132 + 0.020608 * 0.697578 * (1 - 0.228548^2) = 0.231757" in page
    assert round(0.218132 + 0.020608 * 0.697578 * (1 - 0.228548**2), 6) == 0.231757
    assert (
        "the part through h, 0.013625," in page
        and round(0.020608 * 0.697578 * (1 - 0.228548**2), 6) == 0.013625
    )
    assert round(0.218132 / 0.013625) == 16


def test_all_gradients():
    tables = sections()
    weights, x = arguments(tables["Given"])
    y, _, cache = recurrent_forward(x, None, weights)
    dy = np.zeros_like(y)
    dy[0, -1] = 1  # the loss is the sum of the last hidden state
    dx, (dh0, dc0), grads = recurrent_backward(dy, cache)
    expected = {f"dx{t + 1}": dx[0, t] for t in range(3)} | {"dh0": dh0[0, 0], "dc0": dc0[0, 0]}
    expected |= {f"d{name}": grads[f"{name}_l0"] for name in PARAMETERS}
    assert tables["All gradients"].keys() == expected.keys()
    for name, printed in tables["All gradients"].items():
        assert_printed(printed, expected[name], name)
