"""Leave to proceed and what it is bound to, or a refusal and why. Only ``gateway.policy`` makes them."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.terms.caller import Assurance
from gateway.terms.controlled import FREE, Price, Trigger
from gateway.terms.dataset import Dataset
from gateway.terms.format import ANYHOW, Delivery
from gateway.terms.identifiers import ColumnName, RuleId
from gateway.terms.loss import Caps, Loss
from gateway.terms.predicate import Predicate
from gateway.terms.query import Action
from gateway.terms.treatment import Treatment
from gateway.terms.upstream import UpstreamPath


class Function(StrEnum):
    """The statistics a permit may allow."""

    COUNT = "count"
    SUM = "sum"
    AVG = "avg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """By what a firm may find rows, and how many."""

    key: ColumnName
    matching: tuple[ColumnName, ...]
    """What it must know besides the key, sorted; empty where no key can be guessed."""
    keys_max: int
    """Keys of one request."""
    rows_max: int
    """Rows of one key."""

    @property
    def columns(self) -> frozenset[ColumnName]:
        """The columns whose raw values the firm's own are compared with."""
        return frozenset({self.key, *self.matching})


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Leave to do one action with one dataset, at most so far."""

    rules: frozenset[RuleId]
    """The permits that matched."""
    action: Action
    dataset: Dataset
    columns: tuple[tuple[ColumnName, Treatment], ...]
    """In the document's order; a column that is not here does not leave and cannot be named."""
    rows: Predicate
    """The owner's filter; it sees raw values."""
    functions: frozenset[Function]
    """Empty unless the action is aggregate."""
    rows_max: int
    """Rows of one reply; 0 if the action is aggregate or lookup."""
    groups_max: int
    """Groups of one statistic; 0 unless the action is aggregate."""
    loss_max: Loss
    """The most one question may cost; zero unless the action is aggregate."""
    caps: Caps | None
    """None unless the action is aggregate or lookup."""
    paths: tuple[UpstreamPath, ...] = ()
    """Empty unless the action is proxy."""
    delivery: Delivery = ANYHOW
    price: Price = FREE
    triggers: tuple[Trigger, ...] = ()
    """The document's; a plan that hits one needs approval."""
    inspection_ppm: int = 0
    """How many of a million replies are to be inspected afterwards."""
    lookup: Lookup | None = None
    """None unless the action is lookup."""


class Reason(StrEnum):
    """Why a request was refused. Values are public and permanent."""

    NO_RULE_PERMITS = "no-rule-permits"
    RULE_FORBIDS = "rule-forbids"
    ASSURANCE_TOO_LOW = "assurance-too-low"
    ACTIVATION_TOO_OLD = "activation-too-old"
    UNATTENDED_NOT_PERMITTED = "unattended-not-permitted"
    COSTS_MORE_THAN_APPROVED = "costs-more-than-approved"
    DIFFERS_FROM_APPROVED = "differs-from-approved"
    RUNS_USED_UP = "runs-used-up"
    DOCUMENT_NOT_VALID_NOW = "document-not-valid-now"
    APPROVAL_NEEDED = "approval-needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that goes no further, and why."""

    reason: Reason
    rules: frozenset[RuleId]
    """The rules that decided; for the ledger, never for the caller."""
    assurance_needed: Assurance | None = None
    """Set when a stronger or fresher activation would help."""
    age_max_s: int | None = None
