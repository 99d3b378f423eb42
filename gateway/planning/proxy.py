"""A request to an upstream's own path becomes a plan: what is asked of it, and how its rows are treated.

The permit's list is closed: a path that is not on it, a parameter that it does not bind and a
parameter sent twice are refused by name. What a firm may set is a number within its bound, the name
of a kept column, a value of a kept column, or a cursor that the gateway sealed. Equalities are
judged once more on what comes back (``ProxyPlan.predicate``), so that a value which the upstream
takes for something else selects nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import unquote

from gateway.errors import MalformedRequest, QuestionRefused
from gateway.planning.constant import of_text, typed
from gateway.planning.cursor import opened, sealed
from gateway.planning.names import column_named, nearest_of, word
from gateway.planning.normal import both, data_of, digest_of
from gateway.terms.dataset import Column
from gateway.terms.identifiers import ColumnName
from gateway.terms.permit import Permit
from gateway.terms.plan import ProxyPlan
from gateway.terms.predicate import AllOf, Comparator, Comparison
from gateway.terms.query import Action
from gateway.terms.treatment import Drop, Keep, spelled
from gateway.terms.upstream import (
    CURSOR_BYTES_MAX,
    Binding,
    Cursor,
    Equals,
    Fixed,
    Order,
    Position,
    Size,
    UpstreamPath,
)

QUERY_CHARS_MAX = 4096
PARAMETERS_MAX = 32

_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$'()*,:@/?+=&-]|%[0-9A-Fa-f]{2})*")
_COUNT = re.compile(r"0|[1-9][0-9]{0,8}")


def plan_proxy(
    path: str, query_string: str, permit: Permit, *, order_key: bytes, unseal: Callable[[bytes], bytes]
) -> ProxyPlan:
    """Return the plan of one request; ``unseal`` opens what ``proxy_cursor``'s ``seal`` closed.

    Raises:
        MalformedRequest: The query string cannot be read, or a cursor is not of this plan.
        QuestionRefused: A path or a parameter that the permit does not open, or a value beyond it.

    """
    if permit.action is not Action.PROXY:
        raise AssertionError("an upstream needs leave to proxy")
    opening = _opening(path, permit)
    asked = _asked(query_string, dict(opening.parameters))
    sent = dict(_sent(opening, asked, permit))
    predicate = both(permit.rows, AllOf(tuple(_equalities(opening, asked, permit))))
    columns = tuple((name, how) for name, how in permit.columns if not isinstance(how, Drop))
    dataset = permit.dataset
    digest = digest_of(
        {
            "dataset": [dataset.id, dataset.revision, dataset.digest, dataset.source.lineage],
            "columns": [[name, spelled(how)] for name, how in columns],
            "rows": data_of(predicate),
            "path": opening.path,
            "parameters": sent,
        }
    )
    cursor = next(((name, each) for name, each in opening.parameters if isinstance(each, Cursor)), None)
    if cursor is not None and (given := asked.get(cursor[0])) is not None:
        sent[cursor[0]] = opened(given, digest, order_key, unseal).rstrip(b"\x00").decode("utf-8")
    order = next(
        (name for name, each in opening.parameters if isinstance(each, Order) and name in sent), None
    )
    return ProxyPlan(
        dataset=dataset,
        columns=columns,
        predicate=predicate,
        rows_max=permit.rows_max,
        path=opening.path,
        parameters=tuple(sorted(sent.items())),
        rows_pointer=opening.rows_pointer,
        cursor_pointer=None if cursor is None else cursor[1].pointer,
        ordered_by=None if order is None else sent[order],
        order_key=order_key,
        digest=digest,
    )


def proxy_cursor(plan: ProxyPlan, upstream_cursor: str, seal: Callable[[bytes], bytes]) -> str:
    """Return the cursor that stands for an upstream's; all have one length."""
    content = upstream_cursor.encode("utf-8")
    if len(content) > CURSOR_BYTES_MAX or b"\x00" in content:
        raise AssertionError("an engine gives a cursor that fits")
    return sealed(content.ljust(CURSOR_BYTES_MAX, b"\x00"), plan.digest, plan.order_key, seal)


def _opening(path: str, permit: Permit) -> UpstreamPath:
    paths = {opening.path: opening for opening in permit.paths}
    if path not in paths:
        raise QuestionRefused(
            "this path of the upstream is not open to you", about=word(path), nearest=nearest_of(path, paths)
        )
    return paths[path]


def _asked(query_string: str, bindings: Mapping[str, Binding]) -> dict[str, str]:
    """Return the parameters that were sent; each is bound, settable and there once."""
    asked: dict[str, str] = {}
    for name, value in _pairs(query_string):
        if name in asked:
            raise QuestionRefused("a parameter is sent twice", about=word(name))
        if name not in bindings or isinstance(bindings[name], Fixed):
            settable = [known for known, binding in bindings.items() if not isinstance(binding, Fixed)]
            raise QuestionRefused(
                f"the parameter `{word(name)}` is not open to you here",
                about=word(name),
                nearest=nearest_of(name, settable),
            )
        asked[name] = value
    orders = [name for name in asked if isinstance(bindings[name], Order)]
    if len(orders) > 1:
        raise QuestionRefused("ask for one order", about=word(orders[1]))
    return asked


def _pairs(query_string: str) -> Iterator[tuple[str, str]]:
    """Yield names and values of a query string, read in one way only: ``&``, ``=``, ``+``, UTF-8."""
    if not query_string:
        return
    if len(query_string) > QUERY_CHARS_MAX or query_string.count("&") >= PARAMETERS_MAX:
        raise MalformedRequest(
            f"a query string has at most {QUERY_CHARS_MAX} characters and {PARAMETERS_MAX} parameters here"
        )
    if not _QUERY.fullmatch(query_string):
        raise MalformedRequest("the query string holds a character that must be percent-encoded")
    for part in query_string.split("&"):
        name, equals, value = part.partition("=")
        if not name or not equals or "=" in value:
            raise MalformedRequest("the query string is `name=value`, joined by `&`")
        try:
            yield (
                unquote(name.replace("+", " "), errors="strict"),
                unquote(value.replace("+", " "), errors="strict"),
            )
        except UnicodeDecodeError as error:
            raise MalformedRequest("the query string is not UTF-8") from error


def _sent(opening: UpstreamPath, asked: Mapping[str, str], permit: Permit) -> Iterator[tuple[str, str]]:
    """Yield what the upstream is sent, but for its cursor."""
    for name, binding in opening.parameters:
        match binding:
            case Fixed(value):
                yield name, value
            case Size(at_most):
                most = min(at_most, permit.rows_max)
                yield name, _count(name, asked.get(name, str(most)), 1, most)
            case Position(at_most) if name in asked:
                yield name, _count(name, asked[name], 0, at_most)
            case Order(columns) if name in asked:
                kept = [_kept(column, permit) for column in columns]
                column = column_named(asked[name], [column for column in kept if column is not None])
                yield name, column.source_name
            case Equals() if name in asked:
                yield name, asked[name]
            case _:
                pass


def _equalities(opening: UpstreamPath, asked: Mapping[str, str], permit: Permit) -> Iterator[Comparison]:
    for name, binding in opening.parameters:
        if not isinstance(binding, Equals) or name not in asked:
            continue
        column = _kept(binding.column, permit)
        if column is None:
            raise QuestionRefused(f"the parameter `{word(name)}` is not open to you here", about=word(name))
        value = typed(of_text(asked[name], column), column)
        if column.values and value not in column.values:
            raise QuestionRefused(f"`{column.name}` has no such value", about=word(name))
        yield Comparison(column.name, Comparator.EQUAL, (value,))


def _kept(name: ColumnName, permit: Permit) -> Column | None:
    """Return a column that a parameter is bound to, if it is kept for this caller too.

    SECURITY: loading checked it for each permit alone; a forbid, or a second permit that matches, may
    have taken the column away or treat it more strictly.
    """
    return permit.dataset.column(name) if dict(permit.columns).get(name) == Keep() else None


def _count(name: str, text: str, least: int, most: int) -> str:
    if not _COUNT.fullmatch(text) or not least <= int(text) <= most:
        raise QuestionRefused(
            f"`{word(name)}` is a whole number from {least} to {most}", about=word(name), nearest=str(most)
        )
    return text
