"""Whether one judgement lets out more than another.

As an unknown organisation class opens nothing, so do a path and a parameter that the upstream does not
have: of paths and parameters those count that both judgements name. A misspelt domain of pseudonyms is
nobody's; the domain of another column would tell which values are equal, and is wider.
"""

from collections.abc import Mapping
from dataclasses import replace

from gateway.policy.meet import meet
from gateway.terms.controlled import Trigger
from gateway.terms.identifiers import ColumnName
from gateway.terms.permit import Lookup, Permit, Refusal
from gateway.terms.predicate import AllOf, AnyOf, Comparison, Not, Predicate
from gateway.terms.treatment import Drop, Tokenise, Treatment
from gateway.terms.upstream import Binding, Cursor, Fixed, Order, Position, Size, UpstreamPath


def no_wider(narrow: Permit | Refusal, wide: Permit | Refusal) -> bool:
    """Whether everything that ``narrow`` lets out ``wide`` lets out too."""
    if isinstance(narrow, Refusal):
        return True
    if isinstance(wide, Refusal):
        return False
    of_wide = dict(wide.columns)
    return (
        all(_no_weaker(how, of_wide.get(name, Drop()), of_wide) for name, how in narrow.columns)
        and _conjuncts(wide.rows) <= _conjuncts(narrow.rows)
        and narrow.functions <= wide.functions
        and narrow.rows_max <= wide.rows_max
        and narrow.groups_max <= wide.groups_max
        and narrow.loss_max.rho <= wide.loss_max.rho
        and _paths_within(narrow.paths, wide.paths)
        and _lookup_within(narrow.lookup, wide.lookup)
        and _cheaper(narrow, wide)
        and narrow.delivery.formats <= wide.delivery.formats
        and narrow.delivery.encrypted >= wide.delivery.encrypted
        and all(any(_hits_all_of(mine, theirs) for mine in narrow.triggers) for theirs in wide.triggers)
    )


def _no_weaker(one: Treatment, other: Treatment, every: Mapping[ColumnName, Treatment]) -> bool:
    """Whether one is as strict; a pseudonym of a domain that no column has links it with nothing."""
    if isinstance(one, Tokenise) and isinstance(other, Tokenise):
        return one == other or one not in every.values()
    return meet(one, other) == one


def _hits_all_of(one: Trigger, other: Trigger) -> bool:
    """Whether each request that hits ``other`` hits ``one`` too."""
    return (
        one.action in {None, other.action}
        and one.column in {None, other.column}
        and (one.rows_over is None or (other.rows_over is not None and one.rows_over <= other.rows_over))
    )


def _conjuncts(predicate: Predicate) -> set[Predicate]:
    assert isinstance(predicate, AllOf)
    return set(map(_canonical, predicate.parts))


def _canonical(predicate: Predicate) -> Predicate:
    """One spelling: the order and repetition of constants and parts are nothing."""
    match predicate:
        case Comparison():
            return replace(predicate, constants=tuple(sorted(set(predicate.constants), key=repr)))
        case Not(part):
            return Not(_canonical(part))
        case AllOf(parts):
            return AllOf(tuple(sorted(set(map(_canonical, parts)), key=repr)))
        case AnyOf(parts):
            return AnyOf(tuple(sorted(set(map(_canonical, parts)), key=repr)))


def _cheaper(narrow: Permit, wide: Permit) -> bool:
    if narrow.caps is None or wide.caps is None:
        return narrow.caps is None
    pairs = zip(
        (narrow.caps.lineage, narrow.caps.organisation, narrow.caps.client),
        (wide.caps.lineage, wide.caps.organisation, wide.caps.client),
        strict=True,
    )
    return all(mine.rho <= theirs.rho and mine.keys <= theirs.keys for mine, theirs in pairs)


def _lookup_within(narrow: Lookup | None, wide: Lookup | None) -> bool:
    if narrow is None or wide is None:
        return narrow is None
    return (
        narrow.key == wide.key
        and {*wide.matching} <= {*narrow.matching}
        and narrow.keys_max <= wide.keys_max
        and narrow.rows_max <= wide.rows_max
    )


def _paths_within(narrow: tuple[UpstreamPath, ...], wide: tuple[UpstreamPath, ...]) -> bool:
    known = {(path.path, path.rows_pointer): dict(path.parameters) for path in wide}
    for path in narrow:
        theirs, mine = known.get((path.path, path.rows_pointer)), dict(path.parameters)
        if theirs is None:
            continue
        fixed = {name: binding for name, binding in theirs.items() if isinstance(binding, Fixed)}
        if any(mine.get(name) != binding for name, binding in fixed.items()):
            return False
        if not all(_within(mine[name], theirs[name]) for name in mine.keys() & theirs.keys()):
            return False
    return True


def _within(one: Binding, other: Binding) -> bool:
    match one, other:
        case (Size(mine), Size(theirs)) | (Position(mine), Position(theirs)):
            return mine <= theirs
        case Cursor(), Cursor():
            return True  # where the upstream has it; a firm sees it sealed only
        case Order(), Order():
            return True  # of kept columns only, or the document does not load
        case _:
            return one == other
