"""One page of rows, found by its ranks in the recipient's order, and so without a look at the others.

Rows of the next ranks are fetched by their places and judged by the condition. Where too few of them are
chosen, all rows that the condition chooses are ranked instead. Either way the page is the same. A page
ended at a rank in one state of the source; in another state the order is another, and nothing goes on.
"""

import re
from typing import Final

import duckdb
import pyarrow as pa

from gateway.engines.snapshot import Snapshot
from gateway.engines.statement import chosen_statement, page_statement
from gateway.errors import DataChanged, EngineFailed
from gateway.order import Order, key_of
from gateway.terms.plan import RowsPlan
from gateway.terms.predicate import EVERY_ROW

TRIES: Final = (4, 32)
"""Rows looked at for each row of a page, before all that the condition chooses are ranked."""
TRIED_MAX: Final = 1 << 15
SPARE: Final = 16
"""Ranks looked at beyond the expected need: which of them have a row is chance."""
RANKED_TOGETHER: Final = 1 << 20
"""Places that are in memory at once while all are ranked."""
_AFTER: Final = re.compile(r"([0-9a-f]{32})([0-9a-f]{16})")


def page_of(
    plan: RowsPlan, snapshot: Snapshot, connection: duckdb.DuckDBPyConnection
) -> tuple[pa.Table, str | None]:
    """Return the planned columns of a page, and where it ended if another one follows.

    Raises:
        DataChanged: The page before was of another state of the source.

    """
    key = key_of(plan.order_key, of="table", digest=plan.digest, state=snapshot.state.encode())
    order, first = Order.of(snapshot.rows, key), _first_rank(plan, snapshot)
    wanted = plan.rows_max + 1
    found: list[pa.Table] = []
    left = wanted
    for tries in (1, *TRIES) if plan.predicate == EVERY_ROW else TRIES:
        rows = min(tries * wanted, max(TRIED_MAX, wanted))
        ranks = SPARE + 5 * rows * order.ranks // (4 * max(1, snapshot.rows))
        tried = order.rows_at(first, ranks, rows=snapshot.rows)
        found.append(_fetched(plan, snapshot, connection, tried, left))
        left -= found[-1].num_rows
        first += ranks
        if not left or first >= order.ranks:
            break
    else:
        statement = chosen_statement(plan, snapshot.table)
        chosen = connection.sql(statement.sql, params=statement.parameters).to_arrow_reader(RANKED_TOGETHER)
        lowest = order.first_of((batch.column(0).to_numpy() for batch in chosen), first, left)
        found.append(_fetched(plan, snapshot, connection, lowest, left))
    table = pa.concat_tables(found)
    shown = table.slice(0, plan.rows_max)
    follows = table.num_rows > plan.rows_max
    ranks_shown = shown.column(shown.num_columns - 1)
    ended_at = f"{snapshot.state}{ranks_shown[-1].as_py():016x}" if follows else None
    return shown.select(range(len(plan.columns))), ended_at


def _first_rank(plan: RowsPlan, snapshot: Snapshot) -> int:
    """Return the first rank that may be on the page."""
    if plan.after is None:
        return 0
    parts = _AFTER.fullmatch(plan.after)
    if parts is None:
        raise EngineFailed("a page goes on from another place than this engine gave")
    if parts[1] != snapshot.state:
        raise DataChanged
    return int(parts[2], 16) + 1


def _fetched(
    plan: RowsPlan, snapshot: Snapshot, connection: duckdb.DuckDBPyConnection, wanted: pa.Table, rows_max: int
) -> pa.Table:
    """Return those of the wanted rows that the condition chooses, by rank; the last column is ``rank``."""
    statement = page_statement(plan, snapshot.table, rows_max)
    connection.register("wanted", wanted)
    return connection.sql(statement.sql, params=statement.parameters).to_arrow_table()
