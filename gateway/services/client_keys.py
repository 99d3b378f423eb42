"""Public keys of clients: given and taken away as administrators want.

Two of those that sign, two of those that are encrypted to (``"use": "enc"``): so that each can be replaced
without a gap.
"""

from dataclasses import replace

from gateway import jose
from gateway.errors import ActRefused
from gateway.registry.public_keys import FrozenJwk
from gateway.registry.records import KEYS_MAX
from gateway.registry.registry import Registry
from gateway.services.acts import AddKey, Done, RemoveKey
from gateway.services.certificates import require_nothing_revived
from gateway.services.desk import Desk, found
from gateway.services.registration import client_keys
from gateway.terms.identifiers import ClientId


async def add_key(desk: Desk, act: AddKey, registry: Registry, by: str) -> Done:
    """Give a client another key.

    Raises:
        ActRefused: It has this one, or two of its use, already; approvals wait for it.
        MalformedRequest: It is no public key that is used here.

    """
    client = found(registry.clients.get(ClientId(act.client)), act.client)
    added = client_keys((act.key,))
    if {*added.signing, *added.encryption} & {*client.keys, *client.encryption_keys}:
        raise ActRefused("the client has this key already")
    after = replace(
        client,
        keys=_with("keys", client.keys, added.signing),
        encryption_keys=_with("encryption keys", client.encryption_keys, added.encryption),
    )
    for key in added.signing:
        require_nothing_revived(client, jose.thumbprint(dict(key)), registry, desk.clock.now())
    return await desk.recorded("add-key", after, by)


async def remove_key(desk: Desk, act: RemoveKey, registry: Registry, by: str) -> Done:
    """Take a client's key away: tokens that it earned end, and no reply is encrypted to it any more.

    Raises:
        ActRefused: The client has none of that thumbprint.

    """
    client = found(registry.clients.get(ClientId(act.client)), act.client)
    after = replace(
        client,
        keys=_without(client.keys, act.thumbprint),
        encryption_keys=_without(client.encryption_keys, act.thumbprint),
    )
    if after == client:
        raise ActRefused("the client has no key of that thumbprint; `gateway client show` lists them")
    return await desk.recorded("remove-key", after, by, reason=act.reason)


def _with(what: str, keys: tuple[FrozenJwk, ...], added: tuple[FrozenJwk, ...]) -> tuple[FrozenJwk, ...]:
    if len(keys) + len(added) > KEYS_MAX:
        raise ActRefused(f"a client has at most {KEYS_MAX} {what}; first remove the one that is replaced")
    return (*keys, *added)


def _without(keys: tuple[FrozenJwk, ...], name: str) -> tuple[FrozenJwk, ...]:
    return tuple(key for key in keys if jose.thumbprint(dict(key)) != name)
