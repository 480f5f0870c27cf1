"""tools/accuracy/manifests.py: what the names of clips say."""

import pytest

from npreslstm.cli import guarded
from npreslstm.training.dataset import load_dataset
from npreslstm.training.merging import merge
from tools.accuracy import manifests

NEMO = [
    "SM0_anger_1",
    "SM0_happiness_1",
    "SM0_sadness_2",
    "WR0_neutral_10",
    "WR0_fear_10",
    "WR0_surprised_10",
]
EMOSPEECH = [
    "S001_angry_help_safe_01",
    "S001_fearful_bacho_safe_02",
    "S014_calm_no_unsafe_03",
    "S014_happy_unknown_safe_11",
]


@pytest.fixture
def corpora(tmp_path):
    folder = tmp_path / "corpora"
    for name, stems in (("nemo", NEMO), ("emospeech", EMOSPEECH), ("emospeech/background", ["unsafe_01"])):
        (folder / name).mkdir(parents=True)
        for stem in stems:
            (folder / name / f"{stem}.ogg").write_bytes(stem.encode())
    return folder


def test_labels_are_ravdesss_and_backgrounds_are_no_clips(corpora, tmp_path, capsys):
    assert guarded(manifests.main, [str(corpora), str(tmp_path / "out/m")]) in (0, None)
    assert (
        "nemo.csv: 6 clips of 2 speakers; angry, fear, happy, neutral, sad, surprised"
        in capsys.readouterr().out
    )
    nemo, emospeech = (load_dataset(tmp_path / f"out/m/{name}.csv") for name in ("nemo", "emospeech"))
    found = {
        clip.path.rpartition("/")[2][:-4]: (nemo.classes[clip.label], clip.speaker) for clip in nemo.clips
    }
    names = ["angry", "happy", "sad", "neutral", "fear", "surprised"]
    assert found == {stem: (name, stem[:3]) for stem, name in zip(NEMO, names)}
    assert [(emospeech.classes[clip.label], clip.speaker) for clip in emospeech.clips] == [
        ("angry", "S001"),
        ("fear", "S001"),
        ("calm", "S014"),
        ("happy", "S014"),
    ]
    both = merge([nemo, emospeech], {"calm": "calm"})
    assert len(both.classes) == 7 and [corpus.name for corpus in both.corpora] == [
        "nemo.csv",
        "emospeech.csv",
    ]


@pytest.mark.parametrize("name", ["SM0_boredom_1.ogg", "notes.ogg"])
def test_unknown_names_are_refused_and_nothing_is_written(corpora, tmp_path, capsys, name):
    (corpora / "nemo" / name).write_bytes(b"x")
    assert guarded(manifests.main, [str(corpora), str(tmp_path / "out")]) == 2
    assert f"holds unknown names: {name}" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_folder_without_corpora_is_one_line(tmp_path, capsys):
    assert guarded(manifests.main, [str(tmp_path), str(tmp_path / "out")]) == 2
    assert (
        "nemo holds no .ogg files; expected a corpus as tools/accuracy/manifests.py --help describes it"
        in capsys.readouterr().err
    )
