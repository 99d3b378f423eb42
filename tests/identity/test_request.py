"""One request's credentials as a whole: what is checked, in which order, and what a thief can do with it."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from attack_world import World
from attacks_on_requests import MALFORMED, STOLEN

from gateway import jose
from gateway.errors import MalformedRequest, NotAuthenticated, ProofRefused
from gateway.identity.request import VerifiedRequest
from gateway.terms.query import Query


def test_a_good_request_is_its_token_and_its_proof(world: World) -> None:
    token = world.token()
    proof = world.proof(token=token)

    assert world.verify_request(world.query(token, proof)) == VerifiedRequest(
        claims=world.verify_token(token), proof=world.verify_proof(proof)
    )


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP"])
def test_the_scheme_is_read_in_any_case(world: World, scheme: str) -> None:
    token = world.token()

    assert world.verify_request(world.query(token, authorizations=(f"{scheme} {token}",)))


@pytest.mark.parametrize(("attack", "error", "cause"), STOLEN.values(), ids=STOLEN)
def test_what_a_thief_has_is_of_no_use(
    world: World, attack: Callable[[World], Query], error: type[Exception], cause: str
) -> None:
    """Promise P7. Whoever holds a token, or a proof, or both, holds nothing for another request."""
    with pytest.raises(NotAuthenticated) as refused:
        world.verify_request(attack(world))

    assert (type(refused.value), refused.value.cause) == (error, cause)


@pytest.mark.parametrize("attack", MALFORMED.values(), ids=MALFORMED)
def test_credentials_in_two_places_are_a_malformed_request(
    world: World, attack: Callable[[World], Query]
) -> None:
    with pytest.raises(MalformedRequest):
        world.verify_request(attack(world))


def test_the_token_is_judged_before_the_proof(world: World) -> None:
    """Promise P7. Who has no token of ours learns nothing about proofs, not even a nonce."""
    query = world.query(token=world.token(key=world.thief_key), proof=world.proof(nonce=None))

    with pytest.raises(NotAuthenticated) as refused:
        world.verify_request(query)

    assert (type(refused.value), refused.value.cause) == (NotAuthenticated, "signature")


def test_a_proof_for_a_request_with_nothing_in_it_needs_no_digest(world: World) -> None:
    token = world.token()
    proof = world.proof(token=token, htm="GET", htu=world.origin + "/v1/budgets", qd=None)
    query = world.query(token, proof, method="GET", path="/v1/budgets", action=None, body=b"")

    assert world.verify_request(query).proof.key == world.jkt(world.proof_key)


@pytest.mark.parametrize("something", [{"query_string": "page=2"}, {"body": b"{}"}])
def test_a_proof_for_a_request_with_anything_in_it_covers_it(world: World, something: Any) -> None:
    """Promise P7."""
    token = world.token()
    proof = world.proof(token=token, htu=world.origin + "/v1/budgets", qd=None)
    query = world.query(token, proof, **({"path": "/v1/budgets", "action": None, "body": b""} | something))

    with pytest.raises(ProofRefused) as refused:
        world.verify_request(query)

    assert refused.value.cause == "proof-qd"


@pytest.mark.parametrize("accept", ["*/*", "", "application/json, \udcff", "application/jose"])
def test_a_proof_that_names_a_form_is_for_that_one_and_another_for_any(world: World, accept: str) -> None:
    """Promise P7. The field is as received, whatever bytes are in it."""
    token = world.token()
    assert world.verify_request(world.query(token, world.proof(token=token), accept=accept))
    named = world.proof(token=token, accept="application/jose")
    if accept == "application/jose":
        assert world.verify_request(world.query(token, named, accept=accept))
        return
    with pytest.raises(ProofRefused) as refused:
        world.verify_request(world.query(token, named, accept=accept))
    assert refused.value.cause == "proof-accept"


def test_query_string_and_body_are_told_apart(world: World) -> None:
    """Promise P7. Moving a byte from one to the other changes the digest."""
    token = world.token()
    moved = jose.query_digest("a=b", b"c")
    proof = world.proof(token=token, qd=moved)

    assert world.verify_request(world.query(token, proof, query_string="a=b", body=b"c"))
    with pytest.raises(ProofRefused):
        world.verify_request(world.query(token, proof, query_string="a=bc", body=b""))


def test_the_address_is_the_configured_one_whatever_host_was_asked(world: World) -> None:
    """Promise P7. A query carries no ``Host``; another gateway's proof fails on the origin."""
    query = world.query()

    assert world.verify_request(query, origin="https://gateway.example/")
    with pytest.raises(ProofRefused) as refused:
        world.verify_request(query, origin="https://gateway.other")

    assert refused.value.cause == "proof-htu"


def test_no_refusal_repeats_a_credential(world: World) -> None:
    token = world.token()
    proof = world.proof(token=token)
    for attack, _, _ in STOLEN.values():
        query = attack(world)
        with pytest.raises(NotAuthenticated) as refused:
            world.verify_request(query)
        told = f"{refused.value} {refused.value.cause} {query!r}"
        for secret in (token, proof, *query.authorizations, *query.proofs):
            assert not secret or secret == "DPoP" or secret not in told


def test_the_id_to_use_up_tells_nothing_of_the_proof(world: World) -> None:
    proof = world.verify_proof(world.proof())

    expected = hashlib.sha256(f"dpop|{world.jkt(world.proof_key)}|{'p' * 22}".encode()).digest()
    assert proof.single_use_id == jose.base64url(expected)
