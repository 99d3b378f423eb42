"""A small town to enrol in: two firms, a client each, an operator each, all rooms real."""

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest

from gateway.client.keys import ClientKey
from gateway.identity.token import AccessClaims, verify_token
from gateway.identity.totp import code_at, step_at
from gateway.keyring.keyring import Keyring
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.volatile import Volatile
from gateway.policy.rules import Rules
from gateway.registry.registry import Registry
from gateway.services import account, activation, enrolment, introspection, joining, revocation
from gateway.services.ports import EnrolmentPorts
from gateway.services.registration import (
    changes_of,
    new_agreement,
    new_client,
    new_operator,
    new_organisation,
)
from gateway.terms.identifiers import DatasetId, RequestId
from gateway.terms.query import Query
from gateway.terms.reply import Reply
from gateway.web.pages.render import render
from gateway.web.routes import routed

ORIGIN = "https://gateway.example"
NOON = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)
PASSWORD = "mười hai con giáp"
TOTP_SECRET = bytes(range(20))
FORM = "application/x-www-form-urlencoded"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class HandClock:
    """A clock that stands until a test moves it."""

    moment: datetime = NOON

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"enrolment never waits, not until {seconds}")

    def pass_by(self, **time: float) -> None:
        self.moment += timedelta(**time)


@dataclass
class Town:
    """The ports of enrolment, and one firm's machine in front of them."""

    ports: EnrolmentPorts
    keyring: Keyring
    clock: HandClock
    registry: Registry
    keys: Mapping[str, ClientKey]
    proof_key: ClientKey = field(default_factory=ClientKey.create)
    nonce: str | None = None
    rules: Mapping[DatasetId, Rules] = field(default_factory=dict)

    @staticmethod
    def query(path: str, *, method: str = "POST", body: bytes = b"", **members: object) -> Query:
        """Return a request as the web room hands it over."""
        query = Query(
            request_id=RequestId("5d1f0a52-8f0e-4a1e-9d6b-3d5c1f5f4b11"),
            method=method,
            path=path,
            query_string="",
            content_type=FORM,
            body=body,
            peer="192.0.2.7",
        )
        return replace(query, **members)  # type: ignore[arg-type]

    @staticmethod
    def document(reply: Reply) -> dict[str, object]:
        content = json.loads(reply.body)
        assert isinstance(content, dict)
        return content

    @staticmethod
    def ticket_in(reply: Reply) -> str:
        assert reply.status == 200, reply.body.decode()
        return reply.body.decode().partition('name="ticket" value="')[2].partition('"')[0]

    def change(self, *records: object) -> None:
        for change in changes_of(*records):  # type: ignore[arg-type]
            self.registry = self.registry.with_change(change)

    def signed(
        self,
        path: str,
        fields: Mapping[str, str],
        *,
        client: str = "etl-1",
        proof_key: ClientKey | None = None,
    ) -> Query:
        """Return a request as a right client makes it."""
        key = self.keys[client]
        assertion = key.assertion(client=client, issuer=ORIGIN, now=self.clock.now())
        proof = (proof_key or self.proof_key).proof(
            method="POST", url=ORIGIN + path, now=self.clock.now(), nonce=self.nonce
        )
        form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **fields}
        return self.query(path, body=urlencode(form).encode(), proofs=(proof,))

    async def send(self, query: Query) -> Reply:
        """Answer a request and, as step (7) does, put its changes."""
        endpoints: Mapping[str, Callable] = {  # type: ignore[type-arg]
            "/oauth/token": enrolment.token,
            "/oauth/device_authorization": enrolment.device_authorization,
            "/oauth/revoke": revocation.revoke,
            "/oauth/introspect": introspection.introspect,
            "/activate": activation.activate,
            "/account": account.account,
            "/enrol": joining.enrol,
        }
        reply = await endpoints[query.path](query, self.ports)
        assert isinstance(reply, Reply)
        self.nonce = dict(reply.headers).get("DPoP-Nonce", self.nonce)
        for change in reply.changes:
            self.registry = self.registry.with_change(change)
        return reply

    async def ask(
        self, path: str, *, client: str = "etl-1", proof_key: ClientKey | None = None, **fields: str
    ) -> Reply:
        """Sign and send, with the nonce learnt first."""
        if self.nonce is None:
            await self.send(self.signed(path, fields, client=client, proof_key=proof_key))
        return await self.send(self.signed(path, fields, client=client, proof_key=proof_key))

    async def device(self, **fields: str) -> dict[str, object]:
        reply = await self.ask("/oauth/device_authorization", purpose="credit-risk", **fields)
        assert reply.status == 200
        return self.document(reply)

    async def poll(self, device: Mapping[str, object], **options: object) -> Reply:
        code = str(device["device_code"])
        return await self.ask("/oauth/token", grant_type=DEVICE_GRANT, device_code=code, **options)  # type: ignore[arg-type]

    async def credentials(self, **fields: str) -> Reply:
        fields = {"grant_type": "client_credentials", "purpose": "credit-risk", **fields}
        return await self.ask("/oauth/token", **fields)

    def code(self) -> str:
        return code_at(TOTP_SECRET, step_at(self.clock.now()))

    async def sign_in(self, device: Mapping[str, object], *, peer: str = "192.0.2.7", **fields: str) -> Reply:
        form = {
            "step": "sign-in",
            "user_code": str(device["user_code"]),
            "operator": "lan",
            "password": PASSWORD,
            "code": self.code(),
            **fields,
        }
        return await self.send(self.query("/activate", body=urlencode(form).encode(), peer=peer))

    async def decide(self, ticket: str, decision: str) -> Reply:
        form = {"step": "decide", "ticket": ticket, "decision": decision}
        return await self.send(self.query("/activate", body=urlencode(form).encode()))

    async def approved(self, device: Mapping[str, object]) -> Reply:
        return await self.decide(self.ticket_in(await self.sign_in(device)), "approve")

    def claims(self, reply: Reply) -> AccessClaims:
        """Return what a token says, as the resource server reads it."""
        return verify_token(
            str(self.document(reply)["access_token"]),
            keys=self.keyring.tokens.public_keys,
            issuer=ORIGIN,
            audience=ORIGIN,
            now=self.clock.now(),
        )


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring.create(Path(tmp_path_factory.mktemp("home")) / "keys", log_name="gateway.example/log")


@pytest.fixture(scope="session")
def keys() -> Mapping[str, ClientKey]:
    return {"etl-1": ClientKey.create(), "etl-2": ClientKey.create(), "relief-1": ClientKey.create()}


@pytest.fixture(scope="session")
def first_registry(keyring: Keyring, keys: Mapping[str, ClientKey]) -> Registry:
    bank = new_organisation("bank-a", vi="Ngân hàng A", en="Bank A", org_class="bank", country="VN")
    relief = new_organisation("relief-b", vi="Cứu trợ B", en="Relief B", org_class="relief", country="VN")
    terms = {"valid_from": date(2026, 1, 1), "valid_until": date(2026, 12, 31)}
    ours = new_agreement("AGR-2026-014", org=bank, purposes=["credit-risk", "audit"], **terms)
    theirs = new_agreement("AGR-2026-015", org=relief, purposes=["flood-relief"], **terms)
    etl = new_client("etl-1", agreement=ours, purposes=["credit-risk"], keys=[keys["etl-1"].jwk])
    etl2 = new_client("etl-2", agreement=ours, purposes=["credit-risk"], keys=[keys["etl-2"].jwk])
    other = new_client("relief-1", agreement=theirs, purposes=["flood-relief"], keys=[keys["relief-1"].jwk])
    secrets = {"salt": bytes(16), "totp_secret": TOTP_SECRET, "sealer": keyring.sealer, "now": NOON}
    lan = new_operator("lan", bank, "Trần Thị Lan", PASSWORD, **secrets)
    minh = new_operator("minh", relief, "Lê Minh", PASSWORD, **secrets)
    return Registry.of(changes_of(bank, relief, ours, theirs, etl, etl2, other, lan, minh))


@pytest.fixture
async def town(
    keyring: Keyring, keys: Mapping[str, ClientKey], first_registry: Registry
) -> AsyncIterator[Town]:
    clock = HandClock()
    ledger = SqliteLedger.open(
        None,
        signer=keyring.log,
        origin=keyring.log.name,
        clock=clock,
        seal=lambda data: keyring.sealer.seal("opening", data),
        unseal=lambda data: keyring.sealer.unseal("opening", data),
        wrap=lambda data: keyring.sealer.seal("opening", data),
        unwrap=lambda data: keyring.sealer.unseal("opening", data),
    )
    ledger.start()
    volatile = Volatile.create(None)
    ports = EnrolmentPorts(
        ledger=ledger,
        volatile=volatile,
        tokens=keyring.tokens,
        sealer=keyring.sealer,
        registry=lambda: built.registry,
        clock=clock,
        nonce_secret=b"a secret of this boot, 32 bytes!",
        origin=ORIGIN,
        issuer=ORIGIN,
        audience=ORIGIN,
        random_bytes=os.urandom,
        render=render,
        rules=lambda: built.rules,
        routed=routed,
    )
    built = Town(ports=ports, keyring=keyring, clock=clock, registry=first_registry, keys=keys)
    yield built
    volatile.close()
    await ledger.close()
