"""Answers on a terminal: tables, and failures that say what to do.

SECURITY: what a gateway sends is data. Control characters in it never reach the terminal, and it is
never read as markup.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.client.failures import ClientFailure
from gateway.client.problem import GatewayProblem

WIDTH_UNKNOWN: Final = 160
"""Columns of a table that goes into a pipe."""
HINTS: Final = {
    "step-up": "a person must activate this client: run `gateway login`",
    "not-authenticated": "run `gateway login`; if that fails too, ask the operator",
    "not-permitted": "`gateway catalog DATASET` shows what you may do, and why not",
    "dataset-unknown": "`gateway catalog` lists what there is",
    "budget-exhausted": "privacy budgets do not renew: `gateway budget` shows what is left; ask for less "
    "(a smaller --epsilon, a larger --margin)",
    "keys-exhausted": "keys do not renew: `gateway budget` shows what is left; ask the agency for more",
    "encryption-key-required": "then `gateway login --encryption-key FILE` uses it",
    "not-acceptable": "`gateway catalog DATASET` shows in which forms answers leave; where that is encrypted "
    "only, `gateway login --new-encryption-key FILE` makes the key",
    "answer-gone": "the answer is kept no longer, or the rules changed; asking again is charged again",
    "question-refused": "`gateway catalog DATASET` shows columns, types and functions",
    "charged-failure": "asking again is paid again; the operator finds the cause by the request's id",
    "ledger-unavailable": "nothing was sent because nothing could be recorded; try again later",
    "oauth:invalid_client": "the gateway does not know this key for this client; the operator registers it",
    "request-not-saved": "only what was approved may be run; `gateway save` has another request approved",
    "oauth:invalid_grant": "the approval is over, or somebody ended it: run `gateway save` again",
    "oauth:access_denied": "the person at the activation page refused",
    "oauth:expired_token": "nobody approved in time; run `gateway login` again",
}


def plain(value: object) -> str:
    """Return a value as text without anything that a terminal would act on."""
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table to standard output."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        shown.add_column(Text(plain(heading)), overflow="fold")
    for row in rows:
        shown.add_row(*(Text(plain(cell)) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH_UNKNOWN)
    console.print(shown)


def note(words: str) -> None:
    """Say something beside the answer: on standard error, so that it never mixes with data."""
    click.echo(words, err=True)


def prompted(user_code: str, page: str, key_phrase: str) -> None:
    """Show what a person needs; on standard error, so that the outcome stands alone."""
    note("A person must approve, at the page:")
    note(f"  page        {plain(page)}")
    note(f"  code        {plain(user_code)}")
    note(f"  key phrase  {plain(key_phrase)}   (the page must show the same four words)")


@contextmanager
def working(words: str) -> Iterator[Callable[[str], None]]:
    """Show that something is being waited for, on a terminal only; the yielded function changes the words."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(Text(words)) as status:
        yield lambda more: status.update(Text(more))


def failure_document(failure: ClientFailure) -> dict[str, object]:
    """Return a failure as JSON."""
    if isinstance(failure, GatewayProblem):
        return {
            "type": failure.type,
            "title": failure.title,
            "status": failure.status,
            "detail": failure.detail,
            **failure.members,
        }
    return {"type": "about:blank", "title": "No answer", "detail": str(failure)}


def show_failure(failure: ClientFailure, *, as_json: bool) -> None:
    """Say what went wrong and what to do about it."""
    if as_json:
        click.echo(json.dumps({"problem": failure_document(failure)}, ensure_ascii=False))
        return
    if not isinstance(failure, GatewayProblem):
        note(f"gateway: {plain(failure)}")
        return
    note(f"gateway: {plain(failure.title)}" + (f": {plain(failure.detail)}" if failure.detail else ""))
    for name, words in (("reason", "reason"), ("about", "about"), ("nearest", "perhaps meant")):
        if name in failure.members:
            note(f"  {words}: {plain(failure.members[name])}")
    if hint := HINTS.get(failure.type.removeprefix("urn:problem:gateway:")):
        note(f"  hint: {hint}")


def cell(value: Any) -> str:  # noqa: ANN401  whatever JSON holds
    """Return a cell of an answer: a noisy one as value and margin, a missing one as a dash."""
    if isinstance(value, Mapping) and "value" in value:
        shown = "-" if value["value"] is None else _number(value["value"])
        return shown if value.get("margin") is None else f"{shown} ± {_number(value['margin'])}"
    return "-" if value is None else plain(value)


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else plain(value)
