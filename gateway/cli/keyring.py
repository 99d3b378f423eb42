"""``gateway keys``: the installation's keys, how long each may serve, and how it gets another one.

tokens, sealing   announced, then active by the clock; in the running gateway, in all its workers
log               the new key signs beside the old one until `retire`; the gateway is stopped for it
"""

import json
from pathlib import Path

import click

from gateway import wiring
from gateway.cli.act import AS_JSON, REASON, carry_out
from gateway.client.receipt import StoredReceipt
from gateway.errors import HomeInvalid
from gateway.keyring.ages import KeyRow, key_rows, warning_of
from gateway.keyring.keyring import Keyring
from gateway.keyring.log_keys import make_next, retire_former, take_next
from gateway.services.acts import KeyKind, RevokeTokenKey, RotateKey
from gateway.settings import load_settings
from gateway.transparency.proof import verify_checkpoint
from gateway.transparency.tree import ProofInvalid

LOG = "log"
KINDS = [LOG, *(kind.value for kind in KeyKind)]
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")


@click.group()
def keys() -> None:
    """List the installation's keys, replace them."""


@keys.command("list", epilog="Example:  gateway keys list")
@AS_JSON
@click.pass_obj
def list_keys(home: Path, *, as_json: bool) -> None:
    """Show every key by its public name, its state, and the days left before it should be replaced."""
    for row in key_rows(home / "keys", log_name=load_settings(home).log_origin):
        if as_json:
            left = {} if row.days_left is None else {"days_left": row.days_left}
            click.echo(json.dumps({"kind": row.kind, "state": row.state, "public": row.public, **left}))
            continue
        days = "" if row.days_left is None else f"{row.days_left} days left"
        click.echo(f"{row.kind:<9}{row.state:<17}{days:<16}{row.public}")
        _warn(row)


def _warn(row: KeyRow) -> None:
    if (warning := warning_of(row)) is not None:
        click.echo(f"warning: {warning}", err=True)


@keys.command(epilog="Example:  gateway keys rotate --kind tokens --dry-run")
@click.option("--kind", required=True, type=click.Choice(KINDS), help="Which key.")
@click.option("--now", is_flag=True, help="Have it work in seconds, not after a day's notice.")
@click.option(
    "--receipt",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Of the log: where to put the receipt of the entry that names both keys; the old key vouches.",
)
@DRY_RUN
@AS_JSON
@click.pass_obj
def rotate(home: Path, kind: str, *, now: bool, receipt: Path | None, dry_run: bool, as_json: bool) -> None:
    """Give the installation another key of a kind.

    A key for tokens or sealing is announced a day before it works, in the running gateway; nothing that
    was made with the old one fails. The log's signs beside the old one at once; publish it by other ways
    than this gateway, and when everybody has it, `retire` the old one.
    """
    if kind != LOG:
        if receipt is not None:
            raise click.UsageError("--receipt is for the log's key")
        _rotate_dated(home, KeyKind(kind), now=now, dry_run=dry_run, as_json=as_json)
        return
    keyring = _keyring(home)
    if keyring.log_keys.former:
        raise HomeInvalid("a former key of the log still signs; first `gateway keys retire --kind log`")
    if dry_run:
        click.echo(f"would give the log a new key, to sign beside {keyring.log.vkey}")
        return
    told = wiring.run(_rotated(home))
    if receipt is not None:
        told.save(receipt)
    click.echo("the log's checkpoints carry two signatures from now on; publish the new key:")
    click.echo(_keyring(home).log.vkey)


def _rotate_dated(home: Path, kind: KeyKind, *, now: bool, dry_run: bool, as_json: bool) -> None:
    if dry_run:
        keyring = _keyring(home)
        name = keyring.tokens.kid if kind is KeyKind.TOKENS else keyring.sealer.files.active.key.name
        click.echo(
            f"would give {kind} a new key, to work {'in seconds' if now else 'in a day'}, after {name}"
        )
        return
    carry_out(home, RotateKey(kind=kind, now=now), as_json=as_json)


@keys.command(epilog="Example:  gateway keys revoke KID --reason 'the disk was copied'")
@click.argument("name")
@REASON
@AS_JSON
@click.pass_obj
def revoke(home: Path, name: str, *, reason: str, as_json: bool) -> None:
    """Destroy a key for tokens: no token that it signed is believed any more. Rotate with --now first."""
    carry_out(home, RevokeTokenKey(id=name, reason=reason), as_json=as_json)


@keys.command(epilog="Example:  gateway keys retire --kind log")
@click.option("--kind", required=True, type=click.Choice([LOG]), help="Which key.")
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
