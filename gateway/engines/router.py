"""One engine in front of several: what a plan's source is decides who answers it."""

from collections.abc import Collection
from dataclasses import dataclass

from gateway.engines.port import Engine
from gateway.terms.dataset import Dataset, SourceFormat
from gateway.terms.frame import UnprotectedFrame
from gateway.terms.identifiers import DatasetId
from gateway.terms.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRouter:
    """The port over files and over HTTP interfaces."""

    files: Engine
    upstream: Engine

    async def execute(self, plan: Plan) -> UnprotectedFrame:
        return await self._of(plan.dataset).execute(plan)

    async def check(self, dataset: Dataset) -> tuple[str, ...]:
        return await self._of(dataset).check(dataset)

    async def reads(self, dataset: Dataset) -> frozenset[tuple[int, int]]:
        return await self._of(dataset).reads(dataset)

    async def retain(self, datasets: Collection[DatasetId]) -> None:
        await self.files.retain(datasets)
        await self.upstream.retain(datasets)

    async def close(self) -> None:
        try:
            await self.upstream.close()
        finally:
            await self.files.close()

    def _of(self, dataset: Dataset) -> Engine:
        match dataset.source.format:
            case SourceFormat.HTTP:
                return self.upstream
            case SourceFormat.CSV | SourceFormat.PARQUET:
                return self.files
