"""The rows that keys find: first the places of all, then the rows of the places that are shown.

SECURITY: both statements run for every lookup, whatever the first one finds; how long they take depends on
what is there, as a hash join's time does. That no time tells of it is the public clock's doing
(``steps/slot.py``), which the engine's time must fit into.
"""

import duckdb
import pyarrow as pa

from gateway.engines.snapshot import Snapshot
from gateway.engines.statement import found_statement, tried_statement
from gateway.order import Order, key_of
from gateway.terms.plan import LookupPlan


def found_in(plan: LookupPlan, snapshot: Snapshot, connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return the planned columns of the rows found, by key; the last column is the key's number.

    Of a key that finds more rows than are shown, the same ones are shown each time, so that asking again
    shows no others.
    """
    tried = tried_statement(plan, snapshot.table)
    places = connection.sql(tried.sql, params=tried.parameters).to_arrow_table()
    order = Order.of(
        snapshot.rows, key_of(plan.order_key, of="lookup", digest="", state=snapshot.state.encode())
    )
    numbers, positions = (places.column(at).to_numpy() for at in range(2))
    found = order.first_of_each(numbers, positions, plan.rows_max)
    connection.register("found", found)
    statement = found_statement(plan, snapshot.table)
    return connection.sql(statement.sql, params=statement.parameters).to_arrow_table()
