"""A log in which one thing was changed, by a hand that can write every table, is never called whole.

What the log's own entries do not speak of is left out: what is sealed (the gateway judges it when it
opens it), the numbers of erased keys, used ids, digests and names of closed idempotency claims.
docs/audit.md says so.
"""

import asyncio
import json
import random
import shutil
from pathlib import Path
from typing import Any

import apsw
import pytest

from gateway.errors import HomeInvalid
from gateway.ledger.audit import HandedIn, verify_store
from gateway.terms.entry import Basis, Change, EntryKind, Erasure
from gateway.terms.identifiers import RequestId
from gateway.transparency.proof import salt_of, verify_receipt
from gateway.transparency.tree import ProofInvalid
from tests.faults.share import chance_of, say

SHARE = 150
NUMBERS = {
    "head": ("size",),
    "spent": ("rho", "delta"),
    "charge_open": ("idx",),
    "claim": ("charge", "release"),
    "registry": ("idx",),
    "tile": ("level", "number"),
}
TEXTS = {
    "spent": ("node",),
    "charge_open": ("id",),
    "registry": ("kind", "id", "field"),
    "log": ("origin", "vkey"),
}
ROWS = ("entry", "head", "log", "spent", "charge_open", "registry", "tile", "opening")


@pytest.fixture
async def used(files: Any, build: Any) -> Any:
    """A closed ledger of every kind of entry, 700 of them, with receipts and an erasure."""
    ledger = files.open()
    receipts = []

    async def ask(number: int) -> None:
        charge = await ledger.charge(build.charge(f"r-{number}", rho=number % 2, key=f"k-{number}"))
        kind = EntryKind.RELEASE if number % 3 else EntryKind.ERROR
        receipt = await ledger.release(
            build.release(f"r-{number}", charge=charge.index, kind=kind, private={"peer": b"127.0.0.1"})
        )
        receipts.append((receipt.proof, receipt.entry))

    await asyncio.gather(*map(ask, range(150)))
    await asyncio.gather(*(ledger.release(build.release(f"s-{number}")) for number in range(370)))
    for number in range(20):
        change = Change(kind="client", id=f"c-{number % 7}", document=b"{}")
        await ledger.release(build.release(f"c-{number}", kind=EntryKind.CONFIG, changes=(change,)))
    await ledger.charge(build.charge("r-open", rho=3))
    await ledger.close()
    ledger = files.open()
    await ledger.erase(Erasure(basis=Basis.ORDER, entries=(3, 4, 5)), RequestId("r-erase"))
    await ledger.charge(build.charge("r-flight", rho=2, key="k-flight"))
    await ledger.close()
    files.receipts = [
        HandedIn(name=str(number), proof=proof, entry=entry, body=b"body")
        for number, (proof, entry) in enumerate(receipts)
    ]
    return files


class Mutation:
    """One change to a store."""

    def __init__(self, outside: apsw.Connection, chance: random.Random) -> None:
        self.outside = outside
        self.chance = chance

    def made(self) -> str:
        """Change one thing and return what was changed."""
        ways = (self.leaf, self.leaf, self.leaf, self.number, self.text, self.hashes, self.row, self.twin)
        return self.chance.choice(ways)()

    def row_of(self, table: str) -> int | None:
        found = self.outside.execute(f"SELECT count(*) FROM {table}").get  # noqa: S608
        return self.chance.randrange(found) if found else None

    def leaf(self) -> str:
        index = self.row_of("entry")
        leaf = bytearray(self.outside.execute("SELECT leaf FROM entry WHERE idx = ?", (index,)).get)
        before, at = bytes(leaf), self.chance.randrange(len(leaf))
        match self.chance.randrange(6):
            case 0:
                leaf[at] ^= 1 << self.chance.randrange(8)
            case 1:
                del leaf[at]
            case 2:
                leaf[at:at] = self.chance.choice([b" ", b"0", b"}", b"\x00"])
            case 3:
                del leaf[at:]
            case 4:
                leaf[:] = spelt(json.loads(leaf) | {"ts": self.chance.randrange(2**41)})
            case _:
                other = self.outside.execute("SELECT leaf FROM entry WHERE idx = ?", (self.row_of("entry"),))
                leaf[:] = other.get
        if bytes(leaf) == before:
            return self.leaf()
        self.outside.execute("UPDATE entry SET leaf = ? WHERE idx = ?", (bytes(leaf), index))
        return f"byte {at} of entry {index}"

    def number(self) -> str:
        table = self.chance.choice(sorted(NUMBERS))
        column = self.chance.choice(NUMBERS[table])
        step = self.chance.choice([-2, -1, 1, 2, 1000, 2**40])
        return self.changed(table, column, f"{column} + {step}", f"{column} IS NOT NULL")

    def text(self) -> str:
        table = self.chance.choice(sorted(TEXTS))
        column = self.chance.choice(TEXTS[table])
        return self.changed(table, column, f"{column} || 'x'", "1")

    def hashes(self) -> str:
        value = self.chance.choice(["zeroblob(8192)", "x''", "CAST(hashes || x'00' AS BLOB)"])
        return self.changed("tile", "hashes", value, "1")

    def row(self) -> str:
        table = self.chance.choice(ROWS)
        offset = self.row_of(table)
        if offset is None:
            return self.row()
        key = {"spent": "node", "registry": "kind || id"}.get(table, "rowid")
        self.outside.execute(
            f"DELETE FROM {table} WHERE {key} = (SELECT {key} FROM {table} LIMIT 1 OFFSET {offset})"  # noqa: S608
        )
        return f"row {offset} of {table} deleted"

    def twin(self) -> str:
        """Add a row that stands for nothing."""
        sql = self.chance.choice(
            [
                "INSERT INTO entry SELECT max(idx) + 1, leaf FROM entry",
                "INSERT INTO tile VALUES (1, 7, zeroblob(32))",
                "INSERT INTO spent VALUES ('vn.other', 1, 0, 0)",
                "INSERT INTO charge_open VALUES (1, 'r-0', NULL)",
                "INSERT INTO registry VALUES ('client', 'c-new', 0, 'change.0', 1, x'00')",
                "INSERT INTO opening VALUES (100000, 1, x'00')",
                "INSERT INTO erased SELECT max(key) FROM opening",
                "UPDATE claim SET answer = x'00' WHERE answer IS NULL",
                "CREATE TRIGGER more AFTER INSERT ON entry BEGIN SELECT 1; END",
                "DROP INDEX once_by_expiry",
            ]
        )
        self.outside.execute(sql)
        return sql

    def changed(self, table: str, column: str, value: str, where: str) -> str:
        found = self.outside.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchall()  # noqa: S608
        (old,) = self.chance.choice(found)
        self.outside.execute(f"UPDATE OR IGNORE {table} SET {column} = {value} WHERE {column} IS ?", (old,))  # noqa: S608
        return f"{table}.{column} = {value}" if self.outside.changes() else self.number()


def spelt(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def faults_of_mutants(
    used: Any, folder: Path, count: int, chance: random.Random
) -> dict[str, tuple[str, ...]]:
    """Return what is said of so many stores with one change each."""
    head, path = used.head.read_bytes(), folder / "mutant.sqlite"
    found = {}
    for number in range(count):
        for name in ("", "-wal", "-shm"):
            path.with_name(path.name + name).unlink(missing_ok=True)
        shutil.copy(used.path, path)
        outside = apsw.Connection(str(path))
        outside.pragma("synchronous", 0)
        with outside:
            triggers = outside.execute(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
            ).fetchall()
            for name, _ in triggers:
                outside.execute(f"DROP TRIGGER {name}")
            what = Mutation(outside, chance).made()
            for _, sql in triggers:
                outside.execute(sql)
        outside.close()
        report = verify_store(path, used.signer.vkey, checkpoints=[head], receipts=used.receipts[:3])
        found[f"{number}: {what}"] = report.faults
    return found


def test_a_log_with_one_change_is_refused_by_name(used: Any, tmp_path: Path) -> None:
    assert verify_store(used.path, used.signer.vkey, receipts=used.receipts).faults == ()
    found = faults_of_mutants(used, tmp_path, SHARE, chance_of("log"))

    assert [what for what, faults in found.items() if not faults] == []


@pytest.mark.long
def test_two_thousand_logs_with_one_change_are_refused_by_name(used: Any, tmp_path: Path) -> None:
    found = faults_of_mutants(used, tmp_path, 2000, chance_of("logs"))

    assert [what for what, faults in found.items() if not faults] == []
    words = {faults[0] for faults in found.values()}
    say(f"2000 mutants of a log: all refused, in {len(words)} different first words")


SPOKEN_OF = (
    "SELECT * FROM entry", "SELECT * FROM tile", "SELECT * FROM head", "SELECT * FROM log",
    "SELECT * FROM spent", "SELECT idx, id FROM charge_open", "SELECT kind, id, idx, field FROM registry",
    "SELECT idx FROM opening", "SELECT charge, release FROM claim ORDER BY 1",
    "SELECT name, sql FROM sqlite_schema",
)  # fmt: skip


def content_of(path: Path) -> list[Any]:
    outside = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return [outside.execute(sql).fetchall() for sql in SPOKEN_OF]
    finally:
        outside.close()


def unnoticed(used: Any, folder: Path, count: int, chance: random.Random) -> tuple[int, int]:
    """Flip a bit of the file so often; return how often it was named, and how often nothing had changed."""
    whole, head, path = used.path.read_bytes(), used.head.read_bytes(), folder / "flipped.sqlite"
    before, named, same = content_of(used.path), 0, 0
    for _ in range(count):
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            is_named = not verify_store(path, used.signer.vkey, checkpoints=[head]).verified
        except HomeInvalid:
            is_named = True
        if is_named:
            named += 1
        else:  # free space of a page, sealed bytes, or a counter of SQLite's own
            assert content_of(path) == before
            same += 1
    return named, same


def test_a_bit_that_flips_in_the_file_changes_nothing_or_is_named(used: Any, tmp_path: Path) -> None:
    named, same = unnoticed(used, tmp_path, SHARE // 2, chance_of("bits"))

    assert (named > SHARE // 8, named + same) == (True, SHARE // 2)


@pytest.mark.long
def test_two_thousand_bits_that_flip_in_the_file_change_nothing_or_are_named(
    used: Any, tmp_path: Path
) -> None:
    named, same = unnoticed(used, tmp_path, 2000, chance_of("bits of the file"))

    say(f"2000 bits flipped in a log's file: {named} named, {same} in bytes that say nothing, 0 unnoticed")


def verified(receipt: HandedIn, vkey: str) -> None:
    verify_receipt(
        proof=receipt.proof, entry=receipt.entry, body=receipt.body, salt=salt_of(receipt.proof), vkey=vkey
    )


def receipts_refused(used: Any, count: int, chance: random.Random) -> set[str]:
    words = set()
    for _ in range(count):
        receipt = chance.choice(used.receipts)
        parts = {"proof": receipt.proof, "entry": receipt.entry, "body": receipt.body}
        name = chance.choice(["proof", "proof", "entry", "body"])
        data, at = bytearray(parts[name]), chance.randrange(len(parts[name]))
        match chance.randrange(4):
            case 0 | 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                del data[at:]
            case _:
                data[at:at] = bytes([data[at], 0x0A])
        changed = HandedIn(**{"name": "", **parts, name: bytes(data)})
        with pytest.raises(ProofInvalid) as caught:
            verified(changed, used.signer.vkey)
        words.add(str(caught.value))
    return words


def test_a_receipt_with_one_change_is_refused_by_name(used: Any) -> None:
    assert all(receipts_refused(used, 500, chance_of("receipt")))


@pytest.mark.long
def test_ten_thousand_receipts_with_one_change_are_refused_by_name(used: Any) -> None:
    words = receipts_refused(used, 10_000, chance_of("receipts"))

    assert all(words)
    say(f"10000 mutants of receipts: all refused, in {len(words)} different words")
