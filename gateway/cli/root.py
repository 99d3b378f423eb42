"""The command ``gateway``: one table of commands, each loaded when it is called.

So the base distribution, which has no server packages, offers what it can, and ``receipt verify``
does not wait for what only ``serve`` needs.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

import click

from gateway.errors import GatewayError


class Command(NamedTuple):
    """Where a command lives, and its line in ``--help``."""

    module: str
    help: str


COMMANDS: Final = {
    "demo": Command("gateway.cli.demo.command", "Watch the gateway do its whole job, with invented people."),
    "init": Command("gateway.cli.init", "Put data of your own behind the gateway: a home and a draft."),
    "serve": Command("gateway.cli.serve", "Serve the installation until it is interrupted."),
    "policy": Command("gateway.cli.policy", "Check, test, sign and activate sharing rules."),
    "org": Command("gateway.cli.registration", "Firms and agencies."),
    "agreement": Command("gateway.cli.registration", "Contracts that name purposes."),
    "client": Command("gateway.cli.registration", "Firms' machines."),
    "operator": Command("gateway.cli.registration", "People who activate clients."),
    "activation": Command("gateway.cli.registration", "What people approved; end it before its time."),
    "freeze": Command("gateway.cli.freezing", "Stop something at once, in every worker."),
    "unfreeze": Command("gateway.cli.freezing", "Say that a freeze may end; two people must."),
    "keys": Command("gateway.cli.keyring", "List the installation's keys, replace them."),
    "login": Command("gateway.cli.firm.login", "Have a person activate this machine for a purpose."),
    "catalog": Command("gateway.cli.firm.catalog", "List the datasets, or describe one."),
    "records": Command("gateway.cli.firm.ask", "Pull rows of a dataset, with personal data treated."),
    "query": Command("gateway.cli.firm.ask", "Ask a statistic, and pay for it with privacy budget."),
    "lookup": Command("gateway.cli.firm.lookup", "Find rows by keys that you hold; each key is charged."),
    "plan": Command("gateway.cli.firm.ask", "Say what a question would give and cost."),
    "save": Command("gateway.cli.firm.saved", "Have a person approve one question for a daily job."),
    "run": Command("gateway.cli.firm.saved", "Run a saved question, without a person."),
    "budget": Command("gateway.cli.firm.catalog", "Show what is spent and what is left."),
    "connect": Command("gateway.cli.firm.connect", "Let curl, Excel and BI tools ask the gateway."),
    "receipt": Command("gateway.cli.receipt", "Check, offline, that an answer stands in the log."),
    "log": Command("gateway.cli.log", "Close the log, and begin the next one."),
    "audit": Command("gateway.cli.audit", "Check the whole log, and take evidence out of it."),
}


class Table(click.Group):
    """A group whose commands stand in ``COMMANDS``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        try:
            module = import_module(COMMANDS[cmd_name].module)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("gateway"):
                raise
            raise click.ClickException(
                f"`gateway {cmd_name}` needs the server: pip install 'data-sharing-gateway[server]'"
            ) from error
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])


@click.command(
    cls=Table,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with:  gateway demo",
)
@click.option(
    "--home",
    envvar="GATEWAY_HOME",
    default="var",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The installation's folder; the environment variable GATEWAY_HOME sets it too.",
)
@click.version_option(package_name="data-sharing-gateway")
@click.pass_context
def gateway(context: click.Context, home: Path) -> None:
    """Stand between public datasets and the firms that build on them."""
    context.obj = home


def main() -> None:
    """Run the command line; an error of the gateway's own ends it with one sentence and code 1."""
    try:
        gateway(prog_name="gateway")
    except GatewayError as error:
        click.echo(f"gateway: {error.detail}", err=True)
        sys.exit(1)
