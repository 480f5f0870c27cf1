"""Say what a WAV file on the board's file system sounds like: 16-bit mono at the rate of the weights.

import wav
wav.classify("clip.wav")
"""

import struct

import npr


def classify(path, weights="weights.nprm"):
    """Print the likeliest label and every probability."""
    model = npr.Model(weights)
    with open(path, "rb") as file:
        left = find_samples(file, model.frontend.sample_rate)
        block = bytearray(1024)
        view = memoryview(block)
        while left:
            n = file.readinto(view[: min(left, len(block))])
            if n == 0:
                raise ValueError(f"{path} ends {left} bytes before its end: copy it again")
            model.push(view[:n])
            left -= n
    model.flush()
    label, chances = model.result()
    print(label)
    for name, chance in zip(model.labels, chances):
        print(f"  {name} {(100 * chance + 16384) >> 15} %")
    return label


def find_samples(file, rate):
    """Go to the samples of a WAV file; returns how many bytes they have."""
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise ValueError(f"no WAV file: it begins with {head[:4]!r}")
    found = None
    while True:
        head = file.read(8)
        if len(head) < 8:
            raise ValueError("the file ends before its samples: copy it again")
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            break
        if name == b"fmt " and size >= 16:
            found = file.read(16)
            size -= 16
        file.seek(size + size % 2, 1)
    if found is None or found[:8] + found[14:] != struct.pack("<HHIH", 1, 1, rate, 16):
        raise ValueError(f"the file is not 16-bit mono at {rate} Hz: convert it with sox or ffmpeg")
    return size
