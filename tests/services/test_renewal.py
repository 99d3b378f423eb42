"""Rules are replaced while requests are answered: whole, recorded, and never by something broken."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builders import a_caller
from real_data import PUMS, PUMS_RULES

from gateway.errors import LedgerUnavailable
from gateway.policy.decide import Ask, decide
from gateway.policy.rules import Rules
from gateway.services.renewal import Renewal
from gateway.terms.dataset import Dataset
from gateway.terms.entry import Change
from gateway.terms.identifiers import DatasetId, PurposeId
from gateway.terms.permit import Permit
from gateway.terms.query import Action

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ASK = Ask(
    caller=a_caller(org_class="bank", purpose=PurposeId("research"), authenticated_at=NOW),
    action=Action.EXTRACT,
    now=NOW,
)


def revision(number: int) -> str:
    """A document whose limit tells its revision."""
    text = PUMS_RULES.replace("revision: 1", f"revision: {number}")
    return text.replace("rows: 1000", f"rows: {number}")


class House:
    """A folder, a registry and the rules that are active."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry: dict[str, Change] = {}
        self.rules: Mapping[DatasetId, Rules] = {}
        self.recorded: list[int] = []
        self.wrong: tuple[str, ...] = ()
        self.ready = True
        self.renew = Renewal(
            folder=folder,
            known=self._known,
            check=self._check,
            register=self._register,
            active=lambda: self.rules,
            take_over=self._take_over,
        )

    def write(self, text: str, name: str = PUMS) -> None:
        (self.folder / f"{name}.yaml").write_text(text, encoding="utf-8")

    @property
    def revisions(self) -> list[int]:
        return [rules.dataset.revision for rules in self.rules.values()]

    async def _known(self) -> tuple[Change, ...]:
        return tuple(self.registry.values())

    async def _check(self, dataset: Dataset) -> tuple[str, ...]:
        await asyncio.sleep(0)
        return self.wrong if dataset.revision > 1 else ()

    async def _register(self, changes: tuple[Change, ...]) -> None:
        await asyncio.sleep(0)
        if not self.ready:
            raise LedgerUnavailable("try again later")
        self.registry |= {change.id: change for change in changes}
        self.recorded += [change.document.count(b"\n") for change in changes]

    def _take_over(self, rules: Mapping[DatasetId, Rules]) -> None:
        self.rules = rules


@pytest.fixture
async def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.write(revision(1))
    assert await house.renew() == ()
    return house


async def test_p3_the_next_revision_is_recorded_and_then_serves(house: House) -> None:
    """Promise P3."""
    house.write(revision(2))

    assert await house.renew() == ()
    assert house.revisions == [2]
    assert house.registry[PUMS].document == revision(2).encode()


@pytest.mark.parametrize(
    "broken",
    [
        revision(2).replace("permits:", "permitz:"),
        revision(3),
        revision(2)[:200],
        "",
        revision(2).replace(f"lineage: {PUMS}", "lineage: other"),
    ],
)
async def test_p3_a_broken_revision_leaves_the_last_good_one_active_and_is_told(
    house: House, broken: str
) -> None:
    """Promise P3."""
    house.write(broken)

    faults = await house.renew()

    assert {fault.file for fault in faults} == {f"{PUMS}.yaml"}
    assert house.revisions == [1]
    assert house.registry[PUMS].document == revision(1).encode()


async def test_p3_a_revision_that_its_source_does_not_fit_leaves_the_last_good_one_active(
    house: House,
) -> None:
    """Promise P3."""
    house.wrong = ("the source has no column `age`",)
    house.write(revision(2))

    faults = await house.renew()

    assert [fault.message for fault in faults] == ["the source has no column `age`"]
    assert (house.revisions, house.registry[PUMS].document) == ([1], revision(1).encode())


async def test_p1_a_revision_that_cannot_be_recorded_does_not_serve(house: House) -> None:
    """Promise P1: every entry's revision stands in the ledger before it decides."""
    house.write(revision(2))
    house.ready = False

    with pytest.raises(LedgerUnavailable):
        await house.renew()

    assert house.revisions == [1]
    house.ready = True
    assert await house.renew() == ()
    assert house.revisions == [2]


async def test_p3_a_file_that_is_gone_takes_its_dataset_out_of_service(house: House) -> None:
    """Promise P3."""
    (house.folder / f"{PUMS}.yaml").unlink()

    assert await house.renew() == ()
    assert house.revisions == []


async def reloaded(house: House, times: int) -> int:
    """Renew so often under two datasets that change together; return how many requests were decided."""
    seen = 0
    done = False

    async def ask() -> None:
        nonlocal seen
        while not done:
            rules = house.rules
            permit: Any = decide(ASK, rules[DatasetId(PUMS)])
            assert isinstance(permit, Permit)
            # One revision throughout: what is allowed, and what the entry will name.
            assert permit.rows_max == permit.dataset.revision
            # One mapping throughout: both datasets were renewed together, or neither.
            assert {each.dataset.revision for each in rules.values()} == {permit.dataset.revision}
            seen += 1
            await asyncio.sleep(0)

    askers = [asyncio.create_task(ask()) for _ in range(8)]
    for number in range(2, times + 2):
        for name in (PUMS, "us.census.zz"):
            house.write(revision(number).replace(f"id: {PUMS}", f"id: {name}", 1), name)
        assert await house.renew() == ()
    done = True
    await asyncio.gather(*askers)
    assert house.revisions == [times + 1] * 2
    return seen


async def twins(house: House) -> None:
    house.write(revision(1).replace(f"id: {PUMS}", "id: us.census.zz", 1), "us.census.zz")
    assert await house.renew() == ()


async def test_p3_no_request_sees_a_mixture_while_rules_are_renewed(house: House) -> None:
    """Promise P3: a share of a thousand."""
    await twins(house)

    assert await reloaded(house, 30) > 30


@pytest.mark.long
async def test_p3_no_request_sees_a_mixture_in_a_thousand_renewals(house: House) -> None:
    """Promise P3."""
    await twins(house)

    seen = await reloaded(house, 1_000)

    print(f"\n1000 renewals of two documents under 8 askers: {seen} requests decided, 0 mixtures")  # noqa: T201
