"""The demo on a terminal: what was asked, what came back, what it cost, where the proof is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.cli.demo.cast import HOUSEHOLDS, Firm
from gateway.cli.demo.walk import ROWS, STATISTIC, Walk

MEANINGS = {
    "keep": "kept",
    "redact": "redacted",
    "partial": "shown in part",
    "tokenise": "pseudonym",
    "generalise": "made coarser",
    "drop": "dropped",
}
CELL_CHARACTERS = 24
WIDTH = 100


class Screen:
    """Writes to standard output, or nothing at all when ``quiet``."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(quiet=quiet, highlight=False, width=WIDTH)
        self._progress = Console(stderr=True, quiet=not Console(stderr=True).is_terminal)

    @contextmanager
    def working(self, title: str) -> Iterator[Callable[[str], None]]:
        """Show what is being done, on a terminal only."""
        with self._progress.status(title) as status:
            yield lambda words: status.update(f"{title}: {words}")

    def show(self, walked: Walk, held: dict[str, object], origin: str, folder: Path, kept: Path) -> None:
        """Show the whole walk."""
        out = self._console
        out.print()
        out.print(Text("A gate between public data and the firms that build on it", style="bold"))
        out.print(
            f"{len(walked.rights[0][1])} datasets, three firms, invented people. It all runs at {origin}.\n"
        )
        self._logins(walked)
        self._records(walked, held)
        self._statistic(walked)
        self._refusal(walked)
        self._proof(walked, folder, kept)

    def goodbye(self, origin: str, metrics: str, cast: tuple[Firm, Firm, Firm]) -> None:
        """Say what can be tried while it serves on."""
        out = self._console
        out.print(f"Serving on at {origin} (metrics at {metrics}); stop with Ctrl-C.")
        out.print(f"The people's page: {origin}/activate   The interface: {origin}/openapi.json")
        for firm in cast:
            out.print(
                f"  {firm.en}: operator [bold]{firm.operator}[/], password {firm.password}, "
                f"authenticator secret {firm.totp_base32}"
            )

    def _logins(self, walked: Walk) -> None:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("firm", "for", "activated by", "level", "may"):
            table.add_column(heading, no_wrap=True)
        for login, (_, rights) in zip(walked.logins, walked.rights, strict=True):
            may = "; ".join(f"{', '.join(actions)} {name}" for name, actions in rights.items() if actions)
            table.add_row(login.firm.en, login.firm.purpose, login.firm.person, login.acr, may)
        first = walked.logins[0]
        body = Table.grid()
        body.add_row(
            "A firm's machine has a key. A person of that firm activates it with password and one-time "
            f"code,\nafter comparing a phrase on both screens ([bold]{first.key_phrase}[/] for "
            f"{first.firm.en}). "
            "Every request\ncarries a proof over that very request, so a stolen token is useless.\n"
        )
        body.add_row(table)
        self._console.print(Panel(body, title="1  Who asks", title_align="left"))

    def _records(self, walked: Walk, held: dict[str, object]) -> None:
        document = walked.records.document
        row = walked.fullest_row
        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("column", "the agency holds", "treatment", "Relief B got"):
            table.add_column(heading, no_wrap=True, overflow="ellipsis")
        treatments = {column["name"]: column["treatment"] for column in document["columns"]}
        for name, value in held.items():
            how = treatments.get(name, "drop")
            got = _cell(row[name]) if name in row else "[dim]nothing[/]"
            table.add_row(name, _short(value), MEANINGS[how], _short(got))
        body = Table.grid()
        body.add_row(
            f"[bold]POST /v1/datasets/{HOUSEHOLDS}/records[/]  as Relief B: {ROWS} rows, this is one\n"
        )
        body.add_row(table)
        body.add_row(
            f"\nencrypted to the firm: only its key [bold]{walked.records.encrypted_to}[/] opens it\n"
            "Only the agency, with its key, can turn the pseudonym back; at another firm the same person "
            "has\nanother one. A pull of rows costs no privacy budget: what it shows is set by the rules."
        )
        self._console.print(Panel(body, title="2  Rows, masked for this one firm", title_align="left"))

    def _statistic(self, walked: Walk) -> None:
        document = walked.statistic.document
        table = Table(box=None, padding=(0, 2, 0, 0))
        names = list(document["rows"][0])
        for name in names:
            noisy = isinstance(document["rows"][0][name], dict)
            table.add_column(f"{name} ± 95 %" if noisy else name, justify="right" if noisy else "left")
        for row in document["rows"]:
            table.add_row(*(_cell(row[name]) for name in names))
        charge = document["charge"]
        own = walked.budgets.document["budgets"][0]["client"]
        body = Table.grid()
        body.add_row(f"[bold]POST /v1/datasets/{HOUSEHOLDS}/query[/]   as Bank A\n{STATISTIC}\n")
        body.add_row(table)
        body.add_row(
            f"\nCost: epsilon {charge['epsilon']} at delta {charge['delta']} for {charge['protects']} "
            f"(rho {charge['rho']}), charged before the data was read.\n"
            f"Left for this client: rho {own['rho_left']} of {own['rho_cap']}. "
            "Asking again with the same Idempotency-Key costs nothing and gives the same bytes."
        )
        self._console.print(
            Panel(body, title="3  A statistic, with noise and error bars", title_align="left")
        )

    def _refusal(self, walked: Walk) -> None:
        refusal = walked.refusal
        self._console.print(
            Panel(
                f"[bold]POST /v1/datasets/{HOUSEHOLDS}/records[/]   as Bank A\n\n"
                f"[bold red]{refusal.status}[/] {refusal.title}: {refusal.members['reason']}\n"
                "Default deny: no sharing rule lets a bank pull rows. The refusal stands in the log too.",
                title="4  A refusal, with its reason",
                title_align="left",
            )
        )

    def _proof(self, walked: Walk, folder: Path, kept: Path) -> None:
        log_key = kept / "log.vkey"
        self._console.print(
            Panel(
                "Every answer came with a receipt; all of them were checked offline against the log's key:\n"
                + "".join(f"  [green]verified[/]      {kept / name}.receipt\n" for name, _ in walked.receipts)
                + f"  [red]NOT verified[/]  the statistic with one byte changed: {walked.forged}\n\n"
                "Check them yourself, and the whole log:\n"
                f"  gateway receipt verify {kept / 'statistic.receipt'} --log-key {log_key}\n"
                f"  gateway --home {folder} audit verify --log-key {log_key}",
                title="5  Where the proof is",
                title_align="left",
            )
        )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + "…"


def _cell(value: Any) -> str:  # noqa: ANN401  whatever JSON holds
    if isinstance(value, dict):
        shown = "-" if value["value"] is None else f"{value['value']:,.0f}"
        return f"{shown} ± {value['margin']:,.0f}"
    return "[dim]-[/]" if value is None else str(value)
