"""Beside step 6: the reply is encrypted to the client, where it asks for that or the rules want it.

Whom to encrypt to is found twice: when the question is planned, so that nobody pays for an answer that
cannot leave, and when there is one, so that a key which was taken away or frozen meanwhile gets none. What
an idempotency key stands for is kept as it was before this, and a repeat is encrypted anew.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from gateway.delivery.encryption import encrypted
from gateway.delivery.formats import negotiate
from gateway.errors import EncryptionKeyRequired
from gateway.jose import JOSE_TYPE, Jwk, thumbprint
from gateway.registry.records import Freezable
from gateway.registry.registry import Registry
from gateway.terms.caller import Caller
from gateway.terms.permit import Permit
from gateway.terms.query import Query
from gateway.terms.reply import Reply

INLINE_BYTES_MAX: Final = 64 << 10
"""Of a body that is encrypted at once; a larger one in a thread."""


@dataclass(frozen=True, slots=True)
class Encrypt:
    """Reply in, reply out; raises EncryptionKeyRequired."""

    registry: Callable[[], Registry]

    async def __call__(self, query: Query, caller: Caller, permit: Permit, reply: Reply) -> Reply:
        """Return the reply that leaves; one that is encrypted still has its plaintext, to be committed to."""
        if not negotiate(query.accept, permit.delivery).encrypted:
            return reply
        recipient, body = self.recipient(caller), b""
        if len(reply.body) <= INLINE_BYTES_MAX:
            body = encrypted(reply.body, reply.content_type, recipient)
        while not body:
            body = await asyncio.to_thread(encrypted, reply.body, reply.content_type, recipient)
            if (newest := self.recipient(caller)) != recipient:  # while a large one was encrypted
                recipient, body = newest, b""
        return replace(
            reply,
            content_type=JOSE_TYPE,
            body=body,
            plain=reply.body,
            recipient=recipient,
            facts={**reply.facts, "encrypted_to": thumbprint(recipient)},
        )

    def recipient(self, caller: Caller) -> Jwk:
        """Return the newest encryption key of a client that is not frozen."""
        registry = self.registry()
        client = registry.clients.get(caller.client)
        for key in reversed(() if client is None else client.encryption_jwks):
            if not registry.is_frozen(Freezable.KEY, thumbprint(key)):
                return key
        raise EncryptionKeyRequired(
            "replies that are encrypted need a key of yours to encrypt to: make one with "
            "`gateway login --new-encryption-key FILE`, and have the operator register it"
        )
