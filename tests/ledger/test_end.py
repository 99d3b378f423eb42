"""A log ends once: its last entry and its closing are one, and nothing stands behind it."""

from typing import Any

import apsw
import pytest

from gateway.errors import HomeInvalid, LedgerUnavailable
from gateway.ledger.audit import verify_store
from gateway.ledger.port import EntryRefused
from gateway.terms.entry import LOG_CLOSED, EntryKind

NEXT = "gateway.example/log/2027"


def last(build: Any, files: Any) -> Any:
    facts = {"event": LOG_CLOSED, "old": files.signer.vkey, "new": f"{NEXT}+00000000+key"}
    return build.release("r-end", kind=EntryKind.MARK, facts=facts)


async def test_nothing_stands_behind_the_last_entry(files: Any, build: Any, reopened: Any) -> None:
    ledger = files.open()
    receipt = await ledger.end(last(build, files), NEXT)
    for refused in (ledger.release(build.release()), ledger.end(last(build, files), NEXT)):
        with pytest.raises(LedgerUnavailable):
            await refused

    with pytest.raises(HomeInvalid, match=f"`{NEXT}` follows it"):
        await reopened()
    with pytest.raises(HomeInvalid, match=f"`{NEXT}` follows it"):
        await reopened(next_origin="gateway.example/log/2028")
    again = await reopened(next_origin=NEXT)
    with pytest.raises(LedgerUnavailable):
        await again.charge(build.charge())

    assert (receipt.index, await again.is_closed()) == (0, True)
    assert verify_store(files.path, files.signer.vkey).faults == ()


async def test_a_log_with_an_open_charge_does_not_end(files: Any, build: Any) -> None:
    ledger = files.open()
    charge = await ledger.charge(build.charge())
    with pytest.raises(EntryRefused, match="a charge is open"):
        await ledger.end(last(build, files), NEXT)

    await ledger.release(build.release(charge=charge.index))
    await ledger.end(last(build, files), NEXT)

    assert await ledger.is_closed()


async def test_an_entry_behind_the_last_one_is_found(files: Any, build: Any) -> None:
    ledger = files.open()
    await ledger.end(last(build, files), NEXT)
    with apsw.Connection(str(files.path)) as outside:
        outside.execute("DROP TRIGGER closed_log_never_grows")
    await ledger.release(build.release())

    faults = verify_store(files.path, files.signer.vkey).faults

    assert "entry 1 stands behind the one that closed the log" in faults
