"""What a client may ask for, and its token.

    proved client (``asking.py``) -> standing in the registry -> grant (RFC 6749 section 4.4, RFC 8628)
        -> token (RFC 9068)

A purpose enters a token only along the registry's chain; assurance comes from what a person proved,
never from what is asked (P6).
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from gateway.errors import MalformedRequest, NotAuthenticated, OAuthRefused
from gateway.identity.factors import amr_of
from gateway.identity.token import (
    LIFETIME_S,
    TOKEN_TYPE,
    AccessClaims,
    SavedClaim,
    assurance_earned,
    claims_document,
    subject_of,
)
from gateway.identity.userphrase import key_phrase
from gateway.jose import base64url
from gateway.registry.records import Activation
from gateway.registry.registry import Standing, activation_for, saved_activation, standing
from gateway.services import devices
from gateway.services.asking import Answered, Asking, Event, ProvedClient, answered
from gateway.services.forms import field_of, id_of
from gateway.services.ports import EnrolmentPorts
from gateway.services.saved import offered, saved_of
from gateway.terms.entry import Fact
from gateway.terms.identifiers import PurposeId
from gateway.terms.query import Query
from gateway.terms.reply import Reply

CLIENT_CREDENTIALS: Final = "client_credentials"
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
GRANTS: Final = (CLIENT_CREDENTIALS, DEVICE_CODE)

TOKEN_ID_BYTES: Final = 16
DEVICE_CODE_BYTES: Final = 32
HOURS_MAX: Final = 8
"""The longest that one activation lasts (DESIGN.md section 6)."""


async def token(query: Query, ports: EnrolmentPorts) -> Reply:
    """Answer ``POST /oauth/token``."""
    return await answered(query, ports, Event.TOKEN, _token)


async def device_authorization(query: Query, ports: EnrolmentPorts) -> Reply:
    """Answer ``POST /oauth/device_authorization`` (RFC 8628 section 3.1)."""
    return await answered(query, ports, Event.DEVICE_AUTHORIZATION, _device_authorization)


def standing_of(asking: Asking, purpose: PurposeId) -> Standing:
    """Return the chain behind the client for a purpose.

    Raises:
        OAuthRefused: A link is missing or not in force; which one is not told.

    """
    client = asking.client
    try:
        return standing(asking.registry, client.record.id, purpose, client.key, asking.now)
    except NotAuthenticated as error:
        raise OAuthRefused("unauthorized_client", "this client may not act for this purpose") from error


async def _device_authorization(asking: Asking, ports: EnrolmentPorts) -> Answered:
    """Let the request wait for a person, and say where that person goes."""
    purpose = PurposeId(id_of(asking.form, "purpose"))
    hours, saved = _hours(asking.form.get("hours")), saved_of(asking.form)
    chain = standing_of(asking, purpose)
    facts: dict[str, Fact] = {"purpose": purpose, "hours": hours}
    if saved is not None:
        route = ports.routed(saved.method, saved.path)
        await asyncio.to_thread(
            offered, saved, route, chain=chain, purpose=purpose, rules=ports.rules(), now=asking.now
        )
        facts = {"purpose": purpose, "days": saved.days}
    device_code = base64url(ports.random_bytes(DEVICE_CODE_BYTES))
    grant = devices.DeviceGrant(
        id=devices.grant_id(device_code),
        user_code=devices.unused_user_code(ports.volatile, ports.random_bytes, now_ms=asking.now_ms),
        client=asking.client.record.id,
        purpose=purpose,
        hours=hours,
        client_key=asking.client.key,
        proof_key=asking.client.proof_key,
        expires_at_ms=asking.now_ms + devices.LIFE_S * 1000,
        saved=saved,
    )
    devices.keep(ports.volatile, grant, now_ms=asking.now_ms)
    # No verification_uri_complete: a link with the code in it is what a phisher would send.
    content = {
        "device_code": device_code,
        "user_code": grant.user_code,
        "verification_uri": f"{ports.origin}/activate",
        "expires_in": devices.LIFE_S,
        "interval": ports.poll_interval_s,
        "key_phrase": key_phrase(grant.client_key, grant.code_hash),
    }
    return Answered(content=content, facts=facts, private={} if saved is None else {"saved": saved.text})


async def _token(asking: Asking, ports: EnrolmentPorts) -> Answered:
    match field_of(asking.form, "grant_type"):
        case "client_credentials":
            return _client_credentials(asking, ports)
        case "urn:ietf:params:oauth:grant-type:device_code":
            return _device_code(asking, ports)
        case _:
            raise OAuthRefused("unsupported_grant_type", f"field `grant_type` is one of {', '.join(GRANTS)}")


def _client_credentials(asking: Asking, ports: EnrolmentPorts) -> Answered:
    """Give a token for the key alone, or for as long as a person stands behind it."""
    client, purpose = asking.client, PurposeId(id_of(asking.form, "purpose"))
    chain = standing_of(asking, purpose)
    if (name := asking.form.get("activation")) is None:
        activation = activation_for(asking.registry, client.record.id, purpose, client.key, asking.now)
    else:
        activation = saved_activation(
            asking.registry,
            name,
            client=client.record.id,
            purpose=purpose,
            key=client.key,
            now=asking.now,
        )
        if activation is None or _whole_second(activation.until) <= _whole_second(asking.now):
            raise OAuthRefused("invalid_grant", "the activation is unknown, over, or not this client's")
    return _issued(asking, ports, chain, purpose, activation)


def _device_code(asking: Asking, ports: EnrolmentPorts) -> Answered:
    """Give the token that a person approved, once, to the client and keys that asked for it."""
    id_ = devices.grant_id(field_of(asking.form, "device_code"))
    grant = devices.grant_of(ports.volatile, id_, now_ms=asking.now_ms)
    if grant is None or not _is_of(grant, asking.client):
        raise OAuthRefused("invalid_grant", "the device code is unknown, used, or not this client's")
    activation = _decided(grant, asking, ports)
    chain = standing_of(asking, grant.purpose)
    if not devices.redeem(ports.volatile, grant, now_ms=asking.now_ms):
        raise OAuthRefused("invalid_grant", "the device code is unknown, used, or not this client's")
    return _issued(asking, ports, chain, grant.purpose, activation)


def _is_of(grant: devices.DeviceGrant, client: ProvedClient) -> bool:
    asked = (grant.client, grant.client_key, grant.proof_key)
    return asked == (client.record.id, client.key, client.proof_key)


def _decided(grant: devices.DeviceGrant, asking: Asking, ports: EnrolmentPorts) -> Activation:
    """Return the activation that a person made of a grant.

    Raises:
        OAuthRefused: Nobody has decided, they refused, it is too late, or the client asks too often.

    """
    match devices.decision_of(ports.volatile, grant, now_ms=asking.now_ms):
        case devices.Refused():
            raise OAuthRefused("access_denied", "the person refused")
        case devices.Approved(id_) if id_ in asking.registry.activations:
            return _still_in_force(grant, asking, id_)
        case _:  # undecided, or decided in a reply that is not recorded yet and so does not count
            pass
    if asking.now_ms >= grant.expires_at_ms:
        raise OAuthRefused("expired_token", "nobody answered in time; ask again")
    interval_s = ports.poll_interval_s
    if devices.polled_too_soon(ports.volatile, grant, interval_s=interval_s, now_ms=asking.now_ms):
        raise OAuthRefused("slow_down", f"wait {devices.SLOW_DOWN_S} seconds longer between polls")
    raise OAuthRefused("authorization_pending", "nobody has decided yet")


def _still_in_force(grant: devices.DeviceGrant, asking: Asking, name: str) -> Activation:
    """Return the activation to issue for; it may have been ended between approval and poll."""
    registry, client, purpose, key, now = (
        asking.registry, grant.client, grant.purpose, grant.client_key, asking.now
    )  # fmt: skip
    if grant.saved is None:
        found = activation_for(registry, client, purpose, key, now)
    else:
        found = saved_activation(registry, name, client=client, purpose=purpose, key=key, now=now)
    if found is None:
        raise OAuthRefused("access_denied", "the activation is no longer in force")
    return found


def _issued(
    asking: Asking,
    ports: EnrolmentPorts,
    chain: Standing,
    purpose: PurposeId,
    activation: Activation | None,
) -> Answered:
    """Return a token: never longer than the activation behind it."""
    client, now = asking.client, _whole_second(asking.now)
    until = now + timedelta(seconds=LIFETIME_S)
    if activation is not None and (end := _whole_second(activation.until)) <= now:
        activation = None  # it ends within this very second: no token could live that shortly
    elif activation is not None:
        until = min(until, end)
    signed_in = None if activation is None else _whole_second(activation.authenticated_at)
    methods = amr_of(() if activation is None else activation.methods)
    saved = None
    if activation is not None and activation.saved is not None:
        saved = SavedClaim(activation=activation.id, request=activation.saved.digest)
    assurance = assurance_earned(methods, signed_in, now, saved)
    operator = None if activation is None else activation.operator
    claims = AccessClaims(
        issuer=ports.issuer,
        audience=ports.audience,
        client=client.record.id,
        subject=subject_of(client.record.id, operator),
        org=chain.organisation.id,
        purpose=purpose,
        agreement=chain.agreement.id,
        client_key=client.key,
        key=client.proof_key,
        token_id=base64url(ports.random_bytes(TOKEN_ID_BYTES)),
        issued_at=now,
        expires_at=until,
        assurance=assurance,
        methods=methods,
        authenticated_at=signed_in,
        operator=operator,
        saved=saved,
        certificate=client.certificate,
    )
    content: dict[str, object] = {
        "access_token": ports.tokens.sign(claims_document(claims), TOKEN_TYPE),
        "token_type": "DPoP",
        "expires_in": int((until - now).total_seconds()),
        "purpose": purpose,
        "acr": assurance.acr,
    }
    if activation is not None and saved is not None:
        content |= {"activation": activation.id, "activation_until": activation.until.isoformat()}
    return Answered(
        content=content,
        facts={"purpose": purpose, "acr": assurance.acr},
        private={"token": claims.token_id} | ({} if operator is None else {"operator": operator}),
    )


def _whole_second(moment: datetime) -> datetime:
    """Return the second a moment lies in: tokens count in whole seconds (RFC 7519 section 2)."""
    return moment.replace(microsecond=0)


def _hours(text: str | None) -> int:
    """Return the window asked for, in hours.

    Raises:
        MalformedRequest: Not a whole number from one to eight.

    """
    if text is None:
        return HOURS_MAX
    if len(text) != 1 or text not in "12345678":
        raise MalformedRequest(f"field `hours` is a whole number from 1 to {HOURS_MAX}")
    return int(text)
