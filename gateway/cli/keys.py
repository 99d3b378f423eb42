"""The option ``--log-key``: files with the verifier keys of the log that a command trusts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

FILE_BYTES_MAX = 4096
Command = TypeVar("Command", bound=Callable[..., Any])


def log_keys(*, required: bool, more: str = "") -> Callable[[Command], Command]:
    """Return the option; a command takes it as ``log_key``, a tuple of paths."""
    return click.option(
        "--log-key",
        "log_key",
        required=required,
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="File with the log's verifier key, got from somewhere else than the log"
        f"{more}. Give it again for a key that the log had before.",
    )


def joined_keys(files: tuple[Path, ...]) -> str:
    """Return the verifier keys in the files, one a line."""
    texts = []
    for file in files:
        with file.open(encoding="ascii", errors="replace") as opened:
            texts.append(opened.read(FILE_BYTES_MAX).strip())
    return "\n".join(texts)
