"""``gateway freeze`` and ``gateway unfreeze``: stop something at once; two other people lift it.

A freeze counts in every worker within a second, also for requests that are being answered.
"""

from pathlib import Path

import click

from gateway.cli.act import AS_JSON, REASON, carry_out, require_text, show
from gateway.registry.records import Freezable
from gateway.services.acts import Lift, LookAtFreezes, SetFrozen

WHAT = click.argument("what", type=click.Choice([each.value for each in Freezable]))


@click.command(epilog="Example:  gateway freeze client bank-a.etl --reason 'key found on a public page'")
@click.argument("what", required=False, type=click.Choice([each.value for each in Freezable]))
@click.argument("name", required=False, default="")
@click.option("--list", "only_list", is_flag=True, help="List what is and was frozen.")
@REASON
@AS_JSON
@click.pass_obj
def freeze(home: Path, what: str | None, name: str, *, only_list: bool, reason: str, as_json: bool) -> None:
    """Stop a token, a client, an organisation, an agreement, an operator, a key, a dataset or everything.

    NAME is its id; of a token CLIENT/TOKEN-ID, of a key its thumbprint; everything needs none.
    """
    if only_list:
        show(home, LookAtFreezes(), ("id", "state", "frozen_at", "lifted_by"), as_json=as_json)
        return
    if what is None:
        raise click.UsageError("say what to freeze, for example: gateway freeze dataset people")
    carry_out(home, SetFrozen(what=Freezable(what), target=name, reason=reason), as_json=as_json)


@click.command(epilog="Example:  gateway unfreeze client bank-a.etl --as lan.watch")
@WHAT
@click.argument("name", required=False, default="")
@click.option("--as", "operator", required=True, help="The overseer who says so.")
@click.option("--password", prompt=True, hide_input=True, help="Asked for unless given.")
@click.option("--code", prompt=True, help="One-time code of the authenticator app; asked for unless given.")
@AS_JSON
@click.pass_obj
def unfreeze(
    home: Path, what: str, name: str, *, operator: str, password: str, code: str, as_json: bool
) -> None:
    """Say that a freeze may end; when a second overseer has said so, it ends.

    Overseers are the operators of organisations of the class `overseer`, and only those who were
    registered before the freeze.
    """
    password = require_text(password)
    act = Lift(what=Freezable(what), target=name, operator=operator, password=password, code=code)
    carry_out(home, act, as_json=as_json)
