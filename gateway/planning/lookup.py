"""A request to look people up by keys that the firm holds becomes a plan; every key tried is charged.

Body: ``{"keys": [{"key": ..., "matching": {column: ...}}, ...], "select": [...]}``; ``matching`` gives a
value of every column that the permit wants beside the key, and only of those. A value is written as its
column's type has it, or as text. Texts are compared in NFC; blanks around what is sent are left off. This
is the one place where a firm's own values meet raw ones, so it is equality and nothing else.

SECURITY: what a firm sends here is personal data, whoever it is about. No error names a value of a key, nor
a member that the firm made up; errors count keys from 1.
"""

import hashlib
import hmac
import unicodedata
from collections.abc import Mapping
from typing import Final

from gateway.errors import MalformedRequest, QuestionRefused
from gateway.planning.body import object_of
from gateway.planning.constant import of_text, typed
from gateway.planning.normal import data_of, digest_of
from gateway.planning.rows import columns_of
from gateway.planning.statistic import release_after_s
from gateway.terms.dataset import Column, ColumnType
from gateway.terms.identifiers import ColumnName
from gateway.terms.loss import Loss, PicoDelta, PicoRho
from gateway.terms.permit import Lookup, Permit
from gateway.terms.plan import LookupPlan
from gateway.terms.predicate import Literal
from gateway.terms.query import Action
from gateway.terms.treatment import Treatment, spelled

_MEMBERS: Final = frozenset({"keys", "select"})
_TRIED: Final = frozenset({"key", "matching"})
_TEXT_READ_MAX: Final = 200
"""Characters: normalisation takes time in the square of what stands in one place."""


def plan_lookup(body: bytes, permit: Permit, *, order_key: bytes) -> LookupPlan:
    """Return the plan of one lookup.

    Raises:
        MalformedRequest: The body does not have the form above.
        QuestionRefused: Too many keys, one twice, or a value that its column cannot have.

    """
    lookup = permit.lookup
    unit = permit.dataset.unit
    if permit.action is not Action.LOOKUP or lookup is None or unit is None:
        raise AssertionError("a lookup needs leave to look up, and rules that say whom")
    members = object_of(body)
    if "keys" not in members or not members.keys() <= _MEMBERS:
        raise MalformedRequest("the body has `keys`, perhaps `select`, and nothing else")
    by = (lookup.key, *lookup.matching)
    keys = _keys(members["keys"], lookup, {c.name: c for c in permit.dataset.columns if c.name in by})
    columns, dataset = _columns(members, permit), permit.dataset
    return LookupPlan(
        dataset=dataset,
        columns=columns,
        predicate=permit.rows,
        by=by,
        keys=keys,
        rows_max=lookup.rows_max,
        order_key=order_key,
        loss=Loss(PicoRho(0), PicoDelta(0), len(keys)),
        release_after_s=release_after_s(unit, 0),
        digest=hmac.digest(order_key, b"lookup\0" + body, hashlib.sha256).hex(),
        rules=digest_of(
            {
                "dataset": [dataset.id, dataset.revision, dataset.digest, dataset.source.lineage],
                "columns": [[name, spelled(treatment)] for name, treatment in columns],
                "rows": data_of(permit.rows),
                "by": [*by, lookup.rows_max],
            }
        ),
    )


def _columns(members: Mapping[str, object], permit: Permit) -> tuple[tuple[ColumnName, Treatment], ...]:
    """Return the columns that leave. A key that a firm put into `select` by mistake is in no error."""
    try:
        return columns_of(members, permit)
    except QuestionRefused as error:
        raise QuestionRefused(
            "`select` names columns that leave here, each once", about="select", nearest=error.nearest
        ) from None


def _keys(given: object, lookup: Lookup, columns: Mapping[str, Column]) -> tuple[tuple[Literal, ...], ...]:
    if not isinstance(given, list) or not given:
        raise MalformedRequest("`keys` is a list of at least one key")
    if len(given) > lookup.keys_max:
        raise QuestionRefused(
            f"a lookup tries at most {lookup.keys_max} keys here", about="keys", nearest=str(lookup.keys_max)
        )
    keys = tuple(_key(entry, number, lookup, columns) for number, entry in enumerate(given, 1))
    seen: dict[tuple[Literal, ...], int] = {}
    for number, key in enumerate(keys, 1):
        if (first := seen.setdefault(key, number)) != number:
            raise QuestionRefused(
                f"keys {first} and {number} are the same, and each is charged", about="keys"
            )
    return keys


def _key(entry: object, number: int, lookup: Lookup, columns: Mapping[str, Column]) -> tuple[Literal, ...]:
    """Return the values of one key, the key's own first."""
    said: dict[str, object] = entry if isinstance(entry, dict) else {}
    matching = said.get("matching", {})
    if "key" not in said or not said.keys() <= _TRIED or not isinstance(matching, dict):
        raise MalformedRequest(f"key {number} is not written as `key`, and `matching` with its columns")
    if matching.keys() != set(lookup.matching):
        wanted = ", ".join(f"`{name}`" for name in lookup.matching) or "nothing"
        raise QuestionRefused(
            f"key {number}: `matching` gives {wanted}, no more and no less", about="matching"
        )
    key = _value(said["key"], columns[lookup.key], number)
    return (key, *(_value(matching[name], columns[name], number) for name in lookup.matching))


def _value(given: object, column: Column, number: int) -> Literal:
    """Return a value in its column's type and one spelling.

    Raises:
        QuestionRefused: It is none, or an empty text, which stands where nothing is known.

    """
    value = given
    if isinstance(given, str):
        text = unicodedata.normalize("NFC", given[:_TEXT_READ_MAX]).strip(" ")
        value = of_text(text, column) if len(given) <= _TEXT_READ_MAX else None
    try:
        literal = typed(value, column)
    except QuestionRefused as error:
        raise QuestionRefused(f"key {number}: {error.detail}", about=column.name) from None
    if literal == "" and column.type is ColumnType.TEXT:
        raise QuestionRefused(f"key {number}: `{column.name}` is empty", about=column.name)
    return literal
