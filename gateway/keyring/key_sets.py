"""Public keys of another issuer, looked up by name and fetched anew in the background.

Laws: at most one fetch in ``cooldown_s``, however many tokens name keys that are not there; a fetch that
fails, or brings something that is no key set, changes nothing: the last good keys go on (RFC 7517, and
what befell others: a failed fetch that wiped the keys, an unknown ``kid`` that fetched without end).
What the issuer takes out of its set counts no more from the next fetch on. The last good set lies in a
file as well, for a process that starts while the issuer is out of reach.

Owner of the state: the event loop in which requests are verified.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gateway import jose, telemetry

REFRESH_S: Final = 300.0
COOLDOWN_S: Final = 30.0
FETCH_S: Final = 5.0
UNKNOWN_S: Final = 300.0
"""How long a key that was not there is not asked for again."""
UNKNOWN_MAX: Final = 128
DOCUMENT_BYTES_MAX: Final = 65_536
KEYS_MAX: Final = 32
KID_CHARACTERS_MAX: Final = 128

Fetch = Callable[[], Awaitable[bytes]]


class KeySet:
    """The keys of one issuer by ``kid``; none until the first fetch."""

    def __init__(
        self,
        name: str,
        fetch: Fetch,
        *,
        last_good: Path,
        refresh_s: float = REFRESH_S,
        cooldown_s: float = COOLDOWN_S,
    ) -> None:
        self._name = name
        self._fetch = fetch
        self._last_good = last_good
        self._refresh_s = refresh_s
        self._cooldown_s = cooldown_s
        self._keys: Mapping[str, jose.PublicKey] = MappingProxyType({})
        self._unknown: dict[str, float] = {}
        self._wanted = asyncio.Event()

    def get(self, kid: str, /) -> jose.PublicKey | None:
        """Return a key; one that is not there is looked for soon, once."""
        found = self._keys.get(kid)
        if found is None:
            self._miss(kid)
        return found

    def _miss(self, kid: str) -> None:
        now = time.monotonic()
        if self._unknown.get(kid, now) > now:
            return
        self._unknown.pop(kid, None)
        if len(self._unknown) >= UNKNOWN_MAX:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[kid] = now + UNKNOWN_S
        self._wanted.set()

    @asynccontextmanager
    async def kept_fresh(self) -> AsyncIterator[None]:
        """Fetch once, and then again and again until the block ends."""
        await self.refresh()
        keeping = asyncio.create_task(self._keep_fresh())
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(self._cooldown_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), self._refresh_s - self._cooldown_s)
            self._wanted.clear()
            await self.refresh()

    async def refresh(self) -> None:
        """Fetch the keys; keep the ones there are when that fails."""
        try:
            async with asyncio.timeout(FETCH_S):
                document = await self._fetch()
            self._keys = keys_of(document)
            await asyncio.to_thread(self._remember, document)
        except Exception as error:  # noqa: BLE001  whatever another machine does, known keys go on
            telemetry.log("issuer_keys_not_fetched", issuer=self._name, cause=type(error).__name__)
            if not self._keys:
                self._keys = await asyncio.to_thread(self._remembered)

    def _remember(self, document: bytes) -> None:
        """Replace the file as a whole; of several workers, whichever comes last."""
        fresh = self._last_good.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(document)
        fresh.replace(self._last_good)

    def _remembered(self) -> Mapping[str, jose.PublicKey]:
        try:
            return keys_of(self._last_good.read_bytes())
        except (OSError, ValueError):
            return MappingProxyType({})


def keys_of(document: bytes) -> Mapping[str, jose.PublicKey]:
    """Return the keys of a key set that are usable here (ES256 and EdDSA), by ``kid``.

    Raises:
        ValueError: No key set, too large, a ``kid`` twice, or nothing usable in it.

    """
    if len(document) > DOCUMENT_BYTES_MAX:
        raise ValueError("a key set is not so large")
    content = json.loads(document)
    jwks = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(jwks, list) or len(jwks) > KEYS_MAX:
        raise ValueError(f"a key set is an object with at most {KEYS_MAX} `keys`")
    named = [jwk for jwk in jwks if isinstance(jwk, dict) and _has_name(jwk.get("kid"))]
    if len({jwk["kid"] for jwk in named}) != len(named):
        raise ValueError("a key set names two keys alike")
    usable = {jwk["kid"]: key for jwk in named if (key := _usable(jwk)) is not None}
    if not usable:
        raise ValueError("no key of the set is usable here")
    return MappingProxyType(usable)


def _has_name(kid: object) -> bool:
    return isinstance(kid, str) and 0 < len(kid) <= KID_CHARACTERS_MAX


def _usable(jwk: Mapping[str, object]) -> jose.PublicKey | None:
    """Return a key for signatures of a kind that is used here; others may stand beside it."""
    if jwk.get("use", "sig") != "sig":
        return None
    try:
        return jose.key_of({name: value for name, value in jwk.items() if isinstance(value, str)})
    except ValueError:
        return None
