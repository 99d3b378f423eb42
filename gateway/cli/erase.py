"""``gateway audit erase``: make private values of the log unopenable, for good, and log that it was done."""

import json
import uuid
from pathlib import Path

import click

from gateway import wiring
from gateway.ledger.port import EntryRefused
from gateway.terms.charge import Receipt
from gateway.terms.entry import Basis, Erasure
from gateway.terms.identifiers import RequestId


@click.command(epilog="Example:  gateway audit erase --subject minh.lab --basis request --yes")
@click.option("--subject", help="Everything of a person: what an operator's requests sealed, and records.")
@click.option("--before", metavar="YYYY-MM", help="Everything sealed in the months before this one (UTC).")
@click.option("--entry", "entries", multiple=True, type=click.IntRange(min=0), help="Index of an entry.")
@click.option("--basis", required=True, type=click.Choice([basis.value for basis in Basis]), help="Why.")
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.pass_obj
def erase(
    home: Path,
    *,
    subject: str | None,
    before: str | None,
    entries: tuple[int, ...],
    basis: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Destroy the keys of what lies sealed; entries, proofs and receipts stay valid.

    Takes the home's lock, so it works while the gateway is stopped. It cannot be undone; copies of the
    home's key file that you keep elsewhere are yours to destroy.
    """
    try:
        erasure = Erasure(basis=Basis(basis), subject=subject, before=before, entries=entries)
    except ValueError as error:
        raise click.UsageError(f"{error}: --subject, --before or --entry") from error
    if not yes:
        click.confirm("What is erased cannot be opened again by anybody. Erase it?", abort=True, err=True)
    try:
        receipt = wiring.run(_erased(home, erasure))
    except EntryRefused as error:
        raise click.ClickException(str(error)) from error
    facts = json.loads(receipt.entry)["facts"]
    if as_json:
        click.echo(json.dumps({"erased": facts, "recorded_as": receipt.index}))
    else:
        click.echo(
            f"erased {facts['openings']} openings and {facts['records']} records; "
            f"recorded as entry {receipt.index}"
        )


async def _erased(home: Path, erasure: Erasure) -> Receipt:
    async with wiring.opened(home) as gateway:
        return await gateway.ledger.erase(erasure, RequestId(str(uuid.uuid4())))
