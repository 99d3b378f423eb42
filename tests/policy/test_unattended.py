"""Nobody is there: a saved request runs only where a permit says so, and as long as it says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import a_caller

from gateway.engines.rehearsal import ArrowRehearsal
from gateway.errors import NotPermitted, RulesInvalid, StepUpRequired
from gateway.policy.cases import load_cases
from gateway.policy.decide import Ask, SeenJudgements, decide, require
from gateway.policy.load import load_rules
from gateway.policy.rules import Rules
from gateway.policy.trial import trial
from gateway.terms.caller import Assurance, SavedRun
from gateway.terms.identifiers import PurposeId, RuleId
from gateway.terms.loss import PicoRho
from gateway.terms.permit import Permit, Reason, Refusal
from gateway.terms.query import Action

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
RUN = SavedRun(activation="act-1", number=0, over_at_ms=0, effect="", pico_rho_max=PicoRho(0), vnd_max=0)
EXAMPLE = (Path(__file__).parent / "vectors" / "example.yaml").read_text(encoding="utf-8")
OPTED = EXAMPLE.replace("assurance: {acr: aal2}", "assurance: {acr: aal2, unattended: 30d}")


def rules_of(text: str = OPTED) -> Rules:
    return load_rules(text.encode(), file="example.yaml")


def a_run(age: timedelta = DAY, **changes: Any) -> Ask:
    caller = replace(
        a_caller(),
        org_class="bank",
        purpose=PurposeId("planning"),
        authenticated_at=NOW - age,
        saved=RUN,
        **changes,
    )
    return Ask(caller=caller, action=Action.AGGREGATE, now=NOW)


def test_p3_by_default_nothing_runs_while_nobody_is_there() -> None:
    """Promise P3: not even in the hours in which a person's login would count."""
    for age in (timedelta(), timedelta(hours=1), 20 * DAY):
        assert decide(a_run(age), rules_of(EXAMPLE)) == Refusal(
            reason=Reason.UNATTENDED_NOT_PERMITTED, rules=frozenset({RuleId("numbers")})
        )
    with pytest.raises(NotPermitted) as refused:
        require(a_run(), rules_of(EXAMPLE), SeenJudgements())
    assert refused.value.members() == {"reason": "unattended-not-permitted"}


@pytest.mark.parametrize("age", [timedelta(), DAY, 30 * DAY])
def test_where_a_permit_says_so_an_approval_counts_for_its_days(age: timedelta) -> None:
    assert isinstance(decide(a_run(age), rules_of()), Permit)


@pytest.mark.parametrize("age", [30 * DAY + timedelta(seconds=1), -timedelta(seconds=61)])
def test_an_approval_that_is_too_old_or_of_the_future_is_asked_for_anew(age: timedelta) -> None:
    with pytest.raises(StepUpRequired):
        require(a_run(age), rules_of())


def test_what_a_permit_says_of_such_runs_changes_nothing_for_people() -> None:
    """A login is no older than before, because saved requests may be."""
    attended = a_run(9 * timedelta(hours=1))
    old = replace(attended, caller=replace(attended.caller, saved=None))  # type: ignore[type-var]

    decision = decide(old, rules_of())

    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.ACTIVATION_TOO_OLD


@pytest.mark.parametrize("level", [Assurance.AAL1, Assurance.AAL2])
def test_p6_a_run_never_reaches_a_permit_that_wants_somebody_there(level: Assurance) -> None:
    """Promise P6: also if a document could say so."""
    rules = rules_of()
    strict = replace(rules, permits=tuple(replace(each, assurance=Assurance.AAL3) for each in rules.permits))

    decision = decide(a_run(assurance=level), strict)

    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.ASSURANCE_TOO_LOW


def test_permits_that_match_together_let_run_what_all_of_them_let_run() -> None:
    rules = rules_of()
    numbers = rules.permits[1]
    shorter = replace(numbers, id=RuleId("b"), unattended_s=7 * 86_400)
    none = replace(numbers, id=RuleId("c"), unattended_s=None)

    outcomes = [
        decide(a_run(8 * DAY), replace(rules, permits=permits))
        for permits in ((numbers, shorter), (numbers, none), (numbers, none, shorter))
    ]

    assert [isinstance(each, Refusal) and each.reason for each in outcomes] == [
        Reason.ACTIVATION_TOO_OLD,
        Reason.UNATTENDED_NOT_PERMITTED,
        Reason.UNATTENDED_NOT_PERMITTED,
    ]


FAULTS = {
    "31d": "`30d` at most",
    "720h": "a number of days is wanted",
    "0d": "a number of days is wanted",
    "30": "a number of days is wanted",
    "1.5d": "a number of days is wanted",
    "true": "a number of days is wanted",
}


@pytest.mark.parametrize(("value", "said"), FAULTS.items(), ids=FAULTS)
def test_days_are_written_in_one_way_and_thirty_at_most(value: str, said: str) -> None:
    with pytest.raises(RulesInvalid) as refused:
        rules_of(OPTED.replace("unattended: 30d", f"unattended: {value}"))

    assert [said in fault.message for fault in refused.value.faults] == [True]


@pytest.mark.parametrize("acr", ["aal1", "aal3"])
def test_it_goes_with_a_person_who_need_not_be_there_only(acr: str) -> None:
    with pytest.raises(RulesInvalid) as refused:
        rules_of(OPTED.replace("{acr: aal2, unattended", f"{{acr: {acr}, unattended"))

    assert any("with aal2 only" in fault.message for fault in refused.value.faults)


CASES = """\
tests: 1
of: vn.example.2026
on: 2026-06-01
cases:
  - says: a bank counts every night
    as: {org_class: bank, purpose: planning, acr: aal2, unattended: 30d}
    may: aggregate
    expect: {permit: numbers, columns: {area: keep, age: keep}}
    but:
      - {unattended: 31d, refused: activation-too-old}
      - {acr: aal1, refused: assurance-too-low}
"""


def tried(rules: Rules, cases: str = CASES) -> tuple[list[str], list[str]]:
    loaded, tree = load_cases(cases.encode(), rules, file="cases.yaml")
    found = trial(loaded, tree, rules, ArrowRehearsal())
    said = [str(outcome.fault.message) for outcome in found.outcomes if outcome.fault]
    return said, [words for _, words in found.uncovered if "unattended" in words]


def test_a_case_asks_as_a_run_and_the_clause_must_be_seen_to_decide() -> None:
    late = "      - {unattended: 31d, refused: activation-too-old}\n"

    assert tried(rules_of()) == ([], [])
    untried = "no case fails `numbers` by its `unattended` alone"
    assert tried(rules_of(), CASES.replace(late, "")) == ([], [untried])
    said, _ = tried(rules_of(EXAMPLE))
    assert said[0].endswith("it is refused, unattended-not-permitted by `numbers`")
