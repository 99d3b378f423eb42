"""The demo's two files: households as Parquet, visits as CSV."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from gateway.synthetic.households import draw_households
from gateway.synthetic.visits import draw_visits

ROW_GROUP_ROWS = 50_000


def write_households(path: Path, *, people: int, seed: int) -> pa.Table:
    """Write the household survey as Parquet and return it."""
    table = draw_households(people, seed)
    pq.write_table(table, path, row_group_size=ROW_GROUP_ROWS, compression="zstd")
    return table


def write_visits(path: Path, people: pa.Table, *, seed: int) -> pa.Table:
    """Write the visits of a household table's people as CSV and return them; NULL is an empty field."""
    table = draw_visits(people, seed)
    options = pa_csv.WriteOptions(include_header=True, delimiter=",", quoting_style="needed")
    pa_csv.write_csv(table, path, write_options=options)
    return table
