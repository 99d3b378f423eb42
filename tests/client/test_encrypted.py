"""A session with a decryption key: what it asks, what it gives out, and whom it does not trust (issue 6)."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner

from gateway.cli.root import gateway as command
from gateway.client import (
    AnswerRefused,
    DecryptionKey,
    Gateway,
    GatewayProblem,
    SavedRequest,
    StoredReceipt,
    SyncGateway,
)
from gateway.client.connect import serve
from gateway.client.wire import Response
from gateway.delivery.encryption import encrypted
from gateway.jose import base64url_decoded
from gateway.keyring.keyring import Keyring

SmallGateway = Any
"""What conftest.py builds; test modules cannot import its type."""
Record = Callable[..., Awaitable[dict[str, str]]]
JSON = "application/json; charset=utf-8"
PLAIN = b'{"rows":[{"a":1}]}'
KEY, NEXT = DecryptionKey.create(), DecryptionKey.create()


def session(to: SmallGateway, **options: Any) -> Gateway:
    return Gateway(to.origin, client="etl-1", key=to.key, **{"decryption_keys": (KEY,), **options})


def an_answer(
    plain: bytes = PLAIN, inside: str = JSON, key: DecryptionKey = KEY, **headers: str
) -> web.Response:
    body = encrypted(plain, inside, key.jwk)
    return web.Response(body=body, headers={"Content-Type": "application/jose", **headers})


def sealed(headers: dict[str, str]) -> dict[str, str]:
    """A receipt's headers as they travel with an encrypted answer."""
    return {
        name: encrypted(base64url_decoded(value), "text/plain", KEY.jwk).decode()
        for name, value in headers.items()
    }


async def test_rows_and_statistics_are_asked_for_encrypted_and_the_catalogue_is_not(
    small_gateway: SmallGateway,
) -> None:
    saved = SavedRequest(
        purpose="credit-risk", path="/v1/datasets/x/query", body="{}", activation="a", until="2027"
    )
    small_gateway.answers = [web.json_response({}) for _ in range(4)] + [an_answer() for _ in range(6)]
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        for ask in (gateway.datasets, gateway.budgets):
            await ask()
        await gateway.dataset("x")
        await gateway.plan("x", sql="SELECT 1")
        await gateway.records("x", accept="application/x-ndjson")
        await gateway.query("x", "SELECT 1", accept="text/csv")
        await gateway.lookup("x", [{"key": "1"}])
        await gateway.proxy("x", "a")
        [page async for page in gateway.all_records("x")]
        await gateway.run(saved)

    in_json = 'application/jose; cty="application/json"'
    assert [query.accept for query in small_gateway.seen] == [
        *["application/json"] * 4,
        'application/jose; cty="application/x-ndjson"',
        'application/jose; cty="text/csv"',
        *[in_json] * 4,
    ]


async def test_an_answer_is_its_plaintext_and_says_that_it_was_encrypted(small_gateway: SmallGateway) -> None:
    headers = {"gateway-next": "c1"}  # as a front may spell it
    small_gateway.answers = [an_answer(**headers), an_answer(b"a\r\n1\r\n", "text/csv; charset=utf-8", NEXT)]
    async with session(small_gateway, decryption_keys=(KEY, NEXT)) as gateway:
        await gateway.resume("credit-risk")
        answer = await gateway.records("x")
        in_csv = await gateway.records("x", accept="text/csv")

    assert (answer.document, answer.frame()["a"].tolist()) == ({"rows": [{"a": 1}]}, [1])
    assert (answer.content_type, answer.encrypted_to) == ("application/json", KEY.thumbprint)
    assert answer.next_cursor == "c1"
    assert (in_csv.body, in_csv.content_type, in_csv.encrypted_to) == (
        b"a\r\n1\r\n",
        "text/csv",
        NEXT.thumbprint,
    )


async def test_without_a_key_nothing_is_different(small_gateway: SmallGateway) -> None:
    small_gateway.answers = [web.json_response({"rows": []})]
    async with session(small_gateway, decryption_keys=()) as gateway:
        await gateway.resume("credit-risk")
        answer = await gateway.records("x")

    assert answer.encrypted_to is None
    assert small_gateway.seen[0].accept == "application/json, application/jose; q=0", (
        "what nobody here opens is not paid for"
    )


@pytest.mark.parametrize(
    "reply",
    [
        web.json_response({"rows": ["secret"]}),
        web.Response(status=204),
        web.Response(status=307, headers={"Location": "/x"}),
        web.Response(body=b"secret", headers={"Content-Type": "text/csv"}),
    ],
    ids=range(4),
)
async def test_who_stripped_the_encryption_is_found_out(
    small_gateway: SmallGateway, reply: web.Response
) -> None:
    """A gateway of before would not know that the proof names ``Accept``; the answer then tells."""
    small_gateway.answers = [reply]
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        with pytest.raises(AnswerRefused, match="came in clear") as caught:
            await gateway.query("x", "SELECT 1")

    assert "secret" not in str(caught.value)


async def test_nobody_on_the_way_asks_for_it_otherwise(small_gateway: SmallGateway) -> None:
    """The proof names the form that is asked for, and the gateway refuses it with another."""
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        send = gateway._wire.send

        async def stripped(method: str, path: str, *, message: Any) -> Response:
            headers, body = message()
            return await send(method, path, message=lambda: ({**headers, "Accept": "application/json"}, body))

        gateway._wire.send = stripped  # type: ignore[method-assign]
        with pytest.raises(GatewayProblem):
            await gateway.records("x")

    assert small_gateway.seen == []


async def test_a_receipt_in_clear_beside_an_encrypted_answer_is_refused(
    small_gateway: SmallGateway, record: Record
) -> None:
    """It would have told who carried it what to guess."""
    body = encrypted(PLAIN, JSON, KEY.jwk)
    headers = await record(body, PLAIN, encrypted_to=KEY.thumbprint)
    small_gateway.answers = [web.Response(body=body, headers={"Content-Type": "application/jose", **headers})]
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        with pytest.raises(AnswerRefused, match="not encrypted as the gateway encrypts"):
            await gateway.records("x")


async def test_however_it_is_spelt_the_proof_names_the_form(small_gateway: SmallGateway) -> None:
    small_gateway.answers = [an_answer()]
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        await gateway.records("x", accept='Application/JOSE; CTY="text/csv"; q=0.5')

    (seen,) = small_gateway.seen
    assert seen.accept == 'application/jose; cty="text/csv"; q=0.5'
    claims = json.loads(base64url_decoded(seen.proofs[0].split(".")[1]))
    assert claims["accept"] == seen.accept


async def test_a_refusal_comes_in_clear(small_gateway: SmallGateway) -> None:
    small_gateway.answers = [
        web.json_response(
            {"type": "urn:problem:gateway:encryption-key-required", "title": "No key"}, status=403
        ),
        an_answer(),
    ]
    small_gateway.answers[1].set_status(403)
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        for said in ("No key", "did not answer as expected"):
            with pytest.raises(GatewayProblem, match=said):
                await gateway.records("x")


async def test_a_large_answer_is_opened_too(small_gateway: SmallGateway) -> None:
    plain = json.dumps({"rows": ["x" * 6_000_000]}).encode()
    small_gateway.answers = [an_answer(plain)]
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        assert (await gateway.records("x")).body == plain


async def test_what_is_kept_proves_what_came_and_what_it_says(
    small_gateway: SmallGateway, record: Record, keyring: Keyring, tmp_path: Path
) -> None:
    """Promise P9."""
    body = encrypted(PLAIN, JSON, KEY.jwk)
    headers = await record(body, PLAIN, encrypted_to=KEY.thumbprint)
    small_gateway.answers = [
        web.Response(body=body, headers={"Content-Type": "application/jose", **sealed(headers)})
    ]
    async with session(small_gateway, log_key=keyring.log.vkey) as gateway:
        await gateway.resume("credit-risk")
        answer = await gateway.records("x")
    file = tmp_path / "answer.receipt"
    assert answer.receipt is not None
    answer.receipt.save(file)
    (tmp_path / "log.vkey").write_text(keyring.log.vkey, encoding="ascii")

    assert (answer.body, answer.receipt.body, answer.receipt.plain) == (PLAIN, body, PLAIN)
    said = {
        "": "(the answer as it came, encrypted, and what it says)",
        "body": "(what the answer says; the file does not hold it as it came)",
        "plain": "gateway.example/log\n",
        "both": "(its place only: the file holds no answer)",
    }
    kept = json.loads(file.read_text(encoding="ascii"))
    for without, words in said.items():
        left_out = {"body", "plain"} if without == "both" else {without}
        file.write_text(json.dumps({name: kept[name] for name in kept if name not in left_out}))
        shown = CliRunner().invoke(
            command, ["receipt", "verify", str(file), "--log-key", str(tmp_path / "log.vkey")]
        )
        assert (shown.exit_code, words in shown.output) == (0, True), shown.output
    file.write_text(json.dumps(kept))
    redacted = CliRunner().invoke(
        command, ["receipt", "redact", str(file), "--to", str(tmp_path / "handed-in")]
    )
    assert redacted.exit_code == 0
    handed_in = StoredReceipt.load(tmp_path / "handed-in" / "answer.receipt")
    assert (handed_in.body, handed_in.plain) == (None, None)


async def test_an_answer_that_somebody_else_encrypted_is_not_given_out(
    small_gateway: SmallGateway, record: Record, keyring: Keyring
) -> None:
    """Promise P1, held by the firm: they read it in clear, or made it up, and know our public key."""
    made_up = encrypted(b'{"rows":["made up"]}', JSON, KEY.jwk)
    ours, again = (encrypted(PLAIN, JSON, KEY.jwk) for _ in range(2))
    of_ours = await record(ours, PLAIN, encrypted_to=KEY.thumbprint)
    cheats = [
        (made_up, of_ours, "does not commit to this body"),
        (again, of_ours, "does not commit to this body"),
        (ours, await record(PLAIN), "does not commit to this body"),
        (ours, await record(ours, encrypted_to=KEY.thumbprint), "does not commit to this plaintext"),
        (ours, await record(ours, PLAIN), "not encrypted to this key"),
        (ours, {}, "without a receipt"),
    ]
    async with session(small_gateway, log_key=keyring.log.vkey) as gateway:
        await gateway.resume("credit-risk")
        for body, headers, said in cheats:
            answer = web.Response(body=body, headers={"Content-Type": "application/jose", **sealed(headers)})
            small_gateway.answers = [answer]
            with pytest.raises(AnswerRefused, match=said):
                await gateway.query("x", "SELECT 1")


async def test_programs_of_this_machine_get_what_it_says_with_the_receipt(
    small_gateway: SmallGateway, record: Record, keyring: Keyring
) -> None:
    rows, body = b"a\r\n1\r\n", encrypted(b"a\r\n1\r\n", "text/csv; charset=utf-8", KEY.jwk)
    headers = await record(body, rows, encrypted_to=KEY.thumbprint)
    small_gateway.answers = [
        web.Response(
            body=body, headers={"content-type": "application/jose", "Gateway-Next": "c1", **sealed(headers)}
        ),
        web.json_response({"rows": ["secret"]}, headers=sealed(headers)),
        web.Response(headers={"Content-Type": "application/jose", **sealed(headers)}),
    ]
    stopped, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with session(small_gateway, log_key=keyring.log.vkey) as gateway, aiohttp.ClientSession() as http:
        await gateway.resume("credit-risk")
        serving = asyncio.create_task(
            serve(
                gateway, secret="s" * 32, port=0, allowed=("/v1",), on_ready=ready.set_result, stopped=stopped
            )
        )
        signer = await ready
        async with http.get(
            f"{signer.url}/v1/datasets/x/proxy/a", headers={"Accept": "text/*, */*;q=0.1"}
        ) as came:
            got = (came.status, came.headers.getall("Content-Type"), await came.read())
            passed = {name: came.headers[name] for name in ("Gateway-Next", *headers)}
        async with http.get(f"{signer.url}/records/x.csv?limit=1") as stripped:
            refusal = (stripped.status, await stripped.json(content_type=None))
        async with http.head(f"{signer.url}/v1/datasets/x/proxy/a") as head:
            assert (head.status, await head.read()) == (200, b"")
        stopped.set()
        await serving

    assert got == (200, ["text/csv; charset=utf-8"], rows)
    assert passed == {"Gateway-Next": "c1", **headers}
    assert (refusal[0], "came in clear" in refusal[1]["detail"]) == (502, True)
    assert [query.accept for query in small_gateway.seen] == [
        'application/jose; cty="text/csv", application/jose; q=0.1',
        'application/jose; cty="text/csv"',
        "application/jose",
    ]


async def test_without_await_it_is_the_same(small_gateway: SmallGateway) -> None:
    small_gateway.answers = [an_answer()]

    def work() -> tuple[bytes, str | None]:
        options = {"client": "etl-1", "key": small_gateway.key, "decryption_keys": [KEY]}
        with SyncGateway(small_gateway.origin, **options) as gateway:
            gateway.resume("credit-risk")
            answer = gateway.records("x")
            return answer.body, answer.encrypted_to

    assert await asyncio.to_thread(work) == (PLAIN, KEY.thumbprint)
    with pytest.raises(ValueError, match="at most 2"):
        session(small_gateway, decryption_keys=(KEY, KEY))
