"""tools/release/cycles.py: ARM's tables, and the stages of a trace."""

import pytest

from tools.release import cycles

LISTING = """\
00000010 <main>:
  10:\t2001      \tmovs\tr0, #1
  12:\tf000 f803 \tbl\t1c <npr_frontend_push>
  16:\tf000 f804 \tbl\t22 <npr_push_frame>
  1a:\tbd10      \tpop\t{r4, pc}

0000001c <npr_frontend_push>:
  1c:\t6803      \tldr\tr3, [r0, #0]
  1e:\td0fd      \tbeq.n\t1c <npr_frontend_push>
  20:\t4770      \tbx\tlr

00000022 <npr_push_frame>:
  22:\tb5f0      \tpush\t{r4, r5, r6, r7, lr}
  24:\tbdf0      \tpop\t{r4-r7, pc}
"""
ADDRESSES = [0x10, 0x12, 0x1C, 0x1E, 0x1C, 0x1E, 0x20, 0x16, 0x22, 0x24, 0x1A, 0x10]


@pytest.mark.parametrize(
    ("instruction", "operands", "taken", "expected"),
    [
        ("movs", "r0, #1", False, 1),
        ("muls", "r0, r1", False, 1),
        ("ldrb", "r0, [r1, #2]", False, 2),
        ("str", "r0, [sp, #4]", False, 2),
        ("stmia", "r3!, {r0, r1}", False, 3),
        ("push", "{r4, lr}", False, 3),
        ("pop", "{r4-r7, pc}", True, 9),
        ("bne.n", "1c <f>", True, 3),
        ("bne.n", "1c <f>", False, 1),
        ("bl", "1c <f>", True, 4),
        ("bx", "lr", True, 3),
        ("mov", "pc, r3", True, 3),
    ],
)
def test_the_table(instruction, operands, taken, expected):
    assert cycles.cycles("m0", instruction, operands, taken) == expected


@pytest.mark.parametrize(
    ("core", "instruction", "operands", "taken", "behind", "expected"),
    [
        ("m3", "ldr.w", "r0, [r1]", False, False, 2),
        ("m3", "ldr", "r0, [r1]", False, True, 1),
        ("m3", "strd", "r0, r1, [r2]", False, True, 3),
        ("m3", "pop", "{r4-r7, pc}", True, False, 9),
        ("m3", "ldmia.w", "sp!, {r4, r5}", False, False, 3),
        ("m3", "bne.n", "1c <f>", True, False, 4),
        ("m3", "bne.n", "1c <f>", False, False, 1),
        ("m3", "smull", "r0, r1, r2, r3", False, False, 5),
        ("m4f", "smull", "r0, r1, r2, r3", False, False, 1),
        ("m3", "smlal", "r0, r1, r2, r3", False, False, 7),
        ("m4f", "smlad", "r0, r1, r2, r3", False, False, 1),
        ("m3", "mla", "r0, r1, r2, r3", False, False, 2),
        ("m3", "udiv", "r0, r1, r2", False, False, 12),
        ("m4f", "vfma.f32", "s0, s1, s2", False, False, 3),
        ("m4f", "vdiv.f32", "s0, s1, s2", False, False, 14),
        ("m4f", "vpush", "{d8-d9}", False, False, 5),
    ],
)
def test_the_tables_of_the_larger_cores(core, instruction, operands, taken, behind, expected):
    assert cycles.cycles(core, instruction, operands, taken, behind) == expected


def test_stages_of_a_trace(monkeypatch):
    monkeypatch.setattr(cycles, "FRAMES", 1)
    trace = [f"Trace 0: 0x7f [00000000/{address:08x}/00000130/ff]\n" for address in ADDRESSES]
    trace.insert(3, "Linking TBs\n")
    found = cycles.estimate("m0", LISTING.splitlines(), trace)
    assert found == {"frontend": (5, 2 + 3 + 2 + 1 + 3), "network": (2, 6 + 9)}
