"""The process that an operator starts: opens the home, prepares the sources, serves until told to stop.

With one worker it answers by itself. With more it is the only process that writes the ledger's store and
has the log's signing key in memory; it answers nobody. Workers run as the same user: they open the store
for its tiles, only to read, and hold `sealing.key`, which wraps the opening keys too, for cursors and
stored answers. They take no opening key and no signing key of the log into memory; nothing but that keeps
a worker's code from the files.
"""

import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway import telemetry
from gateway.errors import Fault
from gateway.keyring.custody import Share
from gateway.ledger.server import LedgerServer
from gateway.serving.admin import administered
from gateway.serving.answer import BACKLOG, answering
from gateway.serving.crew import manned
from gateway.serving.key_ages import key_ages_told
from gateway.serving.renew import begun, renewing
from gateway.serving.stop import told_to_stop
from gateway.serving.tls import Tls, renew, tls_kept, tls_rows
from gateway.settings import Settings
from gateway.web.transport import raise_file_limit
from gateway.wiring import Gateway, end_process, opened

METRICS = "run/metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What ``serve`` tells once it accepts requests."""

    gateway: Gateway
    origin: str
    metrics: str
    datasets: int
    faults: tuple[Fault, ...]
    """What is wrong with sharing rules and their sources; what it concerns is not served, or as last good."""


async def serve(
    home: Path,
    *,
    on_ready: Callable[[Serving], None],
    settings: Settings | None = None,
    workers: int | None = None,
    shares: tuple[Share, ...] = (),
) -> None:
    """Serve an installation until the task is cancelled or the process is told to stop.

    ``settings`` count in place of the home's, ``workers`` in place of the setting of that name; ``shares``
    are the custodians' of the pseudonyms' key, where it is divided.
    """
    telemetry.configure_log()
    raise_file_limit()
    async with (
        opened(home, settings=settings, shares=shares) as gateway,
        contextlib.AsyncExitStack() as stack,
    ):
        settings = gateway.settings
        kept_rows = partial(tls_rows, home, settings, gateway.clock)
        tls = stack.enter_context(tls_kept(home, settings, gateway.clock))
        faults = await begun(gateway)
        await gateway.mark("start")
        await stack.enter_async_context(gateway.witnesses.asked(on_fork=end_process))
        stack.push_async_callback(gateway.mark, "stop")  # the last entry: after all answering has stopped
        listening = stack.enter_context(_listening(settings))
        count = settings.workers if workers is None else workers
        counted = None if count == 1 else home / METRICS
        await stack.enter_async_context(
            renewing(gateway, renew_tls=partial(renew, home, settings, tls, gateway.clock))
        )
        await stack.enter_async_context(administered(gateway))  # there once `/readyz` says so
        await stack.enter_async_context(
            answering(gateway, listening, tls)
            if counted is None
            else _led(gateway, listening, tls, counted, count)
        )
        await stack.enter_async_context(
            key_ages_told(home / "keys", log_name=settings.log_origin, more=kept_rows)
        )
        metrics = telemetry.serve_metrics(settings.metrics_host, settings.metrics_port, workers=counted)
        stack.callback(metrics.close)
        on_ready(
            Serving(
                gateway=gateway,
                origin=settings.origin,
                metrics=f"http://{settings.metrics_host}:{metrics.port}/metrics",
                datasets=len(gateway.current.rules),
                faults=faults,
            )
        )
        await told_to_stop(signal.SIGINT, signal.SIGTERM)


@asynccontextmanager
async def _led(
    gateway: Gateway, listening: socket.socket, tls: Tls | None, metrics: Path, count: int
) -> AsyncIterator[None]:
    """Have workers answer until the block ends, over this process's ledger."""
    server = LedgerServer(
        gateway.ledger,
        published=gateway.published,
        in_force=lambda: tuple((name, rules.dataset.digest) for name, rules in gateway.current.rules.items()),
        on_changes=gateway.current.apply,
    )
    gateway.current.followers.append(server.tell)
    gateway.current.rules_followers.append(server.tell_in_force)
    async with manned(gateway, server, listening, tls=tls, metrics=metrics, count=count):
        yield
    await server.close()


def _listening(settings: Settings) -> socket.socket:
    """Return the socket that all processes take connections from: one that dies leaves none behind."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
