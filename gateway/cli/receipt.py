"""``gateway receipt``: a firm checks, offline, that an answer stands in the log."""

import json
import sys
from pathlib import Path

import click

from gateway.client.receipt import ReceiptUnreadable, verify_file
from gateway.transparency.tree import ProofInvalid


@click.group()
def receipt() -> None:
    """Check receipts."""


@receipt.command(epilog="Example:  gateway receipt verify answer.receipt --log-key log.vkey")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--log-key",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the log's verifier key, got from somewhere else than the answer.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def verify(file: Path, log_key: Path, *, as_json: bool) -> None:
    """Verify that the answer in FILE was recorded as it is; needs no network."""
    try:
        verified = verify_file(file, log_key.read_text(encoding="ascii").strip())
    except (ProofInvalid, ReceiptUnreadable) as error:
        click.echo(
            json.dumps({"verified": False, "why": str(error)}) if as_json else f"NOT verified: {error}"
        )
        sys.exit(1)
    if as_json:
        outcome = {
            "verified": True,
            "index": verified.index,
            "size": verified.size,
            "origin": verified.origin,
        }
        click.echo(json.dumps({**outcome, "entry": verified.entry}, ensure_ascii=False))
    else:
        click.echo(f"verified: entry {verified.index} of {verified.size} in {verified.origin}")
