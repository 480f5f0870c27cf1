"""Compare this firmware's results with NumPy's, bit for bit, and print PASS or FAIL, heap and time.

import selftest    # with weights.nprm and vectors.bin in the current folder
"""

import gc
import struct
import time
from array import array

import npr


class Comparison:
    """Counts values that were compared, and that differ."""

    def __init__(self):
        self.values = 0
        self.differing = 0

    def same(self, what, found, expected):
        differing = sum([a != b for a, b in zip(found, expected)])
        self.values += len(expected)
        self.differing += differing
        if differing:
            print(f"{what}: {differing} of {len(expected)} values differ")


def trace(model):
    """All that a frame changes, and what would be the result: h, c, attention's sums, context, logits."""
    state = []
    for layer in model.layers:
        state += [v - npr.ZERO for v in layer.v[: layer.hidden]]
    for layer in model.layers:
        state += [c - npr.ZERO for c in layer.c]
    state += [model.weighted_sum(k) for k in range(model.layers[-1].hidden)]
    return state + [model.total, model.maximum] + model.context() + model.logits()


def network(model, file, check):
    """Frames of random input, with extremes. Returns the microseconds of one frame."""
    (frames,) = struct.unpack("<i", file.read(4))
    units = sum([layer.hidden for layer in model.layers])
    hidden = model.layers[-1].hidden
    form = f"<{2 * units}h{hidden + 1}qi{hidden}h{model.classes}i"
    elapsed = 0
    for t in range(frames):
        x = array("h", file.read(2 * model.inputs))
        start = time.ticks_us()
        model.step(x)
        elapsed += time.ticks_diff(time.ticks_us(), start)
        check.same(f"network, frame {t}", trace(model), struct.unpack(form, file.read(struct.calcsize(form))))
    return elapsed // frames


def sound(model, file, check):
    """Pieces of sound, to features and probabilities. Returns the microseconds of one frame."""
    (clips,) = struct.unpack("<i", file.read(4))
    elapsed = heard = 0
    for clip in range(clips):
        samples, frames = struct.unpack("<ii", file.read(8))
        model.reset()
        for t in range(frames):
            what = f"clip {clip}, frame {t}"
            n = min(model.frontend.hop_length, samples - t * model.frontend.hop_length)
            pcm = file.read(2 * n)
            start = time.ticks_us()
            check.same(what, [model.push(pcm) or model.flush()], [1])
            elapsed += time.ticks_diff(time.ticks_us(), start)
            expected = array("i", file.read(4 * model.inputs))
            check.same(what, model.frontend.features, expected)
        expected = array("H", file.read(2 * model.classes))
        check.same(f"probabilities of clip {clip}", model.result()[1], expected)
        heard += frames
    return elapsed // heard


def main():
    gc.collect()
    before = gc.mem_alloc()
    model = npr.Model()
    gc.collect()
    heap = gc.mem_alloc() - before
    check = Comparison()
    with open("vectors.bin", "rb") as file:
        print(f"network: {network(model, file, check)} us a frame")
        if model.frontend:
            print(f"from samples: {sound(model, file, check)} us a frame of {frame_time(model)}")
    print(f"kernels: {npr.kernels.__name__}; heap of the model: {heap} bytes")
    print(f"{check.values} values compared, {check.differing} differ")
    print("FAIL" if check.differing else "PASS")


def frame_time(model):
    """The microseconds of sound in a frame."""
    return model.frontend.hop_length * 1000000 // model.frontend.sample_rate


main()
