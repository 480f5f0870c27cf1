"""Networks in other projects' checkpoints: under any prefix, beside anything, in parts, and what is refused
by what it is.
"""

import re

import numpy as np
import pytest
from small_networks import BASE, GOLDENS, ONE, OTHER, SMALL, W, assert_same, under, without

from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.formats.network_state import network_state
from npreslstm.model import ResLSTM

# --- prefixes and companions ---

PREFIXES = (
    "model.",
    "net._orig_mod.",
    "reslstm.",
    "module.",
    "module.module.",
    "a.b.c.d.e.f.",
    "lstm.",
    "fc.",
    "bn.model.",
    "_orig_mod.",
)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("state", [W, BASE], ids=["reslstm-sa", "lstm-sa"])
@pytest.mark.parametrize(
    "place",
    [(), ("state_dict",), ("checkpoint", "model_state_dict")],
    ids=lambda place: ".".join(place) or "top",
)
def test_any_one_prefix_is_removed_and_said_once(prefix, state, place):
    value = under(prefix, state)
    for name in reversed(place):
        value = {name: value, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": np.ones(3, np.float32)}}}}
    found, notes = network_state(value)
    assert_same(found, state)
    assert notes == [f"the prefix {prefix!r} is removed from the names"]


@pytest.mark.parametrize("wrapper", ["_orig_mod", "module", "_fsdp_wrapped_module"])
def test_wrappers_of_single_modules_are_removed(wrapper):
    names = {name: re.sub(r"^(lstm1|fc)\.", rf"\1.{wrapper}.", name) for name in W}
    assert_same(network_state({names[name]: array for name, array in W.items()})[0], W)


def test_names_that_become_one_are_an_error():
    with pytest.raises(InputError, match=r"two tensors are called 'fc.weight' without what wrappers add"):
        network_state({**W, "fc._orig_mod.weight": W["fc.weight"]})
    with pytest.raises(InputError, match="two tensors are called 'a.b.c'"):
        network_state({**W, "a": {"b.c": ONE}, "a.b": {"c": np.ones(1)}, "a.b.c": np.ones(1)})


def test_a_dictionary_for_each_module():
    parts = {"attention_vector": W["attention_vector"]}
    for name, array in W.items():
        module, _, rest = name.partition(".")
        if rest:
            parts.setdefault(module, {})[rest] = array
    assert_same(network_state({"weights": parts, "epoch": 1})[0], W)
    with pytest.raises(InputError, match=r"unexpected head\.weight"):
        network_state({**parts, "head": {"weight": np.ones((3, 3), np.float32)}})


COMPANIONS = {
    "class weights of a loss": {"criterion.weight": np.ones(3, np.float32)},
    "a loss of another name": {"ce_loss.weight": np.ones(3, np.float32)},
    "averages": {"n_averaged": np.array(7)},
    "metrics": {"val_metrics.f1.tp": np.zeros(3, np.float32)},
    "counters": {"steps": np.array(12), "seen": np.array([3, 4])},
    "a nested optimizer": {
        "optimizer": {
            "param_groups": [{"lr": np.array(0.1, np.float32)}],
            "state": {0: {"exp_avg": np.ones(2)}},
        }
    },
    "not tensors": {"epoch": 3, "args": {"lr": 0.1}, "history": [1.0, 2.0]},
}


@pytest.mark.parametrize("companions", COMPANIONS.values(), ids=COMPANIONS)
@pytest.mark.parametrize("prefix", ["", "model."])
def test_companions_do_not_stop_it(companions, prefix):
    found, notes = network_state({**under(prefix), **companions})
    assert_same(found, W)
    names = [name for name, value in companions.items() if isinstance(value, np.ndarray)]
    aside = [f"left aside, as no part of the network: {', '.join(names)}"] if names else []
    assert notes == [*([f"the prefix {prefix!r} is removed from the names"] if prefix else []), *aside]


@pytest.mark.parametrize(
    "name, size", [("fc2.bias", 3), ("temperature", ()), ("mean", 6), ("conv.weight", (3, 3))]
)
def test_what_may_be_part_of_the_network_is_not_left_aside(name, size):
    with pytest.raises(InputError, match=rf"unexpected {name}: no tensors of a reslstm-sa network"):
        network_state({**W, name: np.ones(size, np.float32)})


PYTORCH = {  # files that PyTorch wrote from one network, and what is said of each
    "averaged.pt": (
        r"the prefix 'module\.' is removed from the names; left aside, as no part of the network: n_averaged"
    ),
    "averaged_parallel.pt": r"the prefix 'module\.module\.' is removed from the names; .* n_averaged",
    "class_weights.ckpt": r"left aside, as no part of the network: criterion\.weight",
    "lightning.ckpt": r"the prefix 'model\.' is removed from the names",
    "lightning_compiled.ckpt": r"the prefix 'net\._orig_mod\.' is removed from the names",
    "pytorch_model.bin": r"the prefix 'reslstm\.' is removed from the names",
}


@pytest.mark.parametrize("file", PYTORCH)
def test_pytorchs_own_files(file, tmp_path, capsys):
    folder, target = GOLDENS / "prefixes", tmp_path / "w.npz"
    assert main(["convert", str(folder / file), str(target)]) == 0
    assert re.search(f"warning: .*{file}: {PYTORCH[file]}$", capsys.readouterr().err.splitlines()[0])
    assert_same(load_checkpoint(target).state, load_checkpoint(folder / "tiny.pt").state)


# --- several networks ---

SEVERAL = {
    "model and ema": ({"model": W, "ema": {"module": OTHER}}, "ema"),
    "state_dict and an average": (
        {"state_dict": W, "ema_state_dict": under("module.", OTHER)},
        "ema_state_dict",
    ),
    "two in one dictionary": (
        {"state_dict": {**under("model."), **under("ema_model.module.", OTHER)}},
        "state_dict.ema_model",
    ),
    "a shadow inside": ({**W, **under("ema.", OTHER)}, "ema"),
    "deepspeed": ({"module": W, "averages": OTHER}, "averages"),
}


@pytest.mark.parametrize("value, key", SEVERAL.values(), ids=SEVERAL)
def test_the_usual_one_is_taken_and_said_and_a_key_chooses_another(value, key):
    found, notes = network_state(value)
    assert_same(found, W)
    assert re.search(
        rf"the network at '.*' .*is taken, --key chooses another: '{re.escape(key)}", "; ".join(notes)
    )
    assert_same(network_state(value, key)[0], OTHER)


def test_without_a_usual_one_the_error_lists_the_keys():
    value = {"student": W, "teacher": {"net_a": OTHER, "net_b": OTHER}}
    with pytest.raises(
        InputError,
        match=r"holds 3 networks, at 'student', 'teacher\.net_a', 'teacher\.net_b'; choose one by --key",
    ):
        network_state(value)
    assert_same(network_state(value, "student")[0], W)
    with pytest.raises(
        InputError, match=r"2 networks at the key 'teacher'; there are 'teacher\.net_a', 'teacher\.net_b'$"
    ):
        network_state(value, "teacher")
    with pytest.raises(
        InputError, match=r"no ResLSTM-SA or LSTM-SA at the key 'best'; there are 'student', "
    ):
        network_state(value, "best")
    assert_same(network_state([W, OTHER], "1")[0], OTHER)
    assert_same(network_state({0: W, 1: OTHER}, "1")[0], OTHER)
    assert_same(network_state({**W, **under("ema.", OTHER)}, "")[0], W)


def test_an_optimizers_averages_are_no_network():
    found, notes = network_state({"model": W, "Optimizer": {"exp_avg": OTHER}})
    assert_same(found, W)
    assert notes == []


@pytest.mark.parametrize("name", ["optimal", "optimal_model", "optimized", "optimised"])
def test_an_optimal_network_is_no_optimizer(name):
    assert_same(network_state(under(name + "."))[0], W)
    found, notes = network_state({"model": W, name: OTHER})
    assert_same(found, W)
    assert notes == [f"the network at 'model' is taken, --key chooses another: '{name}'"]
    assert_same(network_state({"model": W, name: OTHER}, name)[0], OTHER)


@pytest.mark.parametrize("value", [{"ema": W}, {"ema": W, "model": without("fc.weight", "attention_vector")}])
def test_the_only_one_is_said_where_it_has_no_usual_name(value):
    found, notes = network_state(value)
    assert_same(found, W)
    assert notes == ["the network at 'ema' is taken, the only one"]


@pytest.mark.parametrize("separator", [".", "/", ":", "_", ""])
def test_a_prefix_may_end_in_anything(separator):
    found, notes = network_state({"state_dict": under(f"reslstm{separator}")})
    assert_same(found, W)
    assert notes == [f"the prefix 'reslstm{separator}' is removed from the names"]
    both = {**under(f"a{separator}"), **under(f"b{separator}", OTHER)}
    with pytest.raises(
        InputError, match=rf"2 networks, at 'a{separator.strip('.')}', 'b{separator.strip('.')}';"
    ):
        network_state(both)
    assert_same(network_state(both, f"b{separator}")[0], OTHER)


def test_messages_are_short_whatever_the_names_are():
    with pytest.raises(InputError, match="1000 networks, at 'fold0', .* and 992 more; choose one") as caught:
        network_state({f"fold{k}": W for k in range(1000)})
    assert len(str(caught.value)) < 200
    _, notes = network_state(under("x" * 3000 + "\x1b."))
    assert len(notes[0]) < 100


# --- modules made without something ---

FILLED = {
    "lstm biases": (
        without("bias_ih_l0", "bias_hh_l0"),
        {"lstm1 has no biases (bias=False): zeros", "lstm2 has no biases (bias=False): zeros"},
    ),
    "head": (without("fc.bias"), {"fc has no biases (bias=False): zeros"}),
    "batch norm": (
        without("bn.weight", "bn.bias"),
        {"bn has no weight and bias (affine=False): ones and zeros"},
    ),
    "counters": (without("num_batches_tracked"), set()),
}


@pytest.mark.parametrize("state, said", FILLED.values(), ids=FILLED)
def test_what_a_module_was_made_without_is_neutral(state, said):
    found, notes = network_state(state)
    assert set(notes) == said
    for name in W.keys() - state.keys() - {"bn.num_batches_tracked", "bn_residual.num_batches_tracked"}:
        assert found[name].shape == W[name].shape and (found[name] == (name == "bn.weight")).all()


@pytest.mark.parametrize("shape", [(8,), (1, 8), (1, 8, 1)])
def test_an_attention_vector_of_another_shape(shape):
    found, notes = network_state({**W, "attention_vector": W["attention_vector"].reshape(shape)})
    assert_same(found, W)
    assert notes == [f"attention_vector is {shape}, taken as (8, 1)"]


# --- what is refused ---

INT8 = (100 * W["fc.weight"]).astype(np.int8)


REFUSED = {
    "integers": (
        {**W, "fc.weight": INT8},
        "fc.weight is of type int8; expected floats: quantised weights are not read",
    ),
    "observers": (
        {**W, "fc.weight_fake_quant.scale": np.ones(1, np.float32)},
        "fc.weight_fake_quant.scale belongs to a quantised network",
    ),
    "scales": ({**W, "fc.zero_point": np.array(0)}, "fc.zero_point belongs to a quantised network"),
    "no mask": (
        {**without("fc.weight"), "fc.weight_orig": W["fc.weight"]},
        "fc.weight_orig has no fc.weight_mask",
    ),
    "both": (
        {**W, "fc.weight_orig": W["fc.weight"], "fc.weight_mask": W["fc.weight"]},
        "there are both fc.weight and fc.weight_orig",
    ),
    "another mask": (
        {**without("fc.weight"), "fc.weight_orig": W["fc.weight"], "fc.weight_mask": ONE.reshape(1)},
        r"\(3, 8\) and its mask \(1,\)",
    ),
    "another g": (
        {**without("fc.weight"), "fc.weight_v": W["fc.weight"], "fc.weight_g": np.ones((2, 1), np.float32)},
        r"g \(2, 1\) and v \(3, 8\)",
    ),
    "complex parts": (
        {**without("fc.weight"), "fc.weight_v": 1j * W["fc.weight"], "fc.weight_g": ONE},
        "fc.weight has a part of type complex64",
    ),
    "a mask of texts": (
        {**without("fc.weight"), "fc.weight_orig": W["fc.weight"], "fc.weight_mask": np.array("x")},
        "a part of type <U1",
    ),
    "no direction": (
        {
            **without("fc.weight"),
            "fc.weight_v": 0 * W["fc.weight"],
            "fc.weight_g": np.ones((3, 1), np.float32),
        },
        "a v of length 0",
    ),
    "no statistics": (
        without("bn.running_mean", "bn.running_var"),
        r"bn has no running statistics, .*track_running_stats=False, or a moving",
    ),
    "half a bias": (without("lstm1.bias_hh_l0"), r"lacks lstm1\.bias_hh_l0"),
    "another attention": (
        {**W, "attention_vector": np.ones(5, np.float32)},
        r"attention_vector is \(5,\); expected a matrix",
    ),
    "nothing": ({"epoch": 3}, r"no state dict \(names with tensors\) in it; found \{'epoch': int\}"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_what_it_is(case):
    value, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as error:
        ResLSTM(SMALL).load_state_dict(network_state(value)[0])
    assert "\n" not in str(error.value) and len(str(error.value)) < 300
