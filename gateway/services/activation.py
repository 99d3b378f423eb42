"""A person activates a client: sign in, see what is asked, compare the key phrase, decide.

    GET /activate    an empty form, whatever the link said
    POST sign-in     password and one-time code, own organisation only -> what is asked, one ticket
    POST decide      the ticket, once -> an activation of at most eight hours, or a refusal

There are no cookies, so nothing ambient that another page could ride on (no CSRF): each post carries
what it needs. Whatever is wrong at sign-in looks and takes the same (NIST SP 800-63B 5.2.2 on throttling).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.clock import unix_ms
from gateway.errors import Malformed, NotAuthenticated, TooManyAttempts
from gateway.identity.totp import accepted_step
from gateway.identity.userphrase import key_phrase
from gateway.jose import base64url
from gateway.registry.codec import change_of
from gateway.registry.records import Activation, Operator, State
from gateway.registry.registry import Registry, Standing, standing
from gateway.services import devices
from gateway.services.asking import Event
from gateway.services.forms import Form, form_of, private_of
from gateway.services.ports import EnrolmentPorts
from gateway.services.registration import totp_seal_purpose
from gateway.services.screens import Consent, Done, Notice, Screen, SignIn
from gateway.terms.entry import Change, EntryKind, Fact
from gateway.terms.identifiers import OperatorId
from gateway.terms.query import Query
from gateway.terms.reply import Reply

ATTEMPTS_MAX: Final = 5
ATTEMPTS_WINDOW_S: Final = 900
TICKET_LIFE_S: Final = 300
TICKET_BYTES: Final = 32
ACTIVATION_ID_BYTES: Final = 16
TOTP_STEP_REMEMBERED_S: Final = 300
"""Longer than the three steps in which a code is accepted."""
METHODS: Final = ("pwd", "otp")
"""RFC 8176 values of what the sign-in proves: something known and something held, by the person alone."""

_TICKET: Final = "activation-ticket"
_LOCKED: Final = "sign-in-locked"
_ABSENT_SECRET: Final = b"no operator of that name"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """An operator who proved both factors, before one waiting request of the own organisation."""

    operator: Operator
    grant: devices.DeviceGrant
    chain: Standing
    at: datetime

    @property
    def until(self) -> datetime:
        """When an activation ends; it counts from the moment the factors were proved."""
        return self.at + timedelta(hours=self.grant.hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one request: the screen to show, and what its entry says or commits to."""

    screen: Screen
    status: int
    kind: EntryKind
    facts: Mapping[str, Fact]
    private: Mapping[str, str] = field(repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    changes: tuple[Change, ...] = ()


async def activate(query: Query, ports: EnrolmentPorts) -> Reply:
    """Answer ``GET`` and ``POST /activate``; the query string is never read, so no link fills in a code."""
    if query.method != "POST":
        outcome = _shown(SignIn(), Event.SIGN_IN_PAGE)
    else:
        outcome = await _posted(query, ports)
    page = ports.render(outcome.screen)
    return Reply(
        status=outcome.status,
        content_type="text/html; charset=utf-8",
        body=page.body,
        headers=(*page.headers, *outcome.headers),
        kind=outcome.kind,
        facts=outcome.facts,
        private=private_of(query, **outcome.private),
        changes=outcome.changes,
    )


async def _posted(query: Query, ports: EnrolmentPorts) -> Outcome:
    try:
        form = form_of(query)
    except Malformed:
        return _refused(Notice.FORM_UNREADABLE, Event.SIGN_IN, status=400)
    if form.get("step") == "decide":
        return _decide(form, ports)
    return await _sign_in(form, query.peer, ports)


async def _sign_in(form: Form, peer: str, ports: EnrolmentPorts) -> Outcome:
    """Show what is asked to an operator who may decide on it."""
    now = ports.clock.now()
    name = OperatorId(form.get("operator", ""))
    attempts = f"{_hash(name)}|{peer}"
    if ports.volatile.get(_LOCKED, attempts, now_ms=unix_ms(now)) is not None:
        return _too_many(_window_left(now))
    registry = ports.registry()
    operator = registry.operators.get(name)
    try:
        signed_in = await _proved(operator, form, registry, ports, now)
    except TooManyAttempts as error:
        return _too_many(str(error.retry_after_s))
    if signed_in is None:
        _count_failure(attempts, ports, now)
        return _refused(Notice.SIGN_IN_FAILED, Event.SIGN_IN, status=403, operator=operator)
    return _shown(_consent(signed_in, ports), Event.SIGN_IN, signed_in)


async def _proved(
    operator: Operator | None, form: Form, registry: Registry, ports: EnrolmentPorts, now: datetime
) -> SignedIn | None:
    """Return who signed in for what; None whatever was wrong.

    SECURITY: every check is made whichever fails, so that neither words nor time tell one from
    another; the one-time code is used up only by a sign-in that is otherwise right.
    """
    password_hash = None if operator is None else operator.password_hash
    password_right = await ports.passwords.matches(password_hash, form.get("password", ""))
    step = accepted_step(_secret_of(operator, ports), form.get("code", ""), now)
    grant = devices.waiting_grant(ports.volatile, form.get("user_code", ""), now_ms=unix_ms(now))
    chain = None if grant is None else _chain(registry, grant, operator, now)
    if operator is None or not password_right or step is None or grant is None or chain is None:
        return None
    remembered_until_ms = unix_ms(now) + TOTP_STEP_REMEMBERED_S * 1000
    if not await ports.ledger.use_once(f"totp|{operator.id}|{step}", remembered_until_ms):
        return None
    return SignedIn(operator=operator, grant=grant, chain=chain, at=now)


def _secret_of(operator: Operator | None, ports: EnrolmentPorts) -> bytes:
    if operator is None:
        return _ABSENT_SECRET
    return ports.sealer.unseal(totp_seal_purpose(operator.id), operator.totp_sealed)


def _chain(
    registry: Registry, grant: devices.DeviceGrant, operator: Operator | None, now: datetime
) -> Standing | None:
    """Return the chain behind the request, if this operator may decide on it."""
    if operator is None or operator.state is not State.ACTIVE:
        return None
    try:
        chain = standing(registry, grant.client, grant.purpose, grant.client_key, now)
    except NotAuthenticated:
        return None
    return chain if chain.organisation.id == operator.org else None


def _consent(signed_in: SignedIn, ports: EnrolmentPorts) -> Consent:
    """Return the question, with a ticket that answers it once."""
    grant, chain = signed_in.grant, signed_in.chain
    ticket = base64url(ports.random_bytes(TICKET_BYTES))
    document = {
        "grant": grant.id,
        "operator": signed_in.operator.id,
        "at": signed_in.at.isoformat(),
    }
    now_ms = unix_ms(signed_in.at)
    ports.volatile.put(
        _TICKET,
        _hash(ticket),
        json.dumps(document).encode("ascii"),
        now_ms + TICKET_LIFE_S * 1000,
        now_ms=now_ms,
    )
    return Consent(
        client=grant.client,
        organisation=chain.organisation.name,
        purpose=grant.purpose,
        agreement=chain.agreement.id,
        hours=grant.hours,
        until=signed_in.until,
        key_phrase=key_phrase(grant.client_key, grant.code_hash),
        ticket=ticket,
    )


def _decide(form: Form, ports: EnrolmentPorts) -> Outcome:
    """Turn a ticket and a decision into an activation, or into a refusal for the client."""
    approve = form.get("decision") == "approve"
    if not approve and form.get("decision") != "refuse":
        return _refused(Notice.FORM_UNREADABLE, Event.DECISION, status=400)
    now = ports.clock.now()
    signed_in = _redeemed(form.get("ticket", ""), ports, now)
    if signed_in is None:
        return _refused(Notice.NO_LONGER_WAITING, Event.DECISION, status=403)
    activation = _activation(signed_in, ports)
    decision = devices.Approved(activation.id) if approve else devices.Refused()
    # A crash between here and the entry leaves an approval of an activation that is not in the registry:
    # it does not count, and the client asks again.
    if not devices.decide(ports.volatile, signed_in.grant, decision, now_ms=unix_ms(now)):
        return _refused(Notice.NO_LONGER_WAITING, Event.DECISION, status=403, operator=signed_in.operator)
    if not approve:
        return _shown(Done(notice=Notice.REFUSED), Event.DECISION, signed_in, outcome="refused")
    shown = _shown(
        Done(notice=Notice.APPROVED),
        Event.DECISION,
        signed_in,
        outcome="approved",
        activation=activation.id,
    )
    return replace(shown, kind=EntryKind.CONFIG, changes=(change_of(activation),))


def _redeemed(ticket: str, ports: EnrolmentPorts, now: datetime) -> SignedIn | None:
    """Return who holds a ticket, if everything still stands as when it was given; it serves once."""
    document = ports.volatile.take(_TICKET, _hash(ticket), now_ms=unix_ms(now))
    if document is None:
        return None
    noted = json.loads(document)
    registry = ports.registry()
    operator = registry.operators.get(OperatorId(noted["operator"]))
    grant = devices.grant_of(ports.volatile, noted["grant"], now_ms=unix_ms(now))
    if operator is None or grant is None or unix_ms(now) >= grant.expires_at_ms:
        return None
    chain = _chain(registry, grant, operator, now)
    at = datetime.fromisoformat(noted["at"]).astimezone(UTC)
    return None if chain is None else SignedIn(operator=operator, grant=grant, chain=chain, at=at)


def _activation(signed_in: SignedIn, ports: EnrolmentPorts) -> Activation:
    return Activation(
        id=f"act-{base64url(ports.random_bytes(ACTIVATION_ID_BYTES))}",
        client=signed_in.grant.client,
        operator=signed_in.operator.id,
        purpose=signed_in.grant.purpose,
        key=signed_in.grant.client_key,
        methods=METHODS,
        authenticated_at=signed_in.at,
        until=signed_in.until,
        state=State.ACTIVE,
    )


def _count_failure(attempts: str, ports: EnrolmentPorts, now: datetime) -> None:
    """Lock a name for an address that failed too often; strangers elsewhere lock nobody out."""
    now_ms = unix_ms(now)
    if ports.volatile.count(f"sign-in|{attempts}", ATTEMPTS_WINDOW_S, now_ms=now_ms) >= ATTEMPTS_MAX:
        until_ms = now_ms + int(_window_left(now)) * 1000
        ports.volatile.put(_LOCKED, attempts, b"", until_ms, now_ms=now_ms)


def _too_many(retry_after_s: str) -> Outcome:
    return _refused(
        Notice.TOO_MANY_ATTEMPTS, Event.SIGN_IN, status=429, headers=(("Retry-After", retry_after_s),)
    )


def _window_left(now: datetime) -> str:
    return str(ATTEMPTS_WINDOW_S - int(now.timestamp()) % ATTEMPTS_WINDOW_S)


def _refused(
    notice: Notice,
    event: Event,
    *,
    status: int,
    operator: Operator | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Outcome:
    """Return a refusal. ``operator`` is a record's: what was typed as a name may be a password.

    SECURITY: the entry goes to the caller with the receipt, so it has the same members whoever it was.
    """
    return Outcome(
        screen=SignIn(notice=notice) if event is Event.SIGN_IN else Done(notice=notice),
        status=status,
        kind=EntryKind.DENY,
        facts={"event": event.value, "why": notice.value},
        private={"operator": "" if operator is None else operator.id},
        headers=headers,
    )


def _shown(screen: Screen, event: Event, signed_in: SignedIn | None = None, **facts: str) -> Outcome:
    known: dict[str, Fact] = {}
    private: dict[str, str] = {}
    if signed_in is not None:
        known = {"org": signed_in.operator.org, "client": signed_in.grant.client}
        known |= {"purpose": signed_in.grant.purpose}
        private = {"operator": signed_in.operator.id}
    return Outcome(
        screen=screen,
        status=200,
        kind=EntryKind.SINGLE,
        facts={"event": event.value, **known, **facts},
        private=private,
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
