"""When rules are in force, what an activation must be, and what the caller is told otherwise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import NotPermitted, StepUpRequired
from gateway.policy.decide import Ask, decide, require
from gateway.policy.load import load_rules
from gateway.policy.rules import ForbidRule
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
from gateway.terms.permit import Permit, Reason, Refusal
from gateway.terms.predicate import AllOf, Comparator, Comparison
from gateway.terms.query import Action
from gateway.terms.treatment import Band, Keep

RULES = load_rules((Path(__file__).parent / "vectors" / "example.yaml").read_bytes(), file="example.yaml")
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
AGE = ColumnName("age")
NUMBERS = frozenset({RuleId("numbers")})


def an_ask(
    *,
    assurance: Assurance = Assurance.AAL2,
    age_s: int | None = 60,
    now: datetime = NOW,
    org_class: str = "bank",
) -> Ask:
    caller = Caller(
        org=OrgId("bank-a"),
        org_class=org_class,
        country="VN",
        client=ClientId("bank-a-1"),
        operator=OperatorId("lan"),
        agreement=AgreementId("AGR-1"),
        purpose=PurposeId("planning"),
        assurance=assurance,
        authenticated_at=None if age_s is None else now - timedelta(seconds=age_s),
        key=Thumbprint("t"),
        token_id="j",
        client_key=Thumbprint("c"),
        activated_by=OperatorId("lan"),
        vouched_for=None,
    )
    return Ask(caller=caller, action=Action.AGGREGATE, now=now)


@pytest.mark.parametrize(
    ("moment", "in_force"),
    [
        (datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 1, 1, tzinfo=UTC), True),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), True),
        (datetime(2027, 1, 1, tzinfo=UTC), False),
    ],
)
def test_rules_count_from_their_first_day_to_their_last(moment: datetime, in_force: bool) -> None:
    """Promise P3."""
    decision = decide(an_ask(now=moment), RULES)

    assert isinstance(decision, Permit) is in_force
    assert in_force or decision == Refusal(reason=Reason.DOCUMENT_NOT_VALID_NOW, rules=frozenset())


@pytest.mark.parametrize(
    ("assurance", "age_s"),
    [
        (Assurance.AAL2, 0),
        (Assurance.AAL2, 8 * 3600),
        (Assurance.AAL2, -60),
        (Assurance.AAL3, 10),
    ],
)
def test_an_activation_strong_and_fresh_enough_is_enough(assurance: Assurance, age_s: int) -> None:
    assert isinstance(decide(an_ask(assurance=assurance, age_s=age_s), RULES), Permit)


@pytest.mark.parametrize(
    ("assurance", "age_s", "reason"),
    [
        (Assurance.AAL1, None, Reason.ASSURANCE_TOO_LOW),
        (Assurance.AAL1, 0, Reason.ASSURANCE_TOO_LOW),
        (Assurance.AAL2, 8 * 3600 + 1, Reason.ACTIVATION_TOO_OLD),
        (Assurance.AAL2, None, Reason.ACTIVATION_TOO_OLD),
        (Assurance.AAL2, -61, Reason.ACTIVATION_TOO_OLD),
        (Assurance.AAL3, 8 * 3600 + 1, Reason.ACTIVATION_TOO_OLD),
    ],
)
def test_an_activation_too_weak_or_too_old_is_told_what_would_help(
    assurance: Assurance, age_s: int | None, reason: Reason
) -> None:
    assert decide(an_ask(assurance=assurance, age_s=age_s), RULES) == Refusal(
        reason=reason, rules=NUMBERS, assurance_needed=Assurance.AAL2, age_max_s=8 * 3600
    )


def test_permits_that_match_together_meet_at_the_strictest_of_everything() -> None:
    """Promise P3."""
    loose = replace(
        RULES.permits[1],
        id=RuleId("loose"),
        actions=frozenset(Action),
        age_max_s=7200,
        columns=((AGE, Keep()),),
        rows_max=9,
        groups_max=9,
        loss_max=Loss(PicoRho(9), PicoDelta(0)),
    )
    strict = replace(
        loose,
        id=RuleId("strict"),
        assurance=Assurance.AAL3,
        age_max_s=60,
        rows=Comparison(AGE, Comparator.MORE, (7,)),
        columns=((AGE, Band(5)), (ColumnName("name"), Keep())),
        rows_max=2,
        groups_max=3,
        loss_max=Loss(PicoRho(4), PicoDelta(0)),
    )
    both = replace(RULES, permits=(loose, strict), forbids=())
    rows = replace(an_ask(assurance=Assurance.AAL3), action=Action.EXTRACT)

    assert decide(an_ask(assurance=Assurance.AAL3, age_s=61), both) == Refusal(
        reason=Reason.ACTIVATION_TOO_OLD,
        rules=frozenset({loose.id, strict.id}),
        assurance_needed=Assurance.AAL3,
        age_max_s=60,
    )
    assert decide(rows, both) == Permit(
        rules=frozenset({loose.id, strict.id}),
        action=Action.EXTRACT,
        dataset=RULES.dataset,
        columns=((AGE, Band(5)),),
        rows=AllOf((Comparison(AGE, Comparator.MORE, (7,)),)),
        functions=frozenset(),
        rows_max=2,
        groups_max=0,
        loss_max=Loss(PicoRho(0), PicoDelta(0)),
        caps=None,
    )
    statistic = require(replace(rows, action=Action.AGGREGATE), both)
    assert (statistic.rows_max, statistic.groups_max, statistic.loss_max) == (0, 3, strict.loss_max)


def test_require_returns_the_permit() -> None:
    assert require(an_ask(), RULES) == decide(an_ask(), RULES)


def test_require_raises_what_would_help() -> None:
    with pytest.raises(StepUpRequired) as raised:
        require(an_ask(assurance=Assurance.AAL1), RULES)

    assert raised.value.members() == {"required": {"acr": ["aal2"], "max_age": 28800}}


def test_require_raises_the_reason_and_keeps_the_rules_for_the_ledger() -> None:
    frozen = replace(RULES, forbids=(ForbidRule(id=RuleId("frozen"), actions=frozenset({Action.AGGREGATE})),))

    with pytest.raises(NotPermitted) as raised:
        require(an_ask(), frozen)

    assert raised.value.members() == {"reason": "rule-forbids"}
    assert raised.value.rules == frozenset({"frozen"})
    assert "frozen" not in raised.value.detail


def test_a_stranger_is_refused_and_not_asked_to_step_up() -> None:
    with pytest.raises(NotPermitted) as raised:
        require(an_ask(org_class="florist", assurance=Assurance.AAL1), RULES)

    assert raised.value.members() == {"reason": "no-rule-permits"}
