"""Good tokens, proofs and assertions with one thing changed, chosen by dice: each must be refused.

Two families. ``broken`` changes a text after it was signed, in any of the ways below, or signs it with a
key that does not count. ``resigned`` changes a claim or a header and signs again with the right key, so that
only the judgement of what is said stands between it and acceptance; some of these are good.
"""

import base64
import json
import string
from collections.abc import Callable
from random import Random
from typing import Any, Final

from attack_world import World, encoded
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

KINDS: Final = ("token", "proof", "assertion")
CHARACTERS: Final = string.ascii_letters + string.digits + "-_.=+/ \n\0é"
ODD_VALUES: Final[tuple[Any, ...]] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        10**14,
        10**20,
        0.5,
        "",
        " ",
        "x",
        "ES256",
        "none",
        "at+jwt",
        "dpop+jwt",
        "JWT",
    ),
    *([], ["x"], {}, {"jkt": "x"}, "a" * 200, "0", "\0", "\ud800", "https://thief.example", "bank-b", "aal3"),
)
ODD_NAMES: Final = (
    "crit",
    "b64",
    "zip",
    "enc",
    "jku",
    "x5u",
    "x5c",
    "x5t",
    "cty",
    "p2c",
    "jwk",
    "kid",
    "epk",
)


def bytes_of(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def broken(kind: str, world: World, dice: Random) -> str:
    """Return a good text that was changed after it was signed; never the good one itself."""
    good = _good(kind, world, dice)
    mutant = good
    while mutant == good:
        mutant = dice.choice(_WAYS)(kind, good, world, dice)
    return mutant


def _good(kind: str, world: World, dice: Random) -> str:
    return str(getattr(world, kind)(jti=_letters(dice, 22)))


def _letters(dice: Random, count: int) -> str:
    return "".join(dice.choices(string.ascii_letters, k=count))


def _character(_kind: str, good: str, _world: World, dice: Random) -> str:
    place, length = dice.randrange(len(good)), dice.choice((0, 1, 1, 1, 2, 5))
    new = "".join(dice.choices(CHARACTERS, k=dice.choice((0, 1, 1, 2, 8))))
    return good[:place] + new + good[place + length :]


def _byte(_kind: str, good: str, _world: World, dice: Random) -> str:
    parts = good.split(".")
    which = dice.randrange(3)
    raw = bytearray(bytes_of(parts[which]))
    for _ in range(dice.choice((1, 1, 1, 3))):
        raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
    parts[which] = encoded(bytes(raw))
    return ".".join(parts)


def _member(_kind: str, good: str, _world: World, dice: Random) -> str:
    """Change a member of header or claims and keep the signature."""
    parts = good.split(".")
    which = dice.randrange(2)
    content = json.loads(bytes_of(parts[which]))
    name = dice.choice((*content, *ODD_NAMES))
    content[name] = dice.choice(ODD_VALUES)
    parts[which] = encoded(json.dumps(content).encode())
    return ".".join(parts)


def _segments(_kind: str, good: str, world: World, dice: Random) -> str:
    """Take a segment from another good text, repeat, drop or exchange segments."""
    other = _good(dice.choice(KINDS), world, dice).split(".")
    parts = good.split(".")
    match dice.randrange(4):
        case 0:
            which = dice.randrange(3)
            parts[which] = other[which]
        case 1:
            parts.insert(dice.randrange(4), dice.choice((*parts, *other, "")))
        case 2:
            del parts[dice.randrange(3)]
        case _:
            dice.shuffle(parts)
    return ".".join(parts)


def _signature(_kind: str, good: str, _world: World, dice: Random) -> str:
    """Replace the signature by one that some libraries took."""
    head, _, signature = good.rpartition(".")
    raw = bytes_of(signature)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    new = dice.choice(
        (
            bytes(64),
            b"",
            dice.randbytes(64),
            dice.randbytes(dice.randrange(130)),
            raw + b"\0",
            raw[:-1],
            raw[32:] + raw[:32],
            raw[:32] + bytes(32),
            encode_dss_signature(r, s),
            raw * 2,
        )
    )
    return f"{head}.{encoded(new)}"


def _thief(kind: str, good: str, world: World, dice: Random) -> str:
    """Have somebody else sign, under the right name."""
    if kind == "proof":
        jwk = json.loads(bytes_of(good.partition(".")[0]))["jwk"]
        return world.proof(key=world.thief_key, header={"jwk": jwk}, jti=_letters(dice, 22))
    return str(getattr(world, kind)(key=world.thief_key, jti=_letters(dice, 22)))


def _other_kind(kind: str, _good_text: str, world: World, dice: Random) -> str:
    return _good(dice.choice([other for other in KINDS if other != kind]), world, dice)


_WAYS: Final[tuple[Callable[[str, str, World, Random], str], ...]] = (
    *(_character, _character, _byte, _byte, _member, _member, _segments, _signature, _thief),
    _other_kind,
)


def resigned(kind: str, world: World, dice: Random) -> tuple[str, str]:
    """Return what was changed, and a text that the right key has signed with it."""
    good = world.claims_of(kind)
    if dice.random() < 0.2:
        name, value = dice.choice(("typ", "alg", "kid", *ODD_NAMES)), dice.choice(ODD_VALUES)
        return f"header {name}={value!r}", getattr(world, kind)(header={name: value})
    name = dice.choice((*good, "nbf", "exp", "extra", "scope"))
    old = good.get(name)
    values = [*ODD_VALUES]
    if type(old) is int:
        values += [old + shift for shift in (-900, -301, -61, -59, -1, 1, 5, 9, 11, 61, 400, 901)] * 2
        values += [str(old), float(old), [old]]
    elif isinstance(old, str):
        values += [old.upper(), old + "/", old + " ", [old], old[:-1]]
    elif isinstance(old, list):
        values += [old[1:], [*old, "mfa"], [*old, "hwk", "user"], sorted({*old, "face"})]
    value = dice.choice(values)
    return f"{name}={value!r}", getattr(world, kind)(
        **{name: value, "jti": value if name == "jti" else _letters(dice, 22)}
    )
