"""The single values that a sharing-rules document may hold: names, days, amounts, durations, constants.

Each is read in one spelling and never converted silently. A text that is wrong here is refused with a
sentence of ours; the patterns also stand in ``policies/schema.json``, for editors.
"""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

OURS: Final = "rules"
"""Type of the errors that carry a sentence of this file."""

ENTRIES_MAX: Final = 10_000
RHO_MAX: Final = 1000
_YEAR: Final = 12

_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,18})?")
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smh])")
_DAYS = re.compile(r"([1-9][0-9]{0,2})d")
_MONTHS = re.compile(r"([1-9][0-9]{0,2})(mo|y)")
_SHARE = re.compile(r"0\.[0-9]{1,6}|1")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def _amount(value: object) -> object:
    """Return a privacy loss exactly as written, as a number or as text."""
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        value = Decimal(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and 0 < value <= RHO_MAX:
        return Decimal(value)
    raise PydanticCustomError(OURS, 'an amount above 0 is wanted, for example "0.05"')


def _number(value: object) -> object:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    raise PydanticCustomError(OURS, "a number is wanted")


def _constant(value: object) -> object:
    if isinstance(value, str | int | Decimal):
        return value
    raise PydanticCustomError(OURS, "a text, a number, a date, true or false is wanted")


def day_of(text: object) -> date:
    """Return the day that ``YYYY-MM-DD`` names.

    Raises:
        ValueError: Another spelling, or a day that no calendar has.

    """
    if not isinstance(text, str) or not _DATE.fullmatch(text):
        raise ValueError("a date is wanted: YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"there is no day `{text}`") from error


def _day(value: object) -> date:
    try:
        return day_of(value)
    except ValueError as error:
        raise PydanticCustomError(OURS, "{said}", {"said": str(error)}) from error


def _seconds(value: object) -> int:
    if isinstance(value, str) and (parts := _DURATION.fullmatch(value)):
        return int(parts[1]) * _SECONDS[parts[2]]
    raise PydanticCustomError(OURS, "a duration is wanted, for example `8h`, `15m` or `90s`")


def _days(value: object) -> int:
    if isinstance(value, str) and (parts := _DAYS.fullmatch(value)):
        return int(parts[1]) * 86_400
    raise PydanticCustomError(OURS, "a number of days is wanted, for example `30d`")


def _months(value: object) -> int:
    if isinstance(value, str) and (parts := _MONTHS.fullmatch(value)):
        return int(parts[1]) * (_YEAR if parts[2] == "y" else 1)
    raise PydanticCustomError(OURS, "a number of months or years is wanted, for example `24mo` or `5y`")


def _share(value: object) -> object:
    if isinstance(value, str) and _SHARE.fullmatch(value) and Decimal(value) > 0:
        return Decimal(value)
    raise PydanticCustomError(OURS, 'a share above "0" and up to "1" is wanted, for example "0.05"')


def _printable(value: str) -> str:
    if not value.strip() or not value.replace("\n", " ").isprintable():
        raise PydanticCustomError(OURS, "a text of visible characters is wanted")
    return value


Word = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
DottedName = Annotated[str, Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$", max_length=64)]
AgreementName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$", max_length=64)]
ColumnId = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", max_length=64)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
TokenDomain = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", max_length=128)]
SourcePath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")]
"""Below the data folder: no parent, no scheme, no wildcard, no hidden file."""
SourceUrl = Annotated[
    str,
    Field(
        pattern=r"^https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(:[1-9][0-9]{0,4})?(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$",
        max_length=500,
    ),
]
"""Scheme, host, port and path: no user, no query, no escape, no dot segment, no final slash."""
UpstreamPathText = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$", max_length=512)]
"""What ``web/routes.py`` lets through: no escape, no empty or dot segment."""
ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.~-]+$", max_length=64)]
ParameterValue = Annotated[str, Field(pattern=r"^[ -~]*$", max_length=200)]
Pointer = Annotated[str, Field(pattern=r"^(/([ -.0-}]|~[01])*)*$", max_length=200)]
"""A JSON pointer (RFC 6901) of member names."""
Text = Annotated[str, Field(max_length=500), AfterValidator(_printable)]
Count = Annotated[int, Field(ge=1)]
Amount = Annotated[
    Decimal,
    BeforeValidator(_amount),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^{_AMOUNT.pattern}$"}, {"type": "number"}]}),
]
Number = Annotated[Decimal, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Seconds = Annotated[
    int,
    BeforeValidator(_seconds),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"}),
]
Days = Annotated[
    int, BeforeValidator(_days), WithJsonSchema({"type": "string", "pattern": f"^{_DAYS.pattern}$"})
]
"""Whole days, as seconds."""
Months = Annotated[
    int,
    BeforeValidator(_months),
    WithJsonSchema({"type": "string", "pattern": f"^{_MONTHS.pattern}$"}),
]
Share = Annotated[
    Decimal,
    BeforeValidator(_share),
    WithJsonSchema({"type": "string", "pattern": f"^({_SHARE.pattern})$"}),
]
"""To a millionth."""
Constant = Annotated[
    Any, AfterValidator(_constant), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
