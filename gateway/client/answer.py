"""An answer of the gateway: its exact bytes, and the same as a table (``frame.py``)."""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.client.receipt import StoredReceipt
from gateway.terms.identifiers import Thumbprint

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]  # pandas ships no types


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, complete, with its receipt."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    receipt: StoredReceipt | None = field(default=None, repr=False)
    next_cursor: str | None = field(default=None, repr=False)
    """Where the next page of rows begins; None on the last one."""
    encrypted_to: Thumbprint | None = None
    """Of our keys, the one that the body was encrypted to on its way; None: it came in clear."""

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document of the body."""
        document = json.loads(self.body)
        if not isinstance(document, dict):
            raise ValueError("the answer is not a JSON object")  # noqa: TRY004  a value from outside
        return document

    def frame(self) -> "pd.DataFrame":
        """Return the rows as a pandas frame; a noisy value is followed by its ``<name>_margin``."""
        # pandas takes longer to load than most answers take to come, and most commands do without it.
        from gateway.client.frame import frame_of  # noqa: PLC0415

        return frame_of(self.document, self.receipt)
