"""``gateway audit``: security teams check the whole log, offline, and take evidence out of it."""

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, TaskID

from gateway.cli.erase import erase
from gateway.cli.firm.screen import plain
from gateway.cli.keys import joined_keys, log_keys
from gateway.cli.sample import sample
from gateway.client.receipt import ReceiptUnreadable, StoredReceipt
from gateway.errors import HomeInvalid
from gateway.ledger.audit import HandedIn
from gateway.ledger.audit_chain import ChainReport, Given, verify_chain
from gateway.ledger.audit_state import BYTES_MAX, StateInvalid, since_of, state_digest, state_text
from gateway.ledger.bundle import EntryUnknown
from gateway.ledger.closed import ClosedLog
from gateway.ledger.key_file import FILE_NAME as KEYS
from gateway.ledger.succession import closed_folder
from gateway.services.auditing import AuditedLedger, Evidence, evidence
from gateway.terms.identifiers import RequestId
from gateway.transparency.tree import ProofInvalid

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
NOTE_BYTES_MAX = 16 * 1024
RECEIPTS_MAX = 100_000
INDEX_DIGITS_MAX = 16
SHOWN_AFTER_S = 1.0


@click.group()
def audit() -> None:
    """Check the log, and take evidence out of it."""


audit.add_command(erase)
audit.add_command(sample)


@audit.command(epilog="Example:  gateway --home /srv/gateway audit verify --log-key log.vkey")
@log_keys(required=True)
@click.option("--checkpoints", multiple=True, type=FILE, help="A signed head from elsewhere: firm, witness.")
@click.option("--receipts", type=FOLDER, help="Folder with receipts (*.receipt) that firms handed in.")
@click.option("--since", type=FILE, help="State of an earlier check, or a checkpoint: read what is newer.")
@click.option("--save-state", type=NEW_FILE, help="Where to leave the state for the next --since.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def verify(
    home: Path,
    log_key: tuple[Path, ...],
    *,
    checkpoints: tuple[Path, ...],
    receipts: Path | None,
    since: Path | None,
    save_state: Path | None,
    as_json: bool,
) -> None:
    """Hash every entry anew; hold the log against its signed head, budgets, charges and kept receipts.

    Works while the gateway serves. Exit code 1 if anything does not fit.
    """
    kept = [home / "ledger" / name for name in ("head", "cosigned")]
    notes = [_read(path) for path in (*kept, *checkpoints) if path.exists()]  # before the store: never newer
    faults: list[str] = []
    try:
        given = Given(
            vkeys=joined_keys(log_key),
            checkpoints=tuple(notes),
            receipts=() if receipts is None else _handed_in(receipts, faults),
            since=None if since is None else since_of(_read(since, BYTES_MAX)),
        )
        report = _verified(home / "ledger", given)
    except (HomeInvalid, StateInvalid) as error:
        _say({"verified": False, "faults": [str(error)]}, f"NOT verified: {error}", as_json=as_json)
        sys.exit(1)
    faults += report.faults
    outcome = _document(report, faults)
    reached = report.newest.reached
    if save_state is not None and reached is not None and not faults:
        text = state_text(reached)
        save_state.write_bytes(text)
        outcome["state_sha256"] = state_digest(text)
    if not as_json:
        for fault in faults:
            click.echo(plain(fault), err=True)
    _say(outcome, _words(report, outcome), as_json=as_json)
    sys.exit(0 if outcome["verified"] else 1)


@audit.command(epilog="Example:  gateway audit bundle --entry 14 --entry 15 --open 14.question -o case-7.zip")
@click.option("--entry", "entries", multiple=True, type=click.IntRange(min=0), help="Index of an entry.")
@click.option("--receipt", "receipts", multiple=True, type=FILE, help="A receipt: the entry that it names.")
@click.option("--open", "opened", multiple=True, metavar="N.FIELD", help="A private value to show.")
@click.option("--log", "closed", metavar="ORIGIN", help="The closed log that they stand in.")
@click.option("-o", "--output", required=True, type=NEW_FILE, help="The zip file to write.")
@click.option("--json", "as_json", is_flag=True, help="Print what was taken as JSON.")
@click.pass_obj
def bundle(
    home: Path,
    entries: tuple[int, ...],
    receipts: tuple[Path, ...],
    opened: tuple[str, ...],
    *,
    closed: str | None,
    output: Path,
    as_json: bool,
) -> None:
    """Pack entries with their proofs for somebody who has only Python; the log records that it was done.

    Takes the home's lock, so it works while the gateway is stopped. Opened values are personal data.
    """
    if output.exists():
        raise click.UsageError(f"`{output}` exists already")
    fields = _fields(opened)
    if not entries and not fields and not receipts:
        raise click.UsageError("name entries with --entry, --receipt or --open")
    try:
        taken = _taken(home, frozenset(entries), receipts, fields, closed)
    except EntryUnknown as error:
        raise click.UsageError(str(error)) from error
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(taken.bundle)
    outcome = {
        "bundle": str(output),
        "bytes": len(taken.bundle),
        "entries": taken.entries,
        "opened": taken.opened,
        "recorded_as": taken.receipt.index,
    }
    words = f"{output}: {taken.entries} entries, {taken.opened} opened values; recorded as entry"
    _say(outcome, f"{words} {taken.receipt.index}", as_json=as_json)


def _verified(ledger: Path, given: Given) -> ChainReport:
    """Check a ledger; a bar shows how far it is, on a terminal and after a second."""
    started = time.monotonic()
    console = Console(stderr=True)
    with ExitStack() as stack:
        bars: list[tuple[Progress, TaskID]] = []

        def on_progress(done: int, total: int) -> None:
            if bars:
                bars[0][0].update(bars[0][1], completed=done)
            elif console.is_terminal and time.monotonic() - started > SHOWN_AFTER_S:
                bar = stack.enter_context(Progress(console=console, transient=True))
                bars.append((bar, bar.add_task("entries", total=total, completed=done)))

        return verify_chain(ledger, given, on_progress=on_progress)


def _taken(
    home: Path,
    indices: frozenset[int],
    receipts: tuple[Path, ...],
    fields: dict[int, frozenset[str]],
    closed: str | None,
) -> Evidence:
    # It loads all that serves, and `audit verify` does not wait for that.
    from gateway import wiring  # noqa: PLC0415

    async def take() -> Evidence:
        async with wiring.opened(home) as gateway:
            source: AuditedLedger = gateway.ledger
            store, keys = home / wiring.STORE, gateway.keyring.log_keys
            vkeys, history = keys.vkeys, keys.history
            if closed is not None:
                sealer = gateway.keyring.sealer
                source = ended = ClosedLog(
                    closed_folder(home / "ledger", closed),
                    gateway.ledger,
                    keys=home / "ledger" / KEYS,
                    wrap=partial(sealer.seal, "opening-key"),
                    unwrap=partial(sealer.unseal, "opening-key"),
                )
                store, vkeys, history = ended.store, ended.vkeys, ended.vkeys
            named = {_index_of(file, history) for file in receipts}
            return await evidence(
                source,
                store=store,
                policies=home / "policies",
                vkeys=vkeys,
                request_id=RequestId(str(uuid.uuid4())),
                indices=indices | named,
                fields=fields,
                closed=closed,
            )

    return wiring.run(take())


def _index_of(file: Path, vkeys: str) -> int:
    try:
        return StoredReceipt.load(file).verify(vkeys).index
    except (ReceiptUnreadable, ProofInvalid) as error:
        raise EntryUnknown(f"{file}: {error}") from error


def _fields(named: tuple[str, ...]) -> dict[int, frozenset[str]]:
    """Return the fields to open, by entry, of words like ``14.question``."""
    fields: dict[int, frozenset[str]] = {}
    for word in named:
        index, _, name = word.partition(".")
        if not (index.isascii() and index.isdigit() and name) or len(index) > INDEX_DIGITS_MAX:
            raise click.UsageError(f"`{word}` is not index.field, as in 14.question")
        fields[int(index)] = fields.get(int(index), frozenset()) | {name}
    return fields


def _handed_in(folder: Path, faults: list[str]) -> Iterator[HandedIn]:
    """Read receipts one by one; what is none is a fault of its own."""
    files = sorted(folder.glob("*.receipt"))
    if not 0 < len(files) <= RECEIPTS_MAX:
        raise click.UsageError(f"`{folder}` holds {len(files)} files named *.receipt; 1 to {RECEIPTS_MAX:,}")
    for file in files:
        try:
            stored = StoredReceipt.load(file)
        except ReceiptUnreadable as error:
            faults.append(f"receipt `{file.name}`: {error}")
            continue
        yield HandedIn(
            name=file.name, proof=stored.proof, entry=stored.entry, body=stored.body, plain=stored.plain
        )


def _read(path: Path, most: int = NOTE_BYTES_MAX) -> bytes:
    if not path.is_file():
        raise click.UsageError(f"`{path}` is no plain file")
    with path.open("rb") as file:
        return file.read(most + 1)  # one more than is believed: what reads it refuses it


def _document(chain: ChainReport, faults: list[str]) -> dict[str, object]:
    report = chain.newest
    return {
        "verified": not faults,
        "entries": report.size,
        "root": report.root.hex(),
        "since": report.since,
        "charges": report.charges,
        "recovered": report.recovered,
        "open_charges": report.open_charges,
        "clock_set_back": report.steps_back,
        "signed_heads": report.checkpoints,
        "receipts": chain.receipts,
        "closed_logs": [
            {"log": log.origin}
            | ({} if log.report is None else {"entries": log.report.size, "root": log.report.root.hex()})
            for log in chain.closed
        ],
        "absent_log": chain.absent,
        "faults": faults,
    }


def _words(chain: ChainReport, outcome: dict[str, object]) -> str:
    report = chain.newest
    words = "verified" if outcome["verified"] else "NOT verified"
    since = f", {report.size - report.since} of them new" if report.since else ""
    receipts = f", {chain.receipts} receipt(s) found" if chain.receipts else ""
    closed = f"; {len(chain.closed)} closed log(s) before it" if chain.closed else ""
    closed += f"; the files of `{chain.absent}`, before those, are not here" if chain.absent else ""
    state = f"; state {outcome['state_sha256']}" if "state_sha256" in outcome else ""
    return (
        f"{words}: {report.size} entries{since}, {report.charges} charges ({report.recovered} recovered, "
        f"{report.open_charges} open); {report.checkpoints} signed head(s) fit{receipts}; "
        f"root {report.root.hex()}{closed}{state}"
    )


def _say(outcome: dict[str, object], words: str, *, as_json: bool) -> None:
    click.echo(json.dumps(outcome, ensure_ascii=False) if as_json else plain(words))
