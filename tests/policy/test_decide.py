"""What a judgement promises, whoever asks and in whatever order the rules stand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_domain import A_RUN
from wideness import no_wider

from gateway.policy.decide import JUDGEMENTS_MAX, Ask, SeenJudgements, decide
from gateway.policy.load import load_rules
from gateway.policy.rules import Audience, ForbidRule, PermitRule, Rules
from gateway.terms.caller import Assurance, Caller
from gateway.terms.identifiers import (
    AgreementId,
    ClientId,
    ColumnName,
    OperatorId,
    OrgId,
    PurposeId,
    RuleId,
    Thumbprint,
)
from gateway.terms.loss import Loss, PicoDelta, PicoRho
from gateway.terms.permit import Function, Permit, Reason, Refusal
from gateway.terms.predicate import EVERY_ROW, AllOf, Comparator, Comparison
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
    Treatment,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
EXAMPLE = load_rules((Path(__file__).parent / "vectors" / "example.yaml").read_bytes(), file="example.yaml")
NAME, AGE, BORN = ColumnName("name"), ColumnName("age"), ColumnName("born")


def loss(rho: int) -> Loss:
    return Loss(PicoRho(rho), PicoDelta(0))


def rules_with(*, permits: Any = (), forbids: Any = ()) -> Rules:
    return replace(EXAMPLE, permits=tuple(permits), forbids=tuple(forbids))


def a_permit(**changes: Any) -> PermitRule:
    return replace(
        PermitRule(
            id=RuleId("relief-rows"),
            audience=Audience(org_classes=frozenset({"relief"})),
            purposes=frozenset({PurposeId("flood")}),
            actions=frozenset({Action.EXTRACT}),
            assurance=Assurance.AAL2,
            age_max_s=3600,
            rows=EVERY_ROW,
            columns=((AGE, Keep()), (NAME, Redact())),
            functions=frozenset(),
            rows_max=100,
            groups_max=0,
            loss_max=loss(0),
        ),
        **changes,
    )


def a_statistic_permit(**changes: Any) -> PermitRule:
    return a_permit(
        **{
            "actions": frozenset({Action.AGGREGATE}),
            "columns": ((AGE, Keep()),),
            "functions": frozenset({Function.COUNT, Function.SUM}),
            "groups_max": 50,
            "loss_max": loss(10),
            **changes,
        }
    )


def an_ask(*, action: Action = Action.EXTRACT, now: datetime = NOW, **changes: Any) -> Ask:
    caller = Caller(
        org=OrgId("relief-b"),
        org_class="relief",
        country="VN",
        client=ClientId("relief-b-1"),
        operator=OperatorId("lan"),
        agreement=AgreementId("AGR-1"),
        purpose=PurposeId("flood"),
        assurance=Assurance.AAL2,
        authenticated_at=NOW - timedelta(minutes=5),
        key=Thumbprint("t"),
        token_id="j",
        client_key=Thumbprint("c"),
        activated_by=OperatorId("lan"),
        vouched_for=None,
    )
    return Ask(caller=replace(caller, **changes), action=action, now=now)


def subsets(*members: str) -> st.SearchStrategy[Any]:
    return st.frozensets(st.sampled_from(members), max_size=2)


ANY = [Keep(), Drop(), Redact(), Tokenise("a"), Tokenise("b")]
TREATMENTS: dict[ColumnName, st.SearchStrategy[Treatment]] = {
    NAME: st.sampled_from([*ANY, Partial(0, 2), Partial(1, 0), Prefix(1), Prefix(3)]),
    AGE: st.sampled_from([*ANY, Band(4), Band(6)]),
    BORN: st.sampled_from([*ANY, *map(Precision, DatePrecision)]),
}
AUDIENCES = st.builds(
    Audience,
    org_classes=subsets("relief", "bank"),
    agreements=subsets("AGR-1", "AGR-2"),
    countries=subsets("VN", "LA"),
)
FILTERS = st.builds(
    Comparison,
    st.just(AGE),
    st.sampled_from([Comparator.LESS, Comparator.MORE]),
    st.tuples(st.integers(0, 2)),
)
PERMITS = st.builds(
    a_permit,
    id=st.sampled_from(["p1", "p2", "p3", "p4"]),
    audience=AUDIENCES,
    purposes=st.frozensets(st.sampled_from(["flood", "credit"]), min_size=1),
    actions=st.frozensets(st.sampled_from(Action), min_size=1),
    assurance=st.sampled_from(Assurance),
    age_max_s=st.sampled_from([None, 60, 3600]),
    unattended_s=st.sampled_from([None, 60, 86_400]),
    rows=st.lists(FILTERS, max_size=2).map(lambda filters: AllOf(tuple(filters))),
    columns=st.fixed_dictionaries({}, optional=TREATMENTS).map(lambda named: tuple(named.items())),
    functions=st.frozensets(st.sampled_from(Function), min_size=1),
    rows_max=st.integers(1, 5),
    groups_max=st.integers(1, 5),
    loss_max=st.integers(1, 5).map(loss),
)
FORBIDS = st.builds(
    ForbidRule,
    id=st.sampled_from(["f1", "f2"]),
    audience=AUDIENCES,
    purposes=subsets("flood", "credit"),
    actions=st.frozensets(st.sampled_from(Action), max_size=1),
    columns=subsets(NAME, AGE, BORN),
)
MATCHING = PERMITS.map(
    lambda permit: replace(
        permit,
        audience=Audience(),
        purposes=frozenset({PurposeId("flood")}),
        actions=frozenset(Action),
        columns=(*(named for named in permit.columns if named[0] != AGE), (AGE, Keep())),
    )
)
SOME = st.one_of(MATCHING, PERMITS)
RULES = st.builds(
    rules_with,
    permits=st.lists(SOME, max_size=4),
    forbids=st.lists(FORBIDS, max_size=1),
)
PERMISSIVE = st.builds(rules_with, permits=st.lists(SOME, min_size=2, max_size=3))
ASKS = st.builds(
    an_ask,
    action=st.sampled_from(Action),
    org_class=st.sampled_from(["relief", "bank", ""]),
    country=st.sampled_from(["VN", "LA", ""]),
    agreement=st.sampled_from(["AGR-1", "AGR-2", ""]),
    purpose=st.sampled_from(["flood", "flood", "credit", ""]),
    assurance=st.sampled_from(Assurance),
    authenticated_at=st.sampled_from(
        [None, NOW, NOW - timedelta(seconds=60), NOW - timedelta(hours=2), NOW + timedelta(hours=1)]
    ),
    saved=st.sampled_from([None, A_RUN]),
)
STEP_UPS = {Reason.ASSURANCE_TOO_LOW, Reason.ACTIVATION_TOO_OLD}


def at_full_assurance(ask: Ask) -> Ask:
    return replace(ask, caller=replace(ask.caller, assurance=Assurance.AAL3, authenticated_at=ask.now))


def test_a_permit_tells_all_that_it_is_bound_to() -> None:
    """Promise P3."""
    rows = Comparison(AGE, Comparator.MORE, (7,))

    assert decide(an_ask(), rules_with(permits=[a_permit(rows=rows)])) == Permit(
        rules=frozenset({RuleId("relief-rows")}),
        action=Action.EXTRACT,
        dataset=EXAMPLE.dataset,
        columns=((NAME, Redact()), (AGE, Keep())),
        rows=AllOf((rows,)),
        functions=frozenset(),
        rows_max=100,
        groups_max=0,
        loss_max=loss(0),
        caps=None,
    )


def test_a_permit_to_aggregate_carries_functions_and_budgets_and_no_rows() -> None:
    ask = an_ask(action=Action.AGGREGATE)

    assert decide(ask, rules_with(permits=[a_statistic_permit()])) == Permit(
        rules=frozenset({RuleId("relief-rows")}),
        action=Action.AGGREGATE,
        dataset=EXAMPLE.dataset,
        columns=((AGE, Keep()),),
        rows=EVERY_ROW,
        functions=frozenset({Function.COUNT, Function.SUM}),
        rows_max=0,
        groups_max=50,
        loss_max=loss(10),
        caps=EXAMPLE.caps,
    )


def test_one_forbid_outweighs_every_permit() -> None:
    """Promise P3."""
    forbid = ForbidRule(id=RuleId("frozen-during-audit"), purposes=frozenset({PurposeId("flood")}))

    assert decide(an_ask(), rules_with(permits=[a_permit()], forbids=[forbid])) == Refusal(
        reason=Reason.RULE_FORBIDS, rules=frozenset({forbid.id})
    )


def test_a_forbid_of_a_column_takes_only_the_column_away() -> None:
    forbid = ForbidRule(id=RuleId("no-age"), columns=frozenset({AGE}))

    permit = decide(an_ask(), rules_with(permits=[a_permit()], forbids=[forbid]))

    assert isinstance(permit, Permit)
    assert permit.columns == ((NAME, Redact()),)


def test_a_forbid_that_takes_every_column_refuses_the_request() -> None:
    forbid = ForbidRule(id=RuleId("nothing"), columns=frozenset({AGE, NAME}))

    assert decide(an_ask(), rules_with(permits=[a_permit()], forbids=[forbid])) == Refusal(
        reason=Reason.RULE_FORBIDS, rules=frozenset({forbid.id})
    )


def test_permits_that_have_no_column_in_common_let_nothing_out() -> None:
    permits = [a_permit(id="a", columns=((NAME, Keep()),)), a_permit(id="b", columns=((BORN, Keep()),))]

    assert decide(an_ask(), rules_with(permits=permits)) == Refusal(
        reason=Reason.NO_RULE_PERMITS, rules=frozenset({RuleId("a"), RuleId("b")})
    )


def test_permits_that_have_no_function_in_common_answer_no_statistic() -> None:
    permits = [
        a_statistic_permit(id="a", functions=frozenset({Function.SUM})),
        a_statistic_permit(id="b", functions=frozenset({Function.COUNT})),
    ]

    assert decide(an_ask(action=Action.AGGREGATE), rules_with(permits=permits)) == Refusal(
        reason=Reason.NO_RULE_PERMITS, rules=frozenset({RuleId("a"), RuleId("b")})
    )


@pytest.mark.parametrize("missing", ["org_class", "country", "agreement", "purpose"])
def test_what_is_missing_fails_a_permit_and_fulfils_a_forbid(missing: str) -> None:
    """Promise P3."""
    named = Audience(
        org_classes=frozenset({"relief"}),
        agreements=frozenset({AgreementId("AGR-1")}),
        countries=frozenset({"VN"}),
    )
    permit = a_permit(audience=named)
    forbid = ForbidRule(id=RuleId("f"), audience=named, purposes=frozenset({PurposeId("flood")}))
    open_permit = a_permit(audience=Audience(), purposes=frozenset({PurposeId("flood"), PurposeId("")}))
    ask = an_ask(**{missing: ""})

    assert decide(ask, rules_with(permits=[permit])) == Refusal(
        reason=Reason.NO_RULE_PERMITS, rules=frozenset()
    )
    assert decide(ask, rules_with(permits=[open_permit], forbids=[forbid])) == Refusal(
        reason=Reason.RULE_FORBIDS, rules=frozenset({forbid.id})
    )


@given(ASKS, st.lists(FORBIDS, max_size=3))
def test_nothing_is_permitted_without_a_permit(ask: Ask, forbids: list[ForbidRule]) -> None:
    """Promise P3."""
    assert isinstance(decide(ask, rules_with(forbids=forbids)), Refusal)


@given(ASKS, RULES)
def test_only_rules_that_name_action_and_purpose_permit(ask: Ask, rules: Rules) -> None:
    """Promise P3."""
    decision = decide(ask, rules)

    if isinstance(decision, Permit):
        assert decision.rules
        for each in decision.rules:
            assert any(
                ask.action in rule.actions and ask.caller.purpose in rule.purposes
                for rule in rules.permits
                if rule.id == each
            )


@given(ASKS, RULES, st.randoms(use_true_random=False))
def test_order_and_repetition_of_rules_do_not_matter(ask: Ask, rules: Rules, random: Random) -> None:
    """Promise P3."""
    permits = list(rules.permits + rules.permits[:2])
    forbids = list(rules.forbids + rules.forbids[:1])
    random.shuffle(permits)
    random.shuffle(forbids)

    shuffled = replace(rules, permits=tuple(permits), forbids=tuple(forbids))

    assert decide(ask, shuffled) == decide(ask, rules)


@given(ASKS, RULES, FORBIDS)
def test_another_forbid_never_widens(ask: Ask, rules: Rules, forbid: ForbidRule) -> None:
    """Promise P3."""
    more = replace(rules, forbids=(*rules.forbids, forbid))

    assert no_wider(decide(ask, more), decide(ask, rules))


@given(ASKS, RULES)
def test_a_forbid_that_names_nobody_and_nothing_refuses_everything(ask: Ask, rules: Rules) -> None:
    """Promise P3."""
    everything = ForbidRule(id=RuleId("everything"))

    decision = decide(ask, replace(rules, forbids=(*rules.forbids, everything)))

    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.RULE_FORBIDS
    assert everything.id in decision.rules


@given(ASKS, PERMISSIVE)
def test_permits_that_match_together_are_no_wider_than_each_alone(ask: Ask, rules: Rules) -> None:
    """Promise P3."""
    together = decide(ask, rules)

    for rule in rules.permits:
        alone = decide(ask, rules_with(permits=[rule]))
        does_not_match = isinstance(alone, Refusal) and alone == Refusal(
            reason=Reason.NO_RULE_PERMITS, rules=frozenset()
        )
        assert does_not_match or no_wider(together, alone)


@given(ASKS, RULES)
def test_a_step_up_is_asked_for_only_if_it_would_be_enough(ask: Ask, rules: Rules) -> None:
    """Promise P3."""
    decision = decide(ask, rules)
    at_best = decide(at_full_assurance(ask), rules)

    if isinstance(decision, Refusal) and decision.reason in STEP_UPS:
        assert isinstance(at_best, Permit)
        assert at_best.rules == decision.rules
        assert decision.assurance_needed is not None
    else:
        assert decision == at_best


@given(ASKS, RULES)
def test_a_forbidden_or_dropped_or_unnamed_column_never_leaves(ask: Ask, rules: Rules) -> None:
    """Promise P3."""
    decision = decide(ask, rules)

    if isinstance(decision, Permit):
        matched = [decide(at_full_assurance(ask), rules_with(permits=[rule])) for rule in rules.permits]
        named = [{name for name, _ in each.columns} for each in matched if isinstance(each, Permit)]
        assert {name for name, _ in decision.columns} <= set.intersection(*named)
        assert Drop() not in dict(decision.columns).values()


@given(st.lists(st.tuples(ASKS, st.integers(0, 1)), max_size=12), RULES, RULES)
def test_a_judgement_that_was_made_before_is_the_judgement(
    asked: list[tuple[Ask, int]], one: Rules, other: Rules
) -> None:
    """Both documents have one name, as two revisions have: what one says is nothing to the other."""
    seen = SeenJudgements()
    for ask, which in asked:
        rules = (one, other)[which]
        later = replace(ask, now=ask.now + timedelta(hours=2))
        assert decide(ask, rules, seen) == decide(ask, rules)
        assert decide(later, rules, seen) == decide(later, rules)


def test_no_more_judgements_are_kept_than_said() -> None:
    seen = SeenJudgements()
    for number in range(JUDGEMENTS_MAX + 50):
        decide(an_ask(agreement=AgreementId(f"AGR-{number}")), EXAMPLE, seen)

    assert len(seen._seen) == JUDGEMENTS_MAX
