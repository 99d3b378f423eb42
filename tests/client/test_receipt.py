"""A kept receipt proves offline what was sent, and stops proving it when one byte is changed."""

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.client.failures import AnswerRefused
from gateway.client.receipt import (
    FILE_BYTES_MAX,
    ReceiptUnreadable,
    StoredReceipt,
    receipt_of,
    require_receipt,
    verify_file,
)
from gateway.jose import base64url
from gateway.keyring.keyring import Keyring
from gateway.transparency.tree import ProofInvalid

BODY = b'{"rows": []}'
Record = Callable[..., Awaitable[dict[str, str]]]
"""What conftest.py gives: records a body, and returns the headers of its receipt."""


@pytest.fixture
async def headers(record: Record) -> dict[str, str]:
    return await record(BODY)


async def test_a_receipt_proves_the_very_bytes_that_came(
    headers: dict[str, str], keyring: Keyring, tmp_path: Path
) -> None:
    """Promise P9."""
    receipt = receipt_of(headers, BODY)
    assert receipt is not None
    path = tmp_path / "answer.receipt.json"
    receipt.save(path)

    proved = verify_file(path, keyring.log.vkey)

    assert (proved.origin, proved.entry["kind"]) == ("gateway.example/log", "single")
    assert StoredReceipt.load(path) == receipt


async def test_a_changed_body_entry_or_proof_proves_nothing(
    headers: dict[str, str], keyring: Keyring, tmp_path: Path
) -> None:
    """Promise P9."""
    receipt = receipt_of(headers, BODY)
    assert receipt is not None
    path = tmp_path / "answer.receipt.json"
    receipt.save(path)
    kept = json.loads(path.read_text())
    forged = {
        "body": base64url(BODY + b" "),
        "entry": base64url(receipt.entry.replace(b"200", b"201")),
        "receipt": base64url(receipt.proof[:-9] + b"AAAAAAAA\n"),
    }

    for name, value in forged.items():
        path.write_text(json.dumps(kept | {name: value}))
        with pytest.raises(ProofInvalid):
            verify_file(path, keyring.log.vkey)


async def test_another_logs_key_does_not_verify(headers: dict[str, str], tmp_path: Path) -> None:
    """Promise P9."""
    other = Keyring.create(tmp_path / "other", log_name="gateway.example/log")
    receipt = receipt_of(headers, BODY)
    assert receipt is not None

    with pytest.raises(ProofInvalid):
        receipt.verify(other.log.vkey)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the receipt file is empty"),
        ("x", "is not JSON, or its end is cut off"),
        ('{"receipt": "AA", "ent', "is not JSON, or its end is cut off"),
        ("ă", "is not JSON, or its end is cut off"),
        ("[" * 100_000, "is not JSON, or its end is cut off"),
        ("null", "no object of receipt, entry, body and plain"),
        ('["receipt"]', "no object of receipt, entry, body and plain"),
        ('{"receipt": "AA", "entry": "AA", "more": "AA"}', "no object of receipt, entry, body and plain"),
        (
            '{"receipt": "AA", "receipt": "AA", "entry": "AA"}',
            "no object of receipt, entry, body and plain, each once",
        ),
        ("{}", "the receipt file has no `receipt`"),
        ('{"receipt": "AA", "body": "AA"}', "the receipt file has no `entry`"),
        ('{"receipt": 1, "entry": 1, "body": 1}', "`receipt` of the receipt file is not base64url"),
        ('{"receipt": "AA", "entry": {}, "body": ""}', "`entry` of the receipt file is not base64url"),
        ('{"receipt": "AA", "entry": "AA", "body": "A="}', "`body` of the receipt file is not base64url"),
    ],
)
def test_what_is_no_receipt_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "answer.receipt.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ReceiptUnreadable, match=says):
        StoredReceipt.load(path)


def test_what_is_no_file_is_named_and_not_waited_for(tmp_path: Path) -> None:
    pipe, huge = tmp_path / "pipe", tmp_path / "huge"
    os.mkfifo(pipe)
    with huge.open("wb") as file:
        file.truncate(FILE_BYTES_MAX + 1)

    for path, says in (
        (tmp_path, "no plain file"),
        (pipe, "no plain file"),
        (huge, "too large"),
        (tmp_path / "missing", "cannot be read: No such file or directory"),
    ):
        with pytest.raises(ReceiptUnreadable, match=says):
            StoredReceipt.load(path)


async def test_a_receipt_without_its_body_proves_the_place_only(
    headers: dict[str, str], keyring: Keyring, tmp_path: Path
) -> None:
    receipt = receipt_of(headers, BODY)
    assert receipt is not None
    path = tmp_path / "handed-in.receipt"
    receipt.without_body().save(path)

    kept = StoredReceipt.load(path)

    assert (kept.body, kept.entry, kept.proof) == (None, receipt.entry, receipt.proof)
    assert kept.verify(keyring.log.vkey) == receipt.verify(keyring.log.vkey)
    assert base64url(BODY) not in path.read_text()


async def test_one_of_several_keys_is_enough(
    headers: dict[str, str], keyring: Keyring, tmp_path: Path
) -> None:
    other = Keyring.create(tmp_path / "other", log_name="gateway.example/log")
    receipt = receipt_of(headers, BODY)
    assert receipt is not None

    assert receipt.verify(f"{other.log.vkey}\n{keyring.log.vkey}").index == 0


def test_an_answer_without_receipt_has_none_and_a_broken_one_is_not_passed_over() -> None:
    assert receipt_of({}, BODY) is None
    with pytest.raises(ReceiptUnreadable):
        receipt_of({"Gateway-Receipt": "=", "Gateway-Entry": "AA"}, BODY)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"body": b'{"rows": [1]}'}, "does not commit to this body"),
        ({"status": 206}, "another status"),
        ({"client": "etl-2"}, "another client"),
        ({"vkey": None}, "does not verify"),
        ({"receipt": None}, "without a receipt"),
        ({"method": "HEAD", "body": b""}, None),  # recorded with a body that is not sent
        ({"receipt": None, "status": 503}, None),  # which says that it could not be recorded
        ({}, None),
    ],
)
def test_an_answer_is_used_only_if_it_was_recorded_as_it_is(
    headers: dict[str, str], keyring: Keyring, tmp_path: Path, changed: dict[str, object], said: str | None
) -> None:
    """Promise P1, held by the firm."""
    body = changed.get("body", BODY)
    assert isinstance(body, bytes)
    other = Keyring.create(tmp_path / "other", log_name="gateway.example/log")
    arguments: dict[str, object] = {
        "vkey": keyring.log.vkey,
        "client": "etl-1",
        "status": 200,
        "method": "GET",
    }
    arguments |= {name: value for name, value in changed.items() if name in arguments}
    arguments["vkey"] = arguments["vkey"] or other.log.vkey
    receipt = None if "receipt" in changed else receipt_of(headers, body)
    if said is None:
        require_receipt(receipt, **arguments)  # type: ignore[arg-type]
        return
    with pytest.raises(AnswerRefused, match=said):
        require_receipt(receipt, **arguments)  # type: ignore[arg-type]


async def test_a_receipt_of_an_encrypted_answer_proves_what_came_and_what_it_says(
    record: Record, keyring: Keyring, tmp_path: Path
) -> None:
    """Promise P9: whoever holds the plaintext proves it without the key."""
    receipt = receipt_of(await record(b"a.jwe", BODY), b"a.jwe", plain=BODY)
    assert receipt is not None
    path = tmp_path / "answer.receipt"
    receipt.save(path)
    kept = json.loads(path.read_text())

    assert StoredReceipt.load(path) == receipt
    assert verify_file(path, keyring.log.vkey).entry["commitments"].keys() == {"body", "plain"}  # type: ignore[attr-defined]
    for forged, says in (
        ({"plain": base64url(BODY + b" ")}, "this plaintext"),
        ({"plain": base64url(b"a.jwe")}, "this plaintext"),
        ({"body": base64url(BODY)}, "this body"),
        ({"body": base64url(BODY), "plain": base64url(b"a.jwe")}, "this body"),
    ):
        path.write_text(json.dumps(kept | forged))
        with pytest.raises(ProofInvalid, match=says):
            verify_file(path, keyring.log.vkey)
    for left_out in ("body", "plain"):
        path.write_text(json.dumps({name: kept[name] for name in kept if name != left_out}))
        assert verify_file(path, keyring.log.vkey).index == 0
    receipt.without_body().save(path)
    assert json.loads(path.read_text()).keys() == {"receipt", "entry"}


async def test_an_answer_in_clear_commits_to_no_plaintext(record: Record, keyring: Keyring) -> None:
    receipt = receipt_of(await record(BODY), BODY, plain=BODY)
    assert receipt is not None

    with pytest.raises(ProofInvalid, match="does not commit to this plaintext"):
        receipt.verify(keyring.log.vkey)


async def test_an_encrypted_answer_is_used_only_if_the_log_says_what_it_says_and_to_whom(
    record: Record, keyring: Keyring
) -> None:
    """Promise P1, held by the firm: our public key alone makes nobody the gateway."""
    log = {"vkey": keyring.log.vkey, "client": "etl-1", "status": 200, "method": "POST"}
    right = await record(b"a.jwe", BODY, encrypted_to="ours")

    require_receipt(receipt_of(right, b"a.jwe", plain=BODY), **log, encrypted_to="ours")  # type: ignore[arg-type]
    for headers, body, said in (
        (await record(b"a.jwe", encrypted_to="ours"), b"a.jwe", "does not commit to this plaintext"),
        (
            await record(b"a.jwe", b"other", encrypted_to="ours"),
            b"a.jwe",
            "does not commit to this plaintext",
        ),
        (await record(BODY), b"made.of.it", "does not commit to this body"),
        (await record(b"a.jwe", BODY), b"a.jwe", "not encrypted to this key"),
        (await record(b"a.jwe", BODY, encrypted_to="old"), b"a.jwe", "not encrypted to this key"),
    ):
        with pytest.raises(AnswerRefused, match=said):
            require_receipt(receipt_of(headers, body, plain=BODY), **log, encrypted_to="ours")  # type: ignore[arg-type]
