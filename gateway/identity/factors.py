"""Kinds of factor counted from the methods that were proved; ``mfa`` is derived (promise P6).

* Two methods of one kind are one kind; a claimed ``mfa`` counts for nothing.
* Only a person's methods raise assurance. ``pop`` and ``swk`` are the client's own keys, so a
  password beside them is one kind, not two.
* aal2: a person with two kinds, at most 8 h ago. aal3: one of them a hardware key used in presence
  (``hwk`` with ``user``), at most 15 min ago.

Source: RFC 8176 section 2; NIST SP 800-63B-4. ``user`` is presence, a touch, and no kind of factor;
whether a passkey also verified its user is said by the method it used (``pin``, ``fpt``, ...).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from gateway.terms.caller import Assurance, Factor

WINDOW_MAX_S: Final = 8 * 3600
FRESH_MAX_S: Final = 900
KINDS_NEEDED: Final = 2
CLIENT_METHODS: Final = frozenset({"pop", "swk"})
"""What a client's key is announced as; it is never taken for a person's factor."""
PHISHING_RESISTANT: Final = frozenset({"hwk", "user"})

_KINDS: Final[Mapping[str, Factor]] = MappingProxyType(
    dict.fromkeys(("pwd", "pin", "kba"), Factor.KNOWLEDGE)
    | dict.fromkeys(("otp", "hwk", "swk", "sc", "sms", "tel", "pop"), Factor.POSSESSION)
    | dict.fromkeys(("face", "fpt", "iris", "retina", "vbm"), Factor.INHERENCE)
)
_NO_KIND: Final = frozenset({"user", "mfa", "mca", "geo", "rba", "wia"})
"""Values of RFC 8176 that say how or where, but prove no factor."""


def kinds_of(methods: Iterable[str]) -> frozenset[Factor]:
    """Return the kinds of factor that methods prove; an unknown method proves none."""
    return _kinds_of(frozenset(methods))


@lru_cache(maxsize=256)
def _kinds_of(methods: frozenset[str]) -> frozenset[Factor]:
    return frozenset(_KINDS[method] for method in methods if method in _KINDS)


def person_methods(methods: Iterable[str]) -> frozenset[str]:
    """Return what a person proved: all but the client's own keys."""
    return frozenset(methods) - CLIENT_METHODS


def amr_of(person: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the claim ``amr`` of a client's token: its keys, a person's methods, ``mfa`` if earned.

    Sorted and without repetition, so that there is one spelling; applying it twice changes nothing.

    Raises:
        ValueError: A method that RFC 8176 does not list.

    """
    proved = frozenset(person) - {"mfa"}
    if unknown := proved - _KINDS.keys() - _NO_KIND:
        raise ValueError(f"`{min(unknown)}` is no authentication method of RFC 8176")
    earned = {"mfa"} if len(kinds_of(person_methods(proved))) >= KINDS_NEEDED else set()
    return tuple(sorted(proved | CLIENT_METHODS | earned))


def assurance_of(methods: Iterable[str], *, age_s: float | None) -> Assurance:
    """Return how much was proved by a client's key and, ``age_s`` seconds ago, by a person.

    ``age_s`` is None where no person took part. A time in the future counts for nothing.
    """
    person = person_methods(methods)
    if age_s is None or not 0 <= age_s <= WINDOW_MAX_S or len(kinds_of(person)) < KINDS_NEEDED:
        return Assurance.AAL1
    if person >= PHISHING_RESISTANT and age_s <= FRESH_MAX_S:
        return Assurance.AAL3
    return Assurance.AAL2


def assurance_at(methods: Iterable[str], *, authenticated_at: datetime | None, at: datetime) -> Assurance:
    """Return ``assurance_of`` for a sign-in at one moment and its use at another, in whole seconds."""
    if authenticated_at is None:
        return assurance_of(methods, age_s=None)
    return assurance_of(methods, age_s=int(at.timestamp()) - int(authenticated_at.timestamp()))
