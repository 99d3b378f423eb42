"""``gateway audit``: security teams check the whole log, offline."""

import json
import sys
from pathlib import Path

import click

from gateway.ledger.audit import verify_store


@click.group()
def audit() -> None:
    """Check the log."""


@audit.command(epilog="Example:  gateway --home /srv/gateway audit verify --log-key log.vkey")
@click.option(
    "--log-key",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the log's verifier key.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def verify(home: Path, log_key: Path, *, as_json: bool) -> None:
    """Hash every entry anew and hold the log against its signed head, the budgets and the charges."""
    vkey = log_key.read_text(encoding="ascii").strip()
    head = home / "ledger" / "head"
    report = verify_store(
        home / "ledger" / "log.sqlite", vkey, checkpoints=[head.read_bytes()] if head.exists() else []
    )
    outcome = {
        "verified": report.verified,
        "entries": report.size,
        "root": report.root.hex(),
        "charges": report.charges,
        "recovered": report.recovered,
        "open_charges": report.open_charges,
        "signed_heads": report.checkpoints,
        "faults": list(report.faults),
    }
    if as_json:
        click.echo(json.dumps(outcome))
    else:
        for fault in report.faults:
            click.echo(fault, err=True)
        words = "verified" if report.verified else "NOT verified"
        click.echo(
            f"{words}: {report.size} entries, {report.charges} charges ({report.recovered} recovered, "
            f"{report.open_charges} open); {report.checkpoints} signed head(s) fit; root {report.root.hex()}"
        )
    sys.exit(0 if report.verified else 1)
