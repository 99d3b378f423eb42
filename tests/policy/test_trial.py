"""Cases beside a document: they come out or say where they do not, and what they leave untried is named."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from gateway.cli.root import gateway
from gateway.engines.rehearsal import ArrowRehearsal
from gateway.errors import RulesInvalid
from gateway.policy.cases import load_cases
from gateway.policy.load import load_rules
from gateway.policy.rules import ANYBODY, PermitRule, Rules
from gateway.policy.trial import Trial, trial
from gateway.terms.caller import Assurance
from gateway.terms.predicate import AllOf

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted((ROOT / "policies").glob("*.yaml"))
PAGE = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
DOCUMENT, CASES = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)[:2]
RULES = load_rules(DOCUMENT.encode(), file="doc.yaml")


def tried(cases: str, rules: Rules = RULES) -> Trial:
    return trial(*load_cases(cases.encode(), rules, file="cases.yaml"), rules, ArrowRehearsal())


def faults_of(cases: str) -> list[str]:
    with pytest.raises(RulesInvalid) as raised:
        tried(cases)
    return [str(fault) for fault in raised.value.faults]


def test_the_example_of_the_documentation_comes_out_and_leaves_nothing_untried() -> None:
    found = tried(CASES)

    assert [outcome.fault for outcome in found.outcomes] == [None] * 8
    assert (found.untested, found.uncovered) == ((), ())


ROWS = "    rows: [{pupil: P-7, grade: 4, born: 2016-02-03}, {grade: 5}]"
GIVES = "    gives: [{grade: 4}]"


@pytest.mark.parametrize(
    ("rows", "gives", "said"),
    [
        (ROWS, "    gives: []", "`gives` has 0 rows; of `rows` there pass: 1"),
        (ROWS, "    gives: [{grade: 4}, {grade: 5}]", "`gives` has 2 rows; of `rows` there pass: 1"),
        (ROWS, "    gives: [{grade: 3}]", "row 1, `grade`: expected 3, it comes out as 4"),
        (ROWS, "    gives: [{}]", "row 1, `grade`: expected nothing, it comes out as 4"),
        (
            ROWS,
            "    gives: [{grade: 4, pupil: P-7}]",
            "row 1, `pupil`: expected P-7, it comes out as nothing",
        ),
        ("    rows: [{pupil: P-7}]", GIVES, "`gives` has 1 rows; of `rows` there pass: none"),
    ],
)
def test_p3_a_case_fails_if_other_rows_pass_or_come_out_otherwise(rows: str, gives: str, said: str) -> None:
    """Promise P3: an unknown value passes no filter, and nothing leaves that the case does not say."""
    written = CASES.replace("   # invented", "").replace(GIVES + " " * 22, GIVES)
    found = tried(written.replace(ROWS, rows).replace(GIVES, gives, 1))

    faults = [outcome.fault.message for outcome in found.outcomes if outcome.fault]
    assert len(faults) == 1
    assert faults[0].endswith(said)


@pytest.mark.parametrize(
    ("rows", "untried"),
    [
        ("[{grade: 4}]", ["stops by this condition alone"]),
        ("[{grade: 5}]", ["lets through"]),
    ],
)
def test_a_filter_is_tried_once_a_row_passes_and_one_is_stopped(rows: str, untried: list[str]) -> None:
    gives = "[{grade: 4}]" if "4" in rows else "[]"
    found = tried(CASES.replace(ROWS, f"    rows: {rows}", 1).replace(GIVES, f"    gives: {gives}", 1))

    assert [said.partition("`planners-count` ")[2] for _, said in found.uncovered] == untried


@pytest.mark.parametrize(
    ("rows", "gives", "said"),
    [
        ("", GIVES, "`rows` and `gives` go together"),
        (ROWS, "", "`rows` and `gives` go together"),
        (ROWS.replace("pupil", "pupill"), GIVES, "there is no column `pupill`; did you mean `pupil`"),
        (ROWS.replace("grade: 4", 'grade: "4"'), GIVES, "is not a whole number"),
        (ROWS.replace("2016-02-03", "2016-02-30"), GIVES, "there is no day `2016-02-30`"),
    ],
)
def test_sample_rows_are_read_as_strictly_as_rules(rows: str, gives: str, said: str) -> None:
    faults = faults_of(CASES.replace(ROWS, rows, 1).replace(GIVES, gives, 1))

    assert any(said in fault for fault in faults), faults


def test_a_pseudonym_cannot_be_written_down_and_a_mask_cannot_be_left_out() -> None:
    file = ROOT / "policies" / "vn.nso.household-2026.yaml"
    rules = load_rules(file.read_bytes(), file=file.name)
    text = (file.parent / "tests" / file.name).read_text(encoding="utf-8")
    written = text.replace(
        '{birth_date: 1990-01-01, province: "01"', '{citizen_id: x, birth_date: 1990-01-01, province: "01"'
    )
    raw = text.replace("birth_date: 1990-01-01", "birth_date: 1990-02-03", 1)

    said = [
        [o.fault.message for o in tried(each, rules).outcomes if o.fault] for each in (text, written, raw)
    ]

    assert said[0] == []
    assert [len(each) for each in said[1:]] == [1, 1]
    assert "a pseudonym cannot be written down" in said[1][0]
    assert said[2][0].endswith("row 1, `birth_date`: expected 1990-02-03, it comes out as 1990-01-01")


LINES = [line for line in CASES.splitlines() if line.strip().startswith("- {")]


@pytest.mark.parametrize("line", LINES)
def test_without_one_of_its_lines_exactly_one_clause_is_untried(line: str) -> None:
    found = tried(CASES.replace(f"{line}\n", ""))

    assert len(found.uncovered) == 1


def test_a_rule_that_no_case_matches_is_named() -> None:
    expected = CASES[CASES.index("permit: planners-count") : CASES.index("    but:")]
    asked = CASES.replace("org_class: planner", "org_class: bank", 1)

    found = tried(asked.replace(expected, "refused: no-rule-permits}\n"))

    assert [said for _, said in found.untested] == ["no case matches `planners-count`"]


def test_a_permit_whose_columns_no_case_states_is_named() -> None:
    found = tried(CASES.replace(" columns: {grade: keep},", ""))

    assert found.uncovered == (
        (("permits", 0, "columns"), "no case states all the columns that `planners-count` gives"),
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("groups: 5", "groups: 6", "8:13: {}: groups: expected 6, it is 5"),
        ("functions: [count]", "functions: [sum]", "8:13: {}: functions: expected sum, it is count"),
        (
            "{grade: keep}",
            "{born: redact, grade: keep}",
            "8:13: {}: column `born`: expected redact, it is absent",
        ),
        (
            "{grade: keep}",
            "{grade: {generalise: {band: 2}}}",
            "8:13: {}: column `grade`: expected generalise 2, it is keep",
        ),
        ("never: [pupil, born]", "never: [grade]", "8:13: {}: column `grade` leaves, keep"),
        (
            "country: SG, refused",
            "country: VN, refused",
            "13:9: {}, but country VN: expected a refusal, no-rule-permits; it is permitted by `planners-count`",  # noqa: E501
        ),
        (
            "acr: aal1, refused: assurance-too-low",
            "acr: aal1, permit: planners-count",
            "16:9: {}, but acr aal1: expected `planners-count`; it is refused, assurance-too-low by `planners-count`",  # noqa: E501
        ),
    ],
)
def test_a_case_that_comes_out_otherwise_is_told_with_its_place(before: str, after: str, said: str) -> None:
    assert before in CASES
    found = tried(CASES.replace(before, after))

    told = [str(outcome.fault) for outcome in found.outcomes if outcome.fault]
    assert told == [f"cases.yaml:{said.format('a planner counts pupils by grade')}"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("never: [pupil, born]", "never: [pupl]", "there is no column `pupl`; did you mean `pupil`"),
        ("permit: planners-count", "permit: planner-count", "there is no permit `planner-count`"),
        ("of: vn.example.schools-2026", "of: vn.other", "these are tests of `vn.other`"),
        ("refused: no-rule-permits}", "refused: no-rule-permit}", "did you mean `no-rule-permits`"),
        ("{org_class: bank, refused", "{org_clas: bank, refused", "unknown word `org_clas`; did you mean"),
        ("{org_class: bank, refused: no-rule-permits}", "{org_class: bank}", "either `permit`"),
        ("{org_class: bank, refused: no-rule-permits}", "{refused: no-rule-permits}", "nothing is changed"),
        ("on: 2026-06-01", "on: 2026-06-31", "there is no day `2026-06-31`"),
        ("may: aggregate", "may: agregate", "did you mean `aggregate`"),
    ],
)
def test_cases_are_read_as_strictly_as_rules(before: str, after: str, said: str) -> None:
    assert before in CASES

    assert any(said in fault for fault in faults_of(CASES.replace(before, after, 1)))


def weakened(rules: Rules) -> Iterator[tuple[str, Rules]]:
    """The rules with one clause less, each in turn."""
    for number, permit in enumerate(rules.permits):
        weaker: dict[str, PermitRule] = {}
        for part in ("org_classes", "agreements", "countries"):
            if getattr(permit.audience, part):
                weaker[part] = replace(permit, audience=replace(permit.audience, **{part: frozenset()}))
        weaker["acr"] = replace(permit, assurance=Assurance.AAL1)
        weaker["max_age"] = replace(permit, age_max_s=None)
        parts = permit.rows.parts if isinstance(permit.rows, AllOf) else ()
        for place in range(len(parts)):
            others = AllOf((*parts[:place], *parts[place + 1 :]))
            weaker[f"condition {place} of its filter"] = replace(permit, rows=others)
        for clause, rule in weaker.items():
            if rule != permit:
                permits = (*rules.permits[:number], rule, *rules.permits[number + 1 :])
                yield f"{permit.id} without {clause}", replace(rules, permits=permits)
    for forbid in rules.forbids:
        if not forbid.columns:
            without = tuple(each for each in rules.forbids if each is not forbid)
            yield f"without {forbid.id}", replace(rules, forbids=without)
            if forbid.audience != ANYBODY:
                wider = replace(forbid, audience=ANYBODY)
                yield f"{forbid.id} for anybody", replace(rules, forbids=(*without, wider))


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.stem)
def test_p3_the_shipped_cases_fail_when_any_clause_is_taken_away(file: Path) -> None:
    """Promise P3: tests that pass whatever the rules say would be no tests."""
    rules = load_rules(file.read_bytes(), file=file.name)
    cases = load_cases((file.parent / "tests" / file.name).read_bytes(), rules, file="cases.yaml")

    unnoticed = [
        clause
        for clause, weaker in weakened(rules)
        if not any(outcome.fault for outcome in trial(*cases, weaker, ArrowRehearsal()).outcomes)
    ]

    assert unnoticed == []


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(gateway, ["policy", *arguments], catch_exceptions=False)
    return result.exit_code, result.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    for place, text in ((tmp_path, DOCUMENT), (tmp_path / "tests", CASES)):
        (place / "vn.example.schools-2026.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_command_tells_how_many_cases_came_out(folder: Path) -> None:
    assert run("test", str(folder)) == (
        0,
        f"{folder}/vn.example.schools-2026.yaml: ok, 8 cases, every clause in both outcomes\n",
    )


def test_the_command_fails_on_a_wrong_case_an_untried_clause_and_missing_cases(folder: Path) -> None:
    cases = folder / "tests" / "vn.example.schools-2026.yaml"
    cases.write_text(CASES.replace("groups: 5", "groups: 6").replace(f"{LINES[1]}\n", ""), encoding="utf-8")
    report = folder / "report.xml"

    code, said = run("test", str(folder), "--junit", str(report))

    assert code == 1
    assert "groups: expected 6, it is 5" in said
    assert (
        "vn.example.schools-2026.yaml:20:43: no case fails `planners-count` by its `countries` alone" in said
    )
    (suite,) = ET.parse(report).getroot()  # noqa: S314  our own file
    assert (suite.get("tests"), suite.get("failures")) == ("8", "2")
    assert [case.get("name") for case in suite if len(case)] == [
        "a planner counts pupils by grade",
        "coverage",
    ]
    cases.unlink()
    assert run("test", str(folder))[0] == 1
    code, said = run("check", str(folder))
    assert (code, "nothing tests these rules" in said) == (0, True)
