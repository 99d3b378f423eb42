"""The forms that a reply can have; which one a caller gets is ``delivery``'s business."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Format(StrEnum):
    """How content is written; the first is preferred where a caller does not care."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self]

    @property
    def content_type(self) -> str:
        """The media type with the parameter it needs."""
        return f"{self.media_type}; charset=utf-8" if self is Format.CSV else self.media_type


_MEDIA_TYPES: Final = {
    Format.JSON: "application/json",
    Format.NDJSON: "application/x-ndjson",
    Format.CSV: "text/csv",
}
EVERY_FORMAT: Final = frozenset(Format)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """In which forms replies may leave."""

    formats: frozenset[Format] = EVERY_FORMAT
    encrypted: bool = False
    """Whether only encrypted to the client; else it may choose so."""


ANYHOW: Final = Delivery()


@dataclass(frozen=True, slots=True)
class Form:
    """The form of one reply."""

    format: Format
    encrypted: bool = False
    """Whether the reply is a JWE (RFC 7516) of what is written in the format."""
