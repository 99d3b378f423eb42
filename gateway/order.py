"""The order of rows that one recipient sees: a keyed permutation of the places in a table.

Promise P8: two recipients' orders have nothing in common, so that two extracts do not align by position.
The permutation is a Feistel network over numbers of an even count of bits, its round function one AES-256
block: a random order for whoever has no key, and a place is found from its rank, or a rank from its place,
without looking at any other. Ranks whose place lies behind the table's end are skipped.
Source: NIST SP 800-38G (Feistel over small domains; its FF1 has ten rounds).

Not promised: that a table which grows past a power of four keeps its order.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ROUNDS: Final = 12
BITS_MAX: Final = 62

_Numbers = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Order:
    """One recipient's order of at most ``2 ** bits`` places."""

    key: bytes = field(repr=False)
    """32 bytes, this recipient's and this dataset's."""
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

    def first_of(self, places: pa.ChunkedArray, first: int, count: int) -> pa.Table:
        """Return ``place`` and ``rank`` of the lowest ``count`` of these places, from rank ``first`` on."""
        numbers = places.to_numpy().astype(np.uint64)
        ranks = self._ranks(numbers)
        behind = ranks >= first
        numbers, ranks = numbers[behind], ranks[behind]
        lowest = np.argsort(ranks)[:count]
        return _table(numbers[lowest], ranks[lowest])

    def _places(self, ranks: _Numbers) -> _Numbers:
        half, mask, cipher = self._parts()
        left, right = ranks >> half, ranks & mask
        for number in range(ROUNDS):
            left, right = right, left ^ _mixed(cipher, number, right) & mask
        return left << half | right

    def _ranks(self, places: _Numbers) -> _Numbers:
        half, mask, cipher = self._parts()
        left, right = places >> half, places & mask
        for number in reversed(range(ROUNDS)):
            left, right = right ^ _mixed(cipher, number, left) & mask, left
        return left << half | right

    def _parts(self) -> tuple[np.uint64, np.uint64, Cipher[modes.ECB]]:
        half = self.bits // 2
        # No two numbers of a round share a block, so there is nothing that a mode of chaining would hide.
        cipher = Cipher(algorithms.AES256(self.key), modes.ECB())  # noqa: S305
        return np.uint64(half), np.uint64((1 << half) - 1), cipher


def _mixed(cipher: Cipher[modes.ECB], number: int, halves: _Numbers) -> _Numbers:
    blocks = np.empty((len(halves), 2), dtype="<u8")
    blocks[:, 0] = number
    blocks[:, 1] = halves
    encryptor = cipher.encryptor()
    sealed = encryptor.update(blocks.tobytes()) + encryptor.finalize()
    return np.frombuffer(sealed, dtype="<u8")[::2]


def _table(places: _Numbers, ranks: _Numbers) -> pa.Table:
    return pa.table({"place": places.astype(np.int64), "rank": ranks.astype(np.int64)})
