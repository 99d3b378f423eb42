"""``gateway policy``: what officers do with sharing rules before they are live."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.errors import Fault, RulesInvalid
from gateway.policy.advise import Advice, advise
from gateway.policy.load import load_rules


@click.group()
def policy() -> None:
    """Check sharing rules."""


@policy.command(epilog="Example:  gateway policy check policies/")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the faults as JSON.")
def check(paths: tuple[Path, ...], *, as_json: bool) -> None:
    """Check documents, or every document of a folder: line, column and what would be right.

    Advice says what a document leaves unsaid, and what cannot be asked because of it. Exit code 1 if
    any document would not load, or permits nothing.
    """
    documents = [
        file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])
    ]
    faults: list[Fault] = []
    advice: list[Advice] = []
    for file in documents:
        text = file.read_bytes()
        advice += advise(text, file=str(file))
        try:
            rules = load_rules(text, file=str(file))
        except RulesInvalid as error:
            faults += error.faults
        else:
            if not as_json:
                click.echo(f"{file}: ok, {rules.dataset.id} revision {rules.dataset.revision}")
    if as_json:
        outcome = {"documents": len(documents), "faults": _members(faults), "advice": _members(advice)}
        click.echo(json.dumps(outcome, ensure_ascii=False))
    else:
        for fault in faults:
            click.echo(str(fault), err=True)
        for each in advice:
            click.echo(f"{each}{'' if each.is_needed else ' (advice)'}", err=True)
    if faults or not documents or any(each.is_needed for each in advice):
        sys.exit(1)


def _members(found: Sequence[Fault | Advice]) -> list[dict[str, object]]:
    return [{"file": f.file, "line": f.line, "column": f.column, "message": f.message} for f in found]
