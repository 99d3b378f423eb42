"""``gateway login``: tell this machine which gateway it speaks to, and have a person activate it."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import click

from gateway.cli.firm.screen import failure_document, note, plain, prompted, working
from gateway.cli.firm.session import FirmCommand, folder
from gateway.client.decryption import DecryptionKey
from gateway.client.failures import ProfileInvalid
from gateway.client.keys import ClientKey
from gateway.client.private_key import PrivateKey
from gateway.client.problem import GatewayProblem
from gateway.client.profile import KEY_NAME, Profile, checked_log_key, make_folder
from gateway.client.sync import SyncGateway
from gateway.client.wire import checked_origin

FILE = click.Path(dir_okay=False, path_type=Path)
PRESENT = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    cls=FirmCommand,
    epilog="Example:  gateway login --gateway https://gateway.example --client bank-a.etl "
    "--purpose credit-risk-statistics",
)
@click.option("--gateway", "origin", help="The gateway's address; remembered.")
@click.option("--client", help="The name that the operator registered this machine under; remembered.")
@click.option("--purpose", help="What the data is used for; remembered.")
@click.option("--key", type=FILE, help="The private key's file; one in the profile folder unless given.")
@click.option("--certificate", type=PRESENT,
              help="The certificate over --key, where the operator registers that; remembered.")  # fmt: skip
@click.option("--ca", type=PRESENT, help="Authorities that may vouch for the gateway, in PEM; remembered.")
@click.option("--new-key", type=FILE, help="Make a key in this file, print its public half, and stop.")
@click.option("--encryption-key", "encryption_keys", type=FILE, multiple=True,
              help="The private key that answers are encrypted to; twice while one replaces the other; "
              "remembered.")  # fmt: skip
@click.option("--no-encryption", is_flag=True, help="Forget the keys that answers were encrypted to.")
@click.option("--new-encryption-key", type=FILE,
              help="Make such a key in this file, print its public half, and stop.")  # fmt: skip
@click.option("--hours", type=click.IntRange(1, 8), help="How long the activation is to last.")
@click.option("--log-key", type=FILE, help="File with the log's verifier key, as the operator published it.")
@click.option("--json", "form", flag_value="json", help="Print the outcome as JSON.")
def login(
    *,
    origin: str | None,
    client: str | None,
    purpose: str | None,
    key: Path | None,
    certificate: Path | None,
    ca: Path | None,
    new_key: Path | None,
    encryption_keys: tuple[Path, ...],
    no_encryption: bool,
    new_encryption_key: Path | None,
    hours: int | None,
    log_key: Path | None,
    form: str | None,
) -> None:
    """Have a person activate this machine for a purpose.

    The first time, it makes a key and says what the operator must register; run it again after that.
    Nothing but addresses, names and the key is kept (GATEWAY_PROFILE, or ~/.config/data-sharing-gateway).
    """
    for kind, file in ((ClientKey, new_key), (DecryptionKey, new_encryption_key)):
        if file is not None:
            _make_key(file, kind)
            _show_key(file, kind, as_json=form == "json")
            return
    if no_encryption and encryption_keys:
        raise click.UsageError("--encryption-key and --no-encryption say opposite things")
    known = _known()
    if known is not None:
        origin, client, purpose = origin or known.gateway, client or known.client, purpose or known.purpose
    if not (origin and client and purpose):
        raise click.UsageError("the first time, name --gateway, --client and --purpose")
    try:
        origin = checked_origin(origin)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    file = _key_file(key, known)
    given = None if log_key is None else log_key.read_text(encoding="ascii", errors="replace").strip()
    profile = Profile(
        gateway=origin,
        client=client,
        purpose=purpose,
        key=str(file),
        log_key="unknown",
        ca=_remembered(ca, "" if known is None else known.ca),
        certificate=_remembered(certificate, "" if known is None or key is not None else known.certificate),
        encryption_keys=_encryption_keys(encryption_keys, None if no_encryption else known),
    )
    _login(profile, known, given, hours, as_json=form == "json")


def _login(
    profile: Profile, known: Profile | None, given: str | None, hours: int | None, *, as_json: bool
) -> None:
    try:
        session = SyncGateway(profile.gateway, **profile.gateway_options())
        with session as gateway, working("waiting for the gateway") as told:
            published = gateway.published_log_key()
            profile = _with_log_key(profile, checked_log_key(known, profile.gateway, published, given))
            profile.save(folder())
            told("waiting for a person to approve")
            acr = gateway.login(profile.purpose, prompted, hours=hours)
    except GatewayProblem as problem:
        if problem.type != "oauth:invalid_client":
            raise
        _ask_operator(profile, problem, as_json=as_json)
        sys.exit(1)
    said = {"gateway": profile.gateway, "client": profile.client, "purpose": profile.purpose, "acr": acr}
    if as_json:
        click.echo(json.dumps({**said, "log_key": profile.log_key}))
        return
    click.echo(
        f"logged in: {plain(profile.client)} for {plain(profile.purpose)} at {profile.gateway}, {plain(acr)}"
    )
    if given is None and (known is None or known.gateway != profile.gateway):
        click.echo("the log's key, trusted from now on; compare it with what the operator published:")
        click.echo(f"  {plain(profile.log_key)}")


def _remembered(given: Path | None, known: str) -> str:
    return known if given is None else str(given.absolute())


def _encryption_keys(given: tuple[Path, ...], known: Profile | None) -> tuple[str, ...]:
    if not given:
        return () if known is None else known.encryption_keys
    for file in given:
        if not file.exists():
            raise click.UsageError(
                f"there is no `{file}`; `gateway login --new-encryption-key {file}` makes it"
            )
    return tuple(str(file.absolute()) for file in given)


def _ask_operator(profile: Profile, problem: GatewayProblem, *, as_json: bool) -> None:
    if profile.certificate:
        _ask_for_certificate(profile, problem, as_json=as_json)
        return
    jwk = _jwk_file(Path(profile.key))
    jwk.write_text(json.dumps(profile.private_key().jwk) + "\n", encoding="ascii")
    if as_json:
        click.echo(json.dumps({"problem": failure_document(problem), "jwk": str(jwk)}))
        return
    note(f"gateway: {profile.gateway} does not know this machine's key yet")
    note(f"  1. send `{jwk}` to the gateway's operator; the public key in it is")
    note(f"     {jwk.read_text(encoding='ascii').strip()}")
    note("  2. they run:  gateway client add " + plain(profile.client) + " --agreement AGREEMENT --purpose "
         + plain(profile.purpose) + f" --key {jwk.name}")  # fmt: skip
    note("  3. then run:  gateway login")


def _ask_for_certificate(profile: Profile, problem: GatewayProblem, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"problem": failure_document(problem), "certificate": profile.certificate}))
        return
    note(f"gateway: {profile.gateway} does not know this machine's certificate, or takes none")
    note(f"  1. send `{profile.certificate}` to the gateway's operator; never the key")
    note("  2. they run:  gateway client certificate add " + plain(profile.client) + " FILE")
    note("  3. then run:  gateway login")


def _known() -> Profile | None:
    try:
        return Profile.load(folder())
    except ProfileInvalid:
        if (folder() / "profile.json").exists():
            raise
        return None


def _key_file(given: Path | None, known: Profile | None) -> Path:
    """Return the key's file; the one in the profile folder is made on first use."""
    if given is not None:
        if not given.exists():
            raise click.UsageError(f"there is no `{given}`; `gateway login --new-key {given}` makes it")
        return given.absolute()
    if known is not None:
        return Path(known.key)
    file = folder().absolute() / KEY_NAME
    if not file.exists():
        make_folder(folder())
        _make_key(file, ClientKey)
        note(f"made a key: {file}")
    return file


def _make_key(file: Path, kind: type[PrivateKey]) -> None:
    key = kind.create()
    try:
        key.save(file)
    except OSError as error:
        raise click.UsageError(f"`{file}` cannot be made: {error.strerror}") from error
    _jwk_file(file).write_text(json.dumps(key.jwk) + "\n", encoding="ascii")


def _show_key(file: Path, kind: type[PrivateKey], *, as_json: bool) -> None:
    jwk = _jwk_file(file)
    if as_json:
        click.echo(json.dumps({"key": str(file), "jwk": str(jwk)}))
        return
    click.echo(f"private key: {file} (keep it on this machine)")
    click.echo(f"public key:  {jwk}")
    click.echo(f"  {jwk.read_text(encoding='ascii').strip()}")
    if kind is ClientKey:
        click.echo(f"the operator registers it with: gateway client add NAME ... --key {jwk.name}")
        return
    click.echo(f"the operator registers it with: gateway client key add NAME {jwk.name}")
    click.echo(f"then run: gateway login --encryption-key {file}")


def _jwk_file(key: Path) -> Path:
    return key.with_suffix(".jwk")


def _with_log_key(profile: Profile, log_key: str) -> Profile:
    return replace(profile, log_key=log_key)
