"""A first sharing-rules document for a source: typed, closed, and with gaps only a steward can fill.

Pure: facts in, YAML out. A draft serves nothing: what the law or the public must say (publisher,
steward, importance, purposes, permits) is an empty value, and a document with an empty value does not
load (promise P3). Bounds and lists of values are comments to be filled in from public knowledge: here
nobody looks at the least, the most or any value of the data.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from pydantic import TypeAdapter, ValidationError

from gateway.errors import MalformedRequest
from gateway.policy.cues import Cue, Kind, cue_of, folded, proposed_treatment
from gateway.policy.fields import (
    DottedName,
    ParameterName,
    ParameterValue,
    Pointer,
    SourcePath,
    SourceUrl,
    UpstreamPathText,
    Word,
)
from gateway.policy.upstream import address_fault
from gateway.terms.dataset import ColumnType, Personal, SourceFormat
from gateway.terms.source_facts import ColumnFacts, Shape, SourceFacts

ID_LENGTH_MAX: Final = 64
_COLUMN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NUMBERS: Final = frozenset({ColumnType.INTEGER, ColumnType.DECIMAL})
_IDS: Final = (Kind.NUMBER_OF_PERSON, Kind.INSURANCE, Kind.RECORD)
"""What may tell persons apart, the best first."""
_RANK: Final = (Personal.NONE, Personal.BASIC, Personal.SENSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a draft says of one column."""

    id: str
    """Its name in rules: the source's own where that is a name that rules can use."""
    facts: ColumnFacts
    type: ColumnType
    cue: Cue | None
    personal: Personal
    treatment: str
    """For a permit of rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The one path of an HTTP API that a draft is about, as the operator named it."""

    path: str
    rows_pointer: str
    parameters: tuple[tuple[str, str], ...]
    internal: bool


def dataset_id(stem: str) -> str:
    """Return a dataset's id made of a file's name."""
    return "-".join(folded(stem))[:ID_LENGTH_MAX].strip("-") or "dataset"


def require_names(*, id: str, path: str, publisher: str) -> None:  # noqa: A002
    """Refuse names that no document can hold.

    Raises:
        MalformedRequest: One is not spelled as such a name may be; the sentence says how.

    """
    _require(TypeAdapter(DottedName), id, "an id has lower-case letters, digits, `.` and `-`, 64 at most")
    _require(
        TypeAdapter(SourcePath), path, "a source's path has letters, digits, `_`, `.` and `-` only: rename it"
    )
    _require(
        TypeAdapter(Word), publisher or "none", "a publisher's name has lower-case letters, digits and `-`"
    )


def require_address(
    origin: str, path: str, parameters: Sequence[tuple[str, str]], rows_pointer: str, *, internal: bool
) -> None:
    """Refuse an address that no document can hold.

    Raises:
        MalformedRequest: A part of it is not spelled, or does not lead, as a document's may.

    """
    _require(TypeAdapter(SourceUrl), origin, "an address is `https://host/path`, without a user")
    if said := address_fault(origin, internal=internal):
        raise MalformedRequest(f"`{origin}`: {said}" + ("" if internal else " (here: `--internal`)"))
    _require(
        TypeAdapter(UpstreamPathText),
        path,
        "a path has letters, digits, `_`, `.`, `-`, `~` and single slashes only",
    )
    for name, value in parameters:
        _require(
            TypeAdapter(ParameterName),
            name,
            "a parameter's name has letters, digits, `_`, `.`, `-` and `~` only",
        )
        _require(
            TypeAdapter(ParameterValue), value, "a parameter's value is up to 200 visible ASCII characters"
        )
    if len(dict(parameters)) < len(parameters):
        raise MalformedRequest("a parameter stands in the address twice")
    _require(TypeAdapter(Pointer), rows_pointer, "a pointer is `/member/member`, in ASCII")


def _require(kind: TypeAdapter[str], text: str, message: str) -> None:
    try:
        kind.validate_python(text)
    except ValidationError:
        raise MalformedRequest(f"`{text}`: {message}") from None


def proposals(facts: SourceFacts) -> tuple[Proposal, ...]:
    """Return what to propose for every column that can be read."""
    read = [column for column in facts.columns if column.type is not None]
    cues = [cue_of(column) for column in read]
    rest = Personal.BASIC if any(cues) else Personal.NONE  # a table of people, or of things
    return tuple(
        _proposal(column, cue, name, rest)
        for column, cue, name in zip(read, cues, _ids([column.name for column in read]), strict=True)
    )


def _proposal(column: ColumnFacts, cue: Cue | None, name: str, rest: Personal) -> Proposal:
    assert column.type is not None  # noqa: S101  unread columns were left out
    identifying = cue is not None and cue.identifies and cue.kind is not Kind.BIRTH
    kind = ColumnType.TEXT if identifying else column.type  # a number that names somebody is no quantity
    if cue is not None:
        return Proposal(
            id=name,
            facts=column,
            type=kind,
            cue=cue,
            personal=cue.personal,
            treatment=proposed_treatment(cue, kind),
        )
    treatment = "keep" if rest is Personal.NONE else "drop"
    return Proposal(id=name, facts=column, type=kind, cue=None, personal=rest, treatment=treatment)


def _ids(names: Sequence[str]) -> list[str]:
    """Return a usable id for every name, no two the same in any case."""
    taken: set[str] = set()
    ids = []
    for name in names:
        base = name if _COLUMN.fullmatch(name) and len(name) <= ID_LENGTH_MAX else "_".join(folded(name))
        base = (base if base[:1].isalpha() or base[:1] == "_" else f"c_{base}")[: ID_LENGTH_MAX - 4]
        made, number = base, 2
        while made.lower() in taken:
            made, number = f"{base}_{number}", number + 1
        taken.add(made.lower())
        ids.append(made)
    return ids


def draft(
    facts: SourceFacts,
    *,
    id: str,  # noqa: A002
    path: str,
    publisher: str,
    today: date,
    opening: Opening | None = None,
) -> str:
    """Return the text of a draft; ``path`` is the source's, ``publisher`` may be empty."""
    columns = proposals(facts)
    lines = [
        *_head(id, publisher, columns, today),
        *(_source(facts, id, path) if opening is None else _interface(id, path, opening)),
        *(_unit(columns) if opening is None else ()),
        "columns:",
        *(line for column in columns for line in _column(column, facts)),
        *_unread(facts),
        *(_rules(columns) if opening is None else _proxy_rules(columns, facts, opening)),
    ]
    return "\n".join(lines) + "\n"


def _head(id: str, publisher: str, columns: Sequence[Proposal], today: date) -> Iterator[str]:  # noqa: A002
    personal = max((column.personal for column in columns), key=_RANK.index, default=Personal.NONE)
    yield "# A draft by `gateway init`. It serves nothing until its gaps are filled: `gateway policy check`"
    yield "# says which. What stands here was read off names, types and shapes; whether it is true, and who"
    yield "# may have what, is the steward's decision."
    yield "policy: 1"
    yield f"id: {_quoted(id)}"
    yield "revision: 1"
    yield f"valid: {{from: {today.isoformat()}, until: {today.year + 1}-12-31}}"
    yield "title:  # better words than the file's name, for the catalogue"
    yield f"  vi: {_quoted(id)}"
    yield f"  en: {_quoted(id)}"
    yield "publisher:"
    yield f"  org: {publisher}" if publisher else "  org:  # fill in: a short name of the agency, as nso"
    yield "  name:"
    yield "    vi:  # fill in"
    yield "    en:  # fill in"
    yield "steward:  # fill in: the office that answers for this dataset"
    yield "classification:"
    yield "  sharing: private  # open, shared or private (Data Law 60/2024/QH15)"
    yield "  importance:  # fill in: none, important or core (Decision 20/2025/QD-TTg)"
    yield f"  personal: {personal}"


def _source(facts: SourceFacts, id: str, path: str) -> Iterator[str]:  # noqa: A002
    yield "source:"
    yield f"  path: {_quoted(path)}  # below the data folder of gateway.toml"
    yield f"  format: {facts.format}"
    yield f"  lineage: {_quoted(id)}  # all documents that show the same people's rows share one lineage"
    if facts.format is SourceFormat.CSV:
        yield f"  delimiter: {_quoted(facts.delimiter)}"
        yield f"  nulls: [{', '.join(map(_quoted, facts.nulls))}]  # cells that mean: no value"


def _interface(id: str, url: str, opening: Opening) -> Iterator[str]:  # noqa: A002
    yield "source:"
    yield f"  url: {_quoted(url)}"
    if opening.internal:
        yield "  internal: true  # in the agency's own network: private addresses and plain http"
    yield "  format: http"
    yield f"  lineage: {_quoted(id)}  # all documents that show the same people's rows share one lineage"


def _unit(columns: Sequence[Proposal]) -> Iterator[str]:
    yield ""
    yield "# Whom statistics protect; without it there are none. Fill in and uncomment one line. units_max is"
    yield "# the most people there may be, from public knowledge (a census), not from the data."
    person = _person(columns)
    if person is not None and person.facts.is_repeated:
        yield f"# `{person.id}` repeats: rows_max is the most rows of one person that count."
    if person is not None:
        most = "?" if person.facts.is_repeated else "1"
        yield f"# unit: {{column: {_quoted(person.id)}, rows_max: {most}, units_max: ?}}"
    yield "# unit: {each_row: true, units_max: ?}  # only if each row is one person, and nobody has two;"
    yield '# acknowledged: {each_row: "?"}          # then the owner says here why it is so'
    yield ""


def _person(columns: Sequence[Proposal]) -> Proposal | None:
    """Return the column that seems to tell persons apart."""
    for kind in _IDS:
        for column in columns:
            if column.cue is not None and column.cue.kind is kind:
                return column
    return None


def _column(column: Proposal, facts: SourceFacts) -> Iterator[str]:
    yield f"  {_quoted(column.id)}:"
    yield from (f"    # {line}" for line in remarks(column, facts))
    if column.id != column.facts.name:
        yield f"    stored_as: {_quoted(column.facts.name)}"
    yield f"    type: {column.type}"
    if column.type is ColumnType.DECIMAL:
        yield f"    decimals: {column.facts.decimals}"
    yield f"    personal: {column.personal}"
    yield "    # meaning: {vi: ?, en: ?}"
    if facts.format is SourceFormat.HTTP:
        return  # statistics are for files
    if column.type in _NUMBERS:
        yield "    # bounds: [?, ?]  # fill in: public facts, never read off the data; needed for sum and avg"
    if not (column.cue and column.cue.identifies):
        yield "    # values: [?, ?]  # fill in: the public list of values; needed for GROUP BY"


def remarks(column: Proposal, facts: SourceFacts) -> Iterator[str]:
    """Yield what a steward should know of a column before deciding."""
    if column.cue is not None:
        yield f"looks personal: {column.cue.because}"
        yield f"proposed in a permit for rows: {column.treatment}"
    elif column.personal is not Personal.NONE:
        yield "nothing here names a person, but the rows are about people: `none` if it says nothing of them"
    if column.type is column.facts.type and column.facts.misfit_share > 0:
        share = f"{column.facts.misfit_share:.2%}" if column.facts.misfit_share >= 0.0001 else "under 0.01%"  # noqa: PLR2004
        yield f"mixed: {share} of the cells examined are not of type {column.type} and will be NULL"
    if column.facts.shapes.get(Shape.DAY_FIRST_DATE, 0) > 0 and column.type is ColumnType.TEXT:
        yield "dates with the day or month first stay text; written YYYY-MM-DD they can be of type date"
    if facts.rows_examined and column.facts.null_share == 1:
        yield "no cell examined has a value: the type is a guess"


def _unread(facts: SourceFacts) -> Iterator[str]:
    for column in facts.columns:
        if column.type is None:
            yield f"  # {_quoted(column.name)} is stored as a type that the gateway never reads: left out"


def _proxy_rules(columns: Sequence[Proposal], facts: SourceFacts, opening: Opening) -> Iterator[str]:
    yield ""
    yield "purposes:  # fill in, for example:"
    yield "#   research: {vi: Nghiên cứu, en: Research}"
    yield ""
    yield "permits:  # fill in: who may do what; without one nobody may do anything. An example:"
    yield "#   - id: research-proxy"
    yield "#     to: {org_class: [research]}"
    yield "#     purposes: [research]"
    yield "#     may: [proxy]"
    yield "#     assurance: {acr: aal2, max_age: 8h}"
    yield "#     columns:"
    yield from (f"#       {_quoted(column.id)}: {column.treatment}" for column in columns)
    yield "#     paths:"
    yield f"#       - path: {_quoted(opening.path)}"
    yield f"#         rows: {_quoted(opening.rows_pointer)}"
    yield "#         parameters:  # left out if there are none"
    for name, value in opening.parameters:
        yield f"#           {_quoted(name)}: {{is: fixed, value: {_quoted(value)}}}"
    yield "#           # Fill in by the names that the API has for them; what is not written does not exist:"
    yield "#           # ?: {is: size, at_most: 100}"
    yield "#           # ?: {is: cursor, found_at: /?}  # or {is: page, at_most: ?}, {is: offset, at_most: ?}"
    yield "#           # ?: {is: equals, column: ?}     # of a column that is kept"
    yield "#           # Pseudonyms beside any of them need `acknowledged: {linkable: why}`: docs/proxy.md."
    yield f"#     limits: {{rows: {_rows_of_a_page(facts.rows)}}}  # a reply with more rows is refused"


def _rows_of_a_page(seen: int) -> int:
    """Return a round number of rows that a page may have; the one that was seen has no more."""
    return next((most for most in (1000, 10_000) if seen <= most), 100_000)


def _rules(columns: Sequence[Proposal]) -> Iterator[str]:
    yield ""
    yield "purposes:  # fill in, for example:"
    yield "#   research: {vi: Nghiên cứu, en: Research}"
    yield ""
    yield "# The most privacy loss that statistics may ever cost: for all, one organisation, one client."
    yield '# budgets: {lineage: {rho: "0.5"}, organisation: {rho: "0.1"}, client: {rho: "0.05"}}'
    yield ""
    yield "permits:  # fill in: who may do what; without one nobody may do anything. Two examples:"
    yield "#   - id: research-statistics"
    yield "#     to: {org_class: [research]}"
    yield "#     purposes: [research]"
    yield "#     may: [aggregate]"
    yield "#     assurance: {acr: aal2, max_age: 8h}"
    yield f"#     columns: {{{', '.join(f'{_quoted(name)}: keep' for name in _counted(columns))}}}"
    yield "#     functions: [count, sum, avg]"
    yield '#     limits: {groups: 100, rho_per_query: "0.01"}'
    yield "#   - id: relief-rows"
    yield "#     to: {org_class: [relief]}"
    yield "#     purposes: [research]"
    yield "#     may: [extract]"
    yield "#     assurance: {acr: aal2, max_age: 8h}"
    yield "#     columns:"
    yield from (f"#       {_quoted(column.id)}: {column.treatment}" for column in columns)
    yield "#     limits: {rows: 1000}"


def _counted(columns: Sequence[Proposal]) -> list[str]:
    """Return the columns that statistics may be about: none that leads to a person or is sensitive."""
    return [
        column.id
        for column in columns
        if not (column.cue and column.cue.identifies) and column.personal is not Personal.SENSITIVE
    ]


def _quoted(text: str) -> str:
    """Return a text as YAML, plain where that is unmistakable; what an eye does not see is escaped."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", text) and text.lower() not in {"true", "false", "null"}:
        return text
    return "".join(
        character if unicodedata.category(character)[0] != "C" else f"\\U{ord(character):08X}"
        for character in json.dumps(text, ensure_ascii=False)
    )
