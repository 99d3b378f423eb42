"""One installation's private keys: made once, opened at each start, used through handles only.

    tokens.pem      P-256    signs access tokens       log.pem         Ed25519   signs checkpoints
    sealing.key     32 B     seals cursors, secrets    pseudonyms.key  32 B      derives pseudonyms

While the log's key is being replaced there are more files of it (``log_keys.py``).
PEM is unencrypted PKCS 8; the files' protection is the operator's disk and the modes that ``files.py``
demands. Losing ``pseudonyms.key`` makes every pseudonym irreversible; keep a copy apart.
"""

import os
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
from gateway.keyring.files import read_private, write_folder
from gateway.keyring.handles import MASTER_BYTES, Handle, LogSigner, Sealer, TokenSigner
from gateway.keyring.log_keys import LOG_KEY, LogKeys, new_log_key
from gateway.pseudonym import PseudonymKey

__all__ = ["Keyring", "LogSigner", "Sealer", "TokenSigner"]

_TOKENS: Final = "tokens.pem"
_SEALING: Final = "sealing.key"
_PSEUDONYMS: Final = "pseudonyms.key"


class Keyring(Handle):
    """The four handles of an installation."""

    __slots__ = ("log", "log_keys", "pseudonyms", "sealer", "tokens")

    def __init__(
        self, *, tokens: TokenSigner, log_keys: LogKeys, sealer: Sealer, pseudonyms: PseudonymKey
    ) -> None:
        self.tokens: Final = tokens
        self.log_keys: Final = log_keys
        self.log: Final = log_keys.newest
        self.sealer: Final = sealer
        self.pseudonyms: Final = pseudonyms

    def __repr__(self) -> str:
        return f"Keyring(tokens={self.tokens!r}, log={self.log!r})"

    @classmethod
    def create(cls, folder: Path, *, log_name: str) -> "Keyring":
        """Make all keys in a folder that is not there or empty, and open it.

        Raises:
            HomeInvalid: There are keys already, or the disk refuses.

        """
        files = {
            _TOKENS: _pem(ec.generate_private_key(ec.SECP256R1())),
            LOG_KEY: new_log_key(),
            _SEALING: _line(os.urandom(MASTER_BYTES)),
            _PSEUDONYMS: _line(os.urandom(MASTER_BYTES)),
        }
        write_folder(folder, files)
        return cls.open(folder, log_name=log_name)

    @classmethod
    def open(cls, folder: Path, *, log_name: str, log_vkeys: str | None = None) -> "Keyring":
        """Return the keys of a folder; ``log_name`` is the log's origin.

        A worker gives ``log_vkeys``: it has the names of the keys that sign the log, never the keys.

        Raises:
            HomeInvalid: A file is missing, not a key of its kind, or open to others.

        """
        tokens = _private_key(folder, _TOKENS)
        if not isinstance(tokens, ec.EllipticCurvePrivateKey) or not isinstance(tokens.curve, ec.SECP256R1):
            raise HomeInvalid(f"key file `{_TOKENS}` holds no P-256 key")
        return cls(
            tokens=TokenSigner(tokens),
            log_keys=LogKeys.open(folder, log_name=log_name)
            if log_vkeys is None
            else LogKeys.named(log_vkeys, log_name=log_name),
            sealer=Sealer(_master(folder, _SEALING)),
            pseudonyms=PseudonymKey(_master(folder, _PSEUDONYMS)),
        )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _line(master: bytes) -> bytes:
    return jose.base64url(master).encode("ascii") + b"\n"


def _private_key(folder: Path, name: str) -> object:
    try:
        return load_pem_private_key(read_private(folder, name), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # SECURITY: cut off from its cause, which could quote the file.
        raise HomeInvalid(f"key file `{name}` holds no private key") from None


def _master(folder: Path, name: str) -> bytes:
    try:
        master = jose.base64url_decoded(read_private(folder, name).decode("ascii").removesuffix("\n"))
    except ValueError:
        master = b""
    if len(master) != MASTER_BYTES:
        raise HomeInvalid(f"key file `{name}` holds no key of {MASTER_BYTES} bytes")
    return master
