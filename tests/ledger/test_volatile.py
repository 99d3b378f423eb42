"""Short-lived state: forgotten at boot, shared by workers, bounded in time."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from gateway.ledger.volatile import Volatile


@pytest.fixture(params=["file", "memory"])
def volatile(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Volatile]:
    made = Volatile.create(tmp_path / "volatile.sqlite" if request.param == "file" else None)
    yield made
    made.close()


def test_an_id_serves_once(volatile: Volatile) -> None:
    """Promise P7."""
    assert volatile.use_once("jti", 2_000, now_ms=1_000)
    assert not volatile.use_once("jti", 2_000, now_ms=1_000)
    assert not volatile.use_once("jti", 9_000, now_ms=3_000)
    assert volatile.use_once("other", 2_000, now_ms=1_000)


def test_a_boot_begins_empty(tmp_path: Path) -> None:
    path = tmp_path / "volatile.sqlite"
    first = Volatile.create(path)
    first.put("grant", "g", b"{}", 2_000, now_ms=0)
    first.close()

    second = Volatile.create(path)

    assert second.get("grant", "g", now_ms=0) is None
    assert path.stat().st_mode & 0o077 == 0
    second.close()


def test_what_is_put_can_be_read_until_it_expires(volatile: Volatile) -> None:
    volatile.put("grant", "g", b"one", 2_000, now_ms=0)
    volatile.put("grant", "g", b"two", 3_000, now_ms=0)

    assert volatile.get("grant", "g", now_ms=2_999) == b"two"
    assert volatile.get("grant", "g", now_ms=3_000) is None
    assert volatile.get("other", "g", now_ms=0) is None


def test_of_two_who_take_one_gets_it(volatile: Volatile) -> None:
    volatile.put("grant", "g", b"one", 2_000, now_ms=0)
    volatile.put("grant", "late", b"one", 2_000, now_ms=0)

    assert [volatile.take("grant", "g", now_ms=0) for _ in range(2)] == [b"one", None]
    assert volatile.take("grant", "late", now_ms=2_000) is None


def test_hits_are_counted_within_a_window_and_start_again_after_it(volatile: Volatile) -> None:
    assert [volatile.count("peer", 10, now_ms=now) for now in (0, 1, 9_999)] == [1, 2, 3]
    assert [volatile.count("peer", 10, now_ms=now) for now in (10_000, 19_999, 30_000)] == [1, 2, 1]
    assert volatile.count("peer", 60, now_ms=0) == 1
    assert volatile.count("other", 10, now_ms=30_000) == 1


def test_p9_what_has_expired_is_gone_from_the_file_at_the_next_write_a_minute_later(tmp_path: Path) -> None:
    """Promise P9: rows are kept for minutes; any request is a write, as it uses up a proof's id."""
    path = tmp_path / "volatile.sqlite"
    store = Volatile.create(path)
    store.use_once("before", 10**9, now_ms=0)
    store.put("answer", "1", b"sealed rows" * 1000, 600_000, now_ms=0)

    looking, held = apsw.Connection(str(path)), []
    for now_ms in (599_999, 660_000):
        store.use_once(f"at {now_ms}", 10**9, now_ms=now_ms)
        count = looking.execute("SELECT count(*) FROM held").get
        looking.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        held.append((count, b"sealed rows" in path.read_bytes()))

    assert held == [(1, True), (0, False)]
    looking.close()
    store.close()


def test_what_has_expired_is_purged_in_time(volatile: Volatile) -> None:
    for number in range(1_023):
        volatile.use_once(f"jti-{number}", 2_000, now_ms=1_000)
    volatile.use_once("fresh", 9_000, now_ms=5_000)

    assert volatile.use_once("jti-0", 9_000, now_ms=5_000)
    assert not volatile.use_once("fresh", 9_000, now_ms=5_000)
