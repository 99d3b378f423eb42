"""What a caller's ``Accept`` prefers (RFC 9110 section 12.5.1), read with a bound and without guessing.

The most specific range that matches a format decides its weight; ``q=0`` rules it out. An element
that is not well formed counts as absent. No format is chosen here: ``formats.negotiate`` does.
"""

import re
from dataclasses import dataclass
from typing import Final

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_ELEMENT: Final = re.compile(rf"(?:[^,\"]|{_QUOTED}|\")+")
_RANGE: Final = re.compile(rf"({_WORD})/({_WORD})")
_PARAMETER: Final = re.compile(rf"[ \t]*;[ \t]*(?:({_WORD})=({_WORD}|{_QUOTED}))?")
_WEIGHT: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRange:
    """One element of ``Accept``; type, subtype and parameters in lower case."""

    type: str
    subtype: str
    parameters: frozenset[tuple[str, str]]
    weight: int
    """0 to 1000; 0 is "not this"."""

    def specificity(self, media_type: str, parameters: frozenset[tuple[str, str]]) -> int | None:
        """Return how exactly this range names a media type that has those parameters; None if it does not."""
        kind, _, subtype = media_type.partition("/")
        if self.type not in ("*", kind) or self.subtype not in ("*", subtype) or self.parameters - parameters:
            return None
        return (self.type != "*") + (self.subtype != "*") + len(self.parameters)


def ranges_of(accept: str) -> tuple[MediaRange, ...]:
    """Return the well-formed elements of a field value."""
    elements = (_range_of(element.strip(" \t")) for element in _ELEMENT.findall(accept))
    return tuple(element for element in elements if element is not None)


def weight_of(media_type: str, parameters: frozenset[tuple[str, str]], ranges: tuple[MediaRange, ...]) -> int:
    """Return how much a media type is wanted: the weight of the most specific range, 0 if none matches."""
    matching = [
        (exact, r.weight) for r in ranges if (exact := r.specificity(media_type, parameters)) is not None
    ]
    return max(matching, default=(0, 0))[1]


def _range_of(element: str) -> MediaRange | None:
    named = _RANGE.match(element)
    if named is None:
        return None
    kind, subtype = named[1].lower(), named[2].lower()
    if kind == "*" and subtype != "*":
        return None
    parameters: set[tuple[str, str]] = set()
    place = named.end()
    while place < len(element):
        parameter = _PARAMETER.match(element, place)
        if parameter is None:
            return None
        place = parameter.end()
        name, value = (parameter[1] or "").lower(), (parameter[2] or "").strip('"').lower()
        if name == "q":
            # What follows a weight is no parameter of the media type.
            return _weighted(kind, subtype, parameters, value)
        if name:
            parameters.add((name, value))
    return _weighted(kind, subtype, parameters, "1")


def _weighted(kind: str, subtype: str, parameters: set[tuple[str, str]], weight: str) -> MediaRange | None:
    if _WEIGHT.fullmatch(weight) is None:
        return None
    return MediaRange(
        type=kind, subtype=subtype, parameters=frozenset(parameters), weight=round(float(weight) * 1000)
    )
