"""What permits open together: never one request twice, and some things only with the owner's word."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_domain import requests

from gateway.errors import RulesInvalid
from gateway.policy.decide import Ask, decide
from gateway.policy.load import load_rules
from gateway.policy.risks import between, one_request
from gateway.policy.rules import Audience, PermitRule, Risk, Rules
from gateway.terms.caller import Assurance
from gateway.terms.permit import Permit
from gateway.terms.query import Action
from gateway.terms.treatment import Keep

DOCUMENT = (Path(__file__).parent / "vectors" / "example.yaml").read_text(encoding="utf-8")
EXAMPLE = load_rules(DOCUMENT.encode(), file="x.yaml")


def subsets(*names: str) -> st.SearchStrategy[Any]:
    return st.frozensets(st.sampled_from(names), max_size=2)


def a_permit(audience: Audience, purposes: frozenset[Any], actions: frozenset[Action]) -> PermitRule:
    return replace(
        EXAMPLE.permits[0],
        audience=audience,
        purposes=purposes,
        actions=actions,
        assurance=Assurance.AAL1,
        age_max_s=None,
        columns=tuple((column.name, Keep()) for column in EXAMPLE.dataset.columns),
        functions=EXAMPLE.permits[1].functions,
    )


PERMITS = st.builds(
    a_permit,
    st.builds(
        Audience,
        org_classes=subsets("bank", "relief"),
        agreements=subsets("A-1", "A-2"),
        countries=subsets("VN", "LA"),
    ),
    st.frozensets(st.sampled_from(["p", "q"]), min_size=1),
    st.frozensets(st.sampled_from([Action.EXTRACT, Action.AGGREGATE]), min_size=1),
)


def matched(ask: Ask, permit: PermitRule) -> bool:
    alone: Rules = replace(EXAMPLE, permits=(permit,), forbids=())
    return isinstance(decide(ask, alone), Permit)


@settings(deadline=None)
@given(PERMITS, PERMITS)
def test_p3_permits_overlap_exactly_if_some_request_matches_both(one: PermitRule, other: PermitRule) -> None:
    """Promise P3: found by a formula, and held against every request there can be."""
    both = replace(EXAMPLE, permits=(one, other), forbids=())
    found = any(matched(ask, one) and matched(ask, other) for ask in requests(both))

    assert (one_request(one, other) is not None) == found
    assert one_request(one, other) == one_request(other, one)


TREATED = DOCUMENT.replace(
    "  - id: numbers",
    """\
  - id: again
    to: {org_class: [relief]}
    purposes: [relief]
    may: [extract]
    assurance: {acr: aal2}
    columns: {person: keep, married: keep, born: {generalise: {date: quarter}}}
    limits: {rows: 10}
  - id: numbers""",
).replace("purposes:\n  planning:", "purposes:\n  relief: {vi: Cứu trợ, en: Relief}\n  planning:")
BOTH = DOCUMENT.replace("to: {org_class: [bank]}", "to: {org_class: [relief, bank]}")
EACH_ROW = DOCUMENT.replace("{column: person, rows_max: 2,", "{each_row: true,")


@pytest.mark.parametrize(
    ("text", "risk", "said"),
    [
        (TREATED, Risk.TWO_TREATMENTS, "`person` in two forms, tokenise (`rows`) and keep (`again`)"),
        (BOTH, Risk.ROWS_AND_STATISTICS, "may get rows (`rows`) and statistics (`numbers`)"),
        (EACH_ROW, Risk.EACH_ROW, "each row is taken for one person"),
    ],
)
def test_p3_a_risk_is_refused_until_the_owner_writes_why_it_is_accepted(
    text: str, risk: Risk, said: str
) -> None:
    """Promise P3."""
    with pytest.raises(RulesInvalid) as raised:
        load_rules(text.encode(), file="x.yaml")
    accepted = text.replace("permits:\n", f"acknowledged: {{{risk}: it was weighed}}\npermits:\n", 1)

    (fault,) = raised.value.faults
    assert said in fault.message
    assert f"`acknowledged: {{{risk}: why it is accepted}}`" in fault.message
    assert load_rules(accepted.encode(), file="x.yaml").acknowledged == {risk}


@pytest.mark.parametrize(
    "change",
    [
        ("to: {org_class: [relief, bank]}", "to: {org_class: [bank]}"),
        ("to: {org_class: [relief, bank]}", "to: {org_class: [relief, bank], countries: [KH]}"),
    ],
)
def test_what_two_organisations_get_is_no_risk(change: tuple[str, str]) -> None:
    assert load_rules(BOTH.replace(*change).encode(), file="x.yaml").acknowledged == frozenset()


def test_p3_rows_in_one_document_and_statistics_in_another_are_the_same_risk() -> None:
    """Promise P3: and both owners must have said so."""
    statistics, rows = replace(EXAMPLE, permits=EXAMPLE.permits[1:]), replace(EXAMPLE, permits=())
    permit = replace(EXAMPLE.permits[0], audience=Audience(org_classes=frozenset({"bank"})))
    rows = replace(rows, permits=(permit,))
    both = frozenset({Risk.ROWS_AND_STATISTICS})

    assert [risk for risk, _ in between(rows, statistics)] == [Risk.ROWS_AND_STATISTICS]
    assert [risk for risk, _ in between(replace(rows, acknowledged=both), statistics)] != []
    assert list(between(replace(rows, acknowledged=both), replace(statistics, acknowledged=both))) == []
    assert list(between(EXAMPLE, replace(EXAMPLE, permits=()))) == []
