"""ResLSTM-SA for MicroPython: 16-bit samples in, a label and its probability out, all in integers.

    import npr
    model = npr.Model("weights.nprm")
    model.push(pcm)          # bytes or array('h') of 16-bit samples, any number, as often as they come
    model.flush()            # the clip ends
    label, chances = model.result()
    model.reset()            # before the next clip

Every number is the one that the NumPy package npreslstm computes, in every bit: npreslstm/integer/quantize.py
is the specification of the network (Q1) ... (Q12), with (F1) ... (F5) of fixed_point.py. Nothing is a float.
``Qn`` means in units of 2^-n.
"""

import gc
import struct
from array import array
from binascii import crc32

from npr_frontend import Frontend

for name in ("npr_thumb", "npr_viper", "npr_plain"):
    try:
        kernels = __import__(name)
        break
    except (ImportError, SyntaxError, ValueError):  # no such compiler, or a .mpy of another machine
        pass
    except MemoryError as error:
        raise MemoryError(f"the heap is too small to compile {name}.py: copy it as {name}.mpy") from error

FORMAT = 1  # of the weights file
MOST_FRAMES = 1 << 17  # of one clip: the sums of attention have 58 bits
ZERO = 32768  # how 0 is stored in 16 bits
BIAS = 1 << 30  # added to numbers with a sign, so that they have none
LOG2_E = 94548  # Q16
LOWEST = -0x80000000


def round_shift(v, s):
    """Divide by 2^s and round, half up (F1)."""
    return (v + ((1 << s) >> 1)) >> s


def saturate32(v):
    return min(max(v, LOWEST), 0x7FFFFFFF)


def samples_in(pcm):
    """How many samples a block has. TypeError unless it is bytes or array('h')."""
    if isinstance(pcm, array) and not isinstance(pcm, bytearray):
        if repr(pcm[:0]) != "array('h')":
            raise TypeError(f"samples are {repr(pcm[:0])}; expected 16 bits: array('h') or bytes")
        return len(pcm)
    if not isinstance(pcm, (bytes, bytearray, memoryview)):
        raise TypeError(f"samples are {type(pcm)}; expected array('h') or bytes")
    size = len(bytes(pcm[:1]))  # of an item: a memoryview may be of an array
    if size > 2 or size * len(pcm) % 2:
        raise TypeError(f"samples are {len(pcm)} items of {size} bytes; expected 16 bits a sample")
    return size * len(pcm) // 2


def check_array(what, values, typecode, n):
    """TypeError or ValueError unless values are an array of n numbers of that type."""
    expected = f"array('{typecode}')"
    if not isinstance(values, array) or repr(values[:0]) != expected:
        raise TypeError(f"{what}: {type(values)}; expected {expected}")
    if len(values) != n:
        raise ValueError(f"{what}: {len(values)} numbers; expected {n}")


class _Reader:
    """The parts of a weights file, one after the other; of one in flash nothing large is copied."""

    def __init__(self, source):
        self.file = None
        self.at = 0
        if isinstance(source, str):
            self.file = open(source, "rb")
            try:
                source = memoryview(self.file)  # a file of ROMFS: its bytes lie in flash
            except TypeError:
                source = None
        self.data = None if source is None else memoryview(source)

    def take(self, n):
        """The next n bytes."""
        if self.data is None:
            part = self.file.read(n)
        else:
            part = self.data[self.at : self.at + n]
        self.at += n
        if len(part) != n:
            raise ValueError(f"the weights end after {self.at - n + len(part)} bytes; copy the file again")
        return part

    def ints(self, n):
        """The next n words of 32 bits."""
        return struct.unpack(f"<{n}i", self.take(4 * n))

    def array(self, typecode, n):
        """The next n numbers, copied."""
        size = {"B": 1, "H": 2, "h": 2, "i": 4, "I": 4}[typecode]
        return array(typecode, bytes(self.take(n * size)))

    def rewind(self, at):
        self.at = at
        if self.data is None:
            self.file.seek(at)

    def close(self):
        if self.file:
            self.file.close()

    def check(self):
        """Raise ValueError unless the file is whole and of this format. Returns its size."""
        magic, version, size, crc = struct.unpack("<4sIII", self.take(16))
        if magic != b"NPRM":
            raise ValueError(
                f"the weights begin with {magic!r}; expected a file of npreslstm export micropython"
            )
        if version != FORMAT:
            raise ValueError(f"the weights have format {version}; expected {FORMAT}: export them again")
        found = 0
        while self.at < size:
            found = crc32(self.take(min(512, size - self.at)), found)
        if found != crc or size <= 16:
            raise ValueError(f"the weights are damaged: CRC {found:08x}, expected {crc:08x}; copy them again")
        self.rewind(16)
        return size


class _Layer:
    """One LSTM layer: constants and state."""

    def __init__(self, reader, tanh):
        self.inputs, self.hidden, c_bits = reader.ints(3)
        self.rows = 4 * self.hidden
        self.blocks_h = (self.hidden + 7) // 8
        self.blocks_x = (self.inputs + 7) // 8
        self.up = 15 - c_bits
        self.tanh = tanh
        self.h_offset = reader.array("I", self.rows)
        self.x_offset = reader.array("I", self.rows)
        self.multiplier = reader.array("I", self.rows)
        self.recurrent_shift = reader.array("B", self.rows)
        self.w = reader.take(self.rows * 8 * (self.blocks_h + self.blocks_x))
        self.v = array("H", bytes(16 * (self.blocks_h + self.blocks_x)))  # h and x, each filled up with zeros
        self.x = memoryview(self.v)[8 * self.blocks_h :]
        self.c = array("H", bytes(2 * self.hidden))
        self.sums = array("I", bytes(8 * self.rows))
        self.g = array("H", bytes(2 * self.rows))
        self.columns = None  # of npr_plain.py
        self.reset()

    def reset(self):
        for k in range(len(self.c)):
            self.v[k] = self.c[k] = ZERO
        self.heard(ZERO * self.hidden)

    def heard(self, total):
        """Take the sum of h as it is stored."""
        self.h_total = 128 * total + BIAS

    def step(self, total):
        """One frame (Q2)-(Q5); `total` is the sum of x as it is stored."""
        self.x_total = 128 * total + BIAS
        kernels.row_sums(self.w, self.v, 0, self.sums, self)
        kernels.gates(self.sums, self.g, self)
        self.heard(kernels.cell(self.g, self.c, self.v, self))


class Model:
    """The network and its frontend.

    weights: the name of a file, or its bytes. Bytes in flash stay there.
    """

    def __init__(self, weights="weights.nprm"):
        reader = _Reader(weights)
        size = reader.check()
        gc.collect()
        try:
            self._read(reader)
        except MemoryError as error:
            raise MemoryError(
                f"the heap is too small for weights of {size} bytes: put them into ROMFS, and use .mpy files"
            ) from error
        reader.close()
        self.reset()

    def _read(self, reader):
        inputs, classes, layers, residual, x_bits, multiplier, shift, labels, licence = reader.ints(9)
        self.inputs = inputs
        self.classes = classes
        self.residual = residual
        self.x_shift = 15 - x_bits
        self.score_multiplier = multiplier
        self.score_shift = shift
        self.labels = str(bytes(reader.take(labels)), "utf-8").split("\0")
        self.licence = str(bytes(reader.take(licence)), "utf-8")
        tanh = reader.array("H", 513)
        self.exp2 = reader.array("H", 65)
        self.layers = [_Layer(reader, tanh) for _ in range(layers)]
        hidden = self.layers[-1].hidden
        self.attention = reader.array("H", hidden)
        self.head = reader.array("h", classes * hidden)
        self.head_bias = reader.array("i", classes)
        self.head_multiplier = reader.array("i", classes)
        self.head_shift = reader.array("B", classes)
        self.frontend = Frontend(reader, inputs, kernels) if reader.ints(1)[0] else None
        self.sums = array("i", (0, 0))
        self.weighted = array("i", bytes(8 * hidden))  # 26 lower bits, and what is above them

    def reset(self):
        """Forget everything: another clip begins."""
        for layer in self.layers:
            layer.reset()
        if self.frontend:
            self.frontend.reset()
        for k in range(len(self.weighted)):
            self.weighted[k] = 0
        self.total = self.maximum = self.frames = 0

    def push(self, pcm):
        """Take in samples, and hear the frames that they complete. Returns how many frames that was.

        pcm: 16-bit little-endian samples, mono, at `frontend.sample_rate`: array('h') or bytes, as
        machine.I2S fills them; any number of them.
        """
        frontend = self._hearing()
        count = samples_in(pcm)
        at = frames = 0
        while at < count:
            at += frontend.take(pcm, at, count)
            if frontend.held == frontend.hop_length:
                self._hear()
                frames += 1
        return frames

    def flush(self):
        """The clip ends: hear the samples since the last whole frame, zeros after them. Returns 0 or 1."""
        frontend = self._hearing()
        if frontend.held == 0:
            return 0
        frontend.fill()
        self._hear()
        return 1

    def push_frame(self, features):
        """One frame of features as the integer frontend has them: array('i')."""
        frontend = self._hearing()
        check_array("features", features, "i", self.inputs)
        self._step(frontend.z_scored(features), 0)

    def step(self, x):
        """One frame of the network's input: array('h') of z-scored features in units of 2^-x_bits."""
        check_array("the network's input", x, "h", self.inputs)
        self._step(x, ZERO)

    def _hearing(self):
        if self.frontend is None:
            raise ValueError(
                "these weights have no frontend; expected features in step(x): export with --features"
            )
        return self.frontend

    def _hear(self):
        frontend = self.frontend
        frontend.frame()
        self._step(frontend.z_scored(frontend.features), 0)

    def _step(self, x, flip):
        if self.frames == MOST_FRAMES:
            raise ValueError(
                f"a clip has more than {MOST_FRAMES} frames; expected at most that: call reset()"
            )
        total = kernels.store(x, self.layers[0].x, self.inputs, flip)
        for k, layer in enumerate(self.layers):
            if k:
                total = self._between(k, layer)
            layer.step(total)
        self._attend(layer)

    def _between(self, k, layer):
        """Give layer k what the layer before it made; returns the sum of that."""
        before = self.layers[k - 1].v
        if k == self.residual:
            return kernels.residual(self.layers[0].x, before, layer.x, self.x_shift, layer.inputs)
        return kernels.store(before, layer.x, layer.inputs, 0)

    def _attend(self, layer):
        """(Q7)-(Q10) of the last layer's h."""
        kernels.score(layer.v, self.attention, layer.hidden, self.sums)
        product = self.sums[0] + 256 * self.sums[1]
        e = saturate32(round_shift(product * self.score_multiplier, self.score_shift))  # (Q7)
        E = e >> 16
        if self.frames == 0:
            self.maximum = E
        if E > self.maximum:
            self._fall(min(E - self.maximum, 62))
            self.maximum = E
        weight = round_shift(self._exp2(e & 0xFFFF) << 9, min(self.maximum - E, 62))  # (Q9)
        self.total += weight
        kernels.weigh(self.weighted, layer.v, weight, layer.hidden)
        self.frames += 1

    def _fall(self, shift):
        """All sums in units of a larger maximum (Q8)."""
        self.total = round_shift(self.total, shift)
        for k in range(self.layers[-1].hidden):
            v = round_shift(self.weighted_sum(k), shift)
            self.weighted[2 * k] = v & 0x3FFFFFF
            self.weighted[2 * k + 1] = v >> 26

    def weighted_sum(self, k):
        """Of the weights times h, Q39 (Q10)."""
        return (self.weighted[2 * k + 1] << 26) + self.weighted[2 * k]

    def _exp2(self, f):
        """2^f, Q15 of Q16 (F4)."""
        k = f >> 10
        low = self.exp2[k]
        return 32768 + low + round_shift((self.exp2[k + 1] - low) * (f & 1023), 10)

    def context(self):
        """The weighted mean of h over the frames so far, Q15 (Q11)."""
        if self.frames == 0:
            raise ValueError("no frame was heard yet; expected at least one: push() samples first")
        total = self.total
        return [(2 * self.weighted_sum(k) + total) // (2 * total) for k in range(self.layers[-1].hidden)]

    def logits(self):
        """Of the frames so far, Q16 (Q12)."""
        context = self.context()
        H = len(context)
        logits = []
        for row in range(self.classes):
            s = 0
            for k in range(H):
                s += self.head[row * H + k] * context[k]
            s = round_shift(s * self.head_multiplier[row], self.head_shift[row])
            logits.append(saturate32(s + self.head_bias[row]))
        return logits

    def result(self):
        """The likeliest label, and the probability of each, in units of 2^-15 (F5)."""
        logits = self.logits()
        largest = max(logits)
        weights = []
        for logit in logits:
            e = -round_shift(min(largest - logit, 16 << 16) * LOG2_E, 16)
            weights.append(round_shift(self._exp2(e & 0xFFFF), -(e >> 16)))
        total = sum(weights)
        chances = [((w << 15) + total // 2) // total for w in weights]
        return self.labels[logits.index(largest)], chances
