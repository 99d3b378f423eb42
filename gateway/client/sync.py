"""``Gateway`` without ``await``: for notebooks, scripts and the command line.

One asyncio loop runs in a thread of its own, so that it also works where a loop runs already
(Jupyter). There is one delegation for all methods, so nothing here can lag behind ``Gateway``.
"""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, Self

from gateway.client.session import Gateway


class SyncGateway:
    """Takes what ``Gateway`` takes and has its methods; an async iterator becomes an iterator."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  exactly Gateway's arguments
        self._gateway = Gateway(*args, **options)
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway-client", daemon=True)
        self._thread.start()
        try:
            self._run(self._gateway.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._run(self._gateway.__aexit__(kind, error, trace))
        finally:
            self._stop()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever Gateway has by that name
        if name.startswith("_"):
            raise AttributeError(name)
        member = getattr(self._gateway, name)
        if inspect.isasyncgenfunction(member):
            return self._wrapped(member, self._each)
        if inspect.iscoroutinefunction(member):
            return self._wrapped(member, self._run)
        return member

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in dir(self._gateway) if name[0] != "_")})

    def _wrapped(self, member: Callable[..., Any], run: Callable[[Any], Any]) -> Callable[..., Any]:
        @wraps(member)
        def call(*args: Any, **options: Any) -> Any:  # noqa: ANN401  the member's own
            return run(member(*args, **options))

        return call

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401  the coroutine's result
        if self._loop is None:
            work.close()
            raise RuntimeError("use it in a `with` block")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def _each(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> Any:  # noqa: ANN401  the iterator's item
            return await anext(items, self)  # the wrapper itself marks the end: no page is ever it

        while (item := self._run(following())) is not self:
            yield item

    def _stop(self) -> None:
        if self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = None
