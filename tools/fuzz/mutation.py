"""Inputs made from others by a seeded generator: what runs where there is no atheris."""

from collections.abc import Sequence
from random import Random

LONGEST = 1 << 16  # bytes of an input
NUMBERS = (
    0,
    1,
    2,
    7,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 62,
    (1 << 64) - 1,
)
TEXTS = (
    b"-1", b"0", b"1e999", b"nan", b"null", b"true", b"[]", b"{}", b'""', b"9" * 90, b"\x00", b"\xff\xfe",
    b"\x1b[2J", b",", b";",
    b"\n", b"(", b")", b'"', b"\\ud800", b"../", b"1.5", b"[[[[",
)  # fmt: skip


def mutate(rng: Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds, changed in one place or several."""
    data = bytearray(rng.choice(seeds))
    for _ in range(1 << rng.randrange(5)):
        rng.choice(CHANGES)(rng, data, seeds)
    return bytes(data[:LONGEST])


def _place(rng, data):
    return rng.randrange(len(data) + 1)


def _flip_a_bit(rng, data, seeds):
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set_a_byte(rng, data, seeds):
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _set_a_number(rng, data, seeds):
    at, size = _place(rng, data), rng.choice((1, 2, 4, 8))
    number = (rng.choice(NUMBERS) + rng.choice((-1, 0, 0, 1))) % (1 << 8 * size)
    data[at : at + size] = number.to_bytes(size, rng.choice(("little", "big")))


def _cut(rng, data, seeds):
    at = _place(rng, data)
    del data[at : at + rng.choice((1, 4, 64, len(data)))]


def _repeat(rng, data, seeds):
    at, size = _place(rng, data), rng.choice((1, 4, 64, 1024))
    data[at:at] = data[at : at + size] * rng.choice((1, 1, 2, 30))


def _insert_a_text(rng, data, seeds):
    at = _place(rng, data)
    data[at:at] = rng.choice(TEXTS)


def _replace_by_a_text(rng, data, seeds):
    at = _place(rng, data)
    data[at : at + rng.randrange(12)] = rng.choice(TEXTS)


def _splice(rng, data, seeds):
    other = rng.choice(seeds)
    at, size = rng.randrange(len(other) + 1), rng.choice((4, 64, 1024, LONGEST))
    here = _place(rng, data)
    data[here : here + rng.choice((0, size))] = other[at : at + size]


CHANGES = (
    _flip_a_bit,
    _set_a_byte,
    _set_a_number,
    _cut,
    _repeat,
    _insert_a_text,
    _replace_by_a_text,
    _splice,
)
