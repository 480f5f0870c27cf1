"""The integer frontend of npr.py: from 16-bit samples to the input of the network (I1) ... (I13).

npreslstm/integer/frontend.py is the specification; docs/frontend.md of the package has the equations.
"""

import sys
from array import array

HALF_WORD = 0x7FFFFFFF


class Frontend:
    """Collects samples, and makes a frame of features of every `hop_length`.

    reader: of a weights file, where the frontend's part begins. inputs: features of a frame.
    """

    def __init__(self, reader, inputs, kernels):
        self.kernels = kernels
        self.inputs = inputs
        # How many bits a machine word has above 32; the plain kernels read arrays, which have a sign.
        self.sign = 32 if kernels.NATIVE and sys.maxsize > HALF_WORD else 0
        words = reader.ints(8)
        self.sample_rate, self.n_fft, self.hop_length, self.n_mels, self.n_mfcc, self.n_chroma = words[:6]
        self.floor, self.unit = words[6:]

        def table(typecode):
            return reader.array(typecode, reader.ints(1)[0])

        self.cosine = table("H")
        self.mel_start = table("H")
        self.mel_count = table("B")
        self.mel_weights = table("H")
        self.mel_offset = table("i")
        self.chroma_start = table("B")
        self.chroma_count = table("B")
        self.chroma_weights = table("H")
        self.chroma_down = table("B")
        self.log2 = table("H")
        self.multiplier = reader.array("H", inputs)
        self.offset = reader.array("i", inputs)
        self.shift = reader.array("B", inputs)
        self.samples = array("h", bytes(2 * self.n_fft))
        self.z = array("i", bytes(4 * (self.n_fft + 2)))
        self.levels = array("i", bytes(4 * self.n_mels))
        self.features = array("i", bytes(4 * inputs))
        self.x = array("H", bytes(2 * inputs))

    def reset(self):
        """Forget all samples."""
        for k in range(self.n_fft):
            self.samples[k] = 0
        self.held = 0  # samples since the last whole hop

    def take(self, pcm, first, count):
        """Take samples from number `first` of `count`, up to a whole hop. Returns how many were taken."""
        n = min(count - first, self.hop_length - self.held)
        self.kernels.append(self.samples, self.n_fft - self.hop_length + self.held, pcm, first, n)
        self.held += n
        return n

    def fill(self):
        """Zeros for what is missing to a whole hop."""
        for k in range(self.n_fft - self.hop_length + self.held, self.n_fft):
            self.samples[k] = 0
        self.held = self.hop_length

    def frame(self):
        """The features of the newest n_fft samples, of which those of a hop are new: `features`."""
        kernels = self.kernels
        z = self.z
        H = self.n_fft // 2
        up = kernels.window(z, self.samples, self.cosine, self.n_fft, self.sign)
        kernels.reverse_bits(z, H)
        size = 1
        while size < H:
            kernels.stage(z, z, H, size, self.cosine, self.sign)
            size *= 2
        kernels.spectrum(z, self.cosine, H, self.sign)
        kernels.log_mel(z, self.levels, self.unit - 2 * up, self)
        kernels.cepstrum(self.levels, self.features, self)
        kernels.chroma(z, self.features, self.n_mfcc, self)
        kernels.append(self.samples, 0, self.samples, self.hop_length, self.n_fft - self.hop_length)
        self.held = 0

    def z_scored(self, features):
        """The network's input of a frame of features: array('H') of value + 32768."""
        self.kernels.z_score(features, self.x, self)
        return self.x
