"""Bytes to a ``Query``, a ``Released`` reply to bytes; every path but the open list goes through ``flow``.

There is one handler and no router of aiohttp's: an unknown path, a wrong method, a body too large
are replies of the flow like any other and stand in the log like any other (promise P1).
"""

import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from gateway import flow, telemetry
from gateway.clock import Clock, unix_ms
from gateway.delivery.encryption import encrypted
from gateway.errors import (
    BodyTooLarge,
    GatewayError,
    MalformedRequest,
    MethodNotAllowed,
    PathUnknown,
    UnsupportedContent,
)
from gateway.identity.nonce import nonce_at
from gateway.jose import base64url
from gateway.ledger.volatile import Volatile
from gateway.terms.identifiers import RequestId
from gateway.terms.query import Query
from gateway.terms.reply import Released, Reply, Unrecorded
from gateway.terms.seen import Seen
from gateway.web.open import Open
from gateway.web.routes import PLAN_OF, Match, Service, match
from gateway.web.transport import Refused, body_of, certificate_of

ServiceCall = Callable[[Query, Seen], Awaitable[Reply]]

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
FLOOD_WINDOW_S = 10
CLOSED_PEERS_MAX = 10_000
ALWAYS = {
    "Server": "gateway",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
OVER_TLS = {"Strict-Transport-Security": "max-age=31536000"}
"""For a year, browsers come by TLS only (RFC 6797)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Everything the one handler needs. ``closed`` is owned by the handler: peers and until when."""

    steps: flow.Steps
    services: Mapping[Service, ServiceCall]
    open_endpoints: Open
    volatile: Volatile
    nonce_secret: bytes = field(repr=False)
    clock: Clock
    refusals_max: int
    """Requests of one address in ten seconds that proved no caller, before it is closed unanswered."""
    trusted_fronts: int
    headers: Mapping[str, str]
    """What every reply has."""
    closed: dict[str, float] = field(default_factory=dict, repr=False)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever it is."""
        started = time.monotonic()
        path, _, query_string = _ascii(request.raw_path).partition("?")
        open_endpoint = self.open_endpoints.at(path)
        if open_endpoint is not None and request.method in {"GET", "HEAD"}:
            answer = await open_endpoint()
            headers = {**self.headers, "Content-Type": answer.content_type, "Cache-Control": answer.caching}
            return web.Response(status=answer.status, body=answer.body, headers=headers)

        peer = peer_of(request, self.trusted_fronts)
        if self.turns_away(peer):
            raise Refused("flood")
        found = match(request.method, path)
        if open_endpoint is not None:
            found = Match(None, allowed=("GET", "HEAD"))
        outcome = await self._outcome(request, path, query_string, found, peer)
        status = outcome.reply.status
        name = "none" if found.route is None else found.route.name
        telemetry.request_answered(name, status, time.monotonic() - started)
        if outcome.stranger:
            self._count_stranger(peer, started)
        return self._response(outcome, request)

    async def _outcome(
        self, request: web.BaseRequest, path: str, query_string: str, found: Match, peer: str
    ) -> Released | Unrecorded:
        """Return the flow's reply."""
        body_max = 0 if found.route is None else found.route.body_bytes_max
        body = await body_of(request, body_max)
        query = _query(request, path, query_string, found=found, body=body or b"", peer=peer)
        error: GatewayError | None = None
        if found.route is None:
            error = PathUnknown("there is nothing here; see `/openapi.json`")
            if found.allowed:
                error = MethodNotAllowed("this path takes other methods", allowed=found.allowed)
        elif body is None:
            error = BodyTooLarge(f"at most {body_max} bytes are taken here")
        elif found.route.dry_run and query_string and query_string not in PLAN_OF:
            error = MalformedRequest(f"behind its `?` this path takes {' or '.join(PLAN_OF)}, or nothing")
        elif "Content-Encoding" in request.headers:
            error = UnsupportedContent("send the body without `Content-Encoding`")
        if error is not None:
            return await flow.attend(query, _refusing(error), self.steps)
        assert found.route is not None, "without a route there is an error"  # noqa: S101
        if found.route.service is not None:
            return await flow.attend(query, self.services[found.route.service], self.steps)
        return await flow.serve(query, self.steps)

    def _response(self, outcome: Released | Unrecorded, request: web.BaseRequest) -> web.Response:
        """Return the bytes to send; (8) of the flow."""
        reply = outcome.reply
        headers = {**self.headers, "Content-Type": reply.content_type, **dict(reply.headers)}
        headers["DPoP-Nonce"] = nonce_at(self.nonce_secret, self.clock.now())
        if isinstance(outcome, Released):
            headers["Gateway-Receipt"], headers["Gateway-Entry"] = _receipt_headers(outcome)
        else:
            telemetry.reply_unrecorded()
        if traceparent := _traceparent(request):
            headers["traceparent"] = traceparent
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    def turns_away(self, peer: str) -> bool:
        """Return whether too many strangers asked from an address lately; its connections are closed."""
        until = self.closed.get(peer)
        if until is None:
            return False
        if time.monotonic() < until:
            return True
        del self.closed[peer]
        return False

    def _count_stranger(self, peer: str, now: float) -> None:
        now_ms = unix_ms(self.clock.now())
        if self.volatile.count(f"stranger|{peer}", FLOOD_WINDOW_S, now_ms=now_ms) > self.refusals_max:
            if len(self.closed) >= CLOSED_PEERS_MAX:
                self.closed.clear()
            self.closed[peer] = now + FLOOD_WINDOW_S


def peer_of(request: web.BaseRequest, trusted_fronts: int) -> str:
    """Return the caller's address: the other end's, or what the fronts that are ours say of it.

    SECURITY: each front appends the address it saw, so what strangers wrote stands further left.
    """
    remote = request.remote or ""
    if not trusted_fronts:
        return remote
    listed = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
    told = listed[-trusted_fronts].strip() if len(listed) >= trusted_fronts else ""
    return told[:64] or remote


def _query(
    request: web.BaseRequest, path: str, query_string: str, *, found: Match, body: bytes, peer: str
) -> Query:
    """Translate; nothing is checked here."""
    route, headers = found.route, request.headers
    action = None if route is None else route.action
    if route is not None and route.dry_run:
        action = PLAN_OF.get(query_string, action)
    return Query(
        request_id=RequestId(str(uuid.uuid4())),
        method=request.method,
        path=path,
        query_string=query_string,
        action=action,
        dataset=found.dataset,
        upstream_path=found.upstream_path,
        dry_run=route is not None and route.dry_run,
        authorizations=tuple(headers.getall("Authorization", ())),
        proofs=tuple(headers.getall("DPoP", ())),
        certificate=certificate_of(request.transport),
        idempotency_keys=tuple(headers.getall("Idempotency-Key", ())),
        accept=", ".join(headers.getall("Accept", ("*/*",))),
        content_type=headers.get("Content-Type", ""),
        body=body,
        peer=peer,
        traceparent=_traceparent(request),
    )


def _refusing(error: GatewayError) -> ServiceCall:
    async def refuse(_query: Query, _seen: Seen) -> Reply:
        raise error

    return refuse


def _receipt_headers(outcome: Released) -> tuple[str, str]:
    """Return proof and entry as they are sent: to the recipient alone, where the body is.

    SECURITY: the entry counts rows, and commits to the plaintext under the salt that the proof shows: in
    clear they would let who carries the reply guess, and check, what is in it.
    """
    proof, entry = outcome.receipt.proof, outcome.receipt.entry
    if outcome.reply.recipient is None:
        return base64url(proof), base64url(entry)
    recipient = dict(outcome.reply.recipient)
    return (
        encrypted(proof, "text/plain", recipient).decode(),
        encrypted(entry, "application/json", recipient).decode(),
    )


def _traceparent(request: web.BaseRequest) -> str:
    value = request.headers.get("traceparent", "")
    return value if TRACEPARENT.fullmatch(value) else ""


def _ascii(text: str) -> str:
    """Return the request target as ASCII, so that no client can choose what bytes later steps see."""
    return text.encode("ascii", "backslashreplace").decode("ascii")
