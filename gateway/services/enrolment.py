"""The OAuth side: who a client is, what it may ask for, and its token.

    form -> client assertion (RFC 7523) -> DPoP proof with our nonce (RFC 9449) -> both used up
         -> standing in the registry -> grant (RFC 6749 section 4.4, RFC 8628) -> token (RFC 9068)

Both endpoints take this one way, so there is no weaker one. A purpose enters a token only along the
registry's chain; assurance comes from what a person proved, never from what is asked (P6). Nothing
is written here but what is used up: replies are recorded before they leave, by the flow.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gateway.clock import unix_ms
from gateway.errors import Malformed, MalformedRequest, NotAuthenticated, OAuthRefused, ProofRefused
from gateway.identity.assertion import client_named_by, verify_assertion
from gateway.identity.factors import amr_of, assurance_of
from gateway.identity.nonce import nonce_at
from gateway.identity.proof import verify_proof
from gateway.identity.token import LIFETIME_S, TOKEN_TYPE, AccessClaims, claims_document, subject_of
from gateway.identity.userphrase import key_phrase
from gateway.jose import base64url
from gateway.registry.records import Activation, Client
from gateway.registry.registry import Registry, Standing, activation_for, standing
from gateway.services import devices
from gateway.services.forms import Form, field_of, form_of, id_of, oauth_refusal, oauth_reply, private_of
from gateway.services.ports import EnrolmentPorts
from gateway.terms.entry import Fact
from gateway.terms.identifiers import PurposeId, Thumbprint
from gateway.terms.query import Query
from gateway.terms.reply import Reply

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_CREDENTIALS: Final = "client_credentials"
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
GRANTS: Final = (CLIENT_CREDENTIALS, DEVICE_CODE)

TOKEN_ID_BYTES: Final = 16
DEVICE_CODE_BYTES: Final = 32
HOURS_MAX: Final = 8
"""The longest that one activation lasts (DESIGN.md section 6)."""


class Event(StrEnum):
    """What happened, as entries tell it; closed and permanent."""

    TOKEN = "token"  # noqa: S105  the word for the entry, not a token
    DEVICE_AUTHORIZATION = "device-authorization"
    SIGN_IN_PAGE = "sign-in-page"
    SIGN_IN = "sign-in"
    DECISION = "decision"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedClient:
    """A client that proved both of its keys for this very request."""

    record: Client
    key: Thumbprint
    """The registered key that signed the assertion."""
    proof_key: Thumbprint
    """The DPoP key; tokens are bound to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One authenticated request at an OAuth endpoint."""

    form: Form
    client: ProvedClient
    registry: Registry
    now: datetime

    @property
    def now_ms(self) -> int:
        return unix_ms(self.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The JSON of an answer, what its entry says in clear, and what it only commits to."""

    content: Mapping[str, object] = field(repr=False)
    facts: dict[str, Fact]
    private: dict[str, str] = field(default_factory=dict, repr=False)


async def token(query: Query, ports: EnrolmentPorts) -> Reply:
    """Answer ``POST /oauth/token``."""
    return await _answer(query, ports, Event.TOKEN, _token)


async def device_authorization(query: Query, ports: EnrolmentPorts) -> Reply:
    """Answer ``POST /oauth/device_authorization`` (RFC 8628 section 3.1)."""
    return await _answer(query, ports, Event.DEVICE_AUTHORIZATION, _device_authorization)


async def _answer(
    query: Query,
    ports: EnrolmentPorts,
    event: Event,
    endpoint: Callable[[Asking, EnrolmentPorts], Awaitable[Answered]],
) -> Reply:
    """Authenticate, let the endpoint answer, and put either outcome into OAuth's words."""
    now = ports.clock.now()
    nonce = nonce_at(ports.nonce_secret, now)
    facts: dict[str, Fact] = {"event": event.value}
    try:
        registry, form = ports.registry(), form_of(query)
        client = await _proved_client(query, form, registry, ports, now)
        facts |= {"client": client.record.id, "org": client.record.org}
        asking = Asking(form=form, client=client, registry=registry, now=now)
        answered = await endpoint(asking, ports)
    except (OAuthRefused, Malformed, NotAuthenticated) as error:
        return oauth_refusal(error, facts=facts, private=private_of(query), nonce=nonce)
    return oauth_reply(
        answered.content,
        facts=facts | answered.facts,
        private=private_of(query, **answered.private),
        nonce=nonce,
    )


async def _proved_client(
    query: Query, form: Form, registry: Registry, ports: EnrolmentPorts, now: datetime
) -> ProvedClient:
    """Return the client that the assertion and the proof show; both serve this once.

    Raises:
        MalformedRequest: A field is missing, or there are two ways of authentication.
        NotAuthenticated: The assertion or the proof is not accepted.

    """
    if query.authorizations:
        raise MalformedRequest("the client authenticates by its assertion only")
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise OAuthRefused("invalid_client", f"field `client_assertion_type` is `{ASSERTION_TYPE}`")
    assertion = field_of(form, "client_assertion")
    named = client_named_by(assertion)
    record = registry.clients.get(named)
    if record is None or form.get("client_id", named) != named:
        raise NotAuthenticated(cause="client-unknown")
    signed = verify_assertion(
        assertion, client=record.id, keys=record.public_keys, issuer=ports.issuer, now=now
    )
    if len(query.proofs) != 1:
        raise ProofRefused(cause="not-one-proof")
    proof = verify_proof(
        query.proofs[0],
        method=query.method,
        url=ports.origin + query.path,
        now=now,
        nonce_secret=ports.nonce_secret,
        access_token=None,
        query_digest=None,
    )
    # SECURITY: used up only after both are authentic, so strangers cannot fill the stores; the
    # proof first, because it costs no sync.
    if not ports.volatile.use_once(proof.single_use_id, proof.expires_at_ms, now_ms=unix_ms(now)):
        raise ProofRefused(cause="proof-used")
    if not await ports.ledger.use_once(signed.single_use_id, signed.expires_at_ms):
        raise NotAuthenticated(cause="assertion-used")
    return ProvedClient(record=record, key=signed.key, proof_key=proof.key)


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
    hours = _hours(asking.form.get("hours"))
    standing_of(asking, purpose)
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
    return Answered(content=content, facts={"purpose": purpose, "hours": hours})


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
    activation = activation_for(asking.registry, client.record.id, purpose, client.key, asking.now)
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
            return _still_in_force(grant, asking)
        case _:  # undecided, or decided in a reply that is not recorded yet and so does not count
            pass
    if asking.now_ms >= grant.expires_at_ms:
        raise OAuthRefused("expired_token", "nobody answered in time; ask again")
    interval_s = ports.poll_interval_s
    if devices.polled_too_soon(ports.volatile, grant, interval_s=interval_s, now_ms=asking.now_ms):
        raise OAuthRefused("slow_down", f"wait {devices.SLOW_DOWN_S} seconds longer between polls")
    raise OAuthRefused("authorization_pending", "nobody has decided yet")


def _still_in_force(grant: devices.DeviceGrant, asking: Asking) -> Activation:
    """Return the activation to issue for; it may have been ended between approval and poll."""
    found = activation_for(asking.registry, grant.client, grant.purpose, grant.client_key, asking.now)
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
    age_s = None if signed_in is None else (now - signed_in).total_seconds()
    methods = amr_of(() if activation is None else activation.methods)
    assurance = assurance_of(methods, age_s=age_s)
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
    )
    content = {
        "access_token": ports.tokens.sign(claims_document(claims), TOKEN_TYPE),
        "token_type": "DPoP",
        "expires_in": int((until - now).total_seconds()),
        "purpose": purpose,
        "acr": assurance.acr,
    }
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
