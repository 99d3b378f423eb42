"""``python -m tests.bench``: take the measures, write var/bench.json, print the table."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import audit, decision, ledger, masking, policy, proxy, startup, statistic, workers
from tests.bench.measure import Measure, Plan

FAMILIES = (
    proxy.FAMILY, workers.FAMILY, decision.FAMILY, policy.FAMILY, statistic.FAMILY, masking.FAMILY,
    ledger.FAMILY, audit.FAMILY, startup.FAMILY,
)  # fmt: skip
NAMES = tuple(name for family in FAMILIES for name in family.names)
OUTPUT = Path("var/bench.json")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=f"of: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="small and rough: to see that it runs")
    parser.add_argument("--json", action="store_true", help="print the list instead of the table")
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"where the list goes ({OUTPUT})")
    options = parser.parse_args(arguments)
    wanted = frozenset(options.only or NAMES)

    progress, measures = Console(stderr=True), list[Measure]()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        plan = Plan(folder=Path(folder), quick=options.quick)
        for family in FAMILIES:
            if wanted.isdisjoint(family.names):
                continue
            progress.print(f"==> {', '.join(family.names)}", highlight=False)
            measures += [measure for measure in family.run(plan) if measure.name in wanted]

    documents = [measure.document() for measure in measures]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(documents, indent=2) + "\n", encoding="utf-8")
    if options.json:
        json.dump(documents, sys.stdout)
    else:
        Console().print(table_of(documents))


def table_of(documents: list[dict[str, str | float]]) -> Table:
    table = Table("measure", title="speed, beside its floor", caption="a ratio's floor is its first target")
    for heading in ("value", "floor"):
        table.add_column(heading, justify="right")
    table.add_column("unit")
    for entry in documents:
        table.add_row(str(entry["name"]), _shown(entry["value"]), _shown(entry["floor"]), str(entry["unit"]))
    return table


def _shown(number: str | float) -> str:
    return f"{number:,.4g}" if isinstance(number, float) and number < 1000 else f"{number:,.0f}"


if __name__ == "__main__":
    main(sys.argv[1:])
