"""Make npreslstm/explain/page/ears.wasm, what the listening page hears with: the C frontend of the features
`mcu`, compiled to WebAssembly. Beside it goes ears.json, with the digest of the sources that it was made of
and its own.

    python tools/release/build_ears.py            make both
    python tools/release/build_ears.py --check    are the sources those that it was made of? else status 1
    python tools/release/build_ears.py --rebuild  and does compiling them give the same bytes?

Compiling takes clang 14 and lld 14 (Debian: apt-get install clang-14 lld-14), no library. Other versions make
other bytes that do the same.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from npreslstm.checkpoint import load_checkpoint
from npreslstm.ports.c_export import export_c

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "npreslstm" / "explain" / "page"
OWN = ("ears.c", "memory.c", "string.h", "tables.c")
EXPORTED = (
    "npr_activity.c",
    "npr_features.c",
    "npr_filters.c",
    "npr_rate.c",
    "npr_spectrum.c",
    "npr_tables.c",
)
UNITS = ("ears.c", "memory.c", "tables.c", *EXPORTED[:-1])  # tables.c has npr_tables.c in it
HEADERS = (
    "npr.h",
    "npr_activity.h",
    "npr_frontend.h",
    "npr_internal.h",
    "npr_math.h",
    "npr_sizes.h",
    "npr_stream.h",
)
FLAGS = (
    "--target=wasm32 -std=c99 -Oz -ffreestanding -fno-builtin -nostdlib -nostdlibinc -Wall -Wextra -Werror"
    " -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=16384"
).split()


def write_sources(folder):
    """All C sources into one folder."""
    export_c(load_checkpoint("mcu"), folder / "exported")
    for name in EXPORTED + HEADERS:
        shutil.copyfile(folder / "exported" / "src" / name, folder / name)
    for name in OWN:
        shutil.copyfile(HERE / "ears" / name, folder / name)


def essence(text):
    """C without comments, layout and the name of its weights, none of which is compiled."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    text = re.sub(r"#define NPR_SHA256 .*", "", text)
    return " ".join(re.findall(r"\w+|[^\w\s]", text))


def digest_of(folder):
    """Of the names and the essence of all sources, and of the flags."""
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for name in sorted(OWN + EXPORTED + HEADERS):
        text = (folder / name).read_text(encoding="utf-8")
        digest.update(f"\n{name}\n{essence(text)}".encode())
    return digest.hexdigest()


def compiler():
    """Paths of clang 14 and of the folder with its wasm-ld; None if they are not there."""
    clang, linker = shutil.which("clang-14"), shutil.which("wasm-ld-14")
    return (clang, linker) if clang and linker else None


def compile_ears(folder):
    """The bytes of the module."""
    found = compiler()
    if found is None:
        raise SystemExit("clang 14 and lld 14 are needed: apt-get install clang-14 lld-14")
    clang, linker = found
    command = [
        clang,
        *FLAGS,
        f"-fuse-ld={linker}",
        "-I",
        ".",
        *UNITS,
        "-o",
        "ears.wasm",
    ]
    subprocess.run(command, cwd=folder, check=True)
    return (folder / "ears.wasm").read_bytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--rebuild", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_sources(folder)
        about = {"sources": digest_of(folder)}
        known = None
        if args.check or args.rebuild:
            known = json.loads((PAGE / "ears.json").read_text(encoding="utf-8"))
            if known["sources"] != about["sources"]:
                print("the sources are others than those that ears.wasm was made of", file=sys.stderr)
                return 1
        if args.check:
            return 0
        module = compile_ears(folder)
    about["module"] = hashlib.sha256(module).hexdigest()
    if args.rebuild:
        print("the same bytes" if about == known else "other bytes", file=sys.stderr)
        return int(about != known)
    (PAGE / "ears.wasm").write_bytes(module)
    (PAGE / "ears.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(f"ears.wasm: {len(module):,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
