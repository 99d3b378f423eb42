"""``gateway policy``: what officers do with sharing rules; ``lifecycle.py`` is how these come into force."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import click

from gateway.cli.junit import junit
from gateway.engines.rehearsal import ArrowRehearsal
from gateway.errors import EngineFailed, Fault, RulesInvalid
from gateway.policy.advise import Advice, advise
from gateway.policy.cases import load_cases
from gateway.policy.held import Finding, held
from gateway.policy.load import load_rules
from gateway.policy.read import Tree, read
from gateway.policy.rules import Rules
from gateway.policy.trial import Trial, trial
from gateway.terms.dataset import SourceFormat

LIFECYCLE = {"key": "key", "sign": "sign", "activate": "activate", "list": "list_rules"}
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))


class Table(click.Group):
    """The commands of this file, and those of ``lifecycle.py``: only these wait for what opens a home."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *LIFECYCLE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in LIFECYCLE:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module("gateway.cli.lifecycle"), LIFECYCLE[cmd_name])
        return command


@click.group(cls=Table)
def policy() -> None:
    """Check, test, sign and activate sharing rules."""


@policy.command(epilog="Example:  gateway policy check policies/")
@_PATHS
@click.option("--data", type=_FOLDER, help="Hold them against their sources below this folder, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the faults as JSON.")
def check(paths: tuple[Path, ...], *, data: Path | None, as_json: bool) -> None:
    """Check documents, or every document of a folder: line, column and what would be right.

    Advice says what a document leaves unsaid or untested, and what cannot be asked because of it. With
    --data it tells facts of the data (which bound is the greatest value): for its steward's eyes only.
    Exit code 1 if any document would not load, permits nothing, or names a column that is not there.
    """
    documents = _documents(paths)
    faults: list[Fault] = []
    advice: list[Advice] = []
    for file in documents:
        text = file.read_bytes()
        advice += advise(text, file=str(file))
        try:
            rules = load_rules(text, file=str(file))
            advice += _untested(file, text, rules)
            advice += _held(file, text, rules, data) if data is not None else []
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


@policy.command(name="test", epilog="Example:  gateway policy test policies/ --junit results.xml")
@_PATHS
@click.option("--junit", "report", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcomes as JSON.")
def run_tests(paths: tuple[Path, ...], *, report: Path | None, as_json: bool) -> None:
    """Run the cases that stand beside documents, in `tests/<dataset>.yaml`.

    Exit code 1 if any case comes out otherwise than it says, or if some clause of a rule is not seen to
    decide: to let one request through, and alone to stop another.
    """
    tested = [_tested(file) for file in _documents(paths)]
    if report is not None:
        report.write_text(junit((each.file, each.outcomes, each.faults) for each in tested), encoding="utf-8")
    if as_json:
        members = [
            {"document": each.file, "cases": len(each.outcomes), "faults": _members(each.faults)}
            for each in tested
        ]
        click.echo(json.dumps({"documents": members}, ensure_ascii=False))
    for each in tested:
        if not as_json and not each.faults:
            click.echo(f"{each.file}: ok, {len(each.outcomes)} cases, every clause in both outcomes")
        for fault in each.faults if not as_json else ():
            click.echo(str(fault), err=True)
    if not tested or any(each.faults for each in tested):
        sys.exit(1)


@dataclass(frozen=True, slots=True)
class _Tested:
    """One document, the outcome of every request of its cases, and all that is wrong."""

    file: str
    outcomes: tuple[tuple[str, Fault | None], ...] = ()
    faults: tuple[Fault, ...] = field(default=())


def _tested(file: Path) -> _Tested:
    text = file.read_bytes()
    try:
        rules = load_rules(text, file=str(file))
        found = _trial(file, rules)
    except RulesInvalid as error:
        return _Tested(str(file), (), error.faults)
    if found is None:
        return _Tested(
            str(file), (), (Fault(str(file), 1, 1, f"there is no `{_cases_of(file)}` to test it"),)
        )
    tree, _ = read(text, file=str(file))
    failed = tuple(outcome.fault for outcome in found.outcomes if outcome.fault)
    left = (*found.untested, *found.uncovered)
    outcomes = tuple((outcome.says, outcome.fault) for outcome in found.outcomes)
    return _Tested(str(file), outcomes, (*failed, *(tree.fault(path, said) for path, said in left)))


def _trial(file: Path, rules: Rules) -> Trial | None:
    """Return what came of the cases beside a document; None: there are none."""
    cases = _cases_of(file)
    if not cases.exists():
        return None
    return trial(*load_cases(cases.read_bytes(), rules, file=str(cases)), rules, ArrowRehearsal())


def _cases_of(file: Path) -> Path:
    return file.parent / "tests" / file.name


def _untested(file: Path, text: bytes, rules: Rules) -> list[Advice]:
    found = _trial(file, rules)
    if found is None:
        return [Advice(str(file), 1, 1, f"nothing tests these rules: write `{_cases_of(file)}`")]
    tree: Tree = read(text, file=str(file))[0]
    places = [tree.fault(path, said) for path, said in found.untested]
    return [Advice(fault.file, fault.line, fault.column, fault.message) for fault in places]


def _held(file: Path, text: bytes, rules: Rules, data: Path) -> list[Advice]:
    """Return what is other in the source than the document says, or suspiciously the same."""
    # It loads DuckDB, which a check of the document alone does not wait for.
    from gateway.engines.survey import surveyed  # noqa: PLC0415

    try:
        lookups = [permit.lookup for permit in rules.permits if permit.lookup is not None]
        found = list(held(rules, surveyed(data, rules.dataset, lookups)))
    except EngineFailed as error:
        is_file = rules.dataset.source.format is not SourceFormat.HTTP
        found = [Finding(("source",), error.detail, is_needed=is_file)]
    tree: Tree = read(text, file=str(file))[0]
    placed = [(tree.fault(each.path, each.message), each.is_needed) for each in found]
    return [Advice(at.file, at.line, at.column, at.message, needed) for at, needed in placed]


def _documents(paths: tuple[Path, ...]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]


def _members(found: Sequence[Fault | Advice]) -> list[dict[str, object]]:
    return [{"file": f.file, "line": f.line, "column": f.column, "message": f.message} for f in found]
