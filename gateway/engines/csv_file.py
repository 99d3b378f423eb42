"""A CSV read strictly (RFC 4180): what is wrong has a line, a place and a reason, and never a cell.

The engine leaves out lines that are no CSV, so that no answer depends on one of them. This reader is
for the operator, before anything is served: it accepts exactly the files of which the engine reads
every row (a property in tests/engines/test_csv_file.py). Lines are counted from 1, as editors do.
"""

import codecs
import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from gateway.engines.source import csv_header, header_fields
from gateway.errors import EngineFailed

DELIMITERS: Final = (",", ";", "|", "\t")
GUESS_ROWS: Final = 200
LINE_CHARACTERS_MAX: Final = 1 << 20
RECORD_LINES_MAX: Final = 50
"""SECURITY: two stray quotes make one record of all that stands between them: other people's rows."""
CHUNK_BYTES: Final = 1 << 20
CHECKED_BYTES_MAX: Final = 64 << 20
"""How much of a file is read strictly at each start; ``gateway init`` reads all of it."""

_OTHERS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
    (b"PK\x03\x04", "a workbook or an archive"),
    (b"\xd0\xcf\x11\xe0", "a workbook"),
    (b"\x1f\x8b", "a compressed file"),
    (b"\x28\xb5\x2f\xfd", "a compressed file"),
)
_ENDINGS: Final = {
    "\n": "a line feed",
    "\r\n": "carriage return and line feed",
    "\r": "a carriage return",
}
_TONES_OF_CP1258: Final = frozenset("\u0300\u0301\u0303\u0309\u0323")


def check_text(path: Path, *, bytes_max: int | None = None) -> None:
    """Refuse a file that is not UTF-8, with the line and the place of the first byte that is not.

    Raises:
        EngineFailed: Another encoding, not a text, or the file cannot be read.

    """
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    place = _Place()
    done = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                if not done:
                    _refuse_other(path, chunk)
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError as error:
                    # A character that a chunk cut in two is in ``error.object`` again from its start.
                    at = error.start - (len(error.object) - len(chunk))
                    sentence = place.after(chunk[: max(at, 0)])
                    said = _not_utf8(path, sentence, chunk[max(at, 0) :])
                    raise EngineFailed(said) from None  # SECURITY: the error holds the file's bytes
                if (nul := chunk.find(b"\0")) >= 0:
                    raise EngineFailed(f"{place.after(chunk[:nul])} of `{path.name}` is a NUL: not a text")
                place.pass_over(chunk)
                done += len(chunk)
                if bytes_max is not None and done >= bytes_max:
                    return
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise EngineFailed(f"`{path.name}` ends within a character: it was cut, copy it again") from None
    except OSError as error:
        raise EngineFailed(f"`{path.name}` cannot be read: {error.strerror}") from error


class _Place:
    """Counts lines and bytes of what was read. Owner of its state: one call of ``check_text``."""

    def __init__(self) -> None:
        self._line = 1
        self._byte = 1

    def pass_over(self, chunk: bytes) -> None:
        ends = chunk.count(b"\n")
        self._line += ends
        self._byte = len(chunk) - chunk.rfind(b"\n") if ends else self._byte + len(chunk)

    def after(self, chunk: bytes) -> str:
        self.pass_over(chunk)
        return f"line {self._line:,}, byte {self._byte:,}"


def _refuse_other(path: Path, start: bytes) -> None:
    for mark, name in _OTHERS:
        if start.startswith(mark):
            if name.startswith("UTF"):
                raise EngineFailed(f"line 1, byte 1 of `{path.name}`: {_converting(path, name, name)}")
            raise EngineFailed(f"`{path.name}` is {name}, not a CSV: save its table as CSV in UTF-8")
    for offset, name in ((1, "UTF-16LE"), (0, "UTF-16BE")):
        every_other = start[offset:2000:2]
        if every_other.count(0) > len(every_other) // 2:
            raise EngineFailed(f"line 1, byte {offset + 1} of `{path.name}`: {_converting(path, name, name)}")


def _not_utf8(path: Path, place: str, rest: bytes) -> str:
    """Say which encoding it seems to be: cp1258 writes Vietnamese tones as marks after the letter."""
    marks = _TONES_OF_CP1258 & set(rest[:4096].decode("cp1258", "ignore"))
    word, name = ("WINDOWS-1258", "Windows-1258") if marks else ("WINDOWS-1252", "Latin-1 or Windows-1252")
    return f"{place} of `{path.name}` is not UTF-8; {_converting(path, name, word)}"


def _converting(path: Path, name: str, word: str) -> str:
    return f"it looks like {name}: convert the file, `iconv -f {word} -t UTF-8 {path.name} > utf8.csv`"


def check_csv(path: Path, delimiter: str, *, bytes_max: int | None = None) -> None:
    """Refuse a file that is not UTF-8 or not CSV.

    Raises:
        EngineFailed: With the first line that is not, and why.

    """
    check_text(path, bytes_max=bytes_max)
    for _ in records(path, delimiter, bytes_max=bytes_max):
        pass


def records(path: Path, delimiter: str, *, bytes_max: int | None = None) -> Iterator[tuple[int, list[str]]]:
    """Yield each record after the header with the line it begins in; blank lines are none.

    Raises:
        EngineFailed: A record that is not CSV, or has not as many fields as the header.

    """
    width = len(csv_header(path, delimiter))
    try:
        with path.open("r", encoding="utf-8-sig", newline="") as file:
            lines = _Lines(file, path.name, bytes_max)
            reader = csv.reader(lines, delimiter=delimiter, quotechar='"', doublequote=True, strict=True)
            begin = 1
            try:
                for at, fields in enumerate(reader):
                    if lines.is_cut:
                        return  # the last record was not read to its end
                    if fields and len(fields) != width:
                        raise EngineFailed(
                            f"line {begin:,} of `{path.name}` has {_fields(len(fields))}, "
                            f"the header has {width:,}"
                        )
                    if lines.is_doubtful and _is_quoted_late(fields):
                        raise EngineFailed(
                            f"line {begin:,} of `{path.name}` has a space before a quote: "
                            "a quote stands right after the delimiter"
                        )
                    lines.check_ending()
                    if reader.line_num - begin >= RECORD_LINES_MAX:
                        raise EngineFailed(
                            f"the record that begins in line {begin:,} of `{path.name}` runs over more than "
                            f"{RECORD_LINES_MAX} lines: a quote is probably missing"
                        )
                    if fields and at:
                        yield begin, fields
                    begin = reader.line_num + 1
            except csv.Error as error:
                if not lines.is_cut:
                    raise EngineFailed(_broken(path, begin, reader.line_num, str(error))) from None
    except (OSError, UnicodeDecodeError):  # SECURITY: not chained, a decoding error holds bytes
        raise EngineFailed(f"`{path.name}` cannot be read as UTF-8 text") from None


class _Lines:
    """Physical lines of a text, each of bounded length. Owner of its state: one call of ``records``."""

    def __init__(self, file: TextIO, name: str, characters_max: int | None) -> None:
        self._file = file
        self._name = name
        self._left = characters_max
        self._number = 0
        self._ending = ""
        self._first_ending = ""
        self.is_cut = False
        self.is_doubtful = False
        """A space stands before a quote somewhere."""

    def __iter__(self) -> Iterator[str]:
        readline = self._file.readline
        while line := readline(LINE_CHARACTERS_MAX + 1):
            self._number += 1
            if len(line) > LINE_CHARACTERS_MAX:
                raise EngineFailed(
                    f"line {self._number:,} of `{self._name}` is longer than "
                    f"{LINE_CHARACTERS_MAX:,} characters"
                )
            self._ending = "\r\n" if line.endswith("\r\n") else line[-1] if line[-1] in "\r\n" else ""
            self.is_doubtful = self.is_doubtful or ' "' in line
            yield line
            if self._left is not None:
                self._left -= len(line)
                if self._left <= 0:
                    self.is_cut = True
                    return

    def check_ending(self) -> None:
        """Refuse a record that ends another way than the first: the engine cannot cut such a file."""
        self._first_ending = self._first_ending or self._ending
        if self._ending and self._ending != self._first_ending:
            raise EngineFailed(
                f"line {self._number:,} of `{self._name}` ends with {_ENDINGS[self._ending]}, the first "
                f"with {_ENDINGS[self._first_ending]}: save it with one kind of line end"
            )


def _is_quoted_late(fields: list[str]) -> bool:
    """RFC 4180 keeps a space before a quote, others cut it: two readers would see two tables."""
    return any(field[:1] == " " and field.lstrip(" ")[:1] == '"' for field in fields)


def _fields(number: int) -> str:
    return "1 field" if number == 1 else f"{number:,} fields"


def _broken(path: Path, begin: int, line: int, said: str) -> str:
    """Say what a CSV parser stumbled over; the parser's own words quote no cell, ours are plainer."""
    if "unexpected end" in said:
        return f"line {begin:,} of `{path.name}` opens a quote that is never closed"
    if "expected after" in said:
        return f"line {line:,} of `{path.name}` has characters after a closing quote"
    if "field larger" in said:
        most = csv.field_size_limit()
        return f"line {begin:,} of `{path.name}` has a field of more than {most:,} characters"
    return f"line {line:,} of `{path.name}` is not CSV"


def guess_delimiter(path: Path) -> str:
    """Return the delimiter that cuts header and first rows into the same, largest number of fields."""
    widths: dict[str, int] = {}
    for delimiter in DELIMITERS:
        try:
            width = len(csv_header(path, delimiter))
            for _ in islice(records(path, delimiter), GUESS_ROWS):
                pass
        except EngineFailed:
            continue
        widths[delimiter] = width
    if widths and max(widths.values()) > 1:
        return max(widths, key=lambda delimiter: widths[delimiter])
    return _widest_header(path)


def _widest_header(path: Path) -> str:
    """Return the delimiter of a file that no delimiter fits, so that its fault can be named."""
    widths = {}
    for delimiter in DELIMITERS:
        try:
            widths[delimiter] = len(header_fields(path, delimiter))
        except EngineFailed:
            widths[delimiter] = 0
    return max(DELIMITERS, key=lambda delimiter: widths[delimiter])
