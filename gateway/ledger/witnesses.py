"""The log's head, held against people outside: at the start, and all the time.

At the start, before anything is appended or signed, every witness is asked what it remembers of this log.
If one shows a head with our signature that the ledger is behind, or does not contain, there is no service:
an old backup, a cut tail, a second gateway on a copy. From then on each new head is cosigned; the last one
that a quorum cosigned is kept and served at ``/checkpoint``. A witness that cannot be reached at the start
counts as missing from the quorum (docs/decisions/0009-witnesses-at-the-start.md), and so does one that has
forgotten a head it cosigned.

Owner of the state: the event loop that opened it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from gateway import telemetry
from gateway.errors import HomeInvalid, LedgerUnavailable
from gateway.ledger.head_file import require_contained, require_reached, write_head
from gateway.ledger.tile_reader import TileReader
from gateway.ledger.witness import Outcome, WitnessClient, WitnessFailed
from gateway.settings import NOBODY, Settings
from gateway.transparency.cosignature import cosignatures
from gateway.transparency.note import joined, split
from gateway.transparency.proof import Checkpoint, verify_checkpoint
from gateway.transparency.tree import ProofInvalid
from gateway.transparency.trust import NONE, Trust, TrustInvalid, parse_trust

Head = Callable[[], Awaitable[bytes]]
_LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}


class Witnesses:
    """Everybody whom the policy names with an address. Made by ``watched``."""

    def __init__(
        self,
        trust: Trust,
        clients: list[WitnessClient],
        *,
        vkeys: str,
        head: Head,
        tiles: TileReader,
        kept: Path,
        interval_s: float,
    ) -> None:
        self._trust = trust
        self._clients = clients
        self.vkeys = vkeys
        """What the log signs and signed with; replaced where it gets another key."""
        self._head = head
        self._tiles = tiles
        self._kept = kept
        self._interval_s = interval_s
        for client in clients:
            telemetry.witness_cosigned(client.witness.name)

    async def published(self) -> bytes:
        """Return the newest head that a quorum cosigned; before there is one, the newest signed."""
        if self._clients:
            with contextlib.suppress(FileNotFoundError):
                return self._kept.read_bytes()
        return await self._head()

    async def check(self, *, quorum: bool) -> None:
        """Hold the ledger against what was kept and what every witness remembers.

        Raises:
            HomeInvalid: The ledger is behind a head that was signed, or does not contain it; or, with
                ``quorum``, too few witnesses answered to say so.

        """
        kept = self._kept_note()
        if kept is not None:
            await self._require(_believed(kept, self.vkeys), "were cosigned")
        answers = await asyncio.gather(*[self._remembered(client, kept) for client in self._clients])
        if quorum and not self._trust.is_quorum({name for name in answers if name is not None}):
            raise HomeInvalid(
                "too few of the log's witnesses answered, so nobody outside confirms that this ledger is the "
                "newest; reach them, or set `witness_start` to `alone`"
            )

    async def ask(self) -> bool:
        """Ask everybody to cosign the newest head; return whether a quorum did and it is kept.

        Raises:
            HomeInvalid: A witness shows a head of ours that the ledger is behind or does not contain.

        """
        note = await self._head()
        size = verify_checkpoint(note, self.vkeys).size
        notes = await asyncio.gather(*[self._cosigned(client, note, size) for client in self._clients])
        text, signatures = split(note)
        for cosigned in notes:
            signatures += [line for line in split(cosigned)[1] if line not in signatures]
        together = joined(text, signatures)
        try:
            self._trust.require(together, self.vkeys)
        except ProofInvalid:
            return False
        await asyncio.to_thread(write_head, self._kept, together)
        return True

    @asynccontextmanager
    async def asked(self, *, on_fork: Callable[[], None]) -> AsyncIterator[None]:
        """Ask again and again until the block ends; ``on_fork`` ends the process, should it come to that.

        Raises:
            HomeInvalid: As for ``ask``, which is tried once before the block begins.

        """
        if self._clients:
            await self._ask_or_tell()
        asking = asyncio.create_task(self._keep_asking(on_fork))
        try:
            yield
        finally:
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking

    async def _keep_asking(self, on_fork: Callable[[], None]) -> None:
        while self._clients:
            await asyncio.sleep(self._interval_s)
            try:
                await self._ask_or_tell()
            except HomeInvalid as error:
                telemetry.log("log_forked", detail=error.detail)
                on_fork()
                return

    async def _ask_or_tell(self) -> None:
        """Ask; what keeps us from asking, or from keeping the answer, is over by another time."""
        try:
            await self.ask()
        except (LedgerUnavailable, OSError) as error:
            telemetry.log("witnesses_not_asked", cause=type(error).__name__)

    async def _remembered(self, client: WitnessClient, kept: bytes | None) -> str | None:
        """Return the witness's name if its answer counts.

        Who cosigned the head that was ``kept`` and remembers nothing has lost its memory, or is another.
        """
        try:
            checkpoint, own = await client.latest()
        except WitnessFailed as failure:
            telemetry.witness_answered(client.witness.name, failure.outcome)
            return None
        if checkpoint is not None:
            await self._require(checkpoint, f"are remembered by witness `{client.witness.name}`")
        elif kept is not None and _is_by(kept, client.witness.vkey):
            telemetry.witness_answered(client.witness.name, Outcome.UNKNOWN_LOG)
            return None
        return client.witness.name if own else None

    async def _cosigned(self, client: WitnessClient, note: bytes, size: int) -> bytes:
        """Return the note with the witness's cosignature, or as it was."""
        name = client.witness.name
        try:
            cosigned = await client.cosigned(note, size, self._tiles.consistency)
        except WitnessFailed as failure:
            telemetry.witness_answered(name, failure.outcome)
            if failure.outcome in {Outcome.CONFLICT, Outcome.PROOF_REFUSED}:
                await self._remembered(client, None)  # with our signature on it, it is the proof of a fork
            return note
        telemetry.witness_answered(name, Outcome.COSIGNED)
        telemetry.witness_cosigned(name)
        return cosigned

    async def _require(self, head: Checkpoint, told: str) -> None:
        require_reached(head, await self._tiles.size(), told)
        require_contained(head, await self._tiles.root_at(head.size), told)

    def _kept_note(self) -> bytes | None:
        if not self._clients:
            return None
        try:
            return self._kept.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HomeInvalid(f"the ledger's cosigned head cannot be read: {error.strerror}") from error


def _believed(kept: bytes, vkeys: str) -> Checkpoint:
    try:
        return verify_checkpoint(kept, vkeys)
    except ProofInvalid as error:
        raise HomeInvalid(f"the ledger's cosigned head cannot be believed: {error}") from error


def _is_by(kept: bytes, vkey: str) -> bool:
    """Return whether a note carries a line of this witness, even one that does not hold."""
    try:
        return bool(cosignatures(kept, [vkey]))
    except ProofInvalid:
        return True


@asynccontextmanager
async def watched(
    home: Path, settings: Settings, *, vkeys: str, head: Head, tiles: TileReader
) -> AsyncIterator[Witnesses]:
    """Open the witnesses of a home, hold the ledger against them, and let them go at the end.

    The ledger is open and has not started: nothing may be signed that a witness would show to be a fork.
    ``vkeys`` are all that the log ever signed with.

    Raises:
        HomeInvalid: As for ``check``; or the policy file cannot be read, or does not say whom to ask.

    """
    trust = Trust(logs="", witnesses=(), quorum=NONE)
    if settings.witness_policy != NOBODY:
        trust = _read(home / settings.witness_policy)
    timeout = aiohttp.ClientTimeout(total=None)  # each question has its own
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False, auto_decompress=False) as session:
        witnesses = Witnesses(
            trust,
            [
                WitnessClient(witness, session, origin=settings.log_origin, vkeys=vkeys)
                for witness in trust.witnesses
                if witness.url
            ],
            vkeys=vkeys,
            head=head,
            tiles=tiles,
            kept=home / "ledger" / "cosigned",
            interval_s=settings.witness_interval_s,
        )
        await witnesses.check(quorum=settings.witness_start == "quorum")
        yield witnesses


def _read(policy: Path) -> Trust:
    try:
        trust = parse_trust(policy.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise HomeInvalid(f"the witnesses' policy file `{policy.name}` cannot be read") from error
    except TrustInvalid as error:
        raise HomeInvalid(f"`{policy.name}`: {error}") from error
    for witness in trust.witnesses:
        address = urlsplit(witness.url)
        if witness.url and address.scheme != "https" and address.hostname not in _LOOPBACK:
            raise HomeInvalid(f"the address of witness `{witness.name}` is not https")
    return trust
