"""``gateway receipt``: a firm checks, offline, that an answer stands in the log."""

import json
import os
import sys
from pathlib import Path

import click

from gateway.client.failures import ProfileInvalid
from gateway.client.profile import Profile, profile_folder
from gateway.client.receipt import ReceiptUnreadable, verify_file
from gateway.transparency.tree import ProofInvalid


@click.group()
def receipt() -> None:
    """Check receipts."""


@receipt.command(epilog="Example:  gateway receipt verify answer.receipt")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--log-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the log's verifier key, got from somewhere else than the answer; "
    "the one that `gateway login` keeps unless given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def verify(file: Path, log_key: Path | None, *, as_json: bool) -> None:
    """Verify that the answer in FILE was recorded as it is; needs no network."""
    vkey = (
        _profile_key() if log_key is None else log_key.read_text(encoding="ascii", errors="replace").strip()
    )
    try:
        verified = verify_file(file, vkey)
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


def _profile_key() -> str:
    try:
        return Profile.load(profile_folder(os.environ)).log_key
    except ProfileInvalid as error:
        raise click.UsageError(f"name the log's key with --log-key ({error})") from error
