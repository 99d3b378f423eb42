"""Requests of clients that wait for a person (RFC 8628), for the five minutes that they may wait.

State: all of it in the volatile store, owned here. A grant is found by its device code (only its hash
is kept) or, until someone decides, by its user code: deciding takes the user code away, so of two
people only the first decides. A restart forgets all of it; the client asks again.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from gateway.jose import request_digest
from gateway.ledger.volatile import Volatile
from gateway.terms.identifiers import ClientId, PurposeId, Thumbprint

ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Letters without vowels, so that no word comes out, as RFC 8628 section 6.1 advises."""
CODE_LETTERS: Final = 8
LIFE_S: Final = 300
REMEMBERED_S: Final = 120
"""How long after its end a grant is still answered with `expired_token`."""
SLOW_DOWN_S: Final = 5
CODE_TRIES: Final = 8

_GRANT: Final = "device-grant"
_USER_CODE: Final = "device-user-code"
_DECISION: Final = "device-decision"
_POLL: Final = "device-poll"
_REFUSED: Final = b"refused"
_APPROVED: Final = b"approved|"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedAsk:
    """One request that is to be run without a person, to its last byte, for so many days."""

    method: str
    path: str
    query_string: str
    body: str
    """As text; the bytes are its UTF-8."""
    days: int

    @property
    def digest(self) -> str:
        """The name of the request that tokens are bound to."""
        return request_digest(self.method, self.path, self.query_string, self.body.encode("utf-8"))

    @property
    def text(self) -> str:
        """The request on one page, for the entry to commit to."""
        return f"{self.method} {self.path}?{self.query_string}\n{self.body}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceGrant:
    """What one client asks a person for; bound to both of its keys."""

    id: str
    """The SHA-256 of the device code in hexadecimal; the code itself is kept by the client only."""
    user_code: str
    client: ClientId
    purpose: PurposeId
    hours: int
    client_key: Thumbprint
    """The registered key that signed the assertion."""
    proof_key: Thumbprint
    """The DPoP key that the token will be bound to."""
    expires_at_ms: int
    saved: SavedAsk | None = None
    """The one request that is asked for, in place of ``hours`` of whatever is asked."""

    @property
    def code_hash(self) -> bytes:
        """The SHA-256 of the device code."""
        return bytes.fromhex(self.id)


@dataclass(frozen=True, slots=True)
class Approved:
    """A person approved; the activation's record is on its way into the registry."""

    activation: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A person refused."""


Decision = Approved | Refused


def grant_id(device_code: str) -> str:
    """Return the id of the grant that a device code belongs to."""
    return hashlib.sha256(device_code.encode("utf-8")).hexdigest()


def normal_user_code(typed: str) -> str:
    """Return a user code as it is kept, however a person typed it (RFC 8628 section 6.1)."""
    letters = "".join(letter for letter in typed[:40].upper() if letter in ALPHABET)
    return f"{letters[:4]}-{letters[4:]}"


def unused_user_code(volatile: Volatile, random_bytes: Callable[[int], bytes], *, now_ms: int) -> str:
    """Return eight random letters that no waiting grant has.

    Raises:
        RuntimeError: None was found, which does not happen with a random source that works.

    """
    for _ in range(CODE_TRIES):
        # Bytes from 240 on are left out: 256 is no multiple of 20, and a letter must not be likelier.
        usable = [byte for byte in random_bytes(4 * CODE_LETTERS) if byte < 256 - 256 % len(ALPHABET)]
        code = normal_user_code("".join(ALPHABET[byte % len(ALPHABET)] for byte in usable[:CODE_LETTERS]))
        if len(usable) >= CODE_LETTERS and volatile.get(_USER_CODE, code, now_ms=now_ms) is None:
            return code
    raise RuntimeError("no unused user code found")


def keep(volatile: Volatile, grant: DeviceGrant, *, now_ms: int) -> None:
    """Let a grant wait for a person."""
    document = json.dumps(asdict(grant)).encode("ascii")
    until_ms = grant.expires_at_ms + REMEMBERED_S * 1000
    volatile.put(_GRANT, grant.id, document, until_ms, now_ms=now_ms)
    volatile.put(_USER_CODE, grant.user_code, grant.id.encode("ascii"), grant.expires_at_ms, now_ms=now_ms)


def grant_of(volatile: Volatile, id: str, *, now_ms: int) -> DeviceGrant | None:  # noqa: A002  its name
    """Return a grant by its id."""
    document = volatile.get(_GRANT, id, now_ms=now_ms)
    if document is None:
        return None
    members = json.loads(document)
    saved = members.pop("saved")
    return DeviceGrant(**members, saved=None if saved is None else SavedAsk(**saved))


def waiting_grant(volatile: Volatile, typed: str, *, now_ms: int) -> DeviceGrant | None:
    """Return the grant of a user code, if it is still undecided and in its time."""
    id_ = volatile.get(_USER_CODE, normal_user_code(typed), now_ms=now_ms)
    grant = None if id_ is None else grant_of(volatile, id_.decode("ascii"), now_ms=now_ms)
    return grant if grant is not None and now_ms < grant.expires_at_ms else None


def decide(volatile: Volatile, grant: DeviceGrant, decision: Decision, *, now_ms: int) -> bool:
    """Note a person's decision; False if somebody has decided before."""
    if volatile.take(_USER_CODE, grant.user_code, now_ms=now_ms) is None:
        return False
    word = _REFUSED if isinstance(decision, Refused) else _APPROVED + decision.activation.encode("ascii")
    volatile.put(_DECISION, grant.id, word, grant.expires_at_ms + REMEMBERED_S * 1000, now_ms=now_ms)
    return True


def decision_of(volatile: Volatile, grant: DeviceGrant, *, now_ms: int) -> Decision | None:
    """Return what a person decided; None while nobody has."""
    word = volatile.get(_DECISION, grant.id, now_ms=now_ms)
    if word is None:
        return None
    return Refused() if word == _REFUSED else Approved(word.removeprefix(_APPROVED).decode("ascii"))


def redeem(volatile: Volatile, grant: DeviceGrant, *, now_ms: int) -> bool:
    """Use a grant up; False if it was redeemed before, or at this moment by another worker."""
    return volatile.take(_GRANT, grant.id, now_ms=now_ms) is not None


def polled_too_soon(volatile: Volatile, grant: DeviceGrant, *, interval_s: int, now_ms: int) -> bool:
    """Return whether a client asks again too early; each time its interval grows by five seconds.

    The first poll may come at once; RFC 8628 section 3.5 speaks of the time between polls.
    """
    noted = volatile.get(_POLL, grant.id, now_ms=now_ms)
    wait_s, next_ms = json.loads(noted) if noted is not None else (interval_s, 0)
    too_soon = bool(now_ms < next_ms)
    wait_s += SLOW_DOWN_S if too_soon else 0
    document = json.dumps([wait_s, now_ms + wait_s * 1000]).encode("ascii")
    volatile.put(_POLL, grant.id, document, grant.expires_at_ms + REMEMBERED_S * 1000, now_ms=now_ms)
    return too_soon
