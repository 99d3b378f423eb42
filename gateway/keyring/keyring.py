"""One installation's private keys: made once, opened at each start, used through handles only.

    tokens.pem      P-256    signs access tokens       log.pem         Ed25519   signs checkpoints
    sealing.key     32 B     seals cursors, secrets    pseudonyms.key  32 B      derives pseudonyms

Where a key was or is being replaced there are more files of it (``dated.py``, ``log_keys.py``); where the
pseudonyms' key is divided between two custodians, it is not here at all (``custody.py``). PEM is
unencrypted PKCS 8; the files' protection is the operator's disk and the modes that ``files.py`` demands.
"""

import time
from pathlib import Path
from typing import Final

from gateway.keyring.dated import Now
from gateway.keyring.files import write_folder
from gateway.keyring.handles import Handle, LogSigner
from gateway.keyring.log_keys import LOG_KEY, LogKeys, new_log_key
from gateway.keyring.pseudonym_keys import PSEUDONYMS, PseudonymKeys, undivided
from gateway.keyring.sealing_keys import SEALING, SealingKeys, new_master
from gateway.keyring.token_keys import TOKENS, TokenKeys, new_token_key
from gateway.pseudonym import PseudonymKey

__all__ = ["Keyring", "LogSigner", "SealingKeys", "TokenKeys"]


class Keyring(Handle):
    """The four handles of an installation."""

    __slots__ = ("log_keys", "pseudonym_keys", "sealer", "tokens")

    def __init__(
        self, *, tokens: TokenKeys, log_keys: LogKeys, sealer: SealingKeys, pseudonym_keys: PseudonymKeys
    ) -> None:
        self.tokens: Final = tokens
        self.log_keys = log_keys
        """Replaced as a whole where the log gets another key; owned by the event loop."""
        self.sealer: Final = sealer
        self.pseudonym_keys = pseudonym_keys
        """Replaced as a whole where a start finds that a rotation was not finished."""

    def __repr__(self) -> str:
        return f"Keyring(tokens={self.tokens!r}, log={self.log!r})"

    @property
    def log(self) -> LogSigner:
        """The newest key that signs the log."""
        return self.log_keys.newest

    @property
    def pseudonyms(self) -> PseudonymKey:
        """The key of this epoch's pseudonyms.

        Raises:
            HomeInvalid: This process was started without the custodians' shares.

        """
        return self.pseudonym_keys.newest

    @classmethod
    def create(cls, folder: Path, *, log_name: str) -> "Keyring":
        """Make all keys in a folder that is not there or empty, and open it.

        Raises:
            HomeInvalid: There are keys already, or the disk refuses.

        """
        files = {
            TOKENS: new_token_key(),
            LOG_KEY: new_log_key(),
            SEALING: new_master(),
            PSEUDONYMS: new_master(),
        }
        write_folder(folder, files)
        return cls.open(folder, log_name=log_name)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        log_name: str,
        log_vkeys: str | None = None,
        pseudonyms: tuple[bytes, ...] | None = None,
        now: Now = time.time,
    ) -> "Keyring":
        """Return the keys of a folder; ``log_name`` is the log's origin.

        A worker gives ``log_vkeys``: it has the names of the keys that sign the log, never the keys.
        ``pseudonyms`` are the epochs' keys of who has them; None: what lies in the folder, if anything.

        Raises:
            HomeInvalid: A file is missing, not a key of its kind, or open to others.

        """
        return cls(
            tokens=TokenKeys(folder, now=now),
            log_keys=LogKeys.open(folder, log_name=log_name)
            if log_vkeys is None
            else LogKeys.named(log_vkeys, log_name=log_name),
            sealer=SealingKeys(folder, now=now),
            pseudonym_keys=PseudonymKeys((undivided(folder) or ()) if pseudonyms is None else pseudonyms),
        )

    def rename_log_keys(self, vkeys: str) -> None:
        """Take over by name which keys sign the log; who holds the keys themselves has done so already."""
        if self.log_keys.vkeys != vkeys:
            self.log_keys = LogKeys.named(vkeys, log_name=self.log.name)

    def reload(self, revoked: frozenset[str]) -> None:
        """Take over keys that were put into the folder or out of it; the ``revoked`` do not count.

        Raises:
            HomeInvalid: As for ``open``.

        """
        self.tokens.files.reload(revoked)
        self.sealer.files.reload()
