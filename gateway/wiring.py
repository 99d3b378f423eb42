"""The composition root: the only file that names concrete classes, and the home folder's layout.

    gateway.toml   settings              policies/   active sharing rules, one file a dataset
    keys/          own keys; trusted     ledger/     log.sqlite; the last head: signed, cosigned
    data/          sources               snapshots/  sources as questions read them, made again when lost
    run/           state that a restart voids

Everything is opened here in order and closed in reverse; what does not open stops the start.
"""

import contextlib
import fcntl
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import uvloop

from gateway import flow, telemetry
from gateway.clock import Clock, SystemClock
from gateway.engines.duckdb import DuckDbEngine
from gateway.engines.port import Engine
from gateway.engines.router import EngineRouter
from gateway.engines.upstream import UpstreamEngine
from gateway.errors import HomeInvalid
from gateway.keyring.custody import Share, finish_rotation, master_keys
from gateway.keyring.issuers import TrustedIssuers, trusted_issuers
from gateway.keyring.keyring import Keyring
from gateway.keyring.pseudonym_keys import PseudonymKeys
from gateway.ledger.key_file import FILE_NAME as KEYS
from gateway.ledger.port import Ledger
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.tile_reader import TileReader
from gateway.ledger.volatile import Volatile
from gateway.ledger.witnesses import Witnesses, watched
from gateway.services import account, activation, enrolment, introspection, joining, revocation
from gateway.services.budgets import Budgets
from gateway.services.catalogue import Catalogue
from gateway.services.current import Current
from gateway.services.custody import newest_epoch
from gateway.services.metadata import key_set
from gateway.services.ports import EnrolmentPorts
from gateway.settings import FILE_NAME, Settings, load_settings, settings_text
from gateway.steps.authenticate import Authenticate
from gateway.steps.charge import MakeCharge
from gateway.steps.decide import Decide
from gateway.steps.encrypt import Encrypt
from gateway.steps.kept import Kept
from gateway.steps.place import Places
from gateway.steps.plan import MakePlan, described
from gateway.steps.protect import Protect, Repeat
from gateway.steps.record import Record
from gateway.steps.slot import Slot
from gateway.steps.stand import Stand
from gateway.terms.charge import Receipt
from gateway.terms.entry import Change, EntryKind, Fact, ReleaseRequest
from gateway.terms.identifiers import RequestId
from gateway.terms.query import Query
from gateway.terms.reply import Reply
from gateway.terms.seen import Seen
from gateway.web.api import ALWAYS, OVER_TLS, Api, ServiceCall
from gateway.web.open import documents, open_endpoints
from gateway.web.pages.render import SCRIPT, render
from gateway.web.routes import Service, routed

Result = TypeVar("Result")

FOLDERS = ("policies", "ledger", "data", "run")
STORE = "ledger/log.sqlite"
VOLATILE = "run/volatile.sqlite"
NOTHING: Mapping[str, bytes] = MappingProxyType({})
EXIT_FATAL = 74  # EX_IOERR of sysexits.h


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What requests are answered with: the same list in the main process and in a worker."""

    settings: Settings
    clock: Clock
    keyring: Keyring
    issuers: TrustedIssuers
    ledger: Ledger
    published: Callable[[], Awaitable[bytes]]
    """The log's head to show."""
    tiles: TileReader
    volatile: Volatile
    engine: Engine
    current: Current
    nonce_secret: bytes = field(repr=False)
    on_changes: Callable[[tuple[Change, ...]], None]
    """Told of what a reply changed in the registry, once that is durable."""


@dataclass(frozen=True, kw_only=True)
class Gateway(Parts):
    """An open installation: everything below the web server, and the one store."""

    home: Path
    ledger: SqliteLedger
    witnesses: Witnesses
    random_bytes: Callable[[int], bytes] = os.urandom

    async def register(self, changes: tuple[Change, ...]) -> None:
        """Put records into the registry: one entry that names them, and the records, in one transaction."""
        await self.put(changes, {}, {}, None)

    async def put(
        self,
        changes: tuple[Change, ...],
        facts: Mapping[str, Fact],
        private: Mapping[str, bytes],
        subject: str | None,
    ) -> Receipt:
        """Put records with an entry that says more; ``subject`` is the person whom it tells of."""
        receipt = await self._note(EntryKind.CONFIG, facts, changes, private=private, subject=subject)
        self.current.apply(changes)
        return receipt

    async def tell_of_key(self, event: str, *, old: str, new: str) -> Receipt:
        """Put a change of the log's key into the log; both keys are named by their vkeys."""
        return await self._note(EntryKind.KEY, {"event": event, "key": "log", "old": old, "new": new})

    async def mark(self, event: str) -> None:
        """Put a start or a stop into the log."""
        await self._note(EntryKind.MARK, {"event": event})

    async def _note(
        self,
        kind: EntryKind,
        facts: Mapping[str, Fact],
        changes: tuple[Change, ...] = (),
        *,
        private: Mapping[str, bytes] = NOTHING,
        subject: str | None = None,
    ) -> Receipt:
        return await self.ledger.release(
            ReleaseRequest(
                request_id=RequestId(str(uuid.uuid4())),
                kind=kind,
                facts=facts,
                private=private,
                body=b"",
                changes=changes,
                subject=subject,
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
async def opened(
    home: Path, *, settings: Settings | None = None, shares: tuple[Share, ...] | None = None
) -> AsyncIterator[Gateway]:
    """Open an installation and recover what a crash left; close it at the end.

    No rules are active yet, and nothing is recorded of them: who serves begins with ``serving/renew.py``.

    ``shares`` are the custodians', of who makes pseudonyms; None: nobody will be answered from here.

    Raises:
        HomeInvalid: Something in the folder is missing, unreadable, or held by another process.
    """
    settings = settings or load_settings(home)
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(home_locked(home))
        keyring = Keyring.open(
            home / "keys",
            log_name=settings.log_origin,
            pseudonyms=None if shares is None else master_keys(home / "keys", shares),
        )
        ledger = open_ledger(home, home / "ledger", keyring, clock)
        stack.push_async_callback(ledger.close)
        tiles = TileReader.open(home / STORE)
        stack.callback(tiles.close)
        witnesses = await stack.enter_async_context(
            watched(home, settings, vkeys=keyring.log_keys.history, head=ledger.checkpoint, tiles=tiles)
        )
        ledger.start()  # SECURITY: after the witnesses were asked, for it appends and signs
        volatile = Volatile.create(home / VOLATILE)
        stack.callback(volatile.close)
        engine = engine_of(home, settings)
        stack.push_async_callback(engine.close)
        known = await ledger.registry()
        current = Current.of(known, {})
        current.keep_keys(keyring)
        newest = newest_epoch(current.registry)
        if shares and newest and finish_rotation(home / "keys", shares, newest.id):
            keyring.pseudonym_keys = PseudonymKeys(master_keys(home / "keys", shares))
        gateway = Gateway(
            home=home,
            settings=settings,
            clock=clock,
            keyring=keyring,
            issuers=trusted_issuers(home, own=settings.origin),
            ledger=ledger,
            tiles=tiles,
            published=witnesses.published,
            witnesses=witnesses,
            volatile=volatile,
            engine=engine,
            current=current,
            on_changes=current.apply,
            nonce_secret=os.urandom(32),
        )
        yield gateway


def open_ledger(
    home: Path, folder: Path, keyring: Keyring, clock: Clock, *, next_origin: str | None = None
) -> SqliteLedger:
    """Return the ledger in a folder, not started; all logs of a home share one file of opening keys."""
    return SqliteLedger.open(
        folder / Path(STORE).name,
        signer=keyring.log,
        origin=keyring.log.name,
        clock=clock,
        head_file=folder / "head",
        former=keyring.log_keys.former,
        retired=keyring.log_keys.retired,
        seal=partial(keyring.sealer.seal, "ledger"),
        unseal=partial(keyring.sealer.unseal, "ledger"),
        wrap=partial(keyring.sealer.seal, "opening-key"),
        unwrap=partial(keyring.sealer.unseal, "opening-key"),
        on_fatal=end_process,
        key_path=home / "ledger" / KEYS,
        next_origin=next_origin,
    )


def engine_of(home: Path, settings: Settings) -> EngineRouter:
    """Return what runs plans."""
    return EngineRouter(
        files=DuckDbEngine(
            (home / settings.data).resolve(),
            snapshots=home / "snapshots",
            deadline_s=settings.engine_deadline_s,
            memory_mb=settings.engine_memory_mb,
            threads=settings.engine_threads,
        ),
        upstream=UpstreamEngine.create(deadline_s=settings.engine_deadline_s),
    )


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on the fast event loop."""
    return uvloop.run(main)


def api_of(gateway: Parts) -> Api:
    """Put the steps, services and endpoints together."""
    current = gateway.current
    authenticate = Authenticate(
        origin=gateway.settings.origin,
        issuer=gateway.settings.origin,
        audience=gateway.settings.origin,
        keys=gateway.keyring.tokens.public_keys,
        trusted=gateway.issuers.by_name,
        nonce_secret=gateway.nonce_secret,
        volatile=gateway.volatile,
        registry=lambda: current.registry,
        clock=gateway.clock,
    )
    return Api(
        steps=_steps(gateway, authenticate),
        services=_services(gateway, authenticate),
        open_endpoints=open_endpoints(
            documents=documents(
                gateway.settings.origin,
                certificates=gateway.settings.asks_for_certificates,
                log_vkeys=lambda: gateway.keyring.log_keys.vkeys,
            ),
            key_set=lambda: key_set(gateway.keyring.tokens.jwks),
            checkpoint=gateway.published,
            ready=gateway.ledger.ready,
            tile=gateway.tiles.tile,
            script=SCRIPT,
        ),
        volatile=gateway.volatile,
        nonce_secret=gateway.nonce_secret,
        clock=gateway.clock,
        refusals_max=gateway.settings.refusals_max,
        trusted_fronts=gateway.settings.trusted_fronts,
        headers=ALWAYS | (OVER_TLS if gateway.settings.tls_ends_here else {}),
    )


def _steps(gateway: Parts, authenticate: Authenticate) -> flow.Steps:
    """Return the eight steps of ``flow.py``, each with what it needs."""
    settings = gateway.settings
    kept = Kept.of_boot(gateway.volatile, gateway.nonce_secret, gateway.clock)
    encrypt = Encrypt(lambda: gateway.current.registry)
    planning = ThreadPoolExecutor(max_workers=1, thread_name_prefix="planning")
    return flow.Steps(
        authenticate=authenticate,
        decide=Decide(lambda: gateway.current.rules, gateway.clock),
        stand=Stand(lambda: gateway.current.registry, gateway.clock),
        plan=MakePlan(gateway.keyring, planning, encrypt.recipient),
        place=Places(total=settings.places, each=settings.places_each),
        describe=described,
        charge=MakeCharge(gateway.ledger, gateway.keyring.pseudonym_keys.claim_key),
        slot=Slot(gateway.clock),
        execute=gateway.engine.execute,
        protect=Protect(gateway.keyring, kept),
        repeat=Repeat(kept),
        encrypt=encrypt,
        record=Record(gateway.ledger, gateway.on_changes),
        abandon=gateway.ledger.abandon,
    )


def enrolment_ports(gateway: Parts) -> EnrolmentPorts:
    """Return what sign-in and the OAuth endpoints need."""
    current, settings = gateway.current, gateway.settings
    return EnrolmentPorts(
        ledger=gateway.ledger,
        volatile=gateway.volatile,
        tokens=gateway.keyring.tokens,
        sealer=gateway.keyring.sealer,
        registry=lambda: current.registry,
        clock=gateway.clock,
        nonce_secret=gateway.nonce_secret,
        origin=settings.origin,
        issuer=settings.origin,
        audience=settings.origin,
        random_bytes=os.urandom,
        render=render,
        rules=lambda: current.rules,
        routed=routed,
        poll_interval_s=settings.device_interval_s,
    )


def _services(gateway: Parts, authenticate: Authenticate) -> Mapping[Service, ServiceCall]:
    """Return what answers requests that are not for data."""
    current, ledger, clock = gateway.current, gateway.ledger, gateway.clock
    ports = enrolment_ports(gateway)
    return {
        Service.CATALOGUE: Catalogue(authenticate=authenticate, rules=lambda: current.rules, clock=clock),
        Service.BUDGETS: Budgets(
            authenticate=authenticate, rules=lambda: current.rules, ledger=ledger, clock=clock
        ),
        Service.TOKEN: partial(_enrolling, enrolment.token, ports),
        Service.DEVICE: partial(_enrolling, enrolment.device_authorization, ports),
        Service.REVOKE: partial(_enrolling, revocation.revoke, ports),
        Service.INTROSPECT: partial(_enrolling, introspection.introspect, ports),
        Service.ACTIVATE: partial(_enrolling, activation.activate, ports),
        Service.ACCOUNT: partial(_enrolling, account.account, ports),
        Service.ENROL: partial(_enrolling, joining.enrol, ports),
    }


async def _enrolling(
    endpoint: Callable[[Query, EnrolmentPorts], Coroutine[Any, Any, Reply]],
    ports: EnrolmentPorts,
    query: Query,
    _seen: Seen,
) -> Reply:
    return await endpoint(query, ports)


@contextmanager
def home_locked(home: Path) -> Iterator[None]:
    """Hold the home, so that no second process writes to it."""
    path = home / "run" / "lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HomeInvalid("another process uses this home; stop it first") from error
        yield


def end_process() -> None:
    """End at once: the store's state is unknown, so nothing may be answered (promise P1)."""
    telemetry.log("ledger_fatal")
    os._exit(EXIT_FATAL)
