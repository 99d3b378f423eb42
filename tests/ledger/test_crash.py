"""Real kills: SIGKILL under load, and an observer that knows only what left the process.

The observer is this test: it holds every receipt and charge that the child printed before it died, and
checks them against the log that the next process finds. What was answered is there; what is there adds
up; a charge is released or recovered, never both and never neither.
"""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.jose import base64url_decoded
from gateway.ledger.audit import verify_store
from gateway.transparency.proof import parse_proof, verify_inclusion

CHILD = """
import asyncio, importlib.util, itertools, json, sys
from pathlib import Path
from gateway.jose import base64url
spec = importlib.util.spec_from_file_location("builders", sys.argv[1])
builders = importlib.util.module_from_spec(spec)
sys.modules["builders"] = builders
spec.loader.exec_module(builders)
Build = builders.Build

def tell(**what):
    sys.stdout.write(json.dumps(what) + "\\\\n")
    sys.stdout.flush()

async def main():
    boot = sys.argv[3]
    ledger = builders.LedgerFiles(Path(sys.argv[2])).open()
    numbers = itertools.count()
    async def ask(worker):
        for number in numbers:
            name = f"{boot}-{number}"
            debits = Build.debits(1, caps=(10**9,) * 3, client=f"c-{number % 3}")
            charge = await ledger.charge(Build.charge(name, debits=debits, key=name))
            tell(charge=charge.index, id=name)
            if number % 5 == 4:
                continue
            receipt = await ledger.release(Build.release(name, charge=charge.index, answer=name.encode()))
            tell(receipt=receipt.index, proof=base64url(receipt.proof), entry=base64url(receipt.entry))
    await asyncio.gather(*map(ask, range(16)))

asyncio.run(main())
"""


def run_until_killed(folder: Path, boot: int, lines_before_death: int) -> list[dict[str, Any]]:
    """Run the child and kill it in the middle of its work; return all it had said by then."""
    builders = Path(__file__).with_name("conftest.py")
    arguments = [sys.executable, "-c", CHILD.replace("\\\\n", "\\n"), str(builders), str(folder), str(boot)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines_before_death)]
        os.kill(child.pid, signal.SIGKILL)
        said += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL
    return [json.loads(line) for line in said if line.endswith(b"\n")]


def observe(folder: Path, kills: int, seed: int, files: Any) -> None:
    chance = random.Random(seed)  # noqa: S311 -- where to kill, not what to hide
    observed: list[dict[str, Any]] = []
    for boot in range(kills):
        said = run_until_killed(folder, boot, chance.randrange(1, 200))
        assert said, f"seed {seed}: the child said nothing"
        observed += said

    receipts = [what for what in observed if "receipt" in what]
    proofs = [base64url_decoded(what["proof"]) for what in receipts]
    heads = [parse_proof(proof).checkpoint for proof in proofs]
    before = verify_store(folder / "ledger.sqlite", files.signer.vkey, checkpoints=heads)
    assert before.faults == (), f"seed {seed}"
    assert before.checkpoints == len(heads)
    files.open()  # the last recovery
    report = verify_store(folder / "ledger.sqlite", files.signer.vkey, checkpoints=[files.head.read_bytes()])
    assert (report.faults, report.open_charges) == ((), 0), f"seed {seed}"
    for what, proof in zip(receipts, proofs, strict=True):
        entry = base64url_decoded(what["entry"])
        index, _ = verify_inclusion(proof=proof, entry=entry, vkey=files.signer.vkey)
        assert index == what["receipt"]
    charges = len(observed) - len(receipts)
    assert report.charges >= charges
    print(  # noqa: T201  docs/evidence.md quotes it
        f"{kills} kills (seed {seed}): {charges} charges and {len(receipts)} receipts observed, "
        f"{report.size} entries, {report.recovered} recovered, 0 faults"
    )


async def test_what_was_answered_survives_every_kill(files: Any) -> None:
    """Promises P1 and P2."""
    observe(files.folder, kills=10, seed=20_261_001, files=files)


@pytest.mark.long
async def test_what_was_answered_survives_a_thousand_kills(files: Any) -> None:
    """Promises P1 and P2."""
    observe(files.folder, kills=1_000, seed=1, files=files)
