"""One form for conditions that say the same, their size, and their bytes for a digest.

Laws, in SQL's three-valued logic: ``normal`` selects the same rows; ``normal(normal(p)) ==
normal(p)``; order, repetition and nesting of AND and OR, doubled NOT, and order and repetition in
IN do not matter. It does not find every equivalence, and need not: two digests are then two answers.
"""

import hashlib
import json
from datetime import date
from decimal import Decimal
from fractions import Fraction

from gateway.errors import QuestionRefused
from gateway.terms.predicate import (
    AllOf,
    AnyOf,
    Comparator,
    Comparison,
    Literal,
    Not,
    Predicate,
)

DEPTH_MAX = 8
COMPARISONS_MAX = 100
CONSTANTS_MAX = 1000
_ENCODER = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def normal(predicate: Predicate) -> Predicate:
    """Return the condition in its one form."""
    match predicate:
        case Comparison(column, comparator, constants):
            if comparator is not Comparator.ONE_OF:
                return predicate
            ordered = tuple({_text(form_of(constant)): constant for constant in constants}.items())
            unique = tuple(constant for _, constant in sorted(ordered, key=lambda item: item[0]))
            return Comparison(column, Comparator.EQUAL if len(unique) == 1 else comparator, unique)
        case Not(Not(part)):
            return normal(part)
        case Not(part):
            inner = normal(part)
            return inner.part if isinstance(inner, Not) else Not(inner)
        case AllOf(parts):
            return _joined(AllOf, parts)
        case AnyOf(parts):
            return _joined(AnyOf, parts)


def _joined(kind: type[AllOf] | type[AnyOf], parts: tuple[Predicate, ...]) -> Predicate:
    unique: dict[str, Predicate] = {}
    for part in map(normal, parts):
        for leaf in part.parts if isinstance(part, kind) else (part,):
            unique[_text(data_of(leaf))] = leaf
    ordered = tuple(unique[text] for text in sorted(unique))
    return ordered[0] if len(ordered) == 1 else kind(ordered)


def both(owners: Predicate, firms: Predicate) -> Predicate:
    """Return, in one form, the rows that the owner's filter and the firm's condition select."""
    return normal(AllOf((owners, firms)))


def check_size(predicate: Predicate) -> None:
    """Make sure that a condition is of a size that engines take.

    Raises:
        QuestionRefused: Too deep, too many comparisons or constants.

    """
    depth, comparisons, constants = _size(predicate)
    if depth > DEPTH_MAX:
        raise QuestionRefused(f"the condition is nested deeper than {DEPTH_MAX}", about="where")
    if comparisons > COMPARISONS_MAX:
        raise QuestionRefused(f"the condition has more than {COMPARISONS_MAX} comparisons", about="where")
    if constants > CONSTANTS_MAX:
        raise QuestionRefused(f"the condition has more than {CONSTANTS_MAX} constants", about="where")


def _size(predicate: Predicate) -> tuple[int, int, int]:
    match predicate:
        case Comparison(_, _, constants):
            return 1, 1, len(constants)
        case Not(part):
            depth, comparisons, count = _size(part)
            return depth + 1, comparisons, count
        case AllOf(parts) | AnyOf(parts):
            sizes = [_size(part) for part in parts] or [(0, 0, 0)]
            return 1 + max(s[0] for s in sizes), sum(s[1] for s in sizes), sum(s[2] for s in sizes)


def data_of(predicate: Predicate) -> list[object]:
    """Return a condition as JSON data, one for each condition."""
    match predicate:
        case Comparison(column, comparator, constants):
            return [str(comparator), column, [form_of(constant) for constant in constants]]
        case Not(part):
            return ["not", data_of(part)]
        case AllOf(parts):
            return ["all", [data_of(part) for part in parts]]
        case AnyOf(parts):
            return ["any", [data_of(part) for part in parts]]


def form_of(constant: Literal) -> list[str]:
    """Return type and text of a constant; equal constants of one column have one form."""
    match constant:
        case bool():
            return ["boolean", str(constant).lower()]
        case int():
            return ["integer", str(constant)]
        case Decimal():
            return ["decimal", str(Fraction(constant))]
        case date():
            return ["date", constant.isoformat()]
        case str():
            return ["text", constant]


def digest_of(data: object) -> str:
    """Return SHA-256 (hex) of JSON data that holds no floats, written in one way."""
    return hashlib.sha256(_text(data).encode("utf-8")).hexdigest()


def _text(data: object) -> str:
    return _ENCODER.encode(data)
