"""One worker: a process that answers requests and has no ledger of its own.

Started by ``crew.py`` with the home, the listening socket and one end of a connection to the ledger; its
orders come on standard input, one JSON object, and the word that it serves goes to standard output. It
ends at once when the connection is lost: what is not recorded is not sent (promise P1).
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from gateway import telemetry
from gateway.clock import SystemClock
from gateway.keyring.issuers import trusted_issuers
from gateway.keyring.keyring import Keyring
from gateway.ledger.remote import RemoteLedger
from gateway.ledger.tile_reader import TileReader
from gateway.ledger.volatile import Volatile
from gateway.serving.answer import answering
from gateway.serving.follow import Following
from gateway.serving.orders import SERVES, Orders
from gateway.serving.secrecy import keep_memory_private
from gateway.serving.stop import told_to_stop
from gateway.serving.tls import FOLDER, Tls
from gateway.terms.entry import Change
from gateway.web.transport import raise_file_limit
from gateway.wiring import EXIT_FATAL, STORE, VOLATILE, Parts, engine_of, run


def main() -> None:
    """Serve until told to stop."""
    keep_memory_private()
    # A terminal tells all processes at once; what it means for workers, the main one says.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    home, listening, ledger = sys.argv[1:]
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)
    run(work(Path(home), orders, socket.socket(fileno=int(listening)), socket.socket(fileno=int(ledger))))


async def work(home: Path, orders: Orders, listening: socket.socket, connection: socket.socket) -> None:
    """Open everything but the ledger, and answer requests."""
    telemetry.configure_log()
    raise_file_limit()
    settings = orders.settings
    async with contextlib.AsyncExitStack() as stack:
        keyring = Keyring.open(
            home / "keys",
            log_name=settings.log_origin,
            log_vkeys=orders.log_vkeys,
            pseudonyms=orders.pseudonyms,
        )
        ledger = await RemoteLedger.join(
            connection,
            seal=partial(keyring.sealer.seal, "ledger"),
            unseal=partial(keyring.sealer.unseal, "ledger"),
            on_lost=_end_process,
        )
        stack.push_async_callback(ledger.close)
        tiles = TileReader.open(home / STORE)
        stack.callback(tiles.close)
        volatile = Volatile.join(home / VOLATILE)
        stack.callback(volatile.close)
        engine = engine_of(home, settings)
        stack.push_async_callback(engine.close)
        following = Following(await ledger.registry(), engine)
        following.current.keep_keys(keyring)
        ledger.follow(on_changes=following.changed, in_force=following.in_force)
        await following.renew()
        parts = Parts(
            settings=settings,
            clock=SystemClock(),
            keyring=keyring,
            issuers=trusted_issuers(home, own=settings.origin),
            ledger=ledger,
            published=ledger.published,
            tiles=tiles,
            volatile=volatile,
            engine=engine,
            current=following.current,
            nonce_secret=orders.nonce_secret,
            on_changes=_told_by_the_ledger,
        )
        tls = _tls_of(home) if settings.tls_ends_here else None
        await stack.enter_async_context(answering(parts, listening, tls))
        os.write(sys.stdout.fileno(), SERVES)
        renewing = asyncio.create_task(keep_renewing(following, on_broken=_end_without_rules))
        stack.callback(renewing.cancel)
        await told_to_stop(signal.SIGTERM)


def _tls_of(home: Path) -> Tls:
    """Return what handshakes are made with, taken over anew at each SIGHUP: the main process sends one."""
    tls = Tls(folder=home / FOLDER)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, tls.take_over)
    tls.take_over()  # what came before the signal was heard
    return tls


async def keep_renewing(following: Following, *, on_broken: Callable[[str], None]) -> None:
    """Serve what comes into force until cancelled; ``on_broken`` ends the process, should that fail."""
    try:
        while True:
            await following.renew()
    except Exception as error:  # noqa: BLE001 -- whatever it is, the rules here are old from now on
        on_broken(type(error).__name__)


def _told_by_the_ledger(_changes: tuple[Change, ...]) -> None:
    """Do nothing: what this worker changed has come back from the ledger, in the order of the log."""


def _end_process() -> None:
    telemetry.log("worker_lost_ledger")
    os._exit(EXIT_FATAL)


def _end_without_rules(cause: str) -> None:
    telemetry.log("worker_rules_not_renewed", cause=cause)
    os._exit(EXIT_FATAL)


if __name__ == "__main__":
    main()
