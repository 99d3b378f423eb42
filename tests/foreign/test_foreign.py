"""Software that nobody here wrote accepts our logs, and rejects every copy with one thing changed.

Go's ``golang.org/x/mod/sumdb`` reads everything; npm's ``@sigstore/verify`` and PyPI's ``sigstore`` read
notes and inclusion proofs. Each sees all mutants in one process; what it does not answer in time counts
as not verified, and fails.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import rfc8785
from foreign_log import ORIGIN, Signer, told_log
from foreign_verifier import Verifier
from log_mutants import mutants_of
from log_scene import NEXT, OLD, made_home
from witness_server import WitnessServer

from gateway import wiring
from gateway.cli.log import close
from gateway.keyring.keyring import Keyring
from gateway.transparency.cosignature import with_cosignature

Log = Callable[..., dict[str, Any]]
VERIFIERS = ("go_verifier", "npm_verifier", "pypi_verifier")
SIZES = (3, 4, 255, 256, 257, 300, 512, 2000)


@pytest.fixture(params=VERIFIERS)
def verifier(request: pytest.FixtureRequest) -> Verifier:
    found: Verifier = request.getfixturevalue(request.param)
    return found


def test_each_accepts_fresh_logs_of_every_shape(verifier: Verifier, a_log: Log) -> None:
    logs = [a_log(size) for size in SIZES]

    assert verifier.verdicts(logs) == ["ok"] * len(SIZES)


def test_each_rejects_every_mutant_that_touches_what_it_reads(verifier: Verifier, a_log: Log) -> None:
    log, fork = a_log(300), a_log(300, words="another story")
    mutants = [
        (part, name, mutant)
        for part, name, mutant in mutants_of(log, fork, a_log(300, seed="thief"), Random(2026))  # noqa: S311
        if part in verifier.reads
    ]
    assert len(mutants) >= 100, "enough to mean something"

    verdicts = verifier.verdicts([log, *[mutant for _, _, mutant in mutants], log])

    assert (verdicts[0], verdicts[-1]) == ("ok", "ok")
    accepted = [
        f"{part}: {name}"
        for (part, name, _), said in zip(mutants, verdicts[1:-1], strict=True)
        if said == "ok"
    ]
    assert accepted == []


def test_another_logs_proof_is_no_proof(verifier: Verifier, a_log: Log) -> None:
    """Two stories of one size, both signed with the log's key: neither fits the other."""
    log, fork = a_log(300), a_log(300, words="another story")

    mixed = [{**log, "Checkpoint": fork["Checkpoint"]}, {**log, "Path": fork["Path"], "Entry": fork["Entry"]}]

    assert "ok" not in verifier.verdicts(mixed)


def test_while_the_log_changes_its_key_each_accepts_it_with_either(verifier: Verifier, a_log: Log) -> None:
    old, stranger = Signer("old", ORIGIN), Signer("stranger", ORIGIN)
    log = a_log(300, seed="new", former=(old,))

    verdicts = verifier.verdicts([log, {**log, "Vkey": old.vkey}, {**log, "Vkey": stranger.vkey}])

    assert verdicts[:2] == ["ok", "ok"]
    assert verdicts[2] != "ok"


def test_each_accepts_the_log_that_follows_a_closed_one_and_not_under_the_old_name(
    verifier: Verifier, tmp_path: Path
) -> None:
    home = made_home(tmp_path / "home")
    old = Keyring.open(home / "keys", log_name=OLD).log.vkey
    close.main(["--origin", NEXT], obj=home, standalone_mode=False)

    async def told() -> dict[str, Any]:
        async with wiring.opened(home) as opened:
            return await told_log(opened.ledger, opened.tiles, opened.keyring.log.vkey, 300, start=1)

    log = wiring.run(told())
    verdicts = verifier.verdicts([log, {**log, "Vkey": old}])

    assert base64.b64decode(log["Entries"][0]).find(b'"log_opened"') > 0
    assert verdicts[0] == "ok"
    assert verdicts[1] != "ok"


def test_a_cosigned_head_is_the_same_head_to_all_and_go_reads_the_cosignature(
    verifier: Verifier, go_verifier: Verifier, a_log: Log
) -> None:
    log, witness = a_log(300), WitnessServer()
    text, note = log["Checkpoint"].partition("\n\n")[0] + "\n", log["Checkpoint"].encode()
    cosigned = with_cosignature(note, witness.line(text).encode(), witness.vkey)
    witness.time_s += 1
    later = witness.line(text).split(" ")[2]
    forged = {
        "another time": _with_blob(cosigned, later, range(12)),
        "another signature": _with_blob(cosigned, later, range(12, 76)),
        "no cosignature": note,
        "another witness": note + WitnessServer("witness.example/w2").line(text).encode(),
        "of another head": note + witness.line(text.replace("\n300\n", "\n301\n")).encode(),
    }
    log["Checkpoint"] = cosigned.decode()
    assert verifier.verdicts([log]) == ["ok"]

    log["Cosigner"] = witness.vkey
    verdicts = go_verifier.verdicts([log, *[{**log, "Checkpoint": one.decode()} for one in forged.values()]])
    assert dict(zip(["as made", *forged], [said == "ok" for said in verdicts], strict=True)) == {
        "as made": True,
        **dict.fromkeys(forged, False),
    }


def _with_blob(cosigned: bytes, other: str, places: range) -> bytes:
    """Put some bytes of another cosignature into the one of a note."""
    head, _, encoded = cosigned.rstrip(b"\n").rpartition(b" ")
    raw, more = bytearray(base64.b64decode(encoded)), base64.b64decode(other)
    for place in places:
        raw[place] = more[place]
    return head + b" " + base64.b64encode(raw) + b"\n"


def test_canonical_entries_are_canonical_to_others(npm_verifier: Verifier, a_log: Log) -> None:
    """``rfc8785`` from PyPI and ``canonicalize`` from npm write each entry as it stands."""
    entries = a_log(300)["Entries"]

    for entry in entries:
        text = base64.b64decode(entry)
        assert rfc8785.dumps(json.loads(text)) == text
    spaced = base64.b64encode(base64.b64decode(entries[0]).replace(b":", b": ", 1)).decode()
    verdicts = npm_verifier.verdicts([{"Canonical": entries}, {"Canonical": [spaced]}])
    assert verdicts == ["ok", "not canonical"]


@pytest.mark.long
def test_a_log_with_three_levels_of_tiles_is_accepted(go_verifier: Verifier, a_log: Log) -> None:
    assert go_verifier.verdicts([a_log(70_000)]) == ["ok"]
