"""The admin socket: who may speak, what can be said, and that it makes no difference where an act is done."""

import asyncio
import contextlib
import json
import os
import socket
import stat
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wiring
from gateway.errors import ActRefused, HomeInvalid, LedgerUnavailable, MalformedRequest
from gateway.registry.records import Freezable, State
from gateway.services.acts import (
    ACTS,
    ActivateRules,
    AddOperator,
    AddOrganisation,
    Kind,
    Look,
    SetFrozen,
    SetState,
)
from gateway.services.documents import SignedDocument
from gateway.serving import admin
from gateway.serving.admin import MESSAGE_BYTES_MAX, _act_of, administered, perform
from gateway.settings import Settings
from gateway.wiring import Gateway, opened

BANK = AddOrganisation(id="bank-a", vi="Ngân hàng A", en="Bank A", org_class="bank", country="VN")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose path is longer than a Unix socket's name may be."""
    folder = tmp_path / ("long" * 30) / "home"
    wiring.create_home(folder, Settings(origin="http://127.0.0.1:1", log_origin="gateway.test/log"))
    return folder


@pytest.fixture
async def running(home: Path) -> AsyncIterator[Gateway]:
    async with opened(home) as gateway, administered(gateway):
        yield gateway


async def done(home: Path, act: object) -> object:
    return await asyncio.to_thread(perform, home, act)  # type: ignore[arg-type]


def said(home: Path, message: bytes, *, more: bool = False) -> bytes:
    """Send bytes to the socket, as if there were ``more`` to come, and return all that comes back."""
    folder = os.open(home / "run", os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(f"/proc/self/fd/{folder}/admin.sock")
            parts = []
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                connection.sendall(message)
                if not more:
                    connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(65_536):
                    parts.append(part)
            return b"".join(parts)
    finally:
        os.close(folder)


def framed(document: object) -> bytes:
    text = json.dumps(document).encode()
    return struct.pack(">I", len(text)) + text


async def test_an_act_is_done_alike_in_a_running_gateway_and_at_home(home: Path, running: Gateway) -> None:
    first = await done(home, BANK)
    assert running.current.registry.organisations["bank-a"].name.vi == "Ngân hàng A"  # type: ignore[index]
    with pytest.raises(ActRefused, match="never overwritten"):
        await done(home, BANK)
    with pytest.raises(MalformedRequest, match="an organisation's id must match"):
        await done(home, AddOrganisation(id="Bank", vi="A", en="A", org_class="bank", country="VN"))
    assert first.rows[0]["id"] == "bank-a"  # type: ignore[attr-defined]


def test_without_a_running_gateway_the_command_opens_the_home(home: Path) -> None:
    perform(home, BANK)
    perform(home, SetState(kind=Kind.ORG, id="bank-a", state=State.SUSPENDED))
    with pytest.raises(ActRefused, match="suspended already"):
        perform(home, SetState(kind=Kind.ORG, id="bank-a", state=State.SUSPENDED))

    assert perform(home, Look(kind=Kind.ORG)).rows[0]["state"] == "suspended"


def test_a_home_that_another_command_holds_is_one_sentence(home: Path) -> None:
    async def twice() -> None:
        async with opened(home):
            await done(home, BANK)

    with pytest.raises(HomeInvalid, match="another process uses this home"):
        asyncio.run(twice())


async def test_the_socket_is_the_owners_and_goes_with_the_gateway(home: Path) -> None:
    path = home / "run" / "admin.sock"
    async with opened(home) as gateway:
        path.write_text("left by a crash")
        async with administered(gateway):
            assert stat.S_ISSOCK(path.stat().st_mode)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not path.exists()


async def test_another_user_is_not_answered(home: Path) -> None:
    """The kernel says who is at the other end; this process is not the user that may ask."""
    async with opened(home) as gateway, administered(gateway, users=frozenset({os.getuid() + 1})):
        assert await asyncio.to_thread(said, home, framed({"act": "Look", "members": {"kind": "org"}})) == b""
        with pytest.raises(HomeInvalid, match="did not answer"):
            await done(home, BANK)
        assert gateway.current.registry.organisations == {}


@pytest.mark.parametrize(
    "document",
    [
        {"act": "Look", "members": {"kind": "org", "more": 1}},
        {"act": "Look", "members": {"kind": "secrets"}},
        {"act": "Look", "members": []},
        {"act": "Administration", "members": {}},
        {"act": "__import__", "members": {"name": "os"}},
        {"act": "Look", "members": {"kind": "org"}, "by": "root"},
        {"members": {"kind": "org"}},
        [],
        "Look",
    ],
)
async def test_what_is_no_act_is_refused_and_nothing_happens(
    home: Path, running: Gateway, document: object
) -> None:
    answer = await asyncio.to_thread(said, home, framed(document))

    content = json.loads(answer[4:])
    assert (content["refused"], content["done"]) == ("MalformedRequest", None)
    assert running.current.registry.organisations == {}
    await done(home, BANK)  # and the next one is answered


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    "message",
    [b"", b"\x00", struct.pack(">I", 100) + b"{}", b"\xff" * 400],
)
async def test_what_is_no_message_is_hung_up_on(home: Path, message: bytes) -> None:
    assert await asyncio.to_thread(said, home, message) == b""
    await done(home, BANK)


@pytest.mark.usefixtures("running")
async def test_a_message_that_is_too_long_is_not_waited_for(home: Path) -> None:
    too_long = struct.pack(">I", MESSAGE_BYTES_MAX + 1)

    assert await asyncio.to_thread(said, home, too_long, more=True) == b""


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_an_act_or_a_refusal(message: bytes) -> None:
    with contextlib.suppress(MalformedRequest):  # and nothing else is raised
        assert type(_act_of(message)) in ACTS.values()


def test_a_refusal_does_not_repeat_what_was_typed() -> None:
    secret = "correct horse battery"
    for members in ({"password": secret}, {"id": secret, "org": 1, "name": "x", "password": secret}):
        with pytest.raises(MalformedRequest) as refused:
            _act_of(json.dumps({"act": "AddOperator", "members": members}).encode())
        assert secret not in str(refused.value)
        assert refused.value.__suppress_context__


def test_secrets_of_acts_are_never_shown() -> None:
    for act in ACTS.values():
        for each in fields(act):
            assert each.repr is (each.name not in {"password", "code", "reason", "subject"}), (act, each.name)


async def test_an_act_that_cannot_be_recorded_is_refused_and_changes_nothing(
    home: Path, running: Gateway
) -> None:
    await done(home, BANK)
    await running.ledger.close()

    with pytest.raises(LedgerUnavailable):
        await done(home, AddOperator(id="op", org="bank-a", name="Minh"))
    with pytest.raises(LedgerUnavailable):
        await done(home, SetFrozen(what=Freezable.EVERYTHING))

    assert (running.current.registry.operators, running.current.registry.freezes) == ({}, {})


async def test_an_act_that_outlasts_its_limit_goes_on_and_is_applied(
    home: Path, running: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that stalls: whoever froze is told to look, and what is in the log is in force at once."""
    monkeypatch.setattr(admin, "TIMEOUT_S", 0.3)
    stalled = asyncio.create_task(running.ledger._look_up(lambda _: time.sleep(1)))
    await asyncio.sleep(0.05)

    with pytest.raises(ActRefused, match="goes on in the gateway; list or show"):
        await done(home, SetFrozen(what=Freezable.EVERYTHING))
    assert not running.current.registry.is_frozen(Freezable.EVERYTHING)
    await stalled
    await asyncio.sleep(0.2)

    assert running.current.registry.is_frozen(Freezable.EVERYTHING)
    assert [change.id for change in await running.ledger.registry()] == ["everything"]


async def test_who_hangs_up_before_the_answer_does_not_undo_the_act(home: Path, running: Gateway) -> None:
    stalled = asyncio.create_task(running.ledger._look_up(lambda _: time.sleep(0.5)))
    await asyncio.sleep(0.05)
    message = framed({"act": "SetFrozen", "members": {"what": "everything"}})

    folder = os.open(home / "run", os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"/proc/self/fd/{folder}/admin.sock")
        connection.sendall(message)
        await asyncio.sleep(0.1)
    os.close(folder)
    await stalled
    await asyncio.sleep(0.2)

    assert running.current.registry.is_frozen(Freezable.EVERYTHING)


async def test_a_gateway_that_stops_ends_its_acts_first(home: Path) -> None:
    async with opened(home) as gateway:
        async with administered(gateway):
            stalled = asyncio.create_task(gateway.ledger._look_up(lambda _: time.sleep(0.5)))
            await asyncio.sleep(0.05)
            frozen = asyncio.create_task(done(home, SetFrozen(what=Freezable.EVERYTHING)))
            await asyncio.sleep(0.1)
        assert gateway.current.registry.is_frozen(Freezable.EVERYTHING)
        await stalled
    with contextlib.suppress(HomeInvalid):
        await frozen


@pytest.mark.usefixtures("running")
async def test_more_documents_than_one_message_holds_are_refused_before_they_are_sent(home: Path) -> None:
    large = SignedDocument(name="a", text=b"x" * 2**20, note=b"n", cases=b"c" * 2**20)

    with pytest.raises(ActRefused, match="not a note"):
        await done(home, ActivateRules(documents=(large,)))
    with pytest.raises(ActRefused, match="activate fewer documents together"):
        await done(home, ActivateRules(documents=(large, large)))


def test_a_folder_that_a_restart_voids_is_made_anew_for_its_owner_alone(home: Path) -> None:
    (home / "run").rename(home / "elsewhere")
    before = os.umask(0)
    try:
        perform(home, BANK)
    finally:
        os.umask(before)

    assert stat.S_IMODE((home / "run").stat().st_mode) == 0o700
