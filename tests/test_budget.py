"""No input below 1 MB costs more than 500 MB, or 10 s of processor time beyond the length of its sound.

Each is used in a process of its own. The system ends one that takes more time; what it took of memory is
asked afterwards.
"""

import dataclasses
import io
import json
import os
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from samples import checkpoint, voice, write_wav, write_weights

from npreslstm.audio.config import FeatureConfig
from npreslstm.errors import InputError

MEMORY, SECONDS = 500_000_000, 10

resource = pytest.importorskip("resource")

CHILD = """
import resource, sys, warnings
seconds = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # whatever goes wrong, the machine goes on
warnings.simplefilter("ignore")
import numpy as np
from npreslstm.errors import InputError
path = sys.argv[2]
try:
    exec({use!r})
    outcome = "used"
except InputError as error:
    outcome = "refused"
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.platform == "linux":  # where that also counts what the parent had before this program took its place
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(outcome, peak)
"""

PREDICT = "import npreslstm; npreslstm.Recognizer('mcu').process_file(path)"
FEATURES = "from npreslstm.audio.features import extract_file; extract_file(path)"
READ = "from npreslstm import read_audio; read_audio(path)"
WEIGHTS = "import npreslstm; npreslstm.Recognizer(path).process_signal(np.zeros(16000, np.float32), 16000)"


def spend(use, path="", sound=0.0):
    """Outcome of `use` in a process of its own, within the budget; `sound` is the length of the input in
    seconds.
    """
    assert not path or os.path.getsize(path) < 1_000_000
    command = [sys.executable, "-c", CHILD.format(use=use), str(SECONDS + int(sound)), str(path)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:] or f"ended by signal {-done.returncode}"
    outcome, memory = done.stdout.split()
    assert int(memory) * (1 if sys.platform == "darwin" else 1024) < MEMORY
    return outcome


@pytest.mark.parametrize("rate", [1, 3, 101, 999])
def test_rates_below_1_kHz(tmp_path, rate):
    path = write_wav(tmp_path / "a.wav", voice(1.0), rate)
    assert spend(PREDICT, path) == "refused"


@pytest.mark.parametrize("use", [PREDICT, FEATURES], ids=["predict", "features"])
@pytest.mark.parametrize("rate", [1000, 1009, 44_101, 655_351, 999_983])
def test_rates_that_need_long_kernels(tmp_path, rate, use):
    seconds = min(30.0, 400_000 / rate)
    path = write_wav(tmp_path / "a.wav", voice(seconds, rate), rate)
    assert spend(use, path, seconds) == "used"


def test_as_many_channels_as_a_file_can_have(tmp_path):
    path = write_wav(tmp_path / "a.wav", np.zeros((450, 1000)))
    assert spend(PREDICT, path) in ("used", "refused")


@pytest.mark.parametrize("use, outcome", [(READ, "refused"), (PREDICT, "used")], ids=["read", "predict"])
def test_an_hour_of_silence_in_a_small_file(tmp_path, use, outcome):
    soundfile = pytest.importorskip("soundfile")
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 48000, 1) as file:
        for _ in range(60 if outcome == "refused" else 10):
            file.write(np.zeros(60 * 48000, np.int16))
    assert spend(use, tmp_path / "a.flac", 600) == outcome


@pytest.mark.parametrize("use", [READ, FEATURES, PREDICT], ids=["read", "features", "predict"])
def test_a_file_of_days_by_its_header(tmp_path, use):
    """It says that it is of 2^36 - 1 samples."""
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.flac", np.zeros(480_000, np.int16), 48000)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    (tmp_path / "a.flac").write_bytes(content)
    assert spend(use, tmp_path / "a.flac") == "refused"


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_mels": 20000, "n_fft": 32768},
        {"n_mels": 2**20, "n_fft": 2**20, "n_chroma": 12},
        {"n_fft": 2**20, "hop_length": 1},
        {"n_mels": 100_000, "n_mfcc": 34},
        {"hop_length": 1},
        {"n_fft": 65536, "n_mels": 128, "hop_length": 16},
    ],
    ids=str,
)
def test_weights_with_large_features(tmp_path, monkeypatch, sizes):
    with monkeypatch.context() as patch:
        patch.setattr(FeatureConfig, "_check_ranges", lambda self: None)
        features = dataclasses.replace(FeatureConfig(sample_rate=16000, n_fft=1024, hop_length=512), **sizes)
        path = write_weights(tmp_path / "w.npz", features=features)
    assert spend(WEIGHTS, path) == "refused"


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_fft": 32768, "n_mels": 250, "hop_length": 512},
        {"n_fft": 4096, "hop_length": 16},
        {"n_fft": 2**20, "hop_length": 2**19, "n_mels": 7, "n_mfcc": 7, "n_chroma": 7},
        {"n_fft": 8192, "hop_length": 100, "n_mels": 1000, "n_mfcc": 900, "n_chroma": 400},
    ],
    ids=str,
)
def test_the_largest_features_that_are_allowed(tmp_path, sizes):
    features = FeatureConfig(**{"sample_rate": 16000, "n_fft": 1024, "hop_length": 512, **sizes})
    (tmp_path / "c.json").write_text(json.dumps(features.to_dict()))
    use = (
        "from npreslstm.audio.config import load_config; from npreslstm.audio.features import"
        " extract_features;extract_features(np.random.default_rng(0).normal(size=160000) / 10, 16000,"
        " load_config(path))"
    )
    assert spend(use, tmp_path / "c.json", 10) == "used"


@pytest.mark.parametrize("length", [6, 10**6, 10**9, 2**62])
def test_lengths_beyond_the_batch(length):
    model = "import npreslstm; model = npreslstm.load_model('mcu'); x = np.zeros((1, 5, 46), np.float32)"
    assert spend(f"{model}; model.infer(x, [{length}])") == "refused"
    assert spend(f"{model}; model.forward(x, np.array([{length}]))") == "refused"
    layer = (
        "from npreslstm.testing import trace_lstm; W = {'weight_ih_l0': np.ones((4, 1)), 'weight_hh_l0':"
        " np.ones((4, 1))}"
    )
    assert spend(f"{layer}; trace_lstm(W, np.zeros((1, 5, 1)), [{length}])") == "refused"
    integers = (
        "from npreslstm.checkpoint import load_checkpoint; from npreslstm.integer.quantize import"
        " QuantizedModel"
    )
    quantised = f"{integers}; model = QuantizedModel.from_checkpoint(load_checkpoint('mcu'))"
    assert spend(f"{quantised}; model.infer(np.zeros((1, 5, 46)), [{length}])") == "refused"


def test_weights_of_many_classes(tmp_path):
    """Scores take tables of classes by classes, and 10,000 draws of the speakers."""
    from npreslstm.schema import MOST_CLASSES, ModelConfig

    names = [f"c{k}" for k in range(MOST_CLASSES)]
    write_weights(tmp_path / "w.npz", classes=names, hidden_size=1)
    for k in range(2):
        write_wav(tmp_path / f"{k}.wav", voice(0.3, seed=k))
    (tmp_path / "c.csv").write_text("file,label,speaker\n0.wav,c1,s\n1.wav,c2,t\n")
    use = (
        "import os; from npreslstm.cli import main; os.chdir(path); sys.stdout = open(os.devnull, 'w');"
        " status = main(['evaluate', 'c.csv', '--weights', 'w.npz', '--speakers', 'all']);"
        " sys.stdout = sys.__stdout__; assert status == 0"
    )
    assert spend(use, tmp_path) == "used"
    with pytest.raises(InputError, match="num_classes is 1001; expected at most 1000"):
        ModelConfig(num_classes=MOST_CLASSES + 1)


def test_many_speakers_in_many_draws():
    use = (
        "from npreslstm.training.metrics import bootstrap_uar; N = 1000; who = np.arange(N); l = who;"
        " bootstrap_uar(l, np.ones((1, N), bool), who, 10_000, np.random.default_rng(0))"
    )
    assert spend(use) == "used"


def bomb(path, name, count):
    """A small .npz with one array of `count` zeros."""
    stream = io.BytesIO()
    np.save(stream, np.zeros(1, np.float32))
    header = stream.getvalue()[:-4].replace(b"(1,), }" + b" " * len(str(count)), b"(%d,), }" % count + b" ")
    assert len(header) == 128
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{name}.npy", "w") as file,
    ):
        file.write(header)
        for _ in range(count // 2**20):
            file.write(bytes(2**22))
    return path


@pytest.mark.parametrize("name", ["header", "lstm1.weight_ih_l0"])
def test_a_zip_bomb_of_weights(tmp_path, name):
    assert spend(WEIGHTS, bomb(tmp_path / "w.npz", name, 2**27)) == "refused"


def test_a_zip_bomb_of_statistics(tmp_path):
    path = bomb(tmp_path / "s.npz", "mean", 2**27)
    use = (
        f"from npreslstm.conversion import convert; convert('mcu', {str(tmp_path / 'out.npz')!r},"
        " mean_std=path)"
    )
    assert spend(use, path) == "refused"


def test_vectors_whose_manifest_names_one_file_many_times(tmp_path):
    np.savez(tmp_path / "one.npz", lengths=[1], input=np.zeros((1, 100_000, 1)))
    about = {"format": "npreslstm vectors", "version": 1, "weights": {"sha256": ""}, "files": {}}
    about["cases"] = {f"{'./' * k}one": {} for k in range(990)}
    (tmp_path / "manifest.json").write_text(json.dumps(about))
    use = "import os; from npreslstm.ports.vectors import read_vectors; read_vectors(os.path.dirname(path))"
    assert spend(use, tmp_path / "manifest.json") == "refused"


def test_a_table_that_unpacks_to_gigabytes(tmp_path):
    import gzip

    config = {
        "data": "d", "classes": ["a"], "clips": {"x": 1}, "scored speakers": [["x"]],
        "validation speakers": "", "seed": 0,
        "folds": [{"test": ["x"]}], "model": {"kind": "", "hidden_size": 1}, "features": {},
        "recipe": {"statistics": "", "keep": ""},
    }  # fmt: skip
    packed = {"config": config, "summary": {}, "histories": {}}
    (tmp_path / "results.json").write_text(json.dumps(packed))
    rows = b"0,0,f,x,a,a,1\n" * 2**20
    with gzip.open(tmp_path / "predictions.csv.gz", "wb") as file:
        file.write(b"run,fold,file,speaker,true,predicted,a\n")
        for _ in range(20):
            file.write(rows)
    use = (
        "import os; from npreslstm.experiments.packed import open_results;"
        " open_results(os.path.dirname(path)).entries()"
    )
    assert spend(use, tmp_path / "predictions.csv.gz") == "refused"


@pytest.mark.parametrize(
    "text",
    ["[" * 900_000, "[[]," * 200_000 + "[]]", '{"a":' * 150_000, "9" * 900_000, '"' + "\\u0041" * 150_000],
)
def test_json_of_any_kind(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    assert (
        spend("from npreslstm.audio.config import load_config; load_config(path)", tmp_path / "c.json")
        == "refused"
    )


def test_a_pt_file_that_expands_an_element(tmp_path):
    from torch_files import dictionary, tensor, torch_file

    size = (2**14, 2**14)
    program = dictionary({"w": tensor(size=size, stride=(0, 0))})
    (tmp_path / "w.pt").write_bytes(torch_file(program, {"0": struct.pack("<6f", *range(6))}))
    assert spend("from npreslstm import load_model; load_model(path)", tmp_path / "w.pt") == "refused"


def test_the_budget_is_kept_by_the_means_of_the_test():
    """It would show otherwise."""
    with pytest.raises(AssertionError, match="ended by signal"):
        spend("while True: pass".replace("\n", " "))
    with pytest.raises(AssertionError):
        spend("x = np.ones(80_000_000)")
    with pytest.raises(InputError):
        dataclasses.replace(checkpoint().features, n_fft=2**20, n_mels=2**20)
