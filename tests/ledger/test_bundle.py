"""A bundle shows what it is said to show to somebody with nothing but Python, or it is refused by name."""

import ast
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.jose import base64url
from gateway.ledger import verifier
from gateway.ledger.bundle import EntryUnknown, Opened, bundled
from gateway.ledger.openings import Salts
from gateway.ledger.verifier import Wrong, check_bundle, packed, sums_of, unpacked
from gateway.transparency.note import format_vkey
from tests.faults.share import chance_of, say

RULES = b"policy: 1\nid: clinic\n"
DIGEST = sha256(RULES).hexdigest()
MUTANTS = 400


@dataclass(frozen=True)
class Case:
    """A bundle of four entries of a log of 40, one of them opened."""

    bundle: bytes
    vkey: str
    folder: Path


@pytest.fixture
async def case(files: Any, build: Any) -> Case:
    ledger = files.open()
    for number in range(40):
        facts = {"client": "bank-a.etl", "dataset": "clinic", "status": 200, "rules_sha256": DIGEST}
        private = {"question": b"SELECT %d" % number, "peer": b"127.0.0.1"}
        await ledger.release(build.release(f"r-{number}", facts=facts, private=private))
    seed, values = await ledger.opening(14)
    opened = {14: {"question": Opened(Salts(seed).of("question"), values["question"])}}
    note = await ledger.checkpoint()
    bundle = bundled(
        files.path,
        [14, 3, 39, 0],
        note=note,
        vkeys=files.signer.vkey,
        opened=opened,
        documents={DIGEST: RULES, "0" * 64: b"another document"},
    )
    return Case(bundle, files.signer.vkey, files.folder)


def test_a_bundle_says_what_it_shows(case: Case) -> None:
    facts = "client bank-a.etl, dataset clinic, status 200"
    said = f"(single, 2026-10-01 08:00:00 UTC, {facts}): stands in the log"

    assert check_bundle(case.bundle, [case.vkey]) == [
        f"entry 0 {said}",
        f"entry 3 {said}",
        f"entry 14 {said}; opened as committed: question",
        f"entry 39 {said}",
        f"sharing rules {DIGEST[:16]}: the document that the entries name",
        "ok: 4 of the 40 entries of gateway.example/log/2026, signed by the log's key",
    ]


def test_it_is_a_zip_that_every_tool_opens(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "case.zip"
    path.write_bytes(case.bundle)

    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        archive.extractall(tmp_path / "out")
    sums = subprocess.run(
        ["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tmp_path / "out", check=False, capture_output=True
    )

    assert names == sorted(unpacked(case.bundle))
    assert sums.returncode == 0
    opened = json.loads((tmp_path / "out" / "openings" / "14.json").read_text())
    assert opened["question"]["value"] == base64url(b"SELECT 14")


def test_the_verifier_needs_only_python_and_cryptography(case: Case, tmp_path: Path) -> None:
    program = unpacked(case.bundle)["verify.py"]
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module])
    }
    (tmp_path / "verify.py").write_bytes(program)
    (tmp_path / "case.zip").write_bytes(case.bundle)
    (tmp_path / "LOG.vkey").write_text(case.vkey + "\n")

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-I", "verify.py", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).splitlines()[-1]

    assert imported - sys.stdlib_module_names == {"cryptography"}
    assert run("case.zip", "LOG.vkey")[0] == 0
    assert run("case.zip") == (2, "usage: python verify.py FILE LOG-KEY-FILE...")
    assert run("other.zip", "LOG.vkey") == (1, "NOT ok: `other.zip` is no file")
    assert run(".", "LOG.vkey") == (1, "NOT ok: `.` is no file")
    (tmp_path / "case.zip").write_bytes(case.bundle[:-1])
    assert run("case.zip", "LOG.vkey")[1].startswith("NOT ok: the bundle is damaged")
    (tmp_path / "LOG.vkey").write_text("log+00000000+AAAA\n")
    assert run("case.zip", "LOG.vkey")[0] == 1


def resealed(bundle: bytes, change: Callable[[dict[str, bytes]], object]) -> bytes:
    """Return a bundle changed by somebody who makes the list of digests and the zip anew."""
    members = unpacked(bundle)
    change(members)
    del members["SHA256SUMS"]
    return packed(members | {"SHA256SUMS": sums_of(members)})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.update({"entries/3.json": m["entries/14.json"]}), "entry 3 does not stand in the log"),
        (lambda m: m.update({"entries/3.json": m["entries/3.json"][:-1]}), "entry 3 does not stand"),
        (lambda m: m.update({"proofs/3.tlog-proof": m["proofs/14.tlog-proof"]}), "entry 14 does not stand"),
        (
            lambda m: m.update(
                {f"{kind[0]}/3.{kind[1]}": m[f"{kind[0]}/14.{kind[1]}"]
                 for kind in (("entries", "json"), ("proofs", "tlog-proof"))}
            ),
            "the proof of entry 3 is of another index",
        ),
        (lambda m: m.pop("proofs/3.tlog-proof"), "a proof is missing"),
        (lambda m: m.pop("entries/3.json"), "`proofs/3.tlog-proof` is of no entry"),
        (lambda m: m.update({"openings/3.json": m["openings/14.json"]}), "not what the entry committed to"),
        (lambda m: m.update({"openings/14.json": b"{}x"}), "the openings of entry 14 is not JSON"),
        (lambda m: m.update({"openings/15.json": m.pop("openings/14.json")}), "is of no entry of the bundle"),
        (lambda m: m.update({f"rules/{DIGEST}.yaml": RULES + b"#"}), "no document that an entry"),
        (lambda m: m.update({f"rules/{sha256(b'').hexdigest()}.yaml": b""}), "no document that an entry"),
        (lambda m: m.update({f"rules/{'0' * 64}.yaml": RULES}), "no document that an entry"),
        (lambda m: m.update({"checkpoint": m["checkpoint"].replace(b"\n40\n", b"\n41\n")}), "does not hold"),
        (lambda m: m.update({"log.vkey": b"other+00000000+AAAA\n"}), "another key than the one given"),
        (lambda m: [m.pop(name) for name in list(m) if "/" in name], "holds no entry"),
    ],
)  # fmt: skip
def test_who_packs_a_bundle_anew_still_cannot_change_what_it_shows(
    case: Case, change: Callable[[dict[str, bytes]], object], says: str
) -> None:
    with pytest.raises(Wrong, match=says):
        check_bundle(resealed(case.bundle, change), [case.vkey])


def test_a_bundle_that_hides_more_is_refused(case: Case) -> None:
    for name in ("entries/../x", "entries/03.json", "notes.txt", "entries/3.json/", "rules/x.yaml"):
        with pytest.raises(Wrong, match="a member that does not belong in it"):
            check_bundle(resealed(case.bundle, lambda m, name=name: m.update({name: b""})), [case.vkey])


def test_what_is_damaged_is_named(case: Case) -> None:
    members = unpacked(case.bundle)
    readme = case.bundle.index(members["README.txt"])
    flipped = case.bundle[:readme] + b"X" + case.bundle[readme + 1 :]
    record = case.bundle[: readme + len(members["README.txt"])]  # the first of the zip
    unlisted = packed(members | {"README.txt": b"other words"})

    for data, says in (
        (flipped, "`README.txt` of the bundle is damaged"),
        (record + case.bundle, "the bundle holds `README.txt` twice"),
        (unlisted, "not those that `SHA256SUMS` lists"),
        (b"", "not an evidence bundle, or cut off"),
        (b"PK\x03\x04", "cut off"),
    ):
        with pytest.raises(Wrong, match=says):
            check_bundle(data, [case.vkey])


async def test_all_proofs_of_a_bundle_are_of_its_one_checkpoint(case: Case, files: Any, build: Any) -> None:
    older = unpacked(case.bundle)["checkpoint"]
    while files.opened:
        await files.opened.pop().close()
    ledger = files.open()
    await ledger.release(build.release("r-later"))
    note = await ledger.checkpoint()
    later = unpacked(bundled(files.path, [3], note=note, vkeys=case.vkey, opened={}, documents={}))
    proof = later["proofs/3.tlog-proof"]

    with pytest.raises(Wrong, match="the proof of entry 3 is of another checkpoint"):
        check_bundle(resealed(case.bundle, lambda m: m.update({"proofs/3.tlog-proof": proof})), [case.vkey])
    with pytest.raises(EntryUnknown, match="the log has no entry 40; its signed head is of 40"):
        bundled(files.path, [40], note=older, vkeys=case.vkey, opened={}, documents={})


@pytest.mark.parametrize(
    ("fact", "says"),
    [
        (b"null", "is not canonical JSON"),
        (b"1.5", "holds a number that is no integer"),
        (b"NaN", "holds a number that is no integer"),
        (b'{"b":1,"a":1}', "is not canonical JSON"),
        (b'{"a":1,"a":1}', "holds a name twice"),
        (b" 1", "is not canonical JSON"),
        (b'"\\u0041"', "is not canonical JSON"),
        (b'{"\xc3\xa9":1}', "is not canonical JSON"),
        (b"9007199254740992", "is not canonical JSON"),
        (b"[" * 17 + b"]" * 17, "is not canonical JSON"),
        (b"\xff", "is not JSON"),
        (b'"' + b"x" * 5000 + b'"', "is too large"),
    ],
)
def test_what_is_no_entry_is_refused_even_if_it_is_signed(fact: bytes, says: str) -> None:
    spelt = b'{"commitments":{},"facts":{"a":%b},"id":"r","kind":"single","ts":0,"v":1}'

    assert verifier.check_entry(spelt % b"1", 7)["facts"] == {"a": 1}
    with pytest.raises(Wrong, match=f"entry 7 {says}"):
        verifier.check_entry(spelt % fact, 7)
    for other in (b"[]", b"", b"{}", (spelt % b"1").replace(b'"v":1', b'"v":2')):
        with pytest.raises(Wrong, match="entry 7 is no"):
            verifier.check_entry(other, 7)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return other bytes, one fault away."""
    while True:
        at, other = chance.randrange(len(data)), bytearray(data)
        match chance.randrange(6):
            case 0 | 1:
                other[at] ^= 1 << chance.randrange(8)
            case 2:
                del other[at]
            case 3:
                other[at:at] = bytes([chance.randrange(256)])
            case 4:
                del other[at : at + chance.randrange(1, 5000)]
            case _:
                other[at:at] = data[at : at + chance.randrange(1, 200)]
        if other != data:
            return bytes(other)


def refused(case: Case, count: int, chance: random.Random) -> set[str]:
    """Return the words in which so many mutants are refused."""
    words = set()
    for _ in range(count):
        with pytest.raises(Wrong) as caught:
            check_bundle(mutated(case.bundle, chance), [case.vkey])
        words.add(str(caught.value))
    return words


def test_a_bundle_with_any_fault_is_refused(case: Case) -> None:
    assert all(refused(case, MUTANTS, chance_of("bundle")))


@pytest.mark.long
def test_five_thousand_bundles_with_a_fault_are_refused(case: Case) -> None:
    words = refused(case, 5000, chance_of("bundles"))

    assert all(words)
    say(f"5000 mutants of a bundle: all refused, in {len(words)} different words")


def test_only_what_the_log_holds_can_be_bundled(case: Case, files: Any) -> None:
    note = unpacked(case.bundle)["checkpoint"]

    for indices, says in (([40], "no entry 40"), ([], "1 to 5,000 entries"), (range(6000), "1 to 5,000")):
        with pytest.raises(EntryUnknown, match=says):
            bundled(files.path, indices, note=note, vkeys=case.vkey, opened={}, documents={})


async def test_the_verifier_checks_a_single_receipt_too(files: Any, build: Any, tmp_path: Path) -> None:
    ledger = files.open()
    receipt = await ledger.release(build.release("r-1", body=b"{}"))
    parts = {"receipt": base64url(receipt.proof), "entry": base64url(receipt.entry), "body": base64url(b"{}")}
    keys = [files.signer.vkey]
    other = format_vkey(files.signer.name, Ed25519PrivateKey.generate().public_key())
    name, _, key = files.signer.vkey.split("+", 2)

    for vkey, says in (
        (other, "the checkpoint is not signed by the log's key"),
        (f"{name}+00000000+{key}", "a key file holds no verifier key"),
    ):
        with pytest.raises(Wrong, match=says):
            verifier.check_receipt(json.dumps(parts).encode(), [vkey])
    assert verifier.check_receipt(json.dumps(parts).encode(), keys)[0].startswith("ok: entry 0 (single")
    with pytest.raises(Wrong, match="does not commit to this body"):
        verifier.check_receipt(json.dumps(parts | {"body": base64url(b"[]")}).encode(), keys)
    del parts["body"]
    assert verifier.check_receipt(json.dumps(parts).encode(), keys)[0].startswith("ok, its place only")
    assert verifier.main([]) == 2
    sealed = await ledger.release(build.release("r-2", body=b"sealed", plain=b"{}"))
    said = {"receipt": base64url(sealed.proof), "entry": base64url(sealed.entry)}
    both = {"body": base64url(b"sealed"), "plain": base64url(b"{}")}
    for answer in (both, {"plain": both["plain"]}, {"body": both["body"]}):
        (line,) = verifier.check_receipt(json.dumps(said | answer).encode(), keys)
        assert line.endswith("and the answer is the one recorded")
    for name, other_value in (("body", b"{}"), ("plain", b"[]")):
        with pytest.raises(Wrong, match=f"does not commit to this {name}"):
            verifier.check_receipt(json.dumps(said | both | {name: base64url(other_value)}).encode(), keys)
    with pytest.raises(Wrong, match="does not commit to this plain"):
        verifier.check_receipt(json.dumps(parts | {"plain": base64url(b"{}")}).encode(), keys)
    path = tmp_path / "a.receipt"
    path.write_text(json.dumps(parts))
    (tmp_path / "LOG.vkey").write_text(files.signer.vkey)
    assert verifier.main([str(path), str(tmp_path / "LOG.vkey")]) == 0
