"""Who gets a token, for what and for how long; and that nothing of it serves twice."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.client.keys import ClientKey
from gateway.errors import LedgerUnavailable
from gateway.identity.token import AccessClaims
from gateway.registry.records import State
from gateway.terms.caller import Assurance
from gateway.terms.entry import EntryKind
from gateway.terms.identifiers import AgreementId, ClientId, OperatorId, OrgId, PurposeId
from gateway.terms.query import Query
from gateway.terms.reply import Reply

Town = Any
"""What conftest.py builds; test modules cannot import its type."""

ORIGIN = "https://gateway.example"
NOON = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def document(reply: Reply) -> dict[str, Any]:
    content = json.loads(reply.body)
    assert isinstance(content, dict)
    return content


def error_of(reply: Reply) -> str:
    return str(document(reply)["error"])


async def test_a_key_alone_earns_a_short_token_of_the_lowest_assurance_bound_to_the_proof_key(
    town: Town,
) -> None:
    reply = await town.credentials()

    assert reply.status == 200
    found = town.claims(reply)
    assert found == AccessClaims(
        issuer=ORIGIN,
        audience=ORIGIN,
        client=ClientId("etl-1"),
        subject="etl-1",
        org=OrgId("bank-a"),
        purpose=PurposeId("credit-risk"),
        agreement=AgreementId("AGR-2026-014"),
        client_key=town.keys["etl-1"].thumbprint,
        key=town.proof_key.thumbprint,
        token_id=found.token_id,
        issued_at=NOON.replace(microsecond=0),
        expires_at=NOON.replace(microsecond=0) + timedelta(seconds=300),
        assurance=Assurance.AAL1,
        methods=("pop", "swk"),
    )
    assert len(found.token_id) == 22
    assert document(reply) == {
        "access_token": document(reply)["access_token"],
        "token_type": "DPoP",
        "expires_in": 300,
        "purpose": "credit-risk",
        "acr": "aal1",
    }


async def test_every_answer_is_never_cached_and_carries_the_next_nonce(town: Town) -> None:
    refusal = await town.send(town.query("/oauth/token", body=b"grant_type=x"))
    answer = await town.credentials()

    for reply in (refusal, answer):
        headers = dict(reply.headers)
        assert (headers["Cache-Control"], len(headers["DPoP-Nonce"])) == ("no-store", 24)


async def test_a_proof_without_our_nonce_is_sent_back_and_uses_nothing_up(town: Town) -> None:
    """Promise P7."""
    first = town.signed("/oauth/token", {"grant_type": "client_credentials", "purpose": "credit-risk"})
    refusal = await town.send(first)
    assert (refusal.status, error_of(refusal)) == (400, "use_dpop_nonce")

    proof = town.proof_key.proof(
        method="POST", url=f"{ORIGIN}/oauth/token", now=town.clock.now(), nonce=town.nonce
    )
    assert (await town.send(replace(first, proofs=(proof,)))).status == 200


async def test_a_proof_serves_once(town: Town) -> None:
    """Promise P7."""
    await town.credentials()
    fields = {"grant_type": "client_credentials", "purpose": "credit-risk"}
    used, fresh = (town.signed("/oauth/token", fields) for _ in range(2))
    assert (await town.send(used)).status == 200

    reply = await town.send(replace(fresh, proofs=used.proofs))
    assert (reply.status, error_of(reply)) == (400, "invalid_dpop_proof")


async def test_an_assertion_serves_once(town: Town) -> None:
    """Promise P7."""
    await town.credentials()
    fields = {"grant_type": "client_credentials", "purpose": "credit-risk"}
    used, fresh = (town.signed("/oauth/token", fields) for _ in range(2))
    assert (await town.send(used)).status == 200

    reply = await town.send(replace(used, proofs=fresh.proofs))
    assert (reply.status, error_of(reply)) == (401, "invalid_client")


@pytest.mark.parametrize("count", [0, 2])
async def test_there_is_exactly_one_proof(town: Town, count: int) -> None:
    """Promise P7."""
    await town.credentials()
    fields = {"grant_type": "client_credentials", "purpose": "credit-risk"}
    queries = [town.signed("/oauth/token", fields) for _ in range(2)]
    proofs = tuple(proof for query in queries for proof in query.proofs)[:count]

    assert error_of(await town.send(replace(queries[0], proofs=proofs))) == "invalid_dpop_proof"


async def test_a_proof_for_another_endpoint_is_refused(town: Town) -> None:
    """Promise P7."""
    await town.credentials()
    query = town.signed(
        "/oauth/device_authorization", {"grant_type": "client_credentials", "purpose": "credit-risk"}
    )

    assert error_of(await town.send(replace(query, path="/oauth/token"))) == "invalid_dpop_proof"


async def test_whatever_is_wrong_with_a_client_looks_the_same(town: Town) -> None:
    await town.credentials()
    fields = {"grant_type": "client_credentials", "purpose": "credit-risk"}
    stranger = ClientKey.create()
    town.keys = {**town.keys, "nobody": stranger}
    unknown = await town.send(town.signed("/oauth/token", fields, client="nobody"))
    town.keys = {**town.keys, "etl-1": stranger}
    wrong_key = await town.send(town.signed("/oauth/token", fields))
    other_id = await town.send(
        town.signed("/oauth/token", {**fields, "client_id": "relief-1"}, client="etl-2")
    )

    assert {reply.body for reply in (unknown, wrong_key, other_id)} == {
        b'{"error": "invalid_client", "error_description": "client not known, or its assertion not accepted"}'
    }
    assert {reply.status for reply in (unknown, wrong_key, other_id)} == {401}


async def test_an_assertion_for_another_server_is_refused(town: Town) -> None:
    await town.credentials()
    assertion = town.keys["etl-1"].assertion(
        client="etl-1", issuer="https://other.example", now=town.clock.now()
    )
    fields = {"grant_type": "client_credentials", "purpose": "credit-risk", "client_assertion": assertion}

    assert error_of(await town.send(town.signed("/oauth/token", fields))) == "invalid_client"


@pytest.mark.parametrize("purpose", ["audit", "flood-relief", "no-such-purpose"])
async def test_a_purpose_enters_no_token_but_along_the_chain(town: Town, purpose: str) -> None:
    """Promise P3."""
    reply = await town.credentials(purpose=purpose)

    assert (reply.status, error_of(reply)) == (400, "unauthorized_client")
    assert reply.facts == {
        "event": "token",
        "org": "bank-a",
        "client": "etl-1",
        "why": "unauthorized_client",
    }


async def test_a_suspended_organisation_gets_no_token(town: Town) -> None:
    town.change(replace(town.registry.organisations[OrgId("bank-a")], state=State.SUSPENDED))

    assert error_of(await town.credentials()) == "unauthorized_client"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"purpose": ""}, "invalid_request"),
        ({"purpose": "<script>"}, "invalid_request"),
        ({"client_assertion_type": "jwt"}, "invalid_client"),
        ({"client_assertion": ""}, "invalid_request"),
        ({"client_assertion": "a.b.c"}, "invalid_client"),
    ],
)
async def test_what_cannot_be_read_is_refused_in_the_words_of_oauth(
    town: Town, fields: dict[str, str], error: str
) -> None:
    assert error_of(await town.credentials(**fields)) == error


async def test_a_client_has_one_way_to_say_who_it_is(town: Town) -> None:
    query = town.signed("/oauth/token", {"grant_type": "client_credentials", "purpose": "credit-risk"})

    reply = await town.send(replace(query, authorizations=("Basic ZXRsLTE6eA==",)))
    assert (reply.status, error_of(reply)) == (400, "invalid_request")


async def test_a_parameter_comes_once(town: Town) -> None:
    query = town.signed("/oauth/token", {"grant_type": "client_credentials", "purpose": "credit-risk"})

    reply = await town.send(replace(query, body=query.body + b"&purpose=audit"))
    assert error_of(reply) == "invalid_request"


FORMS = st.dictionaries(
    st.sampled_from(
        ["grant_type", "purpose", "client_assertion", "client_assertion_type", "device_code", "hours"]
    ),
    st.one_of(st.text(max_size=20), st.just(ASSERTION_TYPE), st.just("client_credentials")),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.one_of(st.binary(max_size=80), FORMS.map(lambda form: urlencode(form).encode())))
async def test_no_form_of_a_stranger_does_more_than_be_refused(town: Town, body: bytes) -> None:
    reply = await town.send(town.query("/oauth/token", body=body))

    assert reply.status in {400, 401}
    assert reply.kind is EntryKind.DENY
    assert set(reply.facts) == {"event", "why"}


async def test_a_device_is_told_where_a_person_goes_and_no_link_carries_the_code(town: Town) -> None:
    device = await town.device()

    assert set(device) == {
        "device_code", "user_code", "verification_uri", "expires_in", "interval", "key_phrase",
    }  # fmt: skip
    assert device["verification_uri"] == f"{ORIGIN}/activate"
    assert (device["expires_in"], device["interval"]) == (300, 5)


@pytest.mark.parametrize("hours", ["0", "9", "24", "1.5", "-1", "٣", "08", "x"])
async def test_a_window_is_one_to_eight_hours(town: Town, hours: str) -> None:
    reply = await town.ask("/oauth/device_authorization", purpose="credit-risk", hours=hours)

    assert (reply.status, error_of(reply)) == (400, "invalid_request")


async def test_a_person_with_two_factors_raises_the_token_to_aal2(town: Town) -> None:
    """Promise P6."""
    device = await town.device()
    assert error_of(await town.poll(device)) == "authorization_pending"
    await town.approved(device)
    town.clock.pass_by(seconds=5)

    reply = await town.poll(device)

    found = town.claims(reply)
    assert (found.assurance, found.methods) == (Assurance.AAL2, ("mfa", "otp", "pop", "pwd", "swk"))
    assert (found.operator, found.authenticated_at) == (OperatorId("lan"), NOON.replace(microsecond=0))
    assert found.key == town.proof_key.thumbprint
    assert document(reply)["acr"] == "aal2"


async def test_a_device_code_gives_one_token(town: Town) -> None:
    """Promise P7."""
    device = await town.device()
    await town.approved(device)
    assert (await town.poll(device)).status == 200

    assert error_of(await town.poll(device)) == "invalid_grant"


async def test_a_device_code_is_of_the_client_and_of_the_keys_that_asked(town: Town) -> None:
    """Promise P7."""
    device = await town.device()
    await town.approved(device)

    assert error_of(await town.poll(device, client="etl-2")) == "invalid_grant"
    assert error_of(await town.poll(device, proof_key=ClientKey.create())) == "invalid_grant"
    assert (await town.poll(device)).status == 200


async def test_a_replaced_registered_key_loses_the_grant(town: Town) -> None:
    """Promise P7."""
    device = await town.device()
    await town.approved(device)
    second = ClientKey.create()
    client = town.registry.clients[ClientId("etl-1")]
    both = (*client.keys, tuple(sorted(second.jwk.items())))
    town.change(replace(client, keys=both))
    town.keys = {**town.keys, "etl-1": second}

    assert error_of(await town.poll(device)) == "invalid_grant"


async def test_who_polls_too_often_is_told_to_slow_down_more_each_time(town: Town) -> None:
    device = await town.device()
    answers = []
    for wait_s in (0, 5, 4, 9, 10, 15):
        town.clock.pass_by(seconds=wait_s)
        answers.append(error_of(await town.poll(device)))

    pending, slow = "authorization_pending", "slow_down"
    assert answers == [pending, pending, slow, slow, slow, slow]
    town.clock.pass_by(seconds=25)
    assert error_of(await town.poll(device)) == pending


async def test_a_refusal_by_the_person_is_told_to_the_client(town: Town) -> None:
    device = await town.device()
    await town.decide(town.ticket_in(await town.sign_in(device)), "refuse")

    assert error_of(await town.poll(device)) == "access_denied"


async def test_after_five_minutes_nobody_can_answer_any_more(town: Town) -> None:
    device = await town.device()
    town.clock.pass_by(seconds=300)
    town.nonce = None

    assert error_of(await town.poll(device)) == "expired_token"
    assert (await town.sign_in(device)).status == 403


async def test_an_approval_whose_entry_was_not_written_does_not_count(town: Town) -> None:
    """Promise P1: the activation exists only with its entry."""
    device = await town.device()
    before = town.registry
    await town.approved(device)
    town.registry = before

    assert error_of(await town.poll(device)) == "authorization_pending"


async def test_an_operator_suspended_before_the_poll_stands_behind_nothing(town: Town) -> None:
    device = await town.device()
    await town.approved(device)
    town.change(replace(town.registry.operators[OperatorId("lan")], state=State.SUSPENDED))

    assert error_of(await town.poll(device)) == "access_denied"
    assert town.claims(await town.credentials()).assurance is Assurance.AAL1


async def test_while_the_activation_lasts_the_client_renews_alone_and_never_beyond_it(town: Town) -> None:
    device = await town.device(hours="1")
    await town.approved(device)
    town.clock.pass_by(minutes=58)
    town.nonce = None

    reply = await town.credentials()
    claims = town.claims(reply)
    assert (claims.assurance, document(reply)["expires_in"]) == (Assurance.AAL2, 120)
    assert claims.expires_at == datetime(2026, 3, 2, 13, 0, tzinfo=UTC)

    town.clock.pass_by(minutes=2)
    town.nonce = None
    assert town.claims(await town.credentials()).assurance is Assurance.AAL1


async def test_an_activation_is_for_one_client_and_purpose(town: Town) -> None:
    await town.approved(await town.device())

    reply = await town.ask(
        "/oauth/token", client="etl-2", grant_type="client_credentials", purpose="credit-risk"
    )

    assert town.claims(reply).assurance is Assurance.AAL1


async def test_entries_hold_ids_that_agencies_gave_and_commit_to_the_person(town: Town) -> None:
    """Promise P9."""
    device = await town.device()
    await town.approved(device)
    reply = await town.poll(device)

    assert reply.facts == {
        "event": "token",
        "org": "bank-a",
        "client": "etl-1",
        "purpose": "credit-risk",
        "acr": "aal2",
    }
    token_id = town.claims(reply).token_id
    assert reply.private == {
        "question": b"POST /oauth/token",
        "token": token_id.encode(),
        "operator": b"lan",
    }


async def test_a_ledger_that_does_not_answer_gives_no_token(town: Town) -> None:
    """Promise P1."""
    await town.credentials()
    await town.ports.ledger.close()
    query: Query = town.signed("/oauth/token", {"grant_type": "client_credentials", "purpose": "credit-risk"})

    with pytest.raises(LedgerUnavailable):
        await town.send(query)
