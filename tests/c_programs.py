"""Programs in C and C++ around an exported folder: what they hear, and how they are run."""

import subprocess
from pathlib import Path

import numpy as np
from samples import voice

from npreslstm.listening import EventKind, Listener

BOARDS = Path(__file__).parent / "c" / "boards"  # stand-ins for the headers of others
STRICT = ["-Wall", "-Wextra", "-Wshadow", "-pedantic", "-Werror"]


def run(*command, **options):
    """Standard output of a program that must succeed."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sound_source(sound):
    """C of an array that a program hears."""
    numbers = ", ".join(map(str, sound.tolist()))
    return (
        "#include <stddef.h>\n#include <stdint.h>\nextern const int16_t sound[];\nextern const size_t "
        "sound_samples;\n"
        f"const int16_t sound[] = {{{numbers}}};\nconst size_t sound_samples = {len(sound)};\n"
    )


# Hears `sound` through the library, and prints the label of its utterance.
PROGRAM = """
#include <stdio.h>
#include "npr_stream.h"
extern const int16_t sound[];
extern const size_t sound_samples;
int main(void) {
    static npr_stream stream;
    static int16_t ring[1024];
    npr_event event;
    if (npr_stream_init(&stream, &npr_weights, &npr_rate_16000, ring, 1024) != NPR_OK) { return 1; }
    for (size_t k = 0; k < sound_samples; k += 100) {
        int n = sound_samples - k < 100 ? sound_samples - k : 100;
        if (npr_stream_write(&stream, sound + k, n) != NPR_OK) { return 2; }
        do {
            if (npr_stream_poll(&stream, &event) != NPR_OK) { return 3; }
            if (event.kind == NPR_END) { puts(npr_weights.labels[event.label]); }
        } while (event.kind != NPR_NOTHING);
    }
    return 0;
}
"""


def write_program(folder, sound):
    (folder / "main.c").write_text(PROGRAM)
    (folder / "sound.c").write_text(sound_source(sound))


def speech():
    """int16 samples at 16 kHz: speech between pauses."""
    spoken = np.concatenate((np.zeros(12_000), voice(2.0, seed=4), np.zeros(14_000)))
    return np.rint(9000 * spoken).astype(np.int16)


def label_of(model, sound):
    """What Python hears in it, by the integer model."""
    ear = Listener(model, 16_000, "int8")
    ends = [event for event in [*ear.push(sound), *ear.finish()] if event.kind is EventKind.END]
    assert len(ends) == 1
    return ends[0].label
