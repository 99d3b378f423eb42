"""A passkey counts for us, in this page, its user verified, once; and for nothing that looks like it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from soft_key import HARDWARE, IS_COPIED, MAY_BE_COPIED, SYNCED, USER_PRESENT, USER_VERIFIED, SoftKey

from gateway.errors import NotAuthenticated
from gateway.identity.factors import amr_of, assurance_of
from gateway.identity.passkey import (
    RelyingParty,
    challenge_about,
    challenge_stands,
    credential_named_by,
    methods_of,
    page_challenge,
    relying_party,
    user_handle,
    verify_assertion,
    verify_registration,
)
from gateway.terms.caller import Assurance

US = RelyingParty("gateway.example", "https://gateway.example")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECRET = b"a secret of this boot, 32 bytes!"
CHALLENGE = challenge_about("page", "BCDF-GHJK")
KEY = SoftKey()
RIGHT = KEY.signed(CHALLENGE)


def verified(key: SoftKey, response: str, *, count: int = 0, synced: bool = False) -> int:
    return verify_assertion(
        response, party=US, challenge=CHALLENGE, public_key=key.cose, count=count, synced=synced
    )


@pytest.mark.parametrize(
    ("origin", "party"),
    [
        ("https://gateway.example", US),
        ("https://Gateway.Example:443", US),
        ("http://localhost:8080", RelyingParty("localhost", "http://localhost:8080")),
        ("http://127.0.0.1:8080", None),
        ("https://[2001:db8::1]", None),
    ],
)
def test_passkeys_are_for_the_name_in_our_origin_and_an_address_has_none(
    origin: str, party: RelyingParty | None
) -> None:
    assert relying_party(origin) == party


def test_a_right_signature_is_accepted_with_its_count() -> None:
    key = SoftKey()

    assert verified(key, key.signed(CHALLENGE)) == 1
    assert verified(key, key.signed(CHALLENGE, count=9), count=8) == 9


def test_an_authenticator_that_does_not_count_stays_at_zero() -> None:
    key = SoftKey(counts=False)

    assert [verified(key, key.signed(CHALLENGE)) for _ in range(2)] == [0, 0]


@pytest.mark.parametrize(
    "said",
    [
        {"origin": "https://gateway.example.evil"},
        {"origin": "http://gateway.example"},
        {"origin": "https://gateway.example:8443"},
        {"origin": "https://Gateway.example"},
        {"origin": "https://gateway.example/"},
        {"rp_id": "example"},
        {"rp_id": "evil.example"},
        {"challenge": ""},
        {"challenge": "cGFnZQ"},
        {"type": "webauthn.create"},
        {"type": "payment.get"},
        {"crossOrigin": True},
        {"flags": USER_PRESENT},  # UV=0: touched, not verified
        {"flags": USER_VERIFIED},  # nobody was there
        {"flags": 0},
        {"flags": SYNCED},  # was not synced when it was added
        {"flags": HARDWARE | MAY_BE_COPIED},
        {"flags": HARDWARE | IS_COPIED},  # copied, and yet not to be copied
        {"count": 5},  # as last time: a copy of the key is about
        {"count": 4},
        {"count": 0},
        {"key": ec.generate_private_key(ec.SECP256R1())},
    ],
    ids=str,
)
def test_what_is_not_for_us_or_not_verified_is_refused(said: dict[str, Any]) -> None:
    key = SoftKey(count=5)

    with pytest.raises(NotAuthenticated):
        verified(key, key.signed(CHALLENGE, **said), count=5)


@pytest.mark.parametrize(
    "other", [challenge_about("another page", "BCDF-GHJK"), challenge_about("page", "ZZZZ-ZZZZ"), b"page"]
)
def test_a_signature_is_bound_to_its_page_and_to_what_was_typed_there(other: bytes) -> None:
    key = SoftKey()

    with pytest.raises(NotAuthenticated):
        verified(key, key.signed(other))


def test_a_synced_passkey_stays_one() -> None:
    key = SoftKey(flags=SYNCED)
    assert verified(key, key.signed(CHALLENGE), synced=True) == 1

    with pytest.raises(NotAuthenticated):
        verified(key, key.signed(CHALLENGE, flags=HARDWARE), count=1, synced=True)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_mutation_of_a_response_is_accepted_or_fails_otherwise(data: st.DataObject) -> None:
    """Law: one byte changed anywhere in the signed parts, and it counts for nothing."""
    document = json.loads(RIGHT)
    name = data.draw(st.sampled_from(["clientDataJSON", "authenticatorData", "signature"]))
    text = document["response"][name]
    place = data.draw(st.integers(0, len(text) - 2))  # the last letter may hold bits that say nothing
    letter = data.draw(st.sampled_from("ABCxyz012_-").filter(lambda each: each != text[place]))
    document["response"][name] = text[:place] + letter + text[place + 1 :]

    with pytest.raises(NotAuthenticated):
        verified(KEY, json.dumps(document))


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=200),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=20),
                     lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                         st.sampled_from(["id", "rawId", "type", "response", "clientDataJSON"]), inner))
        .map(json.dumps),
    )
)  # fmt: skip
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    for check in (
        lambda: verified(SoftKey(), text),
        lambda: verify_registration(text, party=US, challenge=CHALLENGE),
    ):
        with pytest.raises(NotAuthenticated):
            check()


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "[" * 100_000, '{"rawId": 7}', "x" * 20_000])
def test_a_response_that_names_no_credential_is_refused(text: str) -> None:
    with pytest.raises(NotAuthenticated):
        credential_named_by(text)


def test_a_new_credential_is_taken_as_it_was_made() -> None:
    for flags, synced in ((HARDWARE, False), (SYNCED, True)):
        key = SoftKey(flags=flags)

        found = verify_registration(key.made(CHALLENGE), party=US, challenge=CHALLENGE)

        assert (found.credential, found.public_key, found.count, found.synced) == (
            key.credential,
            key.cose,
            0,
            synced,
        )


@pytest.mark.parametrize(
    "said",
    [
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"type": "webauthn.get"},
        {"challenge": "cGFnZQ"},
        {"crossOrigin": True},
        {"flags": USER_PRESENT},
        {"flags": USER_VERIFIED},
        {"fmt": "packed"},
        {"fmt": "unheard-of"},
    ],
    ids=str,
)
def test_a_credential_made_for_others_or_without_its_user_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticated):
        verify_registration(SoftKey().made(CHALLENGE, **said), party=US, challenge=CHALLENGE)


def test_a_pages_challenge_stands_for_that_page_in_this_boot_for_a_quarter_of_an_hour() -> None:
    given = page_challenge(SECRET, "/activate", NOON, lambda count: b"r" * count)

    assert challenge_stands(SECRET, "/activate", given, NOON + timedelta(seconds=899))
    assert not challenge_stands(SECRET, "/activate", given, NOON + timedelta(seconds=900))
    assert not challenge_stands(SECRET, "/account", given, NOON)
    assert not challenge_stands(b"another boot".ljust(32), "/activate", given, NOON)
    for wrong in ("", "x", given[:-4], given + "AAAA", "A" * len(given), "é"):
        assert not challenge_stands(SECRET, "/activate", wrong, NOON)


def test_a_passkey_proves_what_it_proves() -> None:
    """Promise P6: held and unlocked is two kinds; what may be copied is no hardware key."""
    assert amr_of(methods_of(synced=False)) == ("hwk", "mfa", "pin", "pop", "swk", "user")
    assert assurance_of(methods_of(synced=False), age_s=0) is Assurance.AAL3
    assert assurance_of(methods_of(synced=True), age_s=0) is Assurance.AAL1
    assert assurance_of(("otp", *methods_of(synced=True)), age_s=0) is Assurance.AAL2


def test_an_authenticator_does_not_learn_the_operators_name() -> None:
    assert b"minh" not in user_handle("minh.bank-a")
    assert user_handle("minh.bank-a") != user_handle("minh.bank-b")
