"""A person proves who they are: passkey, or password and one-time code; the same for every page.

    password and code        a code of the authenticator app, or a recovery code
    passkey                  alone where it is a hardware key; one that is synced needs a code as well

What was proved is counted by ``identity.factors``: two kinds, or no sign-in (P6). Whatever is wrong looks
and takes the same (NIST SP 800-63B 5.2.2 on throttling). A code, a counter and a page's challenge are used
up only by a sign-in that is otherwise right, and then across all workers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from gateway.clock import unix_ms
from gateway.errors import NotAuthenticated, TooManyAttempts
from gateway.identity import passkey
from gateway.identity.factors import KINDS_NEEDED, kinds_of, person_methods
from gateway.identity.recovery import recovery_hash
from gateway.identity.totp import WINDOW, accepted_step
from gateway.registry.codec import change_of
from gateway.registry.records import Operator, Passkey, State, UseCount, passkey_id
from gateway.registry.registry import Registry
from gateway.services.forms import Form
from gateway.services.ports import EnrolmentPorts
from gateway.services.registration import totp_seal_purpose
from gateway.services.screens import Notice, PageName, PasskeyOffer
from gateway.services.throttle import Throttle
from gateway.terms.entry import Change
from gateway.terms.identifiers import OperatorId

TOTP_STEP_REMEMBERED_S: Final = 300
"""Longer than the three steps in which a code is accepted."""
COUNT_REMEMBERED_S: Final = 3600
"""Longer than it takes until every worker knows the passkey's new count."""
CODE_REMEMBERED_S: Final = 10 * 365 * 86_400

_ABSENT_SECRET: Final = b"no operator of that name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One posted sign-in form."""

    form: Form
    page: PageName
    about: str
    """What a passkey's signature is bound to beside the page: the code of the waiting request, as typed."""
    peer: str
    registry: Registry
    now: datetime
    may: Callable[[Operator], bool]
    """Whether a person, once proved, may go on here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An operator who proved two kinds of factor, and may go on."""

    operator: Operator
    methods: tuple[str, ...]
    """RFC 8176 values."""
    passkey: str = ""
    """The record of the passkey among them, if there is one."""
    at: datetime
    changes: tuple[Change, ...] = ()
    """What the sign-in changed: a passkey's count, a recovery code less."""


@dataclass(frozen=True, slots=True)
class Failed:
    """No sign-in; the same words whatever was wrong."""

    notice: Notice = Notice.SIGN_IN_FAILED
    operator: OperatorId | None = None
    """The record that was named, for the entry's sealed part."""
    wait_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    """A one-time code that fits, and the name under which it is used up."""

    single_use_id: str
    remembered_s: int
    earlier: tuple[str, ...] = ()
    """Names of older codes that end with this one."""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """A passkey's signature that fits."""

    operator: Operator
    record: Passkey
    counts: tuple[int, int]
    """As last known, and now."""
    challenge: str = field(repr=False)


def passkey_offer(page: PageName, ports: EnrolmentPorts, now: datetime) -> PasskeyOffer | None:
    """Return what a page needs to ask for a passkey; None where the gateway's address can have none."""
    party = passkey.relying_party(ports.origin)
    if party is None:
        return None
    challenge = passkey.page_challenge(ports.nonce_secret, page, now, ports.random_bytes)
    return PasskeyOffer(rp_id=party.id, challenge=challenge)


async def signed_in(attempt: Attempt, ports: EnrolmentPorts) -> Person | Failed:
    """Return who signed in; nothing is told but that it failed."""
    if attempt.form.get("passkey"):
        return await _by_passkey(attempt, ports)
    return await _by_password(attempt, ports)


async def _by_password(attempt: Attempt, ports: EnrolmentPorts) -> Person | Failed:
    """SECURITY: every check is made whichever fails, so that neither words nor time tell one from another."""
    form, now = attempt.form, attempt.now
    name = OperatorId(form.get("operator", ""))
    throttle = Throttle(ports.volatile, name, attempt.peer, now)
    if wait_s := throttle.wait_s():
        return Failed(Notice.TOO_MANY_ATTEMPTS, wait_s=wait_s)
    operator = attempt.registry.operators.get(name)
    password_hash = None if operator is None else operator.password_hash or None
    try:
        password_right = await ports.passwords.matches(password_hash, form.get("password", ""))
    except TooManyAttempts as error:
        return Failed(Notice.TOO_MANY_ATTEMPTS, wait_s=error.retry_after_s)
    code = _code_of(operator, attempt, ports, throttle)
    may = operator is not None and attempt.may(operator)
    if operator is None or not password_right or code is None or not may:
        if password_right and code is None:
            throttle.code_wrong()
        throttle.failed()
        return Failed(operator=None if operator is None else operator.id)
    if not await _used_up(code, ports, now):
        throttle.failed()
        return Failed(operator=operator.id)
    throttle.succeeded()
    return Person(operator=operator, methods=("pwd", "otp"), at=now, changes=code.changes)


async def _by_passkey(attempt: Attempt, ports: EnrolmentPorts) -> Person | Failed:
    """Let a passkey sign in; it is not guessed, so only the codes that synced ones need are throttled."""
    try:
        signed = _signed_by(attempt, ports)
    except NotAuthenticated:
        return Failed()
    operator = signed.operator
    failed = Failed(operator=operator.id)
    throttle = Throttle(ports.volatile, operator.id, attempt.peer, attempt.now)
    methods, code = passkey.methods_of(synced=signed.record.synced), None
    if not attempt.may(operator):
        return failed
    if len(kinds_of(person_methods(methods))) < KINDS_NEEDED:
        code = _code_of(operator, attempt, ports, throttle)
        if code is None and not (attempt.form.get("code") or attempt.form.get("recovery")):
            return replace(failed, notice=Notice.CODE_NEEDED)
        if code is None:
            throttle.code_wrong()
            return failed
        methods = ("otp", *methods)
    changes = await _signature_used_up(signed, code, ports, attempt.now)
    if changes is None:
        return failed
    throttle.succeeded()
    return Person(
        operator=operator, methods=methods, passkey=signed.record.id, at=attempt.now, changes=changes
    )


async def _signature_used_up(
    signed: _Signed, code: _Code | None, ports: EnrolmentPorts, now: datetime
) -> tuple[Change, ...] | None:
    """Return what changes, once page, code and count served; None: one of them served before."""
    now_ms = unix_ms(now)
    page_until_ms = now_ms + passkey.PAGE_LIFE_S * 1000
    if not ports.volatile.use_once(f"page|{signed.challenge}", page_until_ms, now_ms=now_ms):
        return None
    if code is not None and not await _used_up(code, ports, now):
        return None
    changes = () if code is None else code.changes
    before, count = signed.counts
    if count == before:  # it does not count: `verify_assertion` lets only 0 stay as it is
        return changes
    used = f"passkey|{signed.record.id}|{count}"
    if not await ports.ledger.use_once(used, now_ms + COUNT_REMEMBERED_S * 1000):
        return None
    return (*changes, _counted(signed.record.id, signed.operator, count))


def _signed_by(attempt: Attempt, ports: EnrolmentPorts) -> _Signed:
    """Return whose passkey signed this page's challenge, together with what was typed there.

    Raises:
        NotAuthenticated: Nobody's, or not this.

    """
    response, challenge = attempt.form.get("passkey", ""), attempt.form.get("challenge", "")
    party = passkey.relying_party(ports.origin)
    record = attempt.registry.passkeys.get(passkey_id(passkey.credential_named_by(response)))
    operator = None if record is None else attempt.registry.operators.get(record.operator)
    if party is None or record is None or operator is None or record.state is not State.ACTIVE:
        raise NotAuthenticated(cause="passkey-unknown")
    if not passkey.challenge_stands(ports.nonce_secret, attempt.page, challenge, attempt.now):
        raise NotAuthenticated(cause="passkey-of-another-page")
    known = attempt.registry.use_counts.get(record.id)
    before = 0 if known is None else known.count
    count = passkey.verify_assertion(
        response,
        party=party,
        challenge=passkey.challenge_about(challenge, attempt.about),
        public_key=record.public_key,
        count=before,
        synced=record.synced,
    )
    return _Signed(operator=operator, record=record, counts=(before, count), challenge=challenge)


def _code_of(
    operator: Operator | None, attempt: Attempt, ports: EnrolmentPorts, throttle: Throttle
) -> _Code | None:
    """Return the code that was typed, if it is one of the operator's."""
    form = attempt.form
    shut = throttle.codes_shut()
    step = accepted_step(_secret_of(operator, ports), form.get("code", ""), attempt.now)
    if operator is None or not operator.is_enrolled:
        return None
    if form.get("recovery"):
        return _recovery_code(operator, form["recovery"], attempt.registry)
    if step is None or shut:
        return None
    return _Code(
        single_use_id=_step_id(operator, step),
        remembered_s=TOTP_STEP_REMEMBERED_S,
        earlier=tuple(_step_id(operator, step - back) for back in range(1, 2 * WINDOW + 1)),
    )


def _recovery_code(operator: Operator, typed: str, registry: Registry) -> _Code | None:
    codes, hashed = registry.recovery_codes.get(operator.id), recovery_hash(operator.id, typed)
    if codes is None or hashed is None or codes.state is not State.ACTIVE or hashed not in codes.hashes:
        return None
    return _Code(
        single_use_id=f"recovery|{operator.id}|{hashed}",
        remembered_s=CODE_REMEMBERED_S,
        changes=(_counted(hashed, operator, 1),),
    )


def _counted(id_: str, operator: Operator, count: int) -> Change:
    return change_of(UseCount(id=id_, operator=operator.id, count=count, state=State.ACTIVE))


def _step_id(operator: Operator, step: int) -> str:
    return f"totp|{operator.id}|{step}"


async def _used_up(code: _Code, ports: EnrolmentPorts, now: datetime) -> bool:
    """Use a code up, and with it every older one (RFC 6238 section 5.2)."""
    until_ms = unix_ms(now) + code.remembered_s * 1000
    if not await ports.ledger.use_once(code.single_use_id, until_ms):
        return False
    for older in code.earlier:
        await ports.ledger.use_once(older, until_ms)
    return True


def _secret_of(operator: Operator | None, ports: EnrolmentPorts) -> bytes:
    if operator is None or not operator.is_enrolled:
        return _ABSENT_SECRET
    return ports.sealer.unseal(totp_seal_purpose(operator.id), operator.totp_sealed)
