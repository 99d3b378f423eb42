"""What will be fetched, how it will be protected, and what it costs. Only ``gateway.planning`` makes one."""

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.terms.dataset import Column, Dataset
from gateway.terms.identifiers import ColumnName
from gateway.terms.loss import Loss, PicoRho
from gateway.terms.predicate import Literal, Predicate
from gateway.terms.treatment import Treatment


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsPlan:
    """Rows of one dataset with every column treated; costs no privacy budget."""

    dataset: Dataset
    columns: tuple[tuple[ColumnName, Treatment], ...]
    """The columns that leave, in the asked order; none of them is ``Drop``."""
    predicate: Predicate
    """The owner's filter and the firm's condition; the firm's names kept columns only."""
    rows_max: int
    after: str | None
    """Where the page before ended, as the engine said it (lower-case hex); None for the first page."""
    order_key: bytes = field(repr=False)
    """32 bytes, this recipient's and this dataset's; ``gateway/order.py`` makes the order of rows of it."""
    digest: str
    """SHA-256 (hex) of dataset revision, columns and predicate: what a cursor belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyPlan:
    """One request to an upstream, and how its rows are treated; costs no privacy budget."""

    dataset: Dataset
    columns: tuple[tuple[ColumnName, Treatment], ...]
    """The columns that leave, in the document's order; none of them is ``Drop``."""
    predicate: Predicate
    """The owner's filter and the firm's equalities, judged by the gateway on what came back."""
    rows_max: int
    """An upstream that answers with more rows has failed."""
    path: str
    """The upstream's own path, one of the permit's."""
    parameters: tuple[tuple[str, str], ...] = field(repr=False)
    """Names and values of the query string, unescaped, in the order in which they are sent."""
    rows_pointer: str
    """Where the array of rows lies in the upstream's document (RFC 6901)."""
    cursor_pointer: str | None
    """Where its next cursor lies; None where the permit binds none."""
    ordered_by: str | None
    """The upstream's name of the kept column that the firm ordered by: rows keep its order but for ties."""
    order_key: bytes = field(repr=False)
    """32 bytes, this recipient's and this dataset's; ``gateway/order.py`` makes the order of rows of it."""
    digest: str
    """SHA-256 (hex) of everything above but cursor and order key: what a cursor belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupPlan:
    """Rows found by keys that the firm holds; every key tried is charged, hit or miss."""

    dataset: Dataset
    columns: tuple[tuple[ColumnName, Treatment], ...]
    """The columns that leave, in the asked order; none of them is ``Drop``."""
    predicate: Predicate
    """The owner's filter; it sees raw values."""
    by: tuple[ColumnName, ...]
    """The key's column, then those that must match too."""
    keys: tuple[tuple[Literal, ...], ...] = field(repr=False)
    """What was tried, in the request's order: for each a value of every column of ``by``. Personal data."""
    rows_max: int
    """Rows of one key; of more the same ones are shown each time."""
    order_key: bytes = field(repr=False)
    """32 bytes, this recipient's and this dataset's; ``gateway/order.py`` makes the order of rows of it."""
    loss: Loss
    release_after_s: float
    """The reply leaves this long after its charge, never earlier: a function of public sizes only."""
    digest: str
    """HMAC-SHA256 (hex) of what was asked, under the order key: nobody else can guess keys from it."""
    rules: str
    """SHA-256 (hex) of all that decided, keys apart: what an answer kept for a repeat belongs to."""


class MeasureKind(StrEnum):
    """An exact integer that an engine computes for every group."""

    ROWS = "rows"
    """Rows in the group."""
    VALUES = "values"
    """Rows in which the column is not NULL after typing."""
    UNITS = "units"
    """Distinct persons."""
    SUM = "sum"
    """Sum of ``grid(clamp(column)) - centre`` over non-NULL values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One integer a group, and the noise it gets."""

    kind: MeasureKind
    column: ColumnName | None
    """None for rows and units."""
    centre: int
    """Subtracted from every grid value before summing (0 unless an average asks for it)."""
    sensitivity: int
    """L2 sensitivity of the vector over all groups, add or remove one person, in grid units."""
    scale: float
    """Sigma of the discrete Gaussian, in grid units."""
    rho: PicoRho


class OutputKind(StrEnum):
    """How a shown value is made from noisy measures."""

    COUNT = "count"
    SUM = "sum"
    AVG = "avg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One shown column of a statistic."""

    name: str
    kind: OutputKind
    measures: tuple[int, ...]
    """Indexes into the plan's measures: one, or for an average ``(sum, values)``."""
    decimals: int
    """The grid: an integer ``n`` stands for ``n / 10**decimals``."""
    bounds: tuple[int, int] | None
    """Grid bounds of the column; an average is clamped to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupKey:
    """A column to group by and its public list; every listed value is shown, present or not."""

    column: Column
    name: str
    """The shown name."""
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticPlan:
    """Noisy statistics over public groups; what it costs was decided from public facts alone."""

    dataset: Dataset
    predicate: Predicate
    keys: tuple[GroupKey, ...]
    """Groups are the product of the lists in this order, the last varying fastest; () is one group."""
    measures: tuple[Measure, ...]
    outputs: tuple[Output, ...]
    loss: Loss
    release_after_s: float
    """The reply leaves this long after its charge, never earlier: a function of public sizes only."""
    digest: str
    """SHA-256 (hex) of the effective question: dataset revision, filters, keys, measures, noise."""

    @property
    def groups(self) -> int:
        """Number of groups shown."""
        count = 1
        for key in self.keys:
            count *= len(key.values)
        return count


Plan = RowsPlan | ProxyPlan | LookupPlan | StatisticPlan
