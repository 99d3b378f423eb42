"""Real tables, hand-written rules, a real process, real clients: what comes back is what was promised.

Expected values are computed here from the files themselves, with plain Python.
"""

import asyncio
import json
from collections import Counter
from decimal import Decimal

import pytest
from real_data import Table
from scene import Scene

from gateway.client import Answer, Gateway
from gateway.ledger.audit import verify_store

REPETITIONS = 200
WITHIN_AT_LEAST = 178
"""Of 200 intervals at 95 %: below this by chance once in ten thousand runs."""
AT_ONCE = 25


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        from real_data import tables  # noqa: PLC0415  found when tests are collected

        metafunc.parametrize("place", range(len(tables().tables)))


@pytest.fixture
def table(scene: Scene, place: int) -> Table:
    return scene.tables.tables[place]


def banded(text: str, width: int) -> int:
    return int(Decimal(text) // width * width)


async def pulled(session: Gateway, table: Table) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    async for page in session.all_records(table.dataset, limit=500):
        rows += page.document["rows"]
        if len(rows) >= 2000:
            break
    return rows


async def test_a_masked_pull_shows_what_the_rules_keep_and_nothing_else(scene: Scene, table: Table) -> None:
    async with scene.house.session(scene.firm) as session:
        answer = await session.records(table.dataset, limit=500)
    rows = answer.document["rows"]
    column, width = table.banded

    allowed = {
        banded(row[column], width)
        for row in table.raw
        if row[column] not in {"", "NA"}
        and (table.floor is None or int(row[table.floor[0]]) >= table.floor[1])
    }
    assert len(rows) == min(500, len(table.raw))
    assert {row[column] for row in rows} <= allowed
    assert all(str(row[table.pseudonymised]).startswith("p1_") for row in rows)
    assert not set(table.hidden) & set(rows[0])
    raw_ids = {f'"{row[table.pseudonymised]}"' for row in table.raw}
    assert not any(raw in answer.body.decode() for raw in raw_ids)
    assert answer.receipt is not None
    assert answer.receipt.verify(scene.house.vkey).entry["facts"]["rows"] == len(rows)  # type: ignore[index,call-overload]


async def test_pages_show_every_row_once(scene: Scene, place: int) -> None:
    table = scene.tables.tables[place]
    async with scene.house.session(scene.firm) as session:
        rows = await pulled(session, table)
    column, width = table.banded
    floor = table.floor

    if len(table.raw) <= 2000:
        assert Counter(row[column] for row in rows) == Counter(
            banded(row[column], width) for row in table.raw
        )
    else:
        assert len(rows) == 2000
    if floor is not None and floor[0] == column:
        assert min(int(str(row[column])) for row in rows) >= floor[1] // width * width


async def test_p8_two_firms_get_other_pseudonyms_in_another_order(scene: Scene, place: int) -> None:
    """Promise P8: the same rows at two firms share no token, and do not align."""
    table = scene.tables.tables[place]
    async with scene.house.session(scene.firm) as one, scene.house.session(scene.rival) as two:
        first, again = (
            await one.records(table.dataset, limit=500),
            await one.records(table.dataset, limit=500),
        )
        other = await two.records(table.dataset, limit=500)

    def tokens(answer: Answer) -> list[str]:
        return [row[table.pseudonymised] for row in answer.document["rows"]]

    assert tokens(first) == tokens(again)
    assert not set(tokens(first)) & set(tokens(other))
    plain = [[v for k, v in row.items() if k != table.pseudonymised] for row in first.document["rows"]]
    plain_other = [[v for k, v in row.items() if k != table.pseudonymised] for row in other.document["rows"]]
    assert plain != plain_other


async def test_p4_the_exact_value_lies_within_the_margin_as_often_as_stated(scene: Scene, place: int) -> None:
    """Promise P4: 200 independent answers, each with its own charge; count, sum and average."""
    table = scene.tables.tables[place]
    low, high = table.bounds
    numbers = [
        min(max(float(row[table.number]), low), high) for row in table.raw if row[table.number] != "NA"
    ]
    exact = {"n": len(table.raw), "total": sum(numbers), "mean": sum(numbers) / len(numbers)}
    sql = f"SELECT COUNT(*) AS n, SUM({table.number}) AS total, AVG({table.number}) AS mean FROM data"  # noqa: S608

    gate = asyncio.Semaphore(AT_ONCE)
    async with scene.house.session(scene.firm) as session:

        async def asked() -> dict[str, dict[str, float]]:
            async with gate:
                answer = await session.query(table.dataset, sql, rho="0.03")
                return answer.document["rows"][0]  # type: ignore[no-any-return]

        before = await spent(session, table.dataset)
        rows = await asyncio.gather(*(asked() for _ in range(REPETITIONS)))
        after = await spent(session, table.dataset)

    within = {
        name: sum(abs(row[name]["value"] - exact[name]) <= row[name]["margin"] for row in rows)
        for name in exact
    }
    assert all(count >= WITHIN_AT_LEAST for count in within.values()), within
    assert len({row["n"]["value"] for row in rows}) > 1
    assert after - before == REPETITIONS * Decimal("0.03")


async def spent(session: Gateway, dataset: str) -> Decimal:
    budgets = (await session.budgets()).document["budgets"]
    return next(Decimal(node["client"]["rho_spent"]) for node in budgets if node["dataset"] == dataset)


async def test_groups_of_the_public_list_are_all_there_and_near_the_truth(scene: Scene, place: int) -> None:
    table = scene.tables.tables[place]
    sql = f'SELECT "{table.group}", COUNT(*) AS n FROM data GROUP BY "{table.group}"'  # noqa: S608
    async with scene.house.session(scene.firm) as session:
        described = (await session.dataset(table.dataset)).document
        answer = await session.query(table.dataset, sql, rho="0.05")
    exact = Counter(row[table.group] for row in table.raw)
    listed = next(column["values"] for column in described["columns"] if column["name"] == table.group)
    rows = answer.document["rows"]

    assert [str(row[table.group]) for row in rows] == listed
    assert all(
        abs(row["n"]["value"] - exact[str(row[table.group])]) <= 4 * row["n"]["margin"] for row in rows
    )
    assert list(answer.frame().columns) == [table.group, "n", "n_margin"]


async def test_p2_a_dry_run_names_the_price_that_is_then_charged(scene: Scene, place: int) -> None:
    """Promise P2: the plan's price, the answer's charge and the ledger's debit are one number."""
    table = scene.tables.tables[place]
    sql = "SELECT COUNT(*) FROM data"
    async with scene.house.session(scene.firm) as session:
        before = await spent(session, table.dataset)
        price = (await session.plan(table.dataset, sql=sql, epsilon="0.1")).document["price"]
        unchanged = await spent(session, table.dataset)
        answer = await session.query(table.dataset, sql, epsilon="0.1")
        after = await spent(session, table.dataset)

    assert before == unchanged
    assert answer.document["charge"]["rho"] == price["rho"]
    assert after - before == Decimal(price["rho"])


async def test_the_same_idempotency_key_gives_the_same_bytes_and_costs_once(scene: Scene, place: int) -> None:
    table = scene.tables.tables[place]
    sql = "SELECT COUNT(*) FROM data"
    async with scene.house.session(scene.firm) as session:
        first = await session.query(table.dataset, sql, rho="0.01", idempotency_key=f"once-{place}")
        between = await spent(session, table.dataset)
        again = await session.query(table.dataset, sql, rho="0.01", idempotency_key=f"once-{place}")
        after = await spent(session, table.dataset)

    assert again.body == first.body
    assert after == between
    assert again.receipt is not None
    assert again.receipt.verify(scene.house.vkey).index != first.receipt.verify(scene.house.vkey).index  # type: ignore[union-attr]


async def test_p5_answers_and_charged_statistics_leave_at_their_slot(scene: Scene, place: int) -> None:
    """Promise P5: the release entry's time is the charge's time plus the plan's delay, exactly."""
    table = scene.tables.tables[place]
    async with scene.house.session(scene.firm) as session:
        plan = (await session.plan(table.dataset, sql="SELECT COUNT(*) FROM data")).document
        await asyncio.gather(*(session.query(table.dataset, "SELECT COUNT(*) FROM data") for _ in range(3)))
        answer = await session.query(table.dataset, "SELECT COUNT(*) FROM data", rho="0.01")
    assert answer.receipt is not None
    entry = json.loads(answer.receipt.entry)

    log = {}
    report = verify_store(scene.house.store, scene.house.vkey)
    assert report.faults == ()
    log = charges_of(scene)
    assert entry["ts"] == log[entry["charge"]] + int(plan["release_after_s"] * 1000)


def charges_of(scene: Scene) -> dict[int, int]:
    """Index -> time of every charge, read from the store by an outsider."""
    import sqlite3  # noqa: PLC0415  only to read

    with sqlite3.connect(f"file:{scene.house.store}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT idx, leaf FROM entry").fetchall()
    entries = {index: json.loads(leaf) for index, leaf in rows}
    return {index: entry["ts"] for index, entry in entries.items() if entry["kind"] == "charge"}
