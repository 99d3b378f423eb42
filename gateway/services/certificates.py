"""Certificates of clients: given and taken away as administrators want (RFC 8705 section 2)."""

from dataclasses import replace

from gateway.errors import ActRefused
from gateway.registry.records import CERTIFICATES_MAX
from gateway.registry.registry import Registry
from gateway.services.acts import AddCertificate, Done, RemoveCertificate
from gateway.services.desk import Desk, found
from gateway.services.registration import client_certificate
from gateway.terms.identifiers import ClientId


async def add_certificate(desk: Desk, act: AddCertificate, registry: Registry, by: str) -> Done:
    """Give a client another certificate, so that one can be replaced without a gap.

    Raises:
        ActRefused: It has this one, or two, already.
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
    after = replace(client, certificates=(*client.certificates, added))
    return await desk.recorded("add-certificate", after, by)


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
