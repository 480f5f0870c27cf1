"""``npreslstm features``: every kind of output, bad use, the picture."""

import csv
import io
import json

import numpy as np
import pytest
from samples import voice, write_wav

from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.features import extract_features
from npreslstm.audio.reader import read_audio
from npreslstm.cli import main
from npreslstm.report.frames import frame_times

MCU = FeatureConfig.named("mcu")


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    return [
        str(write_wav(folder / name, voice(0.3 + k / 5, seed=k))) for k, name in enumerate(("a.wav", "b.wav"))
    ]


def features(path, config=MCU):
    return extract_features(*read_audio(path), config)


def test_csv_on_standard_output(clips, capsys):
    assert main(["features", *clips, "--config", "mcu"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert (
        rows[0][:4] == ["file", "start", "end", "mfcc_0"] and rows[0][-1] == "chroma_B" and len(rows[0]) == 49
    )
    expected = np.concatenate([features(path) for path in clips])
    np.testing.assert_allclose(np.array([row[3:] for row in rows[1:]], float), expected, rtol=1e-6, atol=1e-9)
    assert [row[0] for row in rows[1:]] == [path for path in clips for _ in features(path)]
    assert (
        rows[1][1:3] == ["0.000", "0.032"]
        and rows[2][1:3] == ["0.000", "0.064"]
        and rows[3][1:3] == ["0.032", "0.096"]
    )


def test_npz(clips, tmp_path, capsys):
    assert (
        main(
            [
                "features",
                str(tmp_path / "clips"),
                "--config",
                "mcu",
                "--output",
                str(tmp_path / "f.npz"),
                "--jobs",
                "2",
            ]
        )
        == 0
    )
    with np.load(tmp_path / "f.npz", allow_pickle=False) as file:
        assert file["files"].tolist() == clips and file["columns"].tolist() == MCU.columns
        assert FeatureConfig.from_dict(json.loads(str(file["config"]))) == MCU
        for path, part in zip(clips, np.split(file["features"], np.cumsum(file["lengths"])[:-1])):
            np.testing.assert_array_equal(part, features(path))
    assert capsys.readouterr() == ("", "")


def test_json_gives_the_same_float32(clips, tmp_path):
    assert main(["features", clips[0], "--config", "mcu", "--output", str(tmp_path / "f.json")]) == 0
    found = json.loads((tmp_path / "f.json").read_text())
    np.testing.assert_array_equal(np.array(found["clips"][0]["features"], np.float32), features(clips[0]))
    assert found["columns"] == MCU.columns and found["config"] == MCU.to_dict()


def test_configuration_file(clips, tmp_path):
    (tmp_path / "mine.json").write_text(
        '{"sample_rate": 16000, "n_fft": 512, "hop_length": 256, "n_mels": 40, "n_mfcc": 13}'
    )
    assert (
        main(
            [
                "features",
                clips[0],
                "--config",
                str(tmp_path / "mine.json"),
                "--output",
                str(tmp_path / "f.npz"),
            ]
        )
        == 0
    )
    with np.load(tmp_path / "f.npz", allow_pickle=False) as file:
        assert file["features"].shape == (1 + 4800 // 256, 25)


def test_cache(clips, tmp_path, capsys):
    for _ in range(2):
        assert main(["features", *clips, "--config", "mcu", "--cache", str(tmp_path / "cache")]) == 0
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("kind", ["csv", "json", "npz"])
def test_a_bad_file_has_an_empty_row(clips, tmp_path, capsys, kind):
    (tmp_path / "clips" / "aa.wav").write_bytes(b"no sound")
    output = tmp_path / f"f.{kind}"
    assert main(["features", str(tmp_path / "clips"), "--config", "mcu", "--output", str(output)]) == 1
    assert "aa.wav: not a sound file" in capsys.readouterr().err
    if kind == "csv":
        assert [line for line in output.read_text().split("\n") if "aa.wav" in line] == [
            str(tmp_path / "clips" / "aa.wav") + 48 * ","
        ]
    elif kind == "json":
        clip = json.loads(output.read_text())["clips"][1]
        assert clip["features"] is None and "not a sound file" in clip["error"]
    else:
        with np.load(output, allow_pickle=False) as file:
            assert file["lengths"].tolist() == [len(features(clips[0])), 0, len(features(clips[1]))]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["none.wav"], "none.wav: no such file"),
        (["{folder}"], "a folder without sound files"),
        (["{clip}", "--config", "phone"], "phone"),
        (["{clip}", "--config", "{clip}"], "a.wav is damaged"),
        (["{clip}", "--jobs", "0"], "jobs is 0"),
        (
            ["{clip}", "--output", "f.txt"],
            "--output is f.txt; expected a name that ends in .npz, .csv, .json",
        ),
        (["{clip}", "--output", "none/f.csv"], "there is no folder none"),
        (["{clip}", "--output", "{clip}"], "expected a name that ends in"),
        (["{clip}", "--plot", "f.gif"], "--plot is f.gif; expected"),
        (["{clip}", "{clip2}", "--plot", "f.png"], "--plot draws one file; 2 are given"),
    ],
)
def test_bad_use(clips, tmp_path, capsys, monkeypatch, arguments, words):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    names = {"folder": str(tmp_path / "empty"), "clip": clips[0], "clip2": clips[1]}
    before = sorted(tmp_path.rglob("*"))
    assert main(["features", *(argument.format(**names) for argument in arguments)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and words in said.err and said.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_bad_configuration_file(clips, tmp_path, capsys):
    for text, words in [
        ('{"n_fft": 4095}', "n_fft is 4095"),
        ('{"n_ftt": 1}', "unknown field 'n_ftt'"),
        ("[1]", "is list"),
        ("{", "mine.json"),
    ]:
        (tmp_path / "mine.json").write_text(text)
        assert main(["features", clips[0], "--config", str(tmp_path / "mine.json")]) == 2
        assert words in capsys.readouterr().err


def test_frame_times():
    start, end = frame_times(3, FeatureConfig())
    np.testing.assert_allclose(start * 48000, [0, 0, 2048])
    np.testing.assert_allclose(end * 48000, [2048, 4096, 6144])


@pytest.mark.oracle
@pytest.mark.parametrize("config", ["paper", "mcu"])
@pytest.mark.parametrize("kind, magic", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
@pytest.mark.filterwarnings("ignore:audio at 16000 Hz is resampled")
def test_picture(clips, tmp_path, capsys, config, kind, magic):
    pytest.importorskip("matplotlib")
    output = tmp_path / f"f.{kind}"
    assert main(["features", clips[0], "--config", config, "--plot", str(output)]) == 0
    assert output.read_bytes().startswith(magic) and capsys.readouterr().out == ""


@pytest.mark.oracle
def test_picture_shows_all_four_on_one_time_axis():
    figure_module = pytest.importorskip("matplotlib.figure")
    from npreslstm.report.frontend import _draw

    figure = figure_module.Figure()
    axes = figure.subplots(4, 1, sharex=True)
    y = voice(1.0)
    _draw(axes, y, MCU)
    assert axes[0].lines[0].get_xdata()[-1] == pytest.approx(1.0, abs=1e-3)
    expected = extract_features(y, 16000, MCU)
    np.testing.assert_array_equal(axes[2].collections[0].get_array(), expected[:, :34].T)
    np.testing.assert_array_equal(axes[3].collections[0].get_array(), expected[:, 34:].T)
    assert axes[1].collections[0].get_array().shape == (64, len(expected))
    assert len({axis.get_xlim() for axis in axes}) == 1


@pytest.mark.oracle
def test_picture_and_output_together(clips, tmp_path):
    pytest.importorskip("matplotlib")
    output, picture = tmp_path / "f.csv", tmp_path / "f.png"
    assert (
        main(["features", clips[0], "--config", "mcu", "--plot", str(picture), "--output", str(output)]) == 0
    )
    assert output.exists() and picture.exists()


def test_without_matplotlib(clips, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.backends.backend_agg", None)
    assert main(["features", clips[0], "--plot", str(tmp_path / "f.png")]) == 2
    assert (
        "pictures need matplotlib: pip install matplotlib" in capsys.readouterr().err
        and not (tmp_path / "f.png").exists()
    )
