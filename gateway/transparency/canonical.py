"""JSON with one spelling: the part of RFC 8785 that a log entry needs.

Objects with ASCII names, arrays, strings without lone surrogates, integers below 2^53 in size,
booleans. No floats and no null, so sorting names and leaving out blanks already is RFC 8785
(a property of tests/transparency/test_canonical.py). Reading accepts that one spelling only.
"""

import json
from typing import Final, NoReturn

INTEGER_MAX: Final = 2**53 - 1
DEPTH_MAX: Final = 16
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False
)


class NotCanonical(ValueError):
    """A document is outside the subset, or its bytes are not its one spelling."""


def canonical(document: object) -> bytes:
    """Return the one spelling of a document.

    Raises:
        NotCanonical: A value outside the subset.

    """
    check(document)
    try:
        return _ENCODER.encode(document).encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical("a text holds half a character") from error


def check(document: object, depth_left: int = DEPTH_MAX) -> None:
    """Raise ``NotCanonical`` unless every value of the document is in the subset, and not too deep."""
    if isinstance(document, str | bool):  # the most frequent first: every entry goes through here
        return
    if isinstance(document, int):
        if abs(document) > INTEGER_MAX:
            raise NotCanonical("an integer is 2^53 or larger")
    elif depth_left == 0:
        raise NotCanonical(f"it is deeper than {DEPTH_MAX} levels")
    elif isinstance(document, dict):
        for name, value in document.items():
            if not isinstance(name, str) or not name.isascii():
                raise NotCanonical("a name is not ASCII")
            check(value, depth_left - 1)
    elif isinstance(document, list | tuple):
        for value in document:
            check(value, depth_left - 1)
    else:
        raise NotCanonical(f"a value is of type `{type(document).__name__}`")


def parsed(text: bytes) -> dict[str, object]:
    """Return the object that canonical bytes spell.

    Raises:
        NotCanonical: Not JSON, not an object, outside the subset, a name twice, or another spelling.

    """
    try:
        document = json.loads(
            text.decode("utf-8"), parse_float=_refused, parse_constant=_refused, object_pairs_hook=_once
        )
    except NotCanonical:
        raise
    except (ValueError, RecursionError) as error:
        raise NotCanonical("not JSON") from error
    if not isinstance(document, dict):
        raise NotCanonical("not an object")
    if canonical(document) != text:
        raise NotCanonical("not the one spelling of its document")
    return document


def _refused(_: str) -> NoReturn:
    raise NotCanonical("a number is not an integer")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise NotCanonical("a name stands twice")
    return document
