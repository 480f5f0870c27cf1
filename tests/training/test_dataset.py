"""Corpora: RAVDESS names, manifests, and everything that may be wrong with them."""

import pytest

from npreslstm.errors import InputError
from npreslstm.training.dataset import RAVDESS_CLASSES, load_dataset
from npreslstm.training.examples import split_by_speaker


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def manifest(folder, text, *files):
    touch(folder, *files)
    (folder / "corpus.csv").write_text(text, encoding="utf-8")
    return folder / "corpus.csv"


def test_ravdess_names_say_label_and_actor(tmp_path):
    touch(
        tmp_path,
        "Actor_02/03-01-08-02-02-01-02.wav",
        "Actor_01/03-01-01-01-01-01-01.flac",
        "Actor_01/03-01-05-01-01-01-01.flac",
        "notes.txt",
    )
    dataset = load_dataset(tmp_path)
    assert dataset.classes == RAVDESS_CLASSES
    assert [(clip.label, clip.speaker) for clip in dataset.clips] == [(0, "1"), (4, "1"), (7, "2")]
    assert dataset.speakers == ["1", "2"]
    assert [clip.label for clip in dataset.of({"2"})] == [7]


@pytest.mark.parametrize(
    "names, message",
    [
        ([], "holds no audio; expected RAVDESS's Actor_01"),
        (["a/clip.wav"], r"not named as RAVDESS speech .*clip.wav"),
        (["03-02-01-01-01-01-01.wav"], "not named as RAVDESS speech"),  # song
        (["03-01-09-01-01-01-01.wav"], "not named as RAVDESS speech"),
        (["03-01-01-01-01-01-25.wav"], "not named as RAVDESS speech"),
        (
            ["a/03-01-01-01-01-01-01.wav", "b/03-01-01-01-01-01-01.flac"],
            "holds clips twice; leave one of each: .* = ",
        ),
    ],
)
def test_wrong_ravdess_folders_are_refused(tmp_path, names, message):
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=message):
        load_dataset(tmp_path)


def test_manifest_gives_sorted_classes_and_clips_in_order_of_path(tmp_path):
    path = manifest(
        tmp_path,
        "speaker,file,label,note\nann,b.wav,sad,x\nben,sub/a.wav,glad,y\nann,a.wav,glad,\n",
        "a.wav",
        "b.wav",
        "sub/a.wav",
    )
    dataset = load_dataset(path)
    assert dataset.classes == ("glad", "sad")
    assert [(clip.path.removeprefix(str(tmp_path)), clip.label, clip.speaker) for clip in dataset.clips] == [
        ("/a.wav", 0, "ann"),
        ("/b.wav", 1, "ann"),
        ("/sub/a.wav", 0, "ben"),
    ]


def test_manifest_from_a_spreadsheet_has_a_byte_order_mark(tmp_path):
    path = manifest(tmp_path, "\ufefffile,label,speaker\na.wav,x,s\nb.wav,y,s\n", "a.wav", "b.wav")
    assert load_dataset(path).classes == ("x", "y")


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "lacks the column file, label, speaker"),
        ("file,label\na.wav,x\n", "lacks the column speaker; expected file, label, speaker"),
        ("file,label,speaker\n", "lists no clips"),
        ("file,label,speaker\na.wav,x,s\nb.wav,,s\n", "has empty fields: line 3"),
        ("file,label,speaker\na.wav,x,s\nb.wav\n", "has empty fields: line 3"),
        ("file,label,speaker\na.wav,x,s\n\n\nb.wav,y, \n", "has empty fields: line 5"),
        ("file,label,speaker\na.wav,x,s\nc.wav,y,s\n", "names files that do not exist: c.wav"),
        ("file,label,speaker\na.wav,x,s\n./a.wav,y,s\n", "names files twice"),
        ("file,label,speaker\na.wav,x,s\nb.wav,x,s\n", "has the single label 'x'; expected at least two"),
    ],
)
def test_wrong_manifests_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load_dataset(manifest(tmp_path, text, "a.wav", "b.wav"))


def test_blanks_make_no_other_speakers_and_labels(tmp_path):
    data = load_dataset(
        manifest(
            tmp_path,
            "file,label,speaker\na.wav,x, anna\nb.wav, y,anna \nc.wav,y ,²\n",
            "a.wav",
            "b.wav",
            "c.wav",
        )
    )
    assert data.classes == ("x", "y") and data.speakers == ["anna", "²"]


def test_endings_in_capitals_are_sound_too(tmp_path):
    touch(tmp_path / "Actor_01", "03-01-01-01-01-01-01.WAV", "03-01-02-01-01-01-01.Flac")
    assert len(load_dataset(tmp_path).clips) == 2


def test_many_offenders_are_counted_not_all_listed(tmp_path):
    rows = "".join(f"missing{k}.wav,x,s\n" for k in range(8))
    with pytest.raises(InputError, match="missing4.wav and 3 more"):
        load_dataset(manifest(tmp_path, "file,label,speaker\n" + rows))


def test_binary_file_is_no_manifest(tmp_path):
    (tmp_path / "corpus.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="is not a CSV file in UTF-8"):
        load_dataset(tmp_path / "corpus.csv")


def test_nothing_there(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="does not exist; expected a RAVDESS folder or a manifest CSV"
    ):
        load_dataset(tmp_path / "nothing")


def test_the_corpus_itself(ravdess):
    dataset = load_dataset(ravdess)
    assert len(dataset.clips) == 1440 and dataset.speakers == [str(k) for k in range(1, 25)]
    counts = [sum(clip.label == label for clip in dataset.clips) for label in range(8)]
    assert counts == [96] + [192] * 7


def test_splits_are_disjoint_by_speaker():
    speakers = ["a", "b", "a", "c", "d"]
    split = split_by_speaker(speakers, ["b"], ["c"])
    assert [part.tolist() for part in split] == [[0, 2, 4], [1], [3]]


@pytest.mark.parametrize(
    "validation, test, message",
    [
        (["x"], [], "no clips of speaker x; the corpus has a, b"),
        (["a"], ["a"], "speaker a is in both validation and test"),
        (["a"], ["b"], "no speakers are left to train on"),
    ],
)
def test_impossible_splits_are_refused(validation, test, message):
    with pytest.raises(InputError, match=message):
        split_by_speaker(["a", "b"], validation, test)
