"""``gateway serve``: open the home and answer requests until told to stop."""

from dataclasses import replace
from pathlib import Path

import click

from gateway import wiring
from gateway.cli.custody import pseudonym_shares, shares_of
from gateway.keyring.ages import UNDIVIDED
from gateway.keyring.custody import known_epochs
from gateway.serving.secrecy import keep_memory_private
from gateway.serving.serve import Serving
from gateway.serving.serve import serve as serve_home
from gateway.settings import load_settings

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog="Example:  gateway --home /srv/gateway serve --workers 4")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes that answer; in place of the setting of that name.",
)
@click.option("--tls-certificate", type=FILE, help="PEM: the certificate, then what leads to its authority.")
@click.option("--tls-key", type=FILE, help="PEM: the certificate's private key.")
@click.option("--client-ca", type=FILE, help="PEM: authorities of clients' certificates; asks for them.")
@pseudonym_shares
@click.pass_obj
def serve(
    home: Path,
    *,
    workers: int | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    client_ca: Path | None,
    share_files: tuple[Path, ...],
) -> None:
    """Serve the installation until it is interrupted.

    Prints one line with the address once it accepts requests. What is wrong with sharing rules is
    printed first; such a document is not served, or as its last good revision.

    TLS ends here where a certificate is given, else in front; --tls-certificate, --tls-key and --client-ca
    count in place of the settings of those names. SIGHUP takes over renewed files and rules.
    """
    keep_memory_private()
    given = {"tls_certificate": tls_certificate, "tls_key": tls_key, "client_ca": client_ca}
    files = {name: str(file.absolute()) for name, file in given.items() if file is not None}
    settings = replace(load_settings(home), **files)  # type: ignore[arg-type]  # all three are texts
    shares = shares_of(home, share_files, settings)
    wiring.run(serve_home(home, settings=settings, workers=workers, shares=shares, on_ready=_say))


def _say(serving: Serving) -> None:
    if not known_epochs(serving.gateway.home / "keys"):
        click.echo(f"not under dual control: {UNDIVIDED}", err=True)
    for fault in serving.faults:
        click.echo(f"not active: {fault}", err=True)
    click.echo(f"serving {serving.origin}  metrics {serving.metrics}  datasets {serving.datasets}")
