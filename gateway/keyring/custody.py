"""The pseudonyms' key under dual control: two custodians each hold a share, and one share tells nothing.

    pseudonyms.key        undivided: the key of a home that was just made, whole, in one file
    pseudonyms.custody    divided: names of keys and shares, one line an epoch; no secret
    two share files       outside the home, one a custodian, under the custodian's passphrase (argon2id)

A share has 32 random bytes an epoch; an epoch's key is the two of them XORed, so whoever has one share has
noise. Keys and shares are known by name (HKDF): a share that is wrong, old, another home's or given twice is
refused by a sentence that says so, and no other key is ever derived from it. Order, so that a crash leaves
what can be repeated: shares are durable and were read back before the names change; the whole key goes last.
"""

import json
import os
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway import jose
from gateway.errors import HomeInvalid
from gateway.identity.password import SALT_BYTES, passphrase_key
from gateway.keyring.files import FILE_BYTES_MAX, move_private, put_private, read_private
from gateway.keyring.handles import MASTER_BYTES, Handle
from gateway.keyring.pseudonym_keys import PSEUDONYMS, name_of, undivided

CUSTODY: Final = "pseudonyms.custody"
CUSTODIANS: Final = 2
PASSPHRASE_LENGTH_MIN: Final = 12
EPOCHS_MAX: Final = 16
_NONCE_BYTES: Final = 12
_KEY: Final = "key"


class Named(NamedTuple):
    """What the home knows of one epoch: names, no secret."""

    key: str
    shares: tuple[str, str]


class Share(Handle):
    """One custodian's half: 32 bytes an epoch, the first first."""

    __slots__ = ("_epochs", "custodian", "epochs")

    def __init__(self, custodian: int, epochs: tuple[bytes, ...]) -> None:
        self._epochs = epochs
        self.custodian: Final = custodian
        self.epochs: Final = len(epochs)

    def __repr__(self) -> str:
        return f"Share(custodian={self.custodian}, epochs={self.epochs})"

    def names(self) -> tuple[str, ...]:
        """Return what the share is called in each epoch."""
        return tuple(
            name_of(part, epoch, _what(self.custodian)) for epoch, part in enumerate(self._epochs, 1)
        )

    def require_of(self, known: tuple[Named, ...]) -> None:
        """Refuse a share that is not this custodian's of this home; epochs that never came into use are cut.

        Raises:
            HomeInvalid: It is another home's, of another division, or from before a rotation.

        """
        wanted = tuple(named.shares[self.custodian - 1] for named in known)
        if self.names()[: len(wanted)] == wanted:
            return
        if 0 < self.epochs < len(wanted) and self.names() == wanted[: self.epochs]:
            raise HomeInvalid(
                f"custodian {self.custodian}'s share is from before the last rotation: it has "
                f"{self.epochs} epochs of {len(wanted)}; bring the newest copy"
            )
        raise HomeInvalid(f"custodian {self.custodian}'s share is not one of this home's key")

    def grown(self, count: int, part: bytes) -> "Share":
        """Return the share with one more epoch behind the first ``count``."""
        return Share(self.custodian, (*self._epochs[:count], part))

    def cut(self, count: int) -> "Share":
        """Return the share with its first ``count`` epochs only."""
        return Share(self.custodian, self._epochs[:count])

    def joined(self, other: "Share", count: int) -> tuple[bytes, ...]:
        """Return the keys of the first ``count`` epochs."""
        theirs = other._epochs[:count]  # noqa: SLF001 -- the same class
        pairs = zip(self._epochs[:count], theirs, strict=True)
        return tuple(_xor(*pair) for pair in pairs)

    def sealed(self, passphrase: str) -> bytes:
        """Return the share's file.

        Raises:
            HomeInvalid: The passphrase is too short, or no text.

        """
        if len(passphrase) < PASSPHRASE_LENGTH_MIN:
            raise HomeInvalid(f"a custodian's passphrase has at least {PASSPHRASE_LENGTH_MIN} characters")
        salt, nonce = os.urandom(SALT_BYTES), os.urandom(_NONCE_BYTES)
        cipher = AESGCM(_key_of(passphrase, salt))
        sealed = cipher.encrypt(nonce, b"".join(self._epochs), _what(self.custodian).encode())
        members = {"salt": salt, "nonce": nonce, "sealed": sealed}
        text = {name: jose.base64url(value) for name, value in members.items()}
        return json.dumps({"pseudonym_share": self.custodian, **text}).encode("ascii") + b"\n"


def open_share(path: Path, passphrase: str) -> Share:
    """Return the share in a custodian's file.

    Raises:
        HomeInvalid: There is none, or it does not open with this passphrase.

    """
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(FILE_BYTES_MAX))
        custodian = (1, 2)[(1, 2).index(document["pseudonym_share"])]
        salt, nonce, sealed = (jose.base64url_decoded(document[name]) for name in ("salt", "nonce", "sealed"))
    except OSError as error:
        raise HomeInvalid(f"share file `{path.name}` cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError):
        # SECURITY: cut off from its cause, which could quote the file.
        raise HomeInvalid(f"`{path.name}` is no share of a pseudonym key") from None
    if len(salt) != SALT_BYTES or len(nonce) != _NONCE_BYTES:
        raise HomeInvalid(f"`{path.name}` is no share of a pseudonym key")
    try:
        plain = AESGCM(_key_of(passphrase, salt)).decrypt(nonce, sealed, _what(custodian).encode())
    except InvalidTag:
        raise HomeInvalid(
            f"`{path.name}` does not open: it is another passphrase, or the file was changed"
        ) from None
    parts = tuple(plain[at : at + MASTER_BYTES] for at in range(0, len(plain), MASTER_BYTES))
    if not 0 < len(parts) <= EPOCHS_MAX or len(parts[-1]) != MASTER_BYTES:
        raise HomeInvalid(f"`{path.name}` is no share of a pseudonym key")
    return Share(custodian, parts)


def known_epochs(folder: Path) -> tuple[Named, ...]:
    """Return what a divided home knows of each epoch; nothing where it is undivided.

    Raises:
        HomeInvalid: The file is no list of names.

    """
    if not (folder / CUSTODY).exists():
        return ()
    lines = read_private(folder, CUSTODY).decode("ascii", "replace").splitlines()
    rows = [line.split(" ") for line in lines]
    if not 0 < len(rows) <= EPOCHS_MAX or any(len(row) != 1 + CUSTODIANS for row in rows):
        raise HomeInvalid(f"key file `{CUSTODY}` is not a list of names")
    return tuple(Named(key, (first, second)) for key, first, second in rows)


def master_keys(folder: Path, shares: tuple[Share, ...]) -> tuple[bytes, ...]:
    """Return the keys of all epochs: those of an undivided home, or what both shares make.

    Raises:
        HomeInvalid: A share is missing, given twice, old, or another home's; or none is needed.

    """
    whole, known = undivided(folder), known_epochs(folder)
    if whole is not None:
        if known:  # SECURITY: a copy that came back could be an old epoch's
            raise HomeInvalid(
                f"`{PSEUDONYMS}` lies in the home beside `{CUSTODY}`; take it away if both shares are good "
                "(`gateway keys custody check`), or divide it again if they never were"
            )
        if shares:
            raise HomeInvalid(
                f"`{PSEUDONYMS}` lies in the home, so shares protect nothing; first `gateway keys custody "
                "split`"
            )
        return whole
    if not known:
        raise HomeInvalid(f"key file `{PSEUDONYMS}` is missing, and so is `{CUSTODY}`")
    first, second = _both(shares)
    first.require_of(known)
    second.require_of(known)
    masters = first.joined(second, len(known))
    if _key_names(masters) != tuple(named.key for named in known):
        raise HomeInvalid(f"the two shares do not make the key that `{CUSTODY}` names")
    return masters


def finish_rotation(folder: Path, shares: tuple[Share, ...], newest: str) -> bool:
    """Have the home name all epochs up to ``newest``, the key the log was told of last; say if it did not.

    A crash may have come before the names, or a copy of them from before a rotation back. SECURITY: a key
    that was replaced would make tokens again, and nobody would hear of it.

    Raises:
        HomeInvalid: The shares do not have that key; or it is not the newest; or a whole one came back.

    """
    if undivided(folder) is not None:
        raise HomeInvalid(f"the log tells that the pseudonyms' key was divided; take `{PSEUDONYMS}` away")
    known = tuple(named.key for named in known_epochs(folder))
    if known[-1:] == (newest,):
        return False
    first, second = _both(shares)
    masters = first.joined(second, min(first.epochs, second.epochs))
    names = _key_names(masters)
    if newest not in names[len(known) :] or names[: len(known)] != known:
        raise HomeInvalid(
            f"shares and `{CUSTODY}` are not those of the key that the log was told of last; bring the "
            "newest copies of all three"
        )
    count = names.index(newest) + 1
    _put_names(folder, (first.cut(count), second.cut(count)), masters[:count])
    return True


def split(folder: Path, files: tuple[Path, Path], passphrases: tuple[str, str]) -> str:
    """Divide an undivided key between two custodians, take the whole one out of the home, return its name.

    Raises:
        HomeInvalid: It is divided already, a file or passphrase will not do, or the disk refuses.

    """
    whole = undivided(folder)
    if whole is None:
        raise HomeInvalid("the pseudonyms' key is divided already")
    if (known := known_epochs(folder)) and _key_names(whole) != tuple(named.key for named in known):
        raise HomeInvalid(f"`{PSEUDONYMS}` is an old copy: `{CUSTODY}` names other keys; take it away")
    _require_places(folder, files)
    if passphrases[0] == passphrases[1]:
        raise HomeInvalid("each custodian has a passphrase of their own")
    part = os.urandom(MASTER_BYTES)
    shares = Share(1, (part,)), Share(2, (_xor(part, whole[0]),))
    if shares[0].joined(shares[1], 1) != whole:
        raise AssertionError("what was divided does not come together")
    _put(files, shares, passphrases)
    _put_names(folder, shares, whole)
    move_private(folder, PSEUDONYMS, None)
    return _key_names(whole)[-1]


class Rotation(Handle):
    """The next epoch, in both custodians' files and not in use yet: ``take`` puts it to use."""

    __slots__ = ("_folder", "_masters", "_shares", "name")

    def __init__(self, folder: Path, shares: tuple[Share, Share], masters: tuple[bytes, ...]) -> None:
        self._folder = folder
        self._shares = shares
        self._masters = masters
        self.name: Final = _key_names(masters)[-1]
        """What the new key is called."""

    def __repr__(self) -> str:
        return f"Rotation(epoch={len(self._masters)})"

    def take(self) -> None:
        """Have the new epoch's key make tokens from the next start on.

        Raises:
            HomeInvalid: The disk refuses.

        """
        _put_names(self._folder, self._shares, self._masters)


def rotation(
    folder: Path, files: tuple[Path, Path], passphrases: tuple[str, str], *, newest: str | None = None
) -> Rotation:
    """Make the next epoch's key, half of it in each custodian's file.

    ``newest`` is the key that the log was told of last: a rotation that a crash cut off is finished first.

    Raises:
        HomeInvalid: The home is undivided, the shares do not fit, or the disk refuses.

    """
    if undivided(folder) is not None:
        raise HomeInvalid("the pseudonyms' key is undivided; first `gateway keys custody split`")
    opened = _opened(files, passphrases)
    masters = master_keys(folder, opened)
    if newest is not None and finish_rotation(folder, opened, newest):
        masters = master_keys(folder, opened)
    known = known_epochs(folder)
    if len(known) >= EPOCHS_MAX:
        raise HomeInvalid(f"a home has at most {EPOCHS_MAX} epochs of pseudonyms")
    first, second = (share.grown(len(known), os.urandom(MASTER_BYTES)) for share in opened)
    _put(files, (first, second), passphrases)
    if (first.custodian, second.custodian) == (2, 1):
        first, second = second, first
    return Rotation(folder, (first, second), (*masters, first.joined(second, len(known) + 1)[-1]))


def _both(shares: tuple[Share, ...]) -> tuple[Share, Share]:
    if len(shares) != CUSTODIANS:
        raise HomeInvalid(
            "the pseudonyms' key is under dual control: both custodians' shares are needed, "
            f"{len(shares)} given"
        )
    first, second = sorted(shares, key=lambda share: share.custodian)
    if first.custodian == second.custodian:
        other = CUSTODIANS + 1 - first.custodian
        raise HomeInvalid(
            f"both files are custodian {first.custodian}'s share; custodian {other}'s is needed"
        )
    return first, second


def _opened(files: tuple[Path, Path], passphrases: tuple[str, str]) -> tuple[Share, Share]:
    first, second = (open_share(*each) for each in zip(files, passphrases, strict=True))
    return first, second


def _put(files: tuple[Path, Path], shares: tuple[Share, Share], passphrases: tuple[str, str]) -> None:
    """Write the shares, and read them back: what comes next cannot be undone."""
    contents = [share.sealed(passphrase) for share, passphrase in zip(shares, passphrases, strict=True)]
    for path, content in zip(files, contents, strict=True):
        put_private(path.parent, path.name, content)
    read_back = _opened(files, passphrases)
    if [share.names() for share in read_back] != [share.names() for share in shares]:
        raise AssertionError("a share does not read back")


def _put_names(folder: Path, shares: tuple[Share, Share], masters: tuple[bytes, ...]) -> None:
    rows = zip(_key_names(masters), *(share.names() for share in shares), strict=True)
    put_private(folder, CUSTODY, "".join(f"{' '.join(row)}\n" for row in rows).encode("ascii"))


def _require_places(folder: Path, files: tuple[Path, Path]) -> None:
    home = folder.parent.resolve()
    if any(path.resolve().is_relative_to(home) for path in files):
        raise HomeInvalid("a share does not lie in the home: who copies the home must not have it")
    if files[0].resolve() == files[1].resolve() or any(path.exists() for path in files):
        raise HomeInvalid("the shares go into two files that are not there yet")


def _key_names(masters: tuple[bytes, ...]) -> tuple[str, ...]:
    return tuple(name_of(master, epoch, _KEY) for epoch, master in enumerate(masters, 1))


def _key_of(passphrase: str, salt: bytes) -> bytes:
    try:
        return passphrase_key(passphrase, salt)
    except ValueError:  # SECURITY: its words hold the passphrase
        raise HomeInvalid("a passphrase is text in UTF-8") from None


def _what(custodian: int) -> str:
    return f"share {custodian}"


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
