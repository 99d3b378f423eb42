"""Read the JSON body of a question strictly (RFC 8259, I-JSON): one text has one meaning.

Refused are other encodings, duplicate names, NaN and infinities, numbers and texts beyond all use,
and deep nesting. Numbers stay exact. The size of the body is the web room's business.
"""

import json
from collections.abc import Collection, Mapping
from decimal import Decimal

from gateway.errors import MalformedRequest
from gateway.planning.names import nearest_of, word

DEPTH_MAX = 24
NUMBER_CHARS_MAX = 40


def members_of(body: bytes, *, allowed: Collection[str]) -> Mapping[str, object]:
    """Return the members of a JSON object: texts, ``int``, ``Decimal``, ``bool``, None, lists, dicts.

    Raises:
        MalformedRequest: Not one strict JSON object, or a member that is not ``allowed``.

    """
    members = object_of(body)
    check_members(members, allowed=allowed)
    return members


def object_of(body: bytes) -> Mapping[str, object]:
    """Return the members of a JSON object, whatever their names; no error names one.

    Raises:
        MalformedRequest: Not one strict JSON object.

    """
    try:
        content: object = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=lambda text: int(_short(text)),
            parse_float=lambda text: Decimal(_short(text)),
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise MalformedRequest("the body is not UTF-8") from error
    except (ValueError, ArithmeticError, RecursionError) as error:  # an exponent may be beyond Decimal's
        raise MalformedRequest("the body is not JSON") from error
    _check(content, DEPTH_MAX)
    if not isinstance(content, dict):
        raise MalformedRequest("the body is not a JSON object")
    return content


def check_members(members: Mapping[str, object], *, allowed: Collection[str]) -> None:
    """Make sure that an object has no other members.

    Raises:
        MalformedRequest: Names the first that is not known, and what was perhaps meant.

    """
    for name in members:
        if name not in allowed:
            meant = nearest_of(name, allowed)
            hint = f", perhaps `{meant}` is meant" if meant else ""
            raise MalformedRequest(f"member `{word(name)}` is not known{hint}")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedRequest("an object names a member twice")
    return members


def _short(text: str) -> str:
    if len(text) > NUMBER_CHARS_MAX:
        raise MalformedRequest(f"a number has more than {NUMBER_CHARS_MAX} characters")
    return text


def _constant(_: str) -> object:
    raise MalformedRequest("NaN and infinity are not numbers of JSON")


def _check(content: object, depth_left: int) -> None:
    if depth_left == 0:
        raise MalformedRequest(f"the body is nested deeper than {DEPTH_MAX}")
    match content:
        case str() if "\x00" in content or any("\ud800" <= c <= "\udfff" for c in content):
            raise MalformedRequest("a text holds a character that no text holds")
        case list():
            for part in content:
                _check(part, depth_left - 1)
        case dict():
            for name, part in content.items():
                _check(name, depth_left)
                _check(part, depth_left - 1)
        case _:
            pass
