"""An authenticator in software that can also do everything wrong: what an attacker would send."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import encode_cbor

from gateway.jose import base64url

USER_PRESENT, USER_VERIFIED, MAY_BE_COPIED, IS_COPIED, HAS_CREDENTIAL = 0x01, 0x04, 0x08, 0x10, 0x40
HARDWARE = USER_PRESENT | USER_VERIFIED
SYNCED = HARDWARE | MAY_BE_COPIED | IS_COPIED


@dataclass(slots=True)
class SoftKey:
    """One credential; ``flags`` say what kind it is, ``count`` how often it signed."""

    rp_id: str = "gateway.example"
    origin: str = "https://gateway.example"
    flags: int = HARDWARE
    counts: bool = True
    credential: bytes = b"credential of a test, 32 bytes.."
    count: int = 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def cose(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        return bytes(
            encode_cbor(
                {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
            )
        )

    def made(self, challenge: bytes, /, *, fmt: str = "none", **said: Any) -> str:
        """What ``navigator.credentials.create`` would return."""
        attested = bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential + self.cose
        data = (
            self._data(said.pop("flags", self.flags) | HAS_CREDENTIAL, said.pop("rp_id", self.rp_id))
            + attested
        )
        client = self._client("webauthn.create", challenge, said)
        statement = {}
        if fmt == "packed":  # by the credential's own key: a right one, though nobody asked for it
            signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
            statement = {"alg": -7, "sig": signature}
        attestation = encode_cbor({"fmt": fmt, "attStmt": statement, "authData": data})
        return self._response(client, attestationObject=base64url(bytes(attestation)))

    def signed(self, challenge: bytes, /, **said: Any) -> str:
        """What ``navigator.credentials.get`` would return."""
        self.count = said.pop("count", self.count + self.counts)
        data = self._data(said.pop("flags", self.flags), said.pop("rp_id", self.rp_id))
        handle = said.pop("handle", None)
        key = said.pop("key", self.key)
        client = self._client("webauthn.get", challenge, said)
        signature = key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._response(
            client, authenticatorData=base64url(data), signature=base64url(signature), userHandle=handle
        )

    def _data(self, flags: int, rp_id: str) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, challenge: bytes, said: dict[str, Any]) -> bytes:
        told = {"type": kind, "challenge": base64url(challenge), "origin": self.origin, "crossOrigin": False}
        return json.dumps(told | said).encode()

    def _response(self, client: bytes, **rest: object) -> str:
        name = base64url(self.credential)
        response = {"clientDataJSON": base64url(client), **rest}
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})
