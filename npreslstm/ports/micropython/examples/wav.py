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
    riff, _, wave = struct.unpack("<4sI4s", file.read(12))
    if riff != b"RIFF" or wave != b"WAVE":
        raise ValueError(f"no WAV file: it begins with {riff!r}")
    found = None
    while True:
        name, size = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            break
        chunk = file.read(size + size % 2)
        if name == b"fmt ":
            form, channels, found, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
    if found is None or (form, channels, found, bits) != (1, 1, rate, 16):
        raise ValueError(f"the file is not 16-bit mono at {rate} Hz: convert it with sox or ffmpeg")
    return size
