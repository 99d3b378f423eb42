"""The attacks on client assertions, each with its outcome, and whose keys count."""

from collections.abc import Callable

import pytest
from attack_world import World
from attacks_on_assertions import ASSERTIONS

from gateway.errors import NotAuthenticated
from gateway.identity.assertion import client_named_by


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
