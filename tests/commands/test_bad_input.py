"""Bad input through the command line: one clear line, exit status 2, nothing on standard output, nothing
written.
"""

import json
import os
import struct
import zipfile

import numpy as np
import pytest
from samples import checkpoint, voice, write_wav, write_weights

from npreslstm import cli
from npreslstm.formats.native import digest_of


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights") / "w.npz")


@pytest.fixture
def refused(capsys, tmp_path):
    """Runs a command that must be refused and returns its one line."""

    def refused(*argv):
        before = sorted(os.walk(tmp_path))
        status = cli.main([str(argument) for argument in argv])
        out, err = capsys.readouterr()
        assert (status, out) == (2, "")
        assert err.startswith("npreslstm: error: ") and err.count("\n") == 1 and "Traceback" not in err
        assert sorted(os.walk(tmp_path)) == before
        return err

    return refused


def wav_bytes(rate=16000, frames=100, form=1, bits=16, data=None):
    """A WAV file with any header, right or wrong."""
    data = bytes(frames * bits // 8) if data is None else data
    chunk = struct.pack("<HHIIHH", form, 1, rate, rate * bits // 8 & 0xFFFFFFFF, bits // 8, bits)
    riff = b"RIFF" + struct.pack("<I", 36 + len(data))
    return riff + b"WAVEfmt " + struct.pack("<I", 16) + chunk + b"data" + struct.pack("<I", len(data)) + data


def float_wav(samples):
    return wav_bytes(form=3, bits=32, data=np.asarray(samples, "<f4").tobytes())


NAN = voice(0.5)
NAN[4000] = np.nan
INFINITE = voice(0.5)
INFINITE[-1] = np.inf

BAD_AUDIO = {
    "not audio": (b"To be or not to be", "not a sound file"),
    "empty": (b"", "an empty file (0 bytes)"),
    "header alone": (wav_bytes()[:20], "not a sound file"),
    "zero samples": (wav_bytes(frames=0), "no samples"),
    "NaN": (float_wav(NAN), "NaN or infinite samples"),
    "infinite": (float_wav(INFINITE), "NaN or infinite samples"),
    "rate 0": (wav_bytes(rate=0), "clip.wav"),
    "rate above 1 MHz": (wav_bytes(rate=1_000_001), "sample rate 1000001 Hz; expected 1000 to 1000000"),
    "noise": (np.random.default_rng(0).bytes(5000), "not a sound file"),
}


class TestAudio:
    """Sound files and folders."""

    @pytest.mark.parametrize("name", BAD_AUDIO)
    def test_bad_file(self, refused, weights, tmp_path, name):
        pytest.importorskip("soundfile")  # without it, what is no PCM WAV is refused for that alone
        content, words = BAD_AUDIO[name]
        (tmp_path / "clip.wav").write_bytes(content)
        line = refused("predict", tmp_path / "clip.wav", "--weights", weights, "--output", tmp_path / "r.csv")
        assert words in line and str(tmp_path / "clip.wav") in line

    def test_no_such_file(self, refused, weights, tmp_path):
        assert "gone.wav: no such file" in refused("predict", tmp_path / "gone.wav", "--weights", weights)
        assert "gone.wav: no such file" in refused(tmp_path / "gone.wav", "--weights", weights)

    def test_cut_flac(self, refused, weights, tmp_path):
        soundfile = pytest.importorskip("soundfile")
        soundfile.write(tmp_path / "a.flac", voice(3), 16000)
        (tmp_path / "cut.flac").write_bytes((tmp_path / "a.flac").read_bytes()[:20000])
        assert "cut.flac: cut short: " in refused("predict", tmp_path / "cut.flac", "--weights", weights)

    def test_nan_late_in_a_long_file(self, refused, weights, tmp_path):
        pytest.importorskip("soundfile")  # without it, what is no PCM WAV is refused for that alone
        y = voice(12)
        y[-5] = np.nan
        (tmp_path / "long.wav").write_bytes(float_wav(y))
        assert "NaN or infinite" in refused(
            "predict", tmp_path / "long.wav", "--weights", weights, "--output", tmp_path / "r.csv"
        )

    def test_integers_kept_in_floats(self, refused, weights, tmp_path):
        pytest.importorskip("soundfile")  # without it, what is no PCM WAV is refused for that alone
        (tmp_path / "loud.wav").write_bytes(float_wav(voice(0.5) * 32768))
        assert "divide by the full scale" in refused("predict", tmp_path / "loud.wav", "--weights", weights)

    def test_folder_without_audio(self, refused, weights, tmp_path):
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / "notes.txt").write_text("none")
        assert "a folder without sound files" in refused("predict", tmp_path / "empty", "--weights", weights)

    def test_pattern_without_match(self, refused, weights, tmp_path):
        assert "no file matches" in refused("predict", tmp_path / "*.flac", "--weights", weights)


def rewrite(source, target, change):
    """Copy a weights file with `change(header, arrays)` applied, and its checksum made to match again."""
    with np.load(source, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    header = json.loads(str(arrays.pop("header")))
    header.pop("sha256")
    change(header, arrays)
    header["sha256"] = digest_of(header, arrays)
    np.savez(target, header=np.array(json.dumps(header)), **arrays)


def change_shape(header, arrays):
    arrays["state/fc.weight"] = arrays["state/fc.weight"][:, :-1]


def change_size(header, arrays):
    header["model"]["hidden_size"] = 9


def giant_size(header, arrays):
    header["model"]["hidden_size"] = 10**12


def many_layers(header, arrays):
    header["model"]["num_layers"] = 10**9


def text_mean(header, arrays):
    arrays["mean"] = np.full(46, "0.0")


def text_notes(header, arrays):
    header["notes"] = "none"


def one_name(header, arrays):
    header["classes"] = "abc"


def same_names(header, arrays):
    header["classes"] = ["a", "a", "b"]


def numbers_for_names(header, arrays):
    header["classes"] = [1, 2, 3]


def change_version(header, arrays):
    header["version"] = 2


def drop_tensor(header, arrays):
    del arrays["state/fc.bias"]


def add_tensor(header, arrays):
    arrays["state/fc.extra"] = np.zeros(3)


def drop_class(header, arrays):
    header["classes"].pop()


def change_features(header, arrays):
    header["features"]["n_mfcc"] = 20


def unknown_feature(header, arrays):
    header["features"]["sound"] = True


def change_mean(header, arrays):
    arrays["mean"] = arrays["mean"][:-1]


def zero_std(header, arrays):
    arrays["std"][3] = 0.0


def nan_weight(header, arrays):
    arrays["state/fc.bias"][0] = np.nan


def drop_statistics(header, arrays):
    del arrays["mean"], arrays["std"]


CONTRADICTIONS = {
    change_shape: "fc.weight is (3, 7); the configuration expects (3, 8)",
    change_size: "its configuration contradicts its tensors: hidden_size 9 against 8",
    giant_size: "hidden_size is 1000000000000; expected at most 10000",
    many_layers: "num_layers is 1000000000; expected at most 10000",
    text_mean: "mean is of type <U3; expected real numbers",
    text_notes: "contradicts itself: notes in its header is 'none'",
    one_name: "contradicts itself: classes in its header is 'abc'",
    same_names: "has classes ('a', 'a', 'b'); expected different names",
    numbers_for_names: "has classes (1, 2, 3); expected different names",
    change_version: "format version 2; this version of npreslstm reads 1: upgrade npreslstm",
    drop_tensor: "lacks fc.bias",
    add_tensor: "unexpected fc.extra",
    drop_class: "names 2 classes; its model has 3",
    change_features: "the features have 32 columns; its model takes 46",
    unknown_feature: "unknown field 'sound'",
    change_mean: "mean is not a finite vector of 46",
    zero_std: "std is not a finite vector of 46 numbers (positive",
    nan_weight: "weights that are NaN, infinite or too large",
}


class TestWeights:
    """Weights files, for `predict` and `info` alike."""

    @pytest.fixture(autouse=True)
    def clip(self, tmp_path):
        self.clip = write_wav(tmp_path / "clip.wav", voice(0.3))
        self.output = tmp_path / "r.csv"

    def refused_by_both(self, refused, path):
        line = refused("predict", self.clip, "--weights", path, "--output", self.output)
        assert refused("info", path) == line
        return line

    @pytest.mark.parametrize("change", CONTRADICTIONS, ids=lambda change: change.__name__)
    def test_contradiction(self, refused, weights, tmp_path, change):
        rewrite(weights, tmp_path / "w.npz", change)
        assert CONTRADICTIONS[change] in self.refused_by_both(refused, tmp_path / "w.npz")

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
    def test_truncated(self, refused, weights, tmp_path, share):
        data = weights.read_bytes()
        (tmp_path / "w.npz").write_bytes(data[: int(share * len(data))])
        assert "truncated or damaged, fetch it again" in self.refused_by_both(refused, tmp_path / "w.npz")

    def test_a_flipped_bit_anywhere_in_the_data(self, refused, weights, tmp_path):
        data = weights.read_bytes()
        with zipfile.ZipFile(weights) as archive:
            starts = {member.filename: member.header_offset for member in archive.infolist()}
        for name, start in starts.items():
            changed = bytearray(data)
            changed[data.index(b"\x93NUMPY", start) + 130] ^= 1
            (tmp_path / "w.npz").write_bytes(changed)
            assert "fetch it again" in refused("info", tmp_path / "w.npz"), name

    def test_changed_with_a_matching_zip_checksum(self, refused, weights, tmp_path):
        with np.load(weights, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        arrays["state/fc.bias"][0] += 1e-3
        np.savez(tmp_path / "w.npz", **arrays)
        assert "does not match its own checksum" in self.refused_by_both(refused, tmp_path / "w.npz")

    def test_a_pickle_is_not_opened(self, refused, tmp_path):
        canary = tmp_path / "canary"

        class Hostile:
            def __reduce__(self):
                return os.mkdir, (str(canary),)

        np.savez(tmp_path / "w.npz", header=np.array([Hostile()], dtype=object))
        self.refused_by_both(refused, tmp_path / "w.npz")
        assert not canary.exists()

    def test_not_weights(self, refused, tmp_path):
        np.savez(tmp_path / "other.npz", x=np.zeros(3))
        assert "state_dict lacks the matrix" in self.refused_by_both(refused, tmp_path / "other.npz")
        (tmp_path / "text.npz").write_text("weights")
        assert "fetch it again" in self.refused_by_both(refused, tmp_path / "text.npz")
        assert "text.pt" in self.refused_by_both(
            refused, (tmp_path / "text.npz").rename(tmp_path / "text.pt")
        )

    def test_no_such_file(self, refused, tmp_path):
        assert "gone.npz is not a file; expected weights" in self.refused_by_both(
            refused, tmp_path / "gone.npz"
        )
        assert "no bundled weights called 'gone'" in self.refused_by_both(refused, "gone")
        assert "is not a file" in self.refused_by_both(refused, tmp_path)

    def test_without_statistics(self, refused, weights, tmp_path):
        rewrite(weights, tmp_path / "w.npz", drop_statistics)
        line = refused("predict", self.clip, "--weights", tmp_path / "w.npz", "--output", self.output)
        assert (
            "w.npz has no statistics; Recognizer needs them: take them from other weights with `npreslstm"
            f" convert {tmp_path / 'w.npz'} " in line
        )


def test_rewriting_alone_is_accepted(weights, tmp_path, capsys):
    rewrite(weights, tmp_path / "w.npz", lambda header, arrays: None)
    assert cli.main(["info", str(tmp_path / "w.npz")]) == 0
    assert checkpoint().sha256 in capsys.readouterr().out


class TestOutput:
    """What a command reads is not replaced by what it writes, and what cannot be written is found first."""

    @pytest.fixture
    def corpus(self, tmp_path):
        lines = ["file,label,speaker"]
        for k, label in enumerate(["calm", "happy"] * 2):
            write_wav(tmp_path / f"{k}.wav", voice(0.3, seed=k))
            lines.append(f"{k}.wav,{label},s{k // 2}")
        (tmp_path / "c.csv").write_text("\n".join(lines))
        return tmp_path / "c.csv"

    @pytest.mark.parametrize("name", ["0.wav", "c.csv", "w.npz"])
    def test_evaluate_keeps_clips_manifest_and_weights(self, refused, corpus, tmp_path, name):
        path = write_weights(tmp_path / "w.npz", classes=("calm", "happy", "sad"))
        options = "--weights", path, "--speakers", "all", "--output", tmp_path / name
        assert "which is also to be read" in refused("evaluate", corpus, *options)

    @pytest.mark.parametrize("command", [["convert"], ["export", "onnx", "--out"]])
    def test_weights_are_not_replaced_by_themselves(self, refused, tmp_path, command):
        path = write_weights(tmp_path / "w.npz")
        (tmp_path / "link.npz").symlink_to(path)
        command = [*command, path] if command == ["convert"] else ["export", "onnx", path, "--out"]
        for target in (path, tmp_path / "link.npz"):
            assert "which is also to be read" in refused(*command, target)

    @pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that nobody writes into")
    @pytest.mark.parametrize(
        "command",
        [
            ["features", "0.wav", "1.wav"],
            ["train", "c.csv", "--out", "o.npz"],
            ["train", "c.csv", "--recipe", "robust", "--out", "o.npz"],
            ["evaluate", "c.csv", "--weights", "w.npz", "--speakers", "all"],
            ["evaluate", "c.csv", "--weights", "w.npz", "--speakers", "all", "--conditions"],
            ["crossval", "c.csv", "--folds", "2", "--out", "o"],
        ],
        ids=" ".join,
    )
    def test_a_cache_that_cannot_be_written_into(self, corpus, tmp_path, monkeypatch, capsys, command):
        monkeypatch.chdir(tmp_path)
        write_weights("w.npz", classes=("calm", "happy", "sad"))
        assert cli.main([*command, "--cache", "/proc"]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if "warning" not in line]
        assert lines[-1].startswith("npreslstm: error: the cache is /proc; nothing can be written into /proc")
        assert sum("error" in line for line in lines) == 1
