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
