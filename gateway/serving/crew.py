"""The workers of one main process: started, replaced when they end, and told to stop.

All take connections from one socket that the main process listens on, so what waits for a worker that
dies is taken by another. A worker that ends by itself is replaced, each time after a longer pause unless
it had lived for a while; what it had charged and not answered is closed by the ledger's end of its
connection (``ledger/server.py``). A worker whose connection is lost is ended.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway import telemetry
from gateway.errors import HomeInvalid
from gateway.ledger.server import Connection, LedgerServer
from gateway.serving.answer import FINISH_S
from gateway.serving.orders import SERVES, Orders
from gateway.serving.tls import Tls
from gateway.settings import Settings
from gateway.wiring import Gateway

MODULE: Final = "gateway.serving.worker"
START_S: Final = 120.0
"""To open what the main process has prepared."""
STOP_S: Final = FINISH_S + 5.0
"""For a worker that was told to stop; then it is killed."""
HANG_UP_S: Final = 1.0
"""For a worker that has lost its ledger."""
PAUSE_S: Final = 0.1
PAUSE_S_MAX: Final = 30.0
PROVED_S: Final = 60.0
"""Who lived that long is replaced after the shortest pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One process and the ledger's end of its connection."""

    process: asyncio.subprocess.Process
    connection: Connection

    async def ended(self) -> int:
        """Return the exit code once process and connection have both ended; one does not go on alone."""
        exited = asyncio.create_task(self.process.wait())
        exited.add_done_callback(lambda _: self.connection.wire.end())
        await asyncio.shield(self.connection.ended)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(exited), HANG_UP_S)
        self.kill()
        return await exited

    def stop(self) -> None:
        """Tell it to finish what is in flight."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()


class Crew:
    """State: owned by the event loop. ``workers`` are the ones that live, by place."""

    def __init__(
        self,
        *,
        home: Path,
        orders: Callable[[], Orders],
        server: LedgerServer,
        listening: socket.socket,
        metrics: Path,
    ) -> None:
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir(mode=0o700)
        self._home = home
        self._orders = orders
        self._server = server
        self._listening = listening
        self._metrics = metrics.resolve()
        self.workers: dict[int, Worker] = {}
        self._answering: set[int] = set()
        """Places: before it answers, a worker would die of the signal that it knows later."""

    async def keep(self, place: int, first: "asyncio.Future[None]") -> None:
        """Keep a place manned until cancelled; ``first`` is done once it is.

        Raises:
            HomeInvalid: The first worker did not start; there is no reason why another would.

        """
        now, pause = asyncio.get_running_loop().time, PAUSE_S
        while True:
            began = now()
            try:
                serves = await self._start(place)
            except Exception as error:  # noqa: BLE001 -- no room for a process, or a bug: told, and tried again
                telemetry.log("worker_not_started", place=place, cause=type(error).__name__)
                serves = False
            if not serves and place in self.workers:
                self.workers[place].kill()
            if serves:
                self._answering.add(place)
                self.tell_of_tls()  # it may have begun with what is not the newest any more
            if not first.done():
                if not serves:
                    raise HomeInvalid("a worker did not start; what it says stands above")
                first.set_result(None)
            if place in self.workers:
                code = await self.workers[place].ended()
                self._answering.discard(place)
                del self.workers[place]
                telemetry.log("worker_ended", place=place, code=code)
            telemetry.worker_replaced(place)
            pause = PAUSE_S if now() - began > PROVED_S else min(2 * pause, PAUSE_S_MAX)
            await asyncio.sleep(pause)

    def tell_of_tls(self) -> None:
        """Have all that answer take over what lies in ``run/tls``; one that starts is told when it does."""
        for place in self._answering:
            with contextlib.suppress(ProcessLookupError):
                self.workers[place].process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """Tell all to stop, and kill those who do not in time."""
        leaving = [asyncio.ensure_future(worker.ended()) for worker in self.workers.values()]
        for worker in self.workers.values():
            worker.stop()
        if leaving:
            await asyncio.wait(leaving, timeout=STOP_S)
        for worker in self.workers.values():
            worker.kill()
        await asyncio.gather(*leaving)

    async def _start(self, place: int) -> bool:
        """Start a worker; return whether it came to answer. One that did not is ended."""
        ours, theirs = socket.socketpair()
        with theirs:
            passed = self._listening.fileno(), theirs.fileno()
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", MODULE, str(self._home), *map(str, passed)),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    pass_fds=passed,
                    env=self._environment(place),
                )
            except BaseException:
                ours.close()
                raise
        worker = Worker(process=process, connection=await self._server.serve(ours))
        self.workers[place] = worker
        assert process.stdin is not None and process.stdout is not None, "both are pipes"  # noqa: S101, PT018
        process.stdin.write(msgspec.json.encode(self._orders()))
        process.stdin.close()
        try:
            said = await asyncio.wait_for(process.stdout.readline(), START_S)
        except TimeoutError:
            said = b""
        return said == SERVES

    def _environment(self, place: int) -> dict[str, str]:
        """Return this process's, in which a worker finds this very program and counts for its place."""
        path = os.pathsep.join(folder for folder in sys.path if folder)
        return {**os.environ, "PYTHONPATH": path, **telemetry.counting_in(self._metrics, place)}


@asynccontextmanager
async def manned(
    gateway: Gateway,
    server: LedgerServer,
    listening: socket.socket,
    *,
    tls: Tls | None,
    metrics: Path,
    count: int,
) -> AsyncIterator[Crew]:
    """Have so many workers answer until the block ends.

    Raises:
        HomeInvalid: One of them did not start.

    """

    def orders() -> Orders:
        return Orders(
            settings=_share(gateway.settings, count),
            log_vkeys=gateway.keyring.log_keys.vkeys,
            nonce_secret=gateway.nonce_secret,
            pseudonyms=gateway.keyring.pseudonym_keys.handed_over(),
        )

    crew = Crew(home=gateway.home, orders=orders, server=server, listening=listening, metrics=metrics)
    if tls is not None:
        tls.followers.append(crew.tell_of_tls)
    loop = asyncio.get_running_loop()
    first = [loop.create_future() for _ in range(count)]
    keepers = [loop.create_task(crew.keep(place, manning)) for place, manning in enumerate(first)]
    try:
        waited: list[asyncio.Future[Any]] = [asyncio.gather(*first), *keepers]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        for keeper in keepers:
            if keeper.done():
                keeper.result()
        yield crew
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        await crew.stop()


def _share(settings: Settings, count: int) -> Settings:
    """Return the settings of one worker: what is limited in all is divided."""
    return replace(
        settings,
        places=max(1, settings.places // count),
        places_each=max(1, settings.places_each // count),
        engine_threads=max(1, settings.engine_threads // count),
        engine_memory_mb=max(1, settings.engine_memory_mb // count),
    )
