"""Generated mutations of tokens, proofs and assertions: none is accepted, whatever the dice say. Promise P7.

``make test-long`` tries 100,000; CI a share that changes from run to run. joserfc judges the same texts:
what we accept, it accepts; what it takes and we refuse is listed by our own cause.
"""

import json
import warnings
from collections import Counter
from random import Random
from typing import Any

import pytest
from attack_world import World
from credential_mutants import KINDS, broken, resigned
from joserfc import jwt as other
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from gateway import jose
from gateway.errors import NotAuthenticated
from tests.faults.share import chance_of, say

SHARE, ALL = 1_200, {"token": 40_000, "proof": 30_000, "assertion": 30_000}
RESIGNED_SHARE, RESIGNED_ALL = 400, 5_000
STRICTER = {
    # our own bounds and words, which are nobody else's
    *("claims-inconsistent", "assurance-not-earned", "lifetime", "assertion-lifetime", "expired"),
    *("issued-in-the-future", "assertion-in-the-future", "assertion-expired", "issuer", "audience"),
    *("assertion-audience", "assertion-client", "header-not-allowed", "type", "key-unknown", "kid"),
    *("text-not-printable-ascii", "not-an-integer", "integer-too-large", "too-deep"),
    *("proof-htm", "proof-htu", "proof-qd", "proof-time", "proof-nonce", "proof-type", "proof-kid"),
    *("proof-header-not-allowed", "proof-text-not-printable-ascii", "proof-not-an-integer", "proof-key"),
    *("proof-integer-too-large", "proof-key-missing"),
}
"""Why we refuse what joserfc takes; it verifies signatures, and knows nothing of who is asked for what."""


def verdict(world: World, kind: str, text: str) -> str:
    try:
        getattr(world, f"verify_{kind}")(text)
    except NotAuthenticated as refused:
        cause = refused.cause
    else:
        return "accepted"
    assert "unexpected" not in cause, text
    return cause


def joserfc_takes(world: World, kind: str, text: str) -> bool:
    """Return whether another library finds a good signature by the key that the kind of text names."""
    try:
        if kind == "proof":
            header = json.loads(jose.base64url_decoded(text.partition(".")[0]))
            key: Any = ECKey.import_key(header["jwk"])
        else:
            signer = {"token": world.issuer_key, "assertion": world.client_key}[kind].public_key()
            jwk = jose.jwk_of(signer)
            key = OKPKey.import_key(jwk) if jwk["kty"] == "OKP" else ECKey.import_key(jwk)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would rather see RFC 9864's name for EdDSA
            other.decode(text, key, algorithms=["ES256", "EdDSA"])
    except (JoseError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return True


def none_is_accepted(world: World, kind: str, count: int, dice: Random) -> None:
    causes: Counter[str] = Counter()
    for _ in range(count):
        text = broken(kind, world, dice)
        causes[verdict(world, kind, text)] += 1
    say(f"{count:,} mutations of {kind}s: {causes['accepted']} accepted, refused for {len(causes)} causes")

    assert causes["accepted"] == 0
    assert sum(causes.values()) == count
    assert len(causes) >= 10, "many ways of being wrong were tried"


@pytest.mark.parametrize("kind", KINDS)
def test_no_mutation_is_accepted(world: World, kind: str) -> None:
    none_is_accepted(world, kind, SHARE, chance_of(kind))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_none_of_a_hundred_thousand_mutations_is_accepted(world: World, kind: str) -> None:
    assert sum(ALL.values()) == 100_000
    none_is_accepted(world, kind, ALL[kind], chance_of(f"long {kind}"))


def no_judgement_is_laxer(world: World, kind: str, count: int, dice: Random) -> None:
    stricter: Counter[str] = Counter()
    accepted = 0
    for number in range(count):
        change, text = resigned(kind, world, dice) if number % 2 else ("broken", broken(kind, world, dice))
        ours, theirs = verdict(world, kind, text), joserfc_takes(world, kind, text)
        if ours == "accepted":
            accepted += 1
            assert theirs, f"we accept what joserfc refuses: {change}"
        elif theirs:
            stricter[ours] += 1
    say(f"{count:,} {kind}s beside joserfc: {accepted} accepted by both; stricter {dict(stricter)}")

    assert {cause for cause in stricter if "claim-" not in cause} <= STRICTER
    assert accepted > 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_we_accept_joserfc_accepts(world: World, kind: str) -> None:
    no_judgement_is_laxer(world, kind, RESIGNED_SHARE, chance_of(f"joserfc {kind}"))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_what_we_accept_of_many_joserfc_accepts(world: World, kind: str) -> None:
    no_judgement_is_laxer(world, kind, RESIGNED_ALL, chance_of(f"long joserfc {kind}"))
