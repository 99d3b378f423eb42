"""``gateway org|agreement|client|operator``: who may ask, along the chain that a purpose needs.

    organisation -> agreement -> client with its key; and operators, the people who activate clients

A change goes to the running gateway, and counts in all its workers at once; where none runs, the command
opens the home by itself. Every change is an entry of the log.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Final

import click

from gateway.cli.act import AS_JSON, REASON, carry_out, show, show_one
from gateway.registry.records import State
from gateway.services.acts import (
    AddAgreement,
    AddCertificate,
    AddClient,
    AddKey,
    AddOperator,
    AddOrganisation,
    Invite,
    Kind,
    Look,
    RemoveCertificate,
    RemoveKey,
    SetState,
)

DAY = click.DateTime(formats=["%Y-%m-%d"])
KEY_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
KEY_BYTES_MAX: Final = 4096
CERTIFICATE_BYTES_MAX: Final = 64 * 1024


@click.group()
def org() -> None:
    """Firms and agencies."""


@org.command("add", epilog='Example:  gateway org add bank-a --vi "Ngân hàng A" --en "Bank A" --class bank')
@click.argument("name")
@click.option("--vi", required=True, help="Vietnamese name.")
@click.option("--en", required=True, help="English name.")
@click.option("--class", "org_class", required=True, help="The class that sharing rules speak of.")
@click.option("--country", default="VN", show_default=True, help="Seat, ISO 3166-1 alpha-2.")
@AS_JSON
@click.pass_obj
def add_org(home: Path, name: str, *, vi: str, en: str, org_class: str, country: str, as_json: bool) -> None:
    """Register an organisation."""
    act = AddOrganisation(id=name, vi=vi, en=en, org_class=org_class, country=country)
    carry_out(home, act, as_json=as_json)


@click.group()
def agreement() -> None:
    """Contracts that name purposes."""


@agreement.command(
    "add",
    epilog="Example:  gateway agreement add AGR-2026-014 --org bank-a --purpose credit-risk-statistics "
    "--from 2026-01-01 --until 2027-12-31",
)
@click.argument("name")
@click.option("--org", "org_id", required=True)
@click.option("--purpose", "purposes", required=True, multiple=True)
@click.option("--from", "valid_from", required=True, type=DAY, help="First day (UTC).")
@click.option("--until", "valid_until", required=True, type=DAY, help="Last day (UTC).")
@AS_JSON
@click.pass_obj
def add_agreement(
    home: Path,
    name: str,
    *,
    org_id: str,
    purposes: tuple[str, ...],
    valid_from: datetime,
    valid_until: datetime,
    as_json: bool,
) -> None:
    """Register an agreement."""
    act = AddAgreement(
        id=name,
        org=org_id,
        purposes=purposes,
        valid_from=valid_from.date(),
        valid_until=valid_until.date(),
    )
    carry_out(home, act, as_json=as_json)


@click.group()
def client() -> None:
    """Firms' machines."""


@client.command(
    "add",
    epilog="Example:  gateway client add bank-a.etl --agreement AGR-2026-014 "
    "--purpose credit-risk-statistics --key etl.jwk",
)
@click.argument("name")
@click.option("--agreement", "agreement_id", required=True)
@click.option("--purpose", "purposes", required=True, multiple=True)
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=KEY_FILE,
    help="File with a public key of the client as a JWK; twice while one is being replaced. "
    'One with "use": "enc" is for replies to be encrypted to.',
)
@click.option(
    "--certificate",
    "certificates",
    multiple=True,
    type=KEY_FILE,
    help="File with the client's certificate in PEM, where TLS ends in the gateway.",
)
@AS_JSON
@click.pass_obj
def add_client(
    home: Path,
    name: str,
    *,
    agreement_id: str,
    purposes: tuple[str, ...],
    keys: tuple[Path, ...],
    certificates: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Register a client with its public key, or its certificate."""
    act = AddClient(
        id=name,
        agreement=agreement_id,
        purposes=purposes,
        keys=tuple(map(_jwk, keys)),
        certificates=tuple(map(_pem, certificates)),
    )
    carry_out(home, act, as_json=as_json)


@client.group("key")
def client_key() -> None:
    """Replace a client's keys without a gap: it may have two."""


@client_key.command("add", epilog="Example:  gateway client key add bank-a.etl new.jwk")
@click.argument("name")
@click.argument("file", type=KEY_FILE)
@AS_JSON
@click.pass_obj
def add_key(home: Path, name: str, file: Path, *, as_json: bool) -> None:
    """Give a client a second public key, or one with "use": "enc" to encrypt replies to."""
    carry_out(home, AddKey(client=name, key=_jwk(file)), as_json=as_json)


@client_key.command("remove", epilog="Example:  gateway client key remove bank-a.etl THUMBPRINT")
@click.argument("name")
@click.argument("thumbprint")
@REASON
@AS_JSON
@click.pass_obj
def remove_key(home: Path, name: str, thumbprint: str, *, reason: str, as_json: bool) -> None:
    """Take a key away; the tokens that it earned end at once."""
    carry_out(home, RemoveKey(client=name, thumbprint=thumbprint, reason=reason), as_json=as_json)


@client.group("certificate")
def client_certificate() -> None:
    """Replace a client's certificates without a gap: it may have two."""


@client_certificate.command("add", epilog="Example:  gateway client certificate add bank-a.etl new.crt")
@click.argument("name")
@click.argument("file", type=KEY_FILE)
@AS_JSON
@click.pass_obj
def add_certificate(home: Path, name: str, file: Path, *, as_json: bool) -> None:
    """Give a client a certificate, in PEM, by which it may say who it is."""
    carry_out(home, AddCertificate(client=name, certificate=_pem(file)), as_json=as_json)


@client_certificate.command(
    "remove", epilog="Example:  gateway client certificate remove bank-a.etl THUMBPRINT"
)
@click.argument("name")
@click.argument("thumbprint")
@REASON
@AS_JSON
@click.pass_obj
def remove_certificate(home: Path, name: str, thumbprint: str, *, reason: str, as_json: bool) -> None:
    """Take a certificate away; the tokens that it earned end at once."""
    act = RemoveCertificate(client=name, thumbprint=thumbprint, reason=reason)
    carry_out(home, act, as_json=as_json)


@click.group()
def operator() -> None:
    """People who activate clients."""


@operator.command("add", epilog="Example:  gateway operator add minh.bank-a --org bank-a --name Minh")
@click.argument("name")
@click.option("--org", "org_id", required=True)
@click.option("--name", "person", required=True, help="What the person is called.")
@AS_JSON
@click.pass_obj
def add_operator(home: Path, name: str, org_id: str, person: str, *, as_json: bool) -> None:
    """Register a person; prints a code, once, with which they set their own password and authenticator."""
    carry_out(home, AddOperator(id=name, org=org_id, name=person), as_json=as_json)


@operator.command("invite", epilog="Example:  gateway operator invite minh.bank-a")
@click.argument("name")
@AS_JSON
@click.pass_obj
def invite_operator(home: Path, name: str, *, as_json: bool) -> None:
    """Print another enrolment code for a person who has not enrolled; the one before ends."""
    carry_out(home, Invite(operator=name), as_json=as_json)


@click.group()
def activation() -> None:
    """End before its time what people approved."""


def _jwk(path: Path) -> dict[str, object]:
    """Return the key in a file."""
    try:
        with path.open(encoding="utf-8") as file:
            key = json.loads(file.read(KEY_BYTES_MAX))
    except ValueError as error:
        raise click.UsageError("a key file is not JSON") from error
    if not isinstance(key, dict):
        raise click.UsageError("a key file holds one JWK, a JSON object")
    return key


def _pem(path: Path) -> str:
    """Return the text in a file; what is in it, the gateway reads."""
    with path.open(encoding="ascii", errors="replace") as file:
        return file.read(CERTIFICATE_BYTES_MAX)


def _states(group: click.Group, kind: Kind, example: str, columns: tuple[str, ...]) -> None:
    """Give a group what all have in common: list, show, suspend, resume, end."""

    @group.command("list", epilog=f"Example:  gateway {kind} list")
    @AS_JSON
    @click.pass_obj
    def list_all(home: Path, *, as_json: bool) -> None:
        """List what is registered."""
        show(home, Look(kind=kind), columns, as_json=as_json)

    @group.command("show", epilog=f"Example:  gateway {kind} show {example}")
    @click.argument("name")
    @AS_JSON
    @click.pass_obj
    def show_it(home: Path, name: str, *, as_json: bool) -> None:
        """Show one, without its secrets."""
        show_one(home, Look(kind=kind, id=name), as_json=as_json)

    def change(word: str, state: State, says: str) -> None:
        @group.command(word, help=says, epilog=f"Example:  gateway {kind} {word} {example} --reason audit")
        @click.argument("name")
        @REASON
        @AS_JSON
        @click.pass_obj
        def changed(home: Path, name: str, *, reason: str, as_json: bool) -> None:
            carry_out(home, SetState(kind=kind, id=name, state=state, reason=reason), as_json=as_json)

    change("suspend", State.SUSPENDED, "Stop it for now, and every token that hangs on it.")
    change("resume", State.ACTIVE, "Let it count again.")
    change("end", State.ENDED, "Stop it for good.")


_states(org, Kind.ORG, "bank-a", ("id", "state", "frozen", "org_class", "country", "name"))
_states(
    agreement, Kind.AGREEMENT, "AGR-2026-014", ("id", "state", "frozen", "org", "valid_from", "valid_until")
)
_states(client, Kind.CLIENT, "bank-a.etl", ("id", "state", "frozen", "org", "agreement", "purposes"))
_states(operator, Kind.OPERATOR, "minh.bank-a", ("id", "state", "frozen", "org", "name"))
_states(activation, Kind.ACTIVATION, "act-AB12", ("id", "state", "client", "operator", "until", "saved"))
