"""What a document may say, and how an officer is told that it may not: where, what, and what is near."""

import hashlib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Fault, RulesInvalid
from gateway.policy.load import FAULTS_MAX, load_rules
from gateway.policy.rules import Audience, ForbidRule, PermitRule, Risk
from gateway.terms.caller import Assurance
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
    ColumnName,
    DatasetId,
    LineageId,
    OrgId,
    PurposeId,
    RuleId,
)
from gateway.terms.loss import Caps, Loss, PicoDelta, PicoRho
from gateway.terms.permit import Function
from gateway.terms.predicate import EVERY_ROW, AllOf, AnyOf, Comparator, Comparison, Not
from gateway.terms.query import Action
from gateway.terms.treatment import (
    Band,
    DatePrecision,
    Drop,
    Keep,
    Partial,
    Precision,
    Prefix,
    Redact,
    Tokenise,
)

VECTORS = Path(__file__).parent / "vectors"
DOCUMENT = (VECTORS / "example.yaml").read_text(encoding="utf-8")


def faults_or_none(text: str) -> tuple[Fault, ...]:
    try:
        load_rules(text.encode(), file="x.yaml")
    except RulesInvalid as error:
        return error.faults or (Fault("", 0, 0, "refused without a fault"),)
    return ()


def faults_of(text: str, **known: object) -> list[str]:
    with pytest.raises(RulesInvalid) as raised:
        load_rules(text.encode(), file="x.yaml", **known)  # type: ignore[arg-type]
    return [str(fault).removeprefix("x.yaml:") for fault in raised.value.faults]


def with_line(number: int, line: str) -> str:
    lines = DOCUMENT.splitlines()
    lines[number - 1] = line
    return "\n".join(lines)


def a_column(name: str, kind: ColumnType, personal: Personal = Personal.BASIC, **more: object) -> Column:
    return Column(name=ColumnName(name), type=kind, personal=personal, **{"meaning": name, **more})  # type: ignore[arg-type]


def rho(pico: int) -> Loss:
    return Loss(PicoRho(pico), PicoDelta(0))


def test_a_document_says_what_the_data_is() -> None:
    rules = load_rules(DOCUMENT.encode(), file="x.yaml")

    assert rules.dataset == Dataset(
        id=DatasetId("vn.example.2026"),
        revision=3,
        digest=hashlib.sha256(DOCUMENT.encode()).hexdigest(),
        title=Title(vi="Ví dụ", en="Example"),
        publisher=OrgId("nso"),
        sharing="shared",
        importance="none",
        personal=Personal.BASIC,
        source=Source(
            path="folder/example.csv",
            format=SourceFormat.CSV,
            lineage=LineageId("vn.example"),
            delimiter=";",
            nulls=("", "NA"),
        ),
        unit=PrivacyUnit(column=ColumnName("person"), rows_max=2, units_max=1000),
        columns=(
            a_column("person", ColumnType.TEXT, meaning="Person"),
            a_column("name", ColumnType.TEXT, meaning="Full name"),
            a_column(
                "area",
                ColumnType.DECIMAL,
                Personal.NONE,
                decimals=2,
                bounds=(Decimal(0), Decimal("99.95")),
                values=(Decimal(1), Decimal("2.5")),
            ),
            a_column("age", ColumnType.INTEGER, bounds=(Decimal(-1), Decimal(120))),
            a_column("born", ColumnType.DATE, values=(date(2026, 1, 1),)),
            a_column("married", ColumnType.BOOLEAN, values=(True, False)),
            a_column("answer", ColumnType.TEXT, Personal.NONE, values=("yes", "no")),
        ),
    )
    assert rules.caps == Caps(lineage=rho(10**12), organisation=rho(10**11), client=rho(5 * 10**10))
    assert (rules.valid_from, rules.valid_until) == (date(2026, 1, 1), date(2026, 12, 31))


def test_a_document_says_what_each_rule_is() -> None:
    rules = load_rules(DOCUMENT.encode(), file="x.yaml")
    age, answer, born, name = map(ColumnName, ("age", "answer", "born", "name"))

    assert rules.permits == (
        PermitRule(
            id=RuleId("rows"),
            audience=Audience(
                org_classes=frozenset({"relief"}),
                agreements=frozenset({AgreementId("AGR-1")}),
                countries=frozenset({"VN", "LA"}),
            ),
            purposes=frozenset({PurposeId("planning")}),
            actions=frozenset({Action.EXTRACT}),
            assurance=Assurance.AAL3,
            age_max_s=90,
            rows=AllOf(
                (
                    Comparison(age, Comparator.AT_LEAST, (18,)),
                    AnyOf(
                        (
                            Comparison(answer, Comparator.ONE_OF, ("yes", "no")),
                            Not(Comparison(born, Comparator.LESS, (date(2000, 2, 29),))),
                        )
                    ),
                    Comparison(name, Comparator.IS_NULL, ()),
                )
            ),
            columns=(
                (ColumnName("person"), Tokenise("vn.example/person")),
                (name, Partial(1, 2)),
                (ColumnName("area"), Band(10)),
                (age, Tokenise("vn/age")),
                (born, Precision(DatePrecision.QUARTER)),
                (ColumnName("married"), Redact()),
                (answer, Prefix(1)),
            ),
            functions=frozenset(),
            rows_max=10,
            groups_max=0,
            loss_max=rho(0),
        ),
        PermitRule(
            id=RuleId("numbers"),
            audience=Audience(org_classes=frozenset({"bank"})),
            purposes=frozenset({PurposeId("planning")}),
            actions=frozenset({Action.AGGREGATE}),
            assurance=Assurance.AAL2,
            age_max_s=8 * 3600,
            rows=EVERY_ROW,
            columns=((ColumnName("area"), Keep()), (age, Keep())),
            functions=frozenset({Function.COUNT, Function.AVG}),
            rows_max=0,
            groups_max=5,
            loss_max=rho(12345678901),
        ),
    )
    assert rules.forbids == (
        ForbidRule(id=RuleId("no-born"), columns=frozenset({born})),
        ForbidRule(
            id=RuleId("no-laos"),
            audience=Audience(countries=frozenset({"LA"})),
            purposes=frozenset({PurposeId("planning")}),
            actions=frozenset({Action.EXTRACT}),
        ),
    )


def test_a_catalogue_is_offered_titles_purposes_and_columns_in_both_languages() -> None:
    rules = load_rules(DOCUMENT.encode(), file="x.yaml")

    assert rules.offer.publisher_name == Title(vi="Cục Thống kê", en="Statistics Office")
    assert rules.offer.purposes == ((PurposeId("planning"), Title(vi="Lập kế hoạch", en="Planning")),)
    assert rules.purposes == frozenset({PurposeId("planning")})
    assert [column for column, _ in rules.offer.columns] == list(rules.dataset.columns)
    assert rules.offer.columns[0][1] == Title(vi="Người", en="Person")
    assert "folder" not in repr(rules.offer)


def test_drop_is_a_treatment_like_any_other() -> None:
    rules = load_rules(with_line(38, "      married: drop").encode(), file="x.yaml")

    assert dict(rules.permits[0].columns)[ColumnName("married")] == Drop()


def wrong_lines() -> Iterator[Any]:
    for block in (VECTORS / "faults.txt").read_text(encoding="utf-8").split("\n\n")[1:]:
        *lines, fault = block.strip("\n").splitlines()
        numbers = {line.split("| ", 1)[0] for line in lines}
        text = "\n".join(line.split("| ", 1)[1] for line in lines)
        yield pytest.param(int(numbers.pop()), text, fault.removeprefix("=> "), id=fault)


@pytest.mark.parametrize(("number", "line", "fault"), [*wrong_lines()])
def test_a_fault_is_told_with_its_place_and_what_would_be_right(number: int, line: str, fault: str) -> None:
    """Promise P3."""
    assert fault in faults_of(with_line(number, line))


@pytest.mark.parametrize("word", ["unit", "budgets"])
def test_statistics_need_a_privacy_unit_and_budgets(word: str) -> None:
    without = "\n".join(line for line in DOCUMENT.splitlines() if not line.startswith(word))

    assert [fault.split(": ", 1)[1] for fault in faults_of(without)] == [
        f"a permit to aggregate needs `{word}` in the document"
    ]


def test_all_faults_of_a_document_are_told_at_once_in_the_order_of_the_text() -> None:
    """Promise P3."""
    text = with_line(12, "  person: {type: txt, personal: basic}")
    text = text.replace("[planning]", "[planing]", 1).replace("rows_max: 2", "rows_max: ~")
    text = text.replace("steward: head", "stewart: head").replace("[born]", "[bron]")

    assert faults_of(text) == [
        "1:1: `steward` is missing",
        "7:1: unknown word `stewart`; did you mean `steward`",
        "10:34: a value is missing; write one or take the name away",
        "12:18: `txt` is not known here; did you mean `text`",
        "25:16: there is no purpose `planing`; did you mean `planning`",
        "50:29: there is no column `bron`; did you mean `born`",
    ]


def test_agreements_are_checked_where_they_are_known() -> None:
    assert faults_of(DOCUMENT, agreements={"AGR-2026-1"}) == [
        "24:44: there is no agreement `AGR-1`; did you mean `AGR-2026-1`"
    ]
    assert load_rules(DOCUMENT.encode(), file="x.yaml", agreements={"AGR-1"})


def test_each_row_may_be_declared_one_person_by_an_owner_who_says_why() -> None:
    unit = "unit: {each_row: true, units_max: 9}"
    text = with_line(10, f"{unit}\nacknowledged: {{each_row: the register has no person twice}}")

    (fault,) = faults_of(with_line(10, unit))
    assert fault == (
        "10:7: each row is taken for one person; change it, or let the owner write "
        "`acknowledged: {each_row: why it is accepted}`"
    )
    rules = load_rules(text.encode(), file="x.yaml")
    assert rules.acknowledged == {Risk.EACH_ROW}
    assert rules.dataset.unit == PrivacyUnit(column=None, rows_max=1, units_max=9)


def test_a_bound_just_below_overflow_loads() -> None:
    line = "  area: {type: decimal, decimals: 2, personal: none, bounds: [-23058430092136.93, 1]}"

    assert load_rules(with_line(14, line).encode(), file="x.yaml").dataset.unit is not None


def test_a_document_without_permits_loads_and_permits_nothing() -> None:
    text = DOCUMENT[: DOCUMENT.index("permits:")]

    assert load_rules(text.encode(), file="x.yaml").permits == ()


def test_the_list_of_faults_ends() -> None:
    assert len(faults_of(DOCUMENT + "".join(f"word{n}: 1\n" for n in range(500)))) == FAULTS_MAX


SYMBOLS = "{}[]:,-'\"|>&*!%@`#?~ \n\t\r\\é\ufeff\u202e"
WORDS = ["no", "null", "<<: ", "- ", "? ", "...\n", "---\n", "!!str ", "0x1", "1e99", ".inf"]
SNIPPETS = st.sampled_from([*SYMBOLS, *WORDS])
EDITS = st.lists(
    st.tuples(st.integers(0, len(DOCUMENT)), st.integers(0, 12), SNIPPETS), min_size=1, max_size=3
)


@given(EDITS)
def test_whatever_is_wrong_is_a_fault_with_a_place(edits: list[tuple[int, int, str]]) -> None:
    """Promise P3."""
    text = DOCUMENT
    for at, removed, inserted in edits:
        text = text[:at] + inserted + text[at + removed :]

    for fault in faults_or_none(text):
        assert fault.line >= 1
        assert fault.column >= 1
        assert fault.message


@given(st.binary(max_size=60))
def test_bytes_that_are_no_document_are_refused_as_one(text: bytes) -> None:
    with pytest.raises(RulesInvalid):
        load_rules(text, file="x.yaml")
