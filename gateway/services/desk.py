"""Where administrators' acts are done: what they need, and the one way in which a change is put.

Every change is one transaction with the entry that tells of it: who (the operating system's user, and for
lifting a freeze the person) and why are committed to, never in clear. What cannot be recorded did not
happen.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeVar

from gateway.clock import Clock
from gateway.errors import ActRefused
from gateway.registry.records import Record
from gateway.registry.registry import Registry
from gateway.services.acts import Done
from gateway.services.installation_keys import InstallationKeys
from gateway.services.log_desk import LogDesk
from gateway.services.ports import EnrolmentPorts
from gateway.services.renewal import Renewal
from gateway.services.shown import shown
from gateway.terms.charge import Receipt
from gateway.terms.entry import Change, Fact
from gateway.terms.identifiers import OperatorId

REASON_MAX: Final = 1000
_PAST: Final = MappingProxyType(
    {
        "add": "registered",
        "suspend": "suspended",
        "resume": "resumed",
        "end": "ended",
        "add-key": "added a key to",
        "remove-key": "removed a key from",
        "add-certificate": "added a certificate to",
        "remove-certificate": "removed a certificate from",
        "freeze": "frozen:",
        "unfreeze": "unfrozen:",
        "rotate": "made a key:",
        "divide": "divided between two custodians:",
        "revoke": "revoked",
        "invite": "made another enrolment code for",
    }
)
"""Events of entries, and their words for the person at the terminal."""
Found = TypeVar("Found")

Put = Callable[[tuple[Change, ...], Mapping[str, Fact], Mapping[str, bytes], str | None], Awaitable[Receipt]]
"""Makes changes durable with one entry: its facts, its private values, and the person it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The ports of administration over one open installation."""

    registry: Callable[[], Registry]
    put: Put
    enrolment: EnrolmentPorts
    keys: InstallationKeys
    log: LogDesk
    clock: Clock
    renewal: Renewal
    random_bytes: Callable[[int], bytes] = os.urandom

    async def recorded(
        self,
        event: str,
        record: Record,
        by: str,
        *,
        reason: str = "",
        person: OperatorId | None = None,
        more: tuple[Change, ...] = (),
    ) -> Done:
        """Put a record with the entry that tells of it, and return what it is now."""
        if len(reason) > REASON_MAX:
            raise ActRefused(f"a reason has at most {REASON_MAX} characters")
        private = {"user": by.encode(), "reason": reason.encode(errors="replace")}
        if person is not None:
            private["operator"] = person.encode()
        change = self.registry().change_to(record)
        receipt = await self.put((change, *more), {"event": event}, private, person)
        says = f"{_PAST[event]} {record.id}"
        return Done(says=says, rows=(shown(record, self.registry()),), recorded_as=receipt.index)


def found(record: Found | None, name: str) -> Found:
    """Return a record that is there.

    Raises:
        ActRefused: It is not.

    """
    if record is None:
        raise ActRefused(f"there is no `{name}`")
    return record
