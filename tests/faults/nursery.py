"""Processes that hold a ledger and nothing else, forked from a warm parent, to be killed.

A nursery has imported everything and has no thread, so a child costs a fork. An order comes over a socket
with the writing end of the child's own pipe; what the child told before it died is what left the process.
A child that is told to dies at the n-th change of the disk (SQLite's writes, syncs, truncations, deletions;
the head file's opening and renaming; each signature), of a torn write after half of it.
"""

import asyncio
import gc
import itertools
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from tests.faults.disk import Disk, Do, Operation
from tests.faults.run import Client, Tell
from tests.faults.script import CAP, Answer, Broken, Died, Finished, Script, asked_on
from tests.faults.world import Signer, World

ROOT = Path(__file__).absolute().parents[2]
_ORDER_BYTES_MAX = 1 << 20


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is to do."""

    folder: str
    script: Script = ()
    kill_at: int = 0
    """The operation at which it dies; 0: none."""
    torn: bool = False
    """Whether half of that operation's write is done."""
    clients: int = 0
    """So many ask on and on, all at once, until the child is killed."""
    name: str = ""
    """What the requests of those clients begin with."""
    cap: int = CAP
    closes: bool = True
    """Whether the ledger is closed in the end, or left as a crash leaves it."""


@dataclass(slots=True)
class Countdown:
    """Counts what changes the disk and ends the process at its time."""

    kill_at: int
    torn: bool
    count: int = 0

    def meddle(self, operation: Operation, do: Do) -> None:
        if self.is_time():
            if self.torn and operation.kind == "write":
                half = operation.data[: len(operation.data) // 2]
                do(Operation("write", operation.file, operation.offset, half))
            die()
        do(operation)

    def moment(self) -> None:
        if self.is_time():
            die()

    def is_time(self) -> bool:
        self.count += 1
        return self.count == self.kill_at


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class WatchedSigner(Signer):
    """A signature is a moment to die at."""

    def __init__(self, moment: Callable[[], None]) -> None:
        super().__init__()
        self._moment = moment

    def sign(self, message: bytes) -> bytes:
        self._moment()
        return super().sign(message)


def live(order: Order, tell: Tell) -> None:
    """Do what a child does, all its life."""
    countdown = Countdown(order.kill_at, order.torn)
    disk = None if order.clients else Disk(countdown.meddle)
    world = World(Path(order.folder), signer=WatchedSigner(countdown.moment))

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"open", "os.rename"} and str(arguments[0]).startswith(str(world.head)):
            countdown.moment()

    sys.addaudithook(watch)

    async def life() -> None:
        ledger = world.open(vfs=disk.name if disk else None, on_fatal=lambda: tell(Died()))
        client = Client(ledger, world.clock, tell)
        await client.run(order.script)
        numbers = itertools.count()
        await asyncio.gather(*(_ask_on(client, order, numbers) for _ in range(order.clients)))
        if order.closes:
            await ledger.close()
        tell(Finished(countdown.count))

    asyncio.run(life())


async def _ask_on(client: Client, order: Order, numbers: Iterator[int]) -> None:
    for number in numbers:
        for command in asked_on(number, order.name, order.cap):
            await client.ask(command)


def main() -> None:
    """Serve orders until whoever gives them is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the system
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as line:
        while True:
            text, pipes, _, _ = socket.recv_fds(line, _ORDER_BYTES_MAX, 1)
            if not text:
                return
            child = os.fork()
            if child == 0:
                line.close()
                _be_born(text, pipes[0])
            os.close(pipes[0])
            line.send(b"%d" % child)


def _be_born(text: bytes, pipe: int) -> None:
    def tell(answer: Answer) -> None:
        os.write(pipe, msgspec.json.encode(answer) + b"\n")

    try:
        live(msgspec.json.decode(text, type=Order), tell)
    except BaseException:  # noqa: BLE001 -- told, then the process ends
        tell(Broken(traceback.format_exc()))
    finally:
        die()


@dataclass(slots=True)
class Child:
    """A process that was ordered, seen from outside."""

    pid: int
    pipe: BinaryIO

    def next(self) -> Answer:
        """Return what it tells next; that it died meanwhile, as a breakdown."""
        line = self.pipe.readline()
        if not line.endswith(b"\n"):
            return Broken("it died and nobody killed it")
        return msgspec.json.decode(line, type=Answer)

    def last_words(self) -> list[Answer]:
        """Return what else it told until it was dead; half a line is not told."""
        with self.pipe:
            lines = [line for line in self.pipe if line.endswith(b"\n")]
        return [msgspec.json.decode(line, type=Answer) for line in lines]

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


class Nursery:
    """The nursery's process, seen from outside."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    def order(self, order: Order) -> Child:
        reading, writing = os.pipe()
        try:
            socket.send_fds(self._line, [msgspec.json.encode(order)], [writing])
        finally:
            os.close(writing)
        return Child(int(self._line.recv(32)), os.fdopen(reading, "rb"))


@contextmanager
def a_nursery() -> Iterator[Nursery]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        command = [sys.executable, "-m", "tests.faults.nursery", str(theirs.fileno())]
        with subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()]):
            theirs.close()
            try:
                yield Nursery(ours)
            finally:
                ours.close()  # it ends when nobody gives orders any more


if __name__ == "__main__":
    main()
