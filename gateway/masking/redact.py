"""Nothing of a value is shown, only that its column exists."""

import pyarrow as pa


def redacted(values: pa.Array) -> pa.Array:
    """Return as many nulls of the same type."""
    return pa.nulls(len(values), values.type)
