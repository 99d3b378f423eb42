"""``gateway catalog|budget``: what there is, what this client may do, and what it has left."""

from typing import Any

import click

from gateway.cli.firm.screen import note, plain, table, working
from gateway.cli.firm.session import FirmCommand, opened, with_format, write


@click.command(cls=FirmCommand, epilog="Example:  gateway catalog vn.nso.household-2026")
@click.argument("dataset", required=False)
@with_format("table", "json")
def catalog(dataset: str | None, *, form: str) -> None:
    """List the datasets, or describe one: columns, treatments, limits."""
    with opened() as gateway, working("the catalogue"):
        answer = gateway.datasets() if dataset is None else gateway.dataset(dataset)
    if form == "json":
        write(answer.body + b"\n", None)
    elif dataset is None:
        rows = [
            (listed["id"], listed["title"]["en"], listed["publisher"], ", ".join(listed["may"]) or "-")
            for listed in answer.document["datasets"]
        ]
        table(("dataset", "title", "publisher", "you may"), rows)
    else:
        _show(answer.document)


@click.command(cls=FirmCommand, epilog="Example:  gateway budget --json")
@with_format("table", "json")
def budget(*, form: str) -> None:
    """Show what your organisation and this client have spent and have left, in rho and in keys."""
    with opened() as gateway, working("the budgets"):
        answer = gateway.budgets()
    if form == "json":
        write(answer.body + b"\n", None)
        return
    rows = [
        (shown["dataset"], whose, unit, *(node[f"{unit}_{part}"] for part in ("cap", "spent", "left")))
        for shown in answer.document["budgets"]
        for whose in ("organisation", "client")
        for node in (shown[whose],)
        for unit in ("rho", "keys")
        if f"{unit}_cap" in node
    ]
    table(("dataset", "whose", "in", "cap", "spent", "left"), rows)
    note("budgets do not renew" if rows else "you may ask nothing that is charged, so there is no budget")


def _show(document: dict[str, Any]) -> None:
    """Show one dataset: each column with what rows would show of it, then the limits."""
    may = document["may"]
    click.echo(
        f"{plain(document['title']['en'])} ({plain(document['id'])}), by {plain(document['publisher'])}"
    )
    pulls = [may.get(action, {}).get("columns", {}) for action in ("extract", "lookup", "proxy")]
    treatments: dict[str, str] = next(filter(None, pulls), {})
    statistics = may["aggregate"].get("columns", {})
    rows = [
        (
            column["name"],
            column["type"],
            treatments.get(column["name"], "-"),
            "yes" if column["name"] in statistics else "-",
            column["meaning"],
        )
        for column in document["columns"]
    ]
    table(("column", "type", "in rows", "in statistics", "meaning"), rows)
    for action, words in (
        ("extract", "rows"),
        ("aggregate", "statistics"),
        ("lookup", "lookups"),
        ("proxy", "the upstream's paths"),
    ):
        if action in may:
            note(f"{words}: {_limits(may[action])}{_cost(may[action])}")
    for trigger in document["terms"]["approval_needed"]:
        said = ", ".join(f"{part} {value}" for part, value in trigger.items())
        note(plain(f"needs the publisher's approval, and is refused: {said}"))


def _cost(allowed: dict[str, Any]) -> str:
    """Return what an answer costs in money and how it may be written, where the rules say so."""
    costs = [f"{vnd:,} VND {part.replace('_', ' ')}" for part, vnd in allowed.get("vnd", {}).items() if vnd]
    formats = [f"as {' or '.join(allowed['formats'])} only"] if "formats" in allowed else []
    encrypted = ["encrypted to you only"] if allowed.get("encrypted") else []
    return plain("".join(f"; {said}" for said in (*costs, *formats, *encrypted)))


def _limits(allowed: dict[str, Any]) -> str:
    if "refused" in allowed:
        return f"refused, {plain(allowed['refused'])}"
    if "paths" in allowed:
        return plain(", ".join(allowed["paths"]))
    if "key" in allowed:
        beside = "".join(f" with {name}" for name in allowed["matching"])
        return plain(f"by {allowed['key']}{beside}; at most {allowed['keys_max']} keys at once")
    if "rows_max" in allowed:
        return f"at most {allowed['rows_max']} at once"
    return f"{plain(', '.join(allowed['functions']))}; at most {allowed['groups_max']} groups"
