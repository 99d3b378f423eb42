"""``gateway init``: put a file or folder of your own behind the gateway; what it writes serves nothing yet.

The source is looked at first, so that a file that cannot be read leaves nothing behind. Printed are
names, types and shares; never a cell.
"""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import click

from gateway import wiring
from gateway.clock import SystemClock
from gateway.engines.inspect import inspect
from gateway.engines.source import resolve
from gateway.errors import HomeInvalid
from gateway.policy.draft import Proposal, dataset_id, draft, proposals, remarks, require_names
from gateway.settings import FILE_NAME, Settings, load_settings
from gateway.terms.dataset import Source, SourceFormat
from gateway.terms.identifiers import LineageId
from gateway.terms.source_facts import SourceFacts


@click.command(epilog="Example:  gateway --home /srv/gateway init --data people.csv --publisher nso")
@click.option(
    "--data",
    "source",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="A CSV, a Parquet file, or a folder of Parquet files with one schema.",
)
@click.option("--id", "dataset", help="The dataset's id; without it the file's name in lower case.")
@click.option("--publisher", default="", help="Short name of the agency that shares, for example nso.")
@click.option("--origin", help="Address that firms will use; without it loopback and the port.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
@click.option("--json", "as_json", is_flag=True, help="Print what was found and made as JSON.")
@click.pass_obj
def init(
    home: Path,
    source: Path,
    *,
    dataset: str | None,
    publisher: str,
    origin: str | None,
    port: int,
    as_json: bool,
) -> None:
    """Put data of your own behind the gateway: a home and a draft.

    Looks at the source and drafts its sharing rules: closed columns, and gaps for the steward to fill.
    Reads names, types and shapes only. Makes the home if there is none. Nothing is served before the
    draft's gaps are filled: `gateway policy check` names them.
    """
    path = source.resolve()
    name = dataset or dataset_id(path.stem if path.is_file() else path.name)
    document = home / "policies" / f"{name}.yaml"
    if document.exists():
        raise HomeInvalid(f"`{document}` exists already; choose another --id, or move it away")
    facts = inspect(path)
    folder = _data_folder(home, path)
    relative = path.relative_to(folder).as_posix()
    require_names(id=name, path=relative, publisher=publisher)
    resolve(folder, Source(path=relative, format=facts.format, lineage=LineageId(name)))  # as serve will

    is_new = not (home / FILE_NAME).exists()
    if is_new:
        wiring.create_home(home, _settings(folder, origin or f"http://127.0.0.1:{port}", port))
    text = draft(facts, id=name, path=relative, publisher=publisher, today=SystemClock().now().date())
    document.write_text(text, encoding="utf-8")

    columns = proposals(facts)
    steps = _next(home, document)
    if as_json:
        outcome = _outcome(home=home, document=document, name=name, facts=facts, columns=columns, steps=steps)
        click.echo(json.dumps(outcome, ensure_ascii=False))
        return
    click.echo(f"{path.name}: {_words(facts)}")
    for line in _table(facts, columns):
        click.echo(f"  {line}")
    click.echo(f"{'made the home' if is_new else 'the home'} {home}, which serves files below {folder}")
    click.echo(f"drafted {document}; it serves nothing yet\n\nNext:")
    for step in steps:
        click.echo(f"  {step}")


def _data_folder(home: Path, path: Path) -> Path:
    """Return the folder that the home's sources lie below: the file's own where the home is new."""
    if not (home / FILE_NAME).exists():
        if home.resolve().is_relative_to(path.parent):
            # SECURITY: a document may name any file below the data folder; keys must not lie there.
            raise HomeInvalid(
                f"the home `{home}` would lie below the data's folder `{path.parent}`, keys and all: "
                "move the data into a folder of its own"
            )
        return path.parent
    folder = (home / load_settings(home).data).resolve()
    if not path.is_relative_to(folder) or path == folder:
        raise HomeInvalid(
            f"the home `{home}` serves files below `{folder}`: put the source there, "
            "or give it a home of its own with --home"
        )
    return folder


def _settings(folder: Path, origin: str, port: int) -> Settings:
    if '"' in str(folder) or "\\" in str(folder):
        raise HomeInvalid("the data's folder has a quote or backslash in its name: rename it")
    host = urlsplit(origin).hostname or "gateway"
    year = SystemClock().now().year
    return Settings(origin=origin, log_origin=f"{host}/log/{year}", port=port, data=str(folder))


def _next(home: Path, document: Path) -> tuple[str, ...]:
    program = "gateway" if home == Path("var") else f"gateway --home {shlex.quote(str(home))}"
    return (
        f"edit {document}          fill the gaps; bounds and lists from public knowledge only",
        f"gateway policy check {shlex.quote(str(document))}",
        f"{program} org add, agreement add, client add, operator add    who may ask (--help shows examples)",
        f"{program} serve",
    )


def _words(facts: SourceFacts) -> str:
    if facts.format is SourceFormat.CSV:
        mark = ", byte order mark" if facts.has_mark else ""
        nulls = " ".join(json.dumps(spelling) for spelling in facts.nulls)
        what = f"CSV, delimiter {json.dumps(facts.delimiter)}, UTF-8{mark}, no value is spelled {nulls}"
    else:
        what = "Parquet"
    return f"{what}; {facts.rows:,} rows ({facts.rows_examined:,} examined), {len(facts.columns)} columns"


def _table(facts: SourceFacts, columns: Sequence[Proposal]) -> list[str]:
    """Return a line a column: name, type, class, and what a steward should know."""
    rows = [("column", "type", "personal", "rows", "why")]
    for column in columns:
        why = column.cue.because if column.cue else ""
        mixed = [said for said in remarks(column, facts) if said.startswith("mixed")]
        rows.append((column.id, column.type, column.personal, column.treatment, "; ".join([why, *mixed])))
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    unread = [json.dumps(column.name) for column in facts.columns if column.type is None]
    return [*lines, *(f"{name}: stored as a type that is never read, left out" for name in unread)]


def _outcome(
    *,
    home: Path,
    document: Path,
    name: str,
    facts: SourceFacts,
    columns: Sequence[Proposal],
    steps: Sequence[str],
) -> dict[str, object]:
    return {
        "home": str(home),
        "document": str(document),
        "dataset": name,
        "format": facts.format,
        "delimiter": facts.delimiter if facts.format is SourceFormat.CSV else None,
        "nulls": list(facts.nulls),
        "rows": facts.rows,
        "rows_examined": facts.rows_examined,
        "columns": [
            {
                "name": column.id,
                "stored_as": column.facts.name,
                "type": column.type,
                "personal": column.personal,
                "proposed": column.treatment,
                "because": column.cue.because if column.cue else None,
                "misfit_share": column.facts.misfit_share,
                "null_share": column.facts.null_share,
            }
            for column in columns
        ],
        "next": list(steps),
    }
