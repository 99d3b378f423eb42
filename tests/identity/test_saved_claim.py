"""A token for one saved request serves that request, to its last byte, and claims no more than was proved."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from attack_world import World
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway import jose
from gateway.errors import NotAuthenticated, RequestNotSaved
from gateway.identity.request import check_saved
from gateway.identity.token import SavedClaim, assurance_earned, claims_document
from gateway.terms.caller import Assurance
from gateway.terms.query import Action

WORLD = World()
DIGEST = jose.request_digest("POST", WORLD.path, "", WORLD.body)
SAVED = {"activation": "act-1", "request": DIGEST}
DAY_S = 86_400


def a_token(**change: Any) -> str:
    return WORLD.token(saved=SAVED, auth_time=WORLD.now_s - 20 * DAY_S, **change)


def sent(token: str, **change: Any) -> Callable[[], object]:
    """A request with a right proof for whatever it is."""
    method, path = change.get("method", "POST"), change.get("path", WORLD.path)
    qd = jose.query_digest(change.get("query_string", ""), change.get("body", WORLD.body))
    proof = WORLD.proof(token=token, htm=method, htu=WORLD.origin + path, qd=qd)
    query = WORLD.query(token, proof, **change)

    def verified() -> None:
        check_saved(WORLD.verify_request(query).claims, query)

    return verified


def test_the_saved_request_is_accepted_weeks_later_with_what_was_proved_then() -> None:
    claims = WORLD.verify_token(a_token())

    assert claims.assurance is Assurance.AAL2
    assert claims.saved == SavedClaim(activation="act-1", request=DIGEST)
    assert claims.authenticated_at == WORLD.later(-20 * DAY_S)
    sent(a_token())()


OTHERS: dict[str, dict[str, Any]] = {
    "another body": {"body": b'{"sql":"SELECT COUNT(*) FROM other"}'},
    "a space in the body": {"body": WORLD.body.replace(b":", b": ")},
    "a line's end behind the body": {"body": WORLD.body + b"\n"},
    "a byte order mark": {"body": b"\xef\xbb\xbf" + WORLD.body},
    "no body": {"body": b""},
    "a query string": {"query_string": "of=records"},
    "an empty member of a query string": {"query_string": "&"},
    "the body moved into the query string": {"query_string": WORLD.body.decode(), "body": b""},
    "another path": {"path": "/v1/datasets/vn.nso.household/records", "action": Action.EXTRACT},
    "its price": {"path": "/v1/datasets/vn.nso.household/plan", "dry_run": True},
    "another dataset": {"path": "/v1/datasets/vn.nso.other/query"},
    "the path in other words": {"path": "/v1/datasets/vn.nso.household/./query"},
    "another method": {"method": "PUT"},
    "the method in small letters": {"method": "post"},
    "the budgets": {"method": "GET", "path": "/v1/budgets", "body": b"", "action": None},
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_p7_no_other_request_passes_however_well_it_is_proved(change: dict[str, Any]) -> None:
    """Promise P7."""
    with pytest.raises(RequestNotSaved) as refused:
        sent(a_token(), **change)()

    assert refused.value.detail == "the token is for one saved request, and this is another"


def test_p7_a_thief_without_the_key_does_not_learn_that_a_token_is_for_one_request() -> None:
    """Promise P7."""
    token = a_token()
    query = WORLD.query(token, WORLD.proof(token=token, key=WORLD.thief_key), body=b"{}")

    with pytest.raises(NotAuthenticated) as refused:
        WORLD.verify_request(query)

    assert not isinstance(refused.value, RequestNotSaved)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "aal3": ({"acr": "aal3"}, "assurance-not-earned"),
    "aal1": ({"acr": "aal1"}, "assurance-not-earned"),
    "aal3 with a key in hardware, used now": (
        {"acr": "aal3", "amr": ["hwk", "mfa", "pin", "pop", "swk", "user"], "auth_time": WORLD.now_s},
        "assurance-not-earned",
    ),
    "one kind of factor": ({"amr": ["pop", "pwd", "swk"]}, "assurance-not-earned"),
    "no person": ({"sub": "bank-a.etl-1"}, "claims-inconsistent"),
    "no time": ({"auth_time": None, "sub": "bank-a.etl-1", "acr": "aal1"}, "claims-inconsistent"),
    "a text": ({"saved": DIGEST}, "claim-saved"),
    "nothing": ({"saved": {}}, "claim-saved"),
    "a list": ({"saved": [SAVED]}, "claim-saved"),
    "no request": ({"saved": {"activation": "act-1"}}, "claim-saved"),
    "no activation": ({"saved": {"request": DIGEST}}, "claim-saved"),
    "more": ({"saved": {**SAVED, "and": "x"}}, "claim-saved"),
    "a short digest": ({"saved": {**SAVED, "request": DIGEST[:-1]}}, "claim-request"),
    "a digest that is a number": ({"saved": {**SAVED, "request": 1}}, "claim-request"),
    "an empty activation": ({"saved": {**SAVED, "activation": ""}}, "claim-activation"),
}


@pytest.mark.parametrize(("change", "cause"), BAD.values(), ids=BAD)
def test_p6_a_signed_token_that_claims_otherwise_is_refused(change: dict[str, Any], cause: str) -> None:
    """Promise P6."""
    claims = {"saved": SAVED, "auth_time": WORLD.now_s - 20 * DAY_S} | change

    assert WORLD.outcome(WORLD.verify_token, WORLD.token(**claims)) == cause


def test_p6_without_the_claim_an_old_sign_in_is_worth_nothing() -> None:
    """Promise P6: the claim cannot be left out to gain something either."""
    old = {"auth_time": WORLD.now_s - 20 * DAY_S}

    assert WORLD.outcome(WORLD.verify_token, WORLD.token(**old)) == "assurance-not-earned"


def test_p6_nothing_is_signed_that_would_not_be_believed() -> None:
    """Promise P6."""
    claims = WORLD.verify_token(a_token())

    with pytest.raises(ValueError, match="derived"):
        claims_document(replace(claims, assurance=Assurance.AAL3))
    with pytest.raises(ValueError, match="approved by a person"):
        replace(claims, subject=claims.client, operator=None, authenticated_at=None)


@given(st.sets(st.sampled_from(["pwd", "otp", "hwk", "pin", "fpt", "user", "swk", "mfa", "sms"])))
def test_p6_no_set_of_methods_makes_a_run_without_a_person_the_highest_level(methods: set[str]) -> None:
    """Promise P6."""
    saved = SavedClaim(activation="act-1", request=DIGEST)

    assert assurance_earned(sorted(methods), WORLD.now, WORLD.now, saved) < Assurance.AAL3


PARTS = st.tuples(
    st.sampled_from(["GET", "POST", "POS", "T", ""]),
    st.text(alphabet="/aT?", max_size=4),
    st.text(alphabet="a=?/", max_size=4),
    st.binary(max_size=4),
)


@given(PARTS, PARTS)
def test_two_requests_have_one_name_only_if_they_are_one(one: Any, other: Any) -> None:
    assume(one != other)

    assert jose.request_digest(*one) != jose.request_digest(*other)


def test_what_moves_from_one_part_into_the_next_makes_another_name() -> None:
    splits = [
        ("POST", "/a", "b", b"c"),
        ("POS", "T/a", "b", b"c"),
        ("POST", "/ab", "", b"c"),
        ("POST", "/a", "bc", b""),
        ("POST", "/a", "", b"bc"),
        ("POST", "/a", "", b"\x00bc"),
    ]

    assert len({jose.request_digest(*split) for split in splits}) == len(splits)


def test_a_saved_request_is_no_digest_of_anything_else() -> None:
    assert jose.request_digest("", "", "", b"") != jose.query_digest("", b"")
