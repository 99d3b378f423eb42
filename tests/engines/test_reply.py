"""A reply read in one pass is the reply read strictly, cell by cell; whatever an upstream sends."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.engines.cells import typed_cell
from gateway.engines.document import CONTAINERS_MAX, at, rows_at, strictly_read
from gateway.engines.reply import TypedReply, typed_reply
from gateway.errors import EngineFailed
from gateway.terms.dataset import Column, ColumnType, Personal
from gateway.terms.identifiers import ColumnName

COLUMNS = tuple(
    Column(
        name=ColumnName(kind.value),
        type=kind,
        meaning="",
        personal=Personal.NONE,
        decimals=2 if kind is ColumnType.DECIMAL else 0,
        stored_as=stored,
    )
    for kind, stored in zip(ColumnType, ("Họ tên", None, "a/b", None, None), strict=True)
)
STORED = {column.source_name: column for column in COLUMNS}
NEEDED = tuple(column.name for column in COLUMNS)
POINTERS = ("", "/rows", "/a/r")

OF_THE_TYPE = {
    ColumnType.TEXT: ['"Nguyễn"', '""', '":"', '"{[\\":"', r'"\ud83d\ude00"', r'"a\u0000b"'],
    ColumnType.INTEGER: ["0", "-0", "-7", "9223372036854775807", "-9223372036854775808"],
    ColumnType.DECIMAL: ["1.50", "-0.001", "1e2", "12", '"3.5"', "1e999"],
    ColumnType.DATE: ['"2000-02-29"', '"0001-01-01"', '"9999-12-31"'],
    ColumnType.BOOLEAN: ["true", "false"],
}
ODD = [
    "null", "1", "1.0", "-1.5", "1e3", "9223372036854775808", "9" * 40, '"5"', '" 7 "', "true", '"t"', '"x"',
    '"2000-02-30"', '" 2000-01-01 "', '"2000-01-01T00:00:00"', '"20000101"', '"0000-01-01"', r'"\ud800"',
    '{"b":1}', '{"b":1,"b":2}', "[]", '[{"text":1}]', "NaN",
]  # fmt: skip


def cells(column: Column, *, odd: bool) -> st.SearchStrategy[str]:
    usual = st.sampled_from([*OF_THE_TYPE[column.type], "null"])
    return usual | st.sampled_from(ODD) if odd else usual


@st.composite
def rows(draw: st.DrawFn, *, odd: bool) -> str:
    """One row's text: every column in any order; where it is odd, without some, with others, or one twice."""
    names = draw(st.permutations(sorted(STORED)))
    if odd and draw(st.booleans()):
        extra = draw(st.lists(st.sampled_from(["other", "", *STORED]), max_size=2))
        names = names[draw(st.integers(0, 2)) :] + extra
    members = [
        f"{json.dumps(name, ensure_ascii=draw(st.booleans()))}"
        f":{draw(cells(STORED[name], odd=odd) if name in STORED else st.sampled_from(ODD))}"
        for name in names
    ]
    return "{" + ",".join(members) + "}"


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, str]:
    odd = draw(st.booleans())
    page = "[" + ",".join(draw(st.lists(rows(odd=odd), max_size=4))) + "]"
    pointer = draw(st.sampled_from(POINTERS))
    for token in reversed(pointer.split("/")[1:]):
        around = draw(st.sampled_from(["", '"next":"2",', '"next":{"r":[]},"n":[{"x":1}],', '"r":1,"r":2,']))
        page = f"{{{around}{json.dumps(token)}:{page}}}"
    return page.encode("utf-8", "surrogatepass"), pointer


def strictly(body: bytes, pointer: str) -> tuple[object, ...] | str:
    """Return what the definitions make of a body."""
    try:
        document = strictly_read(body)
        found = rows_at(document, pointer, rows_max=3)
    except EngineFailed:
        return "refused"
    columns = {c.name: [typed_cell(row.get(c.source_name), c) for row in found] for c in COLUMNS}
    unknown = sum(len(row.keys() - STORED.keys()) for row in found)
    return len(found), repr(columns), unknown, at(document, "/next")


def quickly(body: bytes, pointer: str) -> tuple[object, ...] | str:
    try:
        reply: TypedReply = typed_reply(body, pointer, COLUMNS, NEEDED, rows_max=3)
    except EngineFailed:
        return "refused"
    columns = {name: list(values) for name, values in reply.columns.items()}
    return reply.count, repr(columns), reply.unknown.total(), at(reply.document, "/next")


@settings(max_examples=600, deadline=None)
@given(bodies())
def test_a_reply_read_in_one_pass_is_the_reply_read_strictly(given_body: tuple[bytes, str]) -> None:
    assert quickly(*given_body) == strictly(*given_body)


A_ROW = '{"Họ tên":"a","integer":1,"a/b":1.5,"date":"2000-01-01","boolean":true}'


@pytest.mark.parametrize("text", [f"[{A_ROW}]", f"[{A_ROW},{A_ROW.replace('true', 'null')}]", "[]"])
def test_a_reply_as_declared_is_read_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.engines.reply.read", None)

    assert typed_reply(text.encode(), "", COLUMNS, NEEDED, rows_max=2).count == text.count("{")


@pytest.mark.parametrize(
    "text",
    [
        A_ROW.replace('"integer":1', '"integer":1,"integer":2'),
        A_ROW.replace('"integer":1', '"integer":1,"\\u0069nteger":2'),
        A_ROW.replace('"integer":1', '"integer" :1,"integer":1'),
        A_ROW.replace('"integer":1', '"integer":1,"other":{"b":1,"b":1}'),
    ],
)
def test_a_name_that_comes_twice_is_refused(text: str) -> None:
    with pytest.raises(EngineFailed, match="strict JSON"):
        typed_reply(f"[{text}]".encode(), "", COLUMNS, NEEDED, rows_max=2)


def test_members_that_no_column_declares_are_counted_and_left_out() -> None:
    body = f"[{A_ROW.replace('true', 'true,' + json.dumps('so_cccd') + ':1')},{A_ROW}]".encode()

    reply = typed_reply(body, "", COLUMNS, NEEDED, rows_max=2)

    assert (reply.count, reply.unknown, set(reply.columns)) == (2, {"so_cccd": 1}, set(NEEDED))


def test_numbers_keep_their_digits() -> None:
    body = f"[{A_ROW.replace('1.5', '9007199254740993.25')}]".encode()

    reply = typed_reply(body, "", COLUMNS, NEEDED, rows_max=1)

    assert str(reply.columns[ColumnName("decimal")][0]) == "9007199254740993.25"


def test_a_reply_of_too_many_parts_is_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.engines.reply._as_declared", None)
    body = b'{"rows":[],"more":[' + b",".join([b"{}"] * CONTAINERS_MAX) + b"]}"

    with pytest.raises(EngineFailed, match="too many parts"):
        typed_reply(body, "/rows", COLUMNS, NEEDED, rows_max=1)
