"""``gateway log close``: end the log and begin the next one, of another origin, with what it carries over.

The closed log's last entry names the new log's key; the new log's entry 0 names the closed log's size and
root (``ledger/carried.py`` says what goes over, ``ledger/succession.py`` how the files move). It takes the
home's lock, so it works while the gateway is stopped. After a crash anywhere the same command finishes it.
"""

import json
import re
import tomllib
import uuid
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import click

from gateway import wiring
from gateway.client.receipt import StoredReceipt
from gateway.clock import SystemClock
from gateway.errors import HomeInvalid
from gateway.keyring.keyring import Keyring
from gateway.ledger import succession
from gateway.ledger.audit_store import entry_at, snapshot, stored_nodes
from gateway.ledger.carried import carried_over, carry
from gateway.ledger.openings import Salts
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.tile_reader import TileReader
from gateway.ledger.witnesses import watched
from gateway.settings import FILE_NAME, NOBODY, Settings, load_settings
from gateway.terms.entry import LOG_CLOSED, LOG_OPENED, EntryKind, Fact, ReleaseRequest
from gateway.terms.identifiers import RequestId
from gateway.transparency.proof import BODY_FIELD, InclusionProof, format_proof, verify_checkpoint
from gateway.transparency.tree import inclusion_path

_ORIGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:/-]{0,99}")
"""A URL without scheme; so short that its verifier key fits into a fact."""


class End(NamedTuple):
    """How a log ended: the receipt of its last entry, its signed head, and the keys it ever had."""

    receipt: StoredReceipt
    note: bytes
    vkeys: str


@click.group()
def log() -> None:
    """End the log and begin the next one, for example once a year."""


@log.command(epilog="Example:  gateway log close --origin gateway.example/log/2027 --receipt 2027.receipt")
@click.option("--origin", required=True, help="The next log's name: a URL without scheme, with the year.")
@click.option(
    "--receipt",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where to put the receipt of the last entry, which names the next log's key; the old key vouches.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.pass_obj
def close(home: Path, *, origin: str, receipt: Path | None, dry_run: bool, as_json: bool) -> None:
    """Close the log for good and begin the next: budgets, registry, claims and used ids go over.

    The closed log stays in `ledger/closed`, to be verified together with the new one. After a crash, or
    where witnesses did not answer, give the same command again.
    """
    with wiring.home_locked(home):
        named = load_settings(home).log_origin
        _require_may_follow(home / "ledger", named, origin)
        text = _settings_text(home, origin)
        if not dry_run:
            _close(home, origin, text, receipt)
        key = Keyring.open(home / "keys", log_name=origin).log.vkey
    outcome = {"closed": named, "begun": origin, "key": key, "dry_run": dry_run}
    words = f"`{named}` is closed; `{origin}` has begun. Publish its key:\n{key}"
    if dry_run:
        words = f"would close `{named}` and begin `{origin}`, with the key\n{key}"
    click.echo(json.dumps(outcome) if as_json else words)


def _require_may_follow(ledger: Path, named: str, origin: str) -> None:
    """Refuse what cannot be done; what a crash interrupted may go on."""
    old = succession.log_of(ledger / succession.STORE)
    if _ORIGIN.fullmatch(origin) is None:
        raise click.UsageError("an origin is a URL without scheme, of at most 100 characters")
    if named == origin:
        raise HomeInvalid(f"the log is `{origin}` already")
    if old.origin not in {named, origin}:
        raise HomeInvalid("the ledger belongs to another log than the settings name")
    if old.next not in {None, origin}:
        raise HomeInvalid(f"this log is closed and `{old.next}` follows it; begin that one")
    if (succession.closed_folder(ledger, origin) / succession.STORE).exists():
        raise HomeInvalid(f"`{origin}` is a log that was closed; a name serves once")


def _settings_text(home: Path, origin: str) -> bytes:
    """Return the settings file with another name of the log, and nothing else changed."""
    text = (home / FILE_NAME).read_text(encoding="utf-8")
    renamed = re.sub(
        r"""(?m)^(log_origin[ \t]*=[ \t]*)(?:"[^"\n]*"|'[^'\n]*')""", rf'\g<1>"{origin}"', text, count=1
    )
    if tomllib.loads(renamed) != tomllib.loads(text) | {"log_origin": origin}:
        raise HomeInvalid(f'`{FILE_NAME}`: write `log_origin = "..."` on a line of its own')
    return renamed.encode("utf-8")


def _close(home: Path, origin: str, settings_text: bytes, receipt: Path | None) -> None:
    """Do what is left to do; each step may be repeated after a crash (``ledger/succession.py``)."""
    ledger = home / "ledger"
    if succession.log_of(ledger / succession.STORE).origin != origin:
        end = wiring.run(_ended(home, load_settings(home), origin))
        if receipt is not None:
            end.receipt.save(receipt)
        wiring.run(_begun(home, origin, end))
    succession.finish(ledger)
    succession.replace_durably(home / FILE_NAME, settings_text)
    succession.forget_next(ledger)


async def _ended(home: Path, settings: Settings, origin: str) -> End:
    """End the log, unless it has ended, and have the witnesses cosign its end."""
    keyring = Keyring.open(home / "keys", log_name=settings.log_origin)
    keys = keyring.log_keys
    async with AsyncExitStack() as stack:
        ledger = wiring.open_ledger(home, home / "ledger", keyring, SystemClock(), next_origin=origin)
        stack.push_async_callback(ledger.close)
        tiles = TileReader.open(home / wiring.STORE)
        stack.callback(tiles.close)
        witnesses = await stack.enter_async_context(
            watched(home, settings, vkeys=keys.history, head=ledger.checkpoint, tiles=tiles)
        )
        ledger.start()
        if not await ledger.is_closed():
            new = Keyring.open(home / "keys", log_name=origin).log.vkey
            await ledger.end(_mark({"event": LOG_CLOSED, "old": keys.newest.vkey, "new": new}), origin)
        if settings.witness_policy != NOBODY and not await witnesses.ask():
            raise HomeInvalid(
                "the log is closed, but too few witnesses cosigned its end; repeat when they answer"
            )
        note = await ledger.checkpoint()
        receipt = await _last_receipt(home / wiring.STORE, ledger, note, keys.vkeys)
    return End(receipt, note, keys.history)


async def _last_receipt(store: Path, ledger: SqliteLedger, note: bytes, vkeys: str) -> StoredReceipt:
    size = verify_checkpoint(note, vkeys).size
    opening = await ledger.opening(size - 1)
    with snapshot(store) as connection:
        entry = entry_at(connection, size - 1)
        path = tuple(inclusion_path(size - 1, size, stored_nodes(connection, size)))
    if entry is None or opening is None:
        raise HomeInvalid("the log's last entry cannot be read")
    salt = Salts(opening[0]).of(BODY_FIELD)
    proof = format_proof(InclusionProof(index=size - 1, path=path, checkpoint=note, extra=salt))
    return StoredReceipt(proof=proof, entry=entry, body=b"")


async def _begun(home: Path, origin: str, end: End) -> None:
    """Make the next log beside the closed one and put it in its place."""
    ledger = home / "ledger"
    old, folder = ledger / succession.STORE, succession.next_folder(ledger)
    keyring = Keyring.open(home / "keys", log_name=origin)
    carry(
        old,
        folder / succession.STORE,
        origin=origin,
        vkeys=tuple(keyring.log_keys.vkeys.split("\n")),
        seal=partial(keyring.sealer.seal, "ledger"),
        unseal=partial(keyring.sealer.unseal, "ledger"),
    )
    head = verify_checkpoint(end.note, end.vkeys)
    facts: dict[str, Fact] = {
        "event": LOG_OPENED,
        "old": end.vkeys.partition("\n")[0],
        "new": keyring.log.vkey,
        "entries": head.size,
        "root": head.root.hex(),
        "carried": carried_over(old),
    }
    made = wiring.open_ledger(home, folder, keyring, SystemClock())
    try:
        made.start()
        await made.release(_mark(facts))
    finally:
        await made.close()
    succession.take_over(ledger, origin=head.origin, vkeys=end.vkeys, note=end.note)


def _mark(facts: dict[str, Fact]) -> ReleaseRequest:
    return ReleaseRequest(
        request_id=RequestId(str(uuid.uuid4())), kind=EntryKind.MARK, facts=facts, private={}, body=b""
    )
