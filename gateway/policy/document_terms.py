"""The part of a sharing-rules document that says on which terms answers leave, and what its owner accepts.

``document.py`` has the rest. Money is whole Vietnamese dong. What each of these does, and what it does not
do yet: docs/policy.md.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from gateway.policy.entry import Entry
from gateway.policy.fields import ColumnId, Count, Months, Share, Text
from gateway.terms.format import Format
from gateway.terms.query import Action

DONG_MAX = 10**12


class RetentionEntry(Entry):
    """How long at least the log of what was answered is kept."""

    log: Months


class InspectionEntry(Entry):
    """The share of replies that are inspected afterwards."""

    rate: Share


class TriggerEntry(Entry):
    """What makes a request a controlled transaction; every part that is given must hold."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    may: Action | None = Field(default=None, strict=False)
    column: ColumnId | None = None
    rows_over: Count | None = None


class PriceEntry(Entry):
    """What an answer costs, in Vietnamese dong."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    per_request: Annotated[int, Field(ge=1, le=DONG_MAX)] | None = None
    per_row: Annotated[int, Field(ge=1, le=DONG_MAX)] | None = None
    per_key: Annotated[int, Field(ge=1, le=DONG_MAX)] | None = None


class DeliveryEntry(Entry):
    """In which forms replies leave; at least one word of it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    formats: list[Annotated[Format, Field(strict=False)]] | None = Field(default=None, min_length=1)
    encrypted: Literal[True] | None = None


class AcknowledgedEntry(Entry):
    """Why the owner accepts a risk; without that, a document that has it does not load (``risks.py``)."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    each_row: Text | None = None
    rows_and_statistics: Text | None = None
    two_treatments: Text | None = None
    random_key: Text | None = None
    many_values: Text | None = None
    relinkable: Text | None = None
    linkable: Text | None = None
