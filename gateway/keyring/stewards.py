"""Stewards' keys: Ed25519, one a person, and which of them a home trusts.

    keys/stewards/NAME.vkey     public, in the home: one verifier key each, named after its publisher
    FILE.pem                    private, the steward's own: never in the home, and the gateway never reads it

SECURITY: the gateway cannot sign rules, so who takes it over, or writes into ``policies/`` alone, makes no
rules of their own count. Who writes ``keys/`` can: there the home says whom it believes.
"""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.errors import HomeInvalid
from gateway.keyring.files import FILE_BYTES_MAX, put_private, read_plain, write_new
from gateway.keyring.handles import Handle
from gateway.transparency.note import VerifierKey, format_vkey, parse_vkey
from gateway.transparency.tree import ProofInvalid

STEWARDS: Final = "stewards"
FILES_MAX: Final = 1000
PASSPHRASE_LENGTH_MIN: Final = 12
_SUFFIX: Final = ".vkey"
_PUBLISHER: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class StewardKey(Handle):
    """Signs revisions for one publisher (``transparency.note.NoteSigner``)."""

    __slots__ = ("_key", "name", "vkey")

    def __init__(self, publisher: str, key: ed25519.Ed25519PrivateKey) -> None:
        self._key = key
        self.name: Final = publisher
        self.vkey: Final = format_vkey(publisher, key.public_key())

    def __repr__(self) -> str:
        return f"StewardKey(vkey={self.vkey!r})"

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of a signature over a note's text."""
        return self._key.sign(message)


def make_steward_key(path: Path, publisher: str, *, home: Path, passphrase: str = "") -> StewardKey:
    """Make a steward's private key in a file of their own, encrypted where there is a passphrase.

    Raises:
        HomeInvalid: No such publisher can be, the file would lie in the home, is there, or the disk refuses.

    """
    if _PUBLISHER.fullmatch(publisher) is None:
        raise HomeInvalid("a publisher is an agency's short name, such as `moh`")
    if path.resolve().is_relative_to(home.resolve()):
        raise HomeInvalid("a steward's key does not lie in the home: who can write there could sign rules")
    key = ed25519.Ed25519PrivateKey.generate()
    steward = StewardKey(publisher, key)
    protection: KeySerializationEncryption = NoEncryption()
    if passphrase:
        if len(passphrase) < PASSPHRASE_LENGTH_MIN:
            raise HomeInvalid(f"a steward's passphrase has at least {PASSPHRASE_LENGTH_MIN} characters")
        protection = BestAvailableEncryption(passphrase.encode())
    write_new(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
    return steward


def open_steward_key(path: Path, publisher: str, ask: Callable[[], str]) -> StewardKey:
    """Return a steward's key, to sign as one of a publisher's; ``ask`` is for the passphrase, if it has one.

    Raises:
        HomeInvalid: It cannot be read, others can read it, or it is no such key.

    """
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise HomeInvalid(f"`{path.name}` can be read by others; take their rights away (chmod go-rwx)")
        content = read_plain(path, FILE_BYTES_MAX)
    except OSError as error:
        raise HomeInvalid(f"key file `{path}` cannot be read: {error.strerror}") from error
    try:
        try:
            key = load_pem_private_key(content, password=None)
        except TypeError:  # it is encrypted
            key = load_pem_private_key(content, password=ask().encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # SECURITY: cut off from its cause, which could quote the file.
        raise HomeInvalid(f"`{path.name}` holds no private key, or the passphrase is another") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise HomeInvalid(f"`{path.name}` holds no Ed25519 key")
    return StewardKey(publisher, key)


def own_key_file(home: Path) -> Path:
    """Return where the key lies, beside a home, of who is its steward and operator in one."""
    folder = home.resolve()
    return folder.with_name(f"{folder.name}-steward.pem")


def own_steward_key(home: Path, publisher: str, ask: Callable[[], str]) -> StewardKey:
    """Return that key, made if there is none.

    Raises:
        HomeInvalid: It cannot be made, or read.

    """
    path = own_key_file(home)
    if path.exists():
        return open_steward_key(path, publisher, ask)
    return make_steward_key(path, publisher, home=home)


def trust_steward(home: Path, vkey: str, *, name: str) -> None:
    """Have a home believe what a steward's key signs for its publisher.

    Raises:
        HomeInvalid: There is no such home, or the disk refuses.

    """
    folder = home / "keys" / STEWARDS
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise HomeInvalid(f"`{folder}` cannot be made: {error.strerror}") from error
    put_private(folder, name + _SUFFIX, vkey.encode("utf-8") + b"\n")


def trusted_stewards(home: Path) -> tuple[VerifierKey, ...]:
    """Return the keys whose signatures count in a home, as its folder says at this moment.

    Raises:
        HomeInvalid: The folder cannot be listed or is none, a file is no verifier key or is of a key that
            another file has too, others can write one of them, or there are too many.

    """
    folder = home / "keys" / STEWARDS
    try:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise HomeInvalid(f"`keys/{STEWARDS}` is no folder; links are not followed")
        _require_own(folder.parent.stat(), folder.parent.name)
        _require_own(status, folder.name)
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(_SUFFIX))
    except FileNotFoundError:  # nobody was trusted yet
        return ()
    except OSError as error:
        raise HomeInvalid(f"`keys/{STEWARDS}` cannot be listed: {error.strerror}") from error
    if len(names) > FILES_MAX:
        raise HomeInvalid(f"there are more than {FILES_MAX} stewards")
    trusted: dict[str, VerifierKey] = {}
    for name in names:
        steward = _steward(folder / name)
        vkey = format_vkey(steward.name, steward.key)
        if vkey in trusted:
            raise HomeInvalid(
                f"`{name}` holds a key that another file holds too: remove one, for both must go"
            )
        trusted[vkey] = steward
    return tuple(trusted.values())


def _steward(file: Path) -> VerifierKey:
    try:
        _require_own(file.stat(), file.name)
        text = read_plain(file, FILE_BYTES_MAX).decode("ascii")
        return parse_vkey(text.removesuffix("\n"))
    except OSError as error:
        raise HomeInvalid(f"steward's key `{file.name}` cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, ProofInvalid) as error:
        raise HomeInvalid(f"steward's key `{file.name}` is no verifier key, one line and no more") from error


def _require_own(status: os.stat_result, name: str) -> None:
    """SECURITY: whoever can write here decides whose rules count."""
    if status.st_uid not in {os.geteuid(), 0} or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise HomeInvalid(f"`{name}` can be written by others; take their rights away (chmod go-w)")
