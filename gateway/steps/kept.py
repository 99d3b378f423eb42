"""Rows that were charged, kept sealed for ten minutes, so that a lost answer is not paid twice.

What an idempotency key stands for is in the ledger for ever; rows are personal data, so they are not: they
lie in the state of this boot (``ledger/volatile.py``), sealed, and a repeat after that is told so. A
statistic's answer is noise and stays in the ledger. Docs: decisions/0017.
"""

from dataclasses import dataclass, field
from typing import Final

from gateway.clock import Clock, unix_ms
from gateway.errors import AnswerGone
from gateway.keyring.keyring import SealingKeys
from gateway.ledger.volatile import Volatile

KEPT_MS: Final = 10 * 60 * 1000
_KIND: Final = "answer"


@dataclass(frozen=True, slots=True)
class Kept:
    """Answers by the index of their charge. Used from the event loop's thread only."""

    volatile: Volatile
    sealer: SealingKeys = field(repr=False)
    clock: Clock

    def put(self, charge_index: int, answer: bytes) -> None:
        """Keep an answer; nobody is given it before its charge is released."""
        now_ms = unix_ms(self.clock.now())
        sealed = self.sealer.seal(_purpose(charge_index), answer)
        self.volatile.put(_KIND, str(charge_index), sealed, now_ms + KEPT_MS, now_ms=now_ms)

    def get(self, charge_index: int) -> bytes:
        """Return an answer.

        Raises:
            AnswerGone: Ten minutes are over, or the gateway was started anew.

        """
        sealed = self.volatile.get(_KIND, str(charge_index), now_ms=unix_ms(self.clock.now()))
        if sealed is None:
            raise AnswerGone(
                "rows are kept ten minutes for a repeat; ask again under a new `Idempotency-Key`"
            )
        return self.sealer.unseal(_purpose(charge_index), sealed)


def _purpose(charge_index: int) -> str:
    """Return what a sealed answer serves for, so that no two can be exchanged."""
    return f"{_KIND} {charge_index}"
