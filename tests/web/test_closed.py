"""Every connection that was closed unanswered stands in the log, by number and cause, exactly once."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from gateway import telemetry
from gateway.errors import LedgerUnavailable
from gateway.serving.closed import closed_told
from gateway.terms.entry import EntryKind, ReleaseRequest


class Told:
    """A ledger that remembers what it was told, unless it is full."""

    def __init__(self) -> None:
        self.is_full = False
        self.marks: list[dict[str, Any]] = []

    async def release(self, request: ReleaseRequest) -> Any:
        await asyncio.sleep(0)
        if self.is_full:
            raise LedgerUnavailable("full")
        assert request.kind is EntryKind.MARK
        self.marks.append(dict(request.facts))

    @property
    def total(self) -> dict[str, int]:
        return dict(sum((Counter(mark["closed"]) for mark in self.marks), Counter()))


@pytest.fixture(autouse=True)
def nothing_before() -> Iterator[None]:
    telemetry.take_closed()
    yield
    telemetry.take_closed()


async def test_what_was_closed_is_told_when_serving_ends() -> None:
    ledger: Any = Told()
    async with closed_told(ledger):
        for cause in ("flood", "malformed", "flood"):
            telemetry.connection_closed(cause)

    assert ledger.marks == [{"event": "closed-unanswered", "closed": {"flood": 2, "malformed": 1}}]


async def test_where_nothing_was_closed_nothing_is_told() -> None:
    ledger: Any = Told()
    async with closed_told(ledger, window_s=0.001):
        await asyncio.sleep(0.02)

    assert ledger.marks == []


async def test_windows_neither_lose_nor_repeat_a_connection() -> None:
    ledger: Any = Told()
    async with closed_told(ledger, window_s=0.001):
        for number in range(300):
            telemetry.connection_closed("silent" if number % 3 else "flood")
            await asyncio.sleep(0.0005)

    assert len(ledger.marks) > 3
    assert ledger.total == {"silent": 200, "flood": 100}


async def test_what_could_not_be_recorded_is_told_later() -> None:
    ledger: Any = Told()
    ledger.is_full = True
    async with closed_told(ledger, window_s=0.001):
        telemetry.connection_closed("flood")
        await asyncio.sleep(0.02)
        telemetry.connection_closed("flood")
        ledger.is_full = False

    assert ledger.total == {"flood": 2}
