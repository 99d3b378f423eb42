"""``gateway audit sample``: which replies the sharing rules want inspected afterwards."""

import json
from pathlib import Path

import click

from gateway.cli.firm.screen import plain
from gateway.ledger.inspection import drawn
from gateway.ledger.succession import STORE

SHOWN = ("dataset", "revision", "action", "org", "client", "purpose")


@click.command(epilog="Example:  gateway --home /srv/gateway audit sample --since 4711")
@click.option("--since", default=0, type=click.IntRange(min=0), help="Index of the first entry to look at.")
@click.option("--json", "as_json", is_flag=True, help="Print the sample as JSON.")
@click.pass_obj
def sample(home: Path, *, since: int, as_json: bool) -> None:
    """List the replies to inspect, drawn from the log at the rates that the sharing rules set.

    Works while the gateway serves. The same log always gives the same sample; verify the log first.
    """
    found = list(drawn(home / "ledger" / STORE, since=since))
    if as_json:
        members = [
            {"index": each.index, "id": each.request_id} | {name: each.facts.get(name) for name in SHOWN}
            for each in found
        ]
        click.echo(json.dumps({"since": since, "drawn": members}))
        return
    for each in found:
        words = " ".join(str(each.facts.get(name)) for name in SHOWN)
        click.echo(plain(f"{each.index} {each.request_id} {words}"))
    click.echo(f"{len(found)} to inspect; take evidence with `gateway audit bundle --entry N`", err=True)
