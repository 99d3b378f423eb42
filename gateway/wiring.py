"""The composition root: the only file that names concrete classes, and the home folder's layout.

    gateway.toml   settings              policies/   active sharing rules, one file a dataset
    keys/          private keys          ledger/     log.sqlite and head, the last signed checkpoint
    data/          sources               snapshots/  sources as questions read them, made again when lost
    run/           state that a restart voids

Everything is opened here in order and closed in reverse; what does not open stops the start.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from aiohttp import web

from gateway import flow, telemetry
from gateway.clock import Clock, SystemClock
from gateway.engines.duckdb import DuckDbEngine
from gateway.engines.port import Engine
from gateway.engines.router import EngineRouter
from gateway.engines.upstream import UpstreamEngine
from gateway.errors import Fault, HomeInvalid
from gateway.keyring.keyring import Keyring
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.volatile import Volatile
from gateway.policy.rules import Rules
from gateway.registry.registry import Registry
from gateway.services import activation, enrolment
from gateway.services.budgets import Budgets
from gateway.services.catalogue import Catalogue
from gateway.services.metadata import authorization_server_metadata, key_set, protected_resource_metadata
from gateway.services.ports import EnrolmentPorts
from gateway.services.stewardship import RULES, activated
from gateway.settings import FILE_NAME, Settings, load_settings, settings_text
from gateway.steps.authenticate import Authenticate
from gateway.steps.charge import MakeCharge
from gateway.steps.decide import Decide
from gateway.steps.place import Places
from gateway.steps.plan import MakePlan, described
from gateway.steps.protect import Protect, repeated
from gateway.steps.record import Record
from gateway.steps.slot import Slot
from gateway.terms.entry import Change, EntryKind, ReleaseRequest
from gateway.terms.identifiers import DatasetId, RequestId
from gateway.terms.query import Query
from gateway.terms.reply import Reply
from gateway.terms.seen import Seen
from gateway.web import openapi
from gateway.web.api import Api, ServiceCall
from gateway.web.open import open_endpoints
from gateway.web.pages.render import render
from gateway.web.routes import Service
from gateway.web.transport import ClosingServer, raise_file_limit

Result = TypeVar("Result")

FOLDERS = ("policies", "ledger", "data", "run")
EXIT_FATAL = 74  # EX_IOERR of sysexits.h


@dataclass(slots=True)
class Current:
    """What changes while the gateway runs. Owned by ``Gateway``; replaced as a whole, never edited."""

    registry: Registry
    rules: Mapping[DatasetId, Rules]

    def apply(self, changes: tuple[Change, ...]) -> None:
        """Take over durable changes of the registry."""
        for change in changes:
            if change.kind != RULES:
                self.registry = self.registry.with_change(change)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """An open installation: everything below the web server."""

    home: Path
    settings: Settings
    clock: Clock
    keyring: Keyring
    ledger: SqliteLedger
    volatile: Volatile
    engine: Engine
    current: Current
    faults: tuple[Fault, ...]
    """What is wrong with sharing rules; the documents concerned are not served, or as last good."""
    nonce_secret: bytes = field(repr=False)
    random_bytes: Callable[[int], bytes] = os.urandom

    async def register(self, changes: tuple[Change, ...]) -> None:
        """Put records into the registry: one entry that names them, and the records, in one transaction."""
        await self.ledger.release(
            ReleaseRequest(
                request_id=RequestId(str(uuid.uuid4())),
                kind=EntryKind.CONFIG,
                facts={},
                private={},
                body=b"",
                changes=changes,
            )
        )
        self.current.apply(changes)

    async def mark(self, event: str) -> None:
        """Put a start or a stop into the log."""
        await self.ledger.release(
            ReleaseRequest(
                request_id=RequestId(str(uuid.uuid4())),
                kind=EntryKind.MARK,
                facts={"event": event},
                private={},
                body=b"",
            )
        )


def create_home(home: Path, settings: Settings) -> None:
    """Make an installation's folder with settings and fresh keys; refuses one that exists.

    Raises:
        HomeInvalid: The folder has a settings file already.
    """
    if (home / FILE_NAME).exists():
        raise HomeInvalid("this home exists already")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in FOLDERS:
        (home / name).mkdir(mode=0o700, exist_ok=True)
    Keyring.create(home / "keys", log_name=settings.log_origin)
    (home / FILE_NAME).write_text(settings_text(settings), encoding="utf-8")


@asynccontextmanager
async def opened(home: Path, *, settings: Settings | None = None) -> AsyncIterator[Gateway]:
    """Open an installation, recover what a crash left, activate its rules; close it at the end.

    Raises:
        HomeInvalid: Something in the folder is missing, unreadable, or held by another process.
    """
    settings = settings or load_settings(home)
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_lock(home / "run" / "lock"))
        keyring = Keyring.open(home / "keys", log_name=settings.log_origin)
        ledger = SqliteLedger.open(
            home / "ledger" / "log.sqlite",
            signer=keyring.log,
            origin=settings.log_origin,
            clock=clock,
            head_file=home / "ledger" / "head",
            seal=lambda opened_bytes: keyring.sealer.seal("ledger", opened_bytes),
            unseal=lambda sealed: keyring.sealer.unseal("ledger", sealed),
            on_fatal=_end_process,
        )
        stack.push_async_callback(ledger.close)
        volatile = Volatile.create(home / "run" / "volatile.sqlite")
        stack.callback(volatile.close)
        engine = EngineRouter(
            files=DuckDbEngine(
                (home / settings.data).resolve(),
                snapshots=home / "snapshots",
                deadline_s=settings.engine_deadline_s,
                memory_mb=settings.engine_memory_mb,
                threads=settings.engine_threads,
            ),
            upstream=UpstreamEngine.create(deadline_s=settings.engine_deadline_s),
        )
        stack.push_async_callback(engine.close)
        known = await ledger.registry()
        rules = activated(home / "policies", known)
        registry = Registry.of(change for change in known if change.kind != RULES)
        gateway = Gateway(
            home=home,
            settings=settings,
            clock=clock,
            keyring=keyring,
            ledger=ledger,
            volatile=volatile,
            engine=engine,
            current=Current(registry, rules.rules),
            faults=rules.faults,
            nonce_secret=os.urandom(32),
        )
        if rules.changes:
            await gateway.register(rules.changes)
        yield gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What ``serve`` tells once it accepts requests."""

    gateway: Gateway
    origin: str
    metrics: str
    datasets: int
    problems: tuple[str, ...]
    """Datasets whose source is not as declared; they are taken out of service."""


async def serve(home: Path, *, on_ready: Callable[[Serving], None]) -> None:
    """Serve an installation until the task is cancelled or the process is told to stop."""
    telemetry.configure_log()
    raise_file_limit()
    async with opened(home) as gateway, contextlib.AsyncExitStack() as stack:
        problems = await _sources_checked(gateway)
        api = _api(gateway)
        await gateway.mark("start")
        stack.push_async_callback(gateway.mark, "stop")  # the last entry: after the server has stopped
        runner = web.ServerRunner(ClosingServer(api.handle))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        settings = gateway.settings
        site = web.TCPSite(runner, settings.host, settings.port, backlog=1024)
        await site.start()
        metrics = telemetry.serve_metrics(settings.metrics_host, settings.metrics_port)
        stack.callback(metrics.close)
        on_ready(
            Serving(
                gateway=gateway,
                origin=settings.origin,
                metrics=f"http://{settings.metrics_host}:{metrics.port}/metrics",
                datasets=len(gateway.current.rules),
                problems=problems,
            )
        )
        await _told_to_stop()


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on the fast event loop."""
    return uvloop.run(main)


async def _told_to_stop() -> None:
    """Wait for SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


async def _sources_checked(gateway: Gateway) -> tuple[str, ...]:
    """Take datasets out of service whose source is not as their document declares."""
    problems: list[str] = []
    good: dict[DatasetId, Rules] = {}
    for name, rules in gateway.current.rules.items():
        telemetry.log("source_preparing", dataset=name)
        found = await gateway.engine.check(rules.dataset)
        problems += [f"{name}: {sentence}" for sentence in found]
        if not found:
            good[name] = rules
    gateway.current.rules = good
    await gateway.engine.retain(good.keys())
    return tuple(problems)


def _api(gateway: Gateway) -> Api:
    """Put the steps, services and endpoints together."""
    current = gateway.current
    authenticate = Authenticate(
        origin=gateway.settings.origin,
        issuer=gateway.settings.origin,
        audience=gateway.settings.origin,
        keys=gateway.keyring.tokens.public_keys,
        nonce_secret=gateway.nonce_secret,
        volatile=gateway.volatile,
        registry=lambda: current.registry,
        clock=gateway.clock,
    )
    return Api(
        steps=_steps(gateway, authenticate),
        services=_services(gateway, authenticate),
        open_endpoints=open_endpoints(
            documents=_documents(gateway), checkpoint=gateway.ledger.checkpoint, ready=gateway.ledger.ready
        ),
        volatile=gateway.volatile,
        nonce_secret=gateway.nonce_secret,
        clock=gateway.clock,
        refusals_max=gateway.settings.refusals_max,
        trusted_fronts=gateway.settings.trusted_fronts,
    )


def _steps(gateway: Gateway, authenticate: Authenticate) -> flow.Steps:
    """Return the eight steps of ``flow.py``, each with what it needs."""
    settings = gateway.settings
    return flow.Steps(
        authenticate=authenticate,
        decide=Decide(lambda: gateway.current.rules, gateway.clock),
        plan=MakePlan(gateway.keyring, ThreadPoolExecutor(max_workers=1, thread_name_prefix="planning")),
        place=Places(total=settings.places, each=settings.places_each),
        describe=described,
        charge=MakeCharge(gateway.ledger),
        slot=Slot(gateway.clock),
        execute=gateway.engine.execute,
        protect=Protect(gateway.keyring),
        repeat=repeated,
        record=Record(gateway.ledger, gateway.current.apply),
    )


def _services(gateway: Gateway, authenticate: Authenticate) -> Mapping[Service, ServiceCall]:
    """Return what answers requests that are not for data."""
    current, ledger, clock = gateway.current, gateway.ledger, gateway.clock
    ports = EnrolmentPorts(
        ledger=ledger,
        volatile=gateway.volatile,
        tokens=gateway.keyring.tokens,
        sealer=gateway.keyring.sealer,
        registry=lambda: current.registry,
        clock=clock,
        nonce_secret=gateway.nonce_secret,
        origin=gateway.settings.origin,
        issuer=gateway.settings.origin,
        audience=gateway.settings.origin,
        random_bytes=os.urandom,
        render=render,
        poll_interval_s=gateway.settings.device_interval_s,
    )
    return {
        Service.CATALOGUE: Catalogue(authenticate=authenticate, rules=lambda: current.rules, clock=clock),
        Service.BUDGETS: Budgets(
            authenticate=authenticate, rules=lambda: current.rules, ledger=ledger, clock=clock
        ),
        Service.TOKEN: partial(_enrolling, enrolment.token, ports),
        Service.DEVICE: partial(_enrolling, enrolment.device_authorization, ports),
        Service.ACTIVATE: partial(_enrolling, activation.activate, ports),
    }


async def _enrolling(
    endpoint: Callable[[Query, EnrolmentPorts], Coroutine[Any, Any, Reply]],
    ports: EnrolmentPorts,
    query: Query,
    _seen: Seen,
) -> Reply:
    return await endpoint(query, ports)


def _documents(gateway: Gateway) -> dict[str, object]:
    """Return the open endpoints that are fixed documents."""
    origin = gateway.settings.origin
    resource = protected_resource_metadata(origin=origin, issuer=origin, audience=origin)
    return {
        "/openapi.json": openapi.document(origin),
        "/.well-known/oauth-authorization-server": authorization_server_metadata(
            origin=origin, issuer=origin
        ),
        "/.well-known/oauth-protected-resource": {
            **resource,
            "gateway_log_key": gateway.keyring.log.vkey,
        },
        "/oauth/jwks": key_set(gateway.keyring.tokens.jwks),
    }


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the home, so that no second process writes to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HomeInvalid("another process uses this home; stop it first") from error
        yield


def _end_process() -> None:
    """End at once: the store's state is unknown, so nothing may be answered (promise P1)."""
    telemetry.log("ledger_fatal")
    os._exit(EXIT_FATAL)
