"""The keys that sign access tokens: one signs, all that may have signed a living token are believed."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway import jose
from gateway.errors import HomeInvalid
from gateway.keyring.dated import Dated, DatedFiles, Now
from gateway.keyring.handles import Handle, TokenSigner

TOKENS: Final = "tokens.pem"
BELIEVED_S: Final = 900 + 60
"""How long a key that was replaced is believed: a token's longest life (``identity.token``), and clocks."""


class TokenKeys(Handle):
    """Signs with the active key. State: the files it read; replaced as a whole by ``reload``."""

    __slots__ = ("_now", "files", "public_keys")

    def __init__(self, folder: Path, *, now: Now = time.time) -> None:
        self._now = now
        self.files: Final = DatedFiles(
            folder, TOKENS, read=_signer, named=lambda key: key.kid, kept=False, now=now
        )
        self.public_keys: Final[Mapping[str, jose.PublicKey]] = _Believed(self)

    def __repr__(self) -> str:
        return f"TokenKeys(kid={self.kid!r})"

    @property
    def kid(self) -> str:
        """The name of the key that signs now."""
        return self.files.active.key.kid

    def sign(self, claims: Mapping[str, object], typ: str) -> str:
        """Return the claims as a token of a type, signed by the active key."""
        return self.files.active.key.sign(claims, typ)

    @property
    def believed(self) -> tuple[Dated[TokenSigner], ...]:
        """Keys whose signatures count at this moment; announced ones too."""
        now = self._now()
        return tuple(
            dated
            for dated, _, replaced in self.files.states()
            if replaced is None or now < replaced + BELIEVED_S
        )

    @property
    def jwks(self) -> dict[str, object]:
        """The key set to publish (RFC 7517)."""
        return {"keys": [dated.key.jwk for dated in self.believed]}

    def drop_expired(self) -> None:
        """Destroy the keys that are not believed any more."""
        believed = self.believed
        for dated in self.files.keys:
            if dated not in believed:
                self.files.remove(dated.key.kid)


class _Believed(Mapping[str, jose.PublicKey]):
    """The keys that verify, by ``kid``, as they are at each look."""

    def __init__(self, keys: TokenKeys) -> None:
        self._keys = keys

    def __getitem__(self, kid: str) -> jose.PublicKey:
        for dated in self._keys.believed:
            if dated.key.kid == kid:
                return dated.key.public_key
        raise KeyError(kid)

    def __iter__(self) -> Iterator[str]:
        return (dated.key.kid for dated in self._keys.believed)

    def __len__(self) -> int:
        return len(self._keys.believed)


def new_token_key() -> bytes:
    """Return the file of a fresh key."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _signer(content: bytes, name: str) -> TokenSigner:
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # SECURITY: cut off from its cause, which could quote the file.
        raise HomeInvalid(f"key file `{name}` holds no private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise HomeInvalid(f"key file `{name}` holds no P-256 key")
    return TokenSigner(key)
