"""`export_micropython`: a folder for MicroPython that computes what the integer model computes.

The hand-written modules of ``ports/micropython`` are copied. Generated are the weights
(`micropython_weights`), vectors for the self-test, package.json for mip, and a README.
"""

import json

import numpy as np

from npreslstm import __version__
from npreslstm.assets import package_folder
from npreslstm.integer import fixed_point, frontend, frontend_tables
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.ports import c_readme, c_vectors, micropython_readme
from npreslstm.ports.c_export import with_features, write_files
from npreslstm.ports.micropython_weights import weights_file

SOURCES = package_folder() / "ports" / "micropython"
LIBRARY = ("npr.py", "npr_frontend.py", "npr_thumb.py", "npr_viper.py", "npr_plain.py")
ALONGSIDE = ("selftest.py", "examples/i2s.py", "examples/wav.py")
FRAMES, SEED = 24, 7


def export_micropython(checkpoint, folder, config=None):
    """Write the integer model for MicroPython.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : str or os.PathLike
        Made if it is not there. Files of an earlier export are replaced.
    config : {'paper', 'mcu'}, optional
        The features, for a checkpoint that does not say how they are made; without either the network is
        written, and no frontend.

    Returns
    -------
    list of str
        Names of the files, sorted.

    Raises
    ------
    InputError
        If the model cannot be quantised, a layer has more than 128 inputs or units, or the integer frontend
        cannot compute its features.
    """
    checkpoint = with_features(checkpoint, config)
    if checkpoint.features is not None:
        frontend_tables.check_supported(checkpoint.features)
    quantized = QuantizedModel.from_checkpoint(checkpoint)
    files = {name: (SOURCES / name).read_text(encoding="utf-8") for name in (*LIBRARY, *ALONGSIDE)}
    weights = weights_file(checkpoint, quantized)
    x = network_input(quantized)
    clips = [c_vectors.sound(checkpoint.features)] if checkpoint.features else []
    files |= {"weights.nprm": weights, "vectors.bin": vectors(checkpoint, quantized, x, clips)}
    files["package.json"] = package()
    files["README.md"] = micropython_readme.readme(checkpoint, quantized, weights)
    files["LICENSE"] = c_readme.licence()
    return write_files(folder, files)


def package():
    """What `mpremote mip install` and `mip.install` read: the library and the weights."""
    names = (*LIBRARY, "weights.nprm")
    return json.dumps({"version": __version__, "urls": [[name, name] for name in names]}, indent=2) + "\n"


def vectors(checkpoint, quantized, x, clips):
    """The bytes of vectors.bin, which selftest.py reads: little-endian, what comes of inputs and of samples.

    Network: a word, the number of frames; then for each frame its input x (D,) int16, and what there is after
    it: h and c (units,) int16, the weighted sums and the total (H + 1,) int64, the maximum (int32), context
    (H,) int16 and logits (C,) int32.

    Frontend: a word, the number of clips; then for each clip its samples and frames (words), for each frame
    its samples (int16) and features (D,) int32, and the probabilities (C,) uint16.

    Parameters
    ----------
    checkpoint : Checkpoint
    quantized : QuantizedModel
    x : (T, D) int16 array
    clips : sequence of (n,) int16 arrays
        None where the checkpoint does not say how its features are made.
    """
    parts = [_word(len(x))]
    state = quantized.start(1)
    for row in x:
        quantized.step(row[None], state)
        parts.append(row.astype("<i2").tobytes())
        parts.append(np.concatenate([*state.h, *state.c], axis=1).astype("<i2").tobytes())
        parts.append(np.append(state.weighted, state.total).astype("<i8").tobytes())
        context = quantized.context(state)
        parts.append(state.maximum.astype("<i4").tobytes() + context.astype("<i2").tobytes())
        parts.append(quantized.logits(context).astype("<i4").tobytes())
    parts.append(_word(len(clips)))
    return b"".join([*parts, *(_sound(checkpoint, quantized, pcm) for pcm in clips)])


def network_input(quantized):
    """(FRAMES, D) int16: z-scored noise, every fourth frame far beyond it, and both ends of the range."""
    rng = np.random.default_rng(SEED)
    shape = FRAMES, quantized.lstms[0].W_x.shape[1]
    x = rng.normal(size=shape) * 2.0**quantized.x_bits
    x[1::4] *= 8
    x[2::4] = rng.integers(-32768, 32768, x[2::4].shape)
    x[5], x[6] = 32767, -32768
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def _sound(checkpoint, quantized, pcm):
    features = frontend.features_of_clip(pcm, checkpoint.features)
    x = frontend.z_score(features, frontend_tables.statistics(checkpoint, quantized.x_bits))
    probabilities = fixed_point.softmax(quantized.infer_integer(x[None], [len(x)]))
    hop = checkpoint.features.hop_length
    parts = [_word(len(pcm)), _word(len(features))]
    for t, row in enumerate(features):
        parts += [pcm[t * hop : (t + 1) * hop].astype("<i2").tobytes(), row.astype("<i4").tobytes()]
    return b"".join(parts) + probabilities.astype("<u2").tobytes()


def _word(value):
    return int(value).to_bytes(4, "little")
