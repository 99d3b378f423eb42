"""What is not HTTP, is too slow or too large gets no reply of the framework's own (promise P1)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace

import pytest
from aiohttp import web
from multidict import CIMultiDict

from gateway.web import transport
from gateway.web.api import peer_of
from gateway.web.transport import ClosingServer, Refused, body_of

Talk = Callable[[bytes], Awaitable[bytes]]


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    if request.path == "/flood":
        raise Refused("flood")
    if request.path == "/bug":
        raise ZeroDivisionError("4711")
    body = await body_of(request, 10)
    return web.Response(body=b"too large" if body is None else b"got " + body)


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    """Sends bytes to a real server and returns all that comes back until it closes."""
    runner = web.ServerRunner(ClosingServer(echo))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]

    async def send(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            await writer.drain()
            return await asyncio.wait_for(reader.read(-1), timeout=5)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    yield send
    await runner.cleanup()


def a_request(path: str = "/", body: bytes = b"", more: str = "") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body


async def test_a_request_is_answered(talk: Talk) -> None:
    answer = await talk(a_request(body=b"hello"))

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\ngot hello")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    ],
)  # fmt: skip
async def test_p1_malformed_http_gets_no_reply(talk: Talk, data: bytes) -> None:
    """Promise P1: the framework says nothing that the ledger does not know of."""
    assert await talk(data) == b""


@pytest.mark.parametrize("path", ["/flood", "/bug"])
async def test_p1_a_flood_and_a_bug_above_the_flow_close_the_connection(talk: Talk, path: str) -> None:
    """Promise P1, and nothing of a bug leaves."""
    assert await talk(a_request(path)) == b""


async def test_a_body_over_its_bound_is_not_read_to_its_end(talk: Talk) -> None:
    assert (await talk(a_request(body=b"x" * 11))).endswith(b"too large")


async def test_a_body_that_drips_closes_the_connection(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "BODY_READ_S", 0.05)
    unfinished = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhel"

    assert await talk(unfinished) == b""


async def test_who_connects_and_says_nothing_is_cut_off(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "HEADER_READ_S", 0.05)

    assert await talk(b"") == b""
    assert await talk(b"GET / HTTP/1.1\r\nHost: ") == b""


async def test_there_is_room_for_so_many_connections_only(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CONNECTIONS_MAX", 0)

    assert await talk(a_request()) == b""


@pytest.mark.parametrize(
    ("fronts", "header", "peer"),
    [
        (0, "198.51.100.7", "127.0.0.1"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "made-up, 198.51.100.7", "198.51.100.7"),
        (2, "made-up, 198.51.100.7, 10.0.0.1", "198.51.100.7"),
        (2, "198.51.100.7", "127.0.0.1"),
        (1, "", "127.0.0.1"),
    ],
)
def test_only_what_our_own_fronts_say_of_an_address_is_believed(fronts: int, header: str, peer: str) -> None:
    headers = CIMultiDict({"X-Forwarded-For": header})
    request = SimpleNamespace(remote="127.0.0.1", headers=headers)

    assert peer_of(request, fronts) == peer  # type: ignore[arg-type]
