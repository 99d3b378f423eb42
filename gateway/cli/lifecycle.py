"""``gateway policy key, sign, activate, list``: how a revision comes into force, and who vouches for it.

A steward signs where the private key is; whoever runs the gateway activates. What is signed has been checked,
and its cases came out; the gateway judges the very bytes that it is sent once more.
"""

import json
from dataclasses import replace
from pathlib import Path

import click

from gateway.cli.act import AS_JSON, require_text, show
from gateway.engines.rehearsal import ArrowRehearsal
from gateway.errors import Fault, HomeInvalid, RulesInvalid
from gateway.keyring.stewards import make_steward_key, open_steward_key, trust_steward
from gateway.policy.cases import load_cases
from gateway.policy.load import load_rules
from gateway.policy.rules import Rules
from gateway.policy.signature import signature, statement_of
from gateway.policy.trial import trial
from gateway.services.acts import ActivateRules, LookAtRules
from gateway.services.documents import (
    CASES,
    SIGNATURE,
    SUFFIX,
    SignedDocument,
    read_cases,
    read_document,
)
from gateway.serving.admin import perform

_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))


@click.command(epilog="Example:  gateway policy key lan.pem --publisher moh --passphrase")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--publisher", required=True, help="Whose documents it signs: the short name of the agency.")
@click.option("--passphrase", is_flag=True, help="Encrypt it; the passphrase is asked for, now and to sign.")
@click.option("--trust", is_flag=True, help="Have this home trust it, too.")
@click.pass_obj
def key(home: Path, file: Path, *, publisher: str, passphrase: bool, trust: bool) -> None:
    """Make a steward's key: FILE is private and stays with the steward.

    The public half lies beside it, in a file that ends in `.vkey`. A home believes it once that file lies in
    its folder `keys/stewards`; it believes it no longer once it is taken away and the rules are renewed.
    """
    if file.suffix != ".pem":
        raise click.UsageError("the private key's file ends in `.pem`, the public one's in `.vkey`")
    words = click.prompt("passphrase", hide_input=True, confirmation_prompt=True) if passphrase else ""
    require_text(words)
    steward = make_steward_key(file, publisher, home=home, passphrase=words)
    file.with_suffix(".vkey").write_text(steward.vkey + "\n", encoding="ascii")
    if trust:
        trust_steward(home, steward.vkey, name=file.stem)
    click.echo(steward.vkey)


@click.command(epilog="Example:  gateway policy sign clinic.yaml --key lan.pem")
@_FILES
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The steward's own private key (`gateway policy key`).",
)
def sign(files: tuple[Path, ...], *, key_file: Path) -> None:
    """Vouch for documents as a steward of their publisher.

    Each is checked first, and its cases in `tests/` beside it must come out. The signature is put beside the
    document, in a file that ends in `.sig`; it is over these very bytes, those of the cases too.
    """
    for file in files:
        document, rules = _tested(file)
        steward = open_steward_key(key_file, rules.dataset.publisher, ask_passphrase)
        beside = file.with_name(file.name + SIGNATURE)
        beside.write_bytes(signature(statement_of(rules, document.cases), steward))
        dataset = rules.dataset
        click.echo(f"{beside}: {dataset.id} revision {dataset.revision}, signed by {steward.vkey}")
        if document.cases is None:
            click.echo(f"{file}: nothing tests these rules: write `{CASES}/{file.name}` (advice)", err=True)


@click.command(epilog="Example:  gateway policy activate clinic.yaml")
@_FILES
@AS_JSON
@click.pass_obj
def activate(home: Path, files: tuple[Path, ...], *, as_json: bool) -> None:
    """Put signed revisions into force: all of them, or nothing changes.

    Each must be signed by a steward whom the home trusts, be the next revision, and fit its source. Document,
    signature and cases go into the home's folder `policies`, and the running gateway renews its rules, in all
    its workers; without one the home is opened here.
    """
    documents = tuple(_tested(file)[0] for file in files)
    done = perform(home, ActivateRules(documents=documents))
    for line in map(json.dumps, done.rows) if as_json else [done.says]:
        click.echo(line)


@click.command("list", epilog="Example:  gateway policy list")
@AS_JSON
@click.pass_obj
def list_rules(home: Path, *, as_json: bool) -> None:
    """Show the documents that decide: revision, last day, digest, and whose signature is on it."""
    show(home, LookAtRules(), ("id", "revision", "until", "rules_sha256", "steward"), as_json=as_json)


def ask_passphrase() -> str:
    """Return what opens a steward's key."""
    return require_text(click.prompt("passphrase", hide_input=True))


def _tested(file: Path) -> tuple[SignedDocument, Rules]:
    """Return a document, read once, that loads and whose cases come out as they say."""
    if file.suffix != SUFFIX:
        raise click.UsageError(f"`{file}` is no document: it does not end in `{SUFFIX}`")
    try:
        document = replace(read_document(file), cases=read_cases(file))
    except OSError as error:
        raise HomeInvalid(f"`{error.filename}` cannot be read: {error.strerror}") from error
    rules = load_rules(document.text, file=str(file))
    if document.name != rules.dataset.id:
        raise RulesInvalid((Fault(str(file), 1, 1, f"the file must be named `{rules.dataset.id}.yaml`"),))
    if document.cases is not None:
        cases = load_cases(document.cases, rules, file=str(file.parent / CASES / file.name))
        if failed := tuple(
            each.fault for each in trial(*cases, rules, ArrowRehearsal()).outcomes if each.fault
        ):
            raise RulesInvalid(failed)
    return document, rules
