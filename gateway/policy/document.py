"""The shape of a sharing-rules document: one closed model, published as ``policies/schema.json``.

Nothing beyond what is written here is understood, and nothing that is not understood loads. The model
says what a value may be by itself; ``check_data.py`` and ``check_rules.py`` say what must fit together.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from gateway.policy.document_lookup import LookupEntry
from gateway.policy.document_paths import PathEntry
from gateway.policy.document_terms import (
    AcknowledgedEntry,
    DeliveryEntry,
    InspectionEntry,
    PriceEntry,
    RetentionEntry,
    TriggerEntry,
)
from gateway.policy.entry import Entry
from gateway.policy.fields import (
    ENTRIES_MAX,
    OURS,
    AgreementName,
    Amount,
    ColumnId,
    Constant,
    Count,
    Country,
    Day,
    Days,
    DottedName,
    Number,
    Seconds,
    SourcePath,
    SourceUrl,
    Text,
    TokenDomain,
    Word,
)
from gateway.terms.caller import Assurance
from gateway.terms.dataset import ColumnType, Importance, Personal, Sharing, SourceFormat
from gateway.terms.permit import Function
from gateway.terms.query import Action
from gateway.terms.treatment import DatePrecision


def _form(value: object) -> str | None:
    """Return which spelling of a value is used: one word, or a mapping."""
    if isinstance(value, dict):
        return "<form>"
    return "<word>" if isinstance(value, str) else None


def _treatment(value: object) -> str | None:
    if isinstance(value, dict) and len(value) == 1:
        form = f"<{next(iter(value))}>"
        return form if form in {"<tokenise>", "<partial>", "<generalise>"} else None
    return "<word>" if isinstance(value, str) else None


def _band(value: object) -> str | None:
    if isinstance(value, dict) and len(value) == 1:
        form = f"<{next(iter(value))}>"
        return form if form in {"<band>", "<date>", "<prefix>"} else None
    return None


def _condition(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    return next((f"<{form}>" for form in ("any", "not") if form in value), "<comparison>")


class WordsEntry(Entry):
    """A text in the two languages that people read it in."""

    vi: Text
    en: Text


Meaning = Annotated[
    Annotated[Text, Tag("<word>")] | Annotated[WordsEntry, Tag("<form>")],
    Discriminator(
        _form,
        custom_error_type=OURS,
        custom_error_message="a text is wanted, or one in each language: {vi: ..., en: ...}",
    ),
]


class ValidEntry(Entry):
    """From when until when the document counts, both days included."""

    start: Day = Field(alias="from")
    until: Day


class PublisherEntry(Entry):
    """The agency that shares."""

    org: Word
    name: WordsEntry


class ClassificationEntry(Entry):
    """How the law classes the data."""

    sharing: Sharing = Field(strict=False)
    importance: Importance = Field(strict=False)
    personal: Personal = Field(strict=False)


class SourceEntry(Entry):
    """Where the rows are, and whose privacy budget they draw on."""

    path: SourcePath | None = None
    url: SourceUrl | None = None
    internal: Literal[True] | None = None
    format: SourceFormat = Field(strict=False)
    lineage: DottedName
    delimiter: Literal[",", ";", "|", "\t"] | None = None
    nulls: list[Annotated[str, Field(max_length=64)]] | None = Field(
        default=None, min_length=1, max_length=20
    )


class UnitEntry(Entry):
    """Whom statistics protect: one value of the column is one person, or each row is."""

    column: ColumnId | None = None
    rows_max: Count | None = None
    each_row: Literal[True] | None = None
    units_max: Count


class ColumnEntry(Entry):
    """One column of the source."""

    type: ColumnType = Field(strict=False)
    meaning: Meaning | None = None
    stored_as: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    personal: Personal = Field(strict=False)
    decimals: int | None = Field(default=None, ge=0, le=9)
    bounds: list[Number] | None = Field(default=None, min_length=2, max_length=2)
    values: list[Constant] | None = Field(default=None, min_length=1, max_length=ENTRIES_MAX)


class BudgetEntry(Entry):
    """A limit of privacy loss in zCDP, of keys that lookups try, or both; nothing of it ever renews."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    rho: Amount | None = None
    keys: Annotated[int, Field(ge=1, le=10**12)] | None = None


class BudgetsEntry(Entry):
    """The most that may ever be spent: on the lineage in all, by one organisation, by one client."""

    lineage: BudgetEntry
    organisation: BudgetEntry
    client: BudgetEntry


class AudienceEntry(Entry):
    """Whom a rule names; every part that is given must match."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    org_class: list[Word] | None = Field(default=None, min_length=1)
    agreements: list[AgreementName] | None = Field(default=None, min_length=1)
    countries: list[Country] | None = Field(default=None, min_length=1)


class AssuranceEntry(Entry):
    """How much the caller must have proved, and how long ago at most."""

    acr: Literal["aal1", "aal2", "aal3"]
    max_age: Seconds | None = None
    unattended: Days | None = None
    """Saved requests may be run while nobody is there, so long after a person approved them."""

    @property
    def level(self) -> Assurance:
        """The assurance that ``acr`` names."""
        return Assurance[self.acr.upper()]


class TokeniseOptions(Entry):
    """Columns with one domain share pseudonyms."""

    domain: TokenDomain


class TokeniseEntry(Entry):
    """A pseudonym of a named domain."""

    tokenise: TokeniseOptions


class PartialOptions(Entry):
    """How many characters at either end are shown."""

    first: int = Field(ge=0, le=64)
    last: int = Field(ge=0, le=64)


class PartialEntry(Entry):
    """The ends of a text."""

    partial: PartialOptions


class BandEntry(Entry):
    """A number becomes the lower edge of its band."""

    band: int = Field(ge=1, le=10**15)


class DateEntry(Entry):
    """A date becomes the first day of its year, quarter or month."""

    date: DatePrecision = Field(strict=False)


class PrefixEntry(Entry):
    """A text keeps its first characters."""

    prefix: int = Field(ge=1, le=64)


class GeneraliseEntry(Entry):
    """A wider value in place of the exact one."""

    generalise: Annotated[
        Annotated[BandEntry, Tag("<band>")]
        | Annotated[DateEntry, Tag("<date>")]
        | Annotated[PrefixEntry, Tag("<prefix>")],
        Discriminator(
            _band,
            custom_error_type=OURS,
            custom_error_message="one of {band: 10}, {date: year} or {prefix: 2} is wanted",
        ),
    ]


TreatmentWord = Literal["keep", "drop", "redact", "tokenise"]
TreatmentEntry = TreatmentWord | TokeniseEntry | PartialEntry | GeneraliseEntry
TreatmentField = Annotated[
    Annotated[TreatmentWord, Tag("<word>")]
    | Annotated[TokeniseEntry, Tag("<tokenise>")]
    | Annotated[PartialEntry, Tag("<partial>")]
    | Annotated[GeneraliseEntry, Tag("<generalise>")],
    Discriminator(
        _treatment,
        custom_error_type=OURS,
        custom_error_message="a treatment is wanted: keep, drop, redact, tokenise, "
        "{tokenise: ...}, {partial: ...} or {generalise: ...}",
    ),
]


class ComparisonEntry(Entry):
    """One column against constants: exactly one comparison."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2, "maxProperties": 2})

    column: ColumnId
    equals: Constant = None
    not_equals: Constant = None
    less: Constant = None
    at_most: Constant = None
    more: Constant = None
    at_least: Constant = None
    one_of: list[Constant] | None = Field(default=None, alias="in", min_length=1, max_length=ENTRIES_MAX)
    is_null: Literal[True] | None = None


class AnyEntry(Entry):
    """At least one of the conditions holds."""

    conditions: "list[ConditionField]" = Field(alias="any", min_length=1, max_length=1000)


class NotEntry(Entry):
    """The condition does not hold; what is unknown stays unknown."""

    condition: "ConditionField" = Field(alias="not")


ConditionEntry = ComparisonEntry | AnyEntry | NotEntry
ConditionField = Annotated[
    Annotated[ComparisonEntry, Tag("<comparison>")]
    | Annotated[AnyEntry, Tag("<any>")]
    | Annotated[NotEntry, Tag("<not>")],
    Discriminator(
        _condition,
        custom_error_type=OURS,
        custom_error_message="a condition is wanted, for example {column: province, in: [...]}",
    ),
]


class LimitsEntry(Entry):
    """The most one reply may hold, and one question may cost."""

    rows: Annotated[int, Field(ge=1, le=100_000)] | None = None
    groups: Annotated[int, Field(ge=1, le=100_000)] | None = None
    rho_per_query: Amount | None = None
    keys_per_request: Annotated[int, Field(ge=1, le=100)] | None = None
    rows_per_key: Annotated[int, Field(ge=1, le=100)] | None = None


class PermitEntry(Entry):
    """Who may do what, for which purpose, with which columns, how treated."""

    id: DottedName
    to: AudienceEntry
    purposes: list[Word] = Field(min_length=1)
    may: list[Annotated[Action, Field(strict=False)]] = Field(min_length=1)
    assurance: AssuranceEntry
    rows: list[ConditionField] | None = Field(default=None, min_length=1, max_length=1000)
    columns: dict[ColumnId, TreatmentField] = Field(min_length=1)
    paths: list[PathEntry] | None = Field(default=None, min_length=1, max_length=100)
    lookup: LookupEntry | None = None
    functions: list[Annotated[Function, Field(strict=False)]] | None = Field(default=None, min_length=1)
    limits: LimitsEntry
    delivery: DeliveryEntry | None = None
    price: PriceEntry | None = None


class ForbidEntry(Entry):
    """What no permit can give: columns, or a whole request."""

    id: DottedName
    to: AudienceEntry | None = None
    purposes: list[Word] | None = Field(default=None, min_length=1)
    may: list[Annotated[Action, Field(strict=False)]] | None = Field(default=None, min_length=1)
    columns: list[ColumnId] | None = Field(default=None, min_length=1)


class Document(Entry):
    """The sharing rules of one dataset."""

    policy: Literal[1]
    id: DottedName
    revision: Count
    valid: ValidEntry
    title: WordsEntry
    publisher: PublisherEntry
    steward: Text
    classification: ClassificationEntry
    source: SourceEntry
    unit: UnitEntry | None = None
    columns: dict[ColumnId, ColumnEntry] = Field(min_length=1, max_length=1000)
    purposes: dict[Word, WordsEntry] = Field(min_length=1)
    budgets: BudgetsEntry | None = None
    acknowledged: AcknowledgedEntry | None = None
    retention: RetentionEntry | None = None
    inspection: InspectionEntry | None = None
    triggers: list[TriggerEntry] = Field(default=[], max_length=100)
    permits: list[PermitEntry] = Field(default=[], max_length=1000)
    forbids: list[ForbidEntry] = Field(default=[], max_length=1000)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) that editors complete and check documents against."""
    made = _closed(Document.model_json_schema(by_alias=True))
    assert isinstance(made, dict)  # noqa: S101 - a schema is an object
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Sharing rules"}


def _closed(node: object) -> object:
    """Close every mapping, and leave out the null that stands for "not written": nobody writes one."""
    if isinstance(node, list):
        return [_closed(item) for item in node if item != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    kept = {name: _closed(value) for name, value in node.items() if (name, value) != ("default", None)}
    choices = kept.get("anyOf")
    if isinstance(choices, list) and len(choices) == 1:
        del kept["anyOf"]
        kept |= choices[0]
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    return kept
