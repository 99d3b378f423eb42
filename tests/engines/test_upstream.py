"""What an upstream may do to the gateway: answer well, or be one failure that tells nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs
from upstream import Upstream, an_answer, an_upstream

from gateway.engines.upstream import HEADERS, UpstreamEngine
from gateway.errors import EngineFailed
from gateway.telemetry import REGISTRY
from gateway.terms.dataset import (
    Column,
    ColumnType,
    Dataset,
    Personal,
    Source,
    SourceFormat,
    Title,
)
from gateway.terms.frame import UnprotectedRows
from gateway.terms.identifiers import ColumnName, DatasetId, LineageId, OrgId
from gateway.terms.plan import ProxyPlan
from gateway.terms.predicate import EVERY_ROW, Comparator, Comparison
from gateway.terms.treatment import Keep

ROWS = [{"id": "p1", "age": 41, "secret": "x"}, {"id": "p2", "age": 17}, {"id": "p3", "age": None}]
DEADLINE_S = 0.5


def a_plan(url: str, **more: Any) -> ProxyPlan:
    columns = tuple(
        Column(name=ColumnName(name), type=kind, meaning="", personal=Personal.NONE)
        for name, kind in (("id", ColumnType.TEXT), ("age", ColumnType.INTEGER))
    )
    dataset = Dataset(
        id=DatasetId("d"),
        revision=1,
        digest="",
        title=Title(vi="", en=""),
        publisher=OrgId("o"),
        sharing="shared",
        importance="none",
        personal=Personal.BASIC,
        source=Source(path=url, format=SourceFormat.HTTP, lineage=LineageId("l")),
        unit=None,
        columns=columns,
    )
    settings = {
        "dataset": dataset,
        "columns": tuple((column.name, Keep()) for column in columns),
        "predicate": EVERY_ROW,
        "rows_max": 100,
        "path": "/people.json",
        "parameters": (("_size", "10"),),
        "rows_pointer": "/rows",
        "cursor_pointer": "/next",
        "ordered_by": None,
        "order_key": bytes(32),
        "digest": "00" * 32,
    }
    return ProxyPlan(**(settings | more))


def body_of(rows: Any = ROWS, **more: Any) -> bytes:
    return json.dumps({"rows": rows, "next": None, "count": 12345} | more).encode()


@asynccontextmanager
async def placed(**more: Any) -> AsyncIterator[tuple[Upstream, UpstreamEngine]]:
    engine = UpstreamEngine.create(**({"deadline_s": DEADLINE_S} | more))
    async with an_upstream() as upstream:
        try:
            yield upstream, engine
        finally:
            await engine.close()


async def asked(engine: UpstreamEngine, plan: ProxyPlan) -> UnprotectedRows:
    frame = await engine.execute(plan)
    assert isinstance(frame, UnprotectedRows)
    return frame


def rows_of(frame: UnprotectedRows) -> list[dict[str, Any]]:
    return [dict(zip(frame.columns, row, strict=True)) for row in zip(*frame.columns.values(), strict=True)]


async def test_declared_columns_come_typed_and_nothing_else_does() -> None:
    async with placed() as (upstream, engine):
        upstream.answers(an_answer(body_of(), ETag='"abc"', Link="<http://x>; rel=next", Set_Cookie="a=b"))
        before = REGISTRY.get_sample_value("gateway_unknown_fields_total", {"dataset": "d"}) or 0

        frame = await asked(engine, a_plan(upstream.url))

    rows = sorted(rows_of(frame), key=lambda row: row["id"])
    assert rows == [{"id": "p1", "age": 41}, {"id": "p2", "age": 17}, {"id": "p3", "age": None}]
    assert frame.upstream_cursor is None
    assert REGISTRY.get_sample_value("gateway_unknown_fields_total", {"dataset": "d"}) == before + 1


async def test_p3_a_field_that_an_upstream_gains_is_dropped_and_told_once() -> None:
    """Promise P3."""
    async with placed() as (upstream, engine):
        plan = a_plan(upstream.url)
        frames = []
        with capture_logs() as logs:
            for rows in ([{"id": "p", "age": 1}], *[[{"id": "p", "age": 1, "phone": "0912"}]] * 2):
                upstream.answers(an_answer(body_of(rows)))
                frames.append(await asked(engine, plan))

    assert [frame.columns for frame in frames] == [{"id": ["p"], "age": [1]}] * 3
    assert [line["names"] for line in logs if line["event"] == "columns_unnamed"] == ["phone"]
    assert REGISTRY.get_sample_value("gateway_source_columns_unnamed", {"dataset": "d"}) == 1
    assert "0912" not in str(logs)


async def test_the_upstream_sees_the_plans_parameters_and_nothing_of_the_caller() -> None:
    async with placed() as (upstream, engine):
        upstream.answers(an_answer(body_of()))
        parameters = (("_size", "10"), ("sex", "a&b=c+d e#/?;é%"))
        await asked(engine, a_plan(upstream.url, parameters=parameters))

    line, *headers = upstream.requests[0].decode().split("\r\n")
    assert line == "GET /people.json?_size=10&sex=a%26b%3Dc%2Bd+e%23/?%3B%C3%A9%25 HTTP/1.1"
    names = {header.partition(":")[0] for header in headers if header}
    assert names == {"Host", *HEADERS}


async def test_a_column_may_have_another_name_at_the_upstream() -> None:
    """In the reply; and the order that is asked for is by that name."""
    async with placed() as (upstream, engine):
        upstream.answers(an_answer(body_of([{"Số CCCD": f"p{n}", "age": n, "id": "x"} for n in range(5)])))
        plan = a_plan(upstream.url, ordered_by="Số CCCD")
        ids, age = plan.dataset.columns
        dataset = replace(plan.dataset, columns=(replace(ids, stored_as="Số CCCD"), age))
        before = REGISTRY.get_sample_value("gateway_unknown_fields_total", {"dataset": "d"}) or 0
        frame = await asked(engine, replace(plan, dataset=dataset))

    assert list(frame.columns["id"]) == [f"p{n}" for n in range(5)]
    assert REGISTRY.get_sample_value("gateway_unknown_fields_total", {"dataset": "d"}) == before + 5


async def test_a_row_that_the_owners_filter_does_not_select_does_not_come() -> None:
    adults = Comparison(ColumnName("age"), Comparator.AT_LEAST, (18,))
    async with placed() as (upstream, engine):
        upstream.answers(an_answer(body_of()))
        only_ids = ((ColumnName("id"), Keep()),)
        frame = await asked(engine, a_plan(upstream.url, predicate=adults, columns=only_ids))

    assert rows_of(frame) == [{"id": "p1"}]


async def test_rows_are_in_the_recipients_own_order_and_ties_of_an_asked_order_too() -> None:
    many = [{"id": f"p{n:02}", "age": n // 10} for n in range(30)]
    async with placed() as (upstream, engine):
        upstream.answers(an_answer(body_of(many)))
        plan = a_plan(upstream.url)
        one = rows_of(await asked(engine, plan))
        again = rows_of(await asked(engine, plan))
        other = rows_of(await asked(engine, replace(plan, order_key=bytes(31) + b"\x01")))
        by_age = rows_of(await asked(engine, replace(plan, ordered_by=ColumnName("age"))))

    assert one == again
    assert one not in (many, other)
    assert sorted(one, key=lambda row: row["id"]) == sorted(other, key=lambda row: row["id"]) == many
    assert [row["age"] for row in by_age] == [row["age"] for row in many]
    assert by_age != many


async def test_a_reply_of_other_bytes_has_another_order() -> None:
    """Promise P8: else a list that shifts by one row shows which row stands beside which."""
    many = [{"id": f"p{n}", "age": n} for n in range(100)]
    async with placed() as (upstream, engine):
        plan = a_plan(upstream.url)
        orders = []
        for rows in (many, many[1:]):
            upstream.answers(an_answer(body_of(rows)))
            orders.append((await asked(engine, plan)).columns[ColumnName("age")])

    before = [n for n in orders[0] if n != 99]
    assert sorted(orders[1], key=str) == sorted(range(1, 100), key=str)
    pairs = zip(before, orders[1], strict=True)
    assert sum(isinstance(mine, int) and mine + 1 == theirs for mine, theirs in pairs) <= 10  # of 1


async def test_in_an_order_that_was_asked_for_values_shown_alike_tell_nothing_apart() -> None:
    """The upstream orders by what it holds; the firm gets whole years, and nulls for what is none."""
    exact = [{"id": f"p{n:02}", "age": f"{n // 10}.00" if n % 3 else f"none {n}"} for n in range(30)]
    async with placed() as (upstream, engine):
        upstream.answers(an_answer(body_of(exact)))
        plan = a_plan(upstream.url, ordered_by="age")
        one, other = [await asked(engine, replace(plan, order_key=bytes(31) + bytes([n]))) for n in range(2)]

    ages, ids = (one.columns[ColumnName(name)] for name in ("age", "id"))
    assert ages == other.columns[ColumnName("age")] == [None] * 10 + [0] * 6 + [1] * 7 + [2] * 7
    for run in (slice(0, 10), slice(10, 16), slice(16, 23), slice(23, 30)):
        assert list(ids[run]) != sorted(map(str, ids[run]))
        assert ids[run] != other.columns[ColumnName("id")][run]


async def test_connections_to_a_source_that_is_not_served_any_more_are_closed() -> None:
    async with placed() as (upstream, engine):
        upstream.answers(an_answer(body_of()))
        plan = a_plan(upstream.url)
        other = replace(plan, dataset=replace(plan.dataset, id=DatasetId("other")))
        for each in (plan, other):
            await asked(engine, each)
        sessions = {name: session for (name, _), session in engine.sessions.items()}
        await engine.retain({plan.dataset.id})

        assert sessions.keys() == {"d", "other"}
        assert {name: session.closed for name, session in sessions.items()} == {"d": False, "other": True}
        assert [name for name, _ in engine.sessions] == ["d"]
        assert (await asked(engine, other)).count == 3


@pytest.mark.parametrize(
    ("given", "cursor"), [("a/b", "a/b"), (100, "100"), (None, None), ("", None), ("x" * 512, "x" * 512)]
)
async def test_the_upstreams_cursor_is_kept_for_sealing(given: object, cursor: str | None) -> None:
    async with placed() as (upstream, engine):
        upstream.answers(an_answer(body_of(next=given)))
        assert (await asked(engine, a_plan(upstream.url))).upstream_cursor == cursor
        assert (await asked(engine, a_plan(upstream.url, cursor_pointer=None))).upstream_cursor is None


WELL = body_of()
DEEP = b'{"rows":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
BROKEN: dict[str, tuple[bytes, ...]] = {
    "hangs": (),
    "half a header": (b"HTTP/1.1 200 OK\r\nContent-Ty",),
    "no http": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n",),
    "promises more than it sends": (an_answer(WELL, Content_Length=str(len(WELL) + 5)),),
    "promises less than it sends": (an_answer(WELL, Content_Length=str(len(WELL) - 5)),),
    "two lengths": (an_answer(WELL, Content_Length="1\r\nContent-Length: 5"),),
    "a negative length": (an_answer(WELL, Content_Length="-5"),),
    "a length and chunks": (an_answer(b"0\r\n\r\n", Transfer_Encoding="chunked"),),
    "broken chunks": (an_answer(b"zz\r\n", Content_Length="", Transfer_Encoding="chunked"),),
    "a length of ten gigabytes": (an_answer(WELL, Content_Length=str(10 << 30)),),
    "html": (an_answer(b"<html>", content_type="text/html"),),
    "html called json": (an_answer(b"<html>p1</html>"),),
    "json called html": (an_answer(WELL, content_type="text/html"),),
    "no content type": (an_answer(WELL, content_type=""),),
    "another charset": (an_answer(WELL, content_type="application/json; charset=utf-16"),),
    "utf-16": (an_answer(WELL.decode().encode("utf-16")),),
    "latin-1": (an_answer('{"rows":[{"id":"é"}]}'.encode("latin-1")),),
    "a byte order mark": (an_answer(b"\xef\xbb\xbf" + WELL),),
    "nan": (an_answer(b'{"rows":[{"age":NaN}]}'),),
    "infinity": (an_answer(b'{"rows":[{"age":-Infinity}]}'),),
    "a name twice": (an_answer(b'{"rows":[{"id":"p1","id":"p2"}]}'),),
    "rows twice": (an_answer(b'{"rows":[],"rows":[{"id":"p1"}]}'),),
    "two documents": (an_answer(WELL + WELL),),
    "nothing": (an_answer(b""),),
    "thousands of digits": (an_answer(b'{"rows":[{"age":' + b"9" * 5000 + b"}]}"),),
    "too deep": (an_answer(DEEP),),
    "too many parts": (an_answer(body_of(more=[[]] * 200_000)),),
    "no rows": (an_answer(b'{"data":[]}'),),
    "rows that are none": (an_answer(b'{"rows":{"id":"p1"}}'),),
    "rows of lists": (an_answer(b'{"rows":[["p1",41]]}'),),
    "one row that is none": (an_answer(b'{"rows":[{"id":"p1"},null]}'),),
    "more rows than asked": (an_answer(body_of(ROWS * 50)),),
    "a cursor that is none": (an_answer(body_of(next={"a": 1})),),
    "a cursor without end": (an_answer(body_of(next="x" * 513)),),
    "an error": (an_answer(WELL, status="500 Oops"),),
    "not found": (an_answer(WELL, status="404 Not Found"),),
    "partial": (an_answer(WELL, status="206 Partial Content", Content_Range="bytes 0-5/9"),),
    "not modified": (an_answer(b"", status="304 Not Modified"),),
    "packed": (an_answer(WELL, Content_Encoding="gzip"),),
    "a redirect elsewhere": (an_answer(b"", status="302 Found", Location="http://127.0.0.1:1/x"),),
    "a redirect home": (an_answer(b"", status="301 Moved", Location="/people.json"),),
    "another protocol": (
        an_answer(b"", status="101 Switching Protocols", Upgrade="x", Connection="upgrade"),
    ),
}


@pytest.mark.parametrize("parts", BROKEN.values(), ids=BROKEN.keys())
async def test_what_is_not_a_good_answer_is_one_failure_and_the_pool_is_healthy_after(
    parts: tuple[bytes, ...],
) -> None:
    async with placed() as (upstream, engine):
        upstream.answers(*parts)
        for _ in range(2):
            with pytest.raises(EngineFailed) as failed:
                await engine.execute(a_plan(upstream.url))
            assert failed.value.__cause__ is None
            assert "p1" not in str(failed.value)
            assert "p1" not in "".join(getattr(failed.value, "__notes__", ()))

        upstream.answers(an_answer(WELL))
        frames = await asyncio.gather(*(asked(engine, a_plan(upstream.url)) for _ in range(40)))

    assert {frame.count for frame in frames} == {3}


async def test_a_reset_in_the_body_is_a_failure() -> None:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(an_answer(WELL)[:-10])
        await writer.drain()
        writer.transport.abort()

    async with placed() as (upstream, engine):
        upstream.behave = behave
        with pytest.raises(EngineFailed):
            await engine.execute(a_plan(upstream.url))
        upstream.answers(an_answer(WELL))
        assert (await asked(engine, a_plan(upstream.url))).count == 3


async def test_a_drip_ends_at_the_deadline() -> None:
    async with placed() as (upstream, engine):
        upstream.answers(*(bytes([byte]) for byte in an_answer(WELL)), pause_s=0.05)
        started = asyncio.get_running_loop().time()
        with pytest.raises(EngineFailed):
            await engine.execute(a_plan(upstream.url))
        assert asyncio.get_running_loop().time() - started < DEADLINE_S + 0.5


async def test_a_body_without_end_is_left_at_the_bound() -> None:
    sent = 0

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(an_answer(b"", Content_Length="", Transfer_Encoding="chunked"))
        while True:
            writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
            sent += 65536
            await writer.drain()

    async with placed(deadline_s=10.0, bytes_max=1 << 20) as (upstream, engine):
        upstream.behave = behave
        with pytest.raises(EngineFailed):
            await engine.execute(a_plan(upstream.url))
    assert sent < 64 << 20


async def test_nobody_there_is_a_failure() -> None:
    async with placed() as (upstream, engine):
        url = upstream.url
    engine = UpstreamEngine.create(deadline_s=DEADLINE_S)
    with pytest.raises(EngineFailed):
        await engine.execute(a_plan(url))
    await engine.close()


async def test_bytes_after_an_answer_are_never_the_answer_to_the_next_question() -> None:
    stale = an_answer(body_of([{"id": "stale", "age": 1}]))

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(an_answer(WELL))
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(stale)
        await writer.drain()

    async with placed() as (upstream, engine):
        upstream.behave = behave
        ids = set()
        for _ in range(4):
            frame = await asked(engine, a_plan(upstream.url))
            ids |= set(frame.columns[ColumnName("id")])
            await asyncio.sleep(0.05)

    assert ids == {"p1", "p2", "p3"}


async def test_a_good_connection_is_used_again_and_there_are_at_most_sixteen() -> None:
    async with placed(deadline_s=10.0) as (upstream, engine):
        upstream.answers(an_answer(WELL))
        for _ in range(5):
            await asked(engine, a_plan(upstream.url))
        assert upstream.connections == 1

        async def slowly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.02)
            writer.write(an_answer(WELL))

        upstream.behave = slowly
        await asyncio.gather(*(asked(engine, a_plan(upstream.url)) for _ in range(60)))
        assert upstream.connections <= 16


async def test_plain_http_does_not_answer_for_https() -> None:
    async with placed() as (upstream, engine):
        upstream.answers(an_answer(WELL))
        with pytest.raises(EngineFailed):
            await engine.execute(a_plan(upstream.url.replace("http:", "https:")))


def a_large_body() -> bytes:
    return body_of([{"id": f"p{n}", "age": n, "note": "x" * 1000} for n in range(90)])


@pytest.mark.parametrize("make", [body_of, a_large_body])
async def test_small_and_large_bodies_are_read_alike(make: Callable[[], bytes]) -> None:
    async with placed(deadline_s=10.0) as (upstream, engine):
        upstream.answers(an_answer(make()))
        frame = await asked(engine, a_plan(upstream.url))
    assert frame.count == len(json.loads(make())["rows"])
