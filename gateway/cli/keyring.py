"""``gateway keys``: the installation's keys, and how the log gets another one.

    rotate   the new key signs beside the old one; everybody has time to learn it
    retire   the old key signs no more

Both take the home's lock, so they work while the gateway is stopped, and both are entries of the log.
"""

import json
from pathlib import Path

import click

from gateway import wiring
from gateway.client.receipt import StoredReceipt
from gateway.errors import HomeInvalid
from gateway.keyring.keyring import Keyring
from gateway.keyring.log_keys import make_next, retire_former, take_next
from gateway.settings import load_settings
from gateway.transparency.proof import verify_checkpoint
from gateway.transparency.tree import ProofInvalid

KIND = click.option("--kind", required=True, type=click.Choice(["log"]), help="Which key.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")


@click.group()
def keys() -> None:
    """List the installation's keys, replace the log's."""


@keys.command("list", epilog="Example:  gateway keys list")
@click.option("--json", "as_json", is_flag=True, help="Print a line a key as JSON.")
@click.pass_obj
def list_keys(home: Path, *, as_json: bool) -> None:
    """Show the public half of every key that signs or did."""
    keyring = _keyring(home)
    log = keyring.log_keys
    rows = [("log", "signs", log.newest.vkey)]
    rows += [("log", "signs beside it", signer.vkey) for signer in log.former]
    rows += [("log", "retired", vkey) for vkey in log.retired]
    rows.append(("tokens", "signs", keyring.tokens.kid))
    for kind, state, public in rows:
        if as_json:
            click.echo(json.dumps({"kind": kind, "state": state, "public": public}))
        else:
            click.echo(f"{kind:<8}{state:<17}{public}")


@keys.command(epilog="Example:  gateway keys rotate --kind log --receipt new-log-key.receipt")
@KIND
@click.option(
    "--receipt",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where to put the receipt of the entry that names both keys; the old key vouches for it.",
)
@DRY_RUN
@click.pass_obj
def rotate(home: Path, kind: str, receipt: Path | None, *, dry_run: bool) -> None:
    """Give the log a new key, which from now on signs beside the one it had.

    Then publish the new verifier key by other ways than this gateway. When everybody has it, `retire`.
    """
    keyring = _keyring(home)
    if keyring.log_keys.former:
        raise HomeInvalid("a former key of the log still signs; first `gateway keys retire --kind log`")
    if dry_run:
        click.echo(f"would give the {kind} a new key, to sign beside {keyring.log.vkey}")
        return
    told = wiring.run(_rotated(home))
    if receipt is not None:
        told.save(receipt)
    click.echo("the log's checkpoints carry two signatures from now on; publish the new key:")
    click.echo(_keyring(home).log.vkey)


@keys.command(epilog="Example:  gateway keys retire --kind log")
@KIND
@DRY_RUN
@click.pass_obj
def retire(home: Path, kind: str, *, dry_run: bool) -> None:
    """Let the log's former key sign no more; who has only that one can check no new receipt."""
    former = _keyring(home).log_keys.former
    if not former:
        raise HomeInvalid("no former key of the log signs")
    if dry_run:
        click.echo(f"would retire the {kind}'s key {former[0].vkey}")
        return
    wiring.run(_retired(home))
    click.echo(f"retired: {former[0].vkey}")


async def _rotated(home: Path) -> StoredReceipt:
    """Rotate; each step may be repeated after a crash (``keyring/log_keys.py``)."""
    folder, log_name = home / "keys", load_settings(home).log_origin
    async with wiring.opened(home) as gateway:
        new = make_next(folder, log_name=log_name)
        entry = await gateway.tell_of_key("rotate", old=gateway.keyring.log.vkey, new=new.vkey)
        take_next(folder)
    async with wiring.opened(home) as gateway:  # the head is signed by both from here on
        _require_both(await gateway.ledger.checkpoint(), gateway.keyring)
    return StoredReceipt(proof=entry.proof, entry=entry.entry, body=b"")


async def _retired(home: Path) -> None:
    async with wiring.opened(home) as gateway:
        keys = gateway.keyring.log_keys
        await gateway.tell_of_key("retire", old=keys.former[0].vkey, new=keys.newest.vkey)
        retire_former(home / "keys", log_name=gateway.settings.log_origin)


def _require_both(head: bytes, keyring: Keyring) -> None:
    try:
        for vkey in keyring.log_keys.vkeys.split("\n"):
            verify_checkpoint(head, vkey)
    except ProofInvalid as error:
        raise HomeInvalid(f"the new head is not signed by both keys: {error}") from error


def _keyring(home: Path) -> Keyring:
    return Keyring.open(home / "keys", log_name=load_settings(home).log_origin)
