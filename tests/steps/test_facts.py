"""What an entry says in clear and what it only commits to (promise P9)."""

import pytest
from builders import a_caller, a_permit, a_query, a_rows_plan, a_statistic_plan

from gateway.errors import (
    ChargedFailure,
    Frozen,
    MalformedRequest,
    NotAuthenticated,
    NotPermitted,
    QuestionRefused,
)
from gateway.steps.facts import facts_of, private_of
from gateway.terms.query import Action
from gateway.terms.seen import Seen


def test_the_facts_of_an_answered_statistic() -> None:
    seen = Seen(caller=a_caller(), permit=a_permit(), plan=a_statistic_plan())

    assert facts_of(a_query(), seen) == {
        "org": "bank-a",
        "client": "bank-a.etl",
        "agreement": "AGR-2026-014",
        "purpose": "credit-risk-statistics",
        "acr": "aal2",
        "key": "k" * 43,
        "dataset": "people",
        "revision": 1,
        "rules_sha256": "0" * 64,
        "action": "aggregate",
        "dry_run": False,
        "price_pico_rho": "5000000000",
        "price_pico_delta": "0",
        "groups": 1,
    }


def test_the_facts_of_rows_count_the_treatments() -> None:
    assert facts_of(a_query(), Seen(plan=a_rows_plan())) == {"treatments": {"keep": 1}}


def test_a_refusal_names_its_reason_and_not_its_rules() -> None:
    error = NotPermitted("no", reason="rule-forbids", rules=frozenset({"no-banks"}))

    assert facts_of(a_query(), Seen(error=error)) == {
        "why": "not-permitted",
        "reason": "rule-forbids",
    }
    assert private_of(a_query(), Seen(error=error))["by"] == b"no-banks"


def test_p9_which_rules_decided_and_the_plans_digest_are_committed_to_only() -> None:
    """Promise P9: a caller gets the entry; rule names are the agency's, a bare digest could be guessed."""
    private = private_of(a_query(), Seen(permit=a_permit(), plan=a_statistic_plan()))

    assert (private["by"], private["plan"]) == (b"banks-count", b"1" * 64)


def test_p9_question_address_token_and_operator_are_committed_to_and_not_in_clear() -> None:
    """Promise P9: the clear part of an entry holds no personal data and no client text."""
    query = a_query(peer="203.0.113.9", body=b'{"sql": "SELECT 1"}')
    refused = QuestionRefused("a question has a FROM", about="FROM")
    seen = Seen(caller=a_caller(), error=refused)

    assert private_of(query, seen) == {
        "peer": b"203.0.113.9",
        "question": b'POST /v1/datasets/people/query?\n{"sql": "SELECT 1"}',
        "token": b"t" * 22,
        "operator": b"op-1.bank-a",
        "cause": b"a question has a FROM",
    }
    clear = repr(facts_of(query, seen))
    for private in ("203.0.113.9", "SELECT", "t" * 22, "op-1", "FROM"):
        assert private not in clear


@pytest.mark.parametrize(
    "error",
    [
        MalformedRequest("member `keys` is not known"),
        NotPermitted("no", reason="no-permit"),
        NotAuthenticated(cause="token-expired"),
    ],
)
@pytest.mark.parametrize("action", [Action.AGGREGATE, Action.EXTRACT])
def test_p9_keys_that_are_sent_to_another_path_by_mistake_are_in_no_opening(
    action: Action, error: Exception
) -> None:
    """Promise P9: a firm that may only look up is refused before anybody reads what it sent."""
    query = a_query(
        action=action, body=b'{"keys": [{"key": "001085012345"}]}', query_string="key=001085012345"
    )
    seen = Seen(caller=a_caller(), error=error)

    assert private_of(query, seen)["question"] == b"POST /v1/datasets/people/query\n"
    assert "001085012345" not in repr((private_of(query, seen), facts_of(query, seen)))


def test_p9_a_form_with_a_password_is_not_kept_at_all() -> None:
    """Promise P9: a body that is no question stays out of the openings too."""
    query = a_query(action=None, path="/activate", body=b"operator=op-1&password=hunter2")

    assert private_of(query, Seen())["question"] == b"POST /activate?\n"


@pytest.mark.parametrize(
    ("inner", "cause"),
    [
        (NotAuthenticated(cause="client-frozen"), b"client-frozen"),
        (Frozen("this dataset is stopped"), b"this dataset is stopped"),
        (ValueError("income 4711 of Nguyen"), b"the request failed after it was accepted; a charge stays"),
    ],
)
def test_why_a_request_was_stopped_in_flight_is_sealed_and_no_other_failure_is(
    inner: Exception, cause: bytes
) -> None:
    error = ChargedFailure(7)
    error.__cause__ = inner
    seen = Seen(caller=a_caller(), error=error)

    assert private_of(a_query(), seen)["cause"] == cause
    assert facts_of(a_query(), seen)["why"] == "charged-failure"


def test_an_entry_says_at_which_rate_its_rules_have_replies_inspected_and_nothing_where_they_do_not() -> None:
    said = [
        facts_of(a_query(), Seen(caller=a_caller(), permit=a_permit(inspection_ppm=ppm))).get(
            "inspection_ppm"
        )
        for ppm in (50_000, 0)
    ]

    assert said == [50_000, None]
