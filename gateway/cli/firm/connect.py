"""``gateway connect``: the loopback signer, for every program that can fetch a URL."""

import asyncio
import json
import signal
from contextlib import suppress

import click

from gateway.cli.firm.screen import note, plain
from gateway.cli.firm.session import FirmCommand, folder
from gateway.client.connect import Signer, serve
from gateway.client.profile import Profile, connect_secret
from gateway.client.session import Gateway


@click.command(
    cls=FirmCommand, epilog="Example:  gateway connect --port 8765 --allow /v1/datasets/vn.nso.household-2026"
)
@click.option(
    "--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0 picks a free one."
)
@click.option("--allow", "allowed", multiple=True, default=("/v1",), show_default=True,
              help="Only paths below this one; may be given several times.")  # fmt: skip
@click.option("--new-secret", is_flag=True, help="Make a new address; the old one stops working.")
@click.option("--json", "form", flag_value="json", help="Print the address as JSON.")
def connect(*, port: int, allowed: tuple[str, ...], new_secret: bool, form: str | None) -> None:
    """Let curl, Excel, BI tools and any HTTP client of this machine ask the gateway.

    Prints an address on 127.0.0.1; what is asked below it goes to the gateway with token and proof.
    The address holds a secret: who knows it on this machine asks in your firm's name.
    """
    for path in allowed:
        if not path.startswith("/v1"):
            raise click.UsageError(f"--allow takes paths below /v1, not `{path}`")
    profile = Profile.load(folder())
    secret = connect_secret(folder(), anew=new_secret)
    asyncio.run(_connect(profile, secret, port, allowed, as_json=form == "json"))


async def _connect(
    profile: Profile, secret: str, port: int, allowed: tuple[str, ...], *, as_json: bool
) -> None:
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C ends it there
            asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    async with Gateway(profile.gateway, **profile.gateway_options(), log_key=profile.log_key) as gateway:
        acr = await gateway.resume(profile.purpose)
        if acr == "aal1":
            note("no person's activation is left; most rules want one: run `gateway login`")
        await serve(
            gateway, secret=secret, port=port, allowed=allowed, stopped=stopped,
            on_ready=lambda signer: _told(signer, profile, as_json=as_json),
        )  # fmt: skip


def _told(signer: Signer, profile: Profile, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"url": signer.url, "gateway": profile.gateway}))
        return
    click.echo(f"{signer.url}/")
    note(f"asks {profile.gateway} as {plain(profile.client)} for {plain(profile.purpose)}; stop with Ctrl-C")
    note(f"  curl {signer.url}/v1/datasets")
    note(f"  a spreadsheet: {signer.url}/records/DATASET.csv?limit=100")
    note("Keep the address to yourself: it asks in your firm's name.")
