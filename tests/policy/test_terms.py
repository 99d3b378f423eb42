"""On which terms answers leave: what a document may say of it, and what comes of it in a judgement."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RulesInvalid
from gateway.policy.load import load_rules
from gateway.policy.meet_terms import meet_terms
from gateway.policy.rules import PermitRule, Rules
from gateway.terms.controlled import FREE, Price, Trigger
from gateway.terms.format import ANYHOW, Delivery, Format
from gateway.terms.identifiers import ColumnName
from gateway.terms.query import Action

SHIPPED = Path(__file__).parents[2] / "policies" / "vn.mae.land-parcels-2026.yaml"
TEXT = SHIPPED.read_text(encoding="utf-8")
RETENTION, TRIGGERS = "retention: {log: 5y}", "  - {may: extract, rows_over: 1000}"
LIMITS = "    limits: {rows: 5000}"


def rules_of(old: str, new: str, **more: Rules) -> Rules:
    assert TEXT.count(old) == 1
    return load_rules(TEXT.replace(old, new).encode(), file="x.yaml", **more)


def faults_of(old: str, new: str, **more: Rules) -> list[str]:
    with pytest.raises(RulesInvalid) as raised:
        rules_of(old, new, **more)
    return [fault.message for fault in raised.value.faults]


def test_what_a_document_says_is_what_its_rules_hold() -> None:
    said = f"{RETENTION}\ninspection: {{rate: '0.05'}}"
    rules = rules_of(RETENTION, said)
    priced = rules_of(
        LIMITS, f"{LIMITS}\n    delivery: {{formats: [csv]}}\n    price: {{per_request: 9000, per_row: 5}}"
    )

    assert (rules.log_months, rules.inspection_ppm) == (60, 50_000)
    assert rules.triggers == (Trigger(action=Action.EXTRACT, rows_over=1000),)
    assert (rules.permits[0].delivery, rules.permits[0].price) == (ANYHOW, FREE)
    assert priced.permits[0].delivery == Delivery(formats=frozenset({Format.CSV}))
    encrypted = rules_of(LIMITS, f"{LIMITS}\n    delivery: {{encrypted: true}}")
    assert encrypted.permits[0].delivery == Delivery(encrypted=True)
    assert priced.permits[0].price == Price(per_request=9000, per_row=5)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (RETENTION, "retention: {log: 5}", "a number of months or years is wanted, for example"),
        (RETENTION, "retention: {log: 0y}", "a number of months or years is wanted, for example"),
        (RETENTION, "retention: {log: 300d}", "a number of months or years is wanted, for example"),
        (RETENTION, "inspection: {rate: 0.05}", 'a share above "0" and up to "1" is wanted'),
        (RETENTION, 'inspection: {rate: "0.0"}', 'a share above "0" and up to "1" is wanted'),
        (RETENTION, 'inspection: {rate: "5"}', 'a share above "0" and up to "1" is wanted'),
        (TRIGGERS, "  - {}", "a trigger says what is controlled: may, column or rows_over"),
        (TRIGGERS, "  - {rows_over: 1000}", "rows are counted of `may: extract` only: write it beside"),
        (TRIGGERS, "  - {column: holder}", "there is no column `holder`; did you mean `holder_id`"),
        (TRIGGERS, "  - {may: extract, rows_over: 0}", "at least 1 is wanted"),
        (LIMITS, f"{LIMITS}\n    price: {{}}", "a price says per_request, per_row or per_key"),
        (LIMITS, f"{LIMITS}\n    price: {{per_request: -1}}", "at least 1 is wanted"),
        (LIMITS, f"{LIMITS}\n    price: {{per_key: 5}}", "only a permit to look up takes keys"),
        (LIMITS, f"{LIMITS}\n    delivery: {{}}", "delivery says formats or encrypted"),
        (LIMITS, f"{LIMITS}\n    delivery: {{formats: []}}", "at least 1 wanted, 0 given"),
        (LIMITS, f"{LIMITS}\n    delivery: {{encrypted: false}}", "`false` is not known here; known"),
        (
            "    limits: {groups: 136,",
            "    price: {per_row: 5}\n    limits: {groups: 136,",
            "a permit to aggregate gives no rows: name `per_request`",
        ),
    ],
)
def test_a_term_that_means_nothing_is_refused(old: str, new: str, fault: str) -> None:
    """Promise P3."""
    assert any(message.startswith(fault) for message in faults_of(old, new)), faults_of(old, new)


@pytest.mark.parametrize("new", ["", "retention: {log: 59mo}", "retention: {log: 4y}"])
def test_a_promise_to_keep_the_log_is_never_made_shorter(new: str) -> None:
    active = rules_of("revision: 1\n", "revision: 7\n")
    later = TEXT.replace("revision: 1\n", "revision: 8\n")

    with pytest.raises(RulesInvalid) as raised:
        load_rules(later.replace(RETENTION, new).encode(), file="x.yaml", after=active)

    assert [fault.message for fault in raised.value.faults] == [
        "60 months of the log were promised: promise no less"
    ]
    longer = later.replace(RETENTION, "retention: {log: 61mo}").encode()
    assert load_rules(longer, file="x.yaml", after=active).log_months == 61


PERMIT = load_rules(TEXT.encode(), file="x.yaml").permits[0]
AMOUNT = st.integers(0, 3)
TERMS = st.builds(
    lambda delivery, price: replace(PERMIT, delivery=delivery, price=price),
    st.builds(Delivery, formats=st.frozensets(st.sampled_from(Format)), encrypted=st.booleans()),
    st.builds(Price, per_request=AMOUNT, per_row=AMOUNT, per_key=AMOUNT),
)


@given(st.lists(TERMS, min_size=1, max_size=4), st.randoms())
def test_p3_terms_meet_at_the_strictest_in_whatever_order(permits: list[PermitRule], random: object) -> None:
    """Promise P3."""
    delivery, price = meet_terms(permits)
    shuffled = permits + permits[:1]
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert meet_terms(shuffled) == (delivery, price)
    assert all(delivery.formats <= each.delivery.formats for each in permits)
    assert delivery.encrypted == any(each.delivery.encrypted for each in permits)
    assert price == Price(
        per_request=max(each.price.per_request for each in permits),
        per_row=max(each.price.per_row for each in permits),
        per_key=max(each.price.per_key for each in permits),
    )


def test_a_column_of_a_trigger_is_the_documents() -> None:
    rules = rules_of(TRIGGERS, "  - {column: area_m2}")

    assert rules.triggers == (Trigger(column=ColumnName("area_m2")),)
