"""Certificates of clients: given and taken away as administrators want (RFC 8705 section 2)."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from gateway.errors import ActRefused
from gateway.registry.records import CERTIFICATES_MAX, Client, ClientCertificate, State
from gateway.registry.registry import Registry
from gateway.services.acts import AddCertificate, Done, RemoveCertificate
from gateway.services.desk import Desk, found
from gateway.services.registration import client_certificate
from gateway.terms.identifiers import ClientId, Thumbprint


async def add_certificate(desk: Desk, act: AddCertificate, registry: Registry, by: str) -> Done:
    """Give a client another certificate, so that one can be replaced without a gap.

    Raises:
        ActRefused: It has this one, or two, already; another client has it; approvals wait for it.
        MalformedRequest: The text is not one certificate that still holds.

    """
    client = found(registry.clients.get(ClientId(act.client)), act.client)
    added = client_certificate(act.certificate, now=desk.clock.now())
    if added in client.certificates:
        raise ActRefused("the client has this certificate already")
    if len(client.certificates) >= CERTIFICATES_MAX:
        raise ActRefused(
            f"a client has at most {CERTIFICATES_MAX} certificates; first remove the one that is replaced"
        )
    require_nobody_elses((added,), registry)
    require_nothing_revived(client, added.thumbprint, registry, desk.clock.now())
    after = replace(client, certificates=(*client.certificates, added))
    return await desk.recorded("add-certificate", after, by)


def require_nobody_elses(certificates: Iterable[ClientCertificate], registry: Registry) -> None:
    """Make sure that no two clients have one certificate: who holds its key could be either.

    Raises:
        ActRefused: Another client has it, and is not ended.

    """
    names = {each.thumbprint for each in certificates}
    for client in registry.clients.values():
        if client.state is not State.ENDED and names & {each.thumbprint for each in client.certificates}:
            raise ActRefused(f"`{client.id}` has this certificate; each client has its own")


def require_nothing_revived(client: Client, name: Thumbprint, registry: Registry, now: datetime) -> None:
    """Make sure that a key or certificate which comes back brings no approvals back with it.

    Raises:
        ActRefused: There are some.

    """
    left = [
        each.id
        for each in registry.activations.values()
        if each.client == client.id
        and each.key == name
        and each.state is State.ACTIVE
        and now < each.until
        and registry.has_passkey(each.passkey)
    ]
    if left:
        raise ActRefused(
            f"{len(left)} approvals given for it would count again, `{min(left)}` among them; end them first "
            "with `gateway activation end`"
        )


async def remove_certificate(desk: Desk, act: RemoveCertificate, registry: Registry, by: str) -> Done:
    """Take a client's certificate away; the tokens that it earned end at once.

    Raises:
        ActRefused: The client has none of that thumbprint.

    """
    client = found(registry.clients.get(ClientId(act.client)), act.client)
    kept = tuple(each for each in client.certificates if each.thumbprint != act.thumbprint)
    if kept == client.certificates:
        raise ActRefused("the client has no certificate of that thumbprint; `gateway client show` lists them")
    after = replace(client, certificates=kept)
    return await desk.recorded("remove-certificate", after, by, reason=act.reason)
