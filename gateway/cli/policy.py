"""``gateway policy``: what officers do with sharing rules before they are live."""

import json
import sys
from pathlib import Path

import click

from gateway.errors import Fault, RulesInvalid
from gateway.policy.load import load_rules


@click.group()
def policy() -> None:
    """Check sharing rules."""


@policy.command(epilog="Example:  gateway policy check policies/")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the faults as JSON.")
def check(paths: tuple[Path, ...], *, as_json: bool) -> None:
    """Check documents, or every document of a folder: line, column and what would be right.

    Exit code 1 if any document would not load.
    """
    documents = [
        file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])
    ]
    faults: list[Fault] = []
    for file in documents:
        try:
            rules = load_rules(file.read_bytes(), file=str(file))
        except RulesInvalid as error:
            faults += error.faults
        else:
            if not as_json:
                click.echo(f"{file}: ok, {rules.dataset.id} revision {rules.dataset.revision}")
    if as_json:
        members = [{"file": f.file, "line": f.line, "column": f.column, "message": f.message} for f in faults]
        click.echo(json.dumps({"documents": len(documents), "faults": members}, ensure_ascii=False))
    else:
        for fault in faults:
            click.echo(str(fault), err=True)
    if faults or not documents:
        sys.exit(1)
