"""A firm, a gateway's issuer and a thief, with fixed keys at a fixed time, who make texts good and bad."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway import jose
from gateway.errors import NotAuthenticated
from gateway.identity.assertion import Assertion, verify_assertion
from gateway.identity.nonce import nonce_at
from gateway.identity.proof import Proof, verify_proof
from gateway.identity.request import VerifiedRequest, verify_request
from gateway.identity.token import AccessClaims, verify_token
from gateway.terms.query import Action, Query

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def signature_of(message: bytes, key: PrivateKey) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    size = (key.curve.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def raw(header: bytes, claims: bytes, key: PrivateKey) -> str:
    """Sign any bytes as header and claims, sensible or not."""
    message = f"{encoded(header)}.{encoded(claims)}"
    return f"{message}.{encoded(signature_of(message.encode(), key))}"


@dataclass(frozen=True, kw_only=True)
class World:
    """Who and when; builders make good texts, ``change`` makes them bad, ``None`` removes a member."""

    now: datetime = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)
    origin: str = "https://gateway.example"
    issuer: str = "https://gateway.example"
    audience: str = "https://gateway.example/"
    path: str = "/v1/datasets/vn.nso.household/query"
    body: bytes = b'{"sql":"SELECT COUNT(*) FROM household"}'
    nonce_secret: bytes = b"n" * 32
    issuer_key: PrivateKey = ec.derive_private_key(11, ec.SECP256R1())  # noqa: RUF009
    client_key: PrivateKey = ed25519.Ed25519PrivateKey.from_private_bytes(b"\x0c" * 32)  # noqa: RUF009
    proof_key: PrivateKey = ec.derive_private_key(13, ec.SECP256R1())  # noqa: RUF009
    thief_key: PrivateKey = ec.derive_private_key(14, ec.SECP256R1())  # noqa: RUF009

    shown: str | None = None
    """The token that proofs are for, where a case names none."""

    @property
    def now_s(self) -> int:
        return int(self.now.timestamp())

    @property
    def keys(self) -> dict[str, jose.PublicKey]:
        return {"k1": self.issuer_key.public_key()}

    def jkt(self, key: PrivateKey) -> str:
        return jose.thumbprint(jose.jwk_of(key.public_key()))

    def name(self, letter: str) -> str:
        """The ``jti`` of a good text: always the same, so that a test can foresee it."""
        return letter * 22

    def nonce(self) -> str:
        """The nonce that the gateway hands out now."""
        return nonce_at(self.nonce_secret, self.now)

    def signed(self, header: Mapping[str, Any], claims: Mapping[str, Any], key: PrivateKey) -> str:
        kept = [{n: v for n, v in part.items() if v is not None} for part in (header, claims)]
        return raw(*(json.dumps(part).encode() for part in kept), key=key)

    def raw(self, header: bytes, claims: bytes, key: PrivateKey) -> str:
        return raw(header, claims, key)

    # --- good texts

    def token_claims(self) -> dict[str, Any]:
        return {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": "lan",
            "client_id": "bank-a.etl-1",
            "org": "bank-a",
            "purpose": "credit-risk",
            "agreement": "AGR-1",
            "client_key": self.jkt(self.client_key),
            "cnf": {"jkt": self.jkt(self.proof_key)},
            "acr": "aal2",
            "amr": ["mfa", "otp", "pop", "pwd", "swk"],
            "auth_time": self.now_s - 3600,
            "iat": self.now_s,
            "exp": self.now_s + 300,
            "jti": self.name("t"),
        }

    def proof_claims(self, token: str | None = None) -> dict[str, Any]:
        return {
            "htm": "POST",
            "htu": self.origin + self.path,
            "iat": self.now_s,
            "jti": self.name("p"),
            "nonce": self.nonce(),
            "ath": encoded(hashlib.sha256((token or self.token()).encode()).digest()) if token else None,
            "qd": encoded(hashlib.sha256(b"\0" + self.body).digest()),
        }

    def assertion_claims(self) -> dict[str, Any]:
        return {
            "iss": "bank-a.etl-1",
            "sub": "bank-a.etl-1",
            "aud": self.issuer,
            "iat": self.now_s,
            "exp": self.now_s + 60,
            "jti": self.name("a"),
        }

    def claims_of(self, kind: str) -> dict[str, Any]:
        claims: dict[str, Any] = getattr(self, f"{kind}_claims")()
        return claims

    def token(self, *, header: Mapping[str, Any] | None = None, key: Any = None, **change: Any) -> str:
        head = {"typ": "at+jwt", "alg": "ES256", "kid": "k1"} | dict(header or {})
        return self.signed(head, self.token_claims() | change, key or self.issuer_key)

    def proof(
        self,
        *,
        header: Mapping[str, Any] | None = None,
        key: Any = None,
        token: str | None = None,
        **change: Any,
    ) -> str:
        key = key or self.proof_key
        alg = "EdDSA" if isinstance(key, ed25519.Ed25519PrivateKey) else "ES256"
        head = {"typ": "dpop+jwt", "alg": alg, "jwk": jose.jwk_of(key.public_key())} | dict(header or {})
        claims = self.proof_claims(token or self.shown)
        return self.signed(head, claims | change, key)

    def assertion(self, *, header: Mapping[str, Any] | None = None, key: Any = None, **change: Any) -> str:
        key = key or self.client_key
        alg = "EdDSA" if isinstance(key, ed25519.Ed25519PrivateKey) else "ES256"
        claims = self.assertion_claims()
        return self.signed({"alg": alg} | dict(header or {}), claims | change, key)

    def query(self, token: str | None = None, proof: str | None = None, **change: Any) -> Query:
        token = token or self.token()
        proof = proof or self.proof(token=token)
        values: dict[str, Any] = {
            "request_id": "00000000-0000-4000-8000-000000000000",
            "method": "POST",
            "path": self.path,
            "query_string": "",
            "action": Action.AGGREGATE,
            "authorizations": (f"DPoP {token}",),
            "proofs": (proof,),
            "content_type": "application/json",
            "body": self.body,
        }
        return Query(**(values | change))

    # --- what the gateway makes of them

    def verify_token(self, token: str, **change: Any) -> AccessClaims:
        given = {"keys": self.keys, "issuer": self.issuer, "audience": self.audience, "now": self.now}
        return verify_token(token, **(given | change))

    def verify_proof(self, proof: str, **change: Any) -> Proof:
        given = {
            "method": "POST",
            "url": self.origin + self.path,
            "now": self.now,
            "nonce_secret": self.nonce_secret,
            "access_token": None,
            "query_digest": jose.query_digest("", self.body),
        }
        return verify_proof(proof, **(given | change))

    def verify_assertion(self, assertion: str, **change: Any) -> Assertion:
        given = {
            "client": "bank-a.etl-1",
            "keys": (self.client_key.public_key(),),
            "issuer": self.issuer,
            "now": self.now,
        }
        return verify_assertion(assertion, **(given | change))

    def verify_request(self, query: Query, **change: Any) -> VerifiedRequest:
        given = {
            "origin": self.origin,
            "issuer": self.issuer,
            "audience": self.audience,
            "keys": self.keys,
            "nonce_secret": self.nonce_secret,
            "now": self.now,
        }
        return verify_request(query, **(given | change))

    def outcome(self, verify: Callable[[str], object], text: str) -> str:
        """Return the cause of a refusal; the net below the parser must have had nothing to catch."""
        try:
            verify(text)
        except NotAuthenticated as error:
            refused = error
        else:
            return "accepted"
        assert "unexpected" not in refused.cause
        assert refused.__suppress_context__ or refused.__context__ is None
        return refused.cause

    def later(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)
