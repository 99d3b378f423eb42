"""A registered person sets their own factors: with their code, once, soon, whole or not at all."""

import asyncio
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from enrolling import secret_in, ticket_in
from soft_key import SYNCED, SoftKey

from gateway.errors import LedgerUnavailable
from gateway.identity.passkey import challenge_about
from gateway.identity.recovery import new_code
from gateway.identity.totp import code_at, step_at
from gateway.registry.records import (
    Freezable,
    Freeze,
    Operator,
    Passkey,
    State,
    freeze_id,
    passkey_id,
)
from gateway.services.joining import CODE_LIFE, TICKET_S, invitation
from gateway.services.registration import invited_operator
from gateway.terms.entry import EntryKind
from gateway.terms.identifiers import OperatorId
from gateway.terms.reply import Reply

Town = Any
PASSWORD = "mười hai con giáp mới"
CODE = new_code(lambda size: bytes(range(size)))


@pytest.fixture
def invited(town: Town) -> Operator:
    organisation = town.registry.organisations["bank-a"]
    operator = invited_operator(
        "hoa", organisation, "Hoa", invitation(OperatorId("hoa"), CODE, town.clock.now())
    )
    town.change(operator)
    return operator


async def post(town: Town, *, peer: str = "192.0.2.7", **form: str) -> tuple[Reply, str]:
    reply = await town.send(town.query("/enrol", body=urlencode(form).encode(), peer=peer))
    return reply, reply.body.decode("utf-8").replace("&amp;", "&")


async def join(town: Town, **form: str) -> tuple[Reply, str]:
    return await post(town, **({"step": "join", "operator": "hoa", "code": CODE} | form))


def finish_of(town: Town, page: str, **form: str) -> dict[str, str]:
    code = code_at(secret_in(page), step_at(town.clock.now()))
    fields = {"ticket": ticket_in(page), "password": PASSWORD, "again": PASSWORD, "code": code}
    return {"step": "finish", **fields, **form}


async def enrolled(town: Town) -> bytes:
    _, page = await join(town)
    reply, _ = await post(town, **finish_of(town, page))
    assert reply.status == 200
    return secret_in(page)


async def sign_in(town: Town, secret: bytes, *, password: str = PASSWORD) -> Reply:
    town.clock.pass_by(seconds=30)
    code = code_at(secret, step_at(town.clock.now()))
    form = {"operator": "hoa", "password": password, "code": code}
    return await town.send(town.query("/account", body=urlencode(form).encode()))  # type: ignore[no-any-return]


@pytest.mark.usefixtures("invited")
async def test_a_person_enrols_with_their_code_and_signs_in(town: Town) -> None:
    page = await town.send(town.query("/enrol", method="GET"))
    assert (page.status, page.facts) == (200, {"event": "enrol"})
    shown, text = await join(town)
    assert (shown.status, shown.kind, shown.changes) == (200, EntryKind.SINGLE, ())
    reply, done = await post(town, **finish_of(town, text))

    assert (reply.status, reply.kind) == (200, EntryKind.CONFIG)
    assert reply.facts == {"event": "enrol", "org": "bank-a", "outcome": "enrolled"}
    assert reply.private == {"question": b"POST /enrol", "operator": b"hoa"}
    assert "<form" not in done
    hoa = town.registry.operators["hoa"]
    assert (hoa.is_enrolled, hoa.invitation, hoa.state) == (True, None, State.ACTIVE)
    assert (await sign_in(town, secret_in(text))).status == 200
    assert (await sign_in(town, secret_in(text), password="another password")).status == 403


async def test_nobody_signs_in_before_they_enrolled(town: Town, invited: Operator) -> None:
    """Neither without a password nor with the secret that stands for nobody's."""
    absent = b"no operator of that name"
    for secret, password in ((absent, ""), (absent, PASSWORD), (b"", "")):
        assert (await sign_in(town, secret or bytes(20), password=password)).status == 403
    assert town.registry.operators["hoa"] == invited


@pytest.mark.usefixtures("invited")
async def test_a_synced_passkey_and_nobodys_code_let_nobody_in_who_has_not_enrolled(town: Town) -> None:
    """The secret that stands for nobody's is in the source: whoever reads it can make its codes."""
    key = SoftKey(flags=SYNCED)
    town.change(
        Passkey(
            id=passkey_id(key.credential),
            operator=OperatorId("hoa"),
            credential=key.credential,
            public_key=key.cose,
            synced=True,
            added_at=town.clock.now(),
            state=State.ACTIVE,
        )
    )
    page = await town.send(town.query("/account", method="GET"))
    challenge = re.search(r'name="challenge" value="([^"]+)"', page.body.decode())
    assert challenge is not None
    form = {
        "challenge": challenge[1],
        "passkey": key.signed(challenge_about(challenge[1], "")),
        "code": code_at(b"no operator of that name", step_at(town.clock.now())),
    }

    reply = await town.send(town.query("/account", body=urlencode(form).encode()))

    assert (reply.status, reply.changes) == (403, ())


@pytest.mark.usefixtures("invited")
async def test_a_code_serves_for_a_day(town: Town) -> None:
    town.clock.pass_by(seconds=CODE_LIFE.total_seconds() - 1)
    assert (await join(town))[0].status == 200
    town.clock.pass_by(seconds=1)
    assert (await join(town))[0].status == 403


@pytest.mark.usefixtures("invited")
async def test_a_code_serves_once(town: Town) -> None:
    await enrolled(town)
    first = town.registry.operators["hoa"]

    reply, _ = await join(town)

    assert (reply.status, reply.facts["why"]) == (403, "enrolment-failed")
    assert town.registry.operators["hoa"] == first


async def test_of_two_who_finish_with_one_code_one_is_enrolled(town: Town, invited: Operator) -> None:
    """Also where a worker has not heard of the first one yet."""
    _, one = await join(town)
    _, other = await join(town)
    town.clock.pass_by(seconds=30)
    first, second = await asyncio.gather(
        post(town, **finish_of(town, one)), post(town, **finish_of(town, other))
    )
    assert sorted((first[0].status, second[0].status)) == [200, 403]

    _, late = await join_again(town, invited)
    reply, _ = await post(town, **finish_of(town, late))
    assert (reply.status, reply.changes) == (403, ())


async def join_again(town: Town, invited: Operator) -> tuple[Reply, str]:
    """As in a worker that knows the person only as invited."""
    town.change(invited)
    return await join(town)


async def test_a_ticket_serves_once_and_for_a_quarter_of_an_hour(town: Town, invited: Operator) -> None:
    _, page = await join(town)
    form = finish_of(town, page, again="something else here")
    reply, again = await post(town, **form)
    assert (reply.status, reply.facts["why"]) == (403, "passwords-differ")
    assert secret_in(again) == secret_in(page)
    assert ticket_in(again) != ticket_in(page)
    assert (await post(town, **form))[0].facts["why"] == "enrolment-failed"

    town.clock.pass_by(seconds=TICKET_S + 1)
    assert (await post(town, **finish_of(town, again)))[0].facts["why"] == "enrolment-failed"
    assert town.registry.operators["hoa"] == invited


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"password": "short", "again": "short"}, "password-unfit"),
        ({"password": "x" * 257, "again": "x" * 257}, "password-unfit"),
        ({"again": "mười hai con giáp cũ"}, "passwords-differ"),
        ({"code": "000000"}, "code-unfit"),
        ({"code": ""}, "code-unfit"),
        ({"ticket": "x"}, "enrolment-failed"),
        ({"ticket": ""}, "enrolment-failed"),
    ],
)
async def test_what_does_not_fit_is_named_and_changes_nothing(
    form: dict[str, str], why: str, town: Town, invited: Operator
) -> None:
    _, page = await join(town)

    reply, _ = await post(town, **finish_of(town, page, **form))

    assert (reply.status, reply.kind, reply.facts["why"]) == (403, EntryKind.DENY, why)
    assert town.registry.operators["hoa"] == invited


async def test_wrong_names_codes_and_people_look_alike(town: Town, invited: Operator) -> None:
    async def page(**form: str) -> bytes:
        reply, _ = await join(town, **form)
        assert reply.private["operator"] == b""
        return bytes(reply.body)

    pages = {
        await page(operator="nobody"),
        await page(operator="lan"),
        await page(code=new_code(lambda size: bytes([1] * size))),
        await page(code=""),
    }
    town.clock.pass_by(seconds=900)
    for record in (
        replace(invited, state=State.SUSPENDED),
        replace(town.registry.organisations["bank-a"], state=State.ENDED),
    ):
        town.change(record)
        pages.add(await page())
        town.change(invited, replace(town.registry.organisations["bank-a"], state=State.ACTIVE))
    town.change(
        Freeze(
            id=freeze_id(Freezable.OPERATOR, "hoa"),
            what=Freezable.OPERATOR,
            target="hoa",
            frozen_at=town.clock.now(),
            overseers=(),
            lifted_by=(),
            state=State.ACTIVE,
        )
    )
    pages.add(await page())
    assert len(pages) == 1


@pytest.mark.usefixtures("invited")
async def test_only_the_address_that_tries_waits(town: Town) -> None:
    for _ in range(5):
        await join(town, code="k2vw-9x0t-3mfe-7qaz")
    shut, _ = await join(town)
    assert (shut.status, dict(shut.headers)["Retry-After"].isdigit()) == (429, True)

    for number in range(60):
        await post(town, peer=f"198.51.100.{number}", step="join", operator="hoa", code="wrong")
    reply, _ = await post(town, peer="203.0.113.9", step="join", operator="hoa", code=CODE)
    assert reply.status == 200


async def test_who_is_suspended_while_they_finish_is_not_enrolled(town: Town, invited: Operator) -> None:
    """A change that came meanwhile is not written over."""
    _, page = await join(town)
    finishing = asyncio.create_task(post(town, **finish_of(town, page)))
    await asyncio.sleep(0.02)
    town.change(replace(invited, state=State.SUSPENDED))

    reply, _ = await finishing

    assert (reply.status, reply.changes) == (403, ())
    assert town.registry.operators["hoa"].state is State.SUSPENDED


async def test_what_cannot_be_recorded_enrols_nobody(town: Town, invited: Operator) -> None:
    """A full disk: said at once, and the same code serves later."""
    _, page = await join(town)
    form = finish_of(town, page)
    ledger, town.ports = town.ports.ledger, replace(town.ports, ledger=Full())

    with pytest.raises(LedgerUnavailable):
        await post(town, **form)

    assert town.registry.operators["hoa"] == invited
    town.ports = replace(town.ports, ledger=ledger)
    await enrolled(town)


class Full:
    """A ledger whose disk is full."""

    async def use_once(self, *_: object) -> bool:
        raise LedgerUnavailable("the answer cannot be recorded at the moment; try again later")


@pytest.mark.usefixtures("invited")
async def test_no_secret_is_kept_in_clear_and_none_is_shown_again(town: Town) -> None:
    _, page = await join(town)
    reply, after = await post(town, **finish_of(town, page))
    shown = re.search(r"secret=([A-Z2-7]+)", page)

    assert shown is not None
    assert shown[1] not in after
    assert secret_in(page) not in reply.changes[0].document
    assert CODE.encode() not in reply.changes[0].document
    assert PASSWORD.encode() not in reply.changes[0].document
