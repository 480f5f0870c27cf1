"""CSV files as people have them: what is meant without doubt is accepted, and said; anything else is refused
by line.
"""

import csv
import io
import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from npreslstm.errors import InputError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
WIDE_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00\xfe\xff": "UTF-32"}  # byte order marks


class Row(NamedTuple):
    """One record of a table: the number of its (first) line, and the values of the columns that were asked
    for.
    """

    line: int
    values: dict[str, str]


def read_table(path: str, columns: Sequence[str], optional: Sequence[str] = ()) -> list[Row]:
    """Read some columns of a CSV file with a header.

    UTF-8, commas and the names of the columns as they are given are what is expected. Latin-1, semicolons,
    tabs, and blanks or capitals in the names are accepted with a warning that says so.

    Parameters
    ----------
    path : str
    columns : sequence of str
        In small letters; no value may be empty.
    optional : sequence of str
        Columns that need not be there, and whose values may be empty.

    Returns
    -------
    list of Row
        Without the rows that are wholly empty.

    Raises
    ------
    InputError
        If the file is no such table; names the lines that are wrong.
    """
    text, latin = _decode(path)
    separator, text, skipped = _separator(text, columns)
    records = _records(path, text, separator, skipped)
    header = records[0][1] if records else []
    place = _places(path, header, columns, optional)
    lines = [(line, fields) for line, fields in records[1:] if any(field.strip() for field in fields)]
    if long := [(line, len(fields)) for line, fields in lines if len(fields) > len(header)]:
        line, count = long[0]
        more = f" (and {len(long) - 1} more such)" if len(long) > 1 else ""
        remedy = f"a text with {SEPARATORS[separator]} in it needs quotation marks around it"
        raise InputError(f"{path}: line {line} has {count} fields, expected {len(header)}{more}; {remedy}")
    rows = [Row(line, {name: _value(fields, at) for name, at in place.items()}) for line, fields in lines]
    refuse(
        [f"line {row.line}" for row in rows if not all(row.values[name].strip() for name in columns)],
        f"{path} has empty fields",
    )
    if latin:
        _check_latin(path, rows)
    if separator != ",":
        warnings.warn(f"{path} is separated by {SEPARATORS[separator]}, and read so", stacklevel=3)
    return rows


def _decode(path):
    """The text of a file, and whether it is Latin-1."""
    with open(path, "rb") as file:
        data = file.read()
    expected = "is not a CSV file in UTF-8"
    for mark, name in WIDE_MARKS.items():
        if data.startswith(mark):
            raise InputError(f"{path} {expected} but in {name}: save it as CSV in UTF-8")
    if b"\x00" in data:
        raise InputError(f"{path} {expected}: it has NUL bytes; expected text, a line a clip")
    try:
        return data.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        return data.decode("latin-1"), True


def _check_latin(path, rows):
    """Say that a table was read as Latin-1; raise InputError if some value hardly is that, but of another
    encoding.
    """
    values = [(row.line, value) for row in rows for value in row.values.values() if not value.isascii()]
    doubtful = [f"line {line} ({value!r})" for line, value in values if not _may_be_latin(value)]
    refuse(doubtful, f"{path} is not a CSV file in UTF-8, nor in Latin-1: save it as CSV in UTF-8; see")
    example = f", e.g. {values[0][1]!r}" if values else ""
    warnings.warn(f"{path} is not in UTF-8, and read as Latin-1{example}", stacklevel=4)


def _may_be_latin(value):
    """Whether a value is made of letters, of which at most half are accented; in other encodings, others come
    out too.
    """
    accented = [letter for letter in value if not letter.isascii()]
    plain = [letter for letter in value if letter.isascii() and letter.isalpha()]
    return all(letter >= "\xc0" and letter.isalpha() for letter in accented) and len(accented) <= len(plain)


def _separator(text, columns):
    """The separator, the text without Excel's line that names it, and the number of lines that were taken
    away.
    """
    if named := re.match(r"sep=([,;\t])\r?\n", text, re.IGNORECASE):
        return named[1], text[named.end() :], 1
    head = re.split("[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    for separator in SEPARATORS:
        if set(columns) <= {_plain(name) for name in next(csv.reader([head], delimiter=separator), [])}:
            return separator, text, 0
    return ",", text, 0


def _records(path, text, separator, skipped):
    """[(line number, fields)] of the lines that are not empty."""
    blanks = re.search(f'(^|[{separator}\r\n]) +"', text) is not None
    if blanks:
        warnings.warn(f"{path} has blanks before quotation marks, read as if there were none", stacklevel=4)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=blanks)
    records, line = [], 1 + skipped
    try:
        for fields in reader:
            if fields:
                records.append((line, fields))
            line = reader.line_num + 1 + skipped
    except csv.Error as error:
        raise InputError(
            f"{path} is not a CSV file: {error}, in what begins in line {line}; are there quotation marks too"
            " few?"
        ) from None
    return records


def _places(path, header, columns, optional):
    """{column: its place}; raises InputError for those that are missing or there twice."""
    plain = [_plain(name) for name in header]
    if missing := [name for name in columns if name not in plain]:
        there = ", ".join(map(repr, header)) or "nothing"
        raise InputError(
            f"{path} lacks the column {', '.join(missing)}; expected {', '.join(columns)} in its first line,"
            f" which has {there}"
        )
    wanted = [name for name in (*columns, *optional) if name in plain]
    if twice := [name for name in wanted if plain.count(name) > 1]:
        raise InputError(f"{path} has the column {', '.join(twice)} twice; leave one of each")
    place = {name: plain.index(name) for name in wanted}
    if other := [header[at] for name, at in place.items() if header[at] != name]:
        warnings.warn(
            f"{path} has the columns {', '.join(map(repr, other))}, read as {', '.join(map(_plain, other))}",
            stacklevel=4,
        )
    return place


def _plain(name):
    return name.strip().lower()


def _value(fields, at):
    return fields[at] if at < len(fields) else ""


def refuse(offenders: Sequence[str], message: str) -> None:
    """Raise InputError with the first five of many offenders, if there are any."""
    if offenders:
        more = f" and {len(offenders) - 5} more" if len(offenders) > 5 else ""
        raise InputError(f"{message}: {', '.join(offenders[:5])}{more}")
