"""README.md of a folder exported for MicroPython."""

from npreslstm import __version__
from npreslstm.ports.c_blob import labels_of
from npreslstm.terminal import printable

ARCHITECTURES = (
    ("armv6m", "RP2040"),
    ("armv7emsp", "RP2350, STM32F4, STM32H7 and other Cortex-M with a floating point unit"),
    ("xtensawin", "ESP32, ESP32-S3; without npr_thumb.py"),
    ("rv32imc", "ESP32-C3, RP2350 in its RISC-V mode; without npr_thumb.py"),
)


def readme(checkpoint, quantized, weights):
    """The text; `weights` are the bytes of weights.nprm."""
    config, features = checkpoint.config, checkpoint.features
    matrices = sum(lstm.W_h.size + lstm.W_x.size for lstm in quantized.lstms)
    commands = "\n".join(
        f"    for f in npr*.py; do mpy-cross -march={arch} -O3 $f; done{' ' * (12 - len(arch))}# {boards}"
        for arch, boards in ARCHITECTURES
    )
    stated = str(checkpoint.notes.get("licence", "the terms of the weights file"))
    licence = printable(" ".join(stated.split()))
    return f"""# ResLSTM-SA for MicroPython

{config.kind}, {config.input_size} features a frame, hidden size {config.hidden_size}, {
        config.num_classes
    } classes:
{printable(", ".join(labels_of(checkpoint)))}.
Written by npreslstm {__version__} from weights with SHA-256 `{checkpoint.sha256}`.

It runs on unmodified firmware and gives the bits that NumPy gives: all is integers{
        ", from 16-bit samples to probabilities" if features else ""
    }, so that firmware without floats will do.

```python
import npr

model = npr.Model("weights.nprm")
{_use(features)}
label, chances = model.result()    # chances are in units of 2^-15
model.reset()                      # before the next clip
```

## On a board

    mpremote cp npr*.py weights.nprm selftest.py vectors.bin :
    mpremote exec "import selftest"

prints the number of values compared with NumPy's, the heap that the model takes, the time of a frame, and
PASS. `mpremote mip install package.json` installs the library and the weights.

`npr.py` takes the kernels of `npr_thumb.py` on ARM, those of `npr_viper.py` where the firmware has a native
emitter for its core, and those of `npr_plain.py` otherwise. All give the same bits.

Compiled on the computer, the modules take less of the board's heap to import, and no compiler of its own:

{commands}

Copy the .mpy files in place of the .py files.

## Memory

`weights.nprm` has {len(weights):,} bytes, {
        matrices:,} of them the weights of the network. From a file system they are
read into the heap, in pieces. In ROMFS, or given as bytes that are frozen into the firmware, the matrices are
used where they lie in flash, and only constants and tables are copied:

    mkdir rom && cp npr*.mpy weights.nprm rom/
    mpremote romfs --no-mpy -o romfs.img build rom
    mpremote romfs deploy romfs.img      # then npr.Model("/rom/weights.nprm")

A model of the bundled weights `mcu` takes 33 KB of heap on a board where the matrices stay in flash, 46 KB
more elsewhere; the modules take 20 KB of flash as .mpy files. On an emulated Cortex-M3 a frame of 32 ms takes
1.8 million instructions from its samples on, 0.5 million of them in the network; with viper 2.6 and 1.0.
`selftest.py` prints what your board takes.

## Examples

{_examples(features)}
## Licence

The code is under the MIT licence (LICENSE). The numbers in `weights.nprm` are the weights: {licence}
"""


def _use(features):
    if features is None:
        return "model.step(x)                      # array('h') of z-scored features, for every frame"
    return (
        "model.push(pcm)                    # bytes or array('h') of 16-bit samples at"
        f" {features.sample_rate} Hz, any number\nmodel.flush()                      # the clip ends"
    )


def _examples(features):
    if features is None:
        return "These weights do not say how their features are made, so there is no frontend.\n"
    return (
        "`examples/i2s.py` hears an I2S microphone (ESP32-S3, RP2350, Pyboard: set the pins),\n"
        "`examples/wav.py` a WAV file on the board.\n"
    )
