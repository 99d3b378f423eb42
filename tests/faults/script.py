"""What a ledger is asked to do, as data, and what it answered: both cross a pipe as lines of JSON."""

import random
from collections.abc import Iterator

import msgspec

from gateway.terms.entry import EntryKind

CAP = 60
"""Of each client's budget where nothing else is said: reached within a long script."""
CLIENTS = 4


class Charge(msgspec.Struct, frozen=True, tag=True):
    id: str
    rho: int = 1
    client: str = "c-0"
    key: str | None = None
    cap: int = CAP


class Release(msgspec.Struct, frozen=True, tag=True):
    id: str
    kind: EntryKind = EntryKind.SINGLE
    charged: bool = False
    """Whether it closes the charge of the same id."""
    record: str | None = None
    """The registry record that it puts."""

    @property
    def body(self) -> bytes:
        return f"body of {self.id}".encode()

    @property
    def answer(self) -> bytes | None:
        return f"answer of {self.id}".encode() if self.kind is EntryKind.RELEASE else None

    @property
    def document(self) -> bytes:
        return b'{"by":"%s"}' % self.id.encode()


class Erase(msgspec.Struct, frozen=True, tag=True):
    id: str
    subject: str


class UseOnce(msgspec.Struct, frozen=True, tag=True):
    id: str


class MoveClock(msgspec.Struct, frozen=True, tag=True):
    seconds: int


class AskHead(msgspec.Struct, frozen=True, tag=True):
    pass


Command = Charge | Release | Erase | UseOnce | MoveClock | AskHead
Script = tuple[tuple[Command, ...], ...]
"""Steps one after the other; the commands of one step at once."""


class Charged(msgspec.Struct, frozen=True, tag=True):
    id: str
    index: int


class Stored(msgspec.Struct, frozen=True, tag=True):
    id: str
    answer: bytes
    charge_index: int
    release_index: int


class Receipted(msgspec.Struct, frozen=True, tag=True):
    id: str
    index: int
    entry: bytes
    proof: bytes
    salt: bytes
    body: bytes


class Used(msgspec.Struct, frozen=True, tag=True):
    id: str
    fresh: bool


class Headed(msgspec.Struct, frozen=True, tag=True):
    note: bytes


class Refused(msgspec.Struct, frozen=True, tag=True):
    id: str
    error: str


class Died(msgspec.Struct, frozen=True, tag=True):
    """``on_fatal`` was called."""


class Finished(msgspec.Struct, frozen=True, tag=True):
    """The script is done and the ledger closed; so many operations of the disk it took."""

    operations: int


class Broken(msgspec.Struct, frozen=True, tag=True):
    """The harness or the ledger raised what it never may."""

    trace: str


Answer = Charged | Stored | Receipted | Used | Headed | Refused | Died | Finished | Broken


def private_of(id: str) -> dict[str, bytes]:  # noqa: A002 -- as in the ledger
    """Return the private values of the entries of a request."""
    return {"question": f"question of {id}".encode(), "peer": b"203.0.113.7"}


def subject_of(id: str) -> str | None:  # noqa: A002 -- as in the ledger
    """Return the person who acts in a request; in every fifth there is none."""
    number = int(id.rpartition("-")[2])
    return f"op-{number % 5}.bank-a" if number % 5 else None


def scripted(seed: int, *, steps: int, name: str = "r", clock: bool = False) -> Script:
    """Return a script that does everything a ledger can do, some of it at once; an erasure is alone."""
    chance = random.Random(seed)  # noqa: S311 -- what to ask, not what to hide
    commands = _commands(chance, name, clock=clock)
    return tuple(
        (Erase(f"{name}-e-{step}", f"op-{chance.randrange(1, 5)}.bank-a"),)
        if step % 20 == 15
        else tuple(next(commands) for _ in range(chance.choice((1, 1, 1, 2, 5))))
        for step in range(steps)
    )


def _commands(chance: random.Random, name: str, *, clock: bool) -> Iterator[Command]:
    waiting: list[str] = []
    number = 0
    while True:
        number += 1
        new = f"{name}-{number}"
        match chance.randrange(14 if clock else 12):
            case 0 | 1 | 2 | 3:
                key = new if chance.random() < 0.8 else f"{name}-{chance.randrange(1, number + 1)}"
                yield Charge(new, chance.randrange(1, 4), f"c-{chance.randrange(CLIENTS)}", key)
                if chance.random() < 0.8:
                    waiting.append(new)
            case 4 | 5 | 6 if waiting:
                kind = chance.choice((EntryKind.RELEASE, EntryKind.RELEASE, EntryKind.ERROR))
                yield Release(waiting.pop(chance.randrange(len(waiting))), kind, charged=True)
            case 7 | 8:
                yield UseOnce(f"{name}-jti-{chance.randrange(1, number + 1)}")
            case 9:
                yield Release(new, EntryKind.CONFIG, record=f"op-{chance.randrange(5)}")
            case 10:
                yield AskHead()
            case 12 | 13:
                size = chance.choice((1, 60, 3600, 86_400, 31 * 86_400, 366 * 86_400))
                yield MoveClock(chance.choice((-1, 1)) * size)
            case _:
                yield Release(new, chance.choice((EntryKind.SINGLE, EntryKind.DENY)))


def asked_on(number: int, name: str, cap: int) -> tuple[Command, ...]:
    """Return what one of a crowd that asks on and on asks next; every fifth charge is left open."""
    request = f"{name}-{number}"
    charge = Charge(request, 1, f"c-{number % 3}", request, cap)
    return (charge, Release(request, EntryKind.RELEASE, charged=True)) if number % 5 < 4 else (charge,)
