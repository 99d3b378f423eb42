"""The command ``gateway demo``: make a home, serve it, walk through it, keep serving."""

import asyncio
import json
import socket
import time
from pathlib import Path

import click

from gateway import wiring
from gateway.cli.demo.cast import LINEAGE, firms, records_of
from gateway.cli.demo.house import Held, make_home
from gateway.cli.demo.screen import Screen
from gateway.cli.demo.sensors import sensors
from gateway.cli.demo.walk import Walk, walk
from gateway.errors import HomeInvalid
from gateway.serving.serve import Serving, serve


@click.command(epilog="Example:  gateway demo --once --json")
@click.option("--once", is_flag=True, help="Stop after the walk instead of serving on.")
@click.option("--json", "as_json", is_flag=True, help="Print what came back as one JSON object, last.")
@click.option("--people", default=100_000, show_default=True, type=click.IntRange(1_000, 2_000_000))
@click.option("--seed", default=2026, show_default=True, help="Same seed, same people.")
@click.option("--port", default=0, help="Port on loopback; a free one unless given.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the demo's home goes; `demo` in the home folder unless given.",
)
@click.pass_obj
def demo(
    home: Path, *, once: bool, as_json: bool, people: int, seed: int, port: int, folder: Path | None
) -> None:
    """Watch the gateway do its whole job, with invented people, in about twenty seconds.

    Makes a home, six agencies' data and three firms; serves; then pulls masked rows, asks a noisy
    statistic, is refused something, and proves offline that the answers stand in the log.
    """
    started = time.monotonic()
    screen = Screen(quiet=as_json)
    folder = folder or home / "demo"
    port = port or _free_port()
    with sensors(seed) as upstream:
        with screen.working("making a home") as told:
            held = make_home(folder, people=people, seed=seed, port=port, sensors=upstream, told=told)
        wiring.run(_run(folder, screen, held, started, once=once, as_json=as_json))


async def _run(
    folder: Path, screen: Screen, held: Held, started: float, *, once: bool, as_json: bool
) -> None:
    ready: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(folder, on_ready=ready.set_result))
    server.add_done_callback(lambda ended: _told_of_failure(ready, ended))
    serving = await ready
    cast = firms(serving.gateway)
    for firm in cast:
        await serving.gateway.register(records_of(firm, serving.gateway))
    vkey = serving.gateway.keyring.log.vkey
    with screen.working("walking") as told:
        walked = await walk(serving.origin, vkey, cast, told)
    kept = _keep(folder, walked, vkey)
    screen.show(walked, _reversed(walked, serving.gateway, held), serving.origin, folder, kept)
    if as_json:
        click.echo(json.dumps(_summary(walked, time.monotonic() - started), ensure_ascii=False))
    if once:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)
    else:
        screen.goodbye(serving.origin, serving.metrics, cast)
        await server


def _told_of_failure(ready: asyncio.Future[Serving], ended: asyncio.Task[None]) -> None:
    """Pass on why the server did not start, so that nobody waits for it."""
    if not ready.done():
        error = None if ended.cancelled() else ended.exception()
        ready.set_exception(error or HomeInvalid("the demo's gateway stopped before it served"))


def _reversed(walked: Walk, gateway: wiring.Gateway, held: Held) -> dict[str, object]:
    """Return what the agency holds on the person shown: with its key it can reverse the pseudonym."""
    firm = walked.logins[1].firm
    token = str(walked.fullest_row["citizen_id"])
    return held.person(gateway.keyring.pseudonym_keys.value_of(token, f"{LINEAGE}/citizen_id", firm.org))


def _keep(folder: Path, walked: Walk, vkey: str) -> Path:
    """Save the receipts and the log's key, so that they can be verified by hand later."""
    kept = folder / "receipts"
    kept.mkdir()
    (kept / "log.vkey").write_text(vkey + "\n", encoding="ascii")
    for name, receipt in walked.receipts:
        receipt.save(kept / f"{name}.receipt")
    return kept


def _summary(walked: Walk, seconds: float) -> dict[str, object]:
    """Return what ``--json`` prints; the members are part of the outer contract."""
    records, statistic = walked.records.document, walked.statistic.document
    return {
        "records": {
            "rows": records["rows"],
            "treatments": {column["name"]: column["treatment"] for column in records["columns"]},
            "encrypted_to": walked.records.encrypted_to,
        },
        "statistic": {"rows": statistic["rows"], "charge": statistic["charge"]},
        "refusal": {"status": walked.refusal.status, "reason": walked.refusal.members["reason"]},
        "receipt": {"index": walked.verified_index, "verified": True, "forged": walked.forged},
        "seconds": round(seconds, 1),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
