"""Replies that are encrypted to the client."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from builders import a_caller, a_permit, a_query
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwe
from joserfc.jwk import ECKey

from gateway import jose
from gateway.errors import EncryptionKeyRequired
from gateway.registry.codec import change_of
from gateway.registry.public_keys import frozen_encryption_keys
from gateway.registry.records import Client, Freezable, Freeze, State, freeze_id
from gateway.registry.registry import Registry
from gateway.steps.encrypt import INLINE_BYTES_MAX, Encrypt
from gateway.terms.format import Delivery
from gateway.terms.reply import Reply

REPLY = Reply(status=200, content_type="text/csv; charset=utf-8", body=b"age\r\n41\r\n", facts={"rows": 1})
JOSE = a_query(accept="application/jose")
PLAIN = a_query(accept="*/*")


def a_key() -> ECKey:
    return ECKey.generate_key("P-256")


def jwk_of(key: ECKey) -> jose.Jwk:
    public = key.public_key
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return jose.jwk_of(public)


def encrypting(*keys: ECKey, frozen: ECKey | None = None) -> Encrypt:
    """Return the step over a registry in which the caller's client has these keys, the oldest first."""
    caller = a_caller()
    client = Client(
        id=caller.client,
        org=caller.org,
        agreement=caller.agreement,
        purposes=(caller.purpose,),
        keys=(),
        encryption_keys=frozen_encryption_keys([jwk_of(key) for key in keys]),
        state=State.ACTIVE,
    )
    changes = [change_of(client)]
    if frozen is not None:
        name = jose.thumbprint(jwk_of(frozen))
        freeze = Freeze(
            id=freeze_id(Freezable.KEY, name),
            what=Freezable.KEY,
            target=name,
            frozen_at=datetime(2026, 6, 1, tzinfo=UTC),
            overseers=(),
            lifted_by=(),
            state=State.ACTIVE,
        )
        changes.append(change_of(freeze))
    registry = Registry.of(changes)
    return Encrypt(lambda: registry)


class Unbounded(jwe.JWERegistry):
    max_ciphertext_length = 10 * INLINE_BYTES_MAX


def opened(body: bytes, key: ECKey) -> tuple[dict[str, object], bytes]:
    strict = Unbounded(algorithms=["ECDH-ES+A256KW", "A256GCM"])
    found = jwe.decrypt_compact(body, key, registry=strict)
    assert found.plaintext is not None
    return dict(found.headers()), found.plaintext


async def test_a_reply_is_encrypted_to_the_newest_key_and_says_what_is_in_it() -> None:
    old, new = a_key(), a_key()

    reply = await encrypting(old, new)(JOSE, a_caller(), a_permit(), REPLY)

    header, body = opened(reply.body, new)
    assert body == reply.plain == REPLY.body
    name = jose.thumbprint(jwk_of(new))
    epk = header.pop("epk")
    assert isinstance(epk, dict)
    assert set(epk) == {"kty", "crv", "x", "y"}
    assert header == {
        "alg": "ECDH-ES+A256KW",
        "enc": "A256GCM",
        "kid": name,
        "cty": "text/csv; charset=utf-8",
    }
    expected = replace(
        REPLY,
        content_type="application/jose",
        body=reply.body,
        plain=REPLY.body,
        recipient=jwk_of(new),
        facts={"rows": 1, "encrypted_to": name},
    )
    assert reply == expected


async def test_p3_what_the_rules_want_encrypted_is_whatever_was_asked() -> None:
    """Promise P3."""
    key = a_key()
    permit = replace(a_permit(), delivery=Delivery(encrypted=True))

    assert opened((await encrypting(key)(PLAIN, a_caller(), permit, REPLY)).body, key)[1] == REPLY.body


async def test_what_nobody_wants_encrypted_is_as_it_was() -> None:
    assert await encrypting(a_key())(PLAIN, a_caller(), a_permit(), REPLY) is REPLY


async def test_the_same_reply_is_never_the_same_bytes_and_a_large_one_is_encrypted_too() -> None:
    key = a_key()
    large = replace(REPLY, body=b"x" * (INLINE_BYTES_MAX + 1))
    step = encrypting(key)

    one, again = [(await step(JOSE, a_caller(), a_permit(), large)).body for _ in range(2)]

    assert one != again
    assert {len(body) for body in (one, again)} == {len(one)}
    assert len(one) > len(large.body), "it is not compressed: lengths would tell of the content"


async def test_p7_a_key_that_goes_while_a_large_reply_is_encrypted_gets_none_of_it() -> None:
    """Promise P7: what is encrypted takes a while; the key that is there afterwards counts."""
    old, new = a_key(), a_key()
    registries = [encrypting(new).registry(), encrypting(old).registry()]
    step = Encrypt(lambda: registries.pop(0) if len(registries) > 1 else registries[0])
    large = replace(REPLY, body=b"x" * (INLINE_BYTES_MAX + 1))

    reply = await step(JOSE, a_caller(), a_permit(), large)

    assert opened(reply.body, old)[1] == large.body
    assert reply.facts["encrypted_to"] == jose.thumbprint(jwk_of(old))


async def test_p7_nothing_is_encrypted_to_a_key_that_is_frozen() -> None:
    """Promise P7: the older one serves; where there is none, nothing leaves."""
    old, new = a_key(), a_key()

    reply = await encrypting(old, new, frozen=new)(JOSE, a_caller(), a_permit(), REPLY)
    assert opened(reply.body, old)[1] == REPLY.body
    for step in (encrypting(new, frozen=new), encrypting()):
        with pytest.raises(EncryptionKeyRequired, match="have the operator register it"):
            await step(JOSE, a_caller(), a_permit(), REPLY)
