"""A session logs in once, proves each request, and survives what networks and clocks do."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.client import (
    Answer,
    AnswerRefused,
    ClientKey,
    Gateway,
    GatewayProblem,
    GatewayUnreachable,
    ProfileInvalid,
    StoredReceipt,
    SyncGateway,
)
from gateway.client.wire import checked_origin

SmallGateway = Any
"""What conftest.py builds; test modules cannot import its type."""


def no_prompt(*_: str) -> None:
    raise AssertionError("nobody is to be asked")


def session(to: SmallGateway, **options: Any) -> Gateway:
    return Gateway(to.origin, client="etl-1", key=to.key, **options)


def statistic() -> web.Response:
    rows = [
        {"province": "01", "n": {"value": 12, "margin": 3.5}},
        {"province": "79", "n": {"value": None, "margin": 3.5}},
    ]
    return web.json_response({"rows": rows, "charge": {"rho": "0.01", "epsilon": "0.4"}})


def page(rows: list[dict[str, int]], following: str) -> web.Response:
    """A page of rows that is not the last, as the gateway writes it."""
    return web.json_response({"rows": rows, "next_cursor": following}, headers={"Gateway-Next": following})


async def test_a_login_shows_code_page_and_phrase_and_waits_for_the_person(
    small_gateway: SmallGateway,
) -> None:
    small_gateway.decisions = ["authorization_pending", "authorization_pending"]
    shown: list[tuple[str, str, str]] = []
    async with session(small_gateway) as gateway:
        reached = await gateway.login("credit-risk", lambda *told: shown.append(told))

    assert reached == "aal2"
    assert shown == [("BCDF-GHJK", f"{small_gateway.origin}/activate", "lusab-babad-gutih-tugad")]


async def test_a_prompt_may_be_a_coroutine(small_gateway: SmallGateway) -> None:
    asked = asyncio.Event()

    async def prompt(*_: str) -> None:
        asked.set()

    async with session(small_gateway) as gateway:
        await gateway.login("credit-risk", prompt)

    assert asked.is_set()


@pytest.mark.parametrize("error", ["access_denied", "expired_token", "invalid_grant"])
async def test_a_person_who_says_no_ends_the_login(small_gateway: SmallGateway, error: str) -> None:
    small_gateway.decisions = ["authorization_pending", error]
    async with session(small_gateway) as gateway:
        with pytest.raises(GatewayProblem) as caught:
            await gateway.login("credit-risk", lambda *_: None)

    assert (caught.value.status, caught.value.type) == (400, f"oauth:{error}")


async def test_without_a_login_nothing_is_sent(small_gateway: SmallGateway) -> None:
    async with session(small_gateway) as gateway:
        with pytest.raises(RuntimeError, match="log in first"):
            await gateway.datasets()

    assert small_gateway.seen == []


async def test_a_statistic_is_a_frame_with_margins_and_its_price(small_gateway: SmallGateway) -> None:
    small_gateway.answers = [statistic()]
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        answer = await gateway.query("vn.household", "SELECT COUNT(*) AS n", epsilon="0.4")

    frame = answer.frame()
    assert list(frame.columns) == ["province", "n", "n_margin"]
    assert (frame["n"].dtype, frame["n_margin"].dtype) == ("Int64", "Float64")
    assert frame["n"].tolist()[0] == 12
    assert frame["n"].isna().tolist() == [False, True]  # suppressed is missing, not zero
    assert frame["n_margin"].tolist() == [3.5, 3.5]
    assert frame.attrs["charge"] == {"rho": "0.01", "epsilon": "0.4"}


async def test_every_path_is_asked_as_the_contract_says(small_gateway: SmallGateway) -> None:
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        await gateway.datasets()
        await gateway.dataset("vn.household")
        await gateway.budgets()
        await gateway.records("vn.household", select=["age"], limit=5)
        await gateway.query("vn.household", "SELECT 1", rho="0.1", idempotency_key="k-1")
        await gateway.plan("vn.household", sql="SELECT 1", margin="5")
        await gateway.plan("vn.household", select=["age"])

    asked = [
        (
            query.method,
            query.path,
            query.query_string,
            json.loads(query.body or b"null"),
            query.idempotency_keys,
        )
        for query in small_gateway.seen
    ]
    base = "/v1/datasets/vn.household"
    assert asked == [
        ("GET", "/v1/datasets", "", None, ()),
        ("GET", base, "", None, ()),
        ("GET", "/v1/budgets", "", None, ()),
        ("POST", f"{base}/records", "", {"select": ["age"], "limit": 5}, ()),
        ("POST", f"{base}/query", "", {"sql": "SELECT 1", "rho": "0.1"}, ("k-1",)),
        ("POST", f"{base}/plan", "", {"sql": "SELECT 1", "margin": "5"}, ()),
        ("POST", f"{base}/plan", "of=records", {"select": ["age"]}, ()),
    ]


async def test_each_question_has_an_idempotency_key_of_its_own(small_gateway: SmallGateway) -> None:
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        await gateway.query("x", "SELECT 1")
        await gateway.query("x", "SELECT 1")

    keys = [query.idempotency_keys for query in small_gateway.seen]
    assert len(set(keys)) == 2
    assert all(len(key) == 1 for key in keys)


async def test_a_lost_answer_is_asked_for_again_under_the_same_key_and_a_new_proof(
    small_gateway: SmallGateway,
) -> None:
    """Promise P2: the second try cannot cost twice."""
    small_gateway.answers = [None, statistic()]
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        await gateway.query("x", "SELECT 1")

    first, second = small_gateway.seen
    assert first.idempotency_keys == second.idempotency_keys
    assert first.proofs != second.proofs


async def test_what_is_only_read_is_asked_again_with_a_new_proof_too(small_gateway: SmallGateway) -> None:
    """Promise P7: the HTTP library must not send the same proof again by itself."""
    small_gateway.answers = [None]
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        await gateway.datasets()

    first, second = small_gateway.seen
    assert first.proofs != second.proofs
    assert small_gateway.tokens_given == 1


@pytest.mark.parametrize("origin", ["http://127.0.0.1:9", "https://no-such-host.invalid"])
async def test_a_gateway_that_is_not_there_is_one_clear_sentence(origin: str) -> None:
    async with Gateway(origin, client="etl-1", key=ClientKey.create()) as gateway:
        with pytest.raises(GatewayUnreachable) as caught:
            await gateway.resume("credit-risk")

    assert str(caught.value).startswith(f"{origin} cannot be reached: no")


async def test_a_gateway_that_does_not_answer_is_given_up(small_gateway: SmallGateway) -> None:
    async def hang(_query: Any) -> None:
        await asyncio.sleep(5)

    small_gateway._query = hang
    async with session(small_gateway, timeout_s=0.2) as gateway:
        with pytest.raises(GatewayUnreachable, match="no answer in time"):
            await gateway.resume("credit-risk")


async def test_what_is_signed_is_what_is_sent_character_by_character(small_gateway: SmallGateway) -> None:
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        answer = await gateway.forward(
            "GET", "/v1/datasets/x/proxy/a%2Cb%7E", query_string="q=%2C+%20&r=,", body=b"", headers={}
        )
        for target in ("/v1/a b", "/v1/#x", "/v1/é", "v1", "/v1/\r\nX: y"):
            with pytest.raises(ValueError, match="percent-encoded"):
                await gateway.forward("GET", target, query_string="", body=b"", headers={})

    (query,) = small_gateway.seen
    assert (answer.status, query.path, query.query_string) == (
        200,
        "/v1/datasets/x/proxy/a%2Cb%7E",
        "q=%2C+%20&r=,",
    )


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        ({"resource": "ORIGIN", "gateway_log_key": "log+1+A"}, "log+1+A"),
        ({"resource": "https://elsewhere.example", "gateway_log_key": "log+1+A"}, "calls itself"),
        ({"resource": "ORIGIN"}, "no data sharing gateway"),
        (["x"], "no data sharing gateway"),
    ],
)
async def test_the_published_log_key_is_of_a_gateway_that_calls_itself_so(answered: Any, said: str) -> None:
    async def metadata(request: web.BaseRequest) -> web.Response:
        own = f"http://{request.host}"
        return web.Response(text=json.dumps(answered).replace("ORIGIN", own))

    runner = web.ServerRunner(web.Server(metadata))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with Gateway(
        f"http://127.0.0.1:{runner.addresses[0][1]}", client="etl-1", key=ClientKey.create()
    ) as gateway:
        if said.startswith("log"):
            assert await gateway.published_log_key() == said
        else:
            with pytest.raises(ProfileInvalid, match=said):
                await gateway.published_log_key()
    await runner.cleanup()


async def test_with_the_logs_key_an_answer_without_a_proof_is_not_given_out(
    small_gateway: SmallGateway,
) -> None:
    small_gateway.answers = [statistic(), web.json_response({"title": "Reply not recordable"}, status=503)]
    async with session(small_gateway, log_key="log+00000000+AAAA") as gateway:
        await gateway.resume("credit-risk")
        with pytest.raises(AnswerRefused, match="without a receipt"):
            await gateway.query("x", "SELECT 1")
        with pytest.raises(GatewayProblem, match="not recordable"):  # a refusal holds no data
            await gateway.datasets()


def test_an_answer_without_rows_still_names_its_columns() -> None:
    document = {
        "columns": [{"name": "a", "treatment": "keep"}, {"name": "b", "treatment": "keep"}],
        "rows": [],
    }
    frame = Answer(status=200, content_type="application/json", body=json.dumps(document).encode()).frame()

    assert list(frame.columns) == ["a", "b"]


def test_a_columns_type_does_not_hang_on_what_is_missing() -> None:
    rows = [
        {"t": "a", "i": 1, "f": 1, "b": True, "n": None},
        {"t": None, "i": None, "f": 1.5, "b": None, "n": None},
    ]
    body = json.dumps({"rows": rows}).encode()
    frame = Answer(status=200, content_type="application/json", body=body).frame()

    assert [str(kind) for kind in frame.dtypes] == ["string", "Int64", "Float64", "boolean", "object"]


def test_a_frame_can_be_written_to_parquet_with_what_it_carries(tmp_path: Path) -> None:
    receipt = StoredReceipt(proof=b"p", entry=b"e", body=b"b")
    body = json.dumps({"rows": [{"a": 1}], "charge": {"rho": "0.1"}}).encode()
    frame = Answer(status=200, content_type="application/json", body=body, receipt=receipt).frame()
    frame.to_parquet(tmp_path / "a.parquet")

    assert frame.attrs == {"charge": {"rho": "0.1"}, "receipt": {"receipt": "cA", "entry": "ZQ"}}


async def test_pages_follow_the_cursor_to_the_end(small_gateway: SmallGateway) -> None:
    small_gateway.answers = [
        page([{"a": 1}], "c1"),
        page([{"a": 2}], "c2"),
        web.json_response({"rows": [{"a": 3}]}),
    ]
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        found = [page.frame()["a"].tolist() async for page in gateway.all_records("x", limit=1)]

    assert found == [[1], [2], [3]]
    cursors = [json.loads(query.body).get("cursor") for query in small_gateway.seen]
    assert cursors == [None, "c1", "c2"]


async def test_a_restarted_gateway_voids_the_nonce_and_the_client_learns_the_new_one(
    small_gateway: SmallGateway,
) -> None:
    """Promise P7."""
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        await gateway.datasets()
        small_gateway.nonce_secret = b"the secret of the boot after it!"
        await gateway.datasets()

    assert len(small_gateway.seen) == 2


async def test_a_token_near_its_end_is_renewed_once_for_all_who_wait(small_gateway: SmallGateway) -> None:
    small_gateway.token_life_s = 0
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        small_gateway.token_life_s = 300
        await asyncio.gather(*(gateway.datasets() for _ in range(4)))

    assert (small_gateway.tokens_given, len(small_gateway.seen)) == (2, 4)


async def test_a_token_that_is_no_longer_believed_is_replaced_once(small_gateway: SmallGateway) -> None:
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        small_gateway.signer = type(small_gateway)(key=small_gateway.key).signer
        await gateway.datasets()

    assert small_gateway.tokens_given == 2


async def test_a_client_that_is_not_believed_at_all_gets_the_problem_and_no_loop(
    small_gateway: SmallGateway,
) -> None:
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        refusal = {"WWW-Authenticate": 'DPoP error="invalid_token"'}
        small_gateway.answers = [web.json_response({}, status=401, headers=refusal) for _ in range(9)]
        with pytest.raises(GatewayProblem) as caught:
            await gateway.datasets()

    assert caught.value.status == 401
    assert len(small_gateway.seen) <= 3


async def test_a_problem_says_what_the_gateway_said(small_gateway: SmallGateway) -> None:
    small_gateway.answers = [
        web.Response(
            status=403,
            content_type="application/problem+json",
            text=json.dumps(
                {
                    "type": "urn:problem:gateway:not-permitted",
                    "title": "No sharing rule permits this",
                    "status": 403,
                    "detail": "see the sharing rules named",
                    "instance": "urn:uuid:5d1f0a52-8f0e-4a1e-9d6b-3d5c1f5f4b11",
                    "reason": "rule-forbids",
                }
            ),
        )
    ]
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        with pytest.raises(GatewayProblem) as caught:
            await gateway.records("x")

    problem = caught.value
    assert (problem.status, problem.type, problem.title, problem.detail, problem.members) == (
        403,
        "urn:problem:gateway:not-permitted",
        "No sharing rule permits this",
        "see the sharing rules named",
        {"reason": "rule-forbids"},
    )


@pytest.mark.parametrize("body", ["<html>bad gateway</html>", "[]", "{", '"x"', "[" * 5000])
async def test_an_answer_that_is_no_problem_document_is_a_problem_too(
    small_gateway: SmallGateway, body: str
) -> None:
    small_gateway.answers = [web.Response(status=502, content_type="application/json", text=body)]
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        with pytest.raises(GatewayProblem) as caught:
            await gateway.datasets()

    assert (caught.value.status, caught.value.type) == (502, "about:blank")


async def test_a_redirect_is_not_followed(small_gateway: SmallGateway) -> None:
    small_gateway.answers = [web.Response(status=307, headers={"Location": "/v1/elsewhere"})]
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        answer = await gateway.datasets()

    assert (answer.status, len(small_gateway.seen)) == (307, 1)


async def test_a_token_that_is_not_bound_to_the_key_is_not_taken(small_gateway: SmallGateway) -> None:
    """Promise P7."""
    small_gateway.token_type = "Bearer"
    async with session(small_gateway) as gateway:
        with pytest.raises(AnswerRefused, match="DPoP-bound"):
            await gateway.resume("credit-risk")


async def test_no_secret_is_in_a_repr(small_gateway: SmallGateway) -> None:
    async with session(small_gateway) as gateway:
        await gateway.resume("credit-risk")
        token = gateway._token
        assert token is not None
        shown = repr(gateway) + repr(token)

    assert token.text not in shown


@pytest.mark.parametrize(
    "origin",
    ["http://gateway.example", "ftp://gateway.example", "gateway.example", "https://u@gateway.example",
     "https://gateway.example/v1", "https://gateway.example?x=1", "http://127.0.0.1.example"],
)  # fmt: skip
def test_an_origin_is_https_or_this_machine(origin: str) -> None:
    with pytest.raises(ValueError, match=r"origin|plain http"):
        checked_origin(origin)


async def test_without_await_the_words_and_answers_are_the_same(small_gateway: SmallGateway) -> None:
    pages = [
        page([{"a": 1}], "c1"),
        web.json_response({"rows": [{"a": 2}]}),
    ]
    small_gateway.answers = [statistic(), *pages]

    def work() -> tuple[str, list[float], list[list[int]]]:
        with SyncGateway(small_gateway.origin, client="etl-1", key=small_gateway.key) as gateway:
            reached = gateway.login("credit-risk", lambda *_: None)
            margins = gateway.query("x", "SELECT 1").frame()["n_margin"].tolist()
            return reached, margins, [page.frame()["a"].tolist() for page in gateway.all_records("x")]

    assert await asyncio.to_thread(work) == ("aal2", [3.5, 3.5], [[1], [2]])


def test_the_synchronous_one_works_in_a_with_block_only() -> None:
    gateway = SyncGateway("https://gateway.example", client="etl-1", key=ClientKey.create())

    assert {"login", "query", "all_records", "budgets"} <= set(dir(gateway))
    with pytest.raises(RuntimeError, match="with"):
        gateway.datasets()
