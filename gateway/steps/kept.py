"""Rows that were charged, kept sealed for ten minutes, so that a lost answer is not paid twice.

What an idempotency key stands for is in the ledger for ever; rows are personal data, so they are not: they
lie in the state of this boot (``ledger/volatile.py``), sealed under a key that only the memory of this
boot has, and a repeat after that is told so. A statistic's answer is noise and stays in the ledger.
Docs: decisions/0017.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from gateway.clock import Clock, unix_ms
from gateway.errors import AnswerGone
from gateway.keyring.handles import Sealer
from gateway.ledger.volatile import Volatile
from gateway.terms.plan import LookupPlan, StatisticPlan

KEPT_MS: Final = 10 * 60 * 1000
_KIND: Final = "answer"
_RULES_HEX: Final = 64


@dataclass(frozen=True, slots=True)
class Kept:
    """Answers by the index of their charge. Used from the event loop's thread only."""

    volatile: Volatile
    sealer: Sealer = field(repr=False)
    clock: Clock

    @classmethod
    def of_boot(cls, volatile: Volatile, secret: bytes, clock: Clock) -> "Kept":
        """Return what one boot keeps; its ``secret`` is on no disk, so nothing there opens an answer."""
        return cls(volatile, Sealer(hmac.digest(secret, b"gw1|kept-answers", hashlib.sha256)), clock)

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


def with_rules(plan: LookupPlan | StatisticPlan, content_type: str, body: bytes) -> bytes:
    """Return an answer as it is kept, beside the rules that it was made under."""
    return f"{_rules_of(plan)}{content_type}\n".encode() + body


def without_rules(plan: LookupPlan | StatisticPlan, answer: bytes) -> tuple[str, bytes]:
    """Return content type and body of an answer made under the very rules that a repeat was planned under.

    SECURITY: else the repeat's entry would name rules that this answer does not obey (promise P3).

    Raises:
        AnswerGone: It was made under others.

    """
    if answer[:_RULES_HEX] != _rules_of(plan).encode():
        raise AnswerGone("the rules changed since this was answered; ask again under a new `Idempotency-Key`")
    content_type, _, body = answer[_RULES_HEX:].partition(b"\n")
    return content_type.decode(), body


def _rules_of(plan: LookupPlan | StatisticPlan) -> str:
    """Return a digest of all that decided; a statistic's own digest is one."""
    return plan.rules if isinstance(plan, LookupPlan) else plan.digest


def _purpose(charge_index: int) -> str:
    """Return what a sealed answer serves for, so that no two can be exchanged."""
    return f"{_KIND} {charge_index}"
