"""The sharing rules of one dataset, as loaded: what ``decide`` judges by and what a catalogue shows.

Everything in here was checked by ``load.py``: names exist, treatments fit their columns, budgets are a
ladder. Nothing in here is checked again. It holds data and decides nothing.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from gateway.terms.caller import Assurance
from gateway.terms.controlled import FREE, Price, Trigger
from gateway.terms.dataset import Column, Dataset, Importance, Personal, Sharing, Title
from gateway.terms.format import ANYHOW, Delivery
from gateway.terms.identifiers import AgreementId, ColumnName, DatasetId, OrgId, PurposeId, RuleId
from gateway.terms.loss import Caps, Loss
from gateway.terms.permit import Function, Lookup
from gateway.terms.predicate import Predicate
from gateway.terms.query import Action
from gateway.terms.treatment import Treatment
from gateway.terms.upstream import UpstreamPath


class Risk(StrEnum):
    """What a document may hold only if its owner acknowledges it; the words of ``acknowledged``."""

    EACH_ROW = "each_row"
    """Each row is taken for one person; whoever has two is protected half as well."""
    ROWS_AND_STATISTICS = "rows_and_statistics"
    """One organisation may get both: rows it knows can be subtracted from a statistic."""
    TWO_TREATMENTS = "two_treatments"
    """One organisation may get one column in two forms, and see which belong together."""
    RANDOM_KEY = "random_key"
    """Who holds the key of a lookup is shown its rows: nobody must be able to guess one."""
    MANY_VALUES = "many_values"
    """A column by which a lookup tells one person has a name of what has few values."""
    RELINKABLE = "relinkable"
    """One organisation may look up by a number itself and get pseudonyms that lead back to it."""
    LINKABLE = "linkable"
    """Two organisations may line up the pseudonyms that an upstream's pages show them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Whom a rule names. An empty set asks nothing; all others must hold."""

    org_classes: frozenset[str] = frozenset()
    agreements: frozenset[AgreementId] = frozenset()
    countries: frozenset[str] = frozenset()


ANYBODY = Audience()


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitRule:
    """One entry of ``permits``."""

    id: RuleId
    audience: Audience
    purposes: frozenset[PurposeId]
    actions: frozenset[Action]
    assurance: Assurance
    age_max_s: int | None
    """How old the person's activation may be, in seconds; None only at aal1."""
    rows: Predicate
    columns: tuple[tuple[ColumnName, Treatment], ...]
    functions: frozenset[Function]
    rows_max: int
    groups_max: int
    loss_max: Loss
    paths: tuple[UpstreamPath, ...] = ()
    delivery: Delivery = ANYHOW
    price: Price = FREE
    lookup: Lookup | None = None
    unattended_s: int | None = None
    """How old the approval of a saved request may be, in seconds; None: nothing runs without a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForbidRule:
    """One entry of ``forbids``; an empty set asks nothing."""

    id: RuleId
    audience: Audience = ANYBODY
    purposes: frozenset[PurposeId] = frozenset()
    actions: frozenset[Action] = frozenset()
    columns: frozenset[ColumnName] = frozenset()
    """What it takes away; empty: the whole request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a catalogue shows a firm: public words of the document, not where the data lies."""

    id: DatasetId
    revision: int
    title: Title
    publisher: OrgId
    publisher_name: Title
    steward: str
    sharing: Sharing
    importance: Importance
    personal: Personal
    valid_from: date
    valid_until: date
    purposes: tuple[tuple[PurposeId, Title], ...]
    columns: tuple[tuple[Column, Title], ...]
    """Each column with its meaning in both languages, in the document's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One loaded document."""

    dataset: Dataset
    offer: Offer
    valid_from: date
    valid_until: date
    """The last day, inclusive; days are UTC days."""
    caps: Caps | None
    """None where no permit aggregates."""
    permits: tuple[PermitRule, ...]
    forbids: tuple[ForbidRule, ...]
    acknowledged: frozenset[Risk] = frozenset()
    triggers: tuple[Trigger, ...] = ()
    inspection_ppm: int = 0
    log_months: int | None = None
    """How long at least the log is kept; None: the document does not say."""

    @property
    def purposes(self) -> frozenset[PurposeId]:
        """The purposes that the document knows."""
        return frozenset(purpose for purpose, _ in self.offer.purposes)
