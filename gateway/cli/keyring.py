"""``gateway keys``: the installation's keys, how long each may serve, and how it gets another one.

tokens, sealing   announced, then active by the clock
log               the new key signs beside the old one until `retire`
pseudonyms        another epoch, by two custodians and two overseers, while the gateway is stopped
"""

import json
from pathlib import Path

import click

from gateway.cli.act import AS_JSON, REASON, carry_out
from gateway.cli.custody import custody, pseudonym_shares, rotate_pseudonyms
from gateway.client.receipt import StoredReceipt
from gateway.clock import SystemClock
from gateway.errors import HomeInvalid
from gateway.keyring.ages import KeyRow, key_rows, warning_of
from gateway.keyring.keyring import Keyring
from gateway.services.acts import KeyKind, RetireLogKey, RevokeTokenKey, RotateKey, RotateLogKey
from gateway.services.custody import PSEUDONYMS
from gateway.serving.tls import tls_rows
from gateway.settings import load_settings

LOG = "log"
KINDS = [LOG, *(kind.value for kind in KeyKind), PSEUDONYMS]
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")


@click.group()
def keys() -> None:
    """List the installation's keys, replace them."""


@keys.command("list", epilog="Example:  gateway keys list")
@AS_JSON
@click.pass_obj
def list_keys(home: Path, *, as_json: bool) -> None:
    """Show every key by its public name, its state, and the days left before it should be replaced."""
    settings = load_settings(home)
    rows = key_rows(home / "keys", log_name=settings.log_origin)
    for row in (*rows, *tls_rows(home, settings, SystemClock())):
        if as_json:
            left = {} if row.days_left is None else {"days_left": row.days_left}
            note = {"note": row.note} if row.note else {}
            shown = {"kind": row.kind, "state": row.state, "public": row.public, **left, **note}
            click.echo(json.dumps(shown))
            continue
        days = "" if row.days_left is None else f"{row.days_left} days left"
        click.echo(f"{row.kind:<12}{row.state:<17}{days:<16}{row.public}  {row.note}".rstrip())
        _warn(row)


def _warn(row: KeyRow) -> None:
    if (warning := warning_of(row)) is not None:
        click.echo(f"warning: {warning}", err=True)


@keys.command(epilog="Example:  gateway keys rotate --kind tokens --dry-run")
@click.option("--kind", required=True, type=click.Choice(KINDS), help="Which key.")
@click.option("--now", is_flag=True, help="Of tokens and sealing: in seconds, not after a day's notice.")
@click.option(
    "--receipt",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Of the log: where to put the receipt of the entry that names both keys; the old key vouches.",
)
@pseudonym_shares
@click.option("--as", "overseers", multiple=True, help="Of the pseudonyms: an overseer who says so; two.")
@DRY_RUN
@AS_JSON
@click.pass_obj
def rotate(
    home: Path,
    kind: str,
    *,
    now: bool,
    receipt: Path | None,
    share_files: tuple[Path, ...],
    overseers: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Give the installation another key of a kind.

    A key for tokens or sealing is announced a day before it works; nothing that was made with the old one
    fails. The log's signs beside the old one at once; publish it by other ways than this gateway, and when
    everybody has it, `retire` the old one. The pseudonyms get another epoch, and every firm other tokens:
    that takes both custodians' shares and two overseers, while the gateway is stopped.
    """
    if receipt is not None and kind != LOG:
        raise click.UsageError("--receipt is for the log's key")
    if (share_files or overseers) and kind != PSEUDONYMS:
        raise click.UsageError("--pseudonym-share and --as are for the pseudonyms")
    if now and kind not in set(KeyKind):
        raise click.UsageError("--now is for tokens and sealing")
    if kind == PSEUDONYMS:
        rotate_pseudonyms(home, share_files, overseers, dry_run=dry_run, as_json=as_json)
    elif dry_run:
        click.echo(_would_rotate(_keyring(home), kind, now=now))
    elif kind == LOG:
        done = carry_out(home, RotateLogKey(), as_json=as_json)
        if receipt is not None:
            StoredReceipt(proof=done.proof, entry=done.entry, body=b"").save(receipt)
    else:
        carry_out(home, RotateKey(kind=KeyKind(kind), now=now), as_json=as_json)


def _would_rotate(keyring: Keyring, kind: str, *, now: bool) -> str:
    if kind == LOG:
        if keyring.log_keys.former:
            raise HomeInvalid("a former key of the log still signs; first `gateway keys retire --kind log`")
        return f"would give the log a new key, to sign beside {keyring.log.vkey}"
    name = keyring.tokens.kid if kind == KeyKind.TOKENS else keyring.sealer.files.active.key.name
    return f"would give {kind} a new key, to work {'in seconds' if now else 'in a day'}, after {name}"


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
@AS_JSON
@click.pass_obj
def retire(home: Path, kind: str, *, dry_run: bool, as_json: bool) -> None:
    """Let the log's former key sign no more; who has only that one can check no new receipt."""
    if not dry_run:
        carry_out(home, RetireLogKey(), as_json=as_json)
        return
    former = _keyring(home).log_keys.former
    if not former:
        raise HomeInvalid("no former key of the log signs")
    click.echo(f"would retire the {kind}'s key {former[0].vkey}")


def _keyring(home: Path) -> Keyring:
    return Keyring.open(home / "keys", log_name=load_settings(home).log_origin)


keys.add_command(custody)
