"""Lookups before a real gateway: what a key finds, what it costs, and that a miss tells nothing."""

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from house import House, a_firm, make_house
from lookup_scene import AN, BINH, CLIENT_KEYS, DATASET, MISSES, REGISTER, RULES, left, rows

from gateway.cli.demo.cast import Firm
from gateway.client import Gateway, GatewayProblem, Profile, SyncGateway
from gateway.ledger.audit import verify_store

NOTARIES = [a_firm(f"notary-{n}", "notary", "marital-status", n) for n in range(1, 6)]
PATH = f"/v1/datasets/{DATASET}/lookup"
NOT_TELLING = {"Gateway-Receipt", "Gateway-Entry", "DPoP-Nonce", "Date"}
"""Headers that differ between any two replies."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("lookup")
    (folder / "data").mkdir()
    (folder / "data" / "register.csv").write_text(REGISTER, encoding="utf-8")
    house = make_house(folder / "home", data=folder / "data", rules={DATASET: RULES})
    house.register(*NOTARIES)
    with house.serving():
        yield house


@pytest.fixture
async def notary(house: House) -> AsyncIterator[Gateway]:
    async with house.session(NOTARIES[0]) as gateway:
        yield gateway


async def test_keys_find_rows_that_say_which_key_found_them_and_the_answer_says_what_is_left(
    notary: Gateway, house: House
) -> None:
    before = await left(notary)

    answer = await notary.lookup(DATASET, [BINH, MISSES["another date of birth"], AN])

    found = rows(answer)
    assert found[0] == {"_key": 1, "full_name": "T************", "status": "married", "province": "01"}
    assert sorted((row["_key"], row["status"], row["province"]) for row in found[1:]) == [
        (3, "divorced", "79"),
        (3, "married", "01"),
    ]
    after = {whose: keys - 3 for whose, keys in before.items()}
    assert answer.document["charge"] == {"keys": 3, "left": {w: {"keys": k} for w, k in after.items()}}
    assert await left(notary) == after
    assert answer.receipt is not None
    entry = json.loads(answer.receipt.entry)
    assert (entry["kind"], entry["facts"]["keys"], entry["facts"]["rows"]) == ("release", 3, 3)
    assert answer.receipt.verify(house.vkey)
    assert answer.frame()["_key"].tolist() == [row["_key"] for row in found]


async def test_the_function_of_the_guide_finds_who_is_married(house: House) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")
    (program,) = (each for each in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if ".lookup(" in each)
    renamed = {"vn.moj.civil-registry-2026": DATASET, '"event"': '"status"', '"marriage"': '"married"'}
    for theirs, here in renamed.items():
        program = program.replace(theirs, here)
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102  what the guide says

    def tried(*keys: tuple[str, str]) -> list[bool]:
        firm = NOTARIES[1]
        with SyncGateway(house.origin, client=firm.client, key=firm.key) as gateway:
            gateway.resume(firm.purpose)
            return [names["married"](gateway, number, born) for number, born in keys]

    async with house.session(NOTARIES[1]):
        assert await asyncio.to_thread(
            tried, ("001190023456", "1990-11-02"), ("001190023456", "1990-11-03")
        ) == [True, False]


async def asked(gateway: Gateway, key: dict[str, object], accept: str) -> tuple[Any, ...]:
    """Everything of a reply that could tell of what was found: status, headers, body."""
    body = json.dumps({"keys": [key]}).encode()
    headers = {"Accept": accept, "Content-Type": "application/json"}
    response = await gateway.forward("POST", PATH, query_string="", body=body, headers=headers)
    kept = {name: value for name, value in response.headers.items() if name not in NOT_TELLING}
    return response.status, kept, response.body


@pytest.mark.parametrize("accept", ["text/csv", "application/x-ndjson"])
async def test_p5_every_kind_of_miss_is_one_and_the_same_reply(house: House, accept: str) -> None:
    """Promise P5: not there, hidden, another second attribute, or none at all: the same bytes and headers."""
    async with house.session(NOTARIES[1]) as gateway:
        *replies, hit = await asyncio.gather(*(asked(gateway, key, accept) for key in [*MISSES.values(), AN]))

    assert replies == [replies[0]] * len(MISSES)
    assert replies[0][0] == 200
    assert hit[2] != replies[0][2]


async def test_p5_hits_and_misses_take_the_same_public_time(house: House) -> None:
    """Promise P5: from the charge to the reply's entry it is one second, whatever was found."""
    async with house.session(NOTARIES[1]) as gateway:
        await asyncio.gather(*(gateway.lookup(DATASET, [key]) for key in [AN, *MISSES.values()]))

    entries = {index: json.loads(leaf) for index, leaf in leaves(house)}
    lookups = [entry for entry in entries.values() if entry["kind"] == "release"]
    assert {entry["ts"] - entries[entry["charge"]]["ts"] for entry in lookups} == {1000}


async def test_enumeration_is_stopped_by_the_meter_and_misses_count_like_hits(house: House) -> None:
    async with house.session(NOTARIES[2]) as gateway:
        tried, problem = 0, None
        while problem is None and tried <= CLIENT_KEYS:
            keys = [{"key": f"{number:012}", "matching": {"birth_date": "1985-03-14"}}
                    for number in range(tried, tried + 5)]  # fmt: skip
            try:
                await gateway.lookup(DATASET, keys)
                tried += 5
            except GatewayProblem as refused:
                problem = refused
        with pytest.raises(GatewayProblem) as hit:
            await gateway.lookup(DATASET, [AN])
        remaining = await left(gateway)

    assert problem is not None
    assert (tried, problem.type, problem.status) == (CLIENT_KEYS, "urn:problem:gateway:keys-exhausted", 429)
    assert problem.members["keys_cost"] == 5
    assert problem.members["keys_left"] == 0
    assert hit.value.status == 429
    assert remaining == {"organisation": 60 - CLIENT_KEYS, "client": 0}


async def test_p2_fifty_callers_at_once_never_try_more_keys_than_there_are(house: House) -> None:
    """Promise P2: every key that was tried was charged, and the cap holds under concurrency."""

    async def try_one(gateway: Gateway, number: int) -> str:
        """What came of it; who finds no place at this moment was not charged, and comes again."""
        key = {"key": f"{number:012}", "matching": {"birth_date": "1985-03-14"}}
        while True:
            try:
                await gateway.lookup(DATASET, [key])
            except GatewayProblem as problem:
                if problem.status != 503:
                    return problem.type
                await asyncio.sleep(0.2)
            else:
                return "answered"

    async with house.session(NOTARIES[3]) as gateway:
        outcomes = Counter(await asyncio.gather(*(try_one(gateway, number) for number in range(50))))
        assert (await left(gateway))["client"] == 0

    assert outcomes == {"answered": CLIENT_KEYS, "urn:problem:gateway:keys-exhausted": 50 - CLIENT_KEYS}


async def test_a_repeat_under_one_idempotency_key_is_the_same_bytes_and_charged_once(house: House) -> None:
    async with house.session(NOTARIES[4]) as gateway:
        first = await gateway.lookup(DATASET, [AN], idempotency_key="once")
        before = await left(gateway)
        again = await gateway.lookup(DATASET, [AN], idempotency_key="once")
        with pytest.raises(GatewayProblem) as other:
            await gateway.lookup(DATASET, [BINH], idempotency_key="once")
        assert await left(gateway) == before

    assert again.body == first.body
    assert (other.value.status, other.value.type) == (422, "urn:problem:gateway:idempotency-mismatch")


HOSTILE: list[tuple[object, int]] = [
    ({}, 400),
    ({"keys": []}, 400),
    ({"keys": [AN] * 2}, 422),
    ({"keys": [AN, BINH, *MISSES.values()]}, 422),
    ({"keys": [AN], "where": {"column": "status", "equals": "adopted"}}, 400),
    ({"keys": [AN], "select": ["citizen_id"]}, 422),
    ({"keys": [AN], "001085012345": 1}, 400),
    ({"keys": [{"key": AN["key"]}]}, 422),
    ({"keys": [{"key": AN["key"], "matching": {"birth_date": "1985-03-14", "full_name": "An"}}]}, 422),
    ({"keys": [{"key": AN["key"], "matching": {"full_name": "Nguyễn Văn An"}}]}, 422),
    ({"keys": [{"key": AN["key"], "matching": {"birth_date": None}}]}, 422),
    ({"keys": [{"key": AN["key"], "matching": {"birth_date": ["1985-03-14"]}}]}, 422),
    ({"keys": [{"key": "", "matching": {"birth_date": "1985-03-14"}}]}, 422),
    ({"keys": [{"key": 1085012345, "matching": {"birth_date": "1985-03-14"}}]}, 422),
    ({"keys": [{"key": "001085012345' OR '1'='1' --", "matching": {"birth_date": "x"}}]}, 422),
    ({"keys": [{"001085012345": "1985-03-14"}]}, 400),
    ({"keys": {"key": "001085012345"}}, 400),
    ([AN], 400),
]


@pytest.mark.parametrize(("body", "status"), HOSTILE)
async def test_what_is_no_lookup_is_refused_uncharged_and_no_refusal_repeats_a_key(
    house: House, body: object, status: int
) -> None:
    async with house.session(NOTARIES[4]) as gateway:
        before = await left(gateway)
        response = await gateway.forward(
            "POST", PATH, query_string="", body=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        after = await left(gateway)

    assert (response.status, after) == (status, before), response.body
    assert b"1085012345" not in response.body
    assert b"1985" not in response.body


@pytest.mark.parametrize(
    ("path", "query_string", "status"),
    [
        ("plan", "of=lookups", 400),
        ("plan", "of=lookup&pretty", 400),
        ("plan", "key=001085012345", 400),
        ("plan", "", 403),
        ("query", "", 403),
        ("records", "of=lookup", 403),
    ],
)
async def test_p9_keys_on_another_path_are_refused_unread(
    house: House, path: str, query_string: str, status: int
) -> None:
    """Promise P9: what that path does not know is no other question by mistake, and nothing repeats a key."""
    async with house.session(NOTARIES[4]) as gateway:
        response = await gateway.forward(
            "POST", f"/v1/datasets/{DATASET}/{path}", query_string=query_string,
            body=json.dumps({"keys": [AN]}).encode(), headers={"Content-Type": "application/json"},
        )  # fmt: skip

    assert response.status == status, response.body
    assert b"1085012345" not in response.body


async def test_a_dry_run_names_the_price_and_tries_nothing(house: House) -> None:
    async with house.session(NOTARIES[4]) as gateway:
        before = await left(gateway)
        plan = (await gateway.plan(DATASET, keys=[AN, BINH])).document
        after = await left(gateway)

    assert (plan["kind"], plan["price"], plan["by"], plan["rows_max"]) == (
        "lookup",
        {"keys": 2},
        ["citizen_id", "birth_date"],
        6,
    )
    assert after == before


async def test_the_description_says_by_what_and_how_much(notary: Gateway) -> None:
    may = (await notary.dataset(DATASET)).document["may"]

    assert may["lookup"] == {
        "columns": {"full_name": "partial", "status": "keep", "province": "keep"},
        "key": "citizen_id",
        "matching": ["birth_date"],
        "keys_max": 5,
        "rows_per_key_max": 3,
    }
    assert may["extract"] == {"refused": "no-rule-permits"}


def leaves(house: House) -> list[tuple[int, bytes]]:
    with sqlite3.connect(f"file:{house.store}?mode=ro", uri=True) as store:
        return store.execute("SELECT idx, leaf FROM entry").fetchall()


# What follows looks at the home after all of that; the order in the file counts.


def test_p9_no_key_and_no_attribute_of_one_stands_in_log_home_or_output(house: House) -> None:
    """Promise P9: in no file of the home but the snapshot, neither as text nor as UTF-16."""
    told = [
        str(value)
        for key in (AN, BINH, *MISSES.values())
        for value in (key["key"], *key["matching"].values())
    ]
    wanted = {text for text in told if len(text) > 3}
    files = [
        path for path in house.home.rglob("*") if path.is_file() and "snapshots" not in path.parts
    ]  # fmt: skip

    assert len(files) > 10
    for path in files:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # `head.new`, which has become `head` meanwhile
        found = [text for text in wanted if text.encode() in content or text.encode("utf-16-le") in content]
        assert found == [], path


def firms_profile(house: House, firm: Firm, folder: Path) -> Path:
    key = folder / "key.pem"
    firm.key.save(key)
    Profile(
        gateway=house.origin, client=firm.client, purpose=firm.purpose, key=str(key), log_key=house.vkey
    ).save(folder / "profile")
    return folder / "profile"


def test_the_command_line_looks_up_keys_from_a_pipe_and_says_what_is_left(
    house: House, tmp_path: Path
) -> None:
    profile = firms_profile(house, NOTARIES[0], tmp_path)

    def gateway(*arguments: str, keys: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway", *arguments],
            input=keys, capture_output=True, text=True, check=False, timeout=60,
            env={"GATEWAY_PROFILE": str(profile), "PATH": "/usr/bin:/bin", "PYTHONUTF8": "1"},
        )  # fmt: skip

    piped = "citizen_id,birth_date\n001190023456,1990-11-02\n001190023456,1990-11-03\n"
    price = gateway("lookup", DATASET, "--keys", "-", "--dry-run", keys=piped)
    found = gateway("lookup", DATASET, "--keys", "-", keys=piped)
    one = gateway("lookup", DATASET, "--key", "001190023456", "--with", "birth_date=1990-11-02", "--json")
    budget = gateway("budget")
    catalog = gateway("catalog", DATASET)
    wrong = gateway("lookup", DATASET, "--keys", "-", keys="citizen_id,birth_date\n001190023456\n")

    assert (price.returncode, "price: 2 keys" in price.stderr) == (0, True), price.stderr
    assert found.returncode == 0, found.stderr
    assert "T************" in found.stdout
    assert "nothing found for key 2" in found.stderr
    assert "keys tried: 2" in found.stderr
    assert [row["_key"] for row in json.loads(one.stdout)["rows"]] == [1]
    assert ("keys" in budget.stdout, "by citizen_id with birth_date" in catalog.stderr) == (True, True)
    assert (wrong.returncode, "001190023456" in wrong.stderr) == (2, False)


def test_p2_after_a_restart_the_rows_are_gone_the_charge_is_not_and_the_log_verifies(
    tmp_path: Path,
) -> None:
    """Promise P2, and P9: rows are not kept beyond the boot that answered with them."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "register.csv").write_text(REGISTER, encoding="utf-8")
    house = make_house(tmp_path / "home", data=tmp_path / "data", rules={DATASET: RULES})
    firm = a_firm("notary-9", "notary", "marital-status", 9)
    house.register(firm)

    async def ask() -> tuple[object, dict[str, int]]:
        async with house.session(firm) as gateway:
            try:
                outcome: object = len(rows(await gateway.lookup(DATASET, [AN], idempotency_key="lost")))
            except GatewayProblem as problem:
                outcome = (problem.status, problem.type)
            return outcome, await left(gateway)

    with house.serving():
        first = asyncio.run(ask())
    with house.serving():
        second = asyncio.run(ask())

    remaining = {"organisation": 59, "client": CLIENT_KEYS - 1}
    assert first == (2, remaining)
    assert second == ((410, "urn:problem:gateway:answer-gone"), remaining)
    assert verify_store(house.store, house.vkey).faults == ()
