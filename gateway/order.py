"""The order of rows that one recipient sees of one question and one state of the data.

Promise P8: two orders have nothing in common, so that two extracts do not align by position. ``key_of``
makes a key of its own for each recipient, question and state of the source. The state is in it because a
source that shifts by one row would else show its own order: who compares two orders of the same places
sees which row stands next to which, and two who see that align all.

Rows of an upstream's reply are sorted by a stream under that key. A table's places go through a keyed
permutation, a Feistel network over numbers of an even count of bits, its round function one AES-256
block: a random order for whoever has no key, and a place is found from its rank, or a rank from its place,
without looking at any other. Ranks whose place lies behind the table's end are skipped.
Source: NIST SP 800-38G (Feistel over small domains; its FF1 has ten rounds).
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ROUNDS: Final = 12
BITS_MAX: Final = 62

_Numbers = npt.NDArray[np.uint64]


def key_of(order_key: bytes, *, of: str, digest: str, state: bytes) -> bytes:
    """Return the key of one order.

    Args:
        order_key: The recipient's and dataset's secret.
        of: What is ordered: two uses of one secret have no key in common.
        digest: The question's, in hex.
        state: What the source's state is known by; another state is another order.

    """
    return hmac.digest(order_key, f"order of a {of}\0{digest}\0".encode() + state, hashlib.sha256)


def order_of_reply(count: int, key: bytes) -> _Numbers:
    """Return a number for each of so many rows of one reply, to sort them by: 64 bits of one stream."""
    return np.frombuffer(hashlib.shake_256(key).digest(8 * count), dtype="<u8")


@dataclass(frozen=True, slots=True)
class Order:
    """One recipient's order of at most ``2 ** bits`` places."""

    key: bytes = field(repr=False)
    """32 bytes, from ``key_of``."""
    bits: int

    def __post_init__(self) -> None:
        if self.bits % 2 or not 2 <= self.bits <= BITS_MAX:  # noqa: PLR2004  two halves of a bit at least
            raise ValueError("an order has an even count of bits")

    @classmethod
    def of(cls, rows: int, key: bytes) -> "Order":
        """Return the order of a table of so many rows."""
        bits = (rows - 1).bit_length() if rows > 1 else 0
        return cls(key, max(2, bits + bits % 2))

    @property
    def ranks(self) -> int:
        """The ranks that there are, from 0; those of no row are among them."""
        return 1 << self.bits

    def rows_at(self, first: int, count: int, *, rows: int) -> pa.Table:
        """Return ``place`` and ``rank`` of the rows among ``count`` ranks from ``first``."""
        ranks = np.arange(first, min(first + count, self.ranks), dtype=np.uint64)
        places = self._places(ranks)
        chosen = places < rows
        return _table(places[chosen], ranks[chosen])

    def first_of(self, places: Iterable[npt.NDArray[np.int64]], first: int, count: int) -> pa.Table:
        """Return ``place`` and ``rank`` of the lowest ``count`` of these places, from rank ``first`` on.

        The places come in parts, no two of which are in memory together.
        """
        lowest = np.empty(0, dtype=np.uint64)
        for part in places:
            ranks = self._ranks(part.astype(np.uint64))
            lowest = np.sort(np.concatenate([lowest, ranks[ranks >= first]]))[:count]
        return _table(self._places(lowest), lowest)

    def first_of_each(
        self, groups: npt.NDArray[np.int64], places: npt.NDArray[np.int64], count: int
    ) -> pa.Table:
        """Return ``nth``, ``group``, ``place`` of the lowest ``count`` of each group's places, by rank."""
        by_rank = np.lexsort((self._ranks(places.astype(np.uint64)), groups))
        ordered = groups[by_rank]
        nth = np.arange(len(ordered)) - np.searchsorted(ordered, ordered, side="left")
        chosen = by_rank[nth < count]
        return pa.table({"nth": np.arange(len(chosen)), "group": groups[chosen], "place": places[chosen]})

    def _places(self, ranks: _Numbers) -> _Numbers:
        half, mask, cipher = self._parts()
        left, right = ranks >> half, ranks & mask
        for number in range(ROUNDS):
            left, right = right, left ^ self._mixed(cipher, number, right) & mask
        return left << half | right

    def _ranks(self, places: _Numbers) -> _Numbers:
        half, mask, cipher = self._parts()
        left, right = places >> half, places & mask
        for number in reversed(range(ROUNDS)):
            left, right = right ^ self._mixed(cipher, number, left) & mask, left
        return left << half | right

    def _parts(self) -> tuple[np.uint64, np.uint64, Cipher[modes.ECB]]:
        half = self.bits // 2
        # No two numbers of a round share a block, so there is nothing that a mode of chaining would hide.
        cipher = Cipher(algorithms.AES256(self.key), modes.ECB())  # noqa: S305
        return np.uint64(half), np.uint64((1 << half) - 1), cipher

    def _mixed(self, cipher: Cipher[modes.ECB], number: int, halves: _Numbers) -> _Numbers:
        blocks = np.empty((len(halves), 2), dtype="<u8")
        blocks[:, 0] = self.bits << 8 | number  # orders of two sizes have no round in common
        blocks[:, 1] = halves
        encryptor = cipher.encryptor()
        sealed = encryptor.update(blocks.tobytes()) + encryptor.finalize()
        return np.frombuffer(sealed, dtype="<u8")[::2]


def _table(places: _Numbers, ranks: _Numbers) -> pa.Table:
    return pa.table({"place": places.astype(np.int64), "rank": ranks.astype(np.int64)})
