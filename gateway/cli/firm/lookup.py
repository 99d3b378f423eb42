"""``gateway lookup``: rows found by keys that the firm holds; each key is charged, hit or miss.

A key on the command line stands in the shell's history and in the list of processes. A file, or what
another program writes into the pipe, does not: its first line names columns, the first of them is the key's.
"""

import csv
import io
import uuid
from pathlib import Path
from typing import Any, Final, TextIO

import click

from gateway.cli.firm.ask import OUTPUT, SAVE, SELECT, names, shown
from gateway.cli.firm.screen import note, plain, working
from gateway.cli.firm.session import FirmCommand, opened, with_format, write
from gateway.client.by_address import MEDIA_TYPES
from gateway.client.failures import AnswerRefused, GatewayUnreachable

KEYS_READ_MAX: Final = 1_000
CHARACTERS_READ_MAX: Final = 64 * 1024
Key = dict[str, object]


@click.command(
    cls=FirmCommand,
    epilog="Example:  gateway lookup vn.moj.civil-registry-2026 --keys people.csv   "
    "(people.csv: citizen_id,birth_date and one line a person; - reads standard input)",
)
@click.argument("dataset")
@click.option("--key", help="A key; it stays in the shell's history, which --keys avoids.")
@click.option("--with", "matching", multiple=True, help="What must match beside it: birth_date=1985-03-14.")
@click.option(
    "--keys", "file", type=click.File(encoding="utf-8-sig"),
    help="CSV of keys, - for standard input: the first column is the key, the others must match.",
)  # fmt: skip
@SELECT
@click.option("--dry-run", is_flag=True, help="Say what it would cost; no key is tried.")
@click.option("--idempotency-key", help="Within ten minutes the same key gives the same answer, unpaid.")
@with_format("table", "csv", "json", "ndjson")
@OUTPUT
@SAVE
def lookup(
    dataset: str, *, key: str | None, matching: tuple[str, ...], file: TextIO | None, select: str | None,
    dry_run: bool, idempotency_key: str | None, form: str, output: Path | None, save_receipt: Path | None,
) -> None:  # fmt: skip
    """Look up rows by keys that you hold already; every key tried is charged, hit or miss.

    A key that is not there, one whose row you may not see and one whose other attributes do not match come
    to the same: no row.
    """
    keys = _keys(key, matching, file)
    name = idempotency_key or str(uuid.uuid4())
    accept = MEDIA_TYPES["json" if form == "table" else form]
    with opened() as gateway, working(f"a lookup in {dataset}"):
        if dry_run:
            plan = gateway.plan(dataset, keys=keys, select=names(select))
            _show_price(plan.document, plan.body, form)
            return
        try:
            answer = gateway.lookup(dataset, keys, select=names(select), idempotency_key=name, accept=accept)
        except (GatewayUnreachable, AnswerRefused):
            note(f"it may have been paid; the same command with --idempotency-key {name} does not pay twice")
            raise
    shown(answer, form, output, save_receipt)
    if form == "table":
        _show_charge(answer.document, len(keys))


def _keys(key: str | None, matching: tuple[str, ...], file: TextIO | None) -> list[Key]:
    """Return the keys that were typed, or stand in a file. SECURITY: no message repeats one."""
    if (key is None) == (file is None):
        raise click.UsageError("give one key as --key, or keys as --keys FILE")
    if file is not None:
        if matching:
            raise click.UsageError("--with goes with --key; the file's other columns say what must match")
        return _read(file)
    pairs = [part.partition("=") for part in matching]
    if any(not column or not equals for column, equals, _ in pairs):
        raise click.UsageError("what must match is written as --with COLUMN=VALUE")
    given: dict[str, object] = {column.strip(): value for column, _, value in pairs}
    if len(given) < len(pairs):
        raise click.UsageError("a column is given twice in --with")
    return [{"key": key, "matching": given}]


def _read(file: TextIO) -> list[Key]:
    text = file.read(CHARACTERS_READ_MAX + 1)
    if len(text) > CHARACTERS_READ_MAX:
        raise click.UsageError(f"at most {CHARACTERS_READ_MAX:,} characters of keys are read at once")
    try:
        read = csv.reader(io.StringIO(text, newline=""), strict=True)  # as CSV has lines, and nothing else
        header, *lines = [row for row in read if row]
    except (csv.Error, ValueError) as error:
        raise click.UsageError("--keys is a CSV whose first line names the columns") from error
    _, *columns = [name.strip() for name in header]
    if len(set(columns)) < len(columns):
        raise click.UsageError("the first line of --keys names a column twice")
    if not 0 < len(lines) <= KEYS_READ_MAX:
        raise click.UsageError(f"--keys has a line of names, then 1 to {KEYS_READ_MAX:,} keys")
    for number, line in enumerate(lines, 1):
        if len(line) != len(header):
            raise click.UsageError(f"key {number} of --keys has not as many fields as the first line")
    return [{"key": line[0], "matching": dict(zip(columns, line[1:], strict=True))} for line in lines]


def _show_price(document: dict[str, Any], body: bytes, form: str) -> None:
    if form == "json":
        write(body + b"\n", None)
    else:
        note(f"price: {document['price']['keys']} keys; at most {document['rows_max']} rows")


def _show_charge(document: dict[str, Any], tried: int) -> None:
    found = {row["_key"] for row in document["rows"]}
    if missed := [str(number) for number in range(1, tried + 1) if number not in found]:
        note(f"nothing found for key {', '.join(missed)}")
    charge = document["charge"]
    left = ", ".join(f"{who} {amount['keys']}" for who, amount in charge["left"].items())
    note(f"keys tried: {charge['keys']}; left: {plain(left)}")
