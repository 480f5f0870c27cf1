"""The int8 network, the integer frontend and the rate conversion in the DSP instructions of Cortex-M4, M7 and
M33 and the vector instructions of the M55: the bits of NumPy, the instructions that the page promises, and no
change of the kernels that goes unnoticed.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from c_models import checkpoint, needs

from npreslstm.checkpoint import load_checkpoint
from npreslstm.ports import c_ledger
from npreslstm.ports.c_export import export_c

PAGE = Path(__file__).parents[2] / "docs" / "c-port.md"
TOOLS = ("arm-none-eabi-gcc", "arm-none-eabi-objdump", "qemu-system-arm", "make")
PORTABLE = "CFLAGS=-O2 -DNPR_PORTABLE"
# what only the kernels have; of Helium, objdump knows what it shares with Neon
OBJECTS = [
    ("m4f", "npr_int8.o", "smlad"),
    ("m4f", "npr_frontend_int.o", "smulwb"),
    ("m4f", "npr_rate.o", "smladx"),
    ("m55", "npr_helium.o", "<npr_lstm_step>:"),
    ("m55", "npr_frontend_int.o", "vabs.s32"),
]

DSP = {
    "second rows": ("sxtb16 %0, %1, ror #8", "sxtb16 %0, %1"),
    "first rows": ("__smlad(__sxtb16(w), v, *p)", "__smlad(w, v, *p)"),
    "rows exchanged": ("__smlad(q0q1, v, *q)", "__smlad(q0q1, v, *p)"),
    "lower rows": ("npr_pair(npr_word(w + 4)", "npr_pair(npr_word(w)"),
    "columns in fours": ("npr_two_columns(w + 8, v + 2", "npr_two_columns(w + 8, v"),
    "remaining pair": ("n % 4 >= 2", "n % 4 > 2"),
    "remaining column": ("s3 += w[3] * v[0]", "s3 += w[2] * v[0]"),
    "product, rounding": ("smmulr %0", "smmul %0"),
    "tanh, limit": ("__usat(v, 18)", "__usat(v, 17)"),
}
HELIUM = {
    "first rows": ("vmovlbq_s8(pair)", "vmovltq_s8(pair)"),
    "second rows": ("vmovltq_s8(pair)", "vmovlbq_s8(pair)"),
    "upper rows": ("pairs.val[0]", "pairs.val[1]"),
    "blocks left out": ("k = n / 8; k > 0", "k = n / 8; k > 1"),
    "remaining pairs, weights": ("vctp32q(left)", "vctp32q(left - 1)"),
    "remaining pairs, values": ("vctp16q(2 * left)", "vctp16q(left)"),
    "remaining pairs, rows": ("(word + 1, second", "(word, second"),
    "remaining column": ("s3 += w[3] * v[0]", "s3 += w[2] * v[0]"),
    "recurrent sum, shift": ("vnegq_s32(shift)", "shift"),
    "recurrent sum, rounding": ("vrshlq_s32(vldrwq", "vshlq_s32(vldrwq"),
    "bias": ("vldrwq_s32(lstm->bias + row)", "vldrwq_s32(lstm->bias)"),
    "product, rounding": ("vrmulhq_s32", "vmulhq_s32"),
    "tanh, limit": ("(8 << 15) - 1", "(4 << 15) - 1"),
    "tanh, index": ("vshrq_n_s32(size, 9)", "vshrq_n_s32(size, 10)"),
    "tanh, interpolation": ("npr_tanh_table + 1", "npr_tanh_table"),
    "tanh, rounding": ("vrshrq_n_s32(vmulq_s32(vsubq", "vshrq_n_s32(vmulq_s32(vsubq"),
    "tanh, sign": ("vcmpltq_n_s32(a, 0)", "vcmpltq_n_s32(a, -100000)"),
    "sigmoid, rounding": ("32769", "32768"),
    "gate order f": ("gates + H + k", "gates + k"),
    "gate order g": ("gates + 2 * H + k", "gates + 3 * H + k"),
    "gate order o": ("sigmoid_of(vldrhq_z_s32(gates + 3", "sigmoid_of(vldrhq_z_s32(gates + 2"),
    "cell, shift": ("vmulq_s32(i, g), -up", "vmulq_s32(i, g), -up - 1"),
    "cell, rounding": ("vrshrq_n_s32(vaddq_s32(kept", "vshrq_n_s32(vaddq_s32(kept"),
    "cell, saturation": ("vdupq_n_s32(32767)", "vdupq_n_s32(32000)"),
    "hidden state, rounding": ("vrshrq_n_s32(vmulq_s32(o", "vshrq_n_s32(vmulq_s32(o"),
    "last units": ("vctp32q((uint32_t)(H - k))", "vctp32q((uint32_t)(H - k - 1))"),
}
FRONTEND_DSP = {
    "half": ("smulwb %0", "smulwt %0"),
}
FRONTEND_CLZ = {
    "bits of a number": ("32 - __builtin_clz(v)", "31 - __builtin_clz(v)"),
}
RATE_DSP = {
    "pairs, forwards": ("__smlad(npr_word(h + k)", "__smladx(npr_word(h + k)"),
    "pairs, backwards": ("__smladx(npr_word(h + NPR_TAPS - 2 - k)", "__smlad(npr_word(h + NPR_TAPS - 2 - k)"),
    "pairs, the last": ("h + NPR_TAPS - 2 - k", "h + NPR_TAPS - 3 - k"),
}
FRONTEND_HELIUM = {
    "four numbers": ("vidupq_n_u32((uint32_t)k, 1)", "vidupq_n_u32((uint32_t)k, 2)"),
    "cosine, unit": ("vreinterpretq_u32_s32(k)), 16)", "vreinterpretq_u32_s32(k)), 15)"),
    "sine": ("vdupq_n_s32(HALF / 2)", "vdupq_n_s32(HALF / 2 - 1)"),
    "magnitude": ("veorq_s32(x, vshrq_n_s32(x, 31))", "vabsq_s32(x)"),
    "window": ("vaddq_n_s32(cos, 32768)", "vaddq_n_s32(cos, 32767)"),
    "window, second half": (
        "vminq_s32(n, vsubq_s32(vdupq_n_s32(NPR_FFT)",
        "vminq_s32(n, vsubq_s32(vdupq_n_s32(NPR_FFT - 1)",
    ),
    "exponent": ("up = 30", "up = 29"),
    "exponent, largest": ("vmaxq_u32(largest, magnitudes(y))", "magnitudes(y)"),
    "turned": ("vcaddq_rot270_s32", "vcaddq_rot90_s32"),
    "butterfly, not halved": ("half_a = vshrq_n_s32(*a, 1)", "half_a = *a"),
    "butterfly, rounding": ("half_a = vshrq_n_s32(*a, 1)", "half_a = vrshrq_n_s32(*a, 1)"),
    "butterfly, sign": ("*b = vaddq_s32", "*b = vsubq_s32"),
    "first stage, pairs": ("vdupq_n_s32(2))); /*", "vdupq_n_s32(1))); /*"),
    "first stage, angle": (
        "vdupq_n_s32(INT32_MIN), vdupq_n_s32(0)",
        "vdupq_n_s32(INT32_MIN + 65536), vdupq_n_s32(0)",
    ),
    "stage, angle": ("number = vshrq_n_s32(four_from(2 * k), 1)", "number = four_from(2 * k)"),
    "stage, distance": ("vldrwq_s32(at + 2 * size)", "vldrwq_s32(at + size)"),
    "power, bits": ("vdupq_n_s32(32 - POWER_BITS)", "vdupq_n_s32(33 - POWER_BITS)"),
    "power, small numbers": ("zeros), vdupq_n_s32(0))", "zeros), vdupq_n_s32(1))"),
    "power, imaginary part": ("vmulq_u32(fine_y, fine_y)", "vmulq_u32(fine_x, fine_y)"),
    "power, exponent": ("vshlq_n_s32(down, 1), there", "down, there"),
    "halves apart, last bin": ("(HALF / 2 + 1 - k)", "(HALF / 2 - k)"),
    "halves apart, first bin": ("vandq_s32(high, vdupq_n_s32(NPR_FFT - 1))", "high"),
    "halves apart, rounding": ("b_im = vshrq_n_s32(gathered", "b_im = vrshrq_n_s32(gathered"),
    "halves apart, rounding of the even part": ("even_im = vshrq", "even_im = vrshrq"),
    "halves apart, odd": ("odd_im = vsubq_s32(half(im, cos)", "odd_im = vaddq_s32(half(im, cos)"),
    "halves apart, upper": ("vaddq_s32(even_im, odd_im), there", "vsubq_s32(even_im, odd_im), there"),
    "aligned, shift": ("30 - bits + largest", "31 - bits + largest"),
    "aligned, rounding": (
        "vreinterpretq_u32_s32(mantissa), up), 1), 1)",
        "vreinterpretq_u32_s32(mantissa), up), 0), 1)",
    ),
    "mel, exponents": ("every_second(bins + 2 * k + 1, there));", "every_second(bins + 2 * k, there));"),
    "mel, largest exponent": ("vmaxvq_s32(largest, every", "vmaxvq_s32(0, every"),
    "mel, last bins": ("vldrhq_z_u32(weight + k, there)", "vldrhq_u32(weight)"),
    "cosine transform, order": ("k % 2 == 0 ? n", "k % 2 != 0 ? n"),
    "cosine transform, angle": ("vaddq_n_s32(vshlq_n_s32(n, 1), 1)", "vshlq_n_s32(n, 1)"),
    "cosine transform, period": (
        "a = vandq_s32(vmulq_n_s32(odd, step), vdupq_n_s32(NPR_FFT - 1))",
        "a = vandq_s32(vmulq_n_s32(odd, step), vdupq_n_s32(HALF - 1))",
    ),
    "cosine transform, sign": ("return -sum", "return sum"),
}
RATE_HELIUM = {
    "eight, forwards": ("vldrhq_s16(h + k)", "vldrhq_s16(h)"),
    "eight, backwards": ("vddupq_n_u16(7, 1)", "vidupq_n_u16(0, 1)"),
    "eight, the first": ("h + NPR_TAPS - 8 - k", "h + NPR_TAPS - 9 - k"),
}
MUTATIONS = {
    ("m4f", "npr_core.h"): DSP,
    ("m4f", "npr_internal.h"): FRONTEND_DSP,
    ("m4f", "npr_frontend_int.c"): FRONTEND_CLZ,
    ("m4f", "npr_rate.c"): RATE_DSP,
    ("m55", "npr_helium.c"): HELIUM,
    ("m55", "npr_frontend_helium.h"): FRONTEND_HELIUM,
    ("m55", "npr_rate.c"): RATE_HELIUM,
}
NETWORKS = (
    "npr_core.h",
    "npr_helium.c",
)  # their changes are shown to the small networks, the others to the frontend
COMPILED = {  # of a header that is changed, this file alone uses the place
    "npr_core.h": "npr_int8.c",
    "npr_internal.h": "npr_frontend_int.c",
    "npr_frontend_helium.h": "npr_frontend_int.c",
}


def make(folder, core, what, *variables):
    command = ["make", "-s", "-C", folder / "extras" / "qemu", f"CORE={core}", *variables, what]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """{core: folders with every object compiled} of two networks and of the integer frontend.

    The columns of the networks end in every way, and the cell states of the second saturate.
    """
    needs(*TOOLS)
    folders = {}
    for core in ("m4f", "m55"):
        folders[core] = tmp_path_factory.mktemp(core)
        for name in ("h32", "two layers, two vectors"):
            folder = folders[core] / name.split()[0].strip(",")
            made = checkpoint(name, None)
            if name != "h32":
                made.notes["calibration"]["cell"] = [0.3] * len(made.notes["calibration"]["cell"])
            export_c(made, folder, "int8")
        export_c(checkpoint("h32"), folders[core] / "frontend", "int8", frontend="integer")
        for folder in folders[core].iterdir():
            assert make(folder, core, "test").stdout.endswith("PASS\n")
    return folders


CASES = [
    *(("two layers, two vectors", core, ()) for core in ("m4f", "m7", "m33", "m55")),
    *(("size one", core, ()) for core in ("m4f", "m55")),
    *(("h32", core, (flags,)) for core in ("m4f", "m55") for flags in (PORTABLE, "CFLAGS=-Os")),
    ("h64", "m33", ()),  # on the others in test_c_emulated.py
]


@pytest.mark.parametrize(("name", "core", "variables"), CASES)
def test_every_bit_is_numpys(tmp_path, name, core, variables):
    needs(*TOOLS)
    export_c(checkpoint(name, None), tmp_path, "int8")
    done = make(tmp_path, core, "test", *variables)
    assert done.returncode == 0 and done.stdout.endswith("PASS\n"), done.stdout + done.stderr
    assert re.search(r"network: ok, [1-9]\d* values, 0 differ, at most by 0", done.stdout)


@pytest.mark.parametrize("core", ["m4f", "m55"])
@pytest.mark.parametrize("flags", [PORTABLE, "CFLAGS=-Os"])
def test_the_frontend_has_these_bits_however_it_is_compiled(tmp_path, core, flags):
    """As the compiler chooses: test_c_emulated.py."""
    needs(*TOOLS)
    export_c(checkpoint("h32"), tmp_path, "int8", frontend="integer")
    done = make(tmp_path, core, "test", flags)
    assert done.returncode == 0 and done.stdout.endswith("PASS\n"), done.stdout + done.stderr
    assert done.stdout.count(" 0 differ, at most by 0\n") == 7


def test_the_compiler_chooses_and_one_switch_makes_it_portable(tmp_path):
    needs(*TOOLS)
    export_c(checkpoint("h64"), tmp_path, "int8", frontend="integer")
    found = {}
    for core in ("m4f", "m55"):
        for variables in ((), (PORTABLE,)):
            assert make(tmp_path, core, "sizes", *variables).returncode == 0
            for name in (name for its, name, _ in OBJECTS if its == core):
                object = tmp_path / "extras" / "qemu" / f"build_{core}" / name
                listing = subprocess.run(
                    ["arm-none-eabi-objdump", "-d", object], capture_output=True, text=True
                )
                found.setdefault((core, name), []).append(listing.stdout)
    for core, name, instruction in OBJECTS:
        assert [instruction in listing for listing in found[core, name]] == [True, False], (core, name)


# Millions of instructions a clip; what is achieved stands in docs/c-port.md.
@pytest.mark.parametrize(
    ("core", "clip"), [("m0", 31.5), ("m3", 16.3), ("m4f", 8.8), ("m7", 8.8), ("m33", 8.8), ("m55", 5.5)]
)
def test_instructions_stay_within_budget_and_within_the_ledger(tmp_path, core, clip):
    needs(*TOOLS)
    export_c(load_checkpoint("mcu"), tmp_path, "int8")
    figures = c_ledger.measure(tmp_path, core, "int8")
    assert figures["clip"] <= 1e6 * clip
    rows = c_ledger.read_markdown(PAGE.read_text(encoding="utf-8"), c_ledger.COLUMNS)
    [row] = [row for row in rows if (row["core"], row["type"]) == (c_ledger.CORES[core], "int8")]
    for column in ("code", "stack", "clip", "lstm1", "lstm2"):
        assert figures[column] <= 1.1 * row[column], column  # other compilers differ a little


@pytest.mark.parametrize(
    ("core", "file", "what"), [(*where, what) for where, changes in MUTATIONS.items() for what in changes]
)
def test_a_changed_kernel_is_caught(small, tmp_path, core, file, what):
    """By the vectors of one of the networks, or by those of the frontend and of the rate conversion."""
    old, new = MUTATIONS[core, file][what]
    caught = False
    for folder in sorted(small[core].iterdir()):
        if (folder.name == "frontend") == (file in NETWORKS):
            continue
        copy = tmp_path / folder.name
        shutil.copytree(folder, copy)
        source = copy / "src" / file
        text = source.read_text(encoding="utf-8")
        assert old in text, "the mutation no longer fits the code"
        source.write_text(text.replace(old, new, 1), encoding="utf-8")
        unchanged = ("-o", f"../../src/{file}") if file in COMPILED else ()
        done = make(copy, core, "test", *unchanged, "-W", f"../../src/{COMPILED.get(file, file)}")
        assert done.stdout.endswith(("PASS\n", "FAIL\n")), done.stdout + done.stderr
        caught = caught or bool(re.search(r"[1-9]\d* differ", done.stdout))
        if caught:
            break
    assert caught


def test_the_page_says_how_many_changes_of_the_kernels():
    total = sum(map(len, MUTATIONS.values()))
    assert f"{total} changes of the kernels" in PAGE.read_text(encoding="utf-8").replace("\n", " ")
