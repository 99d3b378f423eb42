"""A client asks an OAuth endpoint: who it is, and the answer in OAuth's words.

    form -> client assertion (RFC 7523), or the connection's certificate (RFC 8705)
        -> DPoP proof with our nonce (RFC 9449) -> assertion and proof used up -> endpoint

Every OAuth endpoint that a client speaks to takes this one way, so there is no weaker one. Nothing is
written here but what is used up: replies are recorded before they leave, by the flow.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from gateway.clock import unix_ms
from gateway.errors import Malformed, MalformedRequest, NotAuthenticated, OAuthRefused, ProofRefused
from gateway.identity.assertion import client_named_by, verify_assertion
from gateway.identity.certificate import proved_certificate
from gateway.identity.nonce import nonce_at
from gateway.identity.proof import verify_proof
from gateway.registry.records import Client
from gateway.registry.registry import Registry
from gateway.services.forms import (
    Form,
    field_of,
    form_of,
    id_of,
    oauth_refusal,
    oauth_reply,
    private_of,
)
from gateway.services.ports import EnrolmentPorts
from gateway.terms.entry import Change, EntryKind, Fact
from gateway.terms.identifiers import ClientId, Thumbprint
from gateway.terms.query import Query
from gateway.terms.reply import Reply

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Event(StrEnum):
    """What happened, as entries tell it; closed and permanent."""

    TOKEN = "token"  # noqa: S105  the word for the entry, not a token
    DEVICE_AUTHORIZATION = "device-authorization"
    REVOCATION = "revocation"
    INTROSPECTION = "introspection"
    SIGN_IN_PAGE = "sign-in-page"
    SIGN_IN = "sign-in"
    DECISION = "decision"
    ACCOUNT = "account"
    ENROL = "enrol"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedClient:
    """A client that proved who it is, and its DPoP key, for this very request."""

    record: Client
    key: Thumbprint
    """The registered key that signed the assertion, or the registered certificate."""
    proof_key: Thumbprint
    """The DPoP key; tokens are bound to it."""
    certificate: Thumbprint | None = None
    """``key`` again where it is a certificate; tokens are bound to it too."""


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
    changes: tuple[Change, ...] = ()


async def answered(
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
        answer = await endpoint(asking, ports)
    except (OAuthRefused, Malformed, NotAuthenticated) as error:
        return oauth_refusal(error, facts=facts, private=private_of(query), nonce=nonce)
    return oauth_reply(
        answer.content,
        facts=facts | answer.facts,
        private=private_of(query, **answer.private),
        nonce=nonce,
        kind=EntryKind.CONFIG if answer.changes else EntryKind.SINGLE,
        changes=answer.changes,
    )


async def _proved_client(
    query: Query, form: Form, registry: Registry, ports: EnrolmentPorts, now: datetime
) -> ProvedClient:
    """Return the client that the assertion or the certificate, and the proof, show; each serves this once.

    Raises:
        MalformedRequest: A field is missing, or there are two ways of authentication.
        NotAuthenticated: Assertion, certificate or proof are not accepted.

    """
    if query.authorizations:
        raise MalformedRequest("the client authenticates by its assertion or its certificate only")
    if query.certificate and not {"client_assertion", "client_assertion_type"} & form.keys():
        return await _by_certificate(query, form, registry, ports, now)
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
    # SECURITY: used up only after both are authentic, so strangers cannot fill the stores; the
    # proof first, because it costs no sync.
    proof_key = _proved_key(query, ports, now)
    if not await ports.ledger.use_once(signed.single_use_id, signed.expires_at_ms):
        raise NotAuthenticated(cause="assertion-used")
    return ProvedClient(record=record, key=signed.key, proof_key=proof_key)


async def _by_certificate(
    query: Query, form: Form, registry: Registry, ports: EnrolmentPorts, now: datetime
) -> ProvedClient:
    """Return the client whose registered certificate the connection was made with."""
    shown = proved_certificate(query.certificate, now).thumbprint
    record = registry.clients.get(ClientId(id_of(form, "client_id")))
    if record is None:
        raise NotAuthenticated(cause="client-unknown")
    if shown not in {each.thumbprint for each in record.certificates}:
        raise NotAuthenticated(cause="certificate-not-the-clients")
    proof_key = _proved_key(query, ports, now)
    return ProvedClient(record=record, key=shown, proof_key=proof_key, certificate=shown)


def _proved_key(query: Query, ports: EnrolmentPorts, now: datetime) -> Thumbprint:
    """Return the key that the request's one proof is made with, and use the proof up."""
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
    if not ports.volatile.use_once(proof.single_use_id, proof.expires_at_ms, now_ms=unix_ms(now)):
        raise ProofRefused(cause="proof-used")
    return proof.key
