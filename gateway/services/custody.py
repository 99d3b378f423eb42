"""A new epoch of the pseudonyms' key: both custodians' shares, and two overseers who say so.

Every firm's tokens and row orders are others from the next start on; what the old ones stand for, the owner
can still tell. The gateway is stopped for it, as its next start needs both custodians anyway. Order: both
words are good before the custodians' files are touched; they and the key's name are in the log before the key
comes into use. What a crash between leaves, the next start finishes, or the next rotation.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from gateway.errors import ActRefused
from gateway.keyring.custody import Rotation
from gateway.registry.records import InstallationKey, State
from gateway.registry.registry import Registry
from gateway.services.acts import Done
from gateway.services.desk import Desk
from gateway.services.overseers import Word, oversees, proved
from gateway.terms.identifiers import OperatorId

PSEUDONYMS = "pseudonyms"
ENROLLED_FOR: Final = timedelta(days=1)
"""How long an overseer has been one before an epoch takes their word. SECURITY: or whoever runs the command
could enrol as two people a minute before; in a day the entries of that are seen, and witnessed."""


async def new_epoch(
    desk: Desk, make: Callable[[str | None], Rotation], words: tuple[Word, Word], by: str
) -> Done:
    """Put the next epoch's key to use; ``make`` makes it, told which one the log knows as the newest.

    Raises:
        ActRefused: The words are not those of two different people who have overseen for a day.
        HomeInvalid: The shares do not fit, or the disk refuses.
        LedgerUnavailable: It could not be recorded, and so was not done.

    """
    registry = desk.registry()
    if words[0].operator == words[1].operator:
        raise ActRefused("two different people must say so")
    may = partial(_may, registry, desk.clock.now() - ENROLLED_FOR)
    first, second = [await proved(desk, word, registry, may) for word in words]
    newest = newest_epoch(registry)
    rotation = await asyncio.to_thread(make, None if newest is None else newest.id)
    told = {"user": by.encode(), "operator": first.operator.id.encode()}
    await desk.put(first.changes, {"event": "rotate-agreed", "key": PSEUDONYMS}, told, first.operator.id)
    record = _pseudonym_key(rotation.name, desk)
    done = await desk.recorded("rotate", record, by, person=second.operator.id, more=second.changes)
    await asyncio.to_thread(rotation.take)
    return done


async def divided(desk: Desk, name: str, by: str) -> Done:
    """Record that the pseudonyms' key lies in the home no more."""
    return await desk.recorded("divide", _pseudonym_key(name, desk), by)


def newest_epoch(registry: Registry) -> InstallationKey | None:
    """Return the pseudonym key that the log was told of last."""
    told = (key for key in registry.installation_keys.values() if key.kind == PSEUDONYMS)
    return max(told, key=lambda key: key.works_from, default=None)


def _pseudonym_key(name: str, desk: Desk) -> InstallationKey:
    """Return what the registry is told of a pseudonym key: newer than all others, whatever the clock says."""
    now, newest = desk.clock.now().astimezone(UTC), newest_epoch(desk.registry())
    if newest is not None:
        now = max(now, newest.works_from + timedelta.resolution)
    return InstallationKey(id=name, kind=PSEUDONYMS, works_from=now, state=State.ACTIVE)


def _may(registry: Registry, since: datetime, name: OperatorId) -> bool:
    return oversees(registry, name, since=since) and registry.may_act(name)
