"""``gateway save|run``: one question that a person approves once, for a job that runs without them."""

from pathlib import Path

import click

from gateway.cli.firm.ask import EPSILON, LIMIT, MARGIN, OUTPUT, RHO, SAVE, SELECT, WHERE, names, shown
from gateway.cli.firm.screen import note, plain, prompted, table, working
from gateway.cli.firm.session import FirmCommand, condition, folder, opened, with_format
from gateway.client.by_address import MEDIA_TYPES
from gateway.client.profile import Profile
from gateway.client.saved import NAME, SavedRequest, saved_names


@click.command(
    cls=FirmCommand,
    epilog="Example:  gateway save nightly vn.nso.household-2026 "
    '"SELECT province, COUNT(*) AS n FROM data GROUP BY province" --epsilon 0.02 --days 30',
)
@click.argument("name")
@click.argument("dataset")
@click.argument("sql", required=False)
@EPSILON
@RHO
@MARGIN
@SELECT
@WHERE
@LIMIT
@click.option(
    "--days", default=30, show_default=True, type=click.IntRange(1, 30), help="For how long it may be run."
)
@click.option("--json", "form", flag_value="json", help="Print the outcome as JSON.")
def save(
    name: str, dataset: str, sql: str | None, *, epsilon: str | None, rho: str | None, margin: str | None,
    select: str | None, where: tuple[str, ...], limit: int | None, days: int, form: str | None,
) -> None:  # fmt: skip
    """Have a person approve one question, to be run once a day without them.

    With SQL it is the statistic that `gateway query` would ask, without it the rows of `gateway records`.
    The person sees the question itself and what it may cost in all. `gateway run NAME` runs it.
    """
    if NAME.fullmatch(name) is None:
        raise click.UsageError("NAME has small letters, digits, `.`, `_` and `-`, 64 at most")
    price = {"epsilon": epsilon, "rho": rho, "margin": margin}
    if sql is None and any(value is not None for value in price.values()):
        raise click.UsageError("rows cost no privacy budget; --epsilon, --rho and --margin go with SQL")
    if sql is not None and (select or where or limit):
        raise click.UsageError("--select, --where and --limit are for rows; SQL says it itself")
    purpose = Profile.load(folder()).purpose
    with opened() as gateway, working("waiting for a person to approve"):
        question: dict[str, object] = {"sql": sql, **price}
        if sql is None:
            chosen = condition(gateway, dataset, where)
            question = {"select": names(select), "where": chosen, "limit": limit}
        saved = gateway.save(purpose, dataset, prompted, days=days, **question)
    saved.save(folder(), name)
    if form == "json":
        click.echo(f'{{"saved": "{name}", "activation": "{saved.activation}", "until": "{saved.until}"}}')
        return
    click.echo(f"saved as {name} until {plain(saved.until)}; run it with:  gateway run {name}")


@click.command(cls=FirmCommand, epilog="Example:  gateway run nightly --format csv --output nightly.csv")
@click.argument("name", required=False)
@with_format("table", "csv", "json", "ndjson")
@OUTPUT
@SAVE
def run(name: str | None, *, form: str, output: Path | None, save_receipt: Path | None) -> None:
    """Run a saved request, without a person; without NAME, list what is saved.

    Once a day: again on the same day it gives the same statistic, unpaid. Exit code 1: no answer.
    """
    if name is None:
        loaded = [(each, SavedRequest.load(folder(), each)) for each in saved_names(folder())]
        table(("name", "request", "until"), [(each, saved.path, saved.until) for each, saved in loaded])
        return
    saved = SavedRequest.load(folder(), name)
    with opened() as gateway, working(f"running {name}"):
        answer = gateway.run(saved, accept=MEDIA_TYPES["json" if form == "table" else form])
    shown(answer, form, output, save_receipt)
    note(f"may be run until {plain(saved.until)}")
