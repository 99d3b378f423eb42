"""Make the rules of a document in which nothing is wrong any more; ``load.py`` has checked it.

Amounts become integers here, rounded against the caller: a limit down. What a document leaves out
gets the strictest meaning: no limit written is 0, no age written is the longest its level lasts.
"""

from collections.abc import Mapping
from typing import Final

from gateway.budget import NOTHING, pico_rho_down
from gateway.policy.check_rules import AGE_MAX_S
from gateway.policy.conditions import constant_of, predicate_of
from gateway.policy.document import (
    AudienceEntry,
    BandEntry,
    BudgetEntry,
    BudgetsEntry,
    ColumnEntry,
    DateEntry,
    Document,
    ForbidEntry,
    GeneraliseEntry,
    PartialEntry,
    PermitEntry,
    PrefixEntry,
    SourceEntry,
    TokeniseEntry,
    TreatmentEntry,
    UnitEntry,
    WordsEntry,
)
from gateway.policy.document_terms import DeliveryEntry, PriceEntry, TriggerEntry
from gateway.policy.lookup import lookup_of
from gateway.policy.rules import ANYBODY, Audience, ForbidRule, Offer, PermitRule, Risk, Rules
from gateway.policy.upstream import paths_of
from gateway.terms.controlled import FREE, Price, Trigger
from gateway.terms.dataset import Column, Dataset, PrivacyUnit, Source, Title
from gateway.terms.format import ANYHOW, EVERY_FORMAT, Delivery
from gateway.terms.identifiers import AgreementId, ColumnName, DatasetId, LineageId, OrgId, PurposeId, RuleId
from gateway.terms.loss import Caps, Loss, PicoDelta
from gateway.terms.treatment import (
    Band,
    Drop,
    Keep,
    Partial,
    Precision,
    Prefix,
    Redact,
    Tokenise,
    Treatment,
)

_WORDS: Final[Mapping[str, Treatment]] = {"keep": Keep(), "drop": Drop(), "redact": Redact()}


def rules_of(document: Document, digest: str) -> Rules:
    """Return the rules of a checked document whose bytes have this digest."""
    dataset = _dataset(document, digest)
    return Rules(
        dataset=dataset,
        offer=_offer(document, dataset),
        valid_from=document.valid.start,
        valid_until=document.valid.until,
        caps=_caps(document.budgets) if document.budgets else None,
        permits=tuple(_permit(entry, document) for entry in document.permits),
        forbids=tuple(_forbid(entry) for entry in document.forbids),
        acknowledged=frozenset(map(Risk, document.acknowledged.model_fields_set))
        if document.acknowledged
        else frozenset(),
        triggers=tuple(map(_trigger, document.triggers)),
        inspection_ppm=int(document.inspection.rate.scaleb(6)) if document.inspection else 0,
        log_months=document.retention.log if document.retention else None,
    )


def _dataset(document: Document, digest: str) -> Dataset:
    return Dataset(
        id=DatasetId(document.id),
        revision=document.revision,
        digest=digest,
        title=_title(document.title),
        publisher=OrgId(document.publisher.org),
        sharing=document.classification.sharing,
        importance=document.classification.importance,
        personal=document.classification.personal,
        source=_source(document.source),
        unit=_unit(document.unit) if document.unit else None,
        columns=tuple(_column(name, entry) for name, entry in document.columns.items()),
    )


def _unit(entry: UnitEntry) -> PrivacyUnit:
    column = None if entry.column is None else ColumnName(entry.column)
    return PrivacyUnit(column=column, rows_max=entry.rows_max or 1, units_max=entry.units_max)


def _source(entry: SourceEntry) -> Source:
    return Source(
        path=entry.path or entry.url or "",
        format=entry.format,
        lineage=LineageId(entry.lineage),
        delimiter=entry.delimiter or ",",
        nulls=("",) if entry.nulls is None else tuple(entry.nulls),
        internal=bool(entry.internal),
    )


def _column(name: str, entry: ColumnEntry) -> Column:
    return Column(
        name=ColumnName(name),
        type=entry.type,
        meaning=_meaning(name, entry).en,
        personal=entry.personal,
        decimals=entry.decimals or 0,
        bounds=(entry.bounds[0], entry.bounds[1]) if entry.bounds else None,
        values=tuple(constant_of(given, entry) for given in entry.values or ()),
        stored_as=entry.stored_as,
    )


def _meaning(name: str, entry: ColumnEntry) -> Title:
    if isinstance(entry.meaning, WordsEntry):
        return _title(entry.meaning)
    return Title(vi=entry.meaning or name, en=entry.meaning or name)


def _title(words: WordsEntry) -> Title:
    return Title(vi=words.vi, en=words.en)


def _offer(document: Document, dataset: Dataset) -> Offer:
    meanings = (_meaning(name, entry) for name, entry in document.columns.items())
    return Offer(
        id=dataset.id,
        revision=dataset.revision,
        title=dataset.title,
        publisher=dataset.publisher,
        publisher_name=_title(document.publisher.name),
        steward=document.steward,
        sharing=dataset.sharing,
        importance=dataset.importance,
        personal=dataset.personal,
        valid_from=document.valid.start,
        valid_until=document.valid.until,
        purposes=tuple((PurposeId(name), _title(words)) for name, words in document.purposes.items()),
        columns=tuple(zip(dataset.columns, meanings, strict=True)),
    )


def _caps(budgets: BudgetsEntry) -> Caps:
    return Caps(
        lineage=_cap(budgets.lineage),
        organisation=_cap(budgets.organisation),
        client=_cap(budgets.client),
    )


def _cap(entry: BudgetEntry) -> Loss:
    rho = NOTHING.rho if entry.rho is None else pico_rho_down(entry.rho)
    return Loss(rho, PicoDelta(0), entry.keys or 0)


def _permit(entry: PermitEntry, document: Document) -> PermitRule:
    limits = entry.limits
    rho = limits.rho_per_query
    level = entry.assurance.level
    return PermitRule(
        id=RuleId(entry.id),
        audience=_audience(entry.to),
        purposes=frozenset(map(PurposeId, entry.purposes)),
        actions=frozenset(entry.may),
        assurance=level,
        age_max_s=entry.assurance.max_age or AGE_MAX_S.get(level),
        unattended_s=entry.assurance.unattended,
        rows=predicate_of(entry.rows, document.columns),
        columns=tuple(
            (ColumnName(name), treatment_of(treatment, name, document.source.lineage))
            for name, treatment in entry.columns.items()
        ),
        functions=frozenset(entry.functions or ()),
        rows_max=limits.rows or 0,
        groups_max=limits.groups or 0,
        loss_max=NOTHING if rho is None else Loss(pico_rho_down(rho), PicoDelta(0)),
        paths=paths_of(entry.paths),
        lookup=lookup_of(entry),
        delivery=_delivery(entry.delivery) if entry.delivery else ANYHOW,
        price=_price(entry.price) if entry.price else FREE,
    )


def _delivery(entry: DeliveryEntry) -> Delivery:
    formats = EVERY_FORMAT if entry.formats is None else frozenset(entry.formats)
    return Delivery(formats=formats, encrypted=entry.encrypted or False)


def _price(entry: PriceEntry) -> Price:
    return Price(per_request=entry.per_request or 0, per_row=entry.per_row or 0, per_key=entry.per_key or 0)


def _trigger(entry: TriggerEntry) -> Trigger:
    column = None if entry.column is None else ColumnName(entry.column)
    return Trigger(action=entry.may, column=column, rows_over=entry.rows_over)


def _forbid(entry: ForbidEntry) -> ForbidRule:
    return ForbidRule(
        id=RuleId(entry.id),
        audience=_audience(entry.to) if entry.to else ANYBODY,
        purposes=frozenset(map(PurposeId, entry.purposes or ())),
        actions=frozenset(entry.may or ()),
        columns=frozenset(map(ColumnName, entry.columns or ())),
    )


def _audience(entry: AudienceEntry) -> Audience:
    return Audience(
        org_classes=frozenset(entry.org_class or ()),
        agreements=frozenset(map(AgreementId, entry.agreements or ())),
        countries=frozenset(entry.countries or ()),
    )


def treatment_of(entry: TreatmentEntry, name: str, lineage: str) -> Treatment:
    """Return the treatment that an entry spells for the column ``name``."""
    match entry:
        case "tokenise":
            return Tokenise(f"{lineage}/{name}")
        case str():
            return _WORDS[entry]
        case TokeniseEntry():
            return Tokenise(entry.tokenise.domain)
        case PartialEntry():
            return Partial(entry.partial.first, entry.partial.last)
        case GeneraliseEntry():
            return _generalisation(entry.generalise)


def _generalisation(entry: BandEntry | DateEntry | PrefixEntry) -> Treatment:
    match entry:
        case BandEntry():
            return Band(entry.band)
        case DateEntry():
            return Precision(entry.date)
        case PrefixEntry():
            return Prefix(entry.prefix)
