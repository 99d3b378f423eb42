"""One dataset of people, and leave to count them or to fetch their rows."""

from datetime import date
from decimal import Decimal

import pytest

from gateway.terms.dataset import (
    Column,
    ColumnType,
    Dataset,
    Personal,
    PrivacyUnit,
    Source,
    SourceFormat,
    Title,
)
from gateway.terms.identifiers import ColumnName, DatasetId, LineageId, OrgId, RuleId
from gateway.terms.loss import Caps, Loss, PicoDelta, PicoRho
from gateway.terms.permit import Function, Permit
from gateway.terms.predicate import AllOf, Comparator, Comparison
from gateway.terms.query import Action
from gateway.terms.treatment import Band, Drop, Keep, Partial, Redact, Tokenise


def _column(name: str, type_: ColumnType, **more: object) -> Column:
    return Column(name=ColumnName(name), type=type_, meaning=name, personal=Personal.BASIC, **more)


def _loss(rho: int) -> Loss:
    return Loss(PicoRho(rho), PicoDelta(0))


_DATASET = Dataset(
    id=DatasetId("vn.nso.people"),
    revision=3,
    digest="ab" * 32,
    title=Title(vi="Người", en="People"),
    publisher=OrgId("nso"),
    sharing="shared",
    importance="none",
    personal=Personal.BASIC,
    source=Source(path="people.csv", format=SourceFormat.CSV, lineage=LineageId("vn.nso.people")),
    unit=PrivacyUnit(column=ColumnName("id"), rows_max=4, units_max=100_000),
    columns=(
        _column("id", ColumnType.TEXT),
        _column("province", ColumnType.TEXT, values=("01", "48", "79")),
        _column("sex", ColumnType.TEXT, values=("f", "m")),
        _column("age", ColumnType.INTEGER, bounds=(Decimal(0), Decimal(120))),
        _column("income", ColumnType.DECIMAL, decimals=2, bounds=(Decimal(-10), Decimal("1000.50"))),
        _column("born", ColumnType.DATE, values=(date(1990, 1, 1), date(2000, 1, 1))),
        _column("married", ColumnType.BOOLEAN),
        _column("note", ColumnType.TEXT),
        _column("phone", ColumnType.TEXT),
    ),
)
_LIVING = Comparison(ColumnName("note"), Comparator.NOT_EQUAL, ("dead",))


@pytest.fixture(scope="session")
def permit() -> Permit:
    """Leave to ask statistics over every column but ``note`` and ``phone``."""
    kept = ("province", "sex", "age", "income", "born", "married")
    return Permit(
        rules=frozenset({RuleId("open")}),
        action=Action.AGGREGATE,
        dataset=_DATASET,
        columns=(
            *((ColumnName(name), Keep()) for name in kept),
            (ColumnName("note"), Redact()),
            (ColumnName("phone"), Drop()),
        ),
        rows=_LIVING,
        functions=frozenset(Function),
        rows_max=0,
        groups_max=12,
        loss_max=_loss(5_000_000_001),
        caps=Caps(lineage=_loss(10**12), organisation=_loss(10**11), client=_loss(10**11)),
    )


@pytest.fixture(scope="session")
def rows_permit() -> Permit:
    """Leave to fetch rows: some columns as they are, some treated, one absent."""
    return Permit(
        rules=frozenset({RuleId("open")}),
        action=Action.EXTRACT,
        dataset=_DATASET,
        columns=(
            (ColumnName("id"), Tokenise("person")),
            (ColumnName("province"), Keep()),
            (ColumnName("age"), Band(10)),
            (ColumnName("born"), Keep()),
            (ColumnName("married"), Keep()),
            (ColumnName("income"), Keep()),
            (ColumnName("note"), Partial(1, 1)),
            (ColumnName("phone"), Drop()),
        ),
        rows=AllOf((_LIVING,)),
        functions=frozenset(),
        rows_max=500,
        groups_max=0,
        loss_max=_loss(0),
        caps=None,
    )
