"""What people will try with client assertions, one line an attack, and what becomes of it.

Numbers are those of the project's attack checklist, items 63 to 69.
"""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import NotAuthenticated
from gateway.identity.assertion import client_named_by

ACCEPTED = "accepted"
World = Any
Attack = tuple[Callable[[World], str], str]


ASSERTIONS: dict[str, Attack] = {
    "a good assertion": (lambda w: w.assertion(), ACCEPTED),
    "type JWT": (lambda w: w.assertion(header={"typ": "JWT"}), ACCEPTED),
    "its own type": (lambda w: w.assertion(header={"typ": "client-authentication+jwt"}), ACCEPTED),
    "any kid": (lambda w: w.assertion(header={"kid": "whatever"}), ACCEPTED),
    "28 a token as assertion": (lambda w: w.token(), "type"),
    "28 a proof as assertion": (lambda w: w.proof(), "header-not-allowed"),
    "28 type empty": (lambda w: w.assertion(header={"typ": ""}), "type"),
    "63 RS256": (lambda w: w.assertion(header={"alg": "RS256"}), "algorithm"),
    "63 HS256": (lambda w: w.assertion(header={"alg": "HS256"}), "algorithm"),
    "64 aud the token endpoint": (lambda w: w.assertion(aud=w.issuer + "/oauth/token"), "assertion-audience"),
    "64 aud a list": (lambda w: w.assertion(aud=[w.issuer]), "assertion-audience"),
    "64 aud missing": (lambda w: w.assertion(aud=None), "assertion-audience"),
    "65 no sub": (lambda w: w.assertion(sub=None), "assertion-client"),
    "65 no iss": (lambda w: w.assertion(iss=None), "assertion-client"),
    "65 another sub": (lambda w: w.assertion(sub="bank-b.etl-1"), "assertion-client"),
    "66 exp 5 min past": (lambda w: w.assertion(iat=w.now_s - 350, exp=w.now_s - 300), "assertion-expired"),
    "66 exp now": (lambda w: w.assertion(iat=w.now_s - 60, exp=w.now_s), "assertion-expired"),
    "66 exp missing": (lambda w: w.assertion(exp=None), "claim-exp"),
    "66 a life of 61 s": (lambda w: w.assertion(exp=w.now_s + 61), "assertion-lifetime"),
    "67 iat in 8 s": (lambda w: w.assertion(iat=w.now_s + 8), ACCEPTED),
    "67 iat in 61 s": (lambda w: w.assertion(iat=w.now_s + 61, exp=w.now_s + 120), "assertion-in-the-future"),
    "67 nbf in 8 s": (lambda w: w.assertion(nbf=w.now_s + 8), ACCEPTED),
    "67 nbf in 11 s": (lambda w: w.assertion(nbf=w.now_s + 11), "assertion-in-the-future"),
    "67 nbf a text": (lambda w: w.assertion(nbf="0"), "claim-nbf"),
    "67 iat missing": (lambda w: w.assertion(iat=None), "claim-iat"),
    "68 jti missing": (lambda w: w.assertion(jti=None), "claim-jti"),
    "68 jti short": (lambda w: w.assertion(jti="a"), "claim-jti"),
    "69 another client's key": (lambda w: w.assertion(key=w.thief_key), "assertion-signature"),
    "69 the proof's key": (lambda w: w.assertion(key=w.proof_key), "assertion-signature"),
}  # fmt: skip


@pytest.mark.parametrize(("attack", "outcome"), ASSERTIONS.values(), ids=ASSERTIONS)
def test_an_assertion_proves_only_this_client_here_and_now(
    world: World, attack: Callable[[World], str], outcome: str
) -> None:
    assert world.outcome(world.verify_assertion, attack(world)) == outcome


def test_client_a_cannot_sign_as_client_b(world: World) -> None:
    as_b = world.assertion(iss="bank-b.etl-1", sub="bank-b.etl-1", key=world.client_key)

    def verify_as_b(text: str) -> object:
        return world.verify_assertion(text, client="bank-b.etl-1", keys=(world.thief_key.public_key(),))

    assert client_named_by(as_b) == "bank-b.etl-1"
    assert world.outcome(verify_as_b, as_b) == "assertion-signature"
    assert world.outcome(verify_as_b, world.assertion()) == "assertion-signature"


def test_a_client_without_keys_proves_nothing(world: World) -> None:
    def verify(text: str) -> object:
        return world.verify_assertion(text, keys=())

    assert world.outcome(verify, world.assertion()) == "assertion-signature"


def test_either_registered_key_signs_and_is_named(world: World) -> None:
    keys = (world.proof_key.public_key(), world.client_key.public_key())

    by_old = world.verify_assertion(world.assertion(), keys=keys)
    by_new = world.verify_assertion(world.assertion(key=world.proof_key), keys=keys)

    assert (by_old.key, by_new.key) == (world.jkt(world.client_key), world.jkt(world.proof_key))


def test_an_assertion_serves_once_whatever_key_signs_it_again(world: World) -> None:
    """Promise P7."""
    keys = (world.proof_key.public_key(), world.client_key.public_key())

    first = world.verify_assertion(world.assertion(), keys=keys)
    again = world.verify_assertion(world.assertion(key=world.proof_key, header={"kid": "x"}), keys=keys)

    assert first.single_use_id == again.single_use_id
    assert first.expires_at_ms > (world.now_s + 60) * 1000


@pytest.mark.parametrize("text", ["", "a.b.c", "\ud800", "x" * 10_000])
def test_what_is_not_an_assertion_names_no_client(text: str) -> None:
    with pytest.raises(NotAuthenticated):
        client_named_by(text)


def test_an_assertion_without_a_subject_names_no_client(world: World) -> None:
    with pytest.raises(NotAuthenticated):
        client_named_by(world.assertion(sub=None))
