"""An operator's own page: passkeys added and removed, recovery codes made, what was approved ended.

    GET /account     an empty form
    POST sign-in     two kinds of factor -> how this operator signs in, one ticket
    POST a change    the ticket, once -> the change, and the page again with the next ticket

A ticket ends a quarter of an hour after the sign-in, however often it was exchanged. There are no cookies.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from gateway.clock import unix_ms
from gateway.errors import Malformed, NotAuthenticated
from gateway.identity import passkey
from gateway.identity.recovery import new_codes, recovery_hash
from gateway.jose import base64url
from gateway.registry.codec import change_of
from gateway.registry.records import (
    Activation,
    Operator,
    Passkey,
    Record,
    RecoveryCodes,
    State,
    UseCount,
    passkey_id,
)
from gateway.registry.registry import Registry
from gateway.registry.saved_request import SavedRequest
from gateway.services.asking import Event
from gateway.services.forms import Form, form_of
from gateway.services.page import Outcome, failed, not_signed_in, reply_of, sign_in_page
from gateway.services.ports import EnrolmentPorts
from gateway.services.saved import SEALED, visible
from gateway.services.screens import (
    Account,
    ActivationShown,
    Notice,
    PageName,
    PasskeyCreation,
    PasskeyShown,
)
from gateway.services.sign_in import Attempt, Failed, signed_in
from gateway.terms.identifiers import OperatorId
from gateway.terms.query import Query
from gateway.terms.reply import Reply

SESSION_S: Final = 900
TICKET_BYTES: Final = 32
PASSKEYS_MAX: Final = 10
ACTIVATIONS_MAX: Final = 100
"""Shown at once."""
ENDED_MAX: Final = 25
"""Ended by one post: an entry, of 4096 bytes, names each."""

_TICKET: Final = "account-ticket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in operator, for one post."""

    operator: Operator
    at: datetime
    passkey: str = ""
    """That it was opened with, if one: it ends with that, as a thief's must."""
    ticket: str = ""
    """The one that was handed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changed:
    """What a post changed, and what to tell."""

    notice: Notice
    records: tuple[Record, ...] = ()
    new_codes: tuple[str, ...] = ()


async def account(query: Query, ports: EnrolmentPorts) -> Reply:
    """Answer ``GET`` and ``POST /account``."""
    now = ports.clock.now()
    if query.method != "POST":
        return reply_of(query, sign_in_page(PageName.ACCOUNT, Event.SIGN_IN_PAGE, ports, now), ports)
    try:
        form = form_of(query)
    except Malformed:
        outcome = not_signed_in(PageName.ACCOUNT, Notice.FORM_UNREADABLE, ports, now, status=400)
        return reply_of(query, outcome, ports)
    change = _CHANGES.get(form.get("step", ""))
    if change is None:
        outcome = await _sign_in(form, query.peer, ports, now)
    else:
        outcome = _changed(form, change, ports, now)
    return reply_of(query, outcome, ports)


async def _sign_in(form: Form, peer: str, ports: EnrolmentPorts, now: datetime) -> Outcome:
    registry = ports.registry()
    attempt = Attempt(
        form=form,
        page=PageName.ACCOUNT,
        about="",
        peer=peer,
        registry=registry,
        now=now,
        may=lambda operator: registry.may_act(operator.id),
    )
    person = await signed_in(attempt, ports)
    if isinstance(person, Failed):
        return failed(PageName.ACCOUNT, person, ports, now)
    for change in person.changes:
        registry = registry.with_change(change)
    session = Session(operator=person.operator, at=person.at, passkey=person.passkey)
    return Outcome(
        screen=_screen(session, registry, ports, now),
        facts={"event": Event.SIGN_IN.value, "org": person.operator.org},
        operator=person.operator.id,
        changes=person.changes,
    )


def _changed(form: Form, change: "_Change", ports: EnrolmentPorts, now: datetime) -> Outcome:
    """Redeem the ticket, make the change, and show the page as it will be."""
    registry = ports.registry()
    session = _redeemed(form.get("ticket", ""), registry, ports, now)
    if session is None:
        return not_signed_in(PageName.ACCOUNT, Notice.SIGNED_OUT, ports, now)
    changed = change(form, session, registry, ports)
    changes = tuple(change_of(record) for record in changed.records)
    for each in changes:
        registry = registry.with_change(each)
    screen = _screen(session, registry, ports, now)
    return Outcome(
        screen=replace(screen, notice=changed.notice, new_codes=changed.new_codes),
        facts={"event": Event.ACCOUNT.value, "org": session.operator.org, "outcome": changed.notice.value},
        operator=session.operator.id,
        changes=changes,
        refused=not changes,
        status=200 if changes else 403,
    )


def _add_passkey(form: Form, session: Session, registry: Registry, ports: EnrolmentPorts) -> _Changed:
    party = passkey.relying_party(ports.origin)
    owned = _active(registry, session.operator)
    if party is None or len(owned) >= PASSKEYS_MAX:
        return _Changed(notice=Notice.PASSKEY_NOT_ADDED)
    try:
        made = passkey.verify_registration(
            form.get("passkey", ""), party=party, challenge=_creation_challenge(session.ticket)
        )
    except NotAuthenticated:
        return _Changed(notice=Notice.PASSKEY_NOT_ADDED)
    name = passkey_id(made.credential)
    if name in registry.passkeys:  # SECURITY: never another operator's, nor one that was removed
        return _Changed(notice=Notice.PASSKEY_NOT_ADDED)
    record = Passkey(
        id=name,
        operator=session.operator.id,
        credential=made.credential,
        public_key=made.public_key,
        synced=made.synced,
        added_at=ports.clock.now().astimezone(UTC),
        state=State.ACTIVE,
    )
    count = UseCount(id=name, operator=session.operator.id, count=made.count, state=State.ACTIVE)
    return _Changed(notice=Notice.PASSKEY_ADDED, records=(record, count))


def _remove_passkey(form: Form, session: Session, registry: Registry, _: EnrolmentPorts) -> _Changed:
    for record in _active(registry, session.operator):
        if record.id == form.get("id"):
            return _Changed(notice=Notice.PASSKEY_REMOVED, records=(replace(record, state=State.ENDED),))
    return _Changed(notice=Notice.FORM_UNREADABLE)


def _end_activation(form: Form, session: Session, registry: Registry, ports: EnrolmentPorts) -> _Changed:
    """End what somebody of the same organisation approved: whoever approved it may be away."""
    found = _approved(registry, session.operator, ports.clock.now())
    return _ended([record for record in found if record.id == form.get("id")])


def _end_mine(_: Form, session: Session, registry: Registry, ports: EnrolmentPorts) -> _Changed:
    """End all that the person approved, saved requests first: a passkey of theirs may have been stolen."""
    found = _approved(registry, session.operator, ports.clock.now())
    return _ended([record for record in found if record.operator == session.operator.id][:ENDED_MAX])


def _ended(found: list[Activation]) -> _Changed:
    if not found:
        return _Changed(notice=Notice.FORM_UNREADABLE)
    records = tuple(replace(record, state=State.ENDED) for record in found)
    return _Changed(notice=Notice.ACTIVATION_ENDED, records=records)


def _make_codes(_: Form, session: Session, __: Registry, ports: EnrolmentPorts) -> _Changed:
    """Make ten codes in place of those that were left."""
    codes = new_codes(ports.random_bytes)
    hashes = sorted(hashed for code in codes if (hashed := recovery_hash(session.operator.id, code)))
    record = RecoveryCodes(
        id=session.operator.id,
        hashes=tuple(hashes),
        made_at=ports.clock.now().astimezone(UTC),
        state=State.ACTIVE,
    )
    return _Changed(notice=Notice.CODES_MADE, records=(record,), new_codes=codes)


_Change = Callable[[Form, Session, Registry, EnrolmentPorts], _Changed]
_CHANGES: Final[Mapping[str, _Change]] = {
    "add-passkey": _add_passkey,
    "remove-passkey": _remove_passkey,
    "make-codes": _make_codes,
    "end-activation": _end_activation,
    "end-mine": _end_mine,
}


def _screen(session: Session, registry: Registry, ports: EnrolmentPorts, now: datetime) -> Account:
    """Return the page with its next ticket."""
    operator = session.operator
    ticket = base64url(ports.random_bytes(TICKET_BYTES))
    noted = {
        "operator": operator.id,
        "enrolled": _enrolled(operator),
        "passkey": session.passkey,
        "at": session.at.isoformat(),
    }
    document = json.dumps(noted).encode("ascii")
    until_ms = unix_ms(session.at) + SESSION_S * 1000
    ports.volatile.put(_TICKET, _hash(ticket), document, until_ms, now_ms=unix_ms(now))
    party, owned = passkey.relying_party(ports.origin), _active(registry, operator)
    creation = None
    if party is not None and len(owned) < PASSKEYS_MAX:
        creation = PasskeyCreation(
            rp_id=party.id,
            challenge=base64url(_creation_challenge(ticket)),
            user_handle=base64url(passkey.user_handle(operator.id)),
            exclude=tuple(base64url(each.credential) for each in owned),
        )
    codes = registry.recovery_codes.get(operator.id)
    approved = _approved(registry, operator, now)
    return Account(
        operator=operator.id,
        name=operator.name,
        passkeys=tuple(
            PasskeyShown(id=each.id, added_on=each.added_at.date(), synced=each.synced) for each in owned
        ),
        creation=creation,
        codes_left=0 if codes is None else len(set(codes.hashes) - registry.use_counts.keys()),
        ticket=ticket,
        activations=tuple(
            ActivationShown(
                id=each.id,
                client=each.client,
                operator=each.operator,
                saved=None if each.saved is None else _text_of(each.saved, ports),
                until=each.until,
            )
            for each in approved[:ACTIVATIONS_MAX]
        ),
        activations_more=max(0, len(approved) - ACTIVATIONS_MAX),
    )


def _text_of(saved: SavedRequest, ports: EnrolmentPorts) -> str:
    return visible(ports.sealer.unseal(SEALED, saved.sealed).decode("utf-8"))


def _approved(registry: Registry, operator: Operator, now: datetime) -> list[Activation]:
    """Return what is approved for machines of the operator's organisation; what ends last comes first."""
    found = [
        each
        for each in registry.activations.values()
        if each.state is State.ACTIVE
        and now < each.until
        and registry.has_passkey(each.passkey)
        and (client := registry.clients.get(each.client)) is not None
        and client.org == operator.org
    ]
    return sorted(found, key=lambda each: (each.until, each.id), reverse=True)


def _redeemed(ticket: str, registry: Registry, ports: EnrolmentPorts, now: datetime) -> Session | None:
    """Return whose ticket it is; it serves once, and only while its operator is active."""
    document = ports.volatile.take(_TICKET, _hash(ticket), now_ms=unix_ms(now))
    if document is None:
        return None
    noted = json.loads(document)
    operator = registry.operators.get(OperatorId(noted["operator"]))
    if operator is None or not operator.is_enrolled or not registry.may_act(operator.id):
        return None
    if noted["enrolled"] != _enrolled(operator):  # SECURITY: another person, who was given an erased one's id
        return None
    if not registry.has_passkey(noted["passkey"]):
        return None
    at = datetime.fromisoformat(noted["at"]).astimezone(UTC)
    return Session(operator=operator, at=at, passkey=noted["passkey"], ticket=ticket)


def _enrolled(operator: Operator) -> str:
    return "" if operator.enrolled_at is None else operator.enrolled_at.isoformat()


def _creation_challenge(ticket: str) -> bytes:
    """Return what a new passkey signs: the ticket itself, so that it is one page's and serves once."""
    return passkey.challenge_about(ticket, "add")


def _active(registry: Registry, operator: Operator) -> list[Passkey]:
    return [
        each
        for each in registry.passkeys.values()
        if each.operator == operator.id and each.state is State.ACTIVE
    ]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
