"""A check goes on where an earlier one ended, and finds in the newer part what a full one finds there."""

import asyncio
import json
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.ledger.audit import AuditReport, Since, verify_store
from gateway.ledger.audit_entries import Books
from gateway.ledger.audit_state import FORMAT, StateInvalid, digest_of, since_of, state_digest, state_text
from gateway.terms.entry import Change, EntryKind
from gateway.transparency.tiles import WIDTH


async def growing(files: Any, build: Any, start: int, stop: int) -> bytes:
    """Log charges, releases and records; entry ``2n`` is a charge, ``2n + 1`` closes the one before it.

    The first 256 of many are plain replies.
    """
    ledger = files.open()
    if start == 0 and stop > WIDTH:
        await asyncio.gather(*(ledger.release(build.release(f"s-{number}")) for number in range(WIDTH)))
        start = WIDTH
    for number in range(start, stop):
        if number % 2 == 0:
            await ledger.charge(build.charge(f"r-{number // 2}", rho=0, key=f"k-{number}"))
        elif number % 8 == 7:
            change = Change(kind="client", id=f"c-{number % 3}", document=b"{}")
            await ledger.release(
                build.release(f"r-{number // 2}", charge=number - 1, kind=EntryKind.ERROR, changes=(change,))
            )
        else:
            await ledger.release(build.release(f"r-{number // 2}", charge=number - 1))
    note: bytes = await ledger.checkpoint()
    await ledger.close()
    return note


def checked(files: Any, *, since: Since | None = None, **more: Any) -> AuditReport:
    return verify_store(
        files.path, files.signer.vkey, checkpoints=[files.head.read_bytes()], since=since, **more
    )


def spoilt(files: Any, sql: str) -> None:
    with apsw.Connection(str(files.path)) as outside:
        triggers = outside.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            outside.execute(f"DROP TRIGGER {name}")
        outside.execute(sql)
        for _, text in triggers:
            outside.execute(text)


@pytest.mark.parametrize(("first", "then"), [(1, 2), (6, 9), (200, 256), (256, 300), (300, 520), (500, 514)])
async def test_with_its_state_a_check_says_what_a_full_one_says(
    files: Any, build: Any, first: int, then: int
) -> None:
    await growing(files, build, 0, first)
    state = state_text(checked(files).reached)  # type: ignore[arg-type]
    charge_was_open = first % 2
    if charge_was_open:  # a restart recovers it: one entry more
        await growing(files, build, first + 1, first + 1)
        first += 1
    await growing(files, build, first, then)

    full, newer = checked(files), checked(files, since=since_of(state))

    assert newer.faults == ()
    assert newer.since == first - charge_was_open
    assert (newer.size, newer.root, newer.charges, newer.recovered, newer.open_charges) == (
        full.size, full.root, full.charges, full.recovered, full.open_charges,
    )  # fmt: skip
    assert newer.reached == full.reached


async def test_from_a_bare_checkpoint_the_tree_is_proved_and_older_sums_are_believed(
    files: Any, build: Any
) -> None:
    note = await growing(files, build, 0, 300)
    await growing(files, build, 300, 333)

    report = checked(files, since=Since(note=note, books=None))

    assert (report.faults, report.since, report.size) == ((), 300, 333)
    assert report.charges == 17  # those of the new part: 300, 302, ... 332


@pytest.mark.parametrize("with_books", [True, False])
@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE entry SET leaf = x'7b7d' WHERE idx = 310", "entry 310 is not of an entry's form"),
        ("DELETE FROM entry WHERE idx = 320", "entry 320 is missing"),
        ("UPDATE entry SET leaf = x'7b7d' WHERE idx = 299", "not the ones that were signed"),
        ("UPDATE tile SET hashes = zeroblob(32) WHERE level = 1", "not the ones that were signed"),
        ("DELETE FROM tile WHERE level = 1", "not the ones that were signed"),
        ("UPDATE head SET size = 332", "the head is not that of the entries"),
        (
            "DELETE FROM opening WHERE idx = 310",
            "holds 33 openings, and what the log says of erasures leaves 34",
        ),
        ("UPDATE spent SET rho = 1 WHERE node = 'vn.nso'", "the budget of `vn.nso` is not the sum"),
        ("INSERT INTO charge_open VALUES (302, 'r-151', NULL)", "charge 302: store and entries differ"),
        ("UPDATE registry SET idx = 300 WHERE id = 'c-1'", "record `client/c-1` is not the one"),
        ("UPDATE claim SET release = 300 WHERE charge = 302", "claim on charge 302 does not fit"),
    ],
)
async def test_what_is_wrong_in_the_newer_part_is_found(
    files: Any, build: Any, with_books: bool, sql: str, says: str
) -> None:
    note = await growing(files, build, 0, 300)
    books = checked(files).reached.books  # type: ignore[union-attr]
    await growing(files, build, 300, 334)
    spoilt(files, sql)

    report = checked(files, since=Since(note=note, books=books if with_books else None))

    assert any(says in fault for fault in report.faults), report.faults


async def test_a_log_that_became_shorter_or_forked_since_is_found(files: Any, build: Any) -> None:
    await growing(files, build, 0, 300)
    since = checked(files).reached
    for file in files.folder.iterdir():
        file.unlink()
    await growing(files, build, 0, 290)

    assert checked(files, since=since).faults == (
        "the earlier check: a tree of 300 entries was signed, the store holds 290",
    )
    await growing(files, build, 290, 310)
    assert "the earlier check: the first 300 entries are not the ones that were signed" in (
        checked(files, since=since).faults
    )


async def test_an_older_charge_cannot_be_closed_twice(files: Any, build: Any) -> None:
    """The second closing is forged by a hand that has the key and moves every table along."""
    note = await growing(files, build, 0, 4)
    ledger = files.open()
    forged = build.release("r-1", kind=EntryKind.ERROR)
    await ledger.release(forged)
    await ledger.close()
    leaf = json.loads(leaf_of(files, 4)) | {"charge": 2}
    spoilt(files, f"UPDATE entry SET leaf = x'{_spelt(leaf).hex()}' WHERE idx = 4")  # noqa: S608
    nodes = ("vn.nso", "vn.nso/bank-a", "vn.nso/bank-a/etl-1")
    books = Books(sums=dict.fromkeys(nodes, (0, 0)), charges=2, time=int(leaf["ts"]))

    report = verify_store(files.path, files.signer.vkey, since=Since(note=note, books=books))

    assert "entry 4 closes no open charge" in report.faults


def leaf_of(files: Any, index: int) -> bytes:
    with apsw.Connection(str(files.path)) as outside:
        leaf: bytes = outside.execute("SELECT leaf FROM entry WHERE idx = ?", (index,)).get
        return leaf


def _spelt(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


async def test_any_change_to_a_state_is_noticed(files: Any, build: Any) -> None:
    await growing(files, build, 0, 30)
    text = state_text(checked(files).reached)  # type: ignore[arg-type]

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(place=st.integers(0, len(text) - 1), bit=st.integers(0, 7), cut=st.booleans())
    def each(place: int, bit: int, cut: bool) -> None:
        other = text[:place] if cut else text[:place] + bytes([text[place] ^ 1 << bit]) + text[place + 1 :]
        if not other.startswith(b"{"):
            assert checked(files, since=since_of(other)).faults[0].startswith("the earlier check: cannot be")
            return
        with pytest.raises(StateInvalid):
            since_of(other)

    each()
    assert since_of(text) == checked(files).reached
    assert state_digest(text) in text.decode()


def sealed_state(members: dict[str, Any]) -> bytes:
    """Return a state with a right digest."""
    return _spelt(members | {"sha256": digest_of(members)}) + b"\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "cut off or damaged"),
        (b"{}", "cut off or damaged"),
        (b"[" * 100_000, ""),
        (b"{" + b'"a":[' * 100_000, "cut off or damaged"),
        (b'{"sha256":"00"}\n', "its digest does not fit"),
        (sealed_state({"format": "other"}), "of another version"),
        (sealed_state({"format": FORMAT, "note": 1, "books": {}}), "holds no books of a log"),
    ],
)
async def test_what_is_no_state_says_so(files: Any, build: Any, text: bytes, says: str) -> None:
    await growing(files, build, 0, 4)
    if text.startswith(b"{"):
        with pytest.raises(StateInvalid, match=says):
            since_of(text)
    else:
        assert not checked(files, since=since_of(text)).verified
