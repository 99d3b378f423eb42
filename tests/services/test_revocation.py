"""A token ends before its time: who may end it, that it stays ended, and what others learn of it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.client.keys import ClientKey
from gateway.registry.records import Freezable, Freeze, Revocation, State, freeze_id, revocation_id
from gateway.registry.registry import Registry
from gateway.services.registration import changes_of
from gateway.services.revocation import REMEMBERED
from gateway.terms.entry import EntryKind
from gateway.terms.identifiers import ClientId, OperatorId, OrgId
from gateway.terms.reply import Reply

Town = Any
INACTIVE = {"active": False}


async def token_of(town: Town, **options: str) -> str:
    return str(town.document(await town.credentials(**options))["access_token"])


async def revoke(town: Town, token: str, **fields: str) -> Reply:
    reply = await town.ask("/oauth/revoke", token=token, **fields)
    assert isinstance(reply, Reply)
    return reply


async def introspected(town: Town, token: str, **fields: str) -> dict[str, object]:
    reply = await town.ask("/oauth/introspect", token=token, **fields)
    assert reply.status == 200
    document: dict[str, object] = town.document(reply)
    return document


async def test_a_revoked_token_is_in_the_registry_under_a_hash_and_in_the_log_by_commitment(
    town: Town,
) -> None:
    """Promise P7."""
    issued = await town.credentials()
    claims = town.claims(issued)

    reply = await revoke(town, str(town.document(issued)["access_token"]))

    name = revocation_id(claims.client, claims.token_id)
    record = Revocation(
        id=name,
        client=ClientId("etl-1"),
        revoked_at=town.clock.now(),
        until=claims.expires_at + REMEMBERED,
        state=State.ACTIVE,
    )
    assert (reply.status, reply.body, reply.kind) == (200, b"{}", EntryKind.CONFIG)
    assert reply.changes == changes_of(record)
    assert town.registry.revocations == {name: record}
    assert reply.facts == {
        "event": "revocation",
        "org": "bank-a",
        "client": "etl-1",
        "revoked": True,
        "purpose": "credit-risk",
    }
    assert reply.private == {"question": b"POST /oauth/revoke", "token": claims.token_id.encode()}


async def test_a_token_is_revoked_once_and_ever_after_the_answer_is_the_same(town: Town) -> None:
    token = await token_of(town)
    first, second = await revoke(town, token), await revoke(town, token)

    assert (first.status, first.body) == (second.status, second.body) == (200, b"{}")
    assert (len(first.changes), second.changes) == (1, ())


@pytest.mark.parametrize("token", ["unknown", "a.b.c", "ü", " ", "é" * 1000])
async def test_what_is_no_token_is_answered_as_revoked_and_nothing_is_written(town: Town, token: str) -> None:
    """RFC 7009 section 2.2."""
    reply = await revoke(town, token)

    assert (reply.status, reply.body, reply.changes, reply.kind) == (200, b"{}", (), EntryKind.SINGLE)


async def test_an_expired_token_needs_no_revocation(town: Town) -> None:
    token = await token_of(town)
    town.clock.pass_by(seconds=301)
    town.nonce = None

    assert (await revoke(town, token)).changes == ()


async def test_a_token_of_another_client_is_not_ended_and_shows_nothing(town: Town) -> None:
    """RFC 7009 section 2.1, RFC 7662 section 4."""
    token = await token_of(town)
    for other in ("etl-2", "relief-1"):
        refused = await revoke(town, token, client=other)
        assert (refused.status, town.document(refused)["error"]) == (400, "unauthorized_client")
        assert refused.changes == ()
        assert await introspected(town, token, client=other) == INACTIVE

    assert (await introspected(town, token))["active"] is True


@pytest.mark.parametrize("endpoint", ["/oauth/revoke", "/oauth/introspect"])
async def test_a_token_is_asked_for(town: Town, endpoint: str) -> None:
    reply = await town.ask(endpoint, token_type_hint="access_token")

    assert (reply.status, town.document(reply)["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("endpoint", ["/oauth/revoke", "/oauth/introspect"])
async def test_a_client_proves_itself_as_at_the_token_endpoint(town: Town, endpoint: str) -> None:
    """Promise P7: assertion and proof, each once, and the client's own key."""
    token = await token_of(town)
    used = town.signed(endpoint, {"token": token})
    assert (await town.send(used)).status == 200
    fresh = town.signed(endpoint, {"token": token})
    thief = {**town.keys, "etl-1": ClientKey.create()}

    replayed = await town.send(replace(fresh, proofs=used.proofs))
    repeated = await town.send(replace(used, proofs=fresh.proofs))
    unproved = await town.send(replace(town.signed(endpoint, {"token": token}), proofs=()))
    town.keys = thief
    stolen = await town.send(town.signed(endpoint, {"token": token}))

    assert [town.document(reply)["error"] for reply in (replayed, repeated, unproved, stolen)] == [
        "invalid_dpop_proof",
        "invalid_client",
        "invalid_dpop_proof",
        "invalid_client",
    ]


async def test_introspection_says_what_the_resource_server_would_find(town: Town) -> None:
    issued = await town.credentials()
    claims = town.claims(issued)

    assert await introspected(town, str(town.document(issued)["access_token"])) == {
        "active": True,
        "token_type": "DPoP",
        "iss": claims.issuer,
        "aud": claims.audience,
        "sub": "etl-1",
        "client_id": "etl-1",
        "iat": int(claims.issued_at.timestamp()),
        "exp": int(claims.expires_at.timestamp()),
        "jti": claims.token_id,
        "cnf": {"jkt": town.proof_key.thumbprint},
        "purpose": "credit-risk",
        "acr": "aal1",
        "amr": ["pop", "swk"],
    }


async def test_introspection_tells_of_the_person_behind_a_token(town: Town) -> None:
    device = await town.device()
    await town.approved(device)
    token = str(town.document(await town.poll(device))["access_token"])

    told = await introspected(town, token)

    assert (told["sub"], told["acr"], told["auth_time"]) == (
        "lan",
        "aal2",
        int(town.clock.now().timestamp()),
    )
    town.change(replace(town.registry.operators[OperatorId("lan")], state=State.SUSPENDED))
    assert await introspected(town, token) == INACTIVE


async def test_a_token_is_not_active_once_it_or_its_chain_has_ended(town: Town) -> None:
    token, other = await token_of(town), await token_of(town)
    await revoke(town, token)
    assert await introspected(town, token) == INACTIVE
    assert (await introspected(town, other))["active"] is True

    town.change(replace(town.registry.organisations[OrgId("bank-a")], state=State.SUSPENDED))
    assert await introspected(town, other) == INACTIVE


@pytest.mark.parametrize("what", [Freezable.KEY, Freezable.EVERYTHING])
async def test_a_token_that_no_request_is_answered_with_is_not_active(town: Town, what: Freezable) -> None:
    issued = await town.credentials()
    token = str(town.document(issued)["access_token"])
    before = await introspected(town, token)
    target = town.claims(issued).key if what is Freezable.KEY else ""
    town.change(
        Freeze(
            id=freeze_id(what, target), what=what, target=target, frozen_at=town.clock.now(),
            overseers=(), lifted_by=(), state=State.ACTIVE,
        )
    )  # fmt: skip

    assert (before["active"], await introspected(town, token)) == (True, INACTIVE)


async def test_an_introspection_commits_to_the_token_and_shows_it_nowhere(town: Town) -> None:
    """Promise P9."""
    issued = await town.credentials()
    token = str(town.document(issued)["access_token"])

    reply = await town.ask("/oauth/introspect", token=token)

    assert reply.facts == {
        "event": "introspection",
        "org": "bank-a",
        "client": "etl-1",
        "active": True,
        "purpose": "credit-risk",
    }
    assert reply.private["token"] == town.claims(issued).token_id.encode()
    assert token not in json.dumps([str(reply.facts), str(reply.private)])


async def test_revocations_are_forgotten_when_their_tokens_have_long_expired(town: Town) -> None:
    """The registry in memory holds no more of them than a day and a token's life bring, in whatever order."""
    changes = []
    for _ in range(3):
        town.nonce = None
        changes += (await revoke(town, await token_of(town))).changes
        town.clock.pass_by(seconds=14 * 3600)

    kept = set(town.registry.revocations)
    assert len(kept) == 2
    assert set(Registry.of(changes).revocations) == set(Registry.of(reversed(changes)).revocations) == kept


async def test_a_clock_that_ran_ahead_brings_no_revoked_token_back(town: Town) -> None:
    """Promise P7."""
    first = (await revoke(town, await token_of(town))).changes
    town.nonce = None
    town.clock.pass_by(seconds=23 * 3600)
    second = (await revoke(town, await token_of(town))).changes

    assert set(town.registry.revocations) == {change.id for change in (*first, *second)}


async def test_both_of_a_clients_keys_serve_until_one_is_taken_away(town: Town) -> None:
    """Two keys overlap, so that one is replaced without a gap; a token ends with the key behind it."""
    old, new = town.keys["etl-1"], ClientKey.create()
    by_old = await token_of(town)
    client = town.registry.clients[ClientId("etl-1")]
    frozen = tuple(sorted(new.jwk.items()))

    town.change(replace(client, keys=(*client.keys, frozen)))
    still_by_old = await token_of(town)
    town.keys = {**town.keys, "etl-1": new}
    by_new = await token_of(town)
    tokens = (by_old, still_by_old, by_new)
    assert [(await introspected(town, token))["active"] for token in tokens] == [True, True, True]

    town.change(replace(client, keys=(frozen,)))
    assert [(await introspected(town, token))["active"] for token in tokens] == [False, False, True]
    town.keys = {**town.keys, "etl-1": old}
    refused = await town.credentials()
    assert (refused.status, town.document(refused)["error"]) == (401, "invalid_client")
