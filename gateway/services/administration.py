"""Do what administrators want: one act at a time, each an entry by whom, or nothing at all.

An act is checked against the newest records and put before the next one is looked at, so that what was
checked still holds. Where it came from, a terminal or the running gateway's socket, makes no difference.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, cast

from gateway import jose
from gateway.errors import ActRefused
from gateway.registry.codec import change_of
from gateway.registry.records import KEYS_MAX, Agreement, Client, Operator, Organisation, Record, State
from gateway.registry.registry import Registry
from gateway.services.acts import (
    Act,
    AddAgreement,
    AddClient,
    AddKey,
    AddOperator,
    AddOrganisation,
    Done,
    Kind,
    Lift,
    Look,
    LookAtFreezes,
    RemoveKey,
    RevokeTokenKey,
    RotateKey,
    SetFrozen,
    SetState,
)
from gateway.services.desk import Desk, found
from gateway.services.freezing import freeze, lift
from gateway.services.registration import (
    authenticator_uri,
    frozen_client_keys,
    new_agreement,
    new_client,
    new_operator,
    new_organisation,
)
from gateway.services.shown import ROWS_MAX, shown
from gateway.terms.identifiers import AgreementId, ClientId, OrgId

Registered = Organisation | Agreement | Client | Operator
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
        async with self._turn:
            return await DOERS[type(act)](self.desk, act, self.desk.registry(), by)


async def _look(_desk: Desk, act: Look, registry: Registry, _by: str) -> Done:
    records = _records(registry, act.kind)
    if act.id is not None:
        return Done(rows=(shown(_record(records, act.id), registry),))
    return _listed(records, registry, act.after)


async def _look_at_freezes(_desk: Desk, act: LookAtFreezes, registry: Registry, _by: str) -> Done:
    return _listed(registry.freezes, registry, act.after)


async def _add(desk: Desk, act: Act, registry: Registry, by: str) -> Done:
    return await _added(desk, _made(act, registry), by)


async def _add_operator(desk: Desk, act: AddOperator, registry: Registry, by: str) -> Done:
    secret, salt = desk.random_bytes(20), desk.random_bytes(16)
    operator = await asyncio.to_thread(
        new_operator,
        act.id,
        found(registry.organisations.get(OrgId(act.org)), act.org),
        act.name,
        act.password,
        salt=salt,
        totp_secret=secret,
        sealer=desk.enrolment.sealer,
    )
    done = await _added(desk, operator, by)
    uri = authenticator_uri(operator, totp_secret=secret, issuer="data sharing gateway")
    return replace(done, once=uri)


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


async def _add_key(desk: Desk, act: AddKey, registry: Registry, by: str) -> Done:
    client = found(registry.clients.get(ClientId(act.client)), act.client)
    (key,) = frozen_client_keys((act.key,))
    if key in client.keys:
        raise ActRefused("the client has this key already")
    if len(client.keys) >= KEYS_MAX:
        raise ActRefused(f"a client has at most {KEYS_MAX} keys; first remove the one that is replaced")
    return await desk.recorded("add-key", replace(client, keys=(*client.keys, key)), by)


async def _remove_key(desk: Desk, act: RemoveKey, registry: Registry, by: str) -> Done:
    client = found(registry.clients.get(ClientId(act.client)), act.client)
    kept = tuple(key for key in client.keys if jose.thumbprint(dict(key)) != act.thumbprint)
    if kept == client.keys:
        raise ActRefused("the client has no key of that thumbprint; `gateway client show` lists them")
    return await desk.recorded("remove-key", replace(client, keys=kept), by, reason=act.reason)


async def _rotate_key(desk: Desk, act: RotateKey, _registry: Registry, by: str) -> Done:
    """Make a key, then tell everybody; one that nobody was told of is destroyed."""
    record = await asyncio.to_thread(desk.keys.make, act.kind, now=act.now)
    try:
        return await desk.recorded("rotate", record, by)
    except BaseException:
        desk.keys.destroy(record.id)
        raise


async def _revoke_token_key(desk: Desk, act: RevokeTokenKey, _registry: Registry, by: str) -> Done:
    """Have everybody forget a key, then destroy it; it counts no more even if the disk refuses that."""
    done = await desk.recorded("revoke", desk.keys.revoked(act.id), by, reason=act.reason)
    await asyncio.to_thread(desk.keys.destroy, act.id)
    return done


def _made(act: Act, registry: Registry) -> Record:
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
            return new_client(act.id, agreement=agreement, purposes=act.purposes, keys=act.keys)
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
        SetState: _set_state,
        AddKey: _add_key,
        RemoveKey: _remove_key,
        SetFrozen: freeze,
        Lift: lift,
        Look: _look,
        LookAtFreezes: _look_at_freezes,
        RotateKey: _rotate_key,
        RevokeTokenKey: _revoke_token_key,
    }
)
"""What does each act; as many as there are acts (a test keeps it so)."""
