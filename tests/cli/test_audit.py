"""What a security team and a firm do with the log at a terminal, on a real home."""

import json
import shlex
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner

from gateway import wiring
from gateway.cli.root import gateway
from gateway.client.receipt import StoredReceipt
from gateway.ledger.openings import Salts
from gateway.settings import Settings
from gateway.terms.entry import EntryKind, ReleaseRequest
from gateway.terms.identifiers import RequestId
from gateway.transparency.commitment import commitment

ROOT = Path(__file__).parents[2]
REPLIES = 12


@dataclass(frozen=True)
class Desk:
    """A home with twelve replies, their receipts, and the log's key in a file."""

    home: Path
    receipts: Path
    key: Path

    def run(self, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(gateway, ["--home", str(self.home), *arguments], catch_exceptions=False)
        return result.exit_code, result.output

    def verify(self, *more: str) -> tuple[int, dict[str, object]]:
        code, output = self.run("audit", "verify", "--log-key", str(self.key), "--json", *more)
        return code, json.loads(output)

    def receipt(self, number: int) -> str:
        return str(self.receipts / f"{number}.receipt")


async def replies(home: Path, receipts: Path, count: int) -> str:
    """Log replies, keep their receipts, and return the log's key."""
    async with wiring.opened(home) as opened:
        for number in range(count):
            body = b'{"rows": [%d]}' % number
            receipt = await opened.ledger.release(
                ReleaseRequest(
                    request_id=RequestId(str(uuid.uuid4())),
                    kind=EntryKind.SINGLE,
                    facts={"client": "bank-a.etl", "status": 200},
                    private={"question": b"limit=%d" % number, "peer": b"127.0.0.1"},
                    body=body,
                )
            )
            kept = StoredReceipt(proof=receipt.proof, entry=receipt.entry, body=body)
            kept.save(receipts / f"{receipt.index}.receipt")
        return opened.keyring.log.vkey


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path / "home", tmp_path / "receipts", tmp_path / "LOG.vkey")
    made.receipts.mkdir()
    wiring.create_home(made.home, Settings(origin="http://127.0.0.1:8080", log_origin="gateway.test/log"))
    made.key.write_text(wiring.run(replies(made.home, made.receipts, REPLIES)) + "\n")
    return made


def test_an_honest_log_with_the_receipts_of_firms_verifies(desk: Desk) -> None:
    code, report = desk.verify("--receipts", str(desk.receipts))
    said = desk.run("audit", "verify", "--log-key", str(desk.key))

    assert (code, report["verified"], report["entries"], report["receipts"]) == (0, True, REPLIES, REPLIES)
    assert said[0] == 0
    assert said[1].startswith(
        f"verified: {REPLIES} entries, 0 charges (0 recovered, 0 open); 1 signed head(s)"
    )


def test_a_changed_log_and_an_unknown_receipt_are_not_verified(desk: Desk) -> None:
    (desk.receipts / "odd.receipt").write_text("{}")
    with apsw.Connection(str(desk.home / "ledger" / "log.sqlite")) as outside:
        outside.execute("UPDATE head SET size = 11")

    code, report = desk.verify("--receipts", str(desk.receipts))

    assert code == 1
    assert report["faults"] == [
        "receipt `odd.receipt`: the receipt file has no `receipt`",
        "the head is not that of the entries",
    ]


def test_a_check_goes_on_from_a_state_and_from_a_checkpoint(desk: Desk, tmp_path: Path) -> None:
    state, note = tmp_path / "audit.state", tmp_path / "checkpoint"
    note.write_bytes((desk.home / "ledger" / "head").read_bytes())
    _, first = desk.verify("--save-state", str(state))
    wiring.run(replies(desk.home, desk.receipts, 3))

    for since in (state, note):
        code, report = desk.verify("--since", str(since), "--checkpoints", str(note))
        assert (code, report["entries"], report["since"]) == (0, REPLIES + 3, REPLIES)
    assert str(first["state_sha256"]) in state.read_text()
    state.write_text(state.read_text().replace('"charges":0', '"charges":1'))
    code, report = desk.verify("--since", str(state))
    assert (code, report["faults"]) == (1, ["the state file is damaged: its digest does not fit"])


def test_a_home_without_a_ledger_is_not_verified(desk: Desk) -> None:
    (desk.home / "ledger" / "log.sqlite").unlink()

    assert desk.verify() == (1, {"verified": False, "faults": ["there is no ledger at this path"]})


def test_evidence_is_checked_with_nothing_but_python_and_taking_it_is_logged(
    desk: Desk, tmp_path: Path
) -> None:
    output = tmp_path / "case.zip"
    wanted = ("--entry", "3", "--receipt", desk.receipt(7), "--open", "5.question")
    code, said = desk.run("audit", "bundle", *wanted, "-o", str(output))
    for command in ("-m zipfile -e case.zip evidence", "evidence/verify.py case.zip LOG.vkey"):
        checked = subprocess.run(
            [sys.executable, "-I", *command.split()], cwd=tmp_path, capture_output=True, text=True, check=True
        )

    assert (code, said) == (0, f"{output}: 3 entries, 1 opened values; recorded as entry {REPLIES}\n")
    lines = checked.stdout.splitlines()
    assert [line.split(" ")[1] for line in lines[:3]] == ["3", "5", "7"]
    assert lines[1].endswith("stands in the log; opened as committed: question")
    assert lines[3] == f"ok: 3 of the {REPLIES} entries of gateway.test/log, signed by the log's key"
    assert output.stat().st_mode & 0o077 == 0
    code, report = desk.verify()
    assert (code, report["entries"]) == (0, REPLIES + 1)
    entry, seed = wiring.run(read_entry_of(desk.home, REPLIES))
    stated = commitment("body", Salts(seed).of("body"), output.read_bytes())
    assert entry["facts"] == {"entries": 3, "event": "bundle", "opened": 1}
    assert (entry["kind"], entry["commitments"]["body"]) == ("read", stated)


async def read_entry_of(home: Path, index: int) -> tuple[dict[str, Any], bytes]:
    """Return an entry and the seed of its salts."""
    async with wiring.opened(home) as opened:
        (leaf,) = await opened.ledger.entries(index, index + 1)
        found = await opened.ledger.opening(index)
        assert found is not None
        return json.loads(leaf), found[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name entries with --entry"),
        (("--entry", "99"), "the log has no entry 99"),
        (("--open", "5.answer"), "entry 5 has no `answer` to open; it has: peer, question"),
        (("--open", "question"), "`question` is not index.field"),
        (("--open", "99.peer"), "the opening of entry 99 was erased, or never was"),
    ],
)
def test_what_cannot_be_bundled_is_wrong_use_and_leaves_no_file(
    desk: Desk, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    code, said = desk.run("audit", "bundle", *arguments, "-o", str(tmp_path / "case.zip"))

    assert (code, says in said) == (2, True), said
    assert not (tmp_path / "case.zip").exists()
    assert desk.verify()[1]["entries"] == REPLIES


def test_several_receipts_are_checked_at_once_and_handed_in_without_their_answers(
    desk: Desk, tmp_path: Path
) -> None:
    key = ("--log-key", str(desk.key))
    handed_in = tmp_path / "handed-in"

    assert desk.run("receipt", "verify", desk.receipt(0), *key) == (
        0,
        "verified: entry 0 of 1 in gateway.test/log\n",
    )
    assert desk.run("receipt", "redact", desk.receipt(0), desk.receipt(1), "--to", str(handed_in))[0] == 0
    stripped = str(handed_in / "1.receipt")
    broken = tmp_path / "broken.receipt"
    broken.write_text("{")
    code, said = desk.run("receipt", "verify", stripped, str(broken), *key)
    only = "its place only: the file holds no answer"
    assert (code, said.splitlines()) == (
        1,
        [
            f"{stripped}: verified: entry 1 of 2 in gateway.test/log ({only})",
            f"{broken}: NOT verified: the receipt file is not JSON, or its end is cut off",
        ],
    )
    code, said = desk.run("receipt", "verify", desk.receipt(2), stripped, *key, "--json")
    lines = [json.loads(line) for line in said.splitlines()]
    shown = [(line["verified"], line["index"], line["body"]) for line in lines]
    assert shown == [(True, 2, True), (True, 1, False)]
    assert desk.verify("--receipts", str(handed_in))[1]["receipts"] == 2


def test_a_missing_or_wrong_key_is_said(desk: Desk, tmp_path: Path) -> None:
    other = tmp_path / "other.vkey"
    other.write_text("log+00000000+AAAA\n")

    assert desk.run("audit", "verify")[0] == 2
    code, said = desk.run("receipt", "verify", desk.receipt(0), "--log-key", str(other))
    assert (code, said) == (1, "NOT verified: the verifier key is not an Ed25519 key\n")
    both = ("--log-key", str(desk.key), "--log-key", str(desk.key))
    assert desk.run("receipt", "verify", desk.receipt(0), *both)[0] == 0


def commands_of(page: str) -> list[list[str]]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [shlex.split(line) for line in text.splitlines() if line.startswith("    ")]


def test_every_command_of_the_page_works_in_its_order(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(desk.receipt(0), tmp_path / "answer.receipt")
    shutil.copy(desk.receipt(4), tmp_path / "other.receipt")
    shutil.copy(desk.home / "ledger" / "head", tmp_path / "checkpoint-of-bank-b")
    monkeypatch.chdir(tmp_path)
    commands = commands_of("audit.md")

    assert len(commands) == 13
    for program, *arguments in commands:
        if program == "gateway":
            code, said = desk.run(*arguments)
        else:
            done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
            code, said = done.returncode, done.stdout + done.stderr
        assert code == 0, (program, arguments, said)
