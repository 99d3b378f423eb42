"""Step 1 with the real rooms: a proof serves once, and the chain behind a token is walked each time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import NOON, a_query

from gateway.client import ClientKey
from gateway.errors import NotAuthenticated, ProofRefused
from gateway.identity.factors import amr_of, assurance_at
from gateway.identity.nonce import nonce_at
from gateway.identity.token import AccessClaims, claims_document, subject_of
from gateway.keyring.keyring import Keyring
from gateway.ledger.volatile import Volatile
from gateway.registry.records import (
    Activation,
    Freezable,
    Freeze,
    Operator,
    Revocation,
    State,
    freeze_id,
    revocation_id,
)
from gateway.registry.registry import Registry
from gateway.services.registration import changes_of, new_agreement, new_client, new_organisation
from gateway.steps.authenticate import Authenticate
from gateway.terms.query import Query

ORIGIN = "https://gateway.example"
SECRET = b"s" * 32


class Noon:
    def now(self) -> datetime:
        return NOON

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@dataclass(slots=True)
class World:
    """A firm with an activated client, and the step that judges its requests."""

    step: Authenticate
    registry: list[Registry]
    records: dict[str, Any]
    token: str
    key: ClientKey

    def query(self, body: bytes = b"{}") -> Query:
        path = "/v1/datasets/people/records"
        proof = self.key.proof(
            method="POST",
            url=ORIGIN + path,
            now=NOON,
            nonce=nonce_at(SECRET, NOON),
            access_token=self.token,
            body=body,
        )
        return a_query(path=path, body=body, authorizations=(f"DPoP {self.token}",), proofs=(proof,))

    def change(self, name: str, **members: Any) -> None:
        self.records[name] = replace(self.records[name], **members)
        self.registry[0] = Registry.of(changes_of(*self.records.values()))


@pytest.fixture
def world(tmp_path: Path) -> World:
    keyring = Keyring.create(tmp_path / "keys", log_name="gateway.test/log")
    registered, key = ClientKey.create(), ClientKey.create()
    organisation = new_organisation("bank-a", vi="A", en="A", org_class="bank", country="VN")
    agreement = new_agreement(
        "AGR-2026-001",
        org=organisation,
        purposes=("research",),
        valid_from=date(2026, 1, 1),
        valid_until=date(2027, 1, 1),
    )
    client = new_client("bank-a.etl", agreement=agreement, purposes=("research",), keys=(registered.jwk,))
    operator = Operator(
        id="op-1", org=organisation.id, name="Minh", password_hash="$argon2id$x", totp_sealed=b"x",
        state=State.ACTIVE,
    )  # type: ignore[arg-type]  # fmt: skip
    methods = amr_of(("pwd", "otp"))
    activation = Activation(
        id="act-1",
        client=client.id,
        operator=operator.id,
        purpose=client.purposes[0],
        key=registered.thumbprint,
        methods=methods,
        authenticated_at=NOON - timedelta(minutes=5),
        until=NOON + timedelta(hours=7),
        state=State.ACTIVE,
    )
    claims = AccessClaims(
        issuer=ORIGIN,
        audience=ORIGIN,
        client=client.id,
        subject=subject_of(client.id, operator.id),
        org=organisation.id,
        purpose=client.purposes[0],
        agreement=agreement.id,
        client_key=registered.thumbprint,
        key=key.thumbprint,
        token_id="t" * 22,
        issued_at=NOON - timedelta(seconds=10),
        expires_at=NOON + timedelta(seconds=290),
        assurance=assurance_at(methods, authenticated_at=activation.authenticated_at, at=NOON),
        methods=methods,
        authenticated_at=activation.authenticated_at,
        operator=operator.id,
    )
    records = {
        "organisation": organisation,
        "agreement": agreement,
        "client": client,
        "operator": operator,
        "activation": activation,
    }
    registry = [Registry.of(changes_of(*records.values()))]
    step = Authenticate(
        origin=ORIGIN,
        issuer=ORIGIN,
        audience=ORIGIN,
        keys=keyring.tokens.public_keys,
        trusted={},
        nonce_secret=SECRET,
        volatile=Volatile.create(None),
        registry=lambda: registry[0],
        clock=Noon(),
    )
    return World(step, registry, records, keyring.tokens.sign(claims_document(claims), "at+jwt"), key)


async def test_a_good_request_has_its_caller(world: World) -> None:
    caller = await world.step(world.query())

    assert (caller.org, caller.client, caller.operator, caller.purpose, caller.assurance.acr) == (
        "bank-a",
        "bank-a.etl",
        "op-1",
        "research",
        "aal2",
    )


async def test_p7_a_revoked_token_is_refused_at_the_next_request(world: World) -> None:
    """Promise P7."""
    token_id = (await world.step(world.query())).token_id
    client = world.records["client"].id
    world.records["revocation"] = Revocation(
        id=revocation_id(client, token_id),
        client=client,
        revoked_at=NOON,
        until=NOON + timedelta(minutes=10),
        state=State.ACTIVE,
    )
    world.registry[0] = Registry.of(changes_of(*world.records.values()))

    with pytest.raises(NotAuthenticated) as refused:
        await world.step(world.query())
    assert refused.value.cause == "token-revoked"


async def test_p7_a_frozen_key_proves_nothing(world: World) -> None:
    """Promise P7: the key of the proofs, which no registry knows, can be stopped too."""
    key = (await world.step(world.query())).key
    world.records["freeze"] = Freeze(
        id=freeze_id(Freezable.KEY, key),
        what=Freezable.KEY,
        target=key,
        frozen_at=NOON,
        overseers=(),
        lifted_by=(),
        state=State.ACTIVE,
    )
    world.registry[0] = Registry.of(changes_of(*world.records.values()))

    with pytest.raises(NotAuthenticated) as refused:
        await world.step(world.query())
    assert refused.value.cause == "key-frozen"


async def test_p7_a_proof_serves_once(world: World) -> None:
    """Promise P7: also when it is sent again with nothing changed."""
    query = world.query()
    await world.step(query)

    with pytest.raises(ProofRefused) as refused:
        await world.step(query)
    assert refused.value.cause == "proof used before"


async def test_p7_another_body_needs_another_proof(world: World) -> None:
    """Promise P7: a proof is over this very request."""
    with pytest.raises(ProofRefused):
        await world.step(replace(world.query(), body=b'{"limit": 1000}'))


@pytest.mark.parametrize(
    ("record", "change"),
    [
        ("organisation", {"state": State.SUSPENDED}),
        ("agreement", {"state": State.ENDED}),
        ("agreement", {"valid_until": date(2026, 11, 21)}),
        ("client", {"state": State.SUSPENDED}),
        ("operator", {"state": State.SUSPENDED}),
        ("activation", {"state": State.ENDED}),
        ("activation", {"until": NOON}),
    ],
)
async def test_any_link_of_the_chain_stops_tokens_that_were_given(
    world: World, record: str, change: dict[str, Any]
) -> None:
    world.change(record, **change)

    with pytest.raises(NotAuthenticated):
        await world.step(world.query())


@pytest.mark.parametrize("wrong", ["origin", "issuer", "audience", "nonce_secret"])
async def test_a_gateway_with_another_name_or_boot_takes_nothing(world: World, wrong: str) -> None:
    other: Callable[..., Authenticate] = replace
    step = other(world.step, **{wrong: b"t" * 32 if wrong == "nonce_secret" else "https://other.example"})

    with pytest.raises(NotAuthenticated):
        await step(world.query())


async def test_a_token_of_another_organisation_than_its_clients_is_refused(world: World) -> None:
    """The token names the organisation it was given for; a client that moved takes none along."""
    moved = new_organisation("bank-b", vi="B", en="B", org_class="bank", country="VN")
    world.records["moved"] = moved
    for name in ("agreement", "client", "operator"):
        world.change(name, org=moved.id)

    with pytest.raises(NotAuthenticated) as refused:
        await world.step(world.query())
    assert refused.value.cause == "the client is another organisation's now"
