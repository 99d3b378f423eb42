"""What any engine promises. One contract suite runs on every implementation.

* A value is what ``typed.py`` says it is, or NULL; no value causes an error.
* Integers are exact and equal, bit for bit, on every engine and source format.
* A failure is ``EngineFailed`` in constant words: it tells nothing of the data (promise P5).
"""

from typing import Protocol

from gateway.terms.dataset import Dataset
from gateway.terms.frame import UnprotectedFrame
from gateway.terms.plan import Plan


class Engine(Protocol):
    """Runs plans; holds no privacy state."""

    async def execute(self, plan: Plan) -> UnprotectedFrame:
        """Return ``UnprotectedRows`` for a rows plan, ``UnprotectedIntegers`` for a statistic.

        Raises:
            EngineFailed: Not answered, in time or at all.

        """

    async def check(self, dataset: Dataset) -> tuple[str, ...]:
        """Return one sentence for each reason why the dataset cannot be served, for its owner."""

    async def close(self) -> None:
        """Stop what runs and let go of the data."""
