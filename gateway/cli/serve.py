"""``gateway serve``: open the home and answer requests until told to stop."""

from pathlib import Path

import click

from gateway import wiring
from gateway.serving.serve import Serving
from gateway.serving.serve import serve as serve_home


@click.command(epilog="Example:  gateway --home /srv/gateway serve --workers 4")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes that answer; in place of the setting of that name.",
)
@click.pass_obj
def serve(home: Path, workers: int | None) -> None:
    """Serve the installation until it is interrupted.

    Prints one line with the address once it accepts requests. What is wrong with sharing rules is
    printed first; such a document is not served, or as its last good revision.
    """
    wiring.run(serve_home(home, workers=workers, on_ready=_say))


def _say(serving: Serving) -> None:
    for fault in serving.gateway.faults:
        click.echo(f"not active: {fault}", err=True)
    for problem in serving.problems:
        click.echo(f"not served: {problem}", err=True)
    click.echo(f"serving {serving.origin}  metrics {serving.metrics}  datasets {serving.datasets}")
