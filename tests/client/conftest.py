"""A small gateway on loopback: it checks what the client signs with the real identity room.

The only unit room that may open a socket, because speaking HTTP is what it promises.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.client.keys import ClientKey
from gateway.errors import NotAuthenticated, ProofNonceRequired
from gateway.identity.assertion import verify_assertion
from gateway.identity.factors import amr_of, assurance_of
from gateway.identity.nonce import nonce_at
from gateway.identity.proof import verify_proof
from gateway.identity.request import verify_request
from gateway.identity.token import AccessClaims, claims_document, subject_of
from gateway.jose import base64url, key_of
from gateway.keyring.handles import TokenSigner
from gateway.keyring.keyring import Keyring
from gateway.ledger.sqlite import SqliteLedger
from gateway.terms.entry import EntryKind, ReleaseRequest
from gateway.terms.identifiers import (
    AgreementId,
    ClientId,
    DatasetId,
    OperatorId,
    OrgId,
    PurposeId,
    RequestId,
)
from gateway.terms.query import Action, Query

Record = Callable[..., Awaitable[dict[str, str]]]
"""Records a body, what it says and public facts; returns the headers under which the receipt travels."""
Handler = Callable[[Query], Awaitable[web.Response] | web.Response]


@dataclass
class SmallGateway:
    """Answers ``/oauth/*`` by the book, and everything else by ``answers``."""

    key: ClientKey
    origin: str = ""
    signer: TokenSigner = field(default_factory=lambda: TokenSigner(ec.generate_private_key(ec.SECP256R1())))
    nonce_secret: bytes = b"a secret of this boot, 32 bytes!"
    seen: list[Query] = field(default_factory=list)
    """Requests for data that passed all checks."""
    used: set[str] = field(default_factory=set)
    decisions: list[str] = field(default_factory=list)
    """What the device grant answers, poll after poll; then the token."""
    answers: list[web.Response | None] = field(default_factory=list)
    """Answers to requests for data, in order; None drops the connection. Then ``{}``."""
    person: bool = False
    tokens_given: int = 0
    token_life_s: int = 300
    token_type: str = "DPoP"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        query = await self._query(request)
        try:
            if query.path.startswith("/oauth/"):
                return self._with_nonce(self._oauth(query))
            verified = verify_request(
                query,
                origin=self.origin,
                issuer=self.origin,
                audience=self.origin,
                keys={self.signer.kid: self.signer.public_key},
                nonce_secret=self.nonce_secret,
                now=datetime.now(UTC),
            )
            self._use_once(verified.proof.single_use_id)
        except ProofNonceRequired:
            if query.path.startswith("/oauth/"):
                return self._with_nonce(web.json_response({"error": "use_dpop_nonce"}, status=400))
            return self._with_nonce(_challenge("use_dpop_nonce"))
        except NotAuthenticated as error:
            return self._with_nonce(_challenge("invalid_token", error.cause))
        self.seen.append(query)
        answer = self.answers.pop(0) if self.answers else web.json_response({})
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return self._with_nonce(answer)

    def _oauth(self, query: Query) -> web.Response:
        form = dict(parse_qsl(query.body.decode("ascii"), strict_parsing=True))
        now = datetime.now(UTC)
        signed = verify_assertion(
            form["client_assertion"],
            client=ClientId("etl-1"),
            keys=(key_of(self.key.jwk),),
            issuer=self.origin,
            now=now,
        )
        proof = verify_proof(
            query.proofs[0],
            method="POST",
            url=self.origin + query.path,
            now=now,
            nonce_secret=self.nonce_secret,
            access_token=None,
            query_digest=None,
        )
        self._use_once(signed.single_use_id)
        self._use_once(proof.single_use_id)
        if query.path == "/oauth/device_authorization":
            return web.json_response(
                {
                    "device_code": "the-device-code",
                    "user_code": "BCDF-GHJK",
                    "verification_uri": f"{self.origin}/activate",
                    "expires_in": 300,
                    "interval": 0,
                    "key_phrase": "lusab-babad-gutih-tugad",
                }
            )
        if form["grant_type"] != "client_credentials":
            assert form["device_code"] == "the-device-code"
            if self.decisions:
                return web.json_response({"error": self.decisions.pop(0)}, status=400)
            self.person = True
        return self._token(signed.key, proof.key)

    def _token(self, client_key: str, proof_key: str) -> web.Response:
        now = datetime.now(UTC).replace(microsecond=0)
        operator = OperatorId("lan") if self.person else None
        methods = amr_of(("pwd", "otp") if self.person else ())
        claims = AccessClaims(
            issuer=self.origin,
            audience=self.origin,
            client=ClientId("etl-1"),
            subject=subject_of(ClientId("etl-1"), operator),
            org=OrgId("bank-a"),
            purpose=PurposeId("credit-risk"),
            agreement=AgreementId("AGR-2026-014"),
            client_key=client_key,  # type: ignore[arg-type]
            key=proof_key,  # type: ignore[arg-type]
            token_id=base64url(self.tokens_given.to_bytes(16, "big")),
            issued_at=now,
            expires_at=now + timedelta(seconds=300),
            assurance=assurance_of(methods, age_s=0 if self.person else None),
            methods=methods,
            authenticated_at=now if self.person else None,
            operator=operator,
        )
        self.tokens_given += 1
        return web.json_response(
            {
                "access_token": self.signer.sign(claims_document(claims), "at+jwt"),
                "token_type": self.token_type,
                "expires_in": self.token_life_s,
                "acr": claims.assurance.acr,
            }
        )

    def _use_once(self, id_: str) -> None:
        if id_ in self.used:
            raise NotAuthenticated(cause="used")
        self.used.add(id_)

    def _with_nonce(self, response: web.Response) -> web.Response:
        response.headers["DPoP-Nonce"] = nonce_at(self.nonce_secret, datetime.now(UTC))
        return response

    async def _query(self, request: web.Request) -> Query:
        path, _, query_string = request.raw_path.partition("?")
        return Query(
            request_id=RequestId("5d1f0a52-8f0e-4a1e-9d6b-3d5c1f5f4b11"),
            method=request.method,
            path=path,
            query_string=query_string,
            action=Action.AGGREGATE,
            dataset=DatasetId("x"),
            authorizations=tuple(request.headers.getall("Authorization", ())),
            proofs=tuple(request.headers.getall("DPoP", ())),
            idempotency_keys=tuple(request.headers.getall("Idempotency-Key", ())),
            accept=request.headers.get("Accept", ""),
            content_type=request.headers.get("Content-Type", ""),
            body=await request.read(),
        )


def _challenge(error: str, detail: str = "") -> web.Response:
    return web.Response(
        status=401,
        headers={"WWW-Authenticate": f'DPoP error="{error}", algs="ES256"'},
        content_type="application/problem+json",
        text=json.dumps({"title": "Credentials not accepted", "detail": detail}),
    )


@pytest.fixture
async def small_gateway() -> AsyncIterator[SmallGateway]:
    gateway = SmallGateway(key=ClientKey.create())
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", gateway.handle)
    runner = web.AppRunner(application, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    gateway.origin = f"http://127.0.0.1:{port}"
    yield gateway
    await runner.cleanup()


class NoonClock:
    def now(self) -> datetime:
        return datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"no reason to wait until {seconds}")


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.create(tmp_path / "keys", log_name="gateway.example/log")


@pytest.fixture
async def record(keyring: Keyring) -> AsyncIterator[Record]:
    """A real ledger, as far as a firm sees it."""
    ledger = SqliteLedger.open(
        None,
        signer=keyring.log,
        origin=keyring.log.name,
        clock=NoonClock(),
        seal=lambda data: keyring.sealer.seal("opening", data),
        unseal=lambda data: keyring.sealer.unseal("opening", data),
        wrap=lambda data: keyring.sealer.seal("opening", data),
        unwrap=lambda data: keyring.sealer.unseal("opening", data),
    )
    ledger.start()

    async def released(body: bytes, plain: bytes | None = None, **facts: str | int) -> dict[str, str]:
        receipt = await ledger.release(
            ReleaseRequest(
                request_id=RequestId("5d1f0a52-8f0e-4a1e-9d6b-3d5c1f5f4b11"),
                kind=EntryKind.SINGLE,
                facts={"status": 200, "client": "etl-1", **facts},
                private={},
                body=body,
                plain=plain,
            )
        )
        return {"Gateway-Receipt": base64url(receipt.proof), "Gateway-Entry": base64url(receipt.entry)}

    yield released
    await ledger.close()
