"""A registered person sets their own password and authenticator, with the code that they were given once.

    GET /enrol      name and enrolment code
    POST join       the code fits -> the authenticator's new secret, one ticket
    POST finish     ticket, a password, the authenticator's first code -> the person can sign in

So nobody who registers people knows what they sign in with. A code serves once, for a day, in all workers; it
has 80 random bits, so only the address that tries is counted, and nobody keeps another from enrolling. Until
the last step nothing is changed: the person has both factors then, or none.
"""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from gateway.clock import unix_ms
from gateway.errors import Malformed, TooManyAttempts
from gateway.identity.password import SALT_BYTES
from gateway.identity.recovery import enrolment_hash
from gateway.identity.totp import SECRET_BYTES, accepted_step
from gateway.jose import base64url, base64url_decoded
from gateway.registry.codec import change_of
from gateway.registry.records import Invitation, Operator, State
from gateway.registry.registry import Registry
from gateway.services.asking import Event
from gateway.services.forms import Form, form_of
from gateway.services.page import Outcome, reply_of
from gateway.services.ports import EnrolmentPorts
from gateway.services.registration import (
    PASSWORD_LENGTH_MAX,
    PASSWORD_LENGTH_MIN,
    authenticator_uri,
    with_factors,
)
from gateway.services.screens import Enrolment, Factors, Notice
from gateway.services.throttle import Throttle, source_of
from gateway.terms.identifiers import OperatorId
from gateway.terms.query import Query
from gateway.terms.reply import Reply

PATH: Final = "/enrol"
CODE_LIFE: Final = timedelta(days=1)
TICKET_S: Final = 900
ISSUER: Final = "data sharing gateway"
_TICKET: Final = "enrolment-ticket"
_SEALED: Final = "enrolment-ticket"
_STEP_REMEMBERED_MS: Final = 300_000


def invitation(operator: OperatorId, code: str, now: datetime) -> Invitation:
    """Return what is kept of an enrolment code."""
    hashed = enrolment_hash(operator, code)
    assert hashed is not None, "made by the gateway"  # noqa: S101
    return Invitation(code_hash=hashed, until=now.astimezone(UTC) + CODE_LIFE)


async def enrol(query: Query, ports: EnrolmentPorts) -> Reply:
    """Answer ``GET`` and ``POST /enrol``."""
    now = ports.clock.now()
    if query.method != "POST":
        return reply_of(query, Outcome(screen=Enrolment(), facts={"event": Event.ENROL.value}), ports)
    try:
        form = form_of(query)
    except Malformed:
        return reply_of(query, _refused(Notice.FORM_UNREADABLE, status=400), ports)
    if form.get("step") == "finish":
        outcome = await _finish(form, ports, now)
    else:
        outcome = _join(form, query.peer, ports, now)
    return reply_of(query, outcome, ports)


def _join(form: Form, peer: str, ports: EnrolmentPorts, now: datetime) -> Outcome:
    """Show the authenticator's new secret to who has the code."""
    name = OperatorId(form.get("operator", ""))
    throttle = Throttle(ports.volatile, f"enrol|{name}|{source_of(peer)}", peer, now)
    if wait_s := throttle.wait_s():
        refused = _refused(Notice.TOO_MANY_ATTEMPTS, status=429)
        return replace(refused, headers=(("Retry-After", str(wait_s)),))
    hashed = enrolment_hash(name, form.get("code", "")) or ""
    operator = _invited(name, hashed, ports.registry(), now)
    if operator is None:
        throttle.failed()
        return _refused(Notice.ENROLMENT_FAILED)
    secret = ports.random_bytes(SECRET_BYTES)
    return _factors(operator, hashed, secret, ports, until_ms=unix_ms(now) + TICKET_S * 1000, now=now)


async def _finish(form: Form, ports: EnrolmentPorts, now: datetime) -> Outcome:
    """Give the person both factors, if the ticket stands and both are good."""
    document = ports.volatile.take(_TICKET, _hash(form.get("ticket", "")), now_ms=unix_ms(now))
    noted = {} if document is None else json.loads(ports.sealer.unseal(_SEALED, document))
    hashed = str(noted.get("code", ""))
    operator = _invited(OperatorId(str(noted.get("operator", ""))), hashed, ports.registry(), now)
    if operator is None:
        return _refused(Notice.ENROLMENT_FAILED)
    secret, until_ms = base64url_decoded(noted["secret"]), int(noted["until_ms"])
    step = accepted_step(secret, form.get("code", ""), now)
    enrolled = _unfit(form, step) or await _with_factors(operator, form, secret, ports, now)
    if isinstance(enrolled, Notice):
        return _factors(operator, hashed, secret, ports, until_ms=until_ms, now=now, notice=enrolled)
    # SECURITY: across workers; of two who finish with one code at once, one is enrolled. A crash, or a disk
    # that fills, between here and the entry costs the code, and leaves nobody half enrolled.
    until_of_code_ms = unix_ms(now + CODE_LIFE)
    if not await ports.ledger.use_once(f"enrolment|{operator.id}|{hashed}", until_of_code_ms):
        return _refused(Notice.ENROLMENT_FAILED)
    await ports.ledger.use_once(f"totp|{operator.id}|{step}", unix_ms(now) + _STEP_REMEMBERED_MS)
    if _invited(operator.id, hashed, ports.registry(), now) != operator:  # suspended or erased meanwhile
        return _refused(Notice.ENROLMENT_FAILED)
    return Outcome(
        screen=Enrolment(notice=Notice.ENROLLED),
        facts={"event": Event.ENROL.value, "org": operator.org, "outcome": Notice.ENROLLED.value},
        operator=operator.id,
        changes=(replace(change_of(enrolled), replaces=change_of(operator).document),),
    )


def _unfit(form: Form, step: int | None) -> Notice | None:
    """Return what is wrong with a password or an authenticator's first code."""
    password = form.get("password", "")
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        return Notice.PASSWORD_UNFIT
    if password != form.get("again", ""):
        return Notice.PASSWORDS_DIFFER
    return Notice.CODE_UNFIT if step is None else None


async def _with_factors(
    operator: Operator, form: Form, secret: bytes, ports: EnrolmentPorts, now: datetime
) -> Operator | Notice:
    salt = ports.random_bytes(SALT_BYTES)
    try:
        return await ports.passwords.slowly(
            partial(
                with_factors,
                operator,
                form["password"],
                salt=salt,
                totp_secret=secret,
                sealer=ports.sealer,
                now=now,
            )
        )
    except TooManyAttempts:
        return Notice.TOO_MANY_ATTEMPTS


def _factors(
    operator: Operator,
    hashed: str,
    secret: bytes,
    ports: EnrolmentPorts,
    *,
    until_ms: int,
    now: datetime,
    notice: Notice | None = None,
) -> Outcome:
    """Return the page that asks for both factors, with its ticket."""
    ticket = base64url(ports.random_bytes(32))
    noted = {"operator": operator.id, "code": hashed, "secret": base64url(secret), "until_ms": until_ms}
    document = ports.sealer.seal(_SEALED, json.dumps(noted).encode("ascii"))
    ports.volatile.put(_TICKET, _hash(ticket), document, until_ms, now_ms=unix_ms(now))
    uri = authenticator_uri(operator, totp_secret=secret, issuer=ISSUER)
    screen = Factors(operator=operator.id, name=operator.name, uri=uri, ticket=ticket, notice=notice)
    facts = {"event": Event.ENROL.value, "org": operator.org}
    if notice is None:
        return Outcome(screen=screen, facts=facts, operator=operator.id)
    facts["why"] = notice.value
    return Outcome(screen=screen, facts=facts, operator=operator.id, status=403, refused=True)


def _invited(name: OperatorId, hashed: str, registry: Registry, now: datetime) -> Operator | None:
    """Return who may enrol with a code of that hash, now."""
    operator = registry.operators.get(name)
    invited = None if operator is None else operator.invitation
    right = hmac.compare_digest(hashed, "" if invited is None else invited.code_hash)
    if operator is None or invited is None or not hashed or not right or now >= invited.until:
        return None
    organisation = registry.organisations.get(operator.org)
    stands = organisation is not None and organisation.state is State.ACTIVE and registry.may_act(name)
    return operator if stands else None


def _refused(notice: Notice, *, status: int = 403) -> Outcome:
    facts = {"event": Event.ENROL.value, "why": notice.value}
    return Outcome(screen=Enrolment(notice=notice), facts=facts, status=status, refused=True)


def _hash(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
