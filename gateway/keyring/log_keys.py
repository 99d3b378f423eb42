"""The log's signing keys, and how one replaces another without a gap that anybody would notice.

    log.pem        signs every checkpoint           log-former.pem       signs beside it, until retired
    log-next.pem   made, signs nothing yet          log-retired.vkeys    public: signed in the past

``make_next``, an entry that names both keys (signed by the old one, so that who trusts it can learn the
new one), ``take_next``, and when everybody knows the new key ``retire_former``. Each step may be repeated
after a crash; none of them ever leaves the log without a key.
"""

from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.errors import HomeInvalid
from gateway.keyring.files import move_private, put_private, read_private
from gateway.keyring.handles import Handle, LogSigner
from gateway.transparency.note import VKEYS_MAX, parse_vkey
from gateway.transparency.tree import ProofInvalid

LOG_KEY: Final = "log.pem"
_FORMER: Final = "log-former.pem"
_NEXT: Final = "log-next.pem"
_RETIRED: Final = "log-retired.vkeys"


class LogKeys(Handle):
    """The keys of one log, the newest first."""

    __slots__ = ("former", "newest", "retired")

    def __init__(self, newest: LogSigner, former: tuple[LogSigner, ...], retired: tuple[str, ...]) -> None:
        self.newest: Final = newest
        self.former: Final = former
        self.retired: Final = retired

    def __repr__(self) -> str:
        return f"LogKeys(newest={self.newest!r}, former={self.former!r}, retired={self.retired!r})"

    @classmethod
    def open(cls, folder: Path, *, log_name: str) -> "LogKeys":
        """Return the keys of a folder.

        Raises:
            HomeInvalid: The log's key is missing, or a file holds no key of its kind.

        """
        newest = LogSigner(log_name, _key(folder, LOG_KEY))
        former: tuple[LogSigner, ...] = ()
        if (folder / _FORMER).exists():
            found = LogSigner(log_name, _key(folder, _FORMER))
            former = () if found.vkey == newest.vkey else (found,)
        return cls(newest, former, tuple(v for v in _retired(folder) if parse_vkey(v).name == log_name))

    @classmethod
    def named(cls, vkeys: str, *, log_name: str) -> "LogKeys":
        """Return the keys by their names only, for a process that must not sign."""
        newest, *former = [LogSigner(log_name, vkey) for vkey in vkeys.split("\n")]
        return cls(newest, tuple(former), ())

    @property
    def vkeys(self) -> str:
        """What to trust: the keys that sign, one a line."""
        return "\n".join(signer.vkey for signer in (self.newest, *self.former))

    @property
    def history(self) -> str:
        """What was ever trusted: also the keys that signed in the past."""
        return "\n".join([self.vkeys, *self.retired])


def new_log_key() -> bytes:
    """Return the file of a fresh key."""
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_next(folder: Path, *, log_name: str) -> LogSigner:
    """Return the key that shall sign next, made unless it was made before.

    Raises:
        HomeInvalid: A former key still signs, or the disk refuses.

    """
    keys = LogKeys.open(folder, log_name=log_name)
    if keys.former:
        raise HomeInvalid("a former key of the log still signs; first `gateway keys retire --kind log`")
    if len(keys.retired) >= VKEYS_MAX - 2:
        raise HomeInvalid("this log has had too many keys; begin a log of another origin")
    if not (folder / _NEXT).exists():
        put_private(folder, _NEXT, new_log_key())
    return LogSigner(log_name, _key(folder, _NEXT))


def take_next(folder: Path) -> None:
    """Let the next key sign, and the one that signed so far beside it.

    Raises:
        HomeInvalid: There is no next key, or the disk refuses.

    """
    put_private(folder, _FORMER, read_private(folder, LOG_KEY))
    move_private(folder, _NEXT, LOG_KEY)


def retire_former(folder: Path, *, log_name: str) -> str:
    """Let the former key sign no more, and return its vkey: what it signed stays believed.

    Raises:
        HomeInvalid: There is no former key, or the disk refuses.

    """
    keys = LogKeys.open(folder, log_name=log_name)
    if not keys.former:
        raise HomeInvalid("no former key of the log signs")
    vkey = keys.former[0].vkey
    if vkey not in keys.retired:
        lines = (*_retired(folder), vkey)  # with those of the logs before
        put_private(folder, _RETIRED, "".join(f"{line}\n" for line in lines).encode())
    move_private(folder, _FORMER, None)
    return vkey


def _key(folder: Path, name: str) -> ed25519.Ed25519PrivateKey:
    try:
        key = load_pem_private_key(read_private(folder, name), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # SECURITY: cut off from its cause, which could quote the file.
        raise HomeInvalid(f"key file `{name}` holds no private key") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise HomeInvalid(f"key file `{name}` holds no Ed25519 key")
    return key


def _retired(folder: Path) -> tuple[str, ...]:
    if not (folder / _RETIRED).exists():
        return ()
    lines = read_private(folder, _RETIRED).decode("utf-8", "replace").splitlines()
    try:
        for line in lines:
            parse_vkey(line)
    except ProofInvalid as error:
        raise HomeInvalid(f"key file `{_RETIRED}` is not a list of verifier keys: {error}") from error
    return tuple(lines)
