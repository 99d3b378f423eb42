"""``gateway audit erase``: make private values of the log unopenable, for good, and log that it was done."""

import json
from pathlib import Path

import click

from gateway.services.acts import Erase
from gateway.serving.admin import perform
from gateway.terms.entry import Basis, Erasure


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

    In the running gateway, whose processes forget a person at once; where none runs, in the home itself. It
    cannot be undone; copies of the home's key file that you keep elsewhere are yours to destroy.
    """
    try:
        Erasure(basis=Basis(basis), subject=subject, before=before, entries=entries)
    except ValueError as error:
        raise click.UsageError(f"{error}: --subject, --before or --entry") from error
    if not yes:
        click.confirm("What is erased cannot be opened again by anybody. Erase it?", abort=True, err=True)
    done = perform(home, Erase(basis=Basis(basis), subject=subject, before=before, entries=entries))
    if as_json:
        click.echo(json.dumps({"erased": done.rows[0], "recorded_as": done.recorded_as}))
    else:
        click.echo(done.says)
