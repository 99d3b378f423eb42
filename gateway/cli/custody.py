"""``gateway keys custody``: the pseudonyms' key divided between two custodians, so that none has it alone.

Passphrases are asked for, one after the other in the order of the files; where standard input is no
terminal they are its lines, so that two secrets of a service manager can be handed over without a shell.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from gateway import wiring
from gateway.cli.act import require_text, told
from gateway.errors import HomeInvalid, RulesInvalid
from gateway.keyring import custody as keyring_custody
from gateway.keyring.custody import CUSTODIANS, Share, known_epochs, master_keys, open_share, rotation
from gateway.policy.load import load_rules
from gateway.services.acts import Done
from gateway.services.custody import divided, new_epoch
from gateway.services.overseers import Word
from gateway.serving.admin import desk_of, this_user
from gateway.settings import NOBODY, Settings
from gateway.terms.query import Action
from gateway.terms.treatment import Tokenise

Command = TypeVar("Command", bound=Callable[..., Any])
LINE_CHARACTERS_MAX: Final = 1024
SHARE_FILES: Final = click.Path(dir_okay=False, path_type=Path)


def pseudonym_shares(command: Command) -> Command:
    """Add the option ``--pseudonym-share``; a command takes it as ``share_files``, a tuple of paths."""
    return click.option(
        "--pseudonym-share",
        "share_files",
        multiple=True,
        type=SHARE_FILES,
        help="A custodian's share of the pseudonyms' key; given twice. Asks for both passphrases.",
    )(command)


def shares_of(home: Path, files: tuple[Path, ...], settings: Settings) -> tuple[Share, ...]:
    """Return the shares that a start needs: of the files given, else of those that the settings name."""
    if not files:
        named = (settings.pseudonym_share_1, settings.pseudonym_share_2)
        files = tuple(home / name for name in named if name != NOBODY)
    return tuple(open_share(file, _line(f"passphrase for `{file.name}`")) for file in files)


@click.group()
def custody() -> None:
    """Divide the pseudonyms' key between two custodians, and check their shares."""


@custody.command(epilog="Example:  gateway keys custody split /media/lan/share /media/hoa/share")
@click.argument("files", nargs=CUSTODIANS, type=SHARE_FILES)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.pass_obj
def split(home: Path, files: tuple[Path, Path], *, as_json: bool) -> None:
    """Divide the key of a home into two files, each under its custodian's passphrase.

    From then on a start needs both. The key's own file leaves the home; copies of it that you keep elsewhere
    are yours to destroy. The gateway is stopped for it.
    """
    first, second = (_new_passphrase(file) for file in files)

    async def divide() -> Done:
        async with wiring.opened(home) as gateway:
            name = keyring_custody.split(home / "keys", files, (first, second))
            return await divided(desk_of(gateway), name, this_user())

    told(wiring.run(divide()), as_json=as_json)


@custody.command(epilog="Example:  gateway keys custody check /media/lan/share")
@click.argument("files", nargs=-1, required=True, type=SHARE_FILES)
@click.pass_obj
def check(home: Path, files: tuple[Path, ...]) -> None:
    """Say whether a share opens and is of this home; with both, whether they make its key."""
    folder = home / "keys"
    known = known_epochs(folder)
    if not known:
        raise HomeInvalid("the pseudonyms' key is undivided; nobody has a share of it")
    shares = tuple(open_share(file, _line(f"passphrase for `{file.name}`")) for file in files)
    for share in shares:
        share.require_of(known)
        click.echo(f"custodian {share.custodian}'s share is good, of {len(known)} epochs")
    if len(shares) > 1:
        master_keys(folder, shares)
        click.echo(f"together they make the key {known[-1].key}")


def rotate_pseudonyms(
    home: Path, files: tuple[Path, ...], overseers: tuple[str, ...], *, dry_run: bool, as_json: bool
) -> None:
    """Give the pseudonyms another epoch, or say what that would change for the firms."""
    folder = home / "keys"
    if dry_run:
        epochs = len(known_epochs(folder)) or 1
        click.echo(f"would give the pseudonyms epoch {epochs + 1}, from the next start on; for every firm")
        for line in _changed_by_an_epoch(home / "policies"):
            click.echo(f"  {line}")
        click.echo("the owner can reverse tokens of all epochs; nobody can match old tokens with new ones")
        return
    if len(files) != CUSTODIANS or len(overseers) != CUSTODIANS:
        raise click.UsageError("needs --pseudonym-share twice and --as twice: two custodians, two overseers")
    passphrases = [_line(f"passphrase for `{file.name}`") for file in files]
    words = [_word(name) for name in overseers]

    async def rotated() -> Done:
        async with wiring.opened(home) as gateway:
            make = partial(rotation, folder, (files[0], files[1]), (passphrases[0], passphrases[1]))
            asked = (words[0], words[1])
            return await new_epoch(desk_of(gateway), lambda newest: make(newest=newest), asked, this_user())

    told(wiring.run(rotated()), as_json=as_json)


def _changed_by_an_epoch(policies: Path) -> list[str]:
    """Return what is other in a new epoch, a line a dataset."""
    lines = []
    for path in sorted(policies.glob("*.yaml")):
        try:
            rules = load_rules(path.read_bytes(), file=path.name)
        except RulesInvalid:
            lines.append(f"{path.name}: does not load, so nothing can be said of it")
            continue
        tokens = sorted(
            {
                name
                for permit in rules.permits
                for name, treatment in permit.columns
                if isinstance(treatment, Tokenise)
            }
        )
        columns = f"other tokens in {', '.join(tokens)}; " if tokens else ""
        if any(permit.actions - {Action.AGGREGATE} for permit in rules.permits):
            lines.append(f"{rules.dataset.id}: {columns}another order of rows; cursors from before end")
    return lines


def _word(operator: str) -> Word:
    password = _line(f"password of {operator}")
    return Word(operator=operator, password=password, code=_line(f"one-time code of {operator}"))


def _new_passphrase(file: Path) -> str:
    passphrase = _line(f"new passphrase for `{file.name}`")
    if sys.stdin.isatty() and passphrase != _line("the same again"):
        raise click.UsageError("the two are not the same")
    return passphrase


def _line(asked: str) -> str:
    """Return one secret: typed unseen at a terminal, else a line of standard input."""
    try:
        if sys.stdin.isatty():
            return require_text(click.prompt(asked, hide_input=True, err=True))
        line = require_text(sys.stdin.readline(LINE_CHARACTERS_MAX))
    except (UnicodeError, click.BadParameter):  # SECURITY: the words of the first hold what was read
        raise click.UsageError(f"{asked}: what was given is not UTF-8") from None
    if not line.endswith("\n"):
        raise click.UsageError(f"{asked}: standard input has no line for it")
    return line.removesuffix("\n")
