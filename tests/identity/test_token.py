"""Tokens as values: what goes in comes out, and what they are worth falls with time."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import NotAuthenticated
from gateway.identity.caller import caller_of
from gateway.identity.factors import amr_of, assurance_at
from gateway.identity.token import TOKENS_MAX, AccessClaims, SeenTokens, claims_document, subject_of
from gateway.terms.caller import Assurance, Caller

World = Any
NOW = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)


def the_claims(
    *,
    person: tuple[str, ...] = ("pwd", "otp"),
    age_s: int | None = 60,
    life_s: int = 300,
    **change: Any,
) -> AccessClaims:
    signed_in = None if age_s is None else NOW - timedelta(seconds=age_s)
    operator = None if age_s is None else "lan"
    values: dict[str, Any] = {
        "issuer": "https://gateway.example",
        "audience": "https://gateway.example/",
        "client": "bank-a.etl-1",
        "subject": subject_of("bank-a.etl-1", operator),
        "org": "bank-a",
        "purpose": "credit-risk",
        "agreement": "AGR-1",
        "client_key": "A" * 43,
        "key": "A" * 42 + "E",
        "token_id": "t" * 22,
        "issued_at": NOW,
        "expires_at": NOW + timedelta(seconds=life_s),
        "assurance": assurance_at(person, authenticated_at=signed_in, at=NOW),
        "methods": amr_of(person),
        "authenticated_at": signed_in,
        "operator": operator,
    }
    return AccessClaims(**(values | change))


def signed(world: World, claims: AccessClaims) -> str:
    header = {"typ": "at+jwt", "alg": "ES256", "kid": "k1"}
    return world.signed(header, claims_document(claims), world.issuer_key)


PERSON = st.sampled_from([(), ("pwd",), ("pwd", "otp"), ("pwd", "hwk", "user"), ("otp", "sms")])


@given(PERSON, st.none() | st.integers(0, 900), st.integers(1, 900))
def test_what_is_issued_is_what_is_verified(
    world: World, person: tuple[str, ...], age_s: int | None, life_s: int
) -> None:
    claims = the_claims(person=person if age_s is not None else (), age_s=age_s, life_s=life_s)

    assert world.verify_token(signed(world, claims)) == claims


def test_fractions_of_a_second_do_not_break_a_fresh_token(world: World) -> None:
    moment = NOW + timedelta(microseconds=300_000)
    claims = the_claims(age_s=0, issued_at=moment, authenticated_at=NOW + timedelta(microseconds=700_000))

    assert world.verify_token(signed(world, claims), now=moment).assurance is Assurance.AAL2


def test_assurance_is_never_chosen_by_who_issues() -> None:
    """Promise P6."""
    for chosen in set(Assurance) - {Assurance.AAL2}:
        with pytest.raises(ValueError, match="derived"):
            claims_document(the_claims(assurance=chosen))


@pytest.mark.parametrize("life_s", [901, 0, -1])
def test_no_token_is_issued_for_longer_than_fifteen_minutes(life_s: int) -> None:
    with pytest.raises(ValueError, match="at most 900 s"):
        claims_document(the_claims(life_s=life_s))


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "bank-a.etl-1"},
        {"subject": "minh"},
        {"operator": None},
        {"authenticated_at": None},
        {"methods": ("otp", "pwd")},
        {"subject": "bank-a.etl-1", "operator": "bank-a.etl-1"},
    ],
)
def test_claims_that_do_not_fit_each_other_do_not_exist(change: Any) -> None:
    with pytest.raises(ValueError, match=r"subject|person|methods"):
        the_claims(**change)


def test_a_fresh_hardware_key_loses_its_freshness_and_then_its_window(world: World) -> None:
    """Promise P6. What a token is worth is derived when it is used, not when it was issued."""
    fresh = signed(world, the_claims(person=("hwk", "user", "pwd"), age_s=850, life_s=900))
    ending = signed(world, the_claims(age_s=8 * 3600 - 100, life_s=900))

    def worth(token: str, after_s: float) -> Assurance:
        return world.verify_token(token, now=NOW + timedelta(seconds=after_s)).assurance

    assert [worth(fresh, s) for s in (0, 50, 51)] == [Assurance.AAL3, Assurance.AAL3, Assurance.AAL2]
    assert [worth(ending, s) for s in (0, 100, 101)] == [Assurance.AAL2, Assurance.AAL2, Assurance.AAL1]


def test_a_token_seen_before_is_judged_anew_by_time_issuer_audience_and_key(world: World) -> None:
    """Promise P7. What is remembered is that a key signed a text; nothing that can change is."""
    seen = SeenTokens()
    token = signed(world, the_claims(age_s=8 * 3600 - 100, life_s=900))
    first = world.verify_token(token, seen=seen)

    assert world.verify_token(token, seen=seen) == first == world.verify_token(token)
    assert world.verify_token(token, seen=seen, now=NOW + timedelta(seconds=101)).assurance is Assurance.AAL1
    changes: list[dict[str, Any]] = [
        {"now": NOW + timedelta(seconds=900)},
        {"now": NOW - timedelta(seconds=11)},
        {"issuer": "https://other.example"},
        {"audience": "https://other.example"},
        {"keys": {}},
        {"keys": dict.fromkeys(world.keys, world.client_key.public_key())},
    ]
    for change in changes:
        with pytest.raises(NotAuthenticated):
            world.verify_token(token, seen=seen, **change)
    assert len(seen) == 1


def test_only_a_token_that_was_verified_is_remembered(world: World) -> None:
    """Promise P7."""
    seen = SeenTokens()
    token = signed(world, the_claims())
    world.verify_token(token, seen=seen)
    head, body, signature = token.split(".")
    forged = [
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{signed(world, the_claims(person=('pwd',))).split('.')[1]}.{signature}",
        f"{token}=",
        f" {token}",
        token[:-1],
    ]

    for text in forged:
        for _ in range(2):
            with pytest.raises(NotAuthenticated):
                world.verify_token(text, seen=seen)
    assert len(seen) == 1


def test_of_many_tokens_the_longest_unused_is_forgotten(world: World) -> None:
    seen = SeenTokens()
    token = signed(world, the_claims())
    world.verify_token(token, seen=seen)
    kept = seen.get(hashlib.sha256(token.encode()).digest())
    assert kept is not None
    for number in range(TOKENS_MAX):
        seen.put(number.to_bytes(32, "big"), kept)

    assert len(seen) == TOKENS_MAX
    assert seen.get(hashlib.sha256(token.encode()).digest()) is None


def test_another_machines_clock_may_be_a_little_ahead(world: World) -> None:
    token = signed(world, the_claims(age_s=0))

    assert world.verify_token(token, now=NOW - timedelta(seconds=9)).assurance is Assurance.AAL2
    with pytest.raises(NotAuthenticated):
        world.verify_token(token, now=NOW - timedelta(seconds=11))


def test_a_caller_has_class_and_country_from_the_registry() -> None:
    claims = the_claims()

    assert caller_of(claims, org_class="bank", country="VN") == Caller(
        org="bank-a",
        org_class="bank",
        country="VN",
        client="bank-a.etl-1",
        operator="lan",
        agreement="AGR-1",
        purpose="credit-risk",
        assurance=Assurance.AAL2,
        authenticated_at=claims.authenticated_at,
        key="A" * 42 + "E",
        token_id="t" * 22,
        client_key=claims.client_key,
        activated_by="lan",
        vouched_for=None,
    )


def test_a_person_whom_another_issuer_tells_of_has_activated_nothing_here() -> None:
    caller = caller_of(the_claims(), org_class="bank", country="VN", ours=False)

    assert (caller.operator, caller.activated_by, caller.vouched_for) == ("lan", None, "lan")


def test_below_aal2_no_person_counts() -> None:
    """Promise P6."""
    caller = caller_of(replace(the_claims(), assurance=Assurance.AAL1), org_class="bank", country="VN")

    assert (caller.operator, caller.authenticated_at) == (None, None)
