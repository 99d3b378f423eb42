"""A request for rows becomes a plan: which columns, which rows, how many, after which.

Body: ``{"select": [...], "where": {...}, "limit": n, "cursor": "..."}``, all optional. A firm's
condition names columns only that it receives unchanged: it sees masked values, never raw ones. A
cursor is sealed and belongs to one plan and one recipient; it tells nothing but where to go on.
"""

import re
from collections.abc import Callable, Mapping

from gateway.errors import MalformedRequest, QuestionRefused
from gateway.planning.body import members_of
from gateway.planning.condition import predicate_of_json
from gateway.planning.cursor import opened, sealed
from gateway.planning.names import column_named, word
from gateway.planning.normal import both, check_size, data_of, digest_of
from gateway.terms.dataset import Column
from gateway.terms.identifiers import ColumnName
from gateway.terms.permit import Permit
from gateway.terms.plan import RowsPlan
from gateway.terms.predicate import EVERY_ROW, Predicate
from gateway.terms.query import Action
from gateway.terms.treatment import Drop, Keep, Treatment, name_of, spelled

LIMIT_DEFAULT = 100
_ENDED_AT = re.compile(r"[0-9a-f]{2,128}")


def plan_rows(body: bytes, permit: Permit, *, order_key: bytes, unseal: Callable[[bytes], bytes]) -> RowsPlan:
    """Return the plan of one page of rows; ``unseal`` opens what ``next_cursor``'s ``seal`` closed.

    Raises:
        MalformedRequest: The body does not have the form above, or the cursor is not of this plan.
        QuestionRefused: It names a column or asks for a number of rows that the permit does not give.

    """
    if permit.action is not Action.EXTRACT:
        raise AssertionError("rows need leave to extract")
    members = members_of(body, allowed=("select", "where", "limit", "cursor"))
    columns = columns_of(members, permit)
    condition: Predicate = EVERY_ROW
    if "where" in members:
        condition = predicate_of_json(members["where"], lambda name: _kept(name, permit))
    check_size(condition)
    predicate = both(permit.rows, condition)
    dataset = permit.dataset
    digest = digest_of(
        {
            "dataset": [dataset.id, dataset.revision, dataset.digest, dataset.source.lineage],
            "columns": [[name, spelled(treatment)] for name, treatment in columns],
            "rows": data_of(predicate),
        }
    )
    return RowsPlan(
        dataset=dataset,
        columns=columns,
        predicate=predicate,
        rows_max=_limit(members, permit.rows_max),
        after=_after(members, digest, order_key, unseal),
        order_key=order_key,
        digest=digest,
    )


def next_cursor(plan: RowsPlan, ended_at: str, seal: Callable[[bytes], bytes]) -> str:
    """Return the cursor that a later request of the same plan goes on from."""
    if not _ENDED_AT.fullmatch(ended_at):
        raise AssertionError("where a page ended is lower-case hex")
    return sealed(ended_at.encode("ascii"), plan.digest, plan.order_key, seal)


def columns_of(members: Mapping[str, object], permit: Permit) -> tuple[tuple[ColumnName, Treatment], ...]:
    """Return the columns that ``select`` names, or all; each with its treatment.

    Raises:
        MalformedRequest: ``select`` is no list of names.
        QuestionRefused: A name twice, or one that the permit does not show.

    """
    treatments = {name: treatment for name, treatment in permit.columns if not isinstance(treatment, Drop)}
    shown = tuple(column for column in permit.dataset.columns if column.name in treatments)
    if "select" not in members:
        return tuple(treatments.items())
    match members["select"]:
        case [_, *_] as names if all(isinstance(name, str) for name in names):
            found = [column_named(name, shown).name for name in names if isinstance(name, str)]
        case _:
            raise MalformedRequest("`select` is a list of at least one column name")
    twice = next((name for name in found if found.count(name) > 1), None)
    if twice is not None:
        raise QuestionRefused("a column is selected twice", about=twice)
    return tuple((name, treatments[name]) for name in found)


def _kept(name: str, permit: Permit) -> Column:
    """Return a column that a firm's condition may name."""
    treatments = {known: t for known, t in permit.columns if not isinstance(t, Drop)}
    treatment = next((t for known, t in treatments.items() if known == name), None)
    if treatment is not None and not isinstance(treatment, Keep):
        raise QuestionRefused(
            f"`{name}` leaves under `{name_of(treatment)}`, and a condition sees masked values only",
            about=word(name),
        )
    kept = {known for known, t in treatments.items() if isinstance(t, Keep)}
    return column_named(name, [column for column in permit.dataset.columns if column.name in kept])


def _limit(members: Mapping[str, object], rows_max: int) -> int:
    limit = members.get("limit", min(LIMIT_DEFAULT, rows_max))
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise MalformedRequest("`limit` is a whole number of at least 1")
    if limit > rows_max:
        raise QuestionRefused(
            f"a reply has at most {rows_max} rows here", about="limit", nearest=str(rows_max)
        )
    return limit


def _after(
    members: Mapping[str, object], digest: str, order_key: bytes, unseal: Callable[[bytes], bytes]
) -> str | None:
    if "cursor" not in members:
        return None
    after = opened(members["cursor"], digest, order_key, unseal).decode("ascii", "replace")
    if not _ENDED_AT.fullmatch(after):
        raise MalformedRequest("`cursor` is not one that this gateway gave")
    return after
