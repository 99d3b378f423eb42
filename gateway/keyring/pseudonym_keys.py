"""The keys of the pseudonyms, one an epoch: the newest makes tokens, every one reverses its own.

Undivided, as a home is made, ``pseudonyms.key`` holds the first. Divided (``custody.py``), no file of the
home holds any: they are in the memory of the process that was started with both custodians' shares. A
process that was started without, an administrator's command, has none, and makes no pseudonym.
"""

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gateway import jose
from gateway.errors import HomeInvalid
from gateway.keyring.files import read_private
from gateway.keyring.handles import MASTER_BYTES, Handle
from gateway.keyring.sealing_keys import master_of
from gateway.pseudonym import PseudonymKey, value_of

PSEUDONYMS: Final = "pseudonyms.key"
"""Of an undivided home."""


class PseudonymKeys(Handle):
    """One handle an epoch, the first first; none in a process that must make no pseudonym."""

    __slots__ = ("_masters", "epochs")

    def __init__(self, masters: tuple[bytes, ...]) -> None:
        self._masters = masters
        self.epochs: Final = tuple(
            PseudonymKey(master, str(number)) for number, master in enumerate(masters, 1)
        )

    def __repr__(self) -> str:
        return f"PseudonymKeys(epochs={len(self.epochs)})"

    @property
    def newest(self) -> PseudonymKey:
        """The key that makes tokens and orders.

        Raises:
            HomeInvalid: This process was started without the custodians' shares.

        """
        if not self.epochs:
            raise HomeInvalid(
                "the pseudonyms' key is under dual control, and this process has no shares of it"
            )
        return self.epochs[-1]

    def value_of(self, token: str, domain: str, recipient: str) -> str:
        """Return what a recipient's token stands for, whichever epoch made it.

        Raises:
            ValueError: It is no token of any epoch.
            HomeInvalid: As for ``newest``.

        """
        *former, newest = (*self.epochs[:-1], self.newest)
        for key in former:
            try:
                return value_of(token, key.token_key(domain, recipient))
            except ValueError:
                continue
        return value_of(token, newest.token_key(domain, recipient))

    def claim_key(self, recipient: str) -> bytes:
        """Return the key under which one recipient's idempotency keys are named in the ledger.

        Always of the first epoch, which no rotation takes away: a claim stands for ever.

        Raises:
            HomeInvalid: As for ``newest``.

        """
        first = self.epochs[0] if self.epochs else self.newest
        return first.derive("claim", "idempotency-key", recipient, first.epoch)

    def handed_over(self) -> tuple[bytes, ...]:
        """Return the keys themselves, for a worker of this gateway, over a pipe and nowhere else."""
        return self._masters


def undivided(folder: Path) -> tuple[bytes, ...] | None:
    """Return the key that lies in one file of the home; None where it is divided.

    Raises:
        HomeInvalid: The file holds no key, or is open to others.

    """
    if not (folder / PSEUDONYMS).exists():
        return None
    return (master_of(read_private(folder, PSEUDONYMS), PSEUDONYMS),)


def name_of(secret: bytes, epoch: int, what: str) -> str:
    """Return what to call a key or a share of an epoch; it shows nothing of it."""
    info = f"gw1|pseudonym-name|{what}|{epoch}".encode()
    return jose.base64url(HKDFExpand(algorithm=SHA256(), length=MASTER_BYTES, info=info).derive(secret))
