"""Every claim that must be there, with every kind of value that it must not have.

For all three kinds of text: what is of another type, empty, missing or hides a character; each with the
cause of its refusal.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attack_world import World

Attack = tuple[Callable[[World], str], str]

MISSING: Final = None
HIDDEN: Final = "text-not-printable-ascii"
VALUES: Final[Mapping[str, tuple[Callable[[Any], Any], str | None]]] = {
    "missing": (lambda _: MISSING, None),
    "true": (lambda _: True, None),
    "false": (lambda _: False, None),
    "a fraction": (lambda _: 0.5, "not-an-integer"),
    "an empty text": (lambda _: "", None),
    "an empty list": (lambda _: [], None),
    "an object": (lambda _: {}, None),
    "itself in a list": (lambda good: [good], None),
    "itself as a text with a line break": (lambda good: f"{good}\n", HIDDEN),
    "itself as a text with NUL": (lambda good: f"{good}\0", HIDDEN),
    "itself as a text with a space": (lambda good: f"{good} x", None),
    "itself in letters that look alike": (lambda good: f"{good}а", HIDDEN),  # noqa: RUF001  the Cyrillic one
    "half a surrogate": (lambda _: "\ud800", HIDDEN),
}
"""How a good value becomes a bad one, and the cause where it is not the claim's own."""

TOKEN: Final = {
    **{name: f"claim-{name}" for name in ("iss", "aud", "sub", "client_id", "org", "purpose", "agreement")},
    **{name: f"claim-{name}" for name in ("client_key", "cnf", "amr", "iat", "exp", "jti")},
    "acr": "assurance-not-earned",
}
PROOF: Final = {
    "htm": "proof-htm",
    "htu": "proof-claim-htu",
    "iat": "proof-claim-iat",
    "jti": "proof-claim-jti",
    "qd": "proof-qd",
    "nonce": "proof-nonce",
}
ASSERTION: Final = {
    "iss": "assertion-client",
    "sub": "assertion-client",
    "aud": "assertion-audience",
    "iat": "claim-iat",
    "exp": "claim-exp",
    "jti": "claim-jti",
}
_INSTEAD: Final = {
    ("amr", "an empty list"): "assurance-not-earned",
    ("htu", "itself as a text with a space"): "proof-claim-htu",
}


def _attacks(kind: str, causes: Mapping[str, str], prefix: str = "") -> dict[str, Attack]:
    found: dict[str, Attack] = {}
    for claim, own in causes.items():
        for what, (bad, cause) in VALUES.items():

            def attack(world: World, claim: str = claim, bad: Callable[[Any], Any] = bad) -> str:
                make = getattr(world, kind)
                return str(make(**{claim: bad(world.claims_of(kind)[claim])}))

            outcome = own if cause is None else prefix + cause
            found[f"{kind}: {claim} {what}"] = (attack, _INSTEAD.get((claim, what), outcome))
    return found


BY_VALUE: Final[Mapping[str, Mapping[str, Attack]]] = {
    "token": _attacks("token", TOKEN),
    "proof": _attacks("proof", PROOF, "proof-"),
    "assertion": _attacks("assertion", ASSERTION),
}
