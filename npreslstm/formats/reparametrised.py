"""Tensors that a checkpoint holds in parts, put together where the parts are all there is to it.

    pruned         X_orig, X_mask                                  X = X_orig * X_mask, exact
    weight norm    X_g, X_v                                        X = g v / |v|, in float64, rounded once
                   parametrizations.X.original0, .original1        the same: g, v
    refused        spectral norm, other parametrizations, quantisation

Source: torch.nn.utils.prune, weight_norm and parametrizations.weight_norm of PyTorch 2.13.
"""

import re

import numpy as np

from npreslstm.errors import InputError

_PARAMETRIZATION = re.compile(r"(?P<module>.*\.)?parametrizations\.(?P<name>[^.]+)\.(?P<part>.+)")
_QUANTISED = re.compile(
    r"_packed_params|_all_weight_values"
    r"|(^|[._])(fake_quant|activation_post_process|observer|zero_point|qweight|qzeros|SCB|absmax)"
)


def whole_tensors(state):
    """The state dict with every tensor whole.

    Parameters
    ----------
    state : dict of str to numpy.ndarray

    Returns
    -------
    state : dict of str to numpy.ndarray
    notes : list of str
        What was computed.

    Raises
    ------
    InputError
        If the network is quantised, parts do not fit, or a tensor is made of them by code that is not in the
        file.
    """
    if marks := [name for name in state if _QUANTISED.search(name)]:
        remedy = "convert the network as it was before quantisation"
        raise InputError(f"{marks[0]} belongs to a quantised network; expected float weights: {remedy}")
    state = _weight_norm_names(state)
    state, pruned = _merged(state, "_orig", "_mask", _pruned)
    state, normed = _merged(state, "_v", "_g", _weight_normed)
    notes = [f"{', '.join(pruned)}: pruned, the product of weights and mask"] if pruned else []
    notes += [f"{', '.join(normed)}: weight-normed, g v/|v| in float64, rounded once"] if normed else []
    return state, notes


def _weight_norm_names(state):
    """The names of today's weight norm turned into those of the old one; other parametrizations
    are refused.
    """
    parts = {}
    for name in state:
        if match := _PARAMETRIZATION.fullmatch(name):
            parts.setdefault((match["module"] or "", match["name"]), {})[match["part"]] = name
    renamed = {}
    for (module, name), found in parts.items():
        if found.keys() != {"original0", "original1"}:
            remedy = f"torch.nn.utils.parametrize.remove_parametrizations(module, {name!r})"
            how = f"is computed from {', '.join(found)} by code that is not in the file"
            raise InputError(f"{module}{name} {how}; in PyTorch, before saving: {remedy}")
        renamed |= {found["original0"]: f"{module}{name}_g", found["original1"]: f"{module}{name}_v"}
    return {renamed.get(name, name): array for name, array in state.items()}


def _merged(state, suffix, other, merge):
    """The state with X for X + `suffix` and X + `other`, in the place of the first, and the names of all such
    X.
    """
    merged, names = {}, []
    for name, array in state.items():
        base = name.removesuffix(suffix)
        if base != name and base + other in state:
            if base in state:
                raise InputError(
                    f"there are both {base} and {name}, which it is made of: save the state dict again"
                )
            merged[base] = merge(base, array, state[base + other])
            names.append(base)
        elif base != name and suffix == "_orig":
            raise InputError(_without_mask(base, state))
        elif name.removesuffix(other) + suffix not in state or not name.endswith(other):
            merged[name] = array
    return merged, names


def _without_mask(name, state):
    if name + "_u" in state:
        remedy = "in PyTorch, before saving: torch.nn.utils.remove_spectral_norm(module)"
        return f"{name} is spectral-normed; expected the weights themselves: {remedy}"
    return (
        f"{name}_orig has no {name}_mask; expected both, as pruning leaves them: the state dict is incomplete"
    )


def _check_floats(name, parts):
    for array in parts:
        if array.dtype.kind != "f":
            raise InputError(f"{name} has a part of type {array.dtype}; expected floats")


def _pruned(name, weights, mask):
    _check_floats(name, [weights] if mask.dtype.kind in "iub" else [weights, mask])
    if weights.shape != mask.shape:
        raise InputError(f"{name}_orig is {weights.shape} and its mask {mask.shape}; expected equal shapes")
    return weights * mask.astype(weights.dtype)


def _weight_normed(name, v, g):
    """g v / |v|, the norm over every axis but the one that g has."""
    _check_floats(name, [v, g])
    kept = [k for k in range(v.ndim) if g.ndim == v.ndim and g.shape[k] == v.shape[k] > 1]
    if g.shape not in ((), tuple(n if k in kept else 1 for k, n in enumerate(v.shape))) or len(kept) > 1:
        expected = "expected one number in g, or one for each row or column"
        raise InputError(f"{name} is weight-normed with g {g.shape} and v {v.shape}; {expected}")
    axes = tuple(k for k in range(v.ndim) if k not in kept)
    norm = np.sqrt(np.sum(np.square(v, dtype=np.float64), axis=axes, keepdims=True))
    if not (norm > 0).all():
        raise InputError(f"{name} is weight-normed with a v of length 0; expected a direction")
    return (g.astype(np.float64) * (v / norm)).astype(v.dtype)
