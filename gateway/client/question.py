"""Questions as the gateway reads them: paths, and members of JSON that lose no digit."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from urllib.parse import quote

Amount = Decimal | float | str
"""A number; text and Decimal keep every digit."""


def path_of(dataset: str, what: str) -> str:
    """Return the path of something that a dataset is asked."""
    return f"/v1/datasets/{quote(dataset, safe='')}/{what}"


def given(**members: object) -> dict[str, object]:
    """Return the members that were given."""
    return {name: value for name, value in members.items() if value is not None}


def text_of(question: Mapping[str, object]) -> str:
    """Return a question as JSON."""
    return json.dumps(question, default=_number)


def _number(value: object) -> object:
    """Write a Decimal as text, for a JSON number would lose digits on its way through a float; a date too."""
    if isinstance(value, Decimal | date):
        return str(value)
    raise TypeError(f"cannot be sent: {type(value).__name__}")
