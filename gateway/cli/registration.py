"""``gateway org|agreement|client|operator``: who may ask, along the chain that a purpose needs.

    organisation -> agreement -> client with its key; and operators, the people who activate clients

The commands take the home's lock, so they work while the gateway is stopped. Every change is an entry.
"""

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import click

from gateway import wiring
from gateway.registry.records import Agreement, Client, Operator, Organisation
from gateway.services.registration import (
    authenticator_uri,
    changes_of,
    new_agreement,
    new_client,
    new_operator,
    new_organisation,
)
from gateway.terms.identifiers import AgreementId, OrgId

DAY = click.DateTime(formats=["%Y-%m-%d"])
Made = TypeVar("Made", Organisation, Agreement, Client, Operator)
Found = TypeVar("Found")


@click.group()
def org() -> None:
    """Firms and agencies."""


@org.command("add", epilog='Example:  gateway org add bank-a --vi "Ngân hàng A" --en "Bank A" --class bank')
@click.argument("name")
@click.option("--vi", required=True, help="Vietnamese name.")
@click.option("--en", required=True, help="English name.")
@click.option("--class", "org_class", required=True, help="The class that sharing rules speak of.")
@click.option("--country", default="VN", show_default=True, help="Seat, ISO 3166-1 alpha-2.")
@click.pass_obj
def add_org(home: Path, name: str, *, vi: str, en: str, org_class: str, country: str) -> None:
    """Register an organisation."""
    _put(home, lambda _: new_organisation(name, vi=vi, en=en, org_class=org_class, country=country))


@click.group()
def agreement() -> None:
    """Contracts that name the purposes an organisation may use data for."""


@agreement.command(
    "add",
    epilog="Example:  gateway agreement add AGR-2026-014 --org bank-a --purpose credit-risk-statistics "
    "--from 2026-01-01 --until 2027-12-31",
)
@click.argument("name")
@click.option("--org", "org_id", required=True)
@click.option("--purpose", "purposes", required=True, multiple=True)
@click.option("--from", "valid_from", required=True, type=DAY)
@click.option("--until", "valid_until", required=True, type=DAY)
@click.pass_obj
def add_agreement(
    home: Path,
    name: str,
    *,
    org_id: str,
    purposes: tuple[str, ...],
    valid_from: datetime,
    valid_until: datetime,
) -> None:
    """Register an agreement."""
    _put(
        home,
        lambda gateway: new_agreement(
            name,
            org=_found(gateway.current.registry.organisations.get(OrgId(org_id)), org_id),
            purposes=purposes,
            valid_from=valid_from.date(),
            valid_until=valid_until.date(),
        ),
    )


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
    required=True,
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the client's public key as a JWK; twice while a key is being replaced.",
)
@click.pass_obj
def add_client(
    home: Path, name: str, agreement_id: str, purposes: tuple[str, ...], keys: tuple[Path, ...]
) -> None:
    """Register a client with its public key."""
    try:
        jwks = [json.loads(path.read_text(encoding="utf-8")) for path in keys]
    except ValueError as error:
        raise click.UsageError("a key file is not JSON") from error
    _put(
        home,
        lambda gateway: new_client(
            name,
            agreement=_found(
                gateway.current.registry.agreements.get(AgreementId(agreement_id)), agreement_id
            ),
            purposes=purposes,
            keys=jwks,
        ),
    )


@click.group()
def operator() -> None:
    """People who activate clients."""


@operator.command("add", epilog="Example:  gateway operator add minh.bank-a --org bank-a --name Minh")
@click.argument("name")
@click.option("--org", "org_id", required=True)
@click.option("--name", "person", required=True, help="What the person is called.")
@click.password_option(help="Asked for unless given; standard input works too.")
@click.pass_obj
def add_operator(home: Path, name: str, org_id: str, person: str, password: str) -> None:
    """Register a person; prints once what their authenticator app needs."""
    secret = os.urandom(20)

    def made(gateway: wiring.Gateway) -> Operator:
        return new_operator(
            name,
            _found(gateway.current.registry.organisations.get(OrgId(org_id)), org_id),
            person,
            password,
            salt=os.urandom(16),
            totp_secret=secret,
            sealer=gateway.keyring.sealer,
        )

    added = _put(home, made)
    click.echo(authenticator_uri(added, totp_secret=secret, issuer="data sharing gateway"))


def _put(home: Path, made: Callable[[wiring.Gateway], Made]) -> Made:
    """Make a record and put it into the home's registry."""

    async def put() -> Made:
        async with wiring.opened(home) as gateway:
            record = made(gateway)
            (change,) = changes_of(record)
            if gateway.current.registry.has(change):
                raise click.UsageError(f"there is a `{record.id}` already; records are never overwritten")
            await gateway.register((change,))
            return record

    record = wiring.run(put())
    click.echo(f"registered {type(record).__name__.lower()} {record.id}")
    return record


def _found(record: Found | None, name: str) -> Found:
    if record is None:
        raise click.UsageError(f"there is no `{name}` yet; add it first")
    return record
