"""Conditions as firms write them become predicates: SQL's WHERE, and JSON's ``where``.

Both end in the same terms under the same rules: a comparison has one column on one side and
constants of its type on the other. Which columns may be named is the caller's business.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from sqlglot import exp

from gateway.errors import MalformedRequest, QuestionRefused
from gateway.planning.body import NUMBER_CHARS_MAX, check_members
from gateway.planning.constant import comparison, date_of
from gateway.planning.names import word
from gateway.planning.sql import Name, label_of, name_of, not_offered, only
from gateway.terms.dataset import Column
from gateway.terms.predicate import AllOf, AnyOf, Comparator, Comparison, Not, Predicate

DEPTH_MAX = 16
"""Of what is read; ``normal.check_size`` bounds what is left of it."""

_COMPARATORS: dict[type[exp.Expr], Comparator] = {
    exp.EQ: Comparator.EQUAL,
    exp.NEQ: Comparator.NOT_EQUAL,
    exp.LT: Comparator.LESS,
    exp.LTE: Comparator.AT_MOST,
    exp.GT: Comparator.MORE,
    exp.GTE: Comparator.AT_LEAST,
}
_MIRRORED = {
    Comparator.LESS: Comparator.MORE,
    Comparator.AT_MOST: Comparator.AT_LEAST,
    Comparator.MORE: Comparator.LESS,
    Comparator.AT_LEAST: Comparator.AT_MOST,
}
_KEYS = {
    "equals": Comparator.EQUAL,
    "not_equals": Comparator.NOT_EQUAL,
    "less": Comparator.LESS,
    "at_most": Comparator.AT_MOST,
    "more": Comparator.MORE,
    "at_least": Comparator.AT_LEAST,
    "in": Comparator.ONE_OF,
    "is_null": Comparator.IS_NULL,
}


def predicate_of_sql(node: exp.Expr, find: Callable[[Name], Column], depth: int = DEPTH_MAX) -> Predicate:
    """Return the predicate of a WHERE clause; ``find`` returns a column or raises.

    Raises:
        QuestionRefused: Something in it is not on the list.

    """
    if depth == 0:
        raise QuestionRefused("the condition is nested too deeply", about="WHERE")
    kind = type(node)
    if kind is exp.And or kind is exp.Or:
        parts = tuple(predicate_of_sql(part, find, depth - 1) for part in _operands(node))
        return AllOf(parts) if kind is exp.And else AnyOf(parts)
    if kind is exp.Not or kind is exp.Paren:
        only(node, "this")
        part = predicate_of_sql(node.this, find, depth - 1)
        return Not(part) if kind is exp.Not else part
    return _comparison_of_sql(node, find)


def predicate_of_json(content: object, find: Callable[[str], Column], depth: int = DEPTH_MAX) -> Predicate:
    """Return the predicate of a ``where`` member; ``find`` returns a column or raises.

    Raises:
        MalformedRequest: It does not have the form of a condition.
        QuestionRefused: A constant is not of its column's type.

    """
    if depth == 0:
        raise QuestionRefused("the condition is nested too deeply", about="where")
    members: dict[str, object] = content if isinstance(content, dict) else {}
    match members:
        case {"all": [_, *_] as parts, **rest} if not rest:
            return AllOf(tuple(predicate_of_json(part, find, depth - 1) for part in parts))
        case {"any": [_, *_] as parts, **rest} if not rest:
            return AnyOf(tuple(predicate_of_json(part, find, depth - 1) for part in parts))
        case {"not": part, **rest} if not rest:
            return Not(predicate_of_json(part, find, depth - 1))
        case {"column": str() as name, **rest}:
            check_members(rest, allowed=_KEYS)
            if len(rest) == 1:
                ((key, value),) = rest.items()
                return _comparison_of_json(find(name), key, value)
        case _:
            pass
    raise MalformedRequest(
        "a condition is `all`, `any` (lists), `not`, or `column` with one of "
        + ", ".join(f"`{k}`" for k in _KEYS)
    )


def _operands(node: exp.Expr) -> list[exp.Expr]:
    """Return the operands of a chain of one connective, without recursion."""
    operands: list[exp.Expr] = []
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if type(current) is type(node):
            only(current, "this", "expression")
            waiting += [current.args["expression"], current.args["this"]]
        else:
            operands.append(current)
    return operands


def _comparison_of_sql(node: exp.Expr, find: Callable[[Name], Column]) -> Predicate:
    kind = type(node)
    if kind in _COMPARATORS:
        only(node, "this", "expression")
        left, right, comparator = node.this, node.args["expression"], _COMPARATORS[kind]
        if type(left) is not exp.Column and type(right) is exp.Column:
            left, right, comparator = right, left, _MIRRORED.get(comparator, comparator)
        return comparison(find(name_of(left)), comparator, _constant(right))
    if kind is exp.In:
        only(node, "this", "expressions")
        return comparison(find(name_of(node.this)), Comparator.ONE_OF, *map(_constant, node.expressions))
    if kind is exp.Between:
        only(node, "this", "low", "high")
        column = find(name_of(node.this))
        return AllOf(
            (
                comparison(column, Comparator.AT_LEAST, _constant(node.args["low"])),
                comparison(column, Comparator.AT_MOST, _constant(node.args["high"])),
            )
        )
    if kind is exp.Is:
        only(node, "this", "expression", "negate")
        if type(node.args["expression"]) is not exp.Null:
            raise not_offered("IS", nearest="IS NULL")
        is_null = comparison(find(name_of(node.this)), Comparator.IS_NULL)
        return Not(is_null) if node.args.get("negate") else is_null
    if kind is exp.Column:
        raise QuestionRefused("a condition compares a column with a constant", about=word(name_of(node).text))
    raise not_offered(label_of(node))


def _constant(node: exp.Expr) -> object:
    """Return the value of a constant, not yet of any column's type."""
    kind = type(node)
    if kind is exp.Literal:
        only(node, "this", "is_string")
        return str(node.this) if node.args["is_string"] else _number(str(node.this))
    if kind is exp.Boolean:
        only(node, "this")
        return bool(node.this)
    if kind is exp.Neg:
        only(node, "this")
        number = _constant(node.this)
        if type(number) is Decimal:
            return -number
    if kind is exp.Cast:
        return _date(node)
    if kind is exp.Null:
        raise QuestionRefused("nothing is compared with NULL", about="NULL", nearest="IS NULL")
    if kind is exp.Column:
        raise QuestionRefused("a column is compared with constants only", about=word(name_of(node).text))
    raise not_offered(label_of(node))


def _number(text: str) -> Decimal:
    if len(text) > NUMBER_CHARS_MAX or not text.isascii():
        raise QuestionRefused("a number is too long", about=word(text))
    try:
        return Decimal(text)
    except ArithmeticError as error:
        raise QuestionRefused("a number is not written as one", about=word(text)) from error


def _date(node: exp.Expr) -> date:
    """Return the date of ``DATE '2020-01-31'``, which sqlglot reads as a cast."""
    only(node, "this", "to")
    text, kind = node.this, node.args["to"]
    if kind != exp.DataType.build("date") or type(text) is not exp.Literal or not text.is_string:
        raise not_offered("CAST", nearest="DATE '2020-01-31'")
    day = date_of(str(text.this))
    if day is None:
        raise QuestionRefused("a date is written YYYY-MM-DD", about="DATE")
    return day


def _comparison_of_json(column: Column, key: str, value: object) -> Predicate:
    match _KEYS[key], value:
        case Comparator.ONE_OF, [_, *_]:
            return comparison(column, Comparator.ONE_OF, *value)
        case Comparator.ONE_OF, _:
            raise MalformedRequest("`in` has a list of at least one constant")
        case Comparator.IS_NULL, bool():
            is_null = Comparison(column.name, Comparator.IS_NULL, ())
            return is_null if value else Not(is_null)
        case Comparator.IS_NULL, _:
            raise MalformedRequest("`is_null` is true or false")
        case comparator, _:
            return comparison(column, comparator, value)
