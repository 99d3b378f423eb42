"""A look at an HTTP API: one page's names, types and shapes, or one sentence that says what to do."""

import json
import socket
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from upstream import an_answer, an_upstream

from gateway.engines.inspect_url import Address, Page, address_of, look
from gateway.errors import EngineFailed
from gateway.terms.dataset import ColumnType, SourceFormat
from gateway.terms.source_facts import Shape

ROWS = [
    {"CCCD": "001085012345", "tuổi": 41, "chi phí": 12.50, "ngày": "2024-02-29", "vip": True, "more": None},
    {"CCCD": "001190023456", "tuổi": "17", "chi phí": 3, "ngày": "2024-03-01", "vip": False, "tags": ["a"]},
]


def body_of(document: Any) -> bytes:
    return json.dumps(document).encode()


async def looked(answer: bytes, rows: str | None = None, path: str = "/v1/people.json?a=b") -> Page:
    async with an_upstream() as upstream:
        upstream.answers(answer)
        return await look(address_of(upstream.url + path), internal=False, rows_pointer=rows)


async def test_a_page_has_typed_columns_and_no_value_is_told() -> None:
    page = await looked(an_answer(body_of({"count": 99, "data": {"items": ROWS}, "columns": ["CCCD"]})))
    facts = page.facts

    assert page.rows_pointer == "/data/items"
    assert (facts.format, facts.rows, facts.rows_examined) == (SourceFormat.HTTP, 2, 2)
    assert {column.name: column.type for column in facts.columns} == {
        "CCCD": ColumnType.TEXT, "tuổi": ColumnType.INTEGER, "chi phí": ColumnType.DECIMAL,
        "ngày": ColumnType.DATE, "vip": ColumnType.BOOLEAN, "more": ColumnType.TEXT, "tags": None,
    }  # fmt: skip
    assert facts.columns[0].shapes == {Shape.TWELVE_DIGITS: 1.0}
    assert "001085012345" not in repr(page)


async def test_the_upstream_is_asked_once_and_told_nothing_of_the_operator() -> None:
    async with an_upstream() as upstream:
        upstream.answers(an_answer(body_of(ROWS)))
        page = await look(address_of(f"{upstream.url}/people.json?_shape=objects&q=a+b"), internal=False)

    (request,) = upstream.requests
    line, *headers = request.decode().split("\r\n")
    assert line == "GET /people.json?_shape=objects&q=a+b HTTP/1.1"
    assert {header.partition(":")[0] for header in headers if header} == {
        "Host", "User-Agent", "Accept", "Accept-Encoding",
    }  # fmt: skip
    assert page.rows_pointer == ""


def test_an_address_is_split_as_a_document_has_it() -> None:
    assert address_of("https://api.example:8443/v1/people.json?_shape=objects&x=") == Address(
        origin="https://api.example:8443",
        path="/v1/people.json",
        parameters=(("_shape", "objects"), ("x", "")),
    )
    assert address_of("https://api.example/v1/people.json").name == "people"


TWO = {"rows": ROWS, "facets": [{"name": "x"}]}


@pytest.mark.parametrize(
    ("answer", "rows", "said"),
    [
        (an_answer(b"<p>p1</p>", content_type="text/html"), None, "answered with `text/html`, not JSON"),
        (an_answer(b"[]", content_type=""), None, "answered with no content type, not JSON"),
        (an_answer(b"", status="302 Found", Location="/p1"), None, "redirects, which is never followed"),
        (an_answer(b"", status="401 No"), None, "wants credentials (status 401)"),
        (an_answer(b"p1", status="500 Oops"), None, "answered with status 500"),
        (an_answer(b'{"p1"'), None, "is not strict JSON"),
        (an_answer(b'[{"a": NaN}]'), None, "is not strict JSON"),
        (an_answer(b'[{"a": 1, "a": 2}]'), None, "is not strict JSON"),
        (an_answer(b"[1]", Content_Encoding="gzip"), None, "in an encoding that was not asked for"),
        (an_answer(b"[1]", content_type="text/json; charset=latin1"), None, "not called JSON in UTF-8"),
        (an_answer(b"[1]", Content_Length=str(10 << 30)), None, "too large"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", None, "does not answer as HTTP says"),
        (an_answer(body_of({"p1": 5})), None, "the reply has no array with rows in it"),
        (an_answer(body_of({"rows": []})), None, "the reply has no array with rows in it"),
        (an_answer(body_of({"rows": [["p1", 2]]})), None, "`/rows` are lists without names"),
        (an_answer(body_of(TWO)), None, "several arrays that may be rows, `/rows`, `/facets`: choose with"),
        (an_answer(body_of({"rows": [["p1"]], "facets": [{}]})), None, "several arrays that may be rows"),
        (an_answer(body_of(TWO)), "/nope", "there is no array of objects at `/nope`"),
        (an_answer(body_of({"rows": []})), "/rows", "there is no array of objects at `/rows`"),
        (an_answer(body_of([{"001085012345": 1, "a": 2}])), None, "not named like columns"),
        (an_answer(body_of([{}])), None, "not named like columns"),
    ],
)  # fmt: skip
async def test_what_is_no_page_of_rows_is_one_sentence(answer: bytes, rows: str | None, said: str) -> None:
    with pytest.raises(EngineFailed) as failed:
        await looked(answer, rows)

    assert said in failed.value.detail
    assert failed.value.__cause__ is None
    assert "p1" not in failed.value.detail
    assert "001085012345" not in failed.value.detail


async def test_no_name_of_the_reply_moves_the_terminal() -> None:
    rows = {"\x1b]0;owned\x07\x9b2J\u202e": [{}], "số": [{}]}
    with pytest.raises(EngineFailed) as several:
        await looked(an_answer(body_of(rows)))
    with pytest.raises(EngineFailed) as lists:
        await looked(an_answer(body_of({"\x1bc": [[1]]})))
    with pytest.raises(EngineFailed) as nothing:
        await looked(an_answer(body_of({})), rows="/\x1bc")

    said = [failed.value.detail for failed in (several, lists, nothing)]
    assert all(sentence.isprintable() for sentence in said)
    assert r"`/\u001b]0;owned\u0007\u009b2J\u202e`, `/số`" in said[0]


async def test_one_array_of_several_can_be_chosen() -> None:
    assert (await looked(an_answer(body_of(TWO)), "/facets")).facts.columns[0].name == "name"


async def test_nobody_there_and_a_host_that_does_not_exist_are_told_apart() -> None:
    async with an_upstream() as upstream:
        url = upstream.url
    for address, said in {
        url: f"nothing answers at 127.0.0.1:{upstream.port}",
        "https://there-is-no-such-host.invalid": "there is no host of the name there-is-no-such-host.invalid",
    }.items():
        with pytest.raises(EngineFailed) as failed:
            await look(address_of(f"{address}/x.json"), internal=False)
        assert failed.value.detail == said


class Private(AbstractResolver):
    """A name server that knows one private address."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="10.1.2.3", port=port, family=family, proto=6, flags=0)]

    async def close(self) -> None:
        pass


async def test_a_name_that_leads_to_a_private_address_needs_the_operators_word() -> None:
    with pytest.raises(EngineFailed, match=r"leads to an address that is not public: .* say `--internal`"):
        await look(address_of("https://api.agency.example/x"), internal=False, resolver=Private())


async def test_a_drip_ends_at_the_deadline() -> None:
    async with an_upstream() as upstream:
        upstream.answers(*(bytes([byte]) for byte in an_answer(body_of(ROWS))), pause_s=0.05)
        with pytest.raises(EngineFailed, match="did not answer in time"):
            await look(address_of(f"{upstream.url}/x.json"), internal=False, deadline_s=0.3)
