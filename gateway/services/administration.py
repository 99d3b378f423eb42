"""Do what administrators want: one act at a time, each an entry by whom, or nothing at all.

An act is checked against the newest records and put before the next one is looked at, so that what was
checked still holds. Where it came from, a terminal or the running gateway's socket, makes no difference.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, cast

from gateway.errors import ActRefused, LedgerUnavailable
from gateway.identity.recovery import new_code
from gateway.registry.codec import change_of
from gateway.registry.records import (
    Activation,
    Agreement,
    Client,
    Operator,
    Organisation,
    Record,
    State,
)
from gateway.registry.registry import Registry
from gateway.services.acts import (
    Act,
    ActivateRules,
    AddAgreement,
    AddCertificate,
    AddClient,
    AddKey,
    AddOperator,
    AddOrganisation,
    Done,
    Erase,
    Invite,
    Kind,
    Lift,
    Look,
    LookAtFreezes,
    LookAtRules,
    RemoveCertificate,
    RemoveKey,
    RetireLogKey,
    RevokeTokenKey,
    RotateKey,
    RotateLogKey,
    SetFrozen,
    SetState,
)
from gateway.services.certificates import (
    add_certificate,
    remove_certificate,
    require_nobody_elses,
)
from gateway.services.client_keys import add_key, remove_key
from gateway.services.desk import Desk, found
from gateway.services.freezing import freeze, lift
from gateway.services.joining import PATH as ENROL_PATH
from gateway.services.joining import invitation
from gateway.services.registration import (
    client_certificate,
    invited_operator,
    new_agreement,
    new_client,
    new_organisation,
)
from gateway.services.shown import ROWS_MAX, shown
from gateway.terms.identifiers import AgreementId, OperatorId, OrgId

Registered = Organisation | Agreement | Client | Operator | Activation
_EVENTS: Final = MappingProxyType({State.ACTIVE: "resume", State.SUSPENDED: "suspend", State.ENDED: "end"})


@dataclass(frozen=True, slots=True)
class Administration:
    """Does acts at a desk. State: whose turn it is; owned by the event loop."""

    desk: Desk
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, act: Act, by: str) -> Done:
        """Do one act; ``by`` is the user of the operating system who wants it.

        Raises:
            ActRefused: It cannot be done as things stand.
            MalformedRequest: What was typed is not well formed.
            LedgerUnavailable: It could not be recorded, and so was not done.

        """
        if isinstance(act, ActivateRules):  # it may prepare a source for minutes, and has a turn of its own
            return await _activate_rules(self.desk, act, self.desk.registry(), by)
        async with self._turn:
            return await DOERS[type(act)](self.desk, act, self.desk.registry(), by)


async def _look(desk: Desk, act: Look, registry: Registry, _by: str) -> Done:
    records = _records(registry, act.kind)
    if act.id is not None:
        return Done(rows=(shown(_record(records, act.id), registry),))
    if act.kind is Kind.ACTIVATION:  # a list of all that are over would never stop growing
        now = desk.clock.now()
        records = {each.id: each for each in registry.activations.values() if now < each.until}
    return _listed(records, registry, act.after)


async def _look_at_freezes(_desk: Desk, act: LookAtFreezes, registry: Registry, _by: str) -> Done:
    return _listed(registry.freezes, registry, act.after)


async def _look_at_rules(desk: Desk, act: LookAtRules, _registry: Registry, _by: str) -> Done:
    rows = [row for row in await desk.renewal.shown() if str(row["id"]) > act.after]
    return Done(rows=tuple(rows[:ROWS_MAX]), more=len(rows) > ROWS_MAX)


async def _activate_rules(desk: Desk, act: ActivateRules, _registry: Registry, by: str) -> Done:
    faults = await desk.renewal.activate(act.documents, by)
    names = {document.name for document in act.documents}
    rows = tuple(row for row in await desk.renewal.shown() if row["id"] in names)
    active = [f"active: {row['id']} revision {row['revision']}, signed by {row['steward']}" for row in rows]
    return Done(says="\n".join([*active, *(f"not active: {fault}" for fault in faults)]), rows=rows)


async def _add(desk: Desk, act: Act, registry: Registry, by: str) -> Done:
    return await _added(desk, _made(act, registry, desk.clock.now()), by)


async def _add_operator(desk: Desk, act: AddOperator, registry: Registry, by: str) -> Done:
    code = new_code(desk.random_bytes)
    invited = invitation(OperatorId(act.id), code, desk.clock.now())
    organisation = found(registry.organisations.get(OrgId(act.org)), act.org)
    operator = invited_operator(act.id, organisation, act.name, invited)
    return _with_code(await _added(desk, operator, by), code, desk)


async def _invite(desk: Desk, act: Invite, registry: Registry, by: str) -> Done:
    operator = found(registry.operators.get(OperatorId(act.operator)), act.operator)
    if operator.is_enrolled:
        raise ActRefused(f"`{act.operator}` has set their factors; whoever lost them is registered anew")
    code = new_code(desk.random_bytes)
    again = replace(operator, invitation=invitation(operator.id, code, desk.clock.now()))
    return _with_code(await desk.recorded("invite", again, by), code, desk)


def _with_code(done: Done, code: str, desk: Desk) -> Done:
    """Return what is told, with the code, which is shown this once."""
    where = f"{desk.enrolment.origin}{ENROL_PATH}"
    says = f"{done.says}; within a day they set password and authenticator at {where} with this code:"
    return replace(done, says=says, once=code)


async def _added(desk: Desk, record: Record, by: str) -> Done:
    if desk.registry().has(change_of(record)):
        raise ActRefused(f"there is a `{record.id}` already; records are never overwritten")
    done = await desk.recorded("add", record, by)
    return replace(done, says=f"registered {type(record).__name__.lower()} {record.id}")


async def _set_state(desk: Desk, act: SetState, registry: Registry, by: str) -> Done:
    record = _record(_records(registry, act.kind), act.id)
    if record.state is State.ENDED:
        raise ActRefused(f"`{act.id}` is ended, which is for good; register another")
    if record.state is act.state:
        raise ActRefused(f"`{act.id}` is {act.state} already")
    return await desk.recorded(_EVENTS[act.state], replace(record, state=act.state), by, reason=act.reason)


async def _rotate_key(desk: Desk, act: RotateKey, _registry: Registry, by: str) -> Done:
    """Make a key, then tell everybody; one that nobody was told of is destroyed."""
    record = await asyncio.to_thread(desk.keys.make, act.kind, now=act.now)
    try:
        return await desk.recorded("rotate", record, by)
    except LedgerUnavailable:  # and no other end: what broke later, or was cancelled, may have been told of
        desk.keys.destroy(record.id)
        raise


async def _revoke_token_key(desk: Desk, act: RevokeTokenKey, _registry: Registry, by: str) -> Done:
    """Have everybody forget a key, then destroy it; it counts no more even if the disk refuses that."""
    done = await desk.recorded("revoke", desk.keys.revoked(act.id), by, reason=act.reason)
    await asyncio.to_thread(desk.keys.revoke, act.id)
    return done


async def _rotate_log_key(desk: Desk, _act: RotateLogKey, _registry: Registry, _by: str) -> Done:
    return await desk.log.rotate()


async def _retire_log_key(desk: Desk, _act: RetireLogKey, _registry: Registry, _by: str) -> Done:
    return await desk.log.retire()


async def _erase(desk: Desk, act: Erase, _registry: Registry, _by: str) -> Done:
    return await desk.log.erased(act)


def _made(act: Act, registry: Registry, now: datetime) -> Record:
    match act:
        case AddOrganisation():
            return new_organisation(
                act.id, vi=act.vi, en=act.en, org_class=act.org_class, country=act.country
            )
        case AddAgreement():
            return new_agreement(
                act.id,
                org=found(registry.organisations.get(OrgId(act.org)), act.org),
                purposes=act.purposes,
                valid_from=act.valid_from,
                valid_until=act.valid_until,
            )
        case AddClient():
            agreement = found(registry.agreements.get(AgreementId(act.agreement)), act.agreement)
            certificates = tuple(client_certificate(pem, now=now) for pem in act.certificates)
            require_nobody_elses(certificates, registry)
            return new_client(
                act.id,
                agreement=agreement,
                purposes=act.purposes,
                keys=act.keys,
                certificates=certificates,
            )
        case _:
            raise AssertionError("not an act that adds")


def _records(registry: Registry, kind: Kind) -> Mapping[str, Registered]:
    """Return the records of a kind; their ids are texts."""
    records: object
    match kind:
        case Kind.ORG:
            records = registry.organisations
        case Kind.AGREEMENT:
            records = registry.agreements
        case Kind.CLIENT:
            records = registry.clients
        case Kind.OPERATOR:
            records = registry.operators
        case Kind.ACTIVATION:
            records = registry.activations
    return cast("Mapping[str, Registered]", records)


def _record(records: Mapping[str, Registered], name: str) -> Registered:
    found(records.get(name), name)
    return records[name]


def _listed(records: Mapping[str, Record], registry: Registry, after: str) -> Done:
    names = sorted(name for name in records if name > after)
    rows = tuple(shown(records[name], registry) for name in names[:ROWS_MAX])
    return Done(rows=rows, more=len(names) > ROWS_MAX)


DOERS: Final[Mapping[type, Callable[[Desk, Any, Registry, str], Awaitable[Done]]]] = MappingProxyType(
    {
        AddOrganisation: _add,
        AddAgreement: _add,
        AddClient: _add,
        AddOperator: _add_operator,
        Invite: _invite,
        SetState: _set_state,
        AddKey: add_key,
        RemoveKey: remove_key,
        AddCertificate: add_certificate,
        RemoveCertificate: remove_certificate,
        SetFrozen: freeze,
        Lift: lift,
        Look: _look,
        LookAtFreezes: _look_at_freezes,
        ActivateRules: _activate_rules,
        LookAtRules: _look_at_rules,
        RotateKey: _rotate_key,
        RevokeTokenKey: _revoke_token_key,
        RotateLogKey: _rotate_log_key,
        RetireLogKey: _retire_log_key,
        Erase: _erase,
    }
)
"""What does each act; as many as there are acts (a test keeps it so)."""
