"""A new epoch of the pseudonyms' key: both custodians' shares, and two overseers who say so.

Every firm's tokens and row orders are others from the next start on; what the old ones stand for, the owner
can still tell. The gateway is stopped for it, as its next start needs both custodians anyway. Order: both
words and the key's name are in the log before the key comes into use; a crash between leaves a name in the
log that never served, and the command to be given again.
"""

import asyncio
from datetime import UTC
from functools import partial

from gateway.errors import ActRefused
from gateway.keyring.custody import Rotation
from gateway.registry.records import Freezable, InstallationKey, State
from gateway.registry.registry import Registry
from gateway.services.acts import Done
from gateway.services.desk import Desk
from gateway.services.overseers import Word, oversees, proved
from gateway.terms.identifiers import OperatorId

PSEUDONYMS = "pseudonyms"


async def new_epoch(desk: Desk, rotation: Rotation, words: tuple[Word, Word], by: str) -> Done:
    """Put the next epoch's key to use.

    Raises:
        ActRefused: The words are not those of two different overseers.
        LedgerUnavailable: It could not be recorded, and so was not done.

    """
    registry = desk.registry()
    if words[0].operator == words[1].operator:
        raise ActRefused("two different people must say so")
    may = partial(_may, registry)
    first, second = [await proved(desk, word, registry, may) for word in words]
    told = {"user": by.encode(), "operator": first.operator.id.encode()}
    await desk.put(first.changes, {"event": "rotate-agreed", "key": PSEUDONYMS}, told, first.operator.id)
    record = pseudonym_key(rotation.name, desk)
    done = await desk.recorded("rotate", record, by, person=second.operator.id, more=second.changes)
    await asyncio.to_thread(rotation.take)
    return done


async def divided(desk: Desk, name: str, by: str) -> Done:
    """Record that the pseudonyms' key lies in the home no more."""
    return await desk.recorded("divide", pseudonym_key(name, desk), by)


def pseudonym_key(name: str, desk: Desk) -> InstallationKey:
    """Return what the registry is told of a pseudonym key."""
    now = desk.clock.now().astimezone(UTC)
    return InstallationKey(id=name, kind=PSEUDONYMS, works_from=now, state=State.ACTIVE)


def _may(registry: Registry, name: OperatorId) -> bool:
    return oversees(registry, name) and not registry.is_frozen(Freezable.OPERATOR, name)
