"""The shape of a permit's ``lookup``: by which key rows are found, and what must match beside it."""

from pydantic import Field

from gateway.policy.entry import Entry
from gateway.policy.fields import ColumnId


class LookupEntry(Entry):
    """The key that a firm holds already, and other attributes that it must know of the same row."""

    key: ColumnId
    matching: list[ColumnId] | None = Field(default=None, min_length=1, max_length=8)
