"""What the firm's commands share: the profile, a session with the gateway, and how they end.

Exit codes: 0 done, 1 no (a refusal, a failure, a receipt that does not verify), 2 wrong use.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.cli.firm.screen import note, show_failure
from gateway.client.condition import ConditionUnreadable, needs_types, where_of
from gateway.client.failures import ClientFailure
from gateway.client.profile import Profile, profile_folder
from gateway.client.sync import SyncGateway

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class FirmCommand(click.Command):
    """A command whose failures are sentences, or JSON where JSON was asked for."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  click's signature
        try:
            return super().invoke(ctx)
        except ClientFailure as failure:
            show_failure(failure, as_json=ctx.params.get("form") == "json")
            sys.exit(1)


def with_format(*forms: str) -> Callable[[Decorated], Decorated]:
    """Add ``--format`` and its short form ``--json``."""

    def decorated(command: Decorated) -> Decorated:
        command = click.option("--json", "form", flag_value="json", help="The same as --format json.")(
            command
        )
        return click.option(
            "--format", "form", type=click.Choice(forms), default=forms[0], show_default=True,
            help="How the answer is written.",
        )(command)  # fmt: skip

    return decorated


def folder() -> Path:
    """Return the profile folder of this process."""
    return profile_folder(os.environ)


@contextmanager
def opened() -> Iterator[SyncGateway]:
    """Return a session of the profile's client, with what is left of its activation.

    No answer comes out of it whose receipt does not verify against the profile's log key.
    """
    profile = Profile.load(folder())
    with SyncGateway(profile.gateway, **profile.gateway_options(), log_key=profile.log_key) as gateway:
        gateway.resume(profile.purpose)
        yield gateway


def condition(gateway: SyncGateway, dataset: str, conditions: tuple[str, ...]) -> object:
    """Return the ``where`` of what was typed; asks for the columns' types where that takes them."""
    types: dict[str, str] = {}
    try:
        if needs_types(conditions):
            columns = gateway.dataset(dataset).document["columns"]
            types = {column["name"]: column["type"] for column in columns}
        return where_of(conditions, types)
    except ConditionUnreadable as error:
        raise click.UsageError(str(error)) from error


def write(data: bytes, output: Path | None) -> None:
    """Write an answer's bytes to a file, whole or not at all, or to standard output."""
    if output is None:
        click.echo(data, nl=False)
        return
    part = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        part.write_bytes(data)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    note(f"written: {output}")
