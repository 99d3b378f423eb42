"""The local admin socket: an administrator's act goes to the running gateway, or to the home itself.

    run/admin.sock   a Unix socket, mode 0600; four bytes of length, then one JSON object, once each way

``perform`` takes an act to whoever has the home: the running main process, which tells its workers, or, if
there is none, this very process, which opens the home. Either way ``services.administration`` does it. Who
may connect is the operating system's word (SO_PEERCRED): the user who runs the gateway, and root.
"""

import asyncio
import contextlib
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from gateway import telemetry, wiring
from gateway.errors import ActRefused, GatewayError, HomeInvalid, LedgerUnavailable, MalformedRequest
from gateway.keyring.log_keys import LogKeys
from gateway.services.acts import ACTS, Act, ActivateRules, Done
from gateway.services.administration import Administration
from gateway.services.desk import Desk
from gateway.services.installation_keys import InstallationKeys
from gateway.services.log_desk import LogDesk
from gateway.services.renewal import last_good_at
from gateway.serving.renew import renewal_of
from gateway.terms.entry import FORGOTTEN, LOG_KEYS, Change
from gateway.wiring import Gateway, enrolment_ports, opened

SOCKET: Final = "admin.sock"
MESSAGE_BYTES_MAX: Final = 2**22
"""Room for the largest document of rules, and its cases."""
TIMEOUT_S: Final = 30.0
"""For reading what is wanted, for an act, and for answering; an act that takes longer goes on."""
ACTIVATION_S: Final = 1800.0
"""For an act that may prepare a large source."""
ANSWER_S: Final = 5.0
"""So much longer than the act may take does the other end wait; and so long a stop waits for acts."""
AT_ONCE_MAX: Final = 8
GOING_ON_MAX: Final = 32
"""Acts that nobody waits for any more."""
_LENGTH: Final = struct.Struct(">I")
_CREDENTIALS: Final = struct.Struct("3i")
_ERRORS: Final = {
    error.__name__: error for error in (ActRefused, HomeInvalid, LedgerUnavailable, MalformedRequest)
}


class _Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    act: str
    members: msgspec.Raw


class _Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    done: Done | None = None
    refused: str = ""
    detail: str = ""


def perform(home: Path, act: Act) -> Done:
    """Have an act done, and return what came of it.

    Raises:
        GatewayError: It was not done, and why.

    """
    try:
        with _connected(home / "run") as connection:
            return _asked(connection, act)
    except (FileNotFoundError, ConnectionRefusedError):  # nobody runs there
        return wiring.run(_done_at_home(home, act))


async def _done_at_home(home: Path, act: Act) -> Done:
    async with opened(home) as gateway:
        gateway.current.rules = last_good_at(home, await gateway.ledger.registry())
        return await Administration(desk_of(gateway))(act, this_user())


def desk_of(gateway: Gateway) -> Desk:
    """Return where acts are done over an open installation."""
    current = gateway.current
    return Desk(
        registry=lambda: current.registry,
        put=gateway.put,
        enrolment=enrolment_ports(gateway),
        keys=InstallationKeys(gateway.keyring, lambda: current.registry, gateway.clock),
        clock=gateway.clock,
        log=LogDesk(
            folder=gateway.home / "keys",
            signing=lambda: gateway.keyring.log_keys,
            tell=gateway.tell_of_key,
            take_over=partial(_take_log_keys, gateway),
            erase=gateway.ledger.erase,
            forget=partial(_forget, gateway),
        ),
        renewal=renewal_of(gateway),
    )


async def _take_log_keys(gateway: Gateway) -> None:
    """Have the log signed by the keys that the folder has now, and tell every process their names."""
    keys = LogKeys.open(gateway.home / "keys", log_name=gateway.settings.log_origin)
    await gateway.ledger.sign_with((keys.newest, *keys.former))
    gateway.keyring.log_keys = keys
    gateway.witnesses.vkeys = keys.history
    gateway.current.apply((Change(kind=LOG_KEYS, id="log", document=keys.vkeys.encode("ascii")),))


def _forget(gateway: Gateway, person: str) -> None:
    """Have every process drop what it knows of a person who was erased."""
    gateway.current.apply((Change(kind=FORGOTTEN, id=person, document=b""),))


def this_user() -> str:
    """Return who runs this process."""
    return _user(os.getuid())


@asynccontextmanager
async def administered(gateway: Gateway, users: frozenset[int] | None = None) -> AsyncIterator[None]:
    """Do what is asked at the admin socket until the block ends.

    ``users`` may ask, by number; None: the one who runs this process, and root.
    """
    administration = Administration(desk_of(gateway))
    known = frozenset({0, os.getuid()}) if users is None else users
    places = asyncio.Semaphore(AT_ONCE_MAX)
    acts = _Acts(administration)

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S) as limit, places:
                await _attend(reader, writer, acts, known, limit)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            telemetry.log("admin_connection_lost")
        finally:
            writer.close()

    listening = _bound(gateway.home / "run")
    server = await asyncio.start_unix_server(attend, sock=listening, backlog=AT_ONCE_MAX)
    try:
        yield
    finally:
        (gateway.home / "run" / SOCKET).unlink(missing_ok=True)
        server.close()
        await acts.finished()


class _Acts:
    """Acts under way, each a task of its own. State: owned by the event loop.

    INVARIANT: what is durable is applied. Whoever asked may hang up or be told that it takes too long; the
    act itself is not cancelled for that, or a freeze would stand in the log and stop nothing.
    """

    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._going_on: set[asyncio.Task[Done]] = set()

    async def done(self, act: Act, by: str) -> Done:
        """Have an act done.

        Raises:
            ActRefused: It was refused; or it takes so long that it goes on without an answer.
            GatewayError: It was not done, and why.

        """
        if len(self._going_on) >= GOING_ON_MAX:
            raise ActRefused("too many acts wait for one another; nothing was begun")
        task = asyncio.create_task(self._administration(act, by))
        self._going_on.add(task)
        task.add_done_callback(self._going_on.discard)
        over, _ = await asyncio.wait((task,), timeout=_time_for(act))
        if not over:
            task.add_done_callback(_ended_late)
            raise ActRefused(
                f"it is not done after {_time_for(act):.0f} seconds and goes on in the gateway; list or show "
                "what it is about, and see whether it was done"
            )
        return task.result()

    async def finished(self) -> None:
        """Give what still goes on a while to end."""
        if self._going_on:
            _, late = await asyncio.wait(self._going_on, timeout=ANSWER_S)
            for task in late:
                task.cancel()


def _ended_late(task: asyncio.Task[Done]) -> None:
    """Say in the log how an act came out that nobody waited for."""
    error = None if task.cancelled() else task.exception()
    telemetry.log("admin_act_ended_late", cause="" if error is None else type(error).__name__)


def _bound(folder: Path) -> socket.socket:
    """Return the socket in the folder, in place of one that a crash left; the home's lock is held."""
    with _named(folder) as name:
        Path(name).unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(name)
        Path(name).chmod(0o600)  # nobody can connect before it listens
    return listening


async def _attend(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    acts: _Acts,
    known: frozenset[int],
    limit: asyncio.Timeout,
) -> None:
    user_id = _peer(writer.get_extra_info("socket").fileno())
    if user_id not in known:
        telemetry.log("admin_stranger", uid=user_id)
        return
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > MESSAGE_BYTES_MAX:
        return
    wanted = await reader.readexactly(length)
    limit.reschedule(None)  # an act has a limit of its own
    outcome = await _outcome(wanted, acts, _user(user_id))
    limit.reschedule(asyncio.get_running_loop().time() + TIMEOUT_S)
    message = msgspec.json.encode(outcome)
    writer.write(_LENGTH.pack(len(message)) + message)
    await writer.drain()


async def _outcome(message: bytes, acts: _Acts, by: str) -> _Outcome:
    try:
        return _Outcome(done=await acts.done(_act_of(message), by))
    except tuple(_ERRORS.values()) as error:
        return _Outcome(refused=type(error).__name__, detail=error.detail)
    except Exception as error:  # noqa: BLE001  a bug; SECURITY: its words could hold what was typed
        telemetry.log("admin_failed", cause=type(error).__name__)
        return _Outcome(refused=ActRefused.__name__, detail="the gateway failed; its log says more")


def _act_of(message: bytes) -> Act:
    """Return the act in a message.

    Raises:
        MalformedRequest: It is none of the closed list.

    """
    try:
        wanted = msgspec.json.decode(message, type=_Wanted)
        kind = ACTS[wanted.act]
        names = msgspec.json.decode(wanted.members, type=dict[str, msgspec.Raw]).keys()
        act: Act = msgspec.json.decode(wanted.members, type=kind)
    except (msgspec.MsgspecError, KeyError) as error:
        raise MalformedRequest(f"not an act: {type(error).__name__}") from None
    if not names <= {member.name for member in fields(kind)}:
        raise MalformedRequest("not an act: a member of no meaning")
    return act


def _time_for(act: Act) -> float:
    return ACTIVATION_S if isinstance(act, ActivateRules) else TIMEOUT_S


def _asked(connection: socket.socket, act: Act) -> Done:
    """Send an act and return the outcome."""
    message = msgspec.json.encode({"act": type(act).__name__, "members": act})
    if len(message) > MESSAGE_BYTES_MAX:
        raise ActRefused(f"more than {MESSAGE_BYTES_MAX} bytes at once: activate fewer documents together")
    try:
        connection.sendall(_LENGTH.pack(len(message)) + message)
        connection.settimeout(_time_for(act) + ANSWER_S)
        (length,) = _LENGTH.unpack(_received(connection, _LENGTH.size))
        outcome = msgspec.json.decode(_received(connection, length), type=_Outcome)
    except (OSError, msgspec.MsgspecError) as error:
        raise HomeInvalid("the running gateway did not answer; look whether it was done") from error
    if outcome.done is None:
        raise _error(outcome)
    return outcome.done


def _error(outcome: _Outcome) -> GatewayError:
    return _ERRORS.get(outcome.refused, ActRefused)(outcome.detail)


def _received(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(min(count - len(parts), 65_536))
        if not part:
            raise OSError("hung up")
        parts += part
    return bytes(parts)


@contextmanager
def _connected(folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection, _named(folder) as name:
        connection.settimeout(TIMEOUT_S)
        connection.connect(name)
        yield connection


@contextmanager
def _named(folder: Path) -> Iterator[str]:
    """Return the socket's path by the open folder: a Unix socket's own path may have 107 bytes only."""
    descriptor = os.open(folder, os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


def _peer(descriptor: int) -> int:
    """Return the user at the other end, as the operating system knows it."""
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        found = copy.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _process, user_id, _group = _CREDENTIALS.unpack(found)
    return int(user_id)


def _user(user_id: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(user_id).pw_name
    return f"uid {user_id}"
