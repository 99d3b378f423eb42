"""``gateway records|query|plan``: questions about one dataset."""

import uuid
from pathlib import Path
from typing import Any, Final

import click

from gateway.cli.firm.screen import cell, note, plain, table, working
from gateway.cli.firm.session import FirmCommand, condition, opened, with_format, write
from gateway.client.answer import Answer
from gateway.client.by_address import MEDIA_TYPES
from gateway.client.failures import AnswerRefused, GatewayUnreachable

FILE = click.Path(dir_okay=False, path_type=Path)
TABLE_ROWS_MAX: Final = 1_000
SELECT = click.option("--select", help="Columns, joined by commas; all that you may see unless given.")
WHERE = click.option(
    "--where", multiple=True, help="A condition: province=01, age>=18, or JSON; several must all hold."
)
LIMIT = click.option("--limit", type=click.IntRange(1), help="Rows, or rows a page with --all.")
OUTPUT = click.option("--output", "-o", type=FILE, help="Write to this file instead of the screen.")
SAVE = click.option("--save-receipt", type=FILE, help="Keep the answer's proof in this file.")
EPSILON = click.option("--epsilon", help="Privacy budget to pay, as epsilon.")
RHO = click.option("--rho", help="Privacy budget to pay, as rho.")
MARGIN = click.option("--margin", help="Half width of the 95 % interval you want, for COUNT and SUM.")


@click.command(
    cls=FirmCommand, epilog="Example:  gateway records vn.nso.household-2026 --where province=01 --limit 20"
)
@click.argument("dataset")
@SELECT
@WHERE
@LIMIT
@click.option("--all", "every", is_flag=True, help="Follow the pages to the last one.")
@with_format("table", "csv", "json", "ndjson")
@OUTPUT
@SAVE
def records(
    dataset: str, *, select: str | None, where: tuple[str, ...], limit: int | None, every: bool, form: str,
    output: Path | None, save_receipt: Path | None,
) -> None:  # fmt: skip
    """Pull rows of a dataset, with personal data treated as its rules say."""
    with opened() as gateway, working(f"rows of {dataset}") as told:
        asked = {"select": names(select), "where": condition(gateway, dataset, where), "limit": limit}
        accept = MEDIA_TYPES[_sent_as(form, every=every)]
        if every:
            pages: list[Answer] = []
            for page in gateway.all_records(dataset, **asked, accept=accept):
                pages.append(page)
                told(f"rows of {dataset}: {len(pages)} pages")
        else:
            pages = [gateway.records(dataset, **asked, accept=accept)]
    _save(pages, save_receipt)
    if form == "table":
        _show_rows(pages)
    else:
        write(_joined(pages, form, every=every), output)
    if not every and pages[-1].next_cursor is not None:
        note("there are more rows; --all follows the pages")


@click.command(
    cls=FirmCommand,
    epilog="Example:  gateway query vn.nso.household-2026 "
    '"SELECT province, COUNT(*) AS n FROM data GROUP BY province" --epsilon 0.2',
)
@click.argument("dataset")
@click.argument("sql")
@EPSILON
@RHO
@MARGIN
@click.option("--idempotency-key", help="Asking again under the same key gives the same answer, unpaid.")
@with_format("table", "csv", "json", "ndjson")
@OUTPUT
@SAVE
def query(
    dataset: str, sql: str, *, epsilon: str | None, rho: str | None, margin: str | None,
    idempotency_key: str | None, form: str, output: Path | None, save_receipt: Path | None,
) -> None:  # fmt: skip
    """Ask a statistic, and pay for it with privacy budget.

    The table is called `data`. An answer leaves on a clock that is fixed before the data is read, so
    it takes a moment whatever is in it.
    """
    key = idempotency_key or str(uuid.uuid4())
    with opened() as gateway, working(f"a statistic of {dataset}"):
        try:
            answer = gateway.query(
                dataset, sql, epsilon=epsilon, rho=rho, margin=margin, idempotency_key=key,
                accept=MEDIA_TYPES[_sent_as(form, every=False)],
            )  # fmt: skip
        except (GatewayUnreachable, AnswerRefused):
            note(f"it may have been paid; the same command with --idempotency-key {key} does not pay twice")
            raise
    shown(answer, form, output, save_receipt)


@click.command(
    cls=FirmCommand,
    epilog='Example:  gateway plan vn.nso.household-2026 "SELECT COUNT(*) AS n FROM data" --margin 100',
)
@click.argument("dataset")
@click.argument("sql", required=False)
@EPSILON
@RHO
@MARGIN
@SELECT
@WHERE
@LIMIT
@with_format("table", "json")
def plan(
    dataset: str, sql: str | None, *, epsilon: str | None, rho: str | None, margin: str | None,
    select: str | None, where: tuple[str, ...], limit: int | None, form: str,
) -> None:  # fmt: skip
    """Say what a question would give and cost; free, and no data is touched.

    With SQL it is the statistic that `gateway query` would ask, without it the rows of `gateway records`.
    """
    price = {"epsilon": epsilon, "rho": rho, "margin": margin}
    if sql is None and any(value is not None for value in price.values()):
        raise click.UsageError("rows cost no privacy budget; --epsilon, --rho and --margin go with SQL")
    if sql is not None and (select or where or limit):
        raise click.UsageError("--select, --where and --limit are for rows; SQL says it itself")
    with opened() as gateway, working(f"a plan for {dataset}"):
        if sql is not None:
            answer = gateway.plan(dataset, sql=sql, **price)
        else:
            chosen = {"select": names(select), "where": condition(gateway, dataset, where), "limit": limit}
            answer = gateway.plan(dataset, **chosen)
    if form == "json":
        write(answer.body + b"\n", None)
    else:
        _show_plan(answer.document)


def _sent_as(form: str, *, every: bool) -> str:
    """Return the format to ask for: a table is made of JSON, and many pages of JSON of lines."""
    if form == "json" and every:
        return "ndjson"
    return "json" if form == "table" else form


def names(select: str | None) -> list[str] | None:
    """Return the columns that were typed, joined by commas."""
    return None if select is None else [name.strip() for name in select.split(",")]


def _joined(pages: list[Answer], form: str, *, every: bool) -> bytes:
    """Return the pages as one answer, in the bytes that the gateway wrote."""
    bodies = [page.body for page in pages]
    match form:
        case "csv":
            heading = bodies[0][: bodies[0].find(b"\r\n") + 2]
            return bodies[0] + b"".join(body.removeprefix(heading) for body in bodies[1:])
        case "json" if every:
            lines = [line for body in bodies for line in body.splitlines() if line]
            return b'{"rows":[' + b",".join(lines) + b"]}\n"
        case "json":
            return bodies[0] + b"\n"
        case _:
            return b"".join(bodies)


def _save(answers: list[Answer], path: Path | None) -> None:
    """Keep the proofs; those of several pages are numbered."""
    if path is None:
        return
    for number, answer in enumerate(answers, 1):
        if answer.receipt is None:
            raise AnswerRefused("the answer has no receipt to save")
        file = path if len(answers) == 1 else path.with_name(f"{path.stem}.{number}{path.suffix}")
        answer.receipt.save(file)
        note(f"receipt: {file}")


def shown(answer: Answer, form: str, output: Path | None, save_receipt: Path | None) -> None:
    """Show an answer that stands by itself, rows or a statistic, and keep its proof."""
    _save([answer], save_receipt)
    if form != "table":
        write(answer.body, output)
    elif "rho" in answer.document.get("charge", {}):
        _show_statistic(answer.document)
    else:
        _show_rows([answer])


def _show_statistic(document: dict[str, Any]) -> None:
    table(
        document["columns"], [[cell(row[name]) for name in document["columns"]] for row in document["rows"]]
    )
    _show_charge(document["charge"])


def _show_rows(pages: list[Answer]) -> None:
    documents = [page.document for page in pages]
    names = [column["name"] for column in documents[0]["columns"]]
    headings = [f"{column['name']} ({column['treatment']})" for column in documents[0]["columns"]]
    rows = [row for document in documents for row in document["rows"]]
    table(headings, [[cell(row.get(name)) for name in names] for row in rows[:TABLE_ROWS_MAX]])
    if len(rows) > TABLE_ROWS_MAX:
        note(f"{len(rows):,} rows came, {TABLE_ROWS_MAX:,} are shown; --format csv --output FILE keeps all")


def _show_charge(charge: dict[str, Any]) -> None:
    left = ", ".join(f"{who} {amount['rho']}" for who, amount in charge["left"].items())
    note(f"paid: epsilon {charge['epsilon']} (rho {charge['rho']}), protects {charge['protects']}")
    note(f"left, in rho: {plain(left)}")


def _show_plan(document: dict[str, Any]) -> None:
    if "vnd" in document:
        note(f"price: at most {document['vnd']['at_most']:,} VND")
    if document["kind"] == "rows":
        table(
            ("column", "treatment"), [(column["name"], column["treatment"]) for column in document["columns"]]
        )
        note(f"at most {document['rows_max']} rows; no privacy budget")
        return
    rows = [(value["name"], value["kind"], _margin(value)) for value in document["values"]]
    table(("value", "kind", "margin at 95 %"), rows)
    price = document["price"]
    note(f"{document['groups']} groups; price: epsilon {price['epsilon']} (rho {price['rho']})")


def _margin(value: dict[str, Any]) -> str:
    if value["margin"] is None:
        return f"depends on {value['margin_depends_on']}"
    return f"± {value['margin']:,}"
