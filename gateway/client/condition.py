"""Conditions as people type them, ``province=01``, become the ``where`` of a question.

A constant takes the type of its column, which the dataset's description names: ``01`` stays a text where
the column is one. What this small form cannot say is written as JSON. The gateway checks everything.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

COMPARATORS: Final = {
    "!=": "not_equals",
    "<=": "at_most",
    ">=": "at_least",
    "<": "less",
    ">": "more",
    "=": "equals",
}
_SIMPLE: Final = re.compile(r"([^=<>!]+?)\s*(!=|<=|>=|<|>|=)\s*(.*)", re.DOTALL)
_WHOLE: Final = re.compile(r"-?(0|[1-9][0-9]{0,39})")
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}")


class ConditionUnreadable(ValueError):
    """A condition is neither JSON nor a column, a comparator and a constant."""


def needs_types(conditions: Sequence[str]) -> bool:
    """Return whether reading the conditions takes the types of the columns."""
    return any(not _is_json(condition) for condition in conditions)


def where_of(conditions: Sequence[str], types: Mapping[str, str]) -> object:
    """Return the ``where`` that all conditions make together; None without any.

    ``types`` maps columns to the type their dataset names.

    Raises:
        ConditionUnreadable: Says which one, and what would be right.

    """
    parts = [_condition(condition, types) for condition in conditions]
    match parts:
        case []:
            return None
        case [part]:
            return part
        case _:
            return {"all": parts}


def _is_json(condition: str) -> bool:
    return condition.lstrip().startswith("{")


def _condition(condition: str, types: Mapping[str, str]) -> object:
    if _is_json(condition):
        try:
            content: object = json.loads(condition)
        except (ValueError, RecursionError) as error:
            raise ConditionUnreadable(f"`{condition}` is not JSON") from error
        return content
    simple = _SIMPLE.fullmatch(condition.strip())
    if simple is None:
        raise ConditionUnreadable(
            f"`{condition}` is no condition; write province=01, age>=18, or JSON "
            'like {"column": "province", "in": ["01", "79"]}'
        )
    column, sign, constant = simple.groups()
    return {"column": column, COMPARATORS[sign]: _constant(constant, types.get(column, ""))}


def _constant(text: str, kind: str) -> object:
    """Return a constant as JSON has it; what does not fit its type stays a text, and the gateway says so."""
    if kind in {"integer", "decimal"} and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "decimal" and _DECIMAL.fullmatch(text):
        return float(text)
    if kind == "boolean" and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    return text
