"""What any engine promises. One contract suite runs on every implementation.

* A value is what ``typed.py`` says it is, or NULL; no value causes an error.
* Integers are exact and equal, bit for bit, on every engine and source format.
* A failure is ``EngineFailed`` in constant words: it tells nothing of the data (promise P5).
"""

from collections.abc import Collection
from typing import Protocol

from gateway.terms.dataset import Dataset
from gateway.terms.frame import UnprotectedFrame
from gateway.terms.identifiers import DatasetId
from gateway.terms.plan import Plan


class Engine(Protocol):
    """Runs plans; holds no privacy state."""

    async def execute(self, plan: Plan) -> UnprotectedFrame:
        """Return ``UnprotectedRows`` for a rows plan, ``UnprotectedIntegers`` for a statistic.

        Raises:
            EngineFailed: Not answered, in time or at all.
            DataChanged: The plan goes on from a page of another state of the source.

        """

    async def check(self, dataset: Dataset) -> tuple[str, ...]:
        """Make ready what questions need; return one sentence for each reason why that cannot be.

        For the owner, and before the dataset is served: a large source takes a while.
        """

    async def reads(self, dataset: Dataset) -> frozenset[tuple[int, int]]:
        """Return device and inode of each file that the source is now; none if it is no file."""

    async def retain(self, datasets: Collection[DatasetId]) -> None:
        """Let go of what was made ready for any other dataset, now or at an earlier start."""

    async def close(self) -> None:
        """Stop what runs and let go of the data."""
