"""Read SQL text into the few questions that can be asked: a closed algebra, not a dialect.

    SELECT <group column | COUNT(*) | COUNT(column) | COUNT(DISTINCT unit) | SUM(column) | AVG(column)>, ...
    FROM <this dataset>  [WHERE <condition>]  [GROUP BY <column>, ...]

sqlglot parses (PostgreSQL's spelling); then every node and every part of a node must be on the list,
or the question is refused and the offending word named. Nothing is dropped in silence. Column types,
rights and prices are ``statistic.py``'s business, so a refusal here depends on the text alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from gateway.errors import QuestionRefused
from gateway.planning.names import nearest_of, word
from gateway.terms.permit import Function

DIALECT = "postgres"
SQL_BYTES_MAX = 8192
NESTING_MAX = 12
CONNECTIVES_MAX = 200
PREFIXES_MAX = 4
NAME_CHARS_MAX = 60

_CLAUSES = {
    "joins": "JOIN",
    "laterals": "LATERAL",
    "order": "ORDER BY",
    "db": "schema",
    "sample": "TABLESAMPLE",
    "locks": "FOR UPDATE",
    "all": "ALL",
    "with_": "WITH",
    "alias": "AS after FROM",
    "table": "table prefix",
    "query": "subquery",
}
_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE}
_PREFIXES = {TokenType.NOT, TokenType.DASH, TokenType.PLUS, TokenType.TILDE}
_CONNECTIVES = {TokenType.AND, TokenType.OR}
# Words that open a statement or nest one deeply; as names of columns they are written in quotes.
_REFUSED_TOKENS = {
    TokenType.WITH: "WITH",
    TokenType.UNION: "UNION",
    TokenType.EXCEPT: "EXCEPT",
    TokenType.INTERSECT: "INTERSECT",
    TokenType.CASE: "CASE",
    TokenType.INTERVAL: "INTERVAL",
}


@dataclass(frozen=True, slots=True)
class Name:
    """A column as the text names it; in quotes its case counts."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One element of the SELECT list: a column to group by, or a function of one or of all rows."""

    function: Function | None
    column: Name | None
    distinct: bool
    alias: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """A question as its text says it; names are not resolved yet."""

    items: tuple[Item, ...]
    source: tuple[str, ...]
    where: exp.Expr | None
    group: tuple[Name, ...]


def select_of(sql: str) -> Select:
    """Return what a text asks.

    Raises:
        QuestionRefused: It is no SQL, or asks for something that is not on the list.

    """
    node = _parsed(sql)
    only(node, "expressions", "from_", "where", "group")
    source = node.args.get("from_")
    if source is None:
        raise QuestionRefused("the question has no FROM", about="FROM")
    where, group = node.args.get("where"), node.args.get("group")
    if where is not None:
        only(where, "this")
    return Select(
        items=tuple(_item(part) for part in node.expressions),
        source=_source(source),
        where=None if where is None else where.this,
        group=() if group is None else tuple(_grouped(group)),
    )


def has_comment(sql: str) -> bool:
    """Return whether a question that can be read says anything that does not count."""
    return any(token.comments for token in sqlglot.tokenize(sql, dialect=DIALECT))


def only(node: exp.Expr, *parts: str) -> None:
    """Make sure that a node says nothing beyond the named parts.

    Raises:
        QuestionRefused: Names the part.

    """
    for part, value in node.args.items():
        if part not in parts and value is not None and value is not False and value != []:
            raise not_offered(_CLAUSES.get(part, part.upper().replace("_", " ")))


def not_offered(what: str, *, nearest: str = "") -> QuestionRefused:
    """Return the refusal of something that is not on the list."""
    return QuestionRefused(f"`{word(what)}` is not offered", about=word(what), nearest=nearest)


def label_of(node: exp.Expr) -> str:
    """Return the word for a node that is not on the list."""
    if isinstance(node, exp.Anonymous):
        return word(str(node.this))
    return node.sql_name() if isinstance(node, exp.Func) else node.key.upper()


def name_of(node: exp.Expr) -> Name:
    """Return the name that a column node consists of.

    Raises:
        QuestionRefused: It is not a plain column.

    """
    if type(node) is not exp.Column:
        raise not_offered(label_of(node))
    only(node, "this")
    return _identifier(node.this)


def _parsed(sql: str) -> exp.Select:
    if len(sql.encode("utf-8", "replace")) > SQL_BYTES_MAX:
        raise QuestionRefused(f"the question is longer than {SQL_BYTES_MAX} bytes", about="sql")
    try:
        tokens = sqlglot.tokenize(sql, dialect=DIALECT)
    except Exception as error:  # on strange text it raises more than its own errors
        raise QuestionRefused("the question is not SQL that can be read", about="sql") from error
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()
    _check_tokens(tokens)
    try:
        (node,) = sqlglot.Dialect.get_or_raise(DIALECT).parser().parse(tokens, sql)
    except Exception as error:  # as above, RecursionError among them
        raise QuestionRefused("the question is not SQL that can be read", about="sql") from error
    if type(node) is not exp.Select:
        raise QuestionRefused("a question is one SELECT", about="SELECT")
    return node


def _check_tokens(tokens: list[Token]) -> None:
    """Refuse, before anything recurses, what nests too deeply or is more than one SELECT."""
    kinds = [token.token_type for token in tokens]
    if not kinds or kinds[0] is not TokenType.SELECT:
        raise QuestionRefused("a question is one SELECT", about="SELECT")
    if TokenType.SEMICOLON in kinds:
        raise QuestionRefused("a question is one statement", about=";")
    if TokenType.SELECT in kinds[1:]:
        raise not_offered("subquery")
    for kind in kinds:
        if kind in _REFUSED_TOKENS:
            raise not_offered(_REFUSED_TOKENS[kind])
    if sum(kind in _CONNECTIVES for kind in kinds) > CONNECTIVES_MAX:
        raise QuestionRefused(f"the question has more than {CONNECTIVES_MAX} AND and OR", about="WHERE")
    depth = prefixes = 0
    for kind in kinds:
        depth += (kind in _OPENING) - (kind in _CLOSING)
        prefixes = prefixes + 1 if kind in _PREFIXES else 0
        if depth > NESTING_MAX or prefixes > PREFIXES_MAX:
            raise QuestionRefused("the question is nested too deeply", about="sql")


def _source(node: exp.Expr) -> tuple[str, ...]:
    only(node, "this")
    table = node.this
    if type(table) is not exp.Table:
        raise not_offered(label_of(table))
    only(table, "this", "db", "catalog")
    names = (table.args.get("catalog"), table.args.get("db"), table.this)
    return tuple(_identifier(name).text for name in names if name is not None)


def _grouped(node: exp.Expr) -> Iterator[Name]:
    only(node, "expressions")
    for part in node.expressions:
        if isinstance(part, exp.Literal):
            raise QuestionRefused("columns are grouped by their names", about="GROUP BY")
        yield name_of(part)


def _item(node: exp.Expr) -> Item:
    alias = None
    if type(node) is exp.Alias:
        only(node, "this", "alias")
        alias = _alias(node.args["alias"])
        node = node.this
    if type(node) is exp.Column:
        return Item(function=None, column=name_of(node), distinct=False, alias=alias)
    function = _FUNCTIONS.get(type(node))
    if function is None:
        label = label_of(node)
        raise not_offered(label, nearest=nearest_of(label, [name.upper() for name in Function]))
    only(node, "this", "big_int")  # big_int: sqlglot's note on COUNT, not part of the text
    return _call(function, node.this, alias)


def _call(function: Function, argument: exp.Expr, alias: str | None) -> Item:
    distinct = type(argument) is exp.Distinct
    if distinct:
        only(argument, "expressions")
        if function is not Function.COUNT or len(argument.expressions) != 1:
            raise not_offered(f"{function.upper()}(DISTINCT)", nearest="COUNT(DISTINCT person)")
        argument = argument.expressions[0]
    if type(argument) is exp.Star and function is Function.COUNT and not distinct:
        only(argument)
        return Item(function=function, column=None, distinct=False, alias=alias)
    if isinstance(argument, exp.Literal) and function is Function.COUNT:
        raise not_offered("COUNT of a constant", nearest="COUNT(*)")
    return Item(function=function, column=name_of(argument), distinct=distinct, alias=alias)


def _alias(node: exp.Expr) -> str:
    name = _identifier(node).text
    if len(name) > NAME_CHARS_MAX or not re.fullmatch(r"\w+(?:[ -]\w+)*", name):
        raise QuestionRefused(
            f"an alias is words of at most {NAME_CHARS_MAX} characters together", about=word(name)
        )
    return name


def _identifier(node: object) -> Name:
    if type(node) is not exp.Identifier:
        raise not_offered(label_of(node) if isinstance(node, exp.Expr) else "name")
    only(node, "this", "quoted")
    return Name(str(node.this), bool(node.args.get("quoted")))


_FUNCTIONS: dict[type[exp.Expr], Function] = {
    exp.Count: Function.COUNT,
    exp.Sum: Function.SUM,
    exp.Avg: Function.AVG,
}
