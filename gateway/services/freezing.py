"""Stop something at once, and lift that again: one person freezes, two others unfreeze.

Whoever has the machine's account can freeze. To lift it, two people of an organisation of the class
``overseer`` each prove password and one-time code. SECURITY: only people count who were there when it was
frozen, and enrolled by then, so that who freezes alone cannot register two people afterwards and be them,
under whatever ids. It cannot be told whether one person holds the factors of two; that they were registered
stands in the log, for all to see.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from functools import partial
from types import MappingProxyType
from typing import Final, cast

from gateway.errors import ActRefused
from gateway.registry.records import LIFTERS, Freezable, Freeze, State, freeze_id, revocation_id
from gateway.registry.registry import Registry
from gateway.services.acts import Done, Lift, SetFrozen
from gateway.services.desk import Desk, found
from gateway.services.overseers import Word, oversees, proved
from gateway.terms.identifiers import ClientId, OperatorId

_RECORDS: Final = MappingProxyType(
    {
        Freezable.ORGANISATION: "organisations",
        Freezable.AGREEMENT: "agreements",
        Freezable.CLIENT: "clients",
        Freezable.OPERATOR: "operators",
    }
)


async def freeze(desk: Desk, act: SetFrozen, registry: Registry, by: str) -> Done:
    """Stop a thing."""
    target = _target(act, registry)
    if registry.is_frozen(act.what, target):
        raise ActRefused("this is frozen already")
    overseers = tuple(sorted(name for name in registry.operators if oversees(registry, name)))
    try:
        record = Freeze(
            id=freeze_id(act.what, target),
            what=act.what,
            target=target,
            frozen_at=desk.clock.now().astimezone(UTC),
            overseers=overseers if len(overseers) >= LIFTERS else (),
            lifted_by=(),
            state=State.ACTIVE,
        )
    except ValueError as error:
        raise ActRefused(f"this names nothing that can be frozen: {error}") from error
    done = await desk.recorded("freeze", record, by, reason=act.reason)
    if record.overseers:
        return done
    return replace(done, says=f"{done.says}; nobody can lift it before there are two overseers")


async def lift(desk: Desk, act: Lift, registry: Registry, by: str) -> Done:
    """Count one person's word that a freeze may end; the second person's ends it."""
    frozen = registry.freezes.get(freeze_id(act.what, _target(act, registry)))
    if frozen is None or frozen.state is not State.ACTIVE:
        raise ActRefused("this is not frozen; `gateway freeze --list` shows what is")
    word = Word(operator=act.operator, password=act.password, code=act.code)
    person = await proved(desk, word, registry, partial(_may_lift, registry, frozen))
    name = person.operator.id
    if name in frozen.lifted_by:
        raise ActRefused("you have said so already; another person must, too")
    lifted_by = (*frozen.lifted_by, name)
    over = len(lifted_by) == LIFTERS
    lifted = replace(frozen, lifted_by=lifted_by, state=State.ENDED if over else State.ACTIVE)
    done = await desk.recorded("unfreeze", lifted, by, person=name, more=person.changes)
    return done if over else replace(done, says="noted; another person must say so, too")


def _target(act: SetFrozen | Lift, registry: Registry) -> str:
    """Return what a freeze is about; a dataset or a key need not be known here."""
    if act.what in _RECORDS:
        records = cast("Mapping[str, object]", getattr(registry, _RECORDS[act.what]))
        found(records.get(act.target), act.target)
    if act.what is Freezable.TOKEN:
        client, _, token_id = act.target.partition("/")
        found(registry.clients.get(ClientId(client)), client)
        return revocation_id(ClientId(client), token_id)
    return act.target


def _may_lift(registry: Registry, frozen: Freeze, name: OperatorId) -> bool:
    known = not frozen.overseers or name in frozen.overseers
    since = frozen.frozen_at if frozen.overseers else None
    return known and oversees(registry, name, since=since) and registry.may_act(name)
