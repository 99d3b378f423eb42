"""``gateway init``: put a file, folder or HTTP API behind the gateway; what it writes serves nothing yet.

The source is looked at first, so that a file that cannot be read leaves nothing behind. Printed are
names, types and shares; never a cell.
"""

import asyncio
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import click

from gateway import wiring
from gateway.cli.lifecycle import ask_passphrase
from gateway.clock import SystemClock
from gateway.engines.inspect import inspect
from gateway.engines.inspect_url import Address, address_of, look
from gateway.engines.source import resolve
from gateway.errors import HomeInvalid
from gateway.keyring.stewards import own_key_file, own_steward_key, trust_steward, trusted_stewards
from gateway.policy.draft import (
    Opening,
    Proposal,
    dataset_id,
    draft,
    proposals,
    remarks,
    require_address,
    require_names,
)
from gateway.settings import FILE_NAME, Settings, load_settings
from gateway.terms.dataset import Source, SourceFormat
from gateway.terms.identifiers import LineageId
from gateway.terms.source_facts import SourceFacts


class DataType(click.ParamType[Path | Address]):
    """A file, a folder, or the address of an HTTP API."""

    name = "FILE|FOLDER|URL"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Path | Address:
        if value.startswith(("http://", "https://")):
            return address_of(value)
        path = Path(value)
        if not path.exists():
            self.fail(
                f"there is no file or folder `{value}`, and an address begins with https://", param, ctx
            )
        return path.resolve()


@click.command(
    epilog="""Example:  gateway --home /srv/gateway init --data people.csv --publisher nso

    \b
    gateway init --data 'http://127.0.0.1:8001/db/people.json?_shape=objects' --rows /rows"""
)
@click.option(
    "--data",
    "source",
    required=True,
    type=DataType(),
    help="A CSV, a Parquet file, a folder of Parquet files with one schema, or the address of an HTTP API.",
)
@click.option("--id", "dataset", help="The dataset's id; without it the file's name in lower case.")
@click.option("--publisher", default="", help="Short name of the agency that shares, for example nso.")
@click.option("--origin", help="Address that firms will use; without it loopback and the port.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
@click.option("--internal", is_flag=True, help="The API is in the agency's own network.")
@click.option("--rows", "rows_pointer", help="Where the API's reply has its rows, as /data/items.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found and made as JSON.")
@click.pass_obj
def init(
    home: Path,
    source: Path | Address,
    *,
    dataset: str | None,
    publisher: str,
    origin: str | None,
    port: int,
    internal: bool,
    rows_pointer: str | None,
    as_json: bool,
) -> None:
    """Put data of your own behind the gateway: a home and a draft.

    Looks at the source and drafts its sharing rules: closed columns, and gaps for the steward to fill.
    Reads names, types and shapes only; of an API one page. Makes the home if there is none. Nothing is
    served before the draft's gaps are filled: `gateway policy check` names them.
    """
    if isinstance(source, Path) and (internal or rows_pointer is not None):
        raise click.UsageError("--internal and --rows are for the address of an HTTP API")
    stem = source.name if isinstance(source, Address) or source.is_dir() else source.stem
    name = dataset or dataset_id(stem)
    document = home / "policies" / f"{name}.yaml"
    if document.exists():
        raise HomeInvalid(f"`{document}` exists already; choose another --id, or move it away")
    if isinstance(source, Address):
        found = _of_address(source, name, publisher, internal=internal, rows_pointer=rows_pointer)
    else:
        found = _of_path(source, home, name, publisher)
    is_new = not (home / FILE_NAME).exists()
    if is_new:
        wiring.create_home(home, _settings(found.folder, origin or f"http://127.0.0.1:{port}", port))
    key = _steward_key(home, publisher)
    text = draft(
        found.facts,
        id=name,
        path=found.path,
        publisher=publisher,
        today=SystemClock().now().date(),
        opening=found.opening,
    )
    document.write_text(text, encoding="utf-8")

    columns = proposals(found.facts)
    steps = _next(home, document, found.facts.format, key)
    if as_json:
        outcome = _outcome(
            home=home, document=document, name=name, facts=found.facts, columns=columns, steps=steps
        )
        click.echo(json.dumps(outcome, ensure_ascii=False))
        return
    click.echo(f"{found.shown}: {_words(found.facts)}")
    for line in _table(found.facts, columns):
        click.echo(f"  {line}")
    served = "" if found.folder is None else f", which serves files below {found.folder}"
    click.echo(f"{'made the home' if is_new else 'the home'} {home}{served}")
    click.echo(f"drafted {document}; it serves nothing yet\n\nNext:")
    for step in steps:
        click.echo(f"  {step}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A source that can be drafted."""

    facts: SourceFacts
    path: str
    """As the document says it."""
    shown: str
    folder: Path | None
    """What a new home serves files from; None: its own folder, which is empty."""
    opening: Opening | None = None


def _of_path(path: Path, home: Path, name: str, publisher: str) -> Found:
    facts = inspect(path)
    folder = _data_folder(home, path)
    relative = path.relative_to(folder).as_posix()
    require_names(id=name, path=relative, publisher=publisher)
    resolve(folder, Source(path=relative, format=facts.format, lineage=LineageId(name)))  # as serve will
    return Found(facts=facts, path=relative, shown=path.name, folder=folder)


def _of_address(
    address: Address, name: str, publisher: str, *, internal: bool, rows_pointer: str | None
) -> Found:
    require_names(id=name, path="any", publisher=publisher)
    require_address(address.origin, address.path, address.parameters, rows_pointer or "", internal=internal)
    page = asyncio.run(look(address, internal=internal, rows_pointer=rows_pointer))
    require_address(address.origin, address.path, address.parameters, page.rows_pointer, internal=internal)
    opening = Opening(
        path=address.path,
        rows_pointer=page.rows_pointer,
        parameters=address.parameters,
        internal=internal,
    )
    return Found(
        facts=page.facts,
        path=address.origin,
        shown=address.origin + address.path,
        folder=None,
        opening=opening,
    )


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


def _settings(folder: Path | None, origin: str, port: int) -> Settings:
    if folder is not None and ('"' in str(folder) or "\\" in str(folder)):
        raise HomeInvalid("the data's folder has a quote or backslash in its name: rename it")
    host = urlsplit(origin).hostname or "gateway"
    year = SystemClock().now().year
    settings = Settings(origin=origin, log_origin=f"{host}/log/{year}", port=port)
    return settings if folder is None else replace(settings, data=str(folder))


def _steward_key(home: Path, publisher: str) -> Path | None:
    """Return the key that may sign the draft, made and trusted unless the publisher has a steward already."""
    if any(key.name == publisher for key in trusted_stewards(home)):
        return own_key_file(home) if own_key_file(home).exists() else None
    if not publisher:
        return None
    steward = own_steward_key(home, publisher, ask_passphrase)
    trust_steward(home, steward.vkey, name=publisher)
    return own_key_file(home)


def _next(home: Path, document: Path, kind: SourceFormat, key: Path | None) -> tuple[str, ...]:
    gaps = "bounds and lists from public knowledge only"
    if kind is SourceFormat.HTTP:
        gaps = "parameters by the names that the API has for them"
    program = "gateway" if home == Path("var") else f"gateway --home {shlex.quote(str(home))}"
    return (
        f"edit {document}          fill the gaps; {gaps}",
        f"gateway policy check {shlex.quote(str(document))}",
        f"gateway policy sign {shlex.quote(str(document))} --key {shlex.quote(str(key or 'KEY'))}",
        f"{program} org add, agreement add, client add, operator add    who may ask (--help shows examples)",
        f"{program} serve",
    )


def _words(facts: SourceFacts) -> str:
    if facts.format is SourceFormat.CSV:
        mark = ", byte order mark" if facts.has_mark else ""
        nulls = " ".join(json.dumps(spelling) for spelling in facts.nulls)
        what = f"CSV, delimiter {json.dumps(facts.delimiter)}, UTF-8{mark}, no value is spelled {nulls}"
    elif facts.format is SourceFormat.HTTP:
        return f"one page of JSON; {facts.rows:,} rows, {len(facts.columns)} columns"
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
