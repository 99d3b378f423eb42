"""The demo's files, each in the format that its sharing rules say."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from gateway.synthetic.households import draw_households
from gateway.synthetic.registers import draw_declarations, draw_events, draw_parcels
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


def write_registers(folder: Path, people: pa.Table, *, seed: int) -> None:
    """Write taxes as CSV, land and civil status as folders of Parquet files, below a data folder."""
    for name in ("tax", "land/parcels", "civil-registry"):
        (folder / name).mkdir(parents=True)
    options = pa_csv.WriteOptions(include_header=True, delimiter=";", quoting_style="needed")
    pa_csv.write_csv(draw_declarations(people, seed), folder / "tax/declarations.csv", write_options=options)
    for name, table in (
        ("land/parcels", draw_parcels(people, seed)),
        ("civil-registry", draw_events(people, seed)),
    ):
        half = table.num_rows // 2
        for number, part in enumerate((table.slice(0, half), table.slice(half)), 1):
            pq.write_table(part, folder / name / f"part-{number}.parquet", compression="zstd")
