"""What an operator cannot make his log say, though he holds every key and writes every table himself.

Each log here fits itself: tiles, head and signature are made anew over its entries. Only what the entries
say of one another is wrong.
"""

import json
from typing import Any

import apsw
import pytest

from gateway.ledger.audit import AuditReport, Since, verify_store
from gateway.ledger.schema import connect, prepare
from gateway.transparency.proof import Checkpoint, sign_checkpoint
from gateway.transparency.tiles import Tiles
from gateway.transparency.tree import leaf_hash

BODY = {"body": "A" * 43}
Said = dict[str, Any]


def entry(kind: str, request: str = "r-1", **more: Any) -> Said:
    commitments = {} if kind in {"charge", "recover"} else BODY
    return {"v": 1, "kind": kind, "id": request, "ts": 1000, "facts": {}, "commitments": commitments} | more


def debit(rho: int, rho_after: int, node: str = "vn.nso") -> Said:
    return {"node": node, "rho": rho, "delta": 0, "rho_after": rho_after, "delta_after": 0}


def forged(
    files: Any,
    entries: list[Said],
    *,
    spent: dict[str, int] | None = None,
    waiting: dict[int, str] | None = None,
    records: tuple[tuple[str, str, int, str], ...] = (),
) -> Checkpoint:
    """Write a store of these entries, with whatever else the operator likes, and sign its head."""
    connection = connect(files.path, vfs=None)
    prepare(connection, origin=files.signer.name, vkeys=(files.signer.vkey,))
    tiles = Tiles(0, lambda *_: b"")
    for index, said in enumerate(entries):
        leaf = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
        connection.execute("INSERT INTO entry VALUES (?, ?)", (index, leaf))
        if said["kind"] != "recover":
            connection.execute("INSERT INTO opening VALUES (?, 1, x'00')", (index,))
        tiles.append(leaf_hash(leaf))
    connection.executemany("REPLACE INTO tile VALUES (?, ?, ?)", tiles.changed())
    connection.execute("UPDATE head SET size = ?, root = ?", (tiles.size, tiles.root()))
    connection.executemany("INSERT INTO spent VALUES (?, ?, 0, 0)", (spent or {}).items())
    connection.executemany("INSERT INTO charge_open VALUES (?, ?, NULL)", (waiting or {}).items())
    connection.executemany("INSERT INTO registry VALUES (?, ?, ?, ?, 1, x'00')", records)
    connection.close()
    head = Checkpoint(origin=files.signer.name, size=tiles.size, root=tiles.root())
    files.head.write_bytes(sign_checkpoint(head, files.signer))
    return head


def audited(files: Any, **more: Any) -> AuditReport:
    return verify_store(files.path, files.signer.vkey, checkpoints=[files.head.read_bytes()], **more)


def test_a_log_that_is_made_by_hand_and_right_verifies(files: Any) -> None:
    forged(
        files,
        [
            entry("charge", debits=[debit(3, 3)]),
            entry("charge", "r-2", debits=[debit(4, 7), debit(4, 4, "vn.nso/bank-a")]),
            entry("release", charge=0),
            entry("recover", "r-2", charge=1),
            entry("charge", "r-3"),
            entry("config", changes=["client/a"], commitments=BODY | {"change.0": "B" * 43}),
        ],
        spent={"vn.nso": 7, "vn.nso/bank-a": 4},
        waiting={4: "r-3"},
        records=(("client", "a", 5, "change.0"),),
    )

    report = audited(files)

    assert report.faults == ()
    assert (report.charges, report.recovered, report.open_charges, report.checkpoints) == (3, 1, 1, 1)


CHARGED = [entry("charge", debits=[debit(3, 3)])]


@pytest.mark.parametrize(
    ("entries", "spent", "says"),
    [
        ([entry("charge", debits=[debit(3, 2)])], {"vn.nso": 2}, "entry 0 states a wrong sum"),
        (
            [*CHARGED, entry("charge", "r-2", debits=[debit(3, 3)])],
            {"vn.nso": 3},
            "entry 1 states a wrong sum",
        ),
        ([*CHARGED, entry("release", charge=0)], {"vn.nso": 2}, "the budget of `vn.nso` is not the sum"),
        ([*CHARGED, entry("release", charge=0)], {}, "the budget of `vn.nso` is not the sum"),
        ([entry("single", debits=[debit(3, 3)])], {}, "entry 0 debits without being a charge"),
        ([entry("release")], {}, "entry 0 names no charge"),
        ([entry("recover")], {}, "entry 0 names no charge"),
        ([entry("single"), entry("release", charge=0)], {}, "entry 1 closes no open charge"),
        ([entry("release", charge=0)], {}, "entry 0 closes no open charge"),
        ([entry("charge"), entry("charge", charge=0)], {}, "entry 1 closes no open charge"),
        ([entry("charge"), entry("mark", charge=0)], {}, "entry 1 closes no open charge"),
        (
            [entry("charge"), entry("error", charge=0), entry("release", charge=0)],
            {},
            "entry 2 closes no open charge",
        ),
        ([entry("charge"), entry("release", "r-2", charge=0)], {}, "entry 1 closes the charge of another"),
        ([entry("charge")], {}, "charge 0: store and entries differ"),
        ([entry("single", commitments={})], {}, "entry 0 does not commit to what was sent"),
        ([entry("config", changes=["client/a"])], {}, "entry 0 does not commit to its change 0"),
        ([entry("config", changes=["client/a"])], {}, "the registry's record `client/a` is not"),
        ([entry("single", v=2)], {}, "entry 0 is not of an entry's form"),
        ([entry("single", note="more")], {}, "entry 0 is not of an entry's form"),
        ([entry("single", ts=1.5)], {}, "entry 0 is not canonical JSON: a number is not an integer"),
        ([entry("erase", facts={"openings": 1})], {}, "the log says of erasures leaves 0"),
    ],
)
def test_what_does_not_follow_is_found_though_everything_is_signed(
    files: Any, entries: list[Said], spent: dict[str, int], says: str
) -> None:
    forged(files, entries, spent=spent)

    report = audited(files)

    assert report.checkpoints == 1
    assert any(says in fault for fault in report.faults), report.faults


def test_at_most_a_hundred_faults_are_said(files: Any) -> None:
    forged(files, [entry("release") for _ in range(300)])

    assert len(audited(files).faults) == 100


def test_a_charge_from_before_a_checkpoint_is_looked_up_in_the_signed_tree(files: Any) -> None:
    """Its entry in the store was made another person's after the checkpoint."""
    older = [entry("charge", "r-1"), entry("single", "r-2")]
    since = Since(note=sign_checkpoint(forged(files, older), files.signer), books=None)
    for file in files.folder.iterdir():
        file.unlink()
    newer = [*older, entry("release", "r-1", charge=0), entry("release", "r-2", charge=1)]
    forged(files, newer)
    assert audited(files, since=since).faults == ("entry 3 closes no open charge",)

    with apsw.Connection(str(files.path)) as outside:
        (trigger,) = outside.execute(
            "SELECT sql FROM sqlite_schema WHERE name = 'entry_is_never_changed'"
        ).fetchone()
        outside.execute("DROP TRIGGER entry_is_never_changed")
        leaf = json.dumps(entry("charge", "r-2"), sort_keys=True, separators=(",", ":")).encode()
        outside.execute("UPDATE entry SET leaf = ? WHERE idx = 1", (leaf,))
        outside.execute(trigger)

    assert "entry 3 closes no open charge" in audited(files, since=since).faults


def test_a_charge_that_is_closed_twice_after_a_checkpoint_is_found(files: Any) -> None:
    older = [entry("charge", "r-1")]
    since = Since(note=sign_checkpoint(forged(files, older), files.signer), books=None)
    for file in files.folder.iterdir():
        file.unlink()
    forged(files, [*older, entry("release", charge=0), entry("error", charge=0)])

    assert audited(files, since=since).faults == ("entry 2 closes no open charge",)


def test_debits_after_a_checkpoint_continue_from_what_the_first_states(files: Any) -> None:
    older = [entry("charge", debits=[debit(3, 3)]), entry("release", charge=0)]
    since = Since(note=sign_checkpoint(forged(files, older, spent={"vn.nso": 3}), files.signer), books=None)
    for file in files.folder.iterdir():
        file.unlink()
    newer = [entry("charge", "r-2", debits=[debit(2, 5)]), entry("charge", "r-3", debits=[debit(2, 6)])]
    forged(files, [*older, *newer], spent={"vn.nso": 7, "other": 1}, waiting={2: "r-2", 3: "r-3"})

    assert audited(files, since=since).faults == ("entry 3 states a wrong sum for one of its budgets",)
