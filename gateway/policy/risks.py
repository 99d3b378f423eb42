"""What the permits of a document, or of several documents of a home, open together.

Refused always: two permits that one request could match. Which of them counts would be a riddle; should
it happen all the same, they meet at the strictest (``meet.py``). Refused unless the owner acknowledges
it: what ``rules.Risk`` lists. Two permits are for one organisation unless their classes or countries
exclude each other: an organisation has one of each, but any number of agreements and purposes.

Judged on loaded rules, so that a pair of documents is judged by the same lines as a pair of permits.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, combinations, product
from typing import Final

from gateway.policy.lookup import few_valued, pseudonyms, relinkable
from gateway.policy.read import Path
from gateway.policy.rules import Audience, PermitRule, Risk, Rules
from gateway.policy.upstream import linkable
from gateway.terms.query import Action
from gateway.terms.treatment import Drop, Redact, name_of

_ROWS: Final = frozenset({Action.EXTRACT, Action.LOOKUP, Action.PROXY})
_NOTHING: Final = (Drop(), Redact())


def risks(rules: Rules) -> Iterator[tuple[Path, str]]:
    """Yield what one document may not hold, each with its place and what would be right."""
    for (_, first), (number, second) in combinations(enumerate(rules.permits), 2):
        if request := one_request(first, second):
            said = f"one request could match `{first.id}` too: {request}; let only one of them allow it"
            yield ("permits", number, "id"), said
    unit = rules.dataset.unit
    found = chain(
        [(Risk.EACH_ROW, ("unit",), "each row is taken for one person")] if unit and not unit.column else [],
        _within(rules.permits),
        _random_keys(rules.permits),
        _few_valued(rules),
        ((Risk.LINKABLE, path, said) for path, said in linkable(rules.permits)),
    )
    for risk, path, said in found:
        if risk not in rules.acknowledged:
            wanted = f"acknowledged: {{{risk}: why it is accepted}}"
            yield path, f"{said}; change it, or let the owner write `{wanted}`"


def between(one: Rules, other: Rules) -> Iterator[tuple[Risk, str]]:
    """Yield what two documents of one lineage open together, and not both acknowledge."""
    acknowledged = one.acknowledged & other.acknowledged
    for first, second in product(one.permits, other.permits):
        for risk, said in _together(first, second):
            if risk not in acknowledged:
                yield risk, said


def across(one: Sequence[Rules], other: Sequence[Rules]) -> Iterator[tuple[Rules, Rules, str]]:
    """Yield how pseudonyms lead from the raw keys of one lineage into another, and which documents show them.

    A domain may be written by name, so columns of two lineages may share pseudonyms. Left out is what both
    documents acknowledge.
    """
    asking = [permit for rules in one for permit in rules.permits if permit.lookup is not None]
    for (mine, first), (theirs, second) in product(_showing(one), _showing(other)):
        shared = set(pseudonyms(first).values()) & set(pseudonyms(second).values())
        accepted = Risk.RELINKABLE in mine.acknowledged & theirs.acknowledged
        if not shared or accepted or not _one_organisation(first, second):
            continue
        for permit in asking:
            if _one_organisation(permit, first) and _one_organisation(permit, second):
                by = f"`{permit.id}` looks up beside pseudonyms of `{min(shared)}` (`{first.id}`)"
                yield mine, theirs, f"{by}, which `{second.id}` gives the same organisation"
                break


def _showing(documents: Sequence[Rules]) -> list[tuple[Rules, PermitRule]]:
    return [(rules, permit) for rules in documents for permit in rules.permits if pseudonyms(permit)]


def one_request(one: PermitRule, other: PermitRule) -> str | None:
    """Return a request that both permits match, spelled as a test case spells it; None: there is none."""
    actions, purposes = one.actions & other.actions, one.purposes & other.purposes
    if not actions or not purposes:
        return None
    mine, theirs = _parts(one.audience), _parts(other.audience)
    named = {part: _common(mine[part], theirs[part]) for part in mine}
    if not all(named.values()):
        return None
    members = [f"{part}: {min(names)}" for part, names in named.items()]
    return f"{{{', '.join(members)}, purpose: {min(purposes)}, may: {min(actions)}}}"


def _parts(audience: Audience) -> dict[str, frozenset[str]]:
    return {
        "org_class": audience.org_classes,
        "agreement": frozenset(audience.agreements),
        "country": audience.countries,
    }


def _common(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """Return the names that both admit; an empty set admits any."""
    return one & other if one and other else one | other or frozenset({"any"})


def _one_organisation(one: PermitRule, other: PermitRule) -> bool:
    mine, theirs = one.audience, other.audience
    return bool(_common(mine.org_classes, theirs.org_classes) and _common(mine.countries, theirs.countries))


def _within(permits: tuple[PermitRule, ...]) -> Iterator[tuple[Risk, Path, str]]:
    for number, permit in enumerate(permits):
        for first in permits[: number + 1]:
            for risk, said in _together(first, permit):
                yield risk, ("permits", number, "id"), said


def _random_keys(permits: tuple[PermitRule, ...]) -> Iterator[tuple[Risk, Path, str]]:
    for number, permit in enumerate(permits):
        if permit.lookup is not None and not permit.lookup.matching:
            said = f"who holds a `{permit.lookup.key}` is shown its rows, whoever it is about"
            yield Risk.RANDOM_KEY, ("permits", number, "lookup"), said


def _few_valued(rules: Rules) -> Iterator[tuple[Risk, Path, str]]:
    for number, permit in enumerate(rules.permits):
        for name in few_valued(permit.lookup, rules.dataset) if permit.lookup else ():
            said = f"`{name}` is named as what has few values: with these anybody is found"
            yield Risk.MANY_VALUES, ("permits", number, "lookup"), said


def _together(one: PermitRule, other: PermitRule) -> Iterator[tuple[Risk, str]]:
    """Yield what two permits (or one with itself) open for one organisation."""
    if not _one_organisation(one, other):
        return
    for said in relinkable(one, other):
        yield Risk.RELINKABLE, said
    rows = [permit for permit in (one, other) if permit.actions & _ROWS]
    statistics = [permit for permit in (one, other) if Action.AGGREGATE in permit.actions]
    if rows and statistics:
        said = f"one organisation may get rows (`{rows[0].id}`) and statistics (`{statistics[0].id}`)"
        yield Risk.ROWS_AND_STATISTICS, said
    if len(rows) == len((one, other)) and one != other:
        shown = dict(one.columns)
        for name, treatment in other.columns:
            first = shown.get(name, Drop())
            if first != treatment and first not in _NOTHING and treatment not in _NOTHING:
                words = f"{name_of(first)} (`{one.id}`) and {name_of(treatment)} (`{other.id}`)"
                yield Risk.TWO_TREATMENTS, f"one organisation may get `{name}` in two forms, {words}"
                return
