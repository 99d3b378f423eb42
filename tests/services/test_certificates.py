"""Who a client is by the connection's certificate: registered, in its dates, and proved with a DPoP key."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from authority import DAY, Authority, Issued, of_version, pem_of
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.client.keys import ClientKey
from gateway.errors import ActRefused, MalformedRequest
from gateway.registry.codec import change_of, record_of
from gateway.registry.records import (
    Activation,
    Client,
    ClientCertificate,
    Freezable,
    Freeze,
    State,
    freeze_id,
)
from gateway.services.certificates import require_nobody_elses, require_nothing_revived
from gateway.services.registration import client_certificate, new_agreement, new_client, new_organisation
from gateway.terms.identifiers import OperatorId
from gateway.terms.reply import Reply

Town = Any
"""What conftest.py builds; test modules cannot import its type."""

NOON = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)
SINCE = NOON - datetime.now(UTC)
AUTHORITY = Authority()
OURS, SECOND, THEIRS = (
    AUTHORITY.issue(name, begins=SINCE - DAY, ends=SINCE + DAY) for name in ("etl", "etl", "relief")
)
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CREDENTIALS = {"grant_type": "client_credentials", "purpose": "credit-risk"}


def der(issued: Issued | None) -> bytes:
    return b"" if issued is None else issued.certificate.public_bytes(Encoding.DER)


def record(issued: Issued) -> ClientCertificate:
    return client_certificate(issued.pem.decode("ascii"), now=NOON)


@pytest.fixture
def furnished(town: Town) -> Town:
    """The town, in which etl-1 has two certificates and relief-1 one; etl-1 has no key any more."""
    clients = town.registry.clients
    town.change(
        replace(clients["etl-1"], keys=(), certificates=(record(OURS), record(SECOND))),
        replace(clients["relief-1"], certificates=(record(THEIRS),)),
    )
    return town


async def ask(
    town: Town,
    shown: Issued | None,
    path: str = "/oauth/token",
    *,
    proof_key: ClientKey | None = None,
    fields: Mapping[str, str] = CREDENTIALS,
    **members: object,
) -> Reply:
    """Send over a connection with a certificate; with the nonce learnt first."""
    form = {"client_id": "etl-1", **fields}
    reply: Reply
    for _ in range(2):
        proof = (proof_key or town.proof_key).proof(
            method="POST", url=f"https://gateway.example{path}", now=town.clock.now(), nonce=town.nonce
        )
        query = town.query(
            path,
            body=urlencode({name: value for name, value in form.items() if value}).encode(),
            **({"proofs": (proof,), "certificate": der(shown)} | members),
        )
        reply = await town.send(query)
    return reply


def error_of(reply: Reply) -> str:
    return str(json.loads(reply.body)["error"])


async def test_a_certificate_earns_a_token_that_is_bound_to_it_and_to_the_proof_key(furnished: Town) -> None:
    claims = furnished.claims(await ask(furnished, OURS))

    name = OURS.known_as.thumbprint
    assert (claims.client_key, claims.certificate, claims.key) == (name, name, furnished.proof_key.thumbprint)


async def test_a_person_activates_what_a_certificate_asked_for_and_no_other_may_fetch_it(
    furnished: Town,
) -> None:
    """RFC 8628: the client's second certificate asked for nothing."""
    asked = {"purpose": "credit-risk"}
    device = json.loads((await ask(furnished, OURS, "/oauth/device_authorization", fields=asked)).body)
    await furnished.approved(device)
    grant = {"grant_type": DEVICE_GRANT, "device_code": str(device["device_code"])}

    assert error_of(await ask(furnished, SECOND, fields=grant)) == "invalid_grant"
    assert furnished.claims(await one(furnished, OURS, grant)).assurance.acr == "aal2"
    assert furnished.claims(await ask(furnished, OURS)).assurance.acr == "aal2"
    assert furnished.claims(await ask(furnished, SECOND)).assurance.acr == "aal1"


async def one(town: Town, shown: Issued, fields: Mapping[str, str]) -> Reply:
    """Send once: a device code serves once."""
    proof = town.proof_key.proof(
        method="POST", url="https://gateway.example/oauth/token", now=town.clock.now(), nonce=town.nonce
    )
    body = urlencode({"client_id": "etl-1", **fields}).encode()
    reply: Reply = await town.send(
        town.query("/oauth/token", body=body, proofs=(proof,), certificate=der(shown))
    )
    return reply


async def test_whoever_is_not_shown_by_a_registered_certificate_is_no_client(furnished: Town) -> None:
    """The outsider learns `invalid_client` and no more; the cause is the ledger's."""
    stranger = AUTHORITY.issue("etl", begins=SINCE - DAY, ends=SINCE + DAY)
    refusals = {
        "no certificate": await ask(furnished, None),
        "not registered": await ask(furnished, stranger),
        "another client's": await ask(furnished, THEIRS),
        "for a client that has none": await ask(
            furnished, OURS, fields={**CREDENTIALS, "client_id": "etl-2"}
        ),
        "for a client that is not": await ask(furnished, OURS, fields={**CREDENTIALS, "client_id": "nobody"}),
        "no bytes of a certificate": await ask(furnished, None, certificate=b"\x30\x03abc"),
    }
    furnished.clock.pass_by(days=1, seconds=1)
    refusals["ended on a connection that lives"] = await ask(furnished, OURS)

    told = {what: (reply.status, error_of(reply)) for what, reply in refusals.items()}
    assert told == dict.fromkeys(refusals, (401, "invalid_client"))


async def test_the_certificate_is_no_proof_of_the_request(furnished: Town) -> None:
    """Promise P7: without a DPoP proof, or with one that was used, there is no token."""
    none = await ask(furnished, OURS, proofs=())
    good = furnished.proof_key.proof(
        method="POST",
        url="https://gateway.example/oauth/token",
        now=furnished.clock.now(),
        nonce=furnished.nonce,
    )
    once, again = [await replayed(furnished, good) for _ in range(2)]

    assert [error_of(reply) for reply in (none, again)] == ["invalid_dpop_proof"] * 2
    assert once.status == 200


async def replayed(town: Town, proof: str) -> Reply:
    body = urlencode({"client_id": "etl-1", **CREDENTIALS}).encode()
    reply: Reply = await town.send(
        town.query("/oauth/token", body=body, proofs=(proof,), certificate=der(OURS))
    )
    return reply


async def test_there_is_one_way_at_a_time(furnished: Town) -> None:
    """An assertion counts as an assertion whatever the connection shows, and a password is none at all."""
    furnished.change(
        replace(furnished.registry.clients["etl-2"], certificates=(record(SECOND),)),
        replace(furnished.registry.clients["etl-1"], certificates=(record(OURS),)),
    )
    await ask(furnished, None)
    with_both = furnished.signed("/oauth/token", CREDENTIALS, client="etl-2")
    claims = furnished.claims(await furnished.send(replace(with_both, certificate=der(SECOND))))
    assert (claims.client_key, claims.certificate) == (furnished.keys["etl-2"].thumbprint, None)

    half = {**CREDENTIALS, "client_assertion": "x"}
    type_only = {
        **CREDENTIALS,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    assert (await ask(furnished, OURS, fields=half)).status == 401
    assert error_of(await ask(furnished, OURS, fields=type_only)) == "invalid_request"
    assert error_of(await ask(furnished, OURS, authorizations=("Basic eDp5",))) == "invalid_request"
    assert error_of(await ask(furnished, OURS, fields={**CREDENTIALS, "client_id": ""})) == "invalid_request"


async def test_a_token_ends_with_its_certificate_and_is_told_of_with_both_bindings(furnished: Town) -> None:
    token = json.loads((await ask(furnished, OURS)).body)["access_token"]

    async def told() -> dict[str, Any]:
        reply = await ask(furnished, SECOND, "/oauth/introspect", fields={"token": token})
        return dict(json.loads(reply.body))

    before = await told()
    frozen = Freeze(
        id=freeze_id(Freezable.KEY, OURS.known_as.thumbprint), what=Freezable.KEY,
        target=OURS.known_as.thumbprint, frozen_at=NOON, overseers=(), lifted_by=(), state=State.ACTIVE,
    )  # fmt: skip
    furnished.change(frozen)
    while_frozen, asked = await told(), await ask(furnished, OURS)
    client = furnished.registry.clients["etl-1"]
    furnished.change(replace(client, certificates=(record(SECOND),)))
    after = await told()

    name = OURS.known_as.thumbprint
    assert before["cnf"] == {"jkt": furnished.proof_key.thumbprint, "x5t#S256": name}
    assert (while_frozen, error_of(asked), after) == (
        {"active": False},
        "unauthorized_client",
        {"active": False},
    )


async def test_a_token_is_not_active_once_its_certificate_has_ended(furnished: Town) -> None:
    ending = replace(record(OURS), ends_at=NOON + timedelta(seconds=90))
    client = furnished.registry.clients["etl-1"]
    furnished.change(replace(client, certificates=(ending, record(SECOND))))
    token = json.loads((await ask(furnished, OURS)).body)["access_token"]

    async def active() -> bool:
        reply = await ask(furnished, SECOND, "/oauth/introspect", fields={"token": token})
        return bool(json.loads(reply.body)["active"])

    before = await active()
    furnished.clock.pass_by(seconds=91)

    assert (before, await active()) == (True, False)


def test_no_two_clients_have_one_certificate(furnished: Town) -> None:
    with pytest.raises(ActRefused, match="`relief-1` has this certificate"):
        require_nobody_elses((record(THEIRS),), furnished.registry)
    ended = replace(furnished.registry.clients["relief-1"], state=State.ENDED)
    furnished.change(ended)

    require_nobody_elses((record(THEIRS),), furnished.registry)


def test_what_was_taken_away_and_comes_back_brings_no_approval_back(furnished: Town) -> None:
    client, name = furnished.registry.clients["etl-1"], OURS.known_as.thumbprint
    given = Activation(
        id="act-1", client=client.id, operator=OperatorId("lan"), purpose=client.purposes[0], key=name,
        methods=("pwd", "otp"), authenticated_at=NOON, until=NOON + timedelta(days=30), state=State.ACTIVE,
    )  # fmt: skip
    furnished.change(given)

    with pytest.raises(ActRefused, match="`act-1` among them; end them first"):
        require_nothing_revived(client, name, furnished.registry, NOON)
    require_nothing_revived(client, SECOND.known_as.thumbprint, furnished.registry, NOON)
    require_nothing_revived(client, name, furnished.registry, given.until)
    furnished.change(replace(given, state=State.ENDED))
    require_nothing_revived(client, name, furnished.registry, NOON)


def test_a_client_is_registered_with_a_key_or_a_certificate_and_two_of_each_at_most() -> None:
    org = new_organisation("bank-a", vi="A", en="A", org_class="bank", country="VN")
    days = {"valid_from": NOON.date(), "valid_until": NOON.date()}
    agreement = new_agreement("AGR-2026-014", org=org, purposes=["p"], **days)
    third = AUTHORITY.issue("etl", begins=SINCE - DAY, ends=SINCE + DAY)

    def made(*issued: Issued) -> Client:
        certificates = map(record, issued)
        return new_client("etl", agreement=agreement, purposes=["p"], keys=[], certificates=certificates)

    both = made(OURS, SECOND)
    assert both.thumbprints == {OURS.known_as.thumbprint, SECOND.known_as.thumbprint}
    assert record_of(change_of(both)) == both
    for wrong in ((), (OURS, OURS), (OURS, SECOND, third)):
        with pytest.raises(MalformedRequest):
            made(*wrong)
    for held in ((OURS, OURS), (OURS, SECOND, third)):
        with pytest.raises(ValueError, match="certificates"):
            replace(both, certificates=tuple(map(record, held)))


@pytest.mark.parametrize(
    ("pem", "sentence"),
    [
        ("", "PEM that can be read"),
        ("ồ", "PEM that can be read"),
        (pem_of(of_version(AUTHORITY, OURS, 5)).decode(), "PEM that can be read"),
        (OURS.pem.decode() + SECOND.pem.decode(), "alone, no other"),
        (
            AUTHORITY.issue("old", begins=SINCE - 3 * DAY, ends=SINCE - DAY).pem.decode(),
            "ended on 2026-03-01",
        ),
    ],
)
def test_what_is_registered_is_one_certificate_that_still_holds(pem: str, sentence: str) -> None:
    with pytest.raises(MalformedRequest, match=sentence):
        client_certificate(pem, now=NOON)


def test_a_certificates_moment_and_name_are_well_formed() -> None:
    good = record(OURS)
    for change in ({"thumbprint": "short"}, {"ends_at": NOON.replace(tzinfo=None)}):
        with pytest.raises(ValueError, match=r"SHA-256|UTC|base64url"):
            replace(good, **change)  # type: ignore[arg-type]
    assert good.ends_at == OURS.known_as.ends_at > NOON + timedelta(hours=23)
