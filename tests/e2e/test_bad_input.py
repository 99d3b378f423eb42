"""What an upstream or a changing file does to a real gateway: a typed problem, an entry, nothing unmasked."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from house import House, a_firm, make_house
from upstream import Upstream, an_answer, an_upstream

from gateway.cli.demo.cast import Firm
from gateway.client import Gateway, GatewayProblem
from gateway.ledger.audit import verify_store

HEAD = """\
policy: 1
id: {name}
revision: 1
valid: {{from: 2026-01-01, until: 2030-12-31}}
title: {{vi: Người, en: People}}
publisher: {{org: nso, name: {{vi: Cục, en: Office}}}}
steward: Chief
classification: {{sharing: shared, importance: none, personal: basic}}
source: {source}
columns:
  id: {{type: text, personal: basic}}
  age: {{type: integer, personal: basic}}
purposes: {{research: {{vi: Nghiên cứu, en: Research}}}}
permits:
  - id: rows
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [{may}]
    assurance: {{acr: aal2, max_age: 8h}}
    columns: {{id: tokenise, age: keep}}
    limits: {{rows: 100}}
"""
SECRET = "001085012345"
CHARGED_FAILURE = "urn:problem:gateway:charged-failure"
WELL = json.dumps({"rows": [{"id": SECRET, "age": 41}]}).encode()
CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"
BAD: dict[str, tuple[bytes, ...]] = {
    "hangs": (),
    "drips": tuple(bytes([byte]) for byte in an_answer(WELL)),
    "lies about its length": (an_answer(WELL, Content_Length=str(len(WELL) + 9)),),
    "html": (an_answer(f"<p>{SECRET}</p>".encode(), content_type="text/html"),),
    "wrong charset": (an_answer(WELL.decode().encode("utf-16")),),
    "nan": (an_answer(WELL.replace(b"41", b"NaN")),),
    "duplicate keys": (an_answer(WELL.replace(b'"age"', b'"id"')),),
    "ten gigabytes": (an_answer(WELL, Content_Length=str(10 << 30)),),
    "no end": (an_answer(b"", Content_Length="", Transfer_Encoding="chunked"), *[CHUNK] * 200),
    "redirects elsewhere": (an_answer(WELL, status="302 Found", Location=f"http://x.example/{SECRET}"),),
    "an error with a body": (an_answer(WELL, status="500 Oops"),),
}


def a_house(folder: Path, rules: dict[str, str]) -> tuple[House, Firm]:
    house, firm = make_house(folder / "home", data=folder, rules=rules), a_firm()
    house.register(firm)
    return house, firm


def impatient(house: House) -> None:
    """An upstream gets a second, not ten."""
    settings = house.home / "gateway.toml"
    text = settings.read_text(encoding="utf-8")
    assert "engine_deadline_s = 10.0" in text
    settings.write_text(text.replace("engine_deadline_s = 10.0", "engine_deadline_s = 1.0"), encoding="utf-8")


@asynccontextmanager
async def placed(folder: Path) -> AsyncIterator[tuple[House, Upstream, Gateway]]:
    async with an_upstream() as upstream:
        source = f'{{url: "{upstream.url}", format: http, lineage: people}}'
        rules = (
            HEAD.format(name="people", source=source, may="proxy") + "    paths: [{path: /p, rows: /rows}]\n"
        )
        house, firm = await asyncio.to_thread(a_house, folder, {"people": rules})
        impatient(house)
        with house.serving():
            async with house.session(firm) as session:
                yield house, upstream, session


def entries(house: House) -> int:
    verified = verify_store(house.store, house.vkey)
    assert verified.faults == ()
    return verified.size


async def failed(session: Gateway) -> GatewayProblem:
    with pytest.raises(GatewayProblem) as problem:
        await session.proxy("people", "p")
    return problem.value


async def test_a_bad_upstream_is_one_problem_with_an_entry_and_a_good_answer_comes_after(
    tmp_path: Path,
) -> None:
    async with placed(tmp_path) as (house, upstream, session):
        upstream.answers(an_answer(WELL))
        good = (await session.proxy("people", "p")).document["rows"]
        said = {}
        for name, parts in BAD.items():
            upstream.answers(*parts, pause_s=0.02 if name == "drips" else 0)
            problem = await failed(session)
            assert problem.receipt is not None, name
            assert problem.receipt.verify(house.vkey).entry["facts"]["status"] == 500, name  # type: ignore[index,call-overload]
            said[name] = (problem.status, problem.type, problem.detail, set(problem.members))
            upstream.answers(an_answer(WELL))
            answers = await asyncio.gather(*(session.proxy("people", "p") for _ in range(3)))
            assert [answer.document["rows"] for answer in answers] == [good] * 3, name

    assert len({str(each) for each in said.values()}) == 1  # what went wrong is nobody's business
    assert said["hangs"][:2] == (500, CHARGED_FAILURE)
    assert good[0]["id"].startswith("p1_")
    assert entries(house) > 4 * len(BAD)
    told = (house.home / "serve.err").read_text(encoding="utf-8")
    assert SECRET not in told
    assert SECRET.encode() not in house.store.read_bytes()


async def test_a_file_that_changes_while_it_is_served_is_answered_anew_or_not_at_all(tmp_path: Path) -> None:
    source = "{path: people.csv, format: csv, lineage: people}"
    path = tmp_path / "people.csv"
    path.write_text(f"id,age\n{SECRET},1\n", encoding="utf-8")
    rules = {"people": HEAD.format(name="people", source=source, may="extract")}
    house, firm = await asyncio.to_thread(a_house, tmp_path, rules)
    with house.serving():
        async with house.session(firm) as session:
            ages = [await asked(session)]
            for content in (f"id,age\n{SECRET},2\n{SECRET},3\n", f"other,age\n{SECRET},4\n", ""):
                path.write_text(content, encoding="utf-8")
                ages.append(await asked(session))
            path.write_text(f"id,age\n{SECRET},5\n", encoding="utf-8")
            last = await asked(session)
            async with asyncio.timeout(10):  # what could not be prepared rests for ten times what that took
                while last == CHARGED_FAILURE:
                    await asyncio.sleep(0.1)
                    last = await asked(session)
            ages.append(last)

    assert ages == [[1], [2, 3], CHARGED_FAILURE, CHARGED_FAILURE, [5]]
    assert entries(house) > 2 * len(ages)
    assert SECRET not in (house.home / "serve.err").read_text(encoding="utf-8")


async def test_a_cursor_of_data_that_changed_is_refused_by_name_and_pulling_again_is_whole(
    tmp_path: Path,
) -> None:
    source = "{path: people.csv, format: csv, lineage: people}"
    rules = {"people": HEAD.format(name="people", source=source, may="extract")}

    def put(ages: range) -> None:
        lines = [f"{SECRET}{age},{age}\n" for age in ages]
        (tmp_path / "people.csv").write_text("id,age\n" + "".join(lines), encoding="utf-8")

    put(range(20))
    house, firm = await asyncio.to_thread(a_house, tmp_path, rules)
    with house.serving():
        async with house.session(firm) as session:
            first = await session.records("people", limit=10)
            put(range(1, 20))
            with pytest.raises(GatewayProblem) as changed:
                await session.records("people", limit=10, cursor=first.next_cursor)
            pages = [page async for page in session.all_records("people", limit=10)]

    assert (changed.value.status, changed.value.type) == (409, "urn:problem:gateway:data-changed")
    assert changed.value.receipt is not None
    assert changed.value.receipt.verify(house.vkey).entry["kind"] == "deny"  # type: ignore[index,call-overload]
    assert sorted(row["age"] for page in pages for row in page.document["rows"]) == list(range(1, 20))


async def asked(session: Gateway) -> list[int] | str:
    """Return the ages that came, or the problem that did."""
    try:
        answer = await session.records("people")
    except GatewayProblem as problem:
        return "no receipt" if problem.receipt is None or SECRET in str(problem) else problem.type
    return sorted(row["age"] for row in answer.document["rows"])
