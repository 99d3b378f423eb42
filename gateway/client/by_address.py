"""Questions by address, for programs that can only fetch a URL: ``/query/...`` and ``/records/...``.

    /query/DATASET.csv?sql=...&epsilon=... (or rho, or margin)
    /records/DATASET.csv?select=a,b&where=province=01&limit=100&cursor=...

The ending picks the format. A parameter that is not known is refused, never ignored.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from gateway.client.condition import ConditionUnreadable, needs_types, where_of

MEDIA_TYPES: Final = {"csv": "text/csv", "json": "application/json", "ndjson": "application/x-ndjson"}
PARAMETERS: Final = {
    "query": ("sql", "epsilon", "rho", "margin"),
    "records": ("select", "where", "limit", "cursor"),
}
FIELDS_MAX: Final = 32
_ADDRESS: Final = re.compile(
    r"/(?P<what>query|records)/(?P<dataset>[a-z0-9][a-z0-9.-]{0,127})\.(?P<form>csv|json|ndjson)"
)

TypesOf = Callable[[str], Awaitable[Mapping[str, str]]]
"""Looks up the types of a dataset's columns."""


class BadAddress(ValueError):
    """The address asks nothing that can be asked."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the gateway is asked instead."""

    path: str
    accept: str
    members: Mapping[str, object]
    charges: bool


async def question_of(path: str, query_string: str, types_of: TypesOf) -> Question:
    """Return the question of an address.

    Raises:
        BadAddress: It is none; says what would be right.

    """
    address = _ADDRESS.fullmatch(path)
    if address is None:
        raise BadAddress(404, "ask /v1/..., /query/DATASET.csv?sql=... or /records/DATASET.csv?limit=...")
    what, dataset = address["what"], address["dataset"]
    given = _parameters(what, query_string)
    try:
        members = _statistic(given) if what == "query" else await _rows(dataset, given, types_of)
    except ConditionUnreadable as error:
        raise BadAddress(400, str(error)) from error
    return Question(
        path=f"/v1/datasets/{dataset}/{what}",
        accept=MEDIA_TYPES[address["form"]],
        members=members,
        charges=what == "query",
    )


def _parameters(what: str, query_string: str) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(
            query_string, keep_blank_values=True, strict_parsing=bool(query_string),
            errors="strict", max_num_fields=FIELDS_MAX,
        )  # fmt: skip
    except ValueError as error:
        raise BadAddress(400, "the part after `?` is name=value, joined by `&`, percent-encoded") from error
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in PARAMETERS[what]:
            raise BadAddress(400, f"parameter `{name}` is not known; there are {', '.join(PARAMETERS[what])}")
        given.setdefault(name, []).append(value)
    if twice := [name for name, values in given.items() if len(values) > 1 and name != "where"]:
        raise BadAddress(400, f"parameter `{twice[0]}` is given twice")
    return given


def _statistic(given: Mapping[str, list[str]]) -> dict[str, object]:
    if "sql" not in given:
        raise BadAddress(400, "parameter `sql` is missing, and one of epsilon, rho, margin")
    return {name: values[0] for name, values in given.items()}


async def _rows(dataset: str, given: Mapping[str, list[str]], types_of: TypesOf) -> dict[str, object]:
    members: dict[str, object] = {}
    if "select" in given:
        members["select"] = [name.strip() for name in given["select"][0].split(",")]
    if "limit" in given:
        if not re.fullmatch(r"[0-9]{1,9}", given["limit"][0]):
            raise BadAddress(400, "`limit` is a whole number")
        members["limit"] = int(given["limit"][0])
    if "cursor" in given:
        members["cursor"] = given["cursor"][0]
    if conditions := given.get("where", []):
        types = await types_of(dataset) if needs_types(conditions) else {}
        members["where"] = where_of(conditions, types)
    return members
