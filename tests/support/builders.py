"""Values that tests arrange with: valid, small, and changed by naming what differs."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from gateway.terms.caller import Assurance, Caller
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
from gateway.terms.identifiers import (
    AgreementId,
    ClientId,
    ColumnName,
    DatasetId,
    LineageId,
    OperatorId,
    OrgId,
    PurposeId,
    RequestId,
    RuleId,
    Thumbprint,
)
from gateway.terms.loss import Caps, Loss, PicoDelta, PicoRho
from gateway.terms.permit import Function, Permit
from gateway.terms.plan import (
    LookupPlan,
    Measure,
    MeasureKind,
    Output,
    OutputKind,
    RowsPlan,
    StatisticPlan,
)
from gateway.terms.predicate import EVERY_ROW
from gateway.terms.query import Action, Query
from gateway.terms.treatment import Keep

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def rho(value: str) -> Loss:
    return Loss(PicoRho(int(Decimal(value) * 10**12)), PicoDelta(0))


def a_query(**changes: Any) -> Query:
    query = Query(
        request_id=RequestId("00000000-0000-4000-8000-000000000001"),
        method="POST",
        path="/v1/datasets/people/query",
        query_string="",
        action=Action.AGGREGATE,
        dataset=DatasetId("people"),
        content_type="application/json",
        body=b'{"sql": "SELECT COUNT(*) FROM data"}',
    )
    return replace(query, **changes)


def a_caller(**changes: Any) -> Caller:
    caller = Caller(
        org=OrgId("bank-a"),
        org_class="bank",
        country="VN",
        client=ClientId("bank-a.etl"),
        operator=OperatorId("op-1.bank-a"),
        agreement=AgreementId("AGR-2026-014"),
        purpose=PurposeId("credit-risk-statistics"),
        assurance=Assurance.AAL2,
        authenticated_at=NOON,
        key=Thumbprint("k" * 43),
        token_id="t" * 22,
        client_key=Thumbprint("c" * 43),
        activated_by=OperatorId("op-1.bank-a"),
        vouched_for=None,
    )
    return replace(caller, **changes)


def a_dataset(**changes: Any) -> Dataset:
    dataset = Dataset(
        id=DatasetId("people"),
        revision=1,
        digest="0" * 64,
        title=Title(vi="Người", en="People"),
        publisher=OrgId("nso"),
        sharing="shared",
        importance="none",
        personal=Personal.BASIC,
        source=Source(path="people.csv", format=SourceFormat.CSV, lineage=LineageId("people")),
        unit=PrivacyUnit(column=ColumnName("id"), rows_max=1, units_max=1000),
        columns=(
            Column(name=ColumnName("id"), type=ColumnType.TEXT, meaning="", personal=Personal.BASIC),
            Column(
                name=ColumnName("age"),
                type=ColumnType.INTEGER,
                meaning="",
                personal=Personal.BASIC,
                bounds=(Decimal(0), Decimal(120)),
            ),
        ),
    )
    return replace(dataset, **changes)


def a_permit(**changes: Any) -> Permit:
    permit = Permit(
        rules=frozenset({RuleId("banks-count")}),
        action=Action.AGGREGATE,
        dataset=a_dataset(),
        columns=((ColumnName("age"), Keep()),),
        rows=EVERY_ROW,
        functions=frozenset(Function),
        rows_max=0,
        groups_max=100,
        loss_max=rho("0.01"),
        caps=Caps(lineage=rho("0.5"), organisation=rho("0.1"), client=rho("0.05")),
    )
    return replace(permit, **changes)


def a_statistic_plan(**changes: Any) -> StatisticPlan:
    plan = StatisticPlan(
        dataset=a_dataset(),
        predicate=EVERY_ROW,
        keys=(),
        measures=(
            Measure(
                kind=MeasureKind.ROWS,
                column=None,
                centre=0,
                sensitivity=1,
                scale=10.0,
                rho=PicoRho(5 * 10**9),
            ),
        ),
        outputs=(Output(name="count", kind=OutputKind.COUNT, measures=(0,), decimals=0, bounds=None),),
        loss=Loss(PicoRho(5 * 10**9), PicoDelta(0)),
        release_after_s=0.0,
        digest="1" * 64,
    )
    return replace(plan, **changes)


def a_lookup_plan(**changes: Any) -> LookupPlan:
    plan = LookupPlan(
        dataset=a_dataset(),
        columns=((ColumnName("age"), Keep()),),
        predicate=EVERY_ROW,
        by=(ColumnName("id"),),
        keys=(("001085012345",), ("001190023456",)),
        rows_max=3,
        order_key=bytes(32),
        loss=Loss(PicoRho(0), PicoDelta(0), 2),
        release_after_s=0.0,
        digest="3" * 64,
        rules="4" * 64,
    )
    return replace(plan, **changes)


def a_rows_plan(**changes: Any) -> RowsPlan:
    plan = RowsPlan(
        dataset=a_dataset(),
        columns=((ColumnName("age"), Keep()),),
        predicate=EVERY_ROW,
        rows_max=10,
        after=None,
        order_key=bytes(32),
        digest="2" * 64,
    )
    return replace(plan, **changes)
