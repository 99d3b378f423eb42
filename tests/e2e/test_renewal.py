"""Sharing rules are replaced while a real process answers: no request is dropped, none sees a mixture."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flood import flooded
from house import House, a_firm, make_house, put_rules, signed
from real_data import tables

from gateway.cli.demo.cast import Firm
from gateway.services.acts import ActivateRules
from gateway.services.documents import SignedDocument
from gateway.serving.admin import perform

PULLERS = 3
FLOOD_S = 12.0
SOON_S = 1.0
"""Longest time from the word to renew until new rules decide, while strangers flood the process."""


def rows_of(number: int) -> int:
    """Return how many rows a revision allows: no other of the eighty around it allows as many."""
    return 10 + number % 80


class Rules:
    """A document of the first real table, by revision: its limit of rows tells the revision."""

    def __init__(self) -> None:
        found = tables()
        self.folder, self.id = found.folder, found.tables[0].dataset
        self.text = found.rules[self.id]

    def revision(self, number: int) -> str:
        text = self.text.replace("revision: 1", f"revision: {number}")
        return text.replace("limits: {rows: 500}", f"limits: {{rows: {rows_of(number)}}}")

    def digest(self, number: int) -> str:
        return hashlib.sha256(self.revision(number).encode()).hexdigest()


@pytest.fixture(scope="module")
def rules() -> Rules:
    return Rules()


@pytest.fixture(scope="module")
def served(rules: Rules, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Firm, int]]:
    house = make_house(
        tmp_path_factory.mktemp("renewal") / "home", data=rules.folder, rules={rules.id: rules.revision(1)}
    )
    firm = a_firm()
    house.register(firm)
    with house.serving() as process:
        yield house, firm, process.pid


def active(house: House) -> list[str]:
    """What operators see: the last lines of the log that say what is active or refused."""
    lines = (house.home / "serve.err").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if '"rules_' in line]


def renew(house: House, pid: int, document: Path, text: str) -> list[str]:
    """Write a signed document, tell the process, and return what it says of it."""
    put_rules(house.home, document.stem, text)
    return told(house, pid)


def told(house: House, pid: int) -> list[str]:
    """Tell the process to renew, and return what it says of it."""
    before = len(active(house))
    os.kill(pid, signal.SIGHUP)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if any('"rules_active"' in line for line in active(house)[before:]):
            return active(house)[before:]
        time.sleep(0.01)
    raise AssertionError("nothing was renewed")


def activate(house: House, name: str, text: str) -> None:
    """Send a signed document to the process, as the command does."""
    document = SignedDocument(name=name, text=text.encode(), note=signed(text))
    done = perform(house.home, ActivateRules(documents=(document,)))
    assert done.says.startswith(f"active: {name} revision "), done


def revision_of(house: House, rules: Rules) -> int:
    """Return the revision that lies in the home."""
    text = (house.home / "policies" / f"{rules.id}.yaml").read_text(encoding="utf-8")
    return int(text.split("revision: ")[1].split("\n")[0])


@pytest.mark.parametrize("times", [12, pytest.param(1_000, marks=pytest.mark.long)])
async def test_p3_no_request_is_dropped_or_sees_a_mixture_while_rules_are_renewed(
    served: tuple[House, Firm, int], rules: Rules, times: int
) -> None:
    """Promise P3: what an answer shows, says and has recorded is one revision's."""
    house, firm, pid = served
    document = house.home / "policies" / f"{rules.id}.yaml"
    first = revision_of(house, rules) + 1
    seen: list[int] = []
    done = False

    async with house.session(firm) as session:

        async def pull() -> None:
            while not done:
                answer = await session.records(rules.id)
                number = answer.document["revision"]
                assert answer.receipt is not None
                facts = answer.receipt.verify(house.vkey).entry["facts"]
                assert isinstance(facts, dict)
                assert len(answer.document["rows"]) == rows_of(number)
                assert (facts["revision"], facts["rules_sha256"]) == (number, rules.digest(number))
                seen.append(number)

        pullers = [asyncio.create_task(pull()) for _ in range(PULLERS)]
        for number in range(first, first + times):
            if number % 2:
                await asyncio.to_thread(renew, house, pid, document, rules.revision(number))
            else:
                await asyncio.to_thread(activate, house, rules.id, rules.revision(number))
        done = True
        await asyncio.gather(*pullers)
        assert (await session.records(rules.id)).document["revision"] == first + times - 1
    assert len(seen) > times
    assert len(set(seen)) > times / 4
    print(f"\n{times} renewals under {PULLERS} firms: {len(seen)} answers, 0 mixtures, 0 dropped")  # noqa: T201


async def test_p3_rules_are_renewed_within_a_second_though_strangers_flood_the_process(
    served: tuple[House, Firm, int], rules: Rules
) -> None:
    """Promise P3: who asks what costs nothing keeps no new rule from deciding."""
    house, firm, pid = served
    document = house.home / "policies" / f"{rules.id}.yaml"
    took: list[float] = []

    async with house.session(firm) as session:
        with flooded(int(house.origin.rpartition(":")[2]), "/livez", seconds=FLOOD_S, connections=32):
            for number in range(first := revision_of(house, rules) + 1, first + 5):
                started = time.monotonic()
                await asyncio.to_thread(renew, house, pid, document, rules.revision(number))
                took.append(time.monotonic() - started)
                assert (await session.records(rules.id, limit=1)).document["revision"] == number

    assert max(took) < SOON_S, took


async def test_p3_a_broken_revision_leaves_the_last_good_one_active_and_raises_an_alarm(
    served: tuple[House, Firm, int], rules: Rules
) -> None:
    """Promise P3."""
    house, firm, pid = served
    document = house.home / "policies" / f"{rules.id}.yaml"
    good = document.read_text(encoding="utf-8")

    said = await asyncio.to_thread(renew, house, pid, document, good.replace("permits:", "permitz:"))

    assert any('"rules_refused"' in line and "did you mean `permits`" in line for line in said)
    assert any('"refused": 1' in line for line in said)
    async with house.session(firm) as session:
        answer = await session.records(rules.id, limit=1)
    assert f"revision: {answer.document['revision']}\n" in good
    assert any('"refused": 0' in line for line in await asyncio.to_thread(renew, house, pid, document, good))


async def test_p3_a_document_that_nobody_signed_leaves_the_last_good_revision_active_and_raises_an_alarm(
    served: tuple[House, Firm, int], rules: Rules
) -> None:
    """Promise P3: nothing of it is read, so what would be wrong in it is not told either."""
    house, firm, pid = served
    document = house.home / "policies" / f"{rules.id}.yaml"
    good = document.read_text(encoding="utf-8")
    number = revision_of(house, rules)
    document.write_text(rules.revision(number + 1), encoding="utf-8")

    said = await asyncio.to_thread(told, house, pid)

    assert any('"rules_refused"' in line and "the signature is over other bytes" in line for line in said)
    async with house.session(firm) as session:
        assert (await session.records(rules.id, limit=1)).document["revision"] == number
    await asyncio.to_thread(renew, house, pid, document, good)


def gateway(house: House, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "--home", str(house.home), *arguments],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_revision_goes_from_the_stewards_desk_into_force(rules: Rules, tmp_path: Path) -> None:
    """Key, signature, activation; at home where nothing runs, and in all workers where the gateway does."""
    house = make_house(tmp_path / "home", data=rules.folder, rules={})
    desk, publisher = tmp_path / "desk", rules.text.split("org: ")[1].split(",")[0]
    desk.mkdir()
    document, key = desk / f"{rules.id}.yaml", str(desk / "lan.pem")
    document.write_text(rules.revision(1), encoding="utf-8")

    vkey = gateway(house, "policy", "key", key, "--publisher", publisher).strip()
    gateway(house, "policy", "sign", str(document), "--key", key)
    refused = gateway(house, "policy", "activate", str(document), code=1)
    assert f"`keys/stewards` of the home has no steward of `{publisher}`" in refused
    assert list((house.home / "policies").iterdir()) == []
    (house.home / "keys" / "stewards").mkdir(mode=0o700)
    (desk / "lan.vkey").rename(house.home / "keys" / "stewards" / "lan.vkey")
    said = gateway(house, "policy", "activate", str(document))
    assert said == f"active: {rules.id} revision 1, signed by {vkey}\n"

    with house.serving("--workers", "2"):
        document.write_text(rules.revision(2), encoding="utf-8")
        refused = gateway(house, "policy", "activate", str(document), code=1)
        assert "the signature is over other bytes" in refused
        gateway(house, "policy", "sign", str(document), "--key", key)
        gateway(house, "policy", "activate", str(document))
        row = json.loads(gateway(house, "policy", "list", "--json"))
    assert (row["revision"], row["rules_sha256"], row["steward"]) == (2, rules.digest(2), vkey)
    assert (house.home / "policies" / document.name).read_text(encoding="utf-8") == rules.revision(2)

    (house.home / "policies" / f"{document.name}.sig").unlink()
    (house.home / "ledger").rename(tmp_path / "ledger of another home")
    (house.home / "ledger").mkdir()
    with house.serving() as process:
        assert process.stdout is not None
        assert "datasets 0" in process.stdout.readline()
    errors = (house.home / "serve.err").read_text(encoding="utf-8")
    assert f"not active: {document.name}:1:1: not signed: a steward runs `gateway policy sign" in errors
