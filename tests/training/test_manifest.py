"""Manifests as spreadsheets and people write them: what is meant without doubt is read, and said; the rest is
refused by line.
"""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npreslstm.errors import InputError
from npreslstm.training.dataset import bare_name, load_dataset
from npreslstm.training.manifest import read_table

FILES = ("a.wav", "b.wav", "c.wav", "d.wav")
PLAIN = "file,label,speaker\na.wav,x,01\nb.wav,y,01\nc.wav,x,2\n"


@pytest.fixture
def read(tmp_path):
    """Reads a manifest of text or bytes, beside the files a.wav to d.wav: (file, label, speaker) of
    its clips.
    """

    def load(content):
        for name in FILES:
            (tmp_path / name).write_bytes(name.encode())
        path = tmp_path / "corpus.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        data = load_dataset(path)
        return [(clip.path.rpartition("/")[2], data.classes[clip.label], clip.speaker) for clip in data.clips]

    return load


EXPECTED = [("a.wav", "x", "01"), ("b.wav", "y", "01"), ("c.wav", "x", "2")]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.rstrip("\n"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\n\n"),
        PLAIN.replace("\n", ",,\n"),  # empty trailing columns that the header has too
        PLAIN + ",,\n ,\t,\n,,,,,,\n",  # a spreadsheet's empty rows
        '"file","label","speaker"\n"a.wav","x","01"\n"b.wav","y","01"\n"c.wav","x","2"\n',
        'file,text,label,speaker\na.wav,"well, yes",x,01\nb.wav,"two\nlines",y,01\nc.wav,"a ""quote""",x,2\n',
        "speaker,note,label,file\n01,,x,a.wav\n01,?,y,b.wav\n2,,x,c.wav\n",
        # short of columns that nobody needs
        "file,label,speaker,note\na.wav,x,01\nb.wav,y,01,\nc.wav,x,2,hm\n",
        # others may be there twice
        "file,note,note,label,speaker,,\na.wav,,,x,01,,\nb.wav,,,y,01,,\nc.wav,,,x,2,,\n",
    ],
)
def test_ordinary_files_are_read_without_a_word(read, content):
    assert read(content) == EXPECTED


@pytest.mark.parametrize(
    "content, said",
    [
        (PLAIN.replace(",", ";"), "is separated by semicolons, and read so"),
        (PLAIN.replace(",", "\t"), "is separated by tabs, and read so"),
        ("sep=;\r\n" + PLAIN.replace(",", ";"), "is separated by semicolons"),
        (PLAIN.replace(",", ", "), "has the columns ' label', ' speaker', read as label, speaker"),
        (
            PLAIN.replace("file,label,speaker", "File,LABEL,speaker"),
            "has the columns 'File', 'LABEL', read as file, label",
        ),
        (PLAIN.replace("label", "label\u00a0"), r"has the columns 'label\\xa0', read as label"),
        (
            PLAIN.replace("speaker", "speaker,caf\xe9").encode("latin-1"),
            "is not in UTF-8, and read as Latin-1$",
        ),
        (
            PLAIN.replace("a.wav", ".\\a.wav"),
            r"has backslashes in names of files, read as slashes, e.g. '.\\\\a.wav'",
        ),
    ],
)
def test_what_is_meant_without_doubt_is_read_and_said_once(read, content, said):
    with pytest.warns(UserWarning, match=said) as caught:
        assert read(content) == EXPECTED
    assert len(caught) == 1


def test_blanks_before_quotation_marks_are_no_part_of_a_value(read):
    quoted = 'file, text, label, speaker\na.wav, "well, yes", "x", 01\nb.wav, t, y, 01\nc.wav, t, "x", 2\n'
    with pytest.warns(UserWarning) as caught:
        assert read(quoted) == EXPECTED
    assert "has blanks before quotation marks, read as if there were none" in str(caught[0].message)
    with pytest.warns(UserWarning) as caught:
        assert read(quoted.replace(", ", "; ").replace("; yes", ", yes")) == EXPECTED
    assert len(caught) == 2  # of the blanks, and of the separator


@pytest.mark.parametrize("value", ["'x'", "“x”", "„x“", "«x»", '="x"', "'01", '"""x"""'])
@pytest.mark.parametrize("row", ["b.wav,{},1", "b.wav,y,{}"])
def test_marks_that_would_be_part_of_a_name_are_refused(read, value, row):
    with pytest.raises(InputError, match=r"quotation marks that are part of labels or .* out: line 3 \("):
        read("file,label,speaker\na.wav,z,1\n" + row.format(value) + "\n")


def test_marks_inside_a_name_are_kept(read):
    found = read("file,label,speaker\na.wav,don't know,O'Brien\nb.wav,x\"y,'s Jacob\n")
    assert found == [("a.wav", "don't know", "O'Brien"), ("b.wav", 'x"y', "'s Jacob")]


def test_excels_line_about_commas_is_none_of_the_rows(read):
    assert read("sep=,\n" + PLAIN) == EXPECTED
    with pytest.raises(InputError, match="line 3 has 4 fields"):
        read("sep=,\nfile,label,speaker\na.wav,x,1,\nb.wav,y,1\n")


def test_names_with_accents_in_latin_1(read):
    with pytest.warns(UserWarning, match="read as Latin-1, e.g. 'fröhlich'"):
        found = read("file,label,speaker\na.wav,fröhlich,Zoë\nb.wav,traurig,Zoë\n".encode("latin-1"))
    assert found == [("a.wav", "fröhlich", "Zoë"), ("b.wav", "traurig", "Zoë")]


ELSEWHERE = [
    ("cp1251", "грусть"),
    ("gb2312", "生气"),
    ("shift_jis", "怒り"),
    ("cp1250", "złość"),
    ("cp850", "fröhlich"),
]


@pytest.mark.parametrize("encoding, label", ELSEWHERE)
def test_other_encodings_are_not_taken_for_latin_1(read, encoding, label):
    with pytest.raises(
        InputError, match="is not a CSV file in UTF-8, nor in Latin-1: save it as CSV in UTF-8; see: line 2 "
    ):
        read(f"file,label,speaker\na.wav,{label},s\nb.wav,y,s\n".encode(encoding))


@pytest.mark.parametrize(
    "content, message",
    [
        (PLAIN.encode("utf-16"), "is not a CSV file in UTF-8 but in UTF-16: save it as CSV in UTF-8"),
        (PLAIN.encode("utf-32-be"), "is not a CSV file in UTF-8: it has NUL bytes"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "it has NUL bytes; expected text, a line a clip"),
        (
            "file,text,label,speaker\na.wav,hm,x,1\nb.wav,well, yes,y,1\n",
            "line 3 has 5 fields, expected 4; a text with commas in it needs quotation",
        ),
        (
            "file,text,label,speaker\na.wav,a,b,x,1\n\nb.wav,a, b,y,1\n",
            r"line 2 has 5 fields, expected 4 \(and 1 more such\)",
        ),
        (
            "file;text;label;speaker\na.wav;a;b;x;1\nb.wav;a;y;1\n",
            "line 2 has 5 fields, expected 4; a text with semicolons",
        ),
        # an empty column that the header lacks
        ("file,label,speaker\na.wav,x,1,\nb.wav,y,1\n", "line 2 has 4 fields, expected 3"),
        ('file,text,label,speaker\na.wav,"two\nlines",x,1\nb.wav,a,b,y,1\n', "line 4 has 5 fields"),
        ("file,text,label,speaker\na.wav,x,1\nb.wav,t,y,1\n", "has empty fields: line 2"),
        (
            'file,text,label,speaker\na.wav,"well,x,1\nb.wav,t,y,1\n',
            "unexpected end of data, in what begins in line 2; are",
        ),
        ('file,label,speaker\na.wav,"x"y,1\nb.wav,y,1\n', "in what begins in line 2"),
        (
            "file,label,label,speaker\na.wav,x,z,1\nb.wav,y,z,1\n",
            "has the column label twice; leave one of each",
        ),
        ("file,label,Label,speaker\na.wav,x,z,1\nb.wav,y,z,1\n", "has the column label twice"),
        (
            "a.wav,x,1\nb.wav,y,1\n",
            (
                "lacks the column file, label, speaker; expected .* in its first line, which has 'a.wav',"
                " 'x', '1'"
            ),
        ),
        ("file|label|speaker\na.wav|x|1\n", r"in its first line, which has 'file\|label\|speaker'"),
        (
            "path,emotion,speaker\na.wav,x,1\n",
            "lacks the column file, label; expected .*, which has 'path', 'emotion', 'speaker'",
        ),
        ("file;label;speaker\na.wav,x,1\nb.wav,y,1\n", "has empty fields: line 2, line 3"),
        ("", "in its first line, which has nothing"),
        ("\n\n", "in its first line, which has nothing"),
        ("file,label,speaker\n,,\n", "lists no clips"),
        (
            'file,label,speaker\na.wav,"x\ny",1\nb.wav,y,1\n',
            "a label or a speaker with a line break or another control character in it: line 2",
        ),
        ("file,label,speaker\na.wav,x,1\x0b1\nb.wav,y,1\n", "control character in it: line 2"),
        ("file,label,speaker\nC:\\sounds\\a.wav,x,1\nb.wav,y,1\n", "names files that do not exist: C:"),
        ("file,label,speaker\n" + "a" * 200_000 + ",x,1\n", "field larger than field limit"),
    ],
)
def test_the_rest_is_refused_and_says_where(read, content, message):
    with pytest.raises(InputError, match=message):
        read(content)


def test_blanks_around_names_of_files_are_not_meant_unless_they_are_there(read, tmp_path):
    assert read("file,label,speaker\na.wav ,x,01\n b.wav,y,01\nc.wav,x,2\n") == EXPECTED
    (tmp_path / "a.wav ").write_bytes(b"other")
    assert read("file,label,speaker\na.wav ,x,01\nb.wav,y,01\n")[0][0] == "a.wav "
    (tmp_path / "d\\a.wav").write_bytes(b"other")
    assert ("d\\a.wav", "x", "01") in read("file,label,speaker\nd\\a.wav,x,01\nb.wav,y,01\n")


@pytest.mark.parametrize(
    "column, names, said",
    [
        (
            "label",
            ["Angry", "angry", "sad"],
            r"spelling only: 'Angry' \(clips: 1\) and 'angry' .* --label 'Angry=angry'",
        ),
        ("label", ["SAD", "Sad", "sad"], "--label 'SAD=sad' --label 'Sad=sad'"),
        ("label", ["very sad", "verysad", "x"], "'very sad' .* and 'verysad'"),
        ("label", ["sad", "sad\u200b", "x"], r"'sad' .* and 'sad\\u200b'"),
        (
            "speaker",
            ["Anna", "anna", "ben"],
            r"speakers that differ in spelling only: 'Anna' \(clips: 1\) and 'anna'",
        ),
        ("speaker", ["01", "1", "2"], r"'01' \(clips: 1\) and '1'"),
        ("speaker", ["1", "1.0", "2"], r"'1' \(clips: 1\) and '1\.0'"),
        ("label", ["0", "00", "x"], r"'0' \(clips: 1\) and '00'"),
        ("label", ["very-sad", "very_sad", "very sad"], "'very sad' .* and 'very-sad' .* and 'very_sad'"),
        ("label", ["sad", "sad.", "x"], "'sad' .* and 'sad.'"),
        ("label", ["happy", "h\u0430ppy", "x"], "'happy' .* and 'h\u0430ppy'"),
    ],
)
def test_names_that_may_be_one_are_told_apart_and_named(read, column, names, said):
    others = ["x", "y", "x"] if column == "speaker" else ["1", "2", "3"]
    lines = [
        f"{file},{name},{other}" if column == "label" else f"{file},{other},{name}"
        for file, name, other in zip(FILES, names, others)
    ]
    with pytest.warns(UserWarning, match=said):
        found = read("file,label,speaker\n" + "\n".join(lines))
    assert [clip[1 if column == "label" else 2] for clip in found] == names


def test_numbers_and_signs_are_told_apart_without_a_word(read):
    lines = ["a.wav,-1,1-11", "b.wav,1,11-1", "c.wav,1.5,15"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read("file,label,speaker\n" + "\n".join(lines))) == 3


def test_labels_that_will_be_given_a_meaning_are_not_warned_of(read, tmp_path):
    with pytest.warns(UserWarning, match="differ in spelling"):
        read("file,label,speaker\na.wav,X,1\nb.wav,x,1\nc.wav,y,1\n")
    assert load_dataset(tmp_path / "corpus.csv", {"X"}).classes == ("X", "x", "y")


def test_speaker_numbers_keep_their_leading_zeros(read):
    assert [
        speaker for *_, speaker in read("file,label,speaker\na.wav,x,007\nb.wav,y,00\nc.wav,x,1e3\n")
    ] == ["007", "00", "1e3"]


words = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Zs")), min_size=1, max_size=8
)


tables = st.lists(st.tuples(words, words, words), min_size=1, max_size=6)


@given(rows=tables, separator=st.sampled_from(",;\t"), end=st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_a_csv_writer_writes_is_what_is_read(tmp_path_factory, rows, separator, end):
    import csv

    path = tmp_path_factory.getbasetemp() / "table.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator=end)
        writer.writerows([("file", "label", "speaker"), *rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read_table(str(path), ("file", "label", "speaker"))
    assert [tuple(row.values.values()) for row in found] == rows
    assert [row.line for row in found] == list(range(2, 2 + len(rows)))


@given(
    fields=st.lists(st.sampled_from(["a.wav", "x", "y y", "1", "", " "]), min_size=5, max_size=8),
    at=st.integers(0, 3),
)
def test_no_row_with_too_many_fields_is_ever_read(tmp_path_factory, fields, at):
    lines = ["a.wav,t,x,1", "b.wav,t,y,1", "c.wav,t,x,1"]
    lines.insert(at, ",".join(fields))
    path = tmp_path_factory.getbasetemp() / "long.csv"
    path.write_text("file,text,label,speaker\n" + "\n".join(lines))
    if "".join(fields).strip():
        with pytest.raises(InputError, match=f"line {at + 2} has {len(fields)} fields, expected 4"):
            read_table(str(path), ("file", "label", "speaker"))
    else:
        assert len(read_table(str(path), ("file", "label", "speaker"))) == 3


@pytest.mark.parametrize("nothing", ["nan", "NaN", "None", "NULL", "N/A", "<NA>", "#N/A"])
def test_what_programs_write_where_there_is_no_value(read, nothing):
    with pytest.warns(
        UserWarning, match=f"has the label '{nothing}' .clips: 1.*--label '{nothing}=-' leaves"
    ):
        read(PLAIN + f"d.wav,{nothing},2\n")
    with pytest.warns(UserWarning, match=f"has the speaker '{nothing}' .clips: 1.*all are one"):
        read(f"file,label,speaker\na.wav,x,01\nb.wav,y,{nothing}\n")


def test_accents_as_letters_of_their_own_make_no_other_label():
    """As programs of a Mac write them."""
    assert bare_name("triste\u0301") == bare_name("Trist\u00e9 ") != bare_name("triste")
