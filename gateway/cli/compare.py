"""``gateway receipt compare``: the log that a receipt is of, held against another head of it.

A receipt proves a place in *a* log. That everybody is shown the same log is seen by comparing heads: with
the one that the log publishes, or better with one from another firm, an auditor or a witness.
"""

import json
import sys
from pathlib import Path

import click

from gateway.cli.keys import joined_keys, log_keys
from gateway.client.failures import ClientFailure
from gateway.client.published import published
from gateway.client.receipt import StoredReceipt
from gateway.transparency.extension import tiles_between, verify_extension
from gateway.transparency.note import NOTE_BYTES_MAX
from gateway.transparency.proof import Checkpoint, parse_proof, verify_checkpoint
from gateway.transparency.tree import ProofInvalid
from gateway.transparency.trust import NONE, Trust, TrustInvalid, parse_trust

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    epilog="Example:  gateway receipt compare answer.receipt --log https://gateway.example --log-key log.vkey"
)
@click.argument("file", type=FILE)
@click.option("--log", required=True, help="The gateway's address, or a folder with `tile/...` of its log.")
@click.option(
    "--against", type=FILE, help="A signed head got from somebody else; the log's `checkpoint` unless given."
)
@log_keys(required=True)
@click.option("--witnesses", type=FILE, help="Policy file (c2sp.org/tlog-policy): who must have cosigned it.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def compare(
    file: Path,
    *,
    log: str,
    against: Path | None,
    log_key: tuple[Path, ...],
    witnesses: Path | None,
    as_json: bool,
) -> None:
    """Verify the receipt in FILE, and that its log and another signed head of it are one log."""
    try:
        trust = _trust(witnesses)
        outcome = _outcome(StoredReceipt.load(file), log, against, joined_keys(log_key), trust)
    except (ProofInvalid, TrustInvalid, ClientFailure) as error:
        if as_json:
            click.echo(json.dumps({"consistent": False, "why": str(error)}))
        else:
            click.echo(f"NOT consistent: {error}")
        sys.exit(1)
    if as_json:
        click.echo(json.dumps({"consistent": True, **outcome}))
    else:
        click.echo(
            f"consistent: entry {outcome['index']} stands in {outcome['origin']}, whose tree of "
            f"{outcome['size']} entries and tree of {outcome['other_size']} entries are one log"
        )


def _outcome(
    receipt: StoredReceipt, log: str, against: Path | None, vkeys: str, trust: Trust
) -> dict[str, object]:
    verified = receipt.verify(vkeys)
    mine = verify_checkpoint(parse_proof(receipt.proof).checkpoint, vkeys)
    if against is None:
        note, _ = published(log, (), head=True)
    else:
        with against.open("rb") as opened:
            note = opened.read(NOTE_BYTES_MAX + 1)
    other: Checkpoint = trust.require(note, vkeys)
    _, tiles = published(log, tiles_between(mine, other), head=False)
    verify_extension(mine, other, tiles)
    return {"index": verified.index, "origin": mine.origin, "size": mine.size, "other_size": other.size}


def _trust(file: Path | None) -> Trust:
    if file is None:
        return Trust(logs="", witnesses=(), quorum=NONE)
    return parse_trust(file.read_text(encoding="utf-8", errors="replace"))
