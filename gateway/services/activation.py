"""A person activates a client: sign in, see what is asked, compare the key phrase, decide.

    GET /activate    an empty form, whatever the link said
    POST sign-in     two kinds of factor, own organisation only -> what is asked, one ticket
    POST decide      the ticket, once -> an activation of at most eight hours, or of one saved request for
                     at most thirty days, or a refusal

There are no cookies, so nothing ambient that another page could ride on (no CSRF): each post carries
what it needs. ``sign_in.py`` says how a person signs in.
"""

import asyncio
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.clock import unix_ms
from gateway.errors import Malformed, NotAuthenticated, OAuthRefused
from gateway.identity.userphrase import key_phrase
from gateway.jose import base64url
from gateway.registry.codec import change_of
from gateway.registry.records import Activation, Operator, State
from gateway.registry.registry import Registry, Standing, standing
from gateway.registry.saved_request import SavedRequest
from gateway.services import devices
from gateway.services.asking import Event
from gateway.services.forms import Form, form_of
from gateway.services.offers import opened_by, words_of
from gateway.services.page import Outcome, failed, not_signed_in, over, reply_of, sign_in_page
from gateway.services.ports import EnrolmentPorts
from gateway.services.saved import SEALED, Bounds, SavedOffer, offered
from gateway.services.screens import Consent, Done, Notice, PageName
from gateway.services.sign_in import Attempt, Failed, signed_in
from gateway.terms.entry import Fact
from gateway.terms.identifiers import OperatorId
from gateway.terms.query import Query
from gateway.terms.reply import Reply

TICKET_LIFE_S: Final = 300
TICKET_BYTES: Final = 32
ACTIVATION_ID_BYTES: Final = 16

_TICKET: Final = "activation-ticket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciding:
    """An operator who proved both factors, before one waiting request of the own organisation."""

    operator: Operator
    methods: tuple[str, ...]
    passkey: str
    """The record of the passkey among them; empty: none."""
    grant: devices.DeviceGrant
    chain: Standing
    at: datetime
    bounds: Bounds | None
    """Of the runs of a saved request, as the person is shown; None where none is asked for."""

    @property
    def until(self) -> datetime:
        """When an activation ends; it counts from the moment the factors were proved."""
        saved = self.grant.saved
        return self.at + (timedelta(hours=self.grant.hours) if saved is None else timedelta(days=saved.days))

    @property
    def facts(self) -> dict[str, Fact]:
        """What an entry says of it in clear."""
        saved = {} if self.grant.saved is None else {"days": self.grant.saved.days}
        named = {"org": self.operator.org, "client": self.grant.client, "purpose": self.grant.purpose}
        return {**named, **saved}

    @property
    def saved_text(self) -> str:
        """The saved request that the person sees, for the entry to commit to."""
        return "" if self.grant.saved is None else self.grant.saved.text


async def activate(query: Query, ports: EnrolmentPorts) -> Reply:
    """Answer ``GET`` and ``POST /activate``; the query string is never read, so no link fills in a code."""
    if query.method != "POST":
        outcome = sign_in_page(PageName.ACTIVATE, Event.SIGN_IN_PAGE, ports, ports.clock.now())
    else:
        outcome = await _posted(query, ports)
    return reply_of(query, outcome, ports)


async def _posted(query: Query, ports: EnrolmentPorts) -> Outcome:
    try:
        form = form_of(query)
    except Malformed:
        now = ports.clock.now()
        return not_signed_in(PageName.ACTIVATE, Notice.FORM_UNREADABLE, ports, now, status=400)
    if form.get("step") == "decide":
        return _decide(form, ports)
    return await _sign_in(form, query.peer, ports)


async def _sign_in(form: Form, peer: str, ports: EnrolmentPorts) -> Outcome:
    """Show what is asked to an operator who may decide on it."""
    now, registry = ports.clock.now(), ports.registry()
    grant = devices.waiting_grant(ports.volatile, form.get("user_code", ""), now_ms=unix_ms(now))
    attempt = Attempt(
        form=form,
        page=PageName.ACTIVATE,
        about=form.get("user_code", ""),
        peer=peer,
        registry=registry,
        now=now,
        may=lambda operator: _chain(registry, grant, operator, now) is not None,
    )
    person = await signed_in(attempt, ports)
    if isinstance(person, Failed):
        return failed(PageName.ACTIVATE, person, ports, now)
    chain = _chain(registry, grant, person.operator, now)
    assert grant is not None, "`may` held"  # noqa: S101
    assert chain is not None, "`may` held"  # noqa: S101
    try:
        offer = await _offer(grant, chain, ports, now)
    except OAuthRefused:  # the rules changed since the machine asked
        ended = over(Notice.NO_LONGER_WAITING, Event.SIGN_IN, operator=person.operator)
        return replace(ended, changes=person.changes)
    deciding = Deciding(
        operator=person.operator,
        methods=person.methods,
        passkey=person.passkey,
        grant=grant,
        chain=chain,
        at=person.at,
        bounds=None if offer is None else offer.bounds,
    )
    return Outcome(
        screen=_consent(deciding, offer, ports),
        facts={"event": Event.SIGN_IN.value, **deciding.facts},
        operator=person.operator.id,
        changes=person.changes,
        saved=deciding.saved_text,
    )


async def _offer(
    grant: devices.DeviceGrant, chain: Standing, ports: EnrolmentPorts, now: datetime
) -> SavedOffer | None:
    """Return what is to be approved of a saved request, by the rules of this moment."""
    saved = grant.saved
    if saved is None:
        return None
    route = ports.routed(saved.method, saved.path)
    return await asyncio.to_thread(
        offered, saved, route, chain=chain, purpose=grant.purpose, rules=ports.rules(), now=now
    )


def _chain(
    registry: Registry, grant: devices.DeviceGrant | None, operator: Operator, now: datetime
) -> Standing | None:
    """Return the chain behind the request, if this operator may decide on it."""
    if grant is None or not registry.may_act(operator.id):
        return None
    try:
        chain = standing(registry, grant.client, grant.purpose, grant.client_key, now)
    except NotAuthenticated:
        return None
    return chain if chain.organisation.id == operator.org else None


def _consent(deciding: Deciding, offer: SavedOffer | None, ports: EnrolmentPorts) -> Consent:
    """Return the question, with a ticket that answers it once."""
    grant, chain = deciding.grant, deciding.chain
    ticket = base64url(ports.random_bytes(TICKET_BYTES))
    document = {
        "grant": grant.id,
        "operator": deciding.operator.id,
        "methods": deciding.methods,
        "passkey": deciding.passkey,
        "at": deciding.at.isoformat(),
        "bounds": None if deciding.bounds is None else asdict(deciding.bounds),
    }
    now_ms = unix_ms(deciding.at)
    until_ms = now_ms + TICKET_LIFE_S * 1000
    ports.volatile.put(_TICKET, _hash(ticket), json.dumps(document).encode("ascii"), until_ms, now_ms=now_ms)
    rules = ports.rules()
    datasets = opened_by(rules, chain, grant.purpose, deciding.at)
    if offer is not None:
        datasets = (offer.shown.dataset,)
    return Consent(
        client=grant.client,
        organisation=chain.organisation.name,
        purpose=grant.purpose,
        purpose_words=words_of(rules, grant.purpose, datasets),
        agreement=chain.agreement.id,
        datasets=datasets,
        hours=grant.hours,
        until=deciding.until,
        key_phrase=key_phrase(grant.client_key, grant.code_hash),
        ticket=ticket,
        saved=None if offer is None else offer.shown,
    )


def _decide(form: Form, ports: EnrolmentPorts) -> Outcome:
    """Turn a ticket and a decision into an activation, or into a refusal for the client."""
    approve = form.get("decision") == "approve"
    if not approve and form.get("decision") != "refuse":
        return over(Notice.FORM_UNREADABLE, Event.DECISION, status=400)
    now = ports.clock.now()
    deciding = _redeemed(form.get("ticket", ""), ports, now)
    if deciding is None:
        return over(Notice.NO_LONGER_WAITING, Event.DECISION)
    activation = _activation(deciding, ports)
    decision = devices.Approved(activation.id) if approve else devices.Refused()
    # A crash between here and the entry leaves an approval of an activation that is not in the registry:
    # it does not count, and the client asks again.
    if not devices.decide(ports.volatile, deciding.grant, decision, now_ms=unix_ms(now)):
        return over(Notice.NO_LONGER_WAITING, Event.DECISION, operator=deciding.operator)
    facts = {"event": Event.DECISION.value, **deciding.facts}
    if not approve:
        return Outcome(
            screen=Done(notice=Notice.REFUSED),
            facts={**facts, "outcome": "refused"},
            operator=deciding.operator.id,
        )
    return Outcome(
        screen=Done(notice=Notice.APPROVED),
        facts={**facts, "outcome": "approved", "activation": activation.id},
        operator=deciding.operator.id,
        changes=(change_of(activation),),
        saved=deciding.saved_text,
    )


def _redeemed(ticket: str, ports: EnrolmentPorts, now: datetime) -> Deciding | None:
    """Return who holds a ticket, if everything still stands as when it was given; it serves once."""
    document = ports.volatile.take(_TICKET, _hash(ticket), now_ms=unix_ms(now))
    if document is None:
        return None
    noted = json.loads(document)
    registry = ports.registry()
    operator = registry.operators.get(OperatorId(noted["operator"]))
    grant = devices.grant_of(ports.volatile, noted["grant"], now_ms=unix_ms(now))
    if operator is None or grant is None or unix_ms(now) >= grant.expires_at_ms:
        return None
    if not registry.has_passkey(noted["passkey"]):
        return None
    chain = _chain(registry, grant, operator, now)
    if chain is None:
        return None
    at = datetime.fromisoformat(noted["at"]).astimezone(UTC)
    return Deciding(
        operator=operator,
        methods=tuple(noted["methods"]),
        passkey=noted["passkey"],
        grant=grant,
        chain=chain,
        at=at,
        bounds=None if noted["bounds"] is None else Bounds(**noted["bounds"]),
    )


def _activation(deciding: Deciding, ports: EnrolmentPorts) -> Activation:
    asked, bounds = deciding.grant.saved, deciding.bounds
    saved = None
    if asked is not None and bounds is not None:
        saved = SavedRequest(
            digest=asked.digest,
            method=asked.method,
            path=asked.path,
            sealed=ports.sealer.seal(SEALED, asked.text.encode("utf-8")),
            effect=bounds.effect,
            pico_rho_max=bounds.pico_rho_max,
            vnd_max=bounds.vnd_max,
        )
    return Activation(
        id=f"act-{base64url(ports.random_bytes(ACTIVATION_ID_BYTES))}",
        client=deciding.grant.client,
        operator=deciding.operator.id,
        purpose=deciding.grant.purpose,
        key=deciding.grant.client_key,
        methods=deciding.methods,
        passkey=deciding.passkey,
        authenticated_at=deciding.at,
        until=deciding.until,
        state=State.ACTIVE,
        saved=saved,
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
