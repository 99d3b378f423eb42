"""``gateway receipt``: a firm checks, offline, that an answer stands in the log."""

import json
import os
import sys
from pathlib import Path

import click

from gateway.cli.compare import compare
from gateway.cli.keys import joined_keys, log_keys
from gateway.client.failures import ProfileInvalid
from gateway.client.profile import Profile, profile_folder
from gateway.client.receipt import ReceiptUnreadable, StoredReceipt
from gateway.transparency.tree import ProofInvalid

RECEIPT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def receipt() -> None:
    """Check receipts."""


@receipt.command(epilog="Example:  gateway receipt verify answer.receipt")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=RECEIPT_FILE)
@log_keys(required=False, more="; the one that `gateway login` keeps unless given")
@click.option("--json", "as_json", is_flag=True, help="Print an outcome a line as JSON.")
def verify(files: tuple[Path, ...], log_key: tuple[Path, ...], *, as_json: bool) -> None:
    """Verify that the answer in each FILE was recorded as it is; needs no network.

    Exit code 1 if one of them does not verify.
    """
    vkeys = joined_keys(log_key) if log_key else _profile_key()
    outcomes = [_outcome(file, vkeys) for file in files]
    for file, outcome in zip(files, outcomes, strict=True):
        named = {"file": str(file)} if len(files) > 1 else {}
        if as_json:
            click.echo(json.dumps({**named, **outcome}, ensure_ascii=False))
        else:
            click.echo((f"{file}: " if named else "") + _words(outcome))
    sys.exit(0 if all(outcome["verified"] for outcome in outcomes) else 1)


receipt.add_command(compare)


@receipt.command(epilog="Example:  gateway receipt redact answer.receipt --to handed-in")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=RECEIPT_FILE)
@click.option("--to", "folder", required=True, type=click.Path(file_okay=False, path_type=Path))
def redact(files: tuple[Path, ...], folder: Path) -> None:
    """Copy receipts without the answers in them, to hand to an auditor."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        if (folder / file.name).exists():
            raise click.UsageError(f"`{folder / file.name}` exists already")
        try:
            StoredReceipt.load(file).without_body().save(folder / file.name)
        except ReceiptUnreadable as error:
            raise click.ClickException(f"{file}: {error}") from error
    click.echo(f"{len(files)} receipt(s) without answers in {folder}")


def _outcome(file: Path, vkeys: str) -> dict[str, object]:
    try:
        stored = StoredReceipt.load(file)
        verified = stored.verify(vkeys)
    except (ProofInvalid, ReceiptUnreadable) as error:
        return {"verified": False, "why": str(error)}
    return {
        "verified": True,
        "index": verified.index,
        "size": verified.size,
        "origin": verified.origin,
        "body": stored.body is not None,
        "plain": stored.plain is not None,
        "entry": verified.entry,
    }


def _words(outcome: dict[str, object]) -> str:
    if not outcome["verified"]:
        return f"NOT verified: {outcome['why']}"
    return f"verified: entry {outcome['index']} of {outcome['size']} in {outcome['origin']}{_held(outcome)}"


def _held(outcome: dict[str, object]) -> str:
    match outcome["body"], outcome["plain"]:
        case True, True:
            return " (the answer as it came, encrypted, and what it says)"
        case True, False:
            return ""
        case False, True:
            return " (what the answer says; the file does not hold it as it came)"
        case _:
            return " (its place only: the file holds no answer)"


def _profile_key() -> str:
    try:
        return Profile.load(profile_folder(os.environ)).log_key
    except ProfileInvalid as error:
        raise click.UsageError(f"name the log's key with --log-key ({error})") from error
