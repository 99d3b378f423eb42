"""The attacks on access tokens, each with its outcome, and what no text can do. Promise P7."""

from collections.abc import Callable
from typing import Any

import pytest
from attack_world import World
from attacks_on_tokens import ACCEPTED, CLAIMS, JOSE, P384, SHAPES
from cryptography.hazmat.primitives.asymmetric import ed448, rsa

from gateway.errors import NotAuthenticated


@pytest.mark.parametrize(("attack", "outcome"), (JOSE | CLAIMS).values(), ids=JOSE | CLAIMS)
def test_a_token_is_believed_only_if_it_is_exactly_one_of_ours(
    world: World, attack: Callable[[World], str], outcome: str
) -> None:
    """Promise P7, and P6 where `amr` is forged."""
    assert world.outcome(world.verify_token, attack(world)) == outcome


@pytest.mark.parametrize("attack", SHAPES.values(), ids=SHAPES)
def test_what_is_no_token_is_no_proof_and_no_assertion_either(
    world: World, attack: Callable[[World], str]
) -> None:
    text = attack(world)

    assert world.outcome(world.verify_proof, text).startswith("proof-")
    assert world.outcome(world.verify_assertion, text) != ACCEPTED


@pytest.mark.parametrize(
    "key",
    [
        ed448.Ed448PrivateKey.generate().public_key(),
        P384.public_key(),
        rsa.generate_private_key(65537, 2048).public_key(),
        b"secret",
        "secret",
    ],
    ids=["Ed448", "P-384", "RSA", "bytes", "text"],
)
def test_a_key_of_another_kind_verifies_nothing_even_if_it_is_trusted(world: World, key: Any) -> None:
    def verify(text: str) -> object:
        return world.verify_token(text, keys={"k1": key})

    assert world.outcome(verify, world.token()) == "key-kind"


def test_a_trusted_ed25519_key_is_bound_to_its_algorithm(world: World) -> None:
    def verify(text: str) -> object:
        return world.verify_token(text, keys={"k1": world.client_key.public_key()})

    good = world.token(key=world.client_key, header={"alg": "EdDSA"})
    confused = world.token(key=world.client_key, header={"alg": "ES256"})

    assert world.outcome(verify, good) == ACCEPTED
    assert world.outcome(verify, confused) == "algorithm-not-the-keys"


def test_what_goes_wrong_inside_is_a_refusal_and_tells_nothing(world: World) -> None:
    """A net below the parser: here the caller breaks the contract, which no text can do."""
    with pytest.raises(NotAuthenticated) as refused:
        world.verify_token(world.token(), keys=None)

    told = (refused.value.detail, refused.value.cause)
    assert told == ("credentials not accepted", "unexpected-AttributeError")
    assert refused.value.__suppress_context__
