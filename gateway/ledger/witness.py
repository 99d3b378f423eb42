"""One witness, over HTTP (c2sp.org/tlog-witness): what it remembers of our log, and its cosignature.

    GET  <url>/<hex SHA-256 of the origin>/checkpoint    the latest checkpoint it cosigned; 404: none
    POST <url>/add-checkpoint                            old size, consistency proof, our checkpoint

A witness is outside and may fail, hang or lie. What it says counts only where a signature holds: ours,
for what it remembers; its own, for a cosignature. Answers are bounded in bytes and seconds.
"""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

import aiohttp

from gateway.transparency.cosignature import cosignatures, with_cosignature
from gateway.transparency.note import NOTE_BYTES_MAX
from gateway.transparency.proof import Checkpoint, parse_size, verify_checkpoint
from gateway.transparency.tree import ProofInvalid
from gateway.transparency.trust import Witness

ANSWER_S: Final = 10.0
_SIZE_TYPE: Final = "text/x.tlog.size"

Consistency = Callable[[int, int], Awaitable[list[bytes]]]


class Outcome(StrEnum):
    """What came of asking; the values are labels of a metric."""

    COSIGNED = "cosigned"
    UNKNOWN_LOG = "unknown-log"
    """404: it was not told of this log."""
    KEY_REFUSED = "key-refused"
    """403: it does not know the key that signed."""
    PROOF_REFUSED = "proof-refused"
    """422: the checkpoint does not follow from the one it remembers."""
    CONFLICT = "conflict"
    """409 again after its own size was used, or a size that our log has not reached."""
    UNBELIEVABLE = "unbelievable"
    """A signature that does not hold, or an answer of no form."""
    UNREACHED = "unreached"
    """No answer in time, or another status."""


_STATUS: Final = {
    403: Outcome.KEY_REFUSED,
    404: Outcome.UNKNOWN_LOG,
    409: Outcome.CONFLICT,
    422: Outcome.PROOF_REFUSED,
}


class WitnessFailed(Exception):
    """The witness gave nothing that counts."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


class WitnessClient:
    """State: the size that the witness cosigned last, as far as we know. One caller at a time."""

    def __init__(self, witness: Witness, session: aiohttp.ClientSession, *, origin: str, vkeys: str) -> None:
        self.witness = witness
        self._session = session
        self._latest = f"{witness.url}/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint"
        self._vkeys = vkeys
        self._size = 0

    async def latest(self) -> tuple[Checkpoint | None, bool]:
        """Return what it remembers of our log, and whether it said so under its own signature.

        Nothing remembered is (None, True). Our own signature on a checkpoint is proof of what was
        signed, whoever shows it; only its own makes the answer count as this witness's.

        Raises:
            WitnessFailed: No answer, or one that shows no checkpoint of ours.

        """
        status, _, body = await self._asked("GET", self._latest, b"")
        if status == 404:  # noqa: PLR2004 -- the statuses of the specification
            return None, True
        if status != 200:  # noqa: PLR2004
            raise WitnessFailed(Outcome.UNREACHED)
        try:
            checkpoint = verify_checkpoint(body, self._vkeys)
        except ProofInvalid as error:
            raise WitnessFailed(Outcome.UNBELIEVABLE) from error
        try:
            own = bool(cosignatures(body, [self.witness.vkey]))
        except ProofInvalid:
            own = False
        self._size = checkpoint.size
        return checkpoint, own

    async def cosigned(self, note: bytes, size: int, consistency: Consistency) -> bytes:
        """Return our note with this witness's cosignature on it.

        Raises:
            WitnessFailed: It did not cosign; ``outcome`` says why.

        """
        for _ in range(2):  # what we know of it, and once more with what it says itself
            if self._size > size:
                self._size = 0  # it may have lied; next time it is asked afresh
                raise WitnessFailed(Outcome.CONFLICT)
            proof = await consistency(self._size, size)
            body = _request(self._size, proof, note)
            status, content_type, answer = await self._asked(
                "POST", self.witness.url + "/add-checkpoint", body
            )
            if status == 200:  # noqa: PLR2004
                try:
                    joined = with_cosignature(note, answer, self.witness.vkey)
                except ProofInvalid as error:
                    raise WitnessFailed(Outcome.UNBELIEVABLE) from error
                self._size = size
                return joined
            if status != 409 or content_type != _SIZE_TYPE:  # noqa: PLR2004
                raise WitnessFailed(_STATUS.get(status, Outcome.UNREACHED))
            self._size = _size(answer)
        raise WitnessFailed(Outcome.CONFLICT)

    async def _asked(self, method: str, url: str, body: bytes) -> tuple[int, str, bytes]:
        """Return status, content type and body, of which a note's length is read and little more."""
        try:
            async with (
                asyncio.timeout(ANSWER_S),
                self._session.request(method, url, data=body or None, allow_redirects=False) as response,
            ):
                answer = await response.content.read(NOTE_BYTES_MAX + 1)
                while len(answer) <= NOTE_BYTES_MAX and (more := await response.content.readany()):
                    answer += more
                return response.status, response.content_type, answer
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise WitnessFailed(Outcome.UNREACHED) from error


def _request(old: int, proof: list[bytes], note: bytes) -> bytes:
    lines = "".join(f"{base64.b64encode(node).decode('ascii')}\n" for node in proof)
    return f"old {old}\n{lines}\n".encode("ascii") + note


def _size(answer: bytes) -> int:
    try:
        return parse_size(answer.decode("ascii").removesuffix("\n"))
    except (UnicodeDecodeError, ProofInvalid) as error:
        raise WitnessFailed(Outcome.UNBELIEVABLE) from error
