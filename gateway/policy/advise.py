"""Say what a document leaves unsaid, column by column: advice for its steward, and no fault.

Pure: text in, advice out, also for a document that does not load yet. A rule is never changed by it.
What only a steward can know (bounds, lists, units) is asked for in words; nothing is proposed here
that could have been read off the data.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.errors import RulesInvalid
from gateway.policy.check_data import Parts
from gateway.policy.cues import Cue, cue_of_name, cues_of_names
from gateway.policy.document import ColumnEntry, PermitEntry
from gateway.policy.document_paths import CursorEntry, PositionEntry
from gateway.policy.doubts import doubts
from gateway.policy.faults import shape_faults
from gateway.policy.load import parts_of
from gateway.policy.read import Path, Tree, read
from gateway.terms.dataset import ColumnType, Personal, SourceFormat
from gateway.terms.query import Action

_NUMBERS: Final = frozenset({ColumnType.INTEGER, ColumnType.DECIMAL})
_LISTED: Final = frozenset({ColumnType.TEXT, ColumnType.BOOLEAN})


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that a document does not say, with where and what it means for its users."""

    file: str
    line: int
    column: int
    message: str
    is_needed: bool = False
    """Without it nothing can be served."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


def advise(text: bytes, *, file: str) -> tuple[Advice, ...]:
    """Return what a steward may want to add, in the order of the text.

    Parts that are malformed are left out: ``load_rules`` has said so.
    """
    try:
        tree, _ = read(text, file=file)
    except RulesInvalid:
        return ()
    _, broken = shape_faults(tree)
    parts = parts_of(tree, broken, None)
    found = [
        *_of_whole(parts, tree),
        *_of_columns(parts, tree),
        *_of_rows(parts, tree),
        *_of_paths(parts, tree),
        *(_saying(tree)(path, said) for path, said in doubts(parts)),
    ]
    return tuple(sorted(found, key=lambda advice: (advice.line, advice.column)))


def _of_whole(parts: Parts, tree: Tree) -> Iterator[Advice]:
    say = _saying(tree)
    if not parts.permits and ("permits",) not in _gaps(tree):
        yield say((), "nobody may do anything: write `permits`", is_needed=True)
    if "unit" not in parts.written and _counts(parts):
        yield say((), "without `unit` there are no statistics: say which column is one person")
    if "budgets" not in parts.written and _counts(parts):
        yield say((), "without `budgets` there are no statistics: say how much may ever be told")
    if parts.unit and parts.unit.each_row:
        for name in parts.names:
            cue = cue_of_name(name)
            if cue and cue.tells_persons_apart:
                yield say(
                    ("unit",),
                    f"each row is declared to be one person, but `{name}` looks like {cue.kind}: "
                    "if somebody can have two rows, name the column and rows_max",
                )
                break


def _of_columns(parts: Parts, tree: Tree) -> Iterator[Advice]:
    say = _saying(tree)
    counted = _counted(parts)
    for name, column in parts.columns.items():
        path: Path = ("columns", name)
        cue = _cue(name, column)
        if cue and column.personal is Personal.NONE:
            yield say(path, f"`{name}` is declared not to be personal, but its name says {cue.kind}")
        if name not in counted or (cue and cue.identifies):
            continue
        if column.type in _NUMBERS and column.bounds is None:
            yield say(
                path,
                f"`{name}`: a number without bounds can be counted but not summed or averaged; "
                "give bounds from public knowledge",
            )
        if column.values is None and column.type in _LISTED:
            yield say(
                path,
                f"`{name}`: without a public list of values it can be counted but not grouped by; "
                "give `values` from public knowledge",
            )


def _of_rows(parts: Parts, tree: Tree) -> Iterator[Advice]:
    """Advise on rows that leave with what leads to a person."""
    say = _saying(tree)
    for number, permit in parts.permits.items():
        if Action.AGGREGATE in permit.may:
            continue
        for name, treatment in permit.columns.items():
            column = parts.columns.get(name)
            cue = _cue(name, column) if column else None
            if cue and cue.identifies and treatment == "keep":
                yield say(
                    ("permits", number, "columns", name),
                    f"`{name}` looks like {cue.kind} and leaves as it is: tokenise, redact or drop it",
                )


def _of_paths(parts: Parts, tree: Tree) -> Iterator[Advice]:
    """Advise on lists of an upstream of which firms see the beginning only."""
    say = _saying(tree)
    for number, permit in parts.permits.items():
        for place, opened in enumerate(permit.paths or ()):
            if not any(isinstance(each, PositionEntry | CursorEntry) for each in opened.parameters.values()):
                yield say(
                    ("permits", number, "paths", place),
                    f"`{opened.path}`: no page, offset or cursor is bound, so firms see the first page only",
                )


def _cue(name: str, column: ColumnEntry) -> Cue | None:
    return next(iter(cues_of_names(name, column.stored_as)), None)


def _counts(parts: Parts) -> bool:
    """Return whether statistics are, or may become, a matter of this document."""
    if not parts.permits:
        return not _is_interface(parts)
    return any(map(_aggregates, parts.permits.values()))


def _is_interface(parts: Parts) -> bool:
    return parts.source is not None and parts.source.format is SourceFormat.HTTP


def _counted(parts: Parts) -> frozenset[str]:
    """Return the columns that statistics are about; all, while there is no permit yet."""
    if not parts.permits:
        return frozenset() if _is_interface(parts) else frozenset(parts.names)
    return frozenset(
        name for permit in parts.permits.values() if _aggregates(permit) for name in permit.columns
    )


def _aggregates(permit: PermitEntry) -> bool:
    return Action.AGGREGATE in permit.may


def _gaps(tree: Tree) -> frozenset[Path]:
    """Return the top-level words that stand there with nothing behind them: those are faults."""
    return frozenset((name,) for name, value in tree.content.items() if value == "")


def _saying(tree: Tree) -> Callable[..., Advice]:
    def say(path: Path, message: str, *, is_needed: bool = False) -> Advice:
        at = tree.fault(path, message, at_key=len(path) > 1)
        return Advice(at.file, at.line, at.column, message, is_needed)

    return say
