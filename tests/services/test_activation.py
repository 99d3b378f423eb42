"""A person decides: only with both factors, only for the own organisation, only once, and knowingly."""

import asyncio
import html
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.registry.records import Activation, State
from gateway.terms.dataset import Title
from gateway.terms.entry import EntryKind
from gateway.terms.identifiers import ClientId, OperatorId, OrgId, PurposeId
from gateway.terms.reply import Reply

Town = Any
"""What conftest.py builds; test modules cannot import its type."""

NOON = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)


def without_challenge(reply: Reply) -> bytes:
    """A page but for what a passkey signs, which is new each time."""
    return re.sub(rb'name="challenge" value="[^"]+"', b"", reply.body)


def text_of(reply: Reply) -> str:
    return html.unescape(reply.body.decode("utf-8"))


async def test_no_link_fills_in_a_code(town: Town) -> None:
    device = await town.device()
    plain = await town.send(town.query("/activate", method="GET"))

    baited = await town.send(
        town.query("/activate", method="GET", query_string=f"user_code={device['user_code']}")
    )

    assert (plain.status, without_challenge(baited)) == (200, without_challenge(plain))
    assert str(device["user_code"]) not in text_of(baited)


async def test_the_operator_sees_who_asks_for_what_and_until_when(town: Town) -> None:
    device = await town.device(hours="3")

    shown = text_of(await town.sign_in(device))

    for word in ("etl-1", "Ngân hàng A", "Bank A", "credit-risk", "AGR-2026-014", "15:00", "2026-03-02"):
        assert word in shown


async def test_both_screens_show_the_same_key_phrase_and_another_request_another(town: Town) -> None:
    """Promise P7: who plants a request of their own shows other words."""
    device, planted = await town.device(), await town.device()

    shown = text_of(await town.sign_in(device))

    assert str(device["key_phrase"]) in shown
    assert str(planted["key_phrase"]) not in shown


async def test_the_user_code_may_be_typed_carelessly(town: Town) -> None:
    device = await town.device()
    careless = str(device["user_code"]).lower().replace("-", " ")

    assert (await town.sign_in(device, user_code=careless)).status == 200


async def test_an_approval_is_one_record_in_the_reply_that_tells_of_it(town: Town) -> None:
    """Promise P1: entry and activation are one transaction."""
    reply = await town.approved(await town.device(hours="2"))

    (activation,) = town.registry.activations.values()
    assert activation == Activation(
        id=activation.id,
        client=ClientId("etl-1"),
        operator=OperatorId("lan"),
        purpose=PurposeId("credit-risk"),
        key=town.keys["etl-1"].thumbprint,
        methods=("pwd", "otp"),
        authenticated_at=NOON,
        until=NOON + timedelta(hours=2),
        state=State.ACTIVE,
    )
    assert (reply.status, reply.kind, len(reply.changes)) == (200, EntryKind.CONFIG, 1)
    assert reply.facts == {
        "event": "decision",
        "org": "bank-a",
        "client": "etl-1",
        "purpose": "credit-risk",
        "outcome": "approved",
        "activation": activation.id,
    }


async def test_a_window_counts_from_the_sign_in_and_is_eight_hours_where_nobody_asks_for_less(
    town: Town,
) -> None:
    signed_in = await town.sign_in(await town.device())
    town.clock.pass_by(minutes=4)
    await town.decide(town.ticket_in(signed_in), "approve")

    (activation,) = town.registry.activations.values()
    assert activation.until == NOON + timedelta(hours=8)


async def test_a_refusal_changes_nothing(town: Town) -> None:
    reply = await town.decide(town.ticket_in(await town.sign_in(await town.device())), "refuse")

    assert (reply.status, reply.changes, reply.facts["outcome"]) == (200, (), "refused")
    assert not town.registry.activations


async def test_whatever_is_wrong_at_sign_in_looks_the_same(town: Town) -> None:
    device = await town.device()
    wrong = [
        {"operator": "nobody"},
        {"operator": ""},
        {"password": "not the password"},
        {"password": ""},
        {"code": "000000" if town.code() != "000000" else "000001"},
        {"code": ""},
        {"user_code": "BBBB-BBBB"},
        {"operator": "minh"},  # right password and code, but of another organisation
    ]

    replies = [await town.sign_in(device, peer=f"192.0.2.{i}", **each) for i, each in enumerate(wrong)]

    assert {reply.status for reply in replies} == {403}
    assert len({without_challenge(reply) for reply in replies}) == 1
    assert {reply.kind for reply in replies} == {EntryKind.DENY}
    assert (await town.sign_in(device)).status == 200


async def test_a_suspended_operator_cannot_sign_in(town: Town) -> None:
    device = await town.device()
    town.change(replace(town.registry.operators[OperatorId("lan")], state=State.SUSPENDED))

    assert (await town.sign_in(device)).status == 403


async def test_a_one_time_code_works_once_and_a_failed_sign_in_does_not_use_it_up(town: Town) -> None:
    """Promise P6: a code that was seen is no factor."""
    device = await town.device()
    assert (await town.sign_in(device, password="not the password")).status == 403
    assert (await town.sign_in(device)).status == 200

    assert (await town.sign_in(device)).status == 403
    town.clock.pass_by(seconds=30)
    assert (await town.sign_in(device)).status == 200


async def test_the_sixth_try_of_a_name_from_one_address_waits_and_other_addresses_do_not(town: Town) -> None:
    device = await town.device()
    for _ in range(5):
        await town.sign_in(device, password="not the password")

    reply = await town.sign_in(device)

    assert (reply.status, reply.facts["why"]) == (429, "too-many-attempts")
    assert 0 < int(dict(reply.headers)["Retry-After"]) <= 900
    assert (await town.sign_in(device, peer="192.0.2.99")).status == 200
    town.clock.pass_by(seconds=int(dict(reply.headers)["Retry-After"]))
    town.nonce = None
    assert (await town.sign_in(await town.device())).status == 200


async def test_a_ticket_serves_once(town: Town) -> None:
    ticket = town.ticket_in(await town.sign_in(await town.device()))
    assert (await town.decide(ticket, "approve")).status == 200

    again = await town.decide(ticket, "approve")

    assert (again.status, again.changes) == (403, ())
    assert again.facts == {"event": "decision", "why": "no-longer-waiting"}  # nobody is known by it any more


async def test_of_two_people_the_first_decides(town: Town) -> None:
    device = await town.device()
    first = town.ticket_in(await town.sign_in(device))
    town.clock.pass_by(seconds=30)
    second = town.ticket_in(await town.sign_in(device))
    await town.decide(second, "refuse")

    reply = await town.decide(first, "approve")

    assert (reply.status, reply.changes) == (403, ())
    assert not town.registry.activations


@pytest.mark.parametrize("before_s", [0, 200])
async def test_a_ticket_ends_with_its_request(town: Town, before_s: int) -> None:
    device = await town.device()
    town.clock.pass_by(seconds=before_s)
    ticket = town.ticket_in(await town.sign_in(device))
    town.clock.pass_by(seconds=300 - before_s)

    reply = await town.decide(ticket, "approve")

    assert (reply.changes, reply.facts) == ((), {"event": "decision", "why": "no-longer-waiting"})


@pytest.mark.parametrize("ticket", ["", "x", "A" * 43])
async def test_nothing_ambient_decides(town: Town, ticket: str) -> None:
    """A post that another site makes a signed-in person send has no ticket and no cookie to ride on."""
    await town.sign_in(await town.device())

    assert (await town.decide(ticket, "approve")).status == 403


async def test_a_decision_is_one_of_two_words(town: Town) -> None:
    ticket = town.ticket_in(await town.sign_in(await town.device()))

    assert (await town.decide(ticket, "perhaps")).status == 400
    assert (await town.decide(ticket, "approve")).status == 200  # the ticket was not used up


async def test_what_ended_between_sign_in_and_decision_counts(town: Town) -> None:
    ticket = town.ticket_in(await town.sign_in(await town.device()))
    town.change(replace(town.registry.clients[ClientId("etl-1")], state=State.SUSPENDED))

    assert (await town.decide(ticket, "approve")).changes == ()


async def test_names_are_shown_as_text_and_never_as_html(town: Town) -> None:
    evil = Title(vi='<script>alert("vi")</script>', en="<img src=x onerror=alert(1)>")
    town.change(replace(town.registry.organisations[OrgId("bank-a")], name=evil))

    shown = (await town.sign_in(await town.device())).body.decode()

    assert "<script" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;" in shown


async def test_no_reply_or_entry_repeats_what_was_typed(town: Town) -> None:
    """Promise P9: a password in the wrong field stays out of the log, sealed openings included."""
    device = await town.device()
    reply = await town.sign_in(device, operator="my-secret-password", password="wrong-password-9")

    kept = repr(reply.facts) + repr(dict(reply.private)) + reply.body.decode()
    assert "my-secret-password" not in kept
    assert "wrong-password-9" not in kept
    assert reply.private == {"question": b"POST /activate", "operator": b""}


@pytest.mark.parametrize(
    "query",
    [
        {"content_type": "application/json", "body": b"{}"},
        {"body": b"step=sign-in&step=decide"},
        {"body": b"\xff"},
        {"body": b"a=1&" * 40},
        {"body": b"password=" + b"x" * 20_000},
    ],
)
async def test_an_unreadable_form_gets_a_page_too(town: Town, query: dict[str, Any]) -> None:
    reply = await town.send(town.query("/activate", **query))

    assert (reply.status, reply.content_type) == (400, "text/html; charset=utf-8")


async def test_odd_characters_are_wrong_but_never_an_error(town: Town) -> None:
    fields = {"step": "sign-in", "operator": "\u0000\u202e", "password": "\U0001f511", "code": "١٢٣٤٥٦"}

    reply = await town.send(town.query("/activate", body=urlencode(fields).encode()))

    assert reply.status == 403


async def test_an_entry_does_not_tell_whether_an_operator_exists(town: Town) -> None:
    """The entry goes to the caller with the receipt: it has the same members and facts for everybody."""
    device = await town.device()

    known = await town.sign_in(device, operator="lan", password="wrong-password-9")
    unknown = await town.sign_in(device, operator="nobody", password="wrong-password-9")

    assert known.facts == unknown.facts
    assert known.private.keys() == unknown.private.keys()


async def test_sign_ins_that_succeed_lock_nobody_out(town: Town) -> None:
    for _ in range(7):
        town.clock.pass_by(seconds=60)
        reply = await town.sign_in(await town.device(), operator="lan")
        assert reply.status == 200


async def test_a_crowd_of_strangers_is_turned_away_instead_of_queued(town: Town) -> None:
    """Password checks are slow on purpose; nobody else waits for them."""
    device = await town.device()
    tries = [town.sign_in(device, operator=f"made-up-{number}") for number in range(40)]

    statuses = [reply.status for reply in await asyncio.gather(*tries)]

    assert statuses.count(403) >= 16
    assert statuses.count(429) == 40 - statuses.count(403) > 0
