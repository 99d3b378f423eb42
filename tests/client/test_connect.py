"""The loopback signer adds token and proof for those who know its address, and for nobody else."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from gateway.client import Gateway
from gateway.client.connect import AT_ONCE_MAX, WAITING_MAX, Signer, serve
from gateway.client.failures import ClientFailure
from gateway.client.neighbour import owner_in
from gateway.client.once import QUESTIONS_MAX, REMEMBERED_S, OncePaid

SmallGateway = Any
"""What conftest.py builds; test modules cannot import its type."""
SECRET = "s" * 32


@asynccontextmanager
async def signing(
    to: SmallGateway, *, allowed: tuple[str, ...] = ("/v1",), **options: Any
) -> AsyncIterator[Signer]:
    """A signer on a free port, logged in."""
    stopped = asyncio.Event()
    ready: asyncio.Future[Signer] = asyncio.get_running_loop().create_future()
    async with Gateway(to.origin, client="etl-1", key=to.key, **options) as gateway:
        await gateway.resume("credit-risk")
        serving = asyncio.create_task(
            serve(gateway, secret=SECRET, port=0, allowed=allowed, on_ready=ready.set_result, stopped=stopped)
        )
        try:
            yield await ready
        finally:
            stopped.set()
            await serving


async def asked(url: str, method: str = "GET", **options: Any) -> tuple[int, CIMultiDict[str], bytes]:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, URL(url, encoded=True), **options) as answer,
    ):
        return answer.status, CIMultiDict(answer.headers), await answer.read()


async def test_a_request_is_forwarded_as_it_is_with_token_and_proof(small_gateway: SmallGateway) -> None:
    small_gateway.answers = [
        web.Response(
            status=418,
            body=b"\x00\xff",
            headers={
                "Content-Type": "text/x-own", "Gateway-Receipt": "cmVjZWlwdA", "Set-Cookie": "a=b",
                "Access-Control-Allow-Origin": "*", "Cache-Control": "public",
            },
        )
    ]  # fmt: skip
    async with signing(small_gateway) as signer:
        status, headers, body = await asked(
            f"{signer.url}/v1/datasets/x/proxy/a%2Cb?c=%2C&d=+",
            headers={"Authorization": "Basic eDp5", "Cookie": "a=b", "DPoP": "forged", "X-Own": "1"},
        )

    (query,) = small_gateway.seen
    assert (query.path, query.query_string) == ("/v1/datasets/x/proxy/a%2Cb", "c=%2C&d=+")
    assert (status, body, headers["Content-Type"]) == (418, b"\x00\xff", "text/x-own")
    assert headers["Gateway-Receipt"] == "cmVjZWlwdA"
    assert headers["Cache-Control"] == "no-store"
    assert not {"Set-Cookie", "Access-Control-Allow-Origin", "DPoP-Nonce"} & set(headers)
    assert len(query.proofs) == len(query.authorizations) == 1
    assert query.authorizations[0].startswith("DPoP ")


async def test_what_curl_calls_a_form_is_sent_as_json_and_can_be_repeated(
    small_gateway: SmallGateway,
) -> None:
    """Promise P2: a lost answer is asked for again under the same key."""
    small_gateway.answers = [None]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with signing(small_gateway) as signer:
        url = f"{signer.url}/v1/datasets/x/query"
        await asked(url, "POST", data=b' {"sql": "SELECT 1"}', headers=form)
        await asked(url, "POST", data=b"{}", headers={"Idempotency-Key": "mine"})
        await asked(f"{signer.url}/v1/datasets/x/lookup", "POST", data=b'{"keys": []}')

    first, again, own, lookup = small_gateway.seen
    assert (first.content_type, first.body) == ("application/json", b' {"sql": "SELECT 1"}')
    assert first.idempotency_keys == again.idempotency_keys != ()
    assert own.idempotency_keys == ("mine",)
    assert len(lookup.idempotency_keys) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 403),
        ({"Host": "gateway.example"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "localhost"}, 421),
        ({"Host": "127.0.0.1.gateway.example"}, 421),
    ],
)
async def test_a_web_page_cannot_ask(
    small_gateway: SmallGateway, headers: dict[str, str], status: int
) -> None:
    async with signing(small_gateway) as signer:
        refused, answered, _ = await asked(f"{signer.url}/v1/datasets", headers=headers)

    assert refused == status
    assert "Access-Control-Allow-Origin" not in answered
    assert small_gateway.seen == []


async def test_who_types_the_address_into_a_browser_may_ask(small_gateway: SmallGateway) -> None:
    async with signing(small_gateway) as signer:
        at_localhost = signer.url.replace("127.0.0.1", "localhost")
        status, headers, _ = await asked(f"{at_localhost}/v1/datasets", headers={"Sec-Fetch-Site": "none"})

    assert status == 200
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/datasets", 404),
        (f"/{SECRET[:-1]}/v1/datasets", 404),
        (f"/{SECRET}x/v1/datasets", 404),
        (f"/{SECRET.upper()}/v1/datasets", 404),
        (f"/%73{SECRET[1:]}/v1/datasets", 404),
        (f"/{SECRET}", 404),
        (f"/{SECRET}/oauth/token", 404),
        (f"/{SECRET}/v1/../oauth/token", 400),
        (f"/{SECRET}/v1/%2e%2e/oauth/token", 400),
        (f"/{SECRET}/v1/a%2f..%2fb", 400),
        (f"/{SECRET}/v1//x", 400),
        (f"/{SECRET}/v1/x%5Cy", 400),
    ],
)
async def test_only_paths_for_data_behind_the_secret_are_signed(
    small_gateway: SmallGateway, path: str, status: int
) -> None:
    async with signing(small_gateway) as signer:
        reader, writer = await asyncio.open_connection("127.0.0.1", signer.port)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{signer.port}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = await reader.read()
        writer.close()

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert small_gateway.seen == []


async def test_only_the_allowed_paths_are_signed(small_gateway: SmallGateway) -> None:
    async with signing(small_gateway, allowed=("/v1/datasets/a",)) as signer:
        found = [
            (await asked(f"{signer.url}{path}"))[0]
            for path in ("/v1/datasets/a", "/v1/datasets/a/proxy/x", "/v1/datasets/ab", "/v1/budgets")
        ]

    assert found == [200, 200, 403, 403]


async def test_methods_and_bodies_are_bounded(small_gateway: SmallGateway) -> None:
    async with signing(small_gateway) as signer:
        methods = [(await asked(f"{signer.url}/v1/x", m))[0] for m in ("PUT", "DELETE", "OPTIONS", "TRACE")]
        large, _, _ = await asked(f"{signer.url}/v1/x", "POST", data=b"x" * (64 * 1024 + 1))
        by_address, _, _ = await asked(f"{signer.url}/query/x.csv?sql=1", "POST", data=b"{}")

    assert (methods, large, by_address) == ([405] * 4, 413, 405)
    assert small_gateway.seen == []


async def test_too_many_at_once_are_turned_away_and_the_rest_are_answered(
    small_gateway: SmallGateway,
) -> None:
    async with signing(small_gateway) as signer:
        crowd = AT_ONCE_MAX + WAITING_MAX + 40
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

            async def once() -> int:
                async with http.get(f"{signer.url}/v1/datasets") as answer:
                    return answer.status

            statuses = await asyncio.gather(*(once() for _ in range(crowd)))
        again, _, _ = await asked(f"{signer.url}/v1/datasets")

    assert set(statuses) <= {200, 503}
    assert statuses.count(200) == len(small_gateway.seen) - 1 >= WAITING_MAX
    assert again == 200


async def test_a_question_by_address_is_the_gateways_own_question(small_gateway: SmallGateway) -> None:
    small_gateway.answers = [web.json_response({"columns": [{"name": "age", "type": "integer"}]})]
    async with signing(small_gateway) as signer:
        await asked(f"{signer.url}/records/x.csv?select=age,sex&where=age%3E=18&limit=5&cursor=c")
        await asked(f"{signer.url}/query/x.json?sql=SELECT+1&epsilon=0.1")

    described, records, query = small_gateway.seen
    assert described.path == "/v1/datasets/x"
    assert (records.path, records.accept, json.loads(records.body)) == (
        "/v1/datasets/x/records",
        "text/csv, application/jose; q=0",
        {"select": ["age", "sex"], "limit": 5, "cursor": "c", "where": {"column": "age", "at_least": 18}},
    )
    assert (query.path, query.accept, json.loads(query.body)) == (
        "/v1/datasets/x/query",
        "application/json, application/jose; q=0",
        {"sql": "SELECT 1", "epsilon": "0.1"},
    )
    assert len(query.idempotency_keys) == 1


@pytest.mark.parametrize(
    "address",
    ["/query/x.csv", "/query/x.csv?sql=1&sql=2", "/query/x.csv?sql=1&limit=1", "/records/x.csv?limit=-1",
     "/records/x.csv?where=nothing", "/records/x.csv?limit", "/records/x.csv?select=%ff"],
)  # fmt: skip
async def test_an_address_that_asks_nothing_says_what_would(
    small_gateway: SmallGateway, address: str
) -> None:
    async with signing(small_gateway) as signer:
        status, _, body = await asked(signer.url + address)

    assert status == 400
    assert json.loads(body)["detail"]


async def test_an_answer_without_a_proof_is_not_given_out(small_gateway: SmallGateway) -> None:
    """Promise P1, held by the firm."""
    small_gateway.answers = [web.json_response({"rows": ["secret"]})]
    async with signing(small_gateway, log_key="log+00000000+AAAA") as signer:
        status, _, body = await asked(f"{signer.url}/v1/datasets")

    assert (status, json.loads(body)["title"]) == (502, "No answer that can be used")
    assert b"secret" not in body


async def test_a_gateway_that_is_gone_is_a_sentence(small_gateway: SmallGateway) -> None:
    small_gateway.answers = [None, None]
    async with signing(small_gateway) as signer:
        status, _, body = await asked(f"{signer.url}/v1/datasets")

    assert status == 502
    assert "cannot be reached" in json.loads(body)["detail"]


async def test_a_port_that_is_taken_is_a_sentence(small_gateway: SmallGateway) -> None:
    async with signing(small_gateway) as signer:
        with pytest.raises(ClientFailure, match="--port"):
            await serve(
                signer.gateway, secret=SECRET, port=signer.port, allowed=(), stopped=asyncio.Event(),
                on_ready=lambda _: None,
            )  # fmt: skip


async def test_no_secret_is_in_a_repr(small_gateway: SmallGateway) -> None:
    async with signing(small_gateway) as signer:
        assert SECRET not in repr(signer)


LISTED = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:223D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0
   1: 0100007F:9C40 0100007F:223D 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0
   2: 0100007F:223D 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     7        0 3 1 0
   3: 0000000000000000FFFF00000100007F:9C41 0000000000000000FFFF00000100007F:223D 01 0:0 0:0 0 1001 0 4 1
   4: 0500000A:9C42 0100007F:223D 01 00000000:00000000 00:00000000 00000000  1002        0 5 1 0
"""


@pytest.mark.parametrize(("port", "owner"), [(0x9C40, 1000), (0x9C41, 1001), (0x9C42, None), (1, None)])
def test_the_system_tells_whose_program_asks(port: int, owner: int | None) -> None:
    assert owner_in(LISTED.splitlines(), port, 0x223D) == owner


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("curl") is None, reason="only root can run curl as somebody else"
)
async def test_another_user_who_knows_the_address_cannot_ask(small_gateway: SmallGateway) -> None:
    answers = []
    async with signing(small_gateway) as signer:
        command = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*")
        for user in (None, 65534):
            process = await asyncio.create_subprocess_exec(
                *command, f"{signer.url}/v1/datasets", stdout=asyncio.subprocess.PIPE, user=user, cwd="/"
            )
            output, _ = await process.communicate()
            answers.append(output)

    assert answers == [b"200", b"403"]
    assert len(small_gateway.seen) == 1


async def test_the_same_question_has_the_same_key_for_ten_minutes() -> None:
    now = [0.0]
    paid = OncePaid(lambda: now[0])

    async def key(question: bytes) -> str:
        async with paid.key_of(question) as held:
            return held

    first = await key(b"a")
    assert await key(b"b") != first
    now[0] = REMEMBERED_S - 1
    assert await key(b"a") == first
    now[0] = REMEMBERED_S
    assert await key(b"a") != first
    for number in range(QUESTIONS_MAX + 5):
        await key(str(number).encode())
    assert len(paid._paid) <= QUESTIONS_MAX


async def test_who_asks_the_same_waits_for_the_first() -> None:
    paid, order = OncePaid(), []

    async def ask(name: str) -> None:
        async with paid.key_of(b"q"):
            order.append(f"{name} in")
            await asyncio.sleep(0)
            order.append(f"{name} out")

    await asyncio.gather(ask("a"), ask("b"))
    assert order == ["a in", "a out", "b in", "b out"]
