"""The part of a sharing-rules document that opens paths of an upstream (``document.py`` has the rest).

Each parameter that may be sent is bound to one meaning; what is not written does not exist.
"""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from gateway.policy.entry import Entry
from gateway.policy.fields import OURS, ColumnId, ParameterName, ParameterValue, Pointer, UpstreamPathText


def _bound(value: object) -> str | None:
    form = value.get("is") if isinstance(value, dict) else None
    return f"<{form}>" if form in ("size", "page", "offset", "cursor", "order", "equals", "fixed") else None


class SizeEntry(Entry):
    """Rows of one page."""

    kind: Literal["size"] = Field(alias="is")
    at_most: int = Field(ge=1, le=100_000)


class PositionEntry(Entry):
    """Number of a page, or of rows to skip."""

    kind: Literal["page", "offset"] = Field(alias="is")
    at_most: int = Field(ge=1, le=10**9)


class CursorEntry(Entry):
    """Where to go on; ``found_at`` points to the upstream's next cursor in its reply."""

    kind: Literal["cursor"] = Field(alias="is")
    found_at: Pointer


class OrderEntry(Entry):
    """The name of one of these columns."""

    kind: Literal["order"] = Field(alias="is")
    columns: list[ColumnId] = Field(min_length=1, max_length=1000)


class EqualsEntry(Entry):
    """A value of the column."""

    kind: Literal["equals"] = Field(alias="is")
    column: ColumnId


class FixedEntry(Entry):
    """Always sent, and not the firm's to set."""

    kind: Literal["fixed"] = Field(alias="is")
    value: ParameterValue


ParameterEntry = SizeEntry | PositionEntry | CursorEntry | OrderEntry | EqualsEntry | FixedEntry
ParameterField = Annotated[
    Annotated[SizeEntry, Tag("<size>")]
    | Annotated[PositionEntry, Tag("<page>")]
    | Annotated[PositionEntry, Tag("<offset>")]
    | Annotated[CursorEntry, Tag("<cursor>")]
    | Annotated[OrderEntry, Tag("<order>")]
    | Annotated[EqualsEntry, Tag("<equals>")]
    | Annotated[FixedEntry, Tag("<fixed>")],
    Discriminator(
        _bound,
        custom_error_type=OURS,
        custom_error_message="a binding is wanted: {is: size}, page, offset, cursor, order, equals or fixed",
    ),
]


class PathEntry(Entry):
    """One path of the upstream, where its rows lie, and what may be set; nothing else exists."""

    path: UpstreamPathText
    rows: Pointer
    parameters: dict[ParameterName, ParameterField] = Field(default={}, max_length=50)
