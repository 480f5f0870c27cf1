"""Tensors in parts: weight norm, spectral norm and pruning, as PyTorch saved them."""

import numpy as np
import pytest
from small_networks import GOLDENS, W

from npreslstm.checkpoint import CheckpointWarning, load_checkpoint
from npreslstm.formats.network_state import network_state


# achieved 0, 7.04e-8
@pytest.mark.parametrize(
    "file, tolerance", [("pruned", 0), ("weight_norm", 7.1e-7), ("parametrized", 7.1e-7)]
)
def test_tensors_in_parts_are_what_pytorch_computes(file, tolerance):
    with pytest.warns(
        CheckpointWarning, match="pruned, the product" if file == "pruned" else "weight-normed, g v/|v|"
    ):
        state = load_checkpoint(GOLDENS / f"checkpoint_{file}.pt").state
    with np.load(GOLDENS / "checkpoint_values.npz", allow_pickle=False) as values:
        wanted = {
            name.partition("/")[2]: values[name] for name in values.files if name.startswith(file + "/")
        }
    assert len(wanted) == 4
    for name, array in wanted.items():
        assert state[name].dtype == array.dtype
        np.testing.assert_allclose(state[name], array, rtol=0, atol=tolerance * np.abs(array).max())


def test_weight_norm_is_rounded_once():
    v, g = W["fc.weight"], np.array([[0.5], [2.0], [-1.0]], np.float32)
    wanted = (g.astype(np.float64) * v / np.linalg.norm(v.astype(np.float64), axis=1, keepdims=True)).astype(
        np.float32
    )
    parts = {name: array for name, array in W.items() if name != "fc.weight"} | {
        "fc.weight_v": v,
        "fc.weight_g": g,
    }
    assert network_state(parts)[0]["fc.weight"].tobytes() == wanted.tobytes()


def test_pruned_after_weight_norm_and_of_half_precision():
    mask = np.arange(24).reshape(3, 8) % 2
    v = W["fc.weight"].astype(np.float16)
    parts = {name: array for name, array in W.items() if name != "fc.weight"}
    found, _ = network_state({**parts, "fc.weight_orig": v, "fc.weight_mask": mask.astype(bool)})
    assert found["fc.weight"].tobytes() == (v * mask.astype(np.float16)).tobytes()
    g = np.ones((3, 1), np.float16)
    found, notes = network_state(
        {**parts, "fc.weight_v_orig": v, "fc.weight_v_mask": mask.astype(np.float32), "fc.weight_g": g}
    )
    assert ((found["fc.weight"] == 0) == (mask == 0)).all() and len(notes) == 2
    # achieved 5e-4
    np.testing.assert_allclose(np.linalg.norm(found["fc.weight"].astype(float), axis=1), 1, atol=5e-3)
