"""A draft is closed, typed and silent: it serves nothing, and holds no value of the data."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import MalformedRequest, RulesInvalid
from gateway.policy.cues import Kind, cue_of_name
from gateway.policy.draft import dataset_id, draft, proposals, require_names
from gateway.policy.load import load_rules
from gateway.terms.dataset import ColumnType, Personal, SourceFormat
from gateway.terms.source_facts import ColumnFacts, Shape, SourceFacts

TODAY = date(2026, 11, 22)


def a_column(name: str, kind: ColumnType | None = ColumnType.TEXT, **more: Any) -> ColumnFacts:
    settings = {"decimals": 0, "null_share": 0.0, "misfit_share": 0.0, "shapes": {}, "is_repeated": False}
    return ColumnFacts(name=name, type=kind, **(settings | more))


def some_facts(*columns: ColumnFacts, **more: Any) -> SourceFacts:
    settings = {
        "format": SourceFormat.CSV,
        "delimiter": ",",
        "nulls": ("",),
        "has_mark": False,
        "rows": 9,
        "rows_examined": 9,
    }
    return SourceFacts(columns=columns, **(settings | more))


def drafted(*columns: ColumnFacts, publisher: str = "moh", **more: Any) -> str:
    return draft(
        some_facts(*columns, **more), id="vn.clinic", path="clinic.csv", publisher=publisher, today=TODAY
    )


def filled(text: str) -> str:
    """The least that a steward must write."""
    for gap, value in {
        "    vi:  # fill in\n": "    vi: Bộ\n",
        "    en:  # fill in\n": "    en: Ministry\n",
        "steward:  #": "steward: Head of Office  #",
        "  importance:  #": "  importance: none  #",
        "purposes:  # fill in, for example:\n#   research": "purposes:\n   research",
        "permits:  #": "permits: []  #",
    }.items():
        assert gap in text, gap
        text = text.replace(gap, value)
    return text


def faults_of(text: str) -> list[str]:
    with pytest.raises(RulesInvalid) as refused:
        load_rules(text.encode(), file="d")
    return [fault.message for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cccd", Kind.NUMBER_OF_PERSON), ("Số CCCD", Kind.NUMBER_OF_PERSON),
        ("so_dinh_danh", Kind.NUMBER_OF_PERSON),
        ("SoDinhDanh", Kind.NUMBER_OF_PERSON), ("CMND", Kind.NUMBER_OF_PERSON),
        ("citizen_id", Kind.NUMBER_OF_PERSON),
        ("Họ và tên", Kind.NAME), ("hoTen", Kind.NAME), ("HO_TEN", Kind.NAME), ("full_name", Kind.NAME),
        ("name", Kind.NAME), ("customerName", Kind.NAME), ("họ tên mẹ", Kind.NAME),
        ("SĐT", Kind.PHONE), ("số điện thoại", Kind.PHONE), ("dien_thoai", Kind.PHONE), ("phone2", None),
        ("Phone", Kind.PHONE), ("email", Kind.EMAIL), ("E-mail", Kind.EMAIL),
        ("Địa chỉ", Kind.ADDRESS), ("diachi", Kind.ADDRESS), ("home address", Kind.ADDRESS),
        ("Ngày sinh", Kind.BIRTH), ("ngày_sinh".upper(), Kind.BIRTH), ("dob", Kind.BIRTH),
        ("birth_date", Kind.BIRTH),
        ("bhyt", Kind.INSURANCE), ("Mã BHXH", Kind.INSURANCE), ("mst", Kind.TAX), ("Mã số thuế", Kind.TAX),
        ("stk", Kind.ACCOUNT), ("Số tài khoản", Kind.ACCOUNT), ("account_no", Kind.ACCOUNT),
        ("Biển số", Kind.PLATE), ("plate", Kind.PLATE), ("Hộ chiếu", Kind.DOCUMENT),
        ("passport_no", Kind.DOCUMENT),
        ("Dân tộc", Kind.SENSITIVE), ("race", Kind.SENSITIVE), ("icd10_chapter", Kind.SENSITIVE),
        ("Ghi chú", Kind.TEXT), ("note", Kind.TEXT), ("lat", Kind.LOCATION), ("ip", Kind.DEVICE),
        ("id", Kind.RECORD), ("patient_id", Kind.RECORD), ("age", Kind.AGE), ("Giới tính", Kind.TRAIT),
        ("province_name", None), ("tên tỉnh", None), ("ward_id", None), ("shipping", None), ("village", None),
        ("seats", None), ("income_vnd", Kind.TRAIT),
    ],
)  # fmt: skip
def test_a_name_says_what_it_holds_with_and_without_diacritics(name: str, kind: Kind | None) -> None:
    cue = cue_of_name(name)

    assert (cue.kind if cue else None) == kind


@pytest.mark.parametrize(
    ("column", "kind", "personal", "treatment"),
    [
        (a_column("cccd", ColumnType.INTEGER), ColumnType.TEXT, Personal.BASIC, "tokenise"),
        (a_column("full_name"), ColumnType.TEXT, Personal.BASIC, "redact"),
        (a_column("email"), ColumnType.TEXT, Personal.BASIC, "redact"),
        (
            a_column("phone", ColumnType.INTEGER),
            ColumnType.TEXT,
            Personal.BASIC,
            "{partial: {first: 0, last: 3}}",
        ),
        (a_column("dob", ColumnType.DATE), ColumnType.DATE, Personal.BASIC, "{generalise: {date: year}}"),
        (a_column("dob", ColumnType.TEXT), ColumnType.TEXT, Personal.BASIC, "redact"),
        (
            a_column("nam_sinh", ColumnType.INTEGER),
            ColumnType.INTEGER,
            Personal.BASIC,
            "{generalise: {band: 10}}",
        ),
        (a_column("age", ColumnType.INTEGER), ColumnType.INTEGER, Personal.BASIC, "{generalise: {band: 10}}"),
        (a_column("note"), ColumnType.TEXT, Personal.SENSITIVE, "drop"),
        (a_column("x", shapes={Shape.LONG_TEXT: 0.4}), ColumnType.TEXT, Personal.SENSITIVE, "drop"),
        (a_column("x", shapes={Shape.TWELVE_DIGITS: 0.9}), ColumnType.TEXT, Personal.BASIC, "tokenise"),
        (a_column("x", shapes={Shape.EMAIL: 0.3}), ColumnType.TEXT, Personal.BASIC, "redact"),
        (a_column("race"), ColumnType.TEXT, Personal.SENSITIVE, "drop"),
        (a_column("sex"), ColumnType.TEXT, Personal.BASIC, "drop"),
    ],
)
def test_what_looks_personal_is_not_proposed_to_leave_as_it_is(
    column: ColumnFacts, kind: ColumnType, personal: Personal, treatment: str
) -> None:
    (proposal,) = proposals(some_facts(column))

    assert (proposal.type, proposal.personal, proposal.treatment) == (kind, personal, treatment)


def test_beside_people_a_column_without_a_cue_is_taken_for_personal() -> None:
    of_people = proposals(some_facts(a_column("full_name"), a_column("colour")))
    of_things = proposals(some_facts(a_column("ward_name"), a_column("colour")))

    assert [(p.personal, p.treatment) for p in of_people] == [("basic", "redact"), ("basic", "drop")]
    assert [(p.personal, p.treatment) for p in of_things] == [("none", "keep"), ("none", "keep")]


def test_p3_a_draft_loads_only_when_its_gaps_are_filled() -> None:
    """Promise P3: what is not written does not serve."""
    text = drafted(a_column("full_name"), publisher="")

    assert [message.partition(":")[0] for message in faults_of(text)] == [
        "`publisher.org` is missing",
        "`publisher.name.vi` is missing",
        "`publisher.name.en` is missing",
        "`steward` is missing",
        "`classification.importance` is missing",
        "`purposes` is missing",
        "`permits` is missing",
    ]
    rules = load_rules(filled(drafted(a_column("full_name"))).encode(), file="d")
    assert (rules.permits, rules.dataset.unit, rules.caps) == ((), None, None)


def test_bounds_and_lists_are_gaps_in_comments() -> None:
    text = drafted(a_column("income", ColumnType.INTEGER), a_column("sex"))
    rules = load_rules(filled(text).encode(), file="d")

    assert "    # bounds: [?, ?]  # fill in: public facts, never read off the data" in text
    assert [(column.bounds, column.values) for column in rules.dataset.columns] == [(None, ()), (None, ())]


def test_the_commented_permits_fit_once_they_are_uncommented() -> None:
    columns = (
        a_column("cccd"), a_column("dob", ColumnType.DATE), a_column("phone"),
        a_column("age", ColumnType.INTEGER),
        a_column("Họ tên"), a_column("rate", ColumnType.DECIMAL, decimals=2), a_column("ghi chú"),
    )  # fmt: skip
    text = filled(drafted(*columns)).replace("permits: []  #", "permits:  #")
    head, _, tail = text.partition("permits:")
    live = tail.replace("\n#   ", "\n   ").replace("\n#     ", "\n     ")
    unit = "unit: {column: cccd, rows_max: 1, units_max: 1000}\n"
    head = head.replace("# budgets", "budgets").replace("columns:\n", f"{unit}columns:\n")

    rules = load_rules(f"{head}permits:{live}".encode(), file="d")

    assert [permit.id for permit in rules.permits] == ["research-statistics", "relief-rows"]
    assert len(rules.permits[1].columns) == len(columns)


def test_names_that_rules_cannot_use_get_one_that_they_can() -> None:
    names = ("Họ và tên", "họ_và_tên", "Ho va ten", "2024", "ok", "OK", "%%", 'a"b', "x" * 70, "a\nb")
    facts = some_facts(*(a_column(name) for name in names))
    rules = load_rules(filled(drafted(*facts.columns)).encode(), file="d")

    assert [column.name for column in rules.dataset.columns] == [
        "ho_va_ten", "ho_va_ten_2", "ho_va_ten_3", "c_2024", "ok", "OK_2", "c_", "a_b", "x" * 60, "a_b_2",
    ]  # fmt: skip
    assert [column.source_name for column in rules.dataset.columns] == list(names)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=6, unique=True))
def test_whatever_a_header_says_the_draft_can_be_read(names: list[str]) -> None:
    text = drafted(*(a_column(name) for name in names))

    try:
        rules = load_rules(filled(text).encode("utf-8", "strict"), file="d")
    except UnicodeEncodeError:
        return  # a lone surrogate: no file of ours has one
    assert [column.source_name for column in rules.dataset.columns] == names


def test_what_a_steward_should_know_stands_beside_the_column() -> None:
    text = drafted(
        a_column("pid", is_repeated=True),
        a_column("n", ColumnType.INTEGER, misfit_share=0.05),
        a_column("day", shapes={Shape.DAY_FIRST_DATE: 1.0}),
        a_column("blob", None),
        a_column("void", null_share=1.0),
        nulls=("", "NA", "\\N"),
        delimiter="\t",
    )

    assert "# `pid` repeats: rows_max is the most rows of one person that count" in text
    assert "# unit: {column: pid, rows_max: ?, units_max: ?}" in text
    assert "# mixed: 5.00% of the cells examined are not of type integer and will be NULL" in text
    assert "written YYYY-MM-DD they can be of type date" in text
    assert "# blob is stored as a type that the gateway never reads: left out" in text
    assert "no cell examined has a value: the type is a guess" in text
    assert '  nulls: ["", NA, "\\\\N"]' in text
    assert '  delimiter: "\\t"' in text


@pytest.mark.parametrize(
    ("stem", "name"),
    [("PUMS_pid", "pums-pid"), ("Khảo sát 2026", "khao-sat-2026"), ("%%", "dataset"), ("a" * 80, "a" * 64)],
)
def test_a_dataset_is_named_after_its_file(stem: str, name: str) -> None:
    assert dataset_id(stem) == name


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"id": "Vn.Clinic"}, "`Vn.Clinic`: an id has"),
        ({"id": "../x"}, "`../x`: an id has"),
        ({"path": "khảo sát.csv"}, "a source's path has letters"),
        ({"path": "a*.csv"}, "a source's path has letters"),
        ({"publisher": "Bộ Y tế"}, "a publisher's name has"),
    ],
)
def test_names_that_no_document_holds_are_refused(changed: dict[str, str], message: str) -> None:
    with pytest.raises(MalformedRequest, match=message):
        require_names(**({"id": "vn.clinic", "path": "a.csv", "publisher": ""} | changed))
