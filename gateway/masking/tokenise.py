"""A pseudonym in place of an identifier; ``gateway.pseudonym`` is the codec (promise P8).

An integer is tokenised as its decimal digits, so a text column and an integer column of one domain join.
Numbers cannot hold leading zeros: identifiers that have them must be declared as text.
"""

import pyarrow as pa

from gateway.pseudonym import tokens_of


def tokenised(values: pa.Array, key: bytes) -> pa.Array:
    """Return a token of each text or integer; null for null, for empty text and for any other type."""
    if pa.types.is_string(values.type) or pa.types.is_integer(values.type):
        return tokens_of(values.cast(pa.string()), key)
    return pa.nulls(len(values), pa.string())
