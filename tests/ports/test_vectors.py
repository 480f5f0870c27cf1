"""Golden vectors: what is in a folder, that its three forms agree, and that damage and other weights are
noticed.
"""

import hashlib
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from samples import FEATURES, checkpoint, write_weights

from npreslstm.audio.config import FEATURE_CONFIGS
from npreslstm.audio.features import extract_features
from npreslstm.checkpoint import load_checkpoint, save_checkpoint
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.layers.activations import softmax
from npreslstm.ports.vector_cases import LENGTHS, LONGEST, SHORT, cases, compute
from npreslstm.ports.vectors import check_vectors, first_deviation, read_vectors, write_vectors

SOUNDS = ("speech", "silence", "clipping", "tones", "one-frame", "longest")


@pytest.fixture(scope="module")
def weights():
    return checkpoint()


@pytest.fixture(scope="module")
def folder(weights, tmp_path_factory):
    """Vectors of small weights; tests must not write into it."""
    path = tmp_path_factory.mktemp("vectors")
    write_vectors(weights, path)
    return path


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_the_cases(folder):
    vectors = read_vectors(folder)
    assert tuple(vectors.cases) == (*SOUNDS, "padded-batch", "saturating")
    for name, stored in vectors.cases.items():
        assert stored["lengths"].tolist() == vectors.manifest["cases"][name]["lengths"]
        assert ("pcm" in stored) == (name in SOUNDS)
    assert vectors.cases["padded-batch"]["lengths"].tolist() == list(LENGTHS)
    assert vectors.cases["one-frame"]["lengths"].tolist() == [1]
    assert not vectors.cases["silence"]["pcm"].any()
    clipped = vectors.cases["clipping"]["pcm"]
    assert {-32768, 32767} <= set(clipped.tolist()) and np.mean(np.abs(clipped.astype(int)) >= 32767) > 0.1
    gates = vectors.cases["saturating"]["lstm1.l0.i"]
    assert gates.min() < 1e-6 and gates.max() > 1 - 1e-6


@pytest.mark.parametrize("name", FEATURE_CONFIGS)
def test_the_longest_sound_has_124_frames_of_either_kind(name):
    config = FEATURE_CONFIGS[name]
    made = cases(checkpoint(features=config))
    assert len(extract_features(made["longest"].pcm, config.sample_rate, config)) == LONGEST
    assert len(extract_features(made["speech"].pcm, config.sample_rate, config)) == SHORT
    assert len(extract_features(made["one-frame"].pcm, config.sample_rate, config)) == 1


def test_the_stages_lead_from_one_to_the_next(folder, weights):
    """From PCM to probabilities by the public functions."""
    stored = read_vectors(folder).cases["speech"]
    features = extract_features(stored["pcm"], FEATURES.sample_rate, FEATURES, np.float64)
    np.testing.assert_array_equal(stored["features"], features)
    np.testing.assert_allclose(
        stored["input"][0], (features - weights.mean) / weights.std, rtol=0, atol=1e-13
    )
    logits = weights.model(np.float64).infer(stored["input"], stored["lengths"])[0]
    np.testing.assert_allclose(stored["logit"], logits, rtol=0, atol=1e-13)  # achieved 4e-15
    np.testing.assert_allclose(stored["probability"], softmax(logits), rtol=0, atol=1e-14)
    np.testing.assert_allclose(stored["residual"], stored["input"] + stored["lstm1.l0.h"], rtol=0, atol=1e-14)
    assert (
        stored["mel_db"].shape[1] == FEATURES.n_mels and stored["power"].shape[1] == FEATURES.n_fft // 2 + 1
    )


def test_json_and_c_hold_the_npz_rounded_to_float32(folder):
    vectors = read_vectors(folder)
    for name, stored in vectors.cases.items():
        in_json = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["tensors"]
        in_c = c_arrays((folder / f"npr_case_{name.replace('-', '_')}.h").read_text(encoding="utf-8"))
        assert list(in_json) == list(stored) and len(in_c) == len(stored)
        for key, array in stored.items():
            rounded = array if array.dtype.kind == "i" else array.astype(np.float32)
            found = np.array(in_json[key]["values"], in_json[key]["type"]).reshape(in_json[key]["shape"])
            assert found.dtype == rounded.dtype
            np.testing.assert_array_equal(found, rounded)
            np.testing.assert_array_equal(
                in_c[f"npr_{name}_{key}".replace("-", "_").replace(".", "_")].astype(rounded.dtype),
                rounded.ravel(),
            )


def c_arrays(text):
    """{name: flat array} of the definitions in a header."""
    found = {}
    for name, body in re.findall(r"static const \w+ (\w+)(?:\[\d+\])+ = \{\n(.*?)\};\n", text, re.DOTALL):
        found[name] = np.array([float(number) for number in re.findall(r"-?\d[\d.e+-]*", body)])
    return found


def test_a_c_compiler_reads_the_headers(folder, tmp_path):
    compiler = (
        shutil.which("cc")
        or shutil.which("gcc")
        or pytest.skip("no C compiler: install gcc to run this test")
    )
    source = tmp_path / "main.c"
    headers = sorted(path.name for path in folder.glob("*.h"))
    text = "".join(f'#include "{name}"\n' for name in headers)
    text += (
        '#include <stdio.h>\nint main(void) { printf("%.9g %d\\n", npr_padded_batch_logit[3][2],'
        " (int)npr_longest_lengths[0]); return 0; }\n"
    )
    source.write_text(text, encoding="utf-8")
    subprocess.run(
        [
            compiler,
            "-std=c99",
            "-pedantic",
            "-Werror",
            "-O0",
            f"-I{folder}",
            str(source),
            "-o",
            str(tmp_path / "a.out"),
        ],
        check=True,
    )
    out = subprocess.run([str(tmp_path / "a.out")], capture_output=True, text=True, check=True).stdout
    stored = read_vectors(folder).cases
    assert (
        out == f"{np.float32(stored['padded-batch']['logit'][3, 2]):.9g} {stored['longest']['lengths'][0]}\n"
    )


def test_a_folder_without_vectors_is_named(tmp_path, capsys):
    assert main(["export", "vectors", "--check", str(tmp_path)]) == 2
    expected = f"{tmp_path} holds no golden vectors: there is no manifest.json in it; expected a folder of"
    assert expected in capsys.readouterr().err


def test_the_manifest(folder, weights):
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["weights"]["sha256"] == weights.sha256 == load_checkpoint(folder / "weights.npz").sha256
    assert manifest["made_with"]["numpy"] == np.__version__
    assert manifest["features"] == FEATURES.to_dict() and manifest["model"] == weights.config.to_dict()
    assert manifest["files"].keys() == {path.name for path in folder.iterdir()} - {"manifest.json"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    for name, tensor in manifest["tensors"].items():
        assert tensor["meaning"] and tensor["float32_achieved"] < 5e-5, name  # achieved 7e-6, in the features
        assert tensor["float32_tolerance"] == max(
            10 * tensor["float32_achieved"], 8 * np.finfo(np.float32).eps
        )


def test_float32_arithmetic_is_within_the_tolerances(folder, weights):
    vectors = read_vectors(folder)
    tolerances = {name: tensor["float32_tolerance"] for name, tensor in vectors.manifest["tensors"].items()}
    for name, case in cases(weights).items():
        assert first_deviation(compute(weights, case, np.float32)[1], vectors.cases[name], tolerances) is None


def test_checking(folder, capsys):
    assert check_vectors(folder) == []
    assert main(["export", "vectors", "--check", str(folder)]) == 0
    assert (
        capsys.readouterr().out
        == f"{folder}: {6 * 27 + 2 * 22} arrays in 8 cases are what this version computes\n"
    )


def test_changed_and_missing_files_are_named(copy, capsys):
    with open(copy / "speech.json", "a", encoding="utf-8") as file:
        file.write(" ")
    (copy / "npr_case_tones.h").unlink()
    assert sorted(check_vectors(copy)) == [
        "npr_case_tones.h is missing",
        "speech.json was changed: its SHA-256 is not the manifest's",
    ]
    assert main(["export", "vectors", "--check", str(copy)]) == 1
    assert "speech.json was changed" in capsys.readouterr().out


CHANGES = [
    ("lstm2.l0.c", (0, 5, 3), "clip 0, frame 5, unit 3"),
    ("power", (2, 400), "frame 2, bin 400"),
    ("features", (11, 45), "frame 11, column 45"),
    ("logit", (0, 2), "clip 0, class 2"),
    ("weight", (0, 10), "clip 0, frame 10"),
]


@pytest.mark.parametrize("name, index, place", CHANGES)
def test_a_changed_number_is_named_with_its_place(copy, name, index, place):
    vectors = read_vectors(copy)
    stored = {case: vectors.cases[case] for case in ("tones",)}
    (copy / "manifest.json").write_text(
        json.dumps(vectors.manifest | {"cases": list(stored)}), encoding="utf-8"
    )
    stored["tones"][name][index] += 1e-6 * max(1, abs(stored["tones"][name][index]))
    np.savez(copy / "tones.npz", **stored["tones"])
    problems = check_vectors(copy)
    assert len(problems) == 2 and problems[1].startswith(f"tones: {name} deviates first at {place}: ")


def test_other_weights_are_named(folder, tmp_path, capsys):
    save_checkpoint(tmp_path / "other.npz", checkpoint(seed=1))
    assert main(["export", "vectors", str(tmp_path / "other.npz"), "--check", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("the weights have SHA-256 ") and len(lines) == 9
    assert lines[1].startswith("speech: lstm1.l0.i deviates first at clip 0, frame 0, unit ")


def test_weights_for_other_features_are_named(folder):
    problems = check_vectors(folder, load_checkpoint("paper"))
    assert problems[0].startswith("the weights have SHA-256 ") and len(problems) == 9
    assert re.match("speech: [a-z_]+ is .*; expected", problems[1])


def test_weights_without_features_are_compared_from_what_they_hear(folder, tmp_path, capsys):
    """As those of a .pt file are."""
    bare = checkpoint(seed=1, features=None)
    save_checkpoint(tmp_path / "bare.npz", bare)
    assert main(["export", "vectors", str(tmp_path / "bare.npz"), "--check", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("the weights have SHA-256 ") and len(lines) == 9
    assert lines[1].startswith("speech: lstm1.l0.i deviates first at clip 0, frame 0, unit ")


@pytest.mark.parametrize(
    "sizes", [{"kind": "lstm-sa"}, {"num_layers": 2, "attention_vectors": 2, "head_combine": True}]
)
def test_weights_without_features_begin_at_z_scored_ones(tmp_path, sizes):
    write_vectors(checkpoint(features=None, **sizes), tmp_path)
    vectors = read_vectors(tmp_path)
    assert tuple(vectors.cases) == ("one-frame", "longest", "padded-batch", "saturating")
    assert (
        not any("pcm" in stored for stored in vectors.cases.values()) and vectors.manifest["features"] is None
    )
    assert vectors.cases["longest"]["lengths"].tolist() == [LONGEST]
    assert check_vectors(tmp_path) == []


def test_the_command_writes_the_same_files_again(folder, weights, tmp_path, capsys):
    source = tmp_path / "a.npz"
    save_checkpoint(source, weights)
    assert main(["export", "vectors", str(source), "--out", str(tmp_path / "new" / "folder")]) == 0
    assert (
        capsys.readouterr().out
        == f"{tmp_path / 'new' / 'folder'}: 8 cases, 26 files; manifest.json says what is in them\n"
    )
    for path in folder.iterdir():
        assert (tmp_path / "new" / "folder" / path.name).read_bytes() == path.read_bytes()


def break_manifest(folder, **changes):
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps(manifest | changes), encoding="utf-8")


def test_folders_that_cannot_be_read(copy, tmp_path, capsys):
    with pytest.raises(FileNotFoundError):
        check_vectors(tmp_path / "none")
    break_manifest(copy, version=7)
    with pytest.raises(InputError, match="vectors of version 7; this version of npreslstm reads 1"):
        read_vectors(copy)
    for weights in ({}, {"sha256": None}, 3):
        break_manifest(copy, version=1, weights=weights)
        with pytest.raises(InputError, match="manifest.json is damaged .weights.* is missing"):
            check_vectors(copy)
    break_manifest(copy, weights={"sha256": ""}, cases=["gone"])
    with pytest.raises(FileNotFoundError):
        read_vectors(copy)
    (copy / "manifest.json").write_text("{", encoding="utf-8")
    for read in (read_vectors, check_vectors):
        with pytest.raises(InputError, match="export"):
            read(copy)
    assert main(["export", "vectors", "--check", str(copy)]) == 2
    assert main(["export", "vectors", str(write_weights(tmp_path / "a.npz"))]) == 2
    assert "one of the arguments --out --check is required" in capsys.readouterr().err
