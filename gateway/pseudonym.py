"""Keys for pseudonyms and the codec of tokens; masking makes tokens, the owner reverses them.

Promise P8: the same person has different tokens at different recipients, and the same token at one
recipient in every reply and in every dataset whose columns share the domain. A token is 128-bit blocks
that only the key's holder can make or read: a short identifier is one AES-256 block holding 64 bits
of it and 64 constant bits; any other text is AES-256-SIV (RFC 5297), padded so that its length tells
little. So a wrong key or a forged token is an error, never garbage. Not promised: equal values stay
equal inside one domain, so frequencies show; a column with few values must be generalised instead.
Source: EDPB Guidelines 01/2025 (pseudonymisation domain); keys by HKDF-SHA256 (RFC 5869).
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final, NoReturn, cast

import numpy as np
import numpy.typing as npt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

KEY_BYTES: Final = 32
PART_CHARS_MAX: Final = 200
EPOCH: Final = "1"
"""The first. Tokens and orders of one epoch agree; with another epoch's key all of them are others."""

TEXT_BYTES_MAX: Final = 1024
"""A longer text is no identifier and becomes null."""
_CODE_POINTS_MAX: Final = 2 * TEXT_BYTES_MAX
"""More never compose to that few bytes: a character of n bytes stands for at most 1.5 n code points."""
PREFIX: Final = "p1_"

KEYS_MAX: Final = 4096
"""Derived keys and ciphers that are kept: as secret as the master key, which is kept too."""

_Words = npt.NDArray[np.uint64]

_BLOCK_BYTES: Final = 16
_TAG: Final = b"gw1block"
"""The constant half of a short identifier's block: what makes a token recognise its key."""
_NOT_OURS: Final = "not a token of this key"


class PseudonymKey:
    """A handle over one epoch's 32-byte master secret; only derived keys leave it, and its repr hides it."""

    __slots__ = ("_derived", "_master", "epoch")

    def __init__(self, master: bytes, epoch: str = EPOCH) -> None:
        if len(master) != KEY_BYTES:
            raise ValueError(f"the master secret is not {KEY_BYTES} bytes")
        self._master = master
        self._derived = lru_cache(maxsize=KEYS_MAX)(self._derive)
        self.epoch: Final = epoch

    def __repr__(self) -> str:
        return "PseudonymKey(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not copied")

    def derive(self, purpose: str, domain: str, recipient: str, epoch: str) -> bytes:
        """Return the 32-byte key of one use; keys of two uses tell nothing of each other.

        Raises:
            ValueError: A part is empty, too long or holds the separator ``|``.

        """
        parts = (purpose, domain, recipient, epoch)
        if not all(0 < len(part) <= PART_CHARS_MAX and "|" not in part for part in parts):
            raise ValueError(f"a part of a key's name is 1 to {PART_CHARS_MAX} characters, none of them `|`")
        return self._derived("|".join(("gw1", *parts)))

    def _derive(self, name: str) -> bytes:
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=name.encode()).derive(self._master)

    def token_key(self, domain: str, recipient: str) -> bytes:
        """Return the key of one recipient's tokens in one domain, for ``tokens_of`` and ``value_of``."""
        return self.derive("token", domain, recipient, self.epoch)

    def order_key(self, recipient: str, dataset: str) -> bytes:
        """Return the key of the row order that one recipient sees in one dataset."""
        return self.derive("order", dataset, recipient, self.epoch)


def canonical(text: str) -> str | None:
    """Return a text as tokens name it: NFC, no space around; None if it is then empty or too long.

    Reversing a token gives back this spelling. Letter case stays: it cannot be reversed.
    """
    bare = text.strip()
    if len(bare) > _CODE_POINTS_MAX:  # NFC takes time in the square of a run of marks
        return None
    composed = bare if bare.isascii() else unicodedata.normalize("NFC", bare).strip()
    size = len(composed.encode())
    return composed if 0 < size <= TEXT_BYTES_MAX else None


def tokens_of(texts: Sequence[str | None], key: bytes) -> list[str | None]:
    """Return the token of each text under one recipient's key (promise P8); deterministic.

    Null, and a text that names nobody because it is empty or too long, become null.
    """
    if (plain := _plain_of(texts)) is not None:
        return [*_short_tokens(*plain, key)]  # the usual case, a column at a time
    spelled = {text: canonical(text) for text in set(texts) if text is not None}
    names = {name for name in spelled.values() if name is not None}
    short = [name for name in names if _SHORT_FORM.fullmatch(name)]
    tokens: dict[str | None, str] = dict(zip(short, _short_tokens(*_characters_of(short), key), strict=True))
    cipher = _text_cipher(key)
    for name in names - tokens.keys():
        tokens[name] = PREFIX + _spelled(cipher.encrypt(_padded(name.encode()), None))
    return [tokens.get(spelled.get(text)) if text is not None else None for text in texts]


def value_of(token: str, key: bytes) -> str:
    """Return the canonical text that a token stands for; only the owner has the key.

    Raises:
        ValueError: Not a token, one of another recipient, domain or epoch, or a forged one.

    """
    blocks = _blocks_of(token)
    if len(blocks) == _BLOCK_BYTES:
        decryptor = _block_cipher(key).decryptor()
        plain = decryptor.update(blocks) + decryptor.finalize()
        rank = int.from_bytes(plain[:8], "big")
        if plain[8:] != _TAG or rank >= _RANKS:
            raise ValueError(_NOT_OURS)
        return _text_of(rank)
    try:
        padded = _text_cipher(key).decrypt(blocks, None)
    except InvalidTag as error:
        raise ValueError(_NOT_OURS) from error
    return padded.rstrip(b"\0")[:-1].decode()


# --- Short identifiers: up to 12 capital letters and digits, or 13 to 17 of which all from the third on
# are digits (a 15-character health card, a 16-digit payment card). They are ranked by length, then as
# a number, so that leading zeros and width survive; every rank fits in 63 bits.

_SHORT_FORM: Final = re.compile(r"[0-9A-Z]{1,12}|[0-9A-Z]{2}[0-9]{11,15}")
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_RADIXES: Final = tuple((36,) * n if n <= 12 else (36, 36) + (10,) * (n - 2) for n in range(1, 18))  # noqa: PLR2004 - the form above
_WEIGHTS: Final = tuple(
    tuple(accumulate(radixes[:0:-1], int.__mul__, initial=1))[::-1] for radixes in _RADIXES
)
_STARTS: Final = tuple(accumulate((w[0] * r[0] for w, r in zip(_WEIGHTS, _RADIXES, strict=True)), initial=0))
"""Rank of the first text of each length from 1; the last is the number of ranks."""
_RANKS: Final = _STARTS[-1]

_PLAIN_LENGTHS: Final = frozenset(range(1, 13))
_IS_DIGIT: Final = np.zeros(256, dtype=np.bool_)
_IS_DIGIT[np.frombuffer(_DIGITS.encode(), dtype=np.uint8)] = True
_DIGIT_OF: Final = np.zeros(256, dtype=np.uint64)
_DIGIT_OF[np.frombuffer(_DIGITS.encode(), dtype=np.uint8)] = np.arange(len(_DIGITS))


_Characters = tuple[npt.NDArray[np.uint8], list[int]]
"""The bytes of ASCII texts, one text after the other, and how many bytes each has."""


def _plain_of(texts: Sequence[str | None]) -> _Characters | None:
    """Return the characters of texts that are canonical and all of the first, simpler short form."""
    if None in texts or not texts:
        return None
    there = cast("Sequence[str]", texts)
    if not "".join(there).isascii():
        return None
    if not set(map(len, there)) <= _PLAIN_LENGTHS:
        return None
    characters, lengths = _characters_of(there)
    return (characters, lengths) if _IS_DIGIT.take(characters).all() else None


def _characters_of(texts: Sequence[str]) -> _Characters:
    return np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8), list(map(len, texts))


def _ranks_of(characters: npt.NDArray[np.uint8], lengths: list[int]) -> _Words:
    """Return the rank of each short identifier."""
    different = set(lengths)
    if len(different) == 1:
        return _ranks_at(characters, *different)
    ranks, sizes = np.empty(len(lengths), dtype=np.uint64), np.array(lengths)
    for length in different:
        chosen = sizes == length
        ranks[chosen] = _ranks_at(characters[np.repeat(chosen, sizes)], length)
    return ranks


def _ranks_at(characters: npt.NDArray[np.uint8], length: int) -> _Words:
    """Return the ranks of short identifiers of one length."""
    weights = np.array(_WEIGHTS[length - 1], dtype=np.uint64)
    return _DIGIT_OF.take(characters).reshape(-1, length) @ weights + np.uint64(_STARTS[length - 1])


def _text_of(rank: int) -> str:
    """Return the short identifier of a rank."""
    place = bisect_right(_STARTS, rank) - 1
    rest = rank - _STARTS[place]
    characters = []
    for weight in _WEIGHTS[place]:
        digit, rest = divmod(rest, weight)
        characters.append(_DIGITS[digit])
    return "".join(characters)


def _short_tokens(characters: npt.NDArray[np.uint8], lengths: list[int], key: bytes) -> list[str]:
    """Return one-block tokens: rank and constant, encrypted together."""
    plain = np.empty((len(lengths), 2), dtype=">u8")
    plain[:, 0] = _ranks_of(characters, lengths)
    plain[:, 1] = int.from_bytes(_TAG, "big")
    encryptor = _block_cipher(key).encryptor()
    text = _spelled(encryptor.update(plain.tobytes()) + encryptor.finalize())
    return [PREFIX + text[start : start + _BLOCK_CHARS] for start in range(0, len(text), _BLOCK_CHARS)]


def _padded(text: bytes) -> bytes:
    """Return the text, a byte 0x80 and zeros up to whole blocks (ISO/IEC 9797-1 padding method 2)."""
    return text + b"\x80" + bytes(-(len(text) + 1) % _BLOCK_BYTES)


@lru_cache(maxsize=KEYS_MAX)
def _block_cipher(key: bytes) -> Cipher[modes.ECB]:
    # SECURITY: ECB is right here and only here: every message is one block, equal values must get equal
    # tokens, and a block cipher on distinct blocks is a keyed permutation.
    return Cipher(algorithms.AES(_expanded(key, b"gw1|block", 32)), modes.ECB())  # noqa: S305 - one block


@lru_cache(maxsize=KEYS_MAX)
def _text_cipher(key: bytes) -> AESSIV:
    return AESSIV(_expanded(key, b"gw1|text", 64))


def _expanded(key: bytes, info: bytes, length: int) -> bytes:
    return HKDFExpand(algorithm=SHA256(), length=length, info=info).derive(key)


# --- Text of a block: consonant and base32 character in turn, so that no two digits are neighbours and
# no token looks like a phone or identity number to a search for digit runs. Each 64-bit half gives
# seven pairs of nine bits, the two bits left over give a last consonant: 29 characters.

_CONSONANTS: Final = "bcdfghjkmnpqrstv"
_BASE32: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple(c + b for c in _CONSONANTS for b in _BASE32)
_PAIR_VALUES: Final = {pair: value for value, pair in enumerate(_PAIRS)}
_SHIFTS: Final = np.arange(55, 0, -9, dtype=np.uint64)
_BLOCK_CHARS: Final = 29
_BLOCKS_MAX: Final = TEXT_BYTES_MAX // _BLOCK_BYTES + 2
_PAIR_CHARS: Final = np.frombuffer("".join(_PAIRS).encode(), dtype=np.uint16)
_LAST_CHARS: Final = np.frombuffer(_CONSONANTS[:4].encode(), dtype=np.uint8)


def _spelled(blocks: bytes) -> str:
    """Return the text of so many blocks."""
    halves = np.frombuffer(blocks, dtype=">u8").astype(np.uint64).reshape(-1, 2)
    pairs = _PAIR_CHARS.take((halves[:, :, np.newaxis] >> _SHIFTS) & np.uint64(511))
    characters = np.empty((len(halves), _BLOCK_CHARS), dtype=np.uint8)
    characters[:, :28] = pairs.view(np.uint8).reshape(-1, 28)
    characters[:, 28] = _LAST_CHARS[
        (halves[:, 0] & np.uint64(1)) * np.uint64(2) + (halves[:, 1] & np.uint64(1))
    ]
    return characters.tobytes().decode("ascii")


def _blocks_of(token: str) -> bytes:
    """Return the blocks of a token's text; there is exactly one spelling of every block.

    Raises:
        ValueError: Another prefix, alphabet or length.

    """
    text = token.removeprefix(PREFIX)
    count, rest = divmod(len(text), _BLOCK_CHARS)
    if text == token or rest or not 0 < count <= _BLOCKS_MAX:
        raise ValueError(_NOT_OURS)
    starts = range(0, len(text), _BLOCK_CHARS)
    return b"".join(_block_of(text[start : start + _BLOCK_CHARS]) for start in starts)


def _block_of(text: str) -> bytes:
    pairs = [_PAIR_VALUES.get(text[place : place + 2], -1) for place in range(0, 28, 2)]
    last = _CONSONANTS[:4].find(text[28])
    if min(*pairs, last) < 0:
        raise ValueError(_NOT_OURS)
    return _half(pairs[:7], last >> 1) + _half(pairs[7:], last & 1)


def _half(pairs: Iterable[int], last_bit: int) -> bytes:
    number = 0
    for pair in pairs:
        number = number << 9 | pair
    return (number << 1 | last_bit).to_bytes(8, "big")
