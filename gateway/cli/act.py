"""How commands have an act done and tell of it: a sentence or rows for people, JSON for machines."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.services.acts import Act, Done, Look, LookAtFreezes, LookAtRules
from gateway.serving.admin import perform

Command = TypeVar("Command", bound=Callable[..., Any])

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, one line a record.")
REASON = click.option("--reason", default="", help="Why; the log commits to it and does not show it.")


def require_text(secret: str) -> str:
    """Return a secret that somebody typed, if it is text.

    Python makes half surrogates of bytes that are no UTF-8, and different bytes must not become one secret.
    """
    try:
        secret.encode("utf-8")
    except UnicodeEncodeError:
        raise click.BadParameter("it is not UTF-8") from None
    return secret


def carry_out(home: Path, act: Act, *, as_json: bool = False) -> Done:
    """Have a change made, and tell of it."""
    done = perform(home, act)
    told(done, as_json=as_json)
    return done


def told(done: Done, *, as_json: bool) -> None:
    """Tell of a change: a sentence and what is shown once, or JSON."""
    if as_json:
        once = {"once": done.once} if done.once else {}
        click.echo(json.dumps({"record": done.rows[0], "recorded_as": done.recorded_as, **once}))
        return
    click.echo(done.says)
    if done.once:
        click.echo(done.once)


def show(
    home: Path, act: Look | LookAtFreezes | LookAtRules, columns: tuple[str, ...], *, as_json: bool
) -> None:
    """Print records: as a table of these columns, or each whole, as JSON."""
    rows: list[dict[str, object]] = []
    done = perform(home, act)
    rows += done.rows
    while done.more:
        done = perform(home, replace(act, after=str(rows[-1]["id"])))
        rows += done.rows
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
        return
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    table = [list(columns), *cells]
    widths = [max(len(line[place]) for line in table) for place in range(len(columns))]
    for line in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def show_one(home: Path, act: Look, *, as_json: bool) -> None:
    """Print one record, a line a member."""
    (row,) = perform(home, act).rows
    if as_json:
        click.echo(json.dumps(row, ensure_ascii=False))
        return
    width = max(map(len, row))
    for name, value in row.items():
        click.echo(f"{name:<{width}}  {_cell(value)}")


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return " ".join(map(str, value)) or "-"
        case dict():
            return " / ".join(map(str, value.values()))
        case _:
            return str(value)
