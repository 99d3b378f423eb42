"""What a trusted issuer's token is worth: what is listed, and nothing else. Promises P6 and P7."""

from collections.abc import Callable
from datetime import timedelta
from itertools import chain, combinations
from typing import Any

import pytest
from attack_world import World
from attacks_on_trust import ATTACKS, CLIENT, HERE, NAME, claims_of, token_of, trusting

from gateway.errors import ProofRefused
from gateway.identity.token import AccessClaims, SeenTokens
from gateway.terms.caller import Assurance


def test_what_is_listed_becomes_a_caller_in_the_gateways_own_words(world: World) -> None:
    issued = world.now

    assert claims_of(world, token_of(world)) == AccessClaims(
        issuer=NAME,
        audience=world.audience,
        client=HERE.client,
        subject="lan",
        org=HERE.org,
        purpose=HERE.purpose,
        agreement=HERE.agreement,
        client_key=world.jkt(world.proof_key),
        key=world.jkt(world.proof_key),
        token_id="x" * 22,
        issued_at=issued,
        expires_at=issued + timedelta(seconds=300),
        assurance=Assurance.AAL2,
        methods=("mfa", "otp", "pop", "pwd", "swk"),
        authenticated_at=issued - timedelta(seconds=600),
        operator="lan",  # type: ignore[arg-type]
    )


def test_a_client_of_its_own_acts_without_a_person(world: World) -> None:
    found = claims_of(world, token_of(world, sub=CLIENT, auth_time=None, acr=None))

    assert (found.assurance, found.operator, found.authenticated_at) == (Assurance.AAL1, None, None)
    assert found.subject == found.client == "bank-a.etl-1"


@pytest.mark.parametrize(("attack", "outcome"), ATTACKS.values(), ids=ATTACKS)
def test_a_trusted_issuer_is_believed_in_what_is_listed_only(
    world: World, attack: Callable[[World], str], outcome: str
) -> None:
    """Promise P7."""

    def verify(text: str) -> object:
        return claims_of(world, text)

    assert world.outcome(verify, attack(world)) == outcome


LEVELS: dict[str, tuple[dict[str, Any], Assurance]] = {
    "acr listed": ({"acr": "urn:loa:substantial"}, Assurance.AAL2),
    "acr for one factor": ({"acr": "urn:loa:low"}, Assurance.AAL1),
    "acr not listed": ({"acr": "urn:loa:high"}, Assurance.AAL1),
    "acr in our words": ({"acr": "aal3"}, Assurance.AAL1),
    "nothing said": ({"acr": None}, Assurance.AAL1),
    "mfa alone": ({"acr": None, "amr": ["mfa"]}, Assurance.AAL1),
    "mfa beside a password": ({"acr": None, "amr": ["mfa", "pwd"]}, Assurance.AAL1),
    "mfa beside a low acr": ({"acr": "urn:loa:low", "amr": ["mfa"]}, Assurance.AAL1),
    "amr of two kinds": ({"acr": None, "amr": ["pwd", "otp"]}, Assurance.AAL2),
    "amr of one kind": ({"acr": None, "amr": ["pwd", "pwd"]}, Assurance.AAL1),
    "amr in its own words": ({"acr": None, "amr": ["pwd", "vneid-face"]}, Assurance.AAL2),
    "amr of RFC 8176, not listed": ({"acr": None, "amr": ["hwk", "user", "pin"]}, Assurance.AAL1),
    "acr and amr together": ({"acr": "urn:loa:low", "amr": ["otp"]}, Assurance.AAL2),
    "a sign-in 8 hours old": ({"auth_time": -8 * 3600}, Assurance.AAL2),
    "a sign-in over the window": ({"auth_time": -8 * 3600 - 1}, Assurance.AAL1),
    "a sign-in in the future": ({"auth_time": 1}, Assurance.AAL1),
}  # fmt: skip


@pytest.mark.parametrize(("change", "assurance"), LEVELS.values(), ids=LEVELS)
def test_a_level_is_counted_from_listed_words(
    world: World, change: dict[str, Any], assurance: Assurance
) -> None:
    """Promise P6."""
    if "auth_time" in change:
        change = change | {"auth_time": world.now_s + change["auth_time"]}

    assert claims_of(world, token_of(world, **change)).assurance is assurance


def test_no_set_of_unlisted_words_raises_a_level(world: World) -> None:
    """Promise P6: all subsets of what an issuer could claim."""
    words = ("mfa", "hwk", "user", "sc", "fpt", "pin", "sms", "mca")
    trusted = trusting(world, acr={}, amr={"pwd": ("pwd",)})
    for claimed in chain.from_iterable(combinations(words, size) for size in range(len(words) + 1)):
        token = token_of(world, amr=["pwd", *claimed], acr="urn:loa:high")
        assert world.verify_token(token, trusted=trusted).assurance is Assurance.AAL1


def test_mfa_counts_as_what_the_list_says_it_stands_for(world: World) -> None:
    token = token_of(world, acr=None, amr=["mfa"])

    assert claims_of(world, token, amr={"mfa": ("pwd", "otp")}).assurance is Assurance.AAL2


def test_a_method_nobody_has_heard_of_is_not_listed(world: World) -> None:
    with pytest.raises(ValueError, match="`magic`"):
        trusting(world, acr={"urn:loa:high": ("magic",)})


def test_without_trust_the_same_token_is_nothing(world: World) -> None:
    assert world.outcome(world.verify_token, token_of(world)) == "key-unknown"


def test_our_own_tokens_stay_ours_beside_others(world: World) -> None:
    assert world.verify_token(world.token(), trusted=trusting(world)) == world.verify_token(world.token())


def test_a_key_that_the_issuer_withdrew_ends_its_tokens_also_the_ones_seen(world: World) -> None:
    """Promise P7."""
    seen, token = SeenTokens(), token_of(world)
    assert world.verify_token(token, trusted=trusting(world), seen=seen)
    assert world.verify_token(token, trusted=trusting(world), seen=seen)

    for left in ({}, {"x1": world.issuer_key.public_key()}):

        def verify(text: str, left: Any = left) -> object:
            return world.verify_token(text, trusted=trusting(world, keys=left), seen=seen)

        assert world.outcome(verify, token) in {"key-unknown", "signature"}


def test_an_issuer_no_longer_trusted_ends_with_its_tokens_that_were_seen(world: World) -> None:
    """Promise P7."""
    seen, token = SeenTokens(), token_of(world)
    assert world.verify_token(token, trusted=trusting(world), seen=seen)

    assert world.outcome(lambda text: world.verify_token(text, seen=seen), token) == "key-unknown"


def test_the_proof_is_made_with_the_key_that_the_token_names(world: World) -> None:
    """Promise P7."""
    token = token_of(world)
    trusted = trusting(world)

    assert world.verify_request(world.query(token, world.proof(token=token)), trusted=trusted)
    with pytest.raises(ProofRefused):
        world.verify_request(
            world.query(token, world.proof(token=token, key=world.thief_key)), trusted=trusted
        )
