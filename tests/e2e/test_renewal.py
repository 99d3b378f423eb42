"""Sharing rules are replaced while a real process answers: no request is dropped, none sees a mixture."""

import asyncio
import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House, a_firm, make_house
from real_data import tables

from gateway.cli.demo.cast import Firm

RENEWALS = 12
PULLERS = 3


class Rules:
    """A document of the first real table, by revision: its limit of rows tells the revision."""

    def __init__(self) -> None:
        found = tables()
        self.folder, self.id = found.folder, found.tables[0].dataset
        self.text = found.rules[self.id]

    def revision(self, number: int) -> str:
        text = self.text.replace("revision: 1", f"revision: {number}")
        return text.replace("limits: {rows: 500}", f"limits: {{rows: {10 + number}}}")

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
    """Write a document, tell the process, and return what it says of it."""
    before = len(active(house))
    document.write_text(text, encoding="utf-8")
    os.kill(pid, signal.SIGHUP)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if any('"rules_active"' in line for line in active(house)[before:]):
            return active(house)[before:]
        time.sleep(0.01)
    raise AssertionError("nothing was renewed")


async def test_p3_no_request_is_dropped_or_sees_a_mixture_while_rules_are_renewed(
    served: tuple[House, Firm, int], rules: Rules
) -> None:
    """Promise P3: what an answer shows, says and has recorded is one revision's."""
    house, firm, pid = served
    document = house.home / "policies" / f"{rules.id}.yaml"
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
                assert len(answer.document["rows"]) == 10 + number
                assert (facts["revision"], facts["rules_sha256"]) == (number, rules.digest(number))
                seen.append(number)

        pullers = [asyncio.create_task(pull()) for _ in range(PULLERS)]
        for number in range(2, RENEWALS + 2):
            await asyncio.to_thread(renew, house, pid, document, rules.revision(number))
        done = True
        await asyncio.gather(*pullers)

        assert (await session.records(rules.id)).document["revision"] == RENEWALS + 1
    assert len(seen) > RENEWALS
    assert seen == sorted(seen) or len(set(seen)) > 2


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
