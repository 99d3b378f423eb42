"""The attacks on DPoP proofs, each with its outcome, and how long a proof is remembered. Promise P7."""

import hashlib
from collections.abc import Callable

import pytest
from attack_world import World
from attacks_on_proofs import ACCEPTED, PROOFS, b64, curve_point

from gateway import jose
from gateway.errors import ProofNonceRequired, ProofRefused


@pytest.mark.parametrize(("attack", "outcome"), PROOFS.values(), ids=PROOFS)
def test_a_proof_proves_only_this_request(world: World, attack: Callable[[World], str], outcome: str) -> None:
    """Promise P7."""
    assert world.outcome(world.verify_proof, attack(world)) == outcome


def test_a_refused_proof_has_a_type_of_its_own(world: World) -> None:
    with pytest.raises(ProofRefused):
        world.verify_proof(world.proof(htm="GET"))
    with pytest.raises(ProofNonceRequired):
        world.verify_proof(world.proof(nonce=None))


def test_a_missing_nonce_is_told_only_to_who_proved_all_else(world: World) -> None:
    stolen = world.proof(nonce=None, key=world.thief_key, header={"jwk": curve_point(world)})
    for spoiled in (world.proof(nonce=None, iat=0), stolen, "a.b.c"):
        with pytest.raises(ProofRefused):
            world.verify_proof(spoiled)


def test_where_no_nonce_is_required_a_wrong_one_is_still_refused(world: World) -> None:
    def verify(text: str) -> object:
        return world.verify_proof(text, nonce_required=False)

    assert world.outcome(verify, world.proof(nonce=None)) == ACCEPTED
    assert world.outcome(verify, world.proof(nonce="old")) == "proof-nonce"


def test_ath_ties_a_proof_to_one_token(world: World) -> None:
    """Promise P7."""
    token, other = world.token(), world.token(jti="u" * 22)
    digest = b64(hashlib.sha256(token.encode()).digest())

    def verify(text: str) -> object:
        return world.verify_proof(text, access_token=token)

    assert world.outcome(verify, world.proof(token=token)) == ACCEPTED
    assert world.outcome(verify, world.proof()) == "proof-ath"
    assert world.outcome(verify, world.proof(token=other)) == "proof-ath"
    assert world.outcome(verify, world.proof(ath=digest + "=")) == "proof-ath"
    assert world.outcome(verify, world.proof(ath=[digest])) == "proof-ath"


def test_a_proof_is_remembered_under_its_key_and_its_name(world: World) -> None:
    """Promise P7. The same name under another key is another proof, not a replay."""
    first, again = world.verify_proof(world.proof()), world.verify_proof(world.proof(extra="x"))
    renamed = world.verify_proof(world.proof(jti="q" * 22))
    other_key = world.verify_proof(world.proof(key=world.client_key))

    assert first.single_use_id == again.single_use_id
    assert len({first.single_use_id, renamed.single_use_id, other_key.single_use_id}) == 3


@pytest.mark.parametrize("iat_in_s", [-60, 0, 10])
def test_a_proof_is_remembered_for_longer_than_it_is_accepted(world: World, iat_in_s: int) -> None:
    """Promise P7. At the time its id may be forgotten, its age alone refuses it."""
    text = world.proof(iat=world.now_s + iat_in_s)
    forgotten_in_s = world.verify_proof(text).expires_at_ms / 1000 - world.now_s

    def verify_when_forgotten(text: str) -> object:
        return world.verify_proof(text, now=world.later(forgotten_in_s))

    assert world.outcome(verify_when_forgotten, text) == "proof-time"


def test_a_proof_shows_the_required_members_of_its_key_only(world: World) -> None:
    jwk = jose.jwk_of(world.proof_key.public_key())

    proof = world.verify_proof(world.proof(header={"jwk": {**jwk, "kid": "mine", "use": "sig"}}))

    assert (proof.jwk, proof.key) == (jwk, world.jkt(world.proof_key))
