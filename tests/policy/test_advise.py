"""Advice names what a document leaves unsaid, where, and what nobody can ask because of it."""

import pytest
from real_data import ADULT_RULES, PUMS_RULES

from gateway.policy.advise import advise


def advice_of(text: str) -> list[tuple[int, str]]:
    return [(advice.line, advice.message) for advice in advise(text.encode(), file="d")]


def changed(old: str, new: str, text: str = PUMS_RULES) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    "text", [ADULT_RULES, PUMS_RULES.replace("{type: boolean,", "{type: boolean, values: [false, true],")]
)
def test_a_finished_document_needs_no_advice_but_on_bounds(text: str) -> None:
    assert [message for _, message in advice_of(text) if "bounds" not in message] == []


def test_a_number_without_bounds_is_named_at_its_line() -> None:
    text = changed(", bounds: [0, 200000]", "")

    wanted = (
        "`income`: a number without bounds can be counted but not summed or averaged; "
        "give bounds from public knowledge"
    )
    assert (17, wanted) in advice_of(text)


def test_a_text_without_a_list_is_named() -> None:
    text = changed(", values: [Female, Male]", "", ADULT_RULES)

    (said,) = (message for _, message in advice_of(text))
    assert said.startswith("`sex`: without a public list of values it can be counted but not grouped by")


def test_what_no_statistic_is_about_needs_no_bounds() -> None:
    text = changed("educ: keep, income: keep, married: keep", "educ: keep")
    text = changed(", bounds: [0, 200000]", "", text)

    assert "`income`" not in " ".join(message for _, message in advice_of(text))


@pytest.mark.parametrize(("section", "word"), [("unit:", "`unit`"), ("budgets:", "`budgets`")])
def test_what_statistics_need_is_named(section: str, word: str) -> None:
    text = "\n".join(line for line in PUMS_RULES.splitlines() if not line.startswith(section))

    assert any(f"without {word} there are no statistics" in message for _, message in advice_of(text))


def test_a_document_that_permits_nothing_is_not_ready() -> None:
    text = PUMS_RULES[: PUMS_RULES.index("permits:")]

    needed = [advice.message for advice in advise(text.encode(), file="d") if advice.is_needed]

    assert needed == ["nobody may do anything: write `permits`"]


def test_each_row_as_a_person_is_doubted_where_a_column_tells_persons_apart() -> None:
    text = changed(
        "unit: {column: pid, rows_max: 1, units_max: 2000}", "unit: {each_row: true, units_max: 2000}"
    )

    (line, message), *_ = advice_of(text)

    assert (line, message.partition(",")[0]) == (10, "each row is declared to be one person")
    assert "`pid` looks like an identification number of a person" in message


def test_an_identifier_that_leaves_as_it_is_is_named() -> None:
    messages = [message for _, message in advice_of(changed("pid: tokenise", "pid: keep"))]

    assert any(
        message.startswith("`pid` looks like an identification number of a person and leaves as it is")
        for message in messages
    )


def test_a_column_called_not_personal_against_its_name_is_named() -> None:
    text = changed("pid: {type: text, meaning: Person, personal: basic}", "pid: {type: text, personal: none}")

    assert any("`pid` is declared not to be personal" in message for _, message in advice_of(text))


@pytest.mark.parametrize("text", ["", "a: [", "- x", "\t"])
def test_what_cannot_be_read_gets_no_advice(text: str) -> None:
    assert advice_of(text) == []


def test_a_document_with_faults_gets_advice_on_the_rest() -> None:
    text = changed("steward: Chief of Population Division", "steward:").replace(", bounds: [0, 120]", "")

    assert any(message.startswith("`age`: a number without bounds") for _, message in advice_of(text))


@pytest.mark.parametrize(
    ("bounds", "doubted"),
    [
        ("[0, 200000]", []),
        ("[1900, 2026]", []),
        ("[0, 196500]", ["196500"]),
        ("[-1.234, 99.5]", ["-1.234"]),
        ("[0.5, 1250000]", []),
        ("[18, 12345]", ["12345"]),
    ],
)
def test_a_bound_that_is_not_round_is_doubted(bounds: str, doubted: list[str]) -> None:
    text = changed("decimals: 2, meaning: Yearly income", "decimals: 3, meaning: Yearly income")
    text = text.replace("bounds: [0, 200000]", f"bounds: {bounds}")

    found = [message for _, message in advice_of(text) if "is not round" in message]

    assert [message.split("`")[1] for message in found] == doubted


@pytest.mark.parametrize(
    ("units", "importance", "said"),
    [
        (9_999, "none", None),
        (10_000, "none", "sensitive data of 10,000 people or more counts as important"),
        (99_999, "important", None),
        (100_000, "important", "sensitive data of 100,000 people or more counts as core"),
        (100_000, "core", None),
    ],
)
def test_a_class_below_what_the_numbers_ask_for_is_doubted(
    units: int, importance: str, said: str | None
) -> None:
    text = changed("units_max: 2000", f"units_max: {units}").replace(
        "importance: none", f"importance: {importance}"
    )

    found = [message for _, message in advice_of(text) if "counts as" in message]

    assert found == ([] if said is None else [f"{said} (Decision 20/2025/QD-TTg)"])


@pytest.mark.parametrize(
    ("forbid", "nothing_left"),
    [
        ("{id: f, may: [extract]}", True),
        ("{id: f, may: [extract], purposes: [research]}", True),
        ("{id: f, to: {org_class: [bank]}, may: [extract]}", True),
        ("{id: f, columns: [pid, age, sex, income]}", True),
        ("{id: f, columns: [pid, age, sex]}", False),
        ("{id: f, may: [proxy]}", False),
        ("{id: f, to: {countries: [VN]}, may: [extract]}", False),
    ],
)
def test_a_permit_of_which_forbids_leave_nothing_is_named(forbid: str, nothing_left: bool) -> None:
    found = [message for _, message in advice_of(f"{PUMS_RULES}  - {forbid}\n")]

    assert ("`research-rows` gives nothing: forbids take all of it" in found) == nothing_left


INTERFACE = """\
policy: 1
source: {url: "https://api.example", format: http, lineage: x}
columns:
  age: {type: integer, personal: basic}
  sex: {type: text, personal: basic}
"""
PATHS = """permits:
  - id: proxy
    to: {org_class: [bank]}
    purposes: [research]
    may: [proxy]
    assurance: {acr: aal2}
    columns: {sex: keep}
    paths: [{path: /people, rows: "", parameters: {sex: {is: equals, column: sex}}}]
    limits: {rows: 100}
"""


def test_an_interface_is_not_asked_for_what_only_statistics_need() -> None:
    assert [message for _, message in advice_of(INTERFACE)] == ["nobody may do anything: write `permits`"]


def test_a_list_of_which_firms_see_the_beginning_only_is_named() -> None:
    first_page = "`/people`: no page, offset or cursor is bound, so firms see the first page only"
    paged = PATHS.replace("{sex: {is", "{p: {is: page, at_most: 9}, sex: {is")

    assert [message for _, message in advice_of(INTERFACE + PATHS)] == [first_page]
    assert advice_of(INTERFACE + paged) == []
