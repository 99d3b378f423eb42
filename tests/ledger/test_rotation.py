"""The log's key changes while the log goes on: what was signed stays believed, and so does the store."""

from pathlib import Path
from typing import Any

import pytest
from foreign_log import Signer

from gateway.errors import HomeInvalid
from gateway.transparency.proof import parse_proof, verify_checkpoint, verify_receipt
from gateway.transparency.tree import ProofInvalid

ORIGIN = "gateway.example/log/2026"
OLD, NEW, THIRD = (Signer(seed, ORIGIN) for seed in ("log", "next", "third"))


async def test_both_keys_sign_until_one_is_retired_and_every_receipt_stays_good(
    files: Any, build: Any
) -> None:
    ledger = files.open(signer=OLD)
    first = await ledger.release(build.release("r-1"))
    await ledger.close()

    ledger = files.open(signer=NEW, former=(OLD,))
    second = await ledger.release(build.release("r-2"))
    await ledger.close()

    ledger = files.open(signer=NEW, retired=(OLD.vkey,))
    third = await ledger.release(build.release("r-3"))
    head = await ledger.checkpoint()

    def good(receipt: Any, vkeys: str) -> bool:
        try:
            verify_receipt(
                proof=receipt.proof, entry=receipt.entry, body=b"body", salt=receipt.salt, vkey=vkeys
            )
        except ProofInvalid:
            return False
        return True

    receipts = (first, second, third)
    assert [good(receipt, OLD.vkey) for receipt in receipts] == [True, True, False]
    assert [good(receipt, NEW.vkey) for receipt in receipts] == [False, True, True]
    assert [good(receipt, f"{NEW.vkey}\n{OLD.vkey}") for receipt in receipts] == [True] * 3
    assert parse_proof(second.proof).checkpoint.count("\u2014".encode()) == 2
    assert verify_checkpoint(head, NEW.vkey).size == 3


async def test_a_store_opens_for_a_key_it_was_told_of_and_for_no_other(files: Any, build: Any) -> None:
    ledger = files.open(signer=OLD)
    await ledger.release(build.release())
    await ledger.close()

    with pytest.raises(HomeInvalid, match="belongs to another log"):
        files.open(signer=NEW)
    await files.open(signer=NEW, former=(OLD,)).close()
    await files.open(signer=NEW, retired=(OLD.vkey,)).close()
    with pytest.raises(HomeInvalid, match="belongs to another log"):
        files.open(signer=THIRD, retired=(OLD.vkey,))


async def test_a_head_file_of_a_retired_key_is_still_believed(files: Any, build: Any) -> None:
    """Else an old database beside it would pass as new."""
    ledger = files.open(signer=OLD)
    await ledger.release(build.release())
    await ledger.close()
    head = Path(files.head).read_bytes()  # noqa: ASYNC240 -- a small file of the test
    await files.open(signer=NEW, former=(OLD,)).close()
    files.head.write_bytes(head)

    await files.open(signer=NEW, retired=(OLD.vkey,)).close()
    files.head.write_bytes(head)
    with pytest.raises(HomeInvalid, match="head file cannot be believed"):
        files.open(signer=NEW)


async def test_keys_of_another_logs_name_do_not_sign_for_this_one(files: Any) -> None:
    with pytest.raises(ValueError, match="a log signs under its origin"):
        files.open(signer=NEW, former=(Signer("log", "gateway.example/log/2025"),))
