"""How old the installation's keys are, and how long each may still serve before it should be replaced.

A key's age counts from the second that its file's name tells, of the first one of a kind from when the
file was written. Nothing stops at the end: a gateway that refused to serve would be worse than an old key.
Source: periods as NIST SP 800-57 part 1 section 5.3.6 gives for signing keys, one to three years at most.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import HomeInvalid
from gateway.keyring.custody import EPOCHS_MAX, known_epochs
from gateway.keyring.dated import KeyState, Now
from gateway.keyring.keyring import Keyring
from gateway.keyring.log_keys import LOG_KEY
from gateway.keyring.pseudonym_keys import name_of, undivided

DAYS: Final = {"log": 365, "tokens": 90, "sealing": 365}
"""How long a key of a kind serves."""
WARNED_AT: Final = (30, 14, 7, 1)
"""Days left at which a warning gets louder."""
DAY_S: Final = 86_400
TLS: Final = "tls"
UNDIVIDED: Final = "the pseudonyms' key lies in one file; divide it: gateway keys custody split"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """One key as it is listed."""

    kind: str
    state: str
    public: str
    days_left: int | None = None
    """Of an active key; negative when it should have been replaced."""
    note: str = ""
    """What is to be done, or why there is nothing to do."""


def key_rows(folder: Path, *, log_name: str, now: Now = time.time) -> tuple[KeyRow, ...]:
    """Return every key of an installation.

    Raises:
        HomeInvalid: The keys do not open.

    """
    keyring = Keyring.open(folder, log_name=log_name, now=now)
    log = keyring.log_keys
    age = _days_left("log", _written(folder, LOG_KEY), now)
    rows = [KeyRow(kind="log", state="signs", public=log.newest.vkey, days_left=age)]
    rows += [KeyRow(kind="log", state="signs beside it", public=signer.vkey) for signer in log.former]
    rows += [KeyRow(kind="log", state="retired", public=vkey) for vkey in log.retired]
    tokens, seals = keyring.tokens.files.states(), keyring.sealer.files.states()
    dated = [("tokens", each.key.kid, each.works_from, each.name, state) for each, state, _ in tokens]
    dated += [("sealing", each.key.name, each.works_from, each.name, state) for each, state, _ in seals]
    for kind, public, works_from, name, state in dated:
        left = None
        if state is KeyState.ACTIVE:
            left = _days_left(kind, works_from or _written(folder, name), now)
        rows.append(KeyRow(kind=kind, state=state, public=public, days_left=left))
    for kind, files in (("tokens", keyring.tokens.files), ("sealing", keyring.sealer.files)):
        rows += [KeyRow(kind=kind, state="revoked", public=public) for public in files.revoked()]
    return (*rows, *_pseudonym_rows(folder), *_RENEWED_BY_THEMSELVES)


def _pseudonym_rows(folder: Path) -> list[KeyRow]:
    """Return the epochs' keys by name, the newest first; they serve until two people give another."""
    if (whole := undivided(folder)) is not None:
        public = name_of(whole[0], 1, "key")
        return [KeyRow(kind="pseudonyms", state="undivided", public=public, note=UNDIVIDED)]
    states = (KeyState.ACTIVE, *[KeyState.RETIRED] * EPOCHS_MAX)
    epochs = enumerate(reversed(known_epochs(folder)))
    return [KeyRow(kind="pseudonyms", state=states[place], public=named.key) for place, named in epochs]


_RENEWED_BY_THEMSELVES: Final = (
    KeyRow(
        kind="openings",
        state=KeyState.ACTIVE,
        public="-",
        note="one a month and person, wrapped by sealing; destroyed by gateway audit erase",
    ),
    KeyRow(kind="nonces", state=KeyState.ACTIVE, public="-", note="made at each start, in memory alone"),
)


def warning_of(row: KeyRow) -> str | None:
    """Return what to tell of a key that should be replaced soon."""
    if row.note == UNDIVIDED:
        return UNDIVIDED
    if row.days_left is None or row.days_left > max(WARNED_AT):
        return None
    if row.kind == TLS:
        return f"the certificate of TLS ends in {row.days_left} days: renew it, then `kill -HUP` the gateway"
    if row.days_left < 0:
        return f"the {row.kind} key should have been replaced {-row.days_left} days ago: keys rotate"
    step = min(step for step in WARNED_AT if row.days_left <= step)
    return f"the {row.kind} key should be replaced within {step} days: gateway keys rotate --kind {row.kind}"


def _written(folder: Path, name: str) -> float:
    try:
        return (folder / name).stat().st_mtime
    except OSError as error:
        raise HomeInvalid(f"key file `{name}` cannot be read: {error.strerror}") from error


def _days_left(kind: str, began: float, now: Now) -> int:
    return int((began + DAYS[kind] * DAY_S - now()) // DAY_S)
