"""A dataset as its sharing-rules document declares it: public facts only, nothing read off the data."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from gateway.terms.identifiers import ColumnName, DatasetId, LineageId, OrgId
from gateway.terms.predicate import Literal

INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**63 - 1
"""Of an integer column's values."""


class ColumnType(StrEnum):
    """The type of a column's values."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    BOOLEAN = "boolean"


class Sharing(StrEnum):
    """mở, dùng chung, dùng riêng: with whom data is shared (Data Law 60/2024/QH15)."""

    OPEN = "open"
    """With everybody; nothing in it is about a person."""
    SHARED = "shared"
    """With those whom the rules name."""
    PRIVATE = "private"
    """Within the agency, and with those whom a law names."""


class Importance(StrEnum):
    """quan trọng, cốt lõi: what harm its loss would do (Data Law 60/2024/QH15; Decision 20/2025/QD-TTg)."""

    NONE = "none"
    IMPORTANT = "important"
    CORE = "core"


class Personal(StrEnum):
    """cơ bản, nhạy cảm: whether it is personal data (Law 91/2025/QH15; Decree 356/2025/ND-CP)."""

    NONE = "none"
    BASIC = "basic"
    SENSITIVE = "sensitive"


class SourceFormat(StrEnum):
    """How a source stores its rows."""

    CSV = "csv"
    PARQUET = "parquet"
    HTTP = "http"
    """An HTTP interface that answers with JSON; the reverse proxy's only source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column; numbers may have public bounds, any type a public list of values."""

    name: ColumnName
    type: ColumnType
    meaning: str
    personal: Personal
    decimals: int = 0
    """Digits after the point kept by the fixed-point grid of statistics; 0 unless decimal."""
    bounds: tuple[Decimal, Decimal] | None = None
    """Inclusive; values beyond are clamped in statistics."""
    values: tuple[Literal, ...] = ()
    """The public list, in the order in which statistics show it; empty if there is none."""
    stored_as: str | None = None
    """Its name in the source, where rules cannot use that one (`Họ và tên`); None: the same name."""

    @property
    def source_name(self) -> str:
        """The column's name in the source."""
        return self.stored_as or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyUnit:
    """Whom differential privacy protects: one value of ``column`` is one person."""

    column: ColumnName | None
    """None: each row is declared to be one person (docs/decisions/0005)."""
    rows_max: int
    """Rows of one person that count in any statistic; the rest are left out, by a keyless rule."""
    units_max: int
    """A public upper bound of persons, for overflow and for the headline delta."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the rows are. ``path`` is relative to the installation's data folder; of HTTP, a URL."""

    path: str
    format: SourceFormat
    lineage: LineageId
    """The origin that budgets belong to, whatever document or revision shows it."""
    delimiter: str = ","
    nulls: tuple[str, ...] = ("",)
    """Spellings that mean NULL in a CSV."""
    internal: bool = False
    """HTTP in the agency's own network: its name may resolve to a private address, and need no TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """A text in the two languages that people read it in."""

    vi: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What a document says of the data itself."""

    id: DatasetId
    revision: int
    digest: str
    """SHA-256 of the document's bytes, lower-case hex; every entry names it."""
    title: Title
    publisher: OrgId
    sharing: Sharing
    importance: Importance
    personal: Personal
    source: Source
    unit: PrivacyUnit | None
    """None: no statistics are offered."""
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column | None:
        """Return the column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)
