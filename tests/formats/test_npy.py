"""npy: NumPy's files read as NumPy reads them, and every other file refused by an InputError, in whatever
reads them.
"""

import io
import json
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from samples import voice, write_wav, write_weights

from npreslstm.audio.config import FEATURE_CONFIGS
from npreslstm.audio.folder import extract_folder
from npreslstm.checkpoint import load_checkpoint
from npreslstm.conversion import convert
from npreslstm.errors import InputError, SnapshotError
from npreslstm.experiments.store import open_examples
from npreslstm.formats.npy import map_npy, parse_npy, read_npz
from npreslstm.ports.vectors import read_vectors
from npreslstm.schema import ModelConfig
from npreslstm.training.recipe import Recipe
from npreslstm.training.trainer import Trainer


def npy(header, data=bytes(64), version=1):
    """An .npy file with any header, right or wrong."""
    text = header if isinstance(header, bytes) else header.encode()
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<I", len(text))
        + text
        + data
    )


def fields(descr="'<f4'", order="False", shape="(16,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


HOSTILE = {
    "open bracket": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,"),
    "indent": npy("  x\n y"),
    "nothing": npy(""),
    "no data": npy(fields(), b""),
    "one byte less": npy(fields(), bytes(63)),
    "one byte more": npy(fields(), bytes(65)),
    "descr ()": npy(fields(descr="()")),
    "descr of fields": npy(fields(descr="[('a', '<f4')]")),
    "descr object": npy(fields(descr="'|O'")),
    "descr void": npy(fields(descr="'|V4'")),
    "descr dates": npy(fields(descr="'<M8[s]'")),
    "descr of no size": npy(fields(descr="'<U0'")),
    "descr unknown": npy(fields(descr="'<q9'")),
    "huge shape": npy(fields(shape="(10000000000000000000000000,)")),
    "huge shape of nothing": npy(fields(shape=f"(0, {2**62})"), b""),
    "shape of overflow": npy(fields(shape=f"({2**33}, {2**33})")),
    "negative shape": npy(fields(shape="(-16,)")),
    "shape True": npy(fields(shape="(True,)")),
    "shape None": npy(fields(shape="None")),
    "shape a number": npy(fields(shape="16")),
    "shape of many axes": npy(fields(shape="(" + "1, " * 65 + ")"), bytes(4)),
    "shape nested": npy(fields(shape="(" * 4000 + ")" * 4000)),
    "shape of minuses": npy(fields(shape="-" * 4000 + "1")),
    "order a number": npy(fields(order="(1,)")),
    "a field twice": npy("{'descr': '<f4', 'descr': '<f4', 'shape': (16,), }"),
    "a field more": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (16,), 'x': True}"),
    "a call": npy("__import__('os').abort()"),
    "not ASCII": npy(b"\xff" * 40),
    "version 9": npy(fields(), version=9),
    "version 2, cut": b"\x93NUMPY\x02\x00\xff",
    "header longer than the file": b"\x93NUMPY\x01\x00\xff\xff{}",
    "header of 4 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}",
    "not .npy": b"PK\x03\x04" + bytes(60),
    "text of no characters": npy(fields(descr="'<U16'", shape="()"), b"\xff" * 64),
}


@pytest.fixture(params=HOSTILE)
def hostile(request):
    return HOSTILE[request.param]


def zipped(path, contents, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in contents.items():
            archive.writestr(f"{name}.npy", data)
    return path


def test_a_hostile_array_is_refused(hostile, tmp_path):
    with pytest.raises(InputError):
        parse_npy(hostile)
    with pytest.raises(InputError, match="x.npz is not a readable .npz file .*: fetch it"):
        read_npz(zipped(tmp_path / "x.npz", {"a": hostile}), "fetch it")


def test_a_hostile_mapped_file_is_refused(hostile, tmp_path):
    (tmp_path / "x.npy").write_bytes(hostile)
    if b"<U16" not in hostile:  # what it holds is for its reader to check
        with pytest.raises(InputError, match="x.npy is not a readable .npy file .*: delete it"):
            map_npy(tmp_path / "x.npy", "delete it")


def test_weights(hostile, tmp_path):
    for name in ("header", "state/fc.bias", "mean"):
        write_weights(tmp_path / "w.npz")
        with zipfile.ZipFile(tmp_path / "w.npz") as archive:
            contents = {
                member.filename.removesuffix(".npy"): archive.read(member) for member in archive.infolist()
            }
        zipped(tmp_path / "w.npz", contents | {name: hostile})
        with pytest.raises(InputError, match="w.npz is not a readable weights file .*fetch it again"):
            load_checkpoint(tmp_path / "w.npz")


def test_statistics(hostile, tmp_path):
    write_weights(tmp_path / "w.npz")
    zipped(tmp_path / "s.npz", {"mean": npy(fields(), bytes(64)), "std": hostile})
    with pytest.raises(InputError, match="s.npz is not a readable .npz file"):
        convert(tmp_path / "w.npz", tmp_path / "out.npz", mean_std=tmp_path / "s.npz")
    assert not (tmp_path / "out.npz").exists()


def test_a_case_of_vectors(hostile, tmp_path):
    about = {
        "format": "npreslstm vectors",
        "version": 1,
        "weights": {"sha256": "0"},
        "cases": {"one": {}},
        "files": {},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(about))
    zipped(tmp_path / "one.npz", {"lengths": hostile, "input": hostile})
    with pytest.raises(InputError, match="one.npz"):
        read_vectors(tmp_path)


def test_a_store_of_features(hostile, tmp_path):
    about = {
        "name": "x",
        "config": {},
        "classes": ["a"],
        "clips": ["a"],
        "labels": [0],
        "speakers": ["a"],
        "lengths": [[16]],
    }
    (tmp_path / "about.json").write_text(json.dumps(about))
    (tmp_path / "rows.npy").write_bytes(hostile)
    with pytest.raises(InputError, match="delete"):
        open_examples(str(tmp_path))


def test_a_snapshot_of_training(hostile, tmp_path):
    clips = [np.zeros((3, 4), np.float32), np.ones((2, 4), np.float32)]
    trainer = Trainer(
        ModelConfig(input_size=4, hidden_size=3, num_classes=2),
        Recipe(epochs=1),
        [[clip] for clip in clips],
        np.array([0, 1]),
        0,
    )
    trainer.save(tmp_path / "s.npz")
    with zipfile.ZipFile(tmp_path / "s.npz") as archive:
        contents = {
            member.filename.removesuffix(".npy"): archive.read(member) for member in archive.infolist()
        }
    for name in ("what", "epoch", "m", "model/fc.bias"):
        zipped(tmp_path / "s.npz", contents | {name: hostile})
        with pytest.raises(SnapshotError, match="s.npz"):
            trainer.restore(tmp_path / "s.npz")


def test_a_cache_entry_is_made_anew(hostile, tmp_path):
    clips = [str(write_wav(tmp_path / "a.wav", voice(0.3)))]
    expected = extract_folder(clips, FEATURE_CONFIGS["mcu"], cache_dir=tmp_path / "cache")[0].features
    (entry,) = (tmp_path / "cache").iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(hostile)
    np.testing.assert_array_equal(
        extract_folder(clips, FEATURE_CONFIGS["mcu"], cache_dir=tmp_path / "cache")[0].features, expected
    )
    assert entry.read_bytes() == whole


KINDS = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.complex_number_dtypes(sizes=(64, 128)),
)


@given(
    hnp.arrays(KINDS, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0)),
    st.sampled_from("CF"),
    st.sampled_from([(1, 0), (2, 0), (3, 0)]),
)
def test_what_numpy_writes_is_read_as_numpy_reads_it(array, order, version):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array, order=order), version, allow_pickle=False)
    found = parse_npy(file.getvalue())
    assert found.dtype == array.dtype.newbyteorder("=") and found.flags.writeable and found.flags.owndata
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    "array", [np.array("text"), np.array(["a", "", "é\U0001f600"]), np.array([["ab"]], ">U2")]
)
def test_text(array):
    file = io.BytesIO()
    np.save(file, array)
    np.testing.assert_array_equal(parse_npy(file.getvalue()), array)


def test_headers_of_other_writers_are_read():
    data = np.arange(6, dtype="<f8").tobytes()
    for header in (
        '{"shape": (2,3), "fortran_order": False, "descr": "<f8"}',
        "{ 'descr' : '<f8','fortran_order':False,'shape':( 2, 3 ) }  \n",
    ):
        np.testing.assert_array_equal(parse_npy(npy(header, data)), np.arange(6.0).reshape(2, 3))


def test_a_mapped_file_is_that_of_numpy(tmp_path):
    for array in (np.arange(12, dtype=np.float32).reshape(3, 4), np.zeros((0, 4), np.float32)):
        np.save(tmp_path / "x.npy", array)
        found = map_npy(tmp_path / "x.npy", "")
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype
    np.save(tmp_path / "x.npy", np.arange(3, dtype=np.dtype("f4").newbyteorder()))
    with pytest.raises(InputError, match="other byte order"):
        map_npy(tmp_path / "x.npy", "")


def test_compressed_arrays_are_bounded(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", mean=np.zeros(46), std=np.ones(46))
    assert set(read_npz(tmp_path / "x.npz", "", inflate=1000)) == {"mean", "std"}
    for inflate, words in (
        (0, "is compressed; expected arrays that are stored"),
        (900, "is compressed; expected arrays of at most 900 bytes"),
    ):
        with pytest.raises(InputError, match=words):
            read_npz(tmp_path / "x.npz", "", inflate)


def test_archives_that_numpy_does_not_write_are_refused(tmp_path):
    good = npy(fields())
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    zipped(tmp_path / "bzip2.npz", {"a": good}, compression=zipfile.ZIP_BZIP2)
    zipped(tmp_path / "lzma.npz", {"a": good}, compression=zipfile.ZIP_LZMA)
    (tmp_path / "empty.npz").write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(tmp_path / "twice.npz", "w") as archive,
    ):
        archive.writestr("a.npy", good)
        archive.writestr("a.npy", good)
    for name in ("other", "bzip2", "lzma", "empty", "twice"):
        with pytest.raises(InputError, match=f"{name}.npz is (compressed|not a readable)"):
            read_npz(tmp_path / f"{name}.npz", "", inflate=1000)


@pytest.mark.parametrize("at", ["first", "second", "directory"])
def test_members_that_overlap_are_refused(tmp_path, at):
    """Also where they begin at the same byte, of which Python 3.14 only warns."""
    path = zipped(tmp_path / "x.npz", {"a": npy(fields()), "b": npy(fields())})
    with zipfile.ZipFile(path) as archive:
        first, second = (member.header_offset for member in archive.infolist())
        directory = archive.start_dir
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02", directory + 1) if at == "first" else directory
    place = {"first": first, "second": second, "directory": directory}[at]
    content[entry + 42 : entry + 46] = struct.pack("<I", place)  # where the member begins
    path.write_bytes(content)
    with pytest.raises(InputError, match="x.npz is not a readable .* runs into what follows it"):
        read_npz(path, "")


def test_a_bomb_in_a_member_is_not_inflated_beyond_what_it_says(tmp_path):
    path = zipped(
        tmp_path / "bomb.npz",
        {"a": npy(fields(shape="(4194304,)"), bytes(1 << 24))},
        compression=zipfile.ZIP_DEFLATED,
    )
    with zipfile.ZipFile(path) as archive:
        size = archive.infolist()[0].file_size
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", size), struct.pack("<I", 200)))
    with pytest.raises(InputError, match="bomb.npz is not a readable"):
        read_npz(path, "", inflate=1000)


def mutations(data, rng, count):
    """Copies of a file with a few bytes changed, cut out or put in."""
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(rng.integers(1, 5)):
            at = int(rng.integers(len(changed)))
            kind = rng.integers(4)
            if kind == 0:
                changed[at] ^= 1 << int(rng.integers(8))
            elif kind == 1:
                changed[at : at + int(rng.integers(1, 30))] = b""
            elif kind == 2:
                changed[at:at] = rng.bytes(int(rng.integers(1, 30)))
            else:
                changed[at : at + 4] = struct.pack("<I", int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF])))
        yield bytes(changed)


def test_damaged_archives_raise_nothing_else(tmp_path):
    np.savez(
        tmp_path / "x.npz",
        header=np.array("text"),
        a=np.arange(5.0),
        b=np.arange(6, dtype="<i4").reshape(2, 3),
    )
    whole = (tmp_path / "x.npz").read_bytes()
    refused = 0
    for changed in mutations(whole, np.random.default_rng(0), 2000):
        (tmp_path / "x.npz").write_bytes(changed)
        try:
            read_npz(tmp_path / "x.npz", "")
        except InputError:
            refused += 1
    assert refused > 1000  # changes of names, dates and the like leave it whole


def test_a_file_that_may_not_be_read_is_an_os_error_that_says_so(tmp_path):
    for reader in (read_npz, map_npy):
        with pytest.raises(FileNotFoundError):
            reader(tmp_path / "none", "")
        with pytest.raises(IsADirectoryError):
            reader(tmp_path, "")
