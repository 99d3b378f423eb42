"""What a stranger can check of a running gateway: tiles, heads, witnesses, and a log that changes its key."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from click.testing import CliRunner
from house import LOG, House, make_house
from witness_server import WitnessServer

from gateway.cli.root import gateway
from gateway.client import StoredReceipt
from gateway.client.receipt import receipt_of
from gateway.errors import GatewayError
from gateway.settings import FILE_NAME, load_settings, settings_text
from gateway.transparency.cosignature import cosignatures
from gateway.transparency.note import split
from gateway.transparency.proof import parse_proof, verify_checkpoint
from gateway.transparency.tile_path import TilePlace, tile_path
from gateway.transparency.tiles import nodes_of, root_at


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "data").mkdir()
    return make_house(tmp_path / "home", data=tmp_path / "data", rules={})


def fetched(house: House, path: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urlopen(house.origin + path, timeout=5) as answer:  # noqa: S310  our own origin
            return answer.status, dict(answer.headers), answer.read()
    except HTTPError as error:
        return error.code, dict(error.headers), error.read()


@dataclass(frozen=True)
class Ran:
    returncode: int
    stdout: str
    stderr: str


def command(house: House, *arguments: str) -> Ran:
    """Run a command in this process, which has loaded everything already."""
    result = CliRunner().invoke(gateway, ["--home", str(house.home), *arguments])
    refusal = result.exception.detail if isinstance(result.exception, GatewayError) else ""
    assert refusal or result.exception is None or isinstance(result.exception, SystemExit)
    return Ran(result.exit_code, result.stdout, result.stderr + refusal)


def refused(house: House) -> StoredReceipt:
    """A reply of the gateway to nobody in particular, with its receipt."""
    _, headers, body = fetched(house, "/v1/datasets")
    receipt = receipt_of(headers, body)
    assert receipt is not None
    return receipt


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_root_that_was_signed_follows_from_the_tiles_that_are_served(house: House, workers: str) -> None:
    with house.serving("--workers", workers):
        for _ in range(5):
            refused(house)
        status, headers, note = fetched(house, "/checkpoint")
        head = verify_checkpoint(note, house.vkey)
        assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")

        def load(level: int, number: int, width: int) -> bytes:
            status, headers, hashes = fetched(house, tile_path(TilePlace(level, number, width)))
            assert (status, headers["Content-Type"]) == (200, "application/octet-stream")
            assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
            return hashes

        assert root_at(head.size, nodes_of(head.size, load)) == head.root
        assert fetched(house, "/tile/0/000")[0] == 404, "not full yet"
        assert verify_checkpoint(fetched(house, "/checkpoint")[2], house.vkey) == head, "none of it is logged"
        status, headers, _ = fetched(house, "/tile/entries/000.p/1")
        assert (status, "Gateway-Receipt" in headers) == (404, True), "entries are not read over the web"


def test_a_firm_compares_the_log_of_its_receipt_with_the_one_that_others_see(
    house: House, tmp_path: Path
) -> None:
    key = tmp_path / "log.vkey"
    key.write_text(house.vkey, encoding="ascii")
    arguments = ("receipt", "compare", str(tmp_path / "one.receipt"), "--log-key", str(key))
    with house.serving():
        refused(house).save(tmp_path / "one.receipt")
        for _ in range(3):
            other = refused(house)
        compared = command(house, *arguments, "--log", house.origin, "--json")
        assert (compared.returncode, compared.stderr) == (0, "")
        outcome = json.loads(compared.stdout)
        assert outcome["consistent"]
        assert outcome["other_size"] > outcome["size"]

        head = tmp_path / "others.checkpoint"
        head.write_bytes(parse_proof(other.proof).checkpoint)
        assert command(house, *arguments, "--log", house.origin, "--against", str(head)).returncode == 0

    shutil.copytree(house.home, tmp_path / "fork")
    fork = House(tmp_path / "fork", house.port)
    shutil.rmtree(fork.home / "ledger")
    (fork.home / "ledger").mkdir(mode=0o700)
    with fork.serving():
        for _ in range(20):
            refused(fork)
        compared = command(house, *arguments, "--log", fork.origin)
        assert (compared.returncode, compared.stdout) == (
            1,
            "NOT consistent: the older tree is not the beginning of the newer one\n",
        )


def test_a_log_changes_its_key_while_old_and_new_receipts_stay_good(house: House, tmp_path: Path) -> None:
    old = house.vkey
    with house.serving():
        first = refused(house)
    planned = command(house, "keys", "rotate", "--kind", "log", "--dry-run")
    assert (planned.returncode, house.vkey) == (0, old)
    told = tmp_path / "new-key.receipt"

    rotated = command(house, "keys", "rotate", "--kind", "log", "--receipt", str(told))

    new = house.vkey
    assert (rotated.returncode, rotated.stderr, rotated.stdout.splitlines()[-1]) == (0, "", new)
    entry = StoredReceipt.load(told).verify(old).entry
    assert (entry["kind"], entry["facts"]) == (
        "key",
        {"event": "rotate", "key": "log", "old": old, "new": new},
    )
    assert command(house, "keys", "rotate", "--kind", "log").returncode == 1, "one change at a time"
    with house.serving():
        second = refused(house)
        metadata = json.loads(fetched(house, "/.well-known/oauth-protected-resource")[2])
        assert metadata["gateway_log_key"] == f"{new}\n{old}"
    assert second.verify(old) == second.verify(new)

    assert command(house, "keys", "retire", "--kind", "log").returncode == 0
    with house.serving():
        third = refused(house)
    assert [signature.name for signature in split(parse_proof(third.proof).checkpoint)[1]] == [LOG]
    for receipt in (first, second, third):
        receipt.verify(f"{new}\n{old}")
    both = tmp_path / "log.vkeys"
    both.write_text(f"{new}\n{old}\n", encoding="ascii")
    audited = command(house, "audit", "verify", "--log-key", str(both))
    assert (audited.returncode, audited.stderr) == (0, "")
    listed = command(house, "keys", "list")
    states = [line.split() for line in listed.stdout.splitlines() if line.startswith("log ")]
    assert [(state[1], state[-1]) for state in states] == [("signs", new), ("retired", old)]
    assert "PRIVATE" not in f"{rotated.stdout}{listed.stdout}{listed.stderr}"


def test_a_restored_backup_does_not_serve_again_because_a_witness_remembers(
    house: House, tmp_path: Path
) -> None:
    with WitnessServer(logs={LOG: [house.vkey]}).in_thread() as witness:
        settings = replace(
            load_settings(house.home), witness_policy="witnesses.policy", witness_interval_s=0.1
        )
        (house.home / FILE_NAME).write_text(settings_text(settings), encoding="utf-8")
        (house.home / "witnesses.policy").write_text(
            f"witness w1 {witness.vkey} {witness.url}\nquorum w1\n", encoding="ascii"
        )
        with house.serving():
            note = fetched(house, "/checkpoint")[2]
            assert cosignatures(note, [witness.vkey]) == {witness.vkey: witness.time_s}
            verify_checkpoint(note, house.vkey)
        shutil.copytree(house.home, tmp_path / "backup")
        with house.serving():
            refused(house)
        shutil.rmtree(house.home)
        shutil.copytree(tmp_path / "backup", house.home)

        refusal = subprocess.run(
            [sys.executable, "-m", "gateway", "--home", str(house.home), "serve"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert refusal.returncode == 1
        assert "are remembered by witness `w1`: it was restored from an old backup" in refusal.stderr
        refused_too = command(house, "org", "add", "x", "--vi", "x", "--en", "x", "--class", "x")
        assert (refused_too.returncode, "`w1`" in refused_too.stderr) == (1, True), "no command writes to it"
