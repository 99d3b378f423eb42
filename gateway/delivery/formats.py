"""The forms a reply can have, which one a caller gets, and how protected content is written in a format.

JSON carries everything: the envelope and, last, ``rows``. NDJSON (one object a line) and CSV (``csv_text.py``
says how formulas are defused) carry the rows alone; what else a caller must know stands in headers.
Statistics in CSV have a column ``name`` for each value and ``name.margin`` for its margin. Numbers are
written exactly (``json_text.py``). The same content gives the same bytes. Nothing is treated here: what
comes in may leave.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from types import NoneType
from typing import Final, cast

import pyarrow as pa

from gateway.delivery.accept import MediaRange, ranges_of, weight_of
from gateway.delivery.csv_text import header_of, records_of, text_cells
from gateway.delivery.json_text import array_of, decimal_text, json_of, lines_of
from gateway.errors import NotAcceptable
from gateway.jose import JOSE_TYPE
from gateway.terms.format import ANYHOW, Delivery, Form, Format
from gateway.terms.frame import Columns, Values
from gateway.terms.predicate import Literal

ACCEPT_CHARS_MAX: Final = 1000
ACCEPTS_MAX: Final = 256
"""Fields whose reading is kept: every client sends the same one each time."""


_UTF_8: Final = frozenset({("charset", "utf-8")})
_INSIDE: Final = {
    form: frozenset({("cty", each) for each in (form.content_type, form.media_type)})
    | frozenset({("cty", form.media_type.removeprefix("application/"))})
    for form in Format
}
"""The spellings of an encrypted reply's ``cty``, short ones too (RFC 7515 section 4.1.10)."""
_KINDS: Final = frozenset({str, int, Decimal, date, bool, NoneType})


@lru_cache(maxsize=ACCEPTS_MAX)
def negotiate(accept: str, delivery: Delivery = ANYHOW) -> Form:
    """Return the form that ``Accept`` prefers, of those that may leave; an empty field accepts everything.

    ``application/jose`` is any format encrypted, and its parameter ``cty`` says which. What could be either
    is not encrypted.

    Raises:
        NotAcceptable: The field accepts none of the forms, or is too long to read.

    """
    may_be = (True,) if delivery.encrypted else (False, True)
    forms = [Form(each, encrypted) for encrypted in may_be for each in Format if each in delivery.formats]
    accept = accept if accept.strip(" \t,") else "*/*"
    ranges = ranges_of(accept) if len(accept) <= ACCEPT_CHARS_MAX else ()
    weights = {form: _weight_of(form, ranges) for form in forms}
    best = max(forms, key=weights.__getitem__)  # the first of equals
    if weights[best] == 0:
        offered = ", ".join(f"`{_media_type(form)}`" for form in forms if form.encrypted == may_be[0])
        raise NotAcceptable(f"accept one of {offered}, in at most {ACCEPT_CHARS_MAX} characters")
    return best


def _weight_of(form: Form, ranges: tuple[MediaRange, ...]) -> int:
    if form.encrypted:
        return weight_of(JOSE_TYPE, _INSIDE[form.format], ranges)
    return weight_of(form.format.media_type, _UTF_8, ranges)


def _media_type(form: Form) -> str:
    inside = form.format.media_type
    return f'{JOSE_TYPE}; cty="{inside}"' if form.encrypted else inside


def write_rows(columns: Columns, form: Format, envelope: Mapping[str, object]) -> tuple[str, bytes]:
    """Return content type and bytes of treated rows; ``envelope`` is what JSON says besides ``rows``.

    Raises:
        TypeError: A decimal is infinite or not a number.

    """
    decimals = [name for name, values in columns.items() if Decimal in _kinds_of(values)]
    match form:
        case Format.JSON:
            return form.content_type, _rows_in_json(columns, decimals, envelope)
        case Format.NDJSON:
            return form.content_type, lines_of(columns, decimals)
        case Format.CSV:
            return form.content_type, _rows_in_csv(columns)


def write_document(document: Mapping[str, object], form: Format) -> tuple[str, bytes]:
    """Return content type and bytes of a statistic.

    ``document["columns"]`` names the columns in order; each of ``document["rows"]`` maps every name to a
    key's value or to a cell ``{"value": ..., "margin": ...}``. What else is in it is for JSON only.
    """
    rows = cast(Sequence[Mapping[str, object]], document["rows"])
    match form:
        case Format.JSON:
            return form.content_type, json_of(document)
        case Format.NDJSON:
            return form.content_type, b"".join(json_of(row) + b"\n" for row in rows)
        case Format.CSV:
            return form.content_type, _statistic_in_csv(cast(Sequence[str], document["columns"]), rows)


def _kinds_of(values: Values) -> set[type]:
    """Return the types of a column's values, all of which formats write."""
    kinds = set(map(type, values))
    if foreign := kinds - _KINDS:
        raise AssertionError(f"no format writes a {foreign.pop().__name__}")
    return kinds


def _rows_in_json(columns: Columns, decimals: Collection[str], envelope: Mapping[str, object]) -> bytes:
    if "rows" in envelope:
        raise AssertionError("an envelope has no rows of its own")
    opening = json_of(dict(envelope)).removesuffix(b"}") + (b"," if envelope else b"") + b'"rows":'
    return b"".join([opening, array_of(columns, decimals), b"}"])


def _rows_in_csv(columns: Columns) -> bytes:
    return header_of(list(columns)) + records_of([_cells(values) for values in columns.values()])


def _cells(values: Values) -> pa.Array:
    """Return one column as cells: texts guarded, all else as JSON writes it, null as null."""
    if str in set(map(type, values)):
        return text_cells(pa.array(values, pa.string()))
    return pa.array([None if value is None else _bare(value) for value in values], pa.string())


def _bare(value: Literal) -> str:
    if isinstance(value, Decimal):
        return decimal_text(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _statistic_in_csv(names: Sequence[str], rows: Sequence[Mapping[str, object]]) -> bytes:
    columns: dict[str, pa.Array] = {}
    for name in names:
        values = [row[name] for row in rows]
        if any(isinstance(value, Mapping) for value in values):
            cells = cast(list[Mapping[str, object]], values)
            columns[name] = _plain_cells([cell["value"] for cell in cells])
            columns[f"{name}.margin"] = _plain_cells([cell["margin"] for cell in cells])
        else:
            columns[name] = _plain_cells(values)
    return header_of(list(columns)) + records_of(list(columns.values()))


def _plain_cells(values: Sequence[object]) -> pa.Array:
    """Return one column of a statistic as cells: all texts, or all of one kind that JSON writes bare."""
    if any(isinstance(value, str) for value in values):
        return text_cells(pa.array(values, pa.string()))
    texts = [None if value is None else json_of(value).decode().strip('"') for value in values]
    return pa.array(texts, pa.string())
