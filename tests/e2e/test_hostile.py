"""Bad input of every kind: a typed problem, 4xx, in the log, no word of ours too many; never a 5xx.

At the end an outside observer counts: every reply received stands in the log, and none of them holds
a trace of a program or a raw value of a person.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import apsw
import pytest
from house import make_house
from real_data import tables
from scene import Scene

from gateway.client import ClientKey, Gateway, GatewayProblem, StoredReceipt
from gateway.client.receipt import receipt_of
from gateway.client.wire import Response
from gateway.jose import base64url
from gateway.ledger.audit import verify_store

TRACES = (b"Traceback", b'File "', b".py", b"duckdb", b"sqlglot", b"apsw", b"Exception")


@dataclass(slots=True)
class Observer:
    """Keeps every reply that any test of this module received."""

    receipts: list[StoredReceipt] = field(default_factory=list)

    def saw(self, status: int, headers: object, body: bytes) -> None:
        receipt = receipt_of(headers, body)  # type: ignore[arg-type]
        assert receipt is not None, f"a reply with status {status} came without a receipt"
        assert not any(trace in body for trace in TRACES), body
        self.receipts.append(receipt)


@pytest.fixture(scope="module")
def observer() -> Observer:
    return Observer()


@pytest.fixture
async def session(scene: Scene) -> AsyncIterator[Gateway]:
    async with scene.house.session(scene.firm) as gateway:
        yield gateway


async def sent(
    session: Gateway, method: str, path: str, body: bytes, headers: dict[str, str] | None = None
) -> Response:
    """Send with good credentials and whatever content."""
    return await session._signed(
        method, path, "", body, {"Content-Type": "application/json"} | (headers or {})
    )


def problem(response: Response) -> dict[str, object]:
    assert response.content_type.startswith("application/problem+json")
    document = json.loads(response.body)
    assert isinstance(document, dict)
    assert document["status"] == response.status
    return document


BODIES = [
    (b"", 400),
    (b"{", 400),
    (b"[]", 400),
    (b"null", 400),
    (b'"SELECT"', 400),
    (b'{"sql": 5}', 400),
    (b'{"sql": "SELECT COUNT(*) FROM data", "sql": "x"}', 400),
    (b'{"sql": "SELECT COUNT(*) FROM data", "rho": NaN}', 400),
    (b'{"sql": "SELECT COUNT(*) FROM data", "rho": 1e999}', 400),
    (b'{"sql": "SELECT COUNT(*) FROM data", "rho": 1e99999999999999999999}', 400),
    (b'{"sql": "SELECT COUNT(*) FROM data", "rho": 1e-99999999999999999999}', 400),
    (b'{"sql": "SELECT COUNT(*) FROM data", "rho": "-1"}', 400),
    (b'{"sql": "SELECT COUNT(*) FROM data", "unknown": 1}', 400),
    (b'{"sql": "SELECT COUNT(*) FROM data", "rho": "0.01", "epsilon": "1"}', 400),
    (b'{"sql": "\\ud800"}', 400),
    (b"\xff\xfe{}", 400),
    (b'{"sql": "SELECT COUNT(*) FROM data -- \\u0000"}', 400),
    (b"\xef\xbb\xbf{}", 400),
    (b"[" * 60_000, 400),
    (b'{"sql": "' + b"a" * 60_000 + b'"}', 422),
]

QUESTIONS = [
    "",
    "SELECT",
    "SELECT 1",
    "SELECT * FROM data",
    "SELECT COUNT(*) FROM elsewhere",
    "SELECT COUNT(*) FROM data; DROP TABLE data",
    "SELECT COUNT(*) FROM data, data AS d",
    "SELECT COUNT(*) FROM data JOIN data AS d ON 1=1",
    "SELECT COUNT(*) FROM (SELECT * FROM data) AS d",
    "WITH d AS (SELECT 1) SELECT COUNT(*) FROM d",
    "SELECT COUNT(*) FROM data UNION SELECT COUNT(*) FROM data",
    "SELECT COUNT(*) FROM data HAVING COUNT(*) > 1",
    "SELECT COUNT(*) FROM data LIMIT 1",
    "SELECT MEDIAN(age) FROM data",
    "SELECT MAX(age) FROM data",
    "SELECT COUNT(*) FROM data WHERE race = 'White'",
    "SELECT race, COUNT(*) FROM data GROUP BY race",
    "SELECT nothing, COUNT(*) FROM data GROUP BY nothing",
    "SELECT COUNT(*) FROM data WHERE read_csv('/etc/passwd') IS NOT NULL",
    "SELECT COUNT(*) FROM read_csv('/etc/passwd')",
    "SELECT COUNT(*) FROM '/etc/passwd'",
    "COPY data TO '/tmp/x'",
    "PRAGMA database_list",
    "ATTACH 'x' AS y",
    "SELECT COUNT(*) FROM data WHERE " + "(" * 2000 + "1" + ")" * 2000,
    "SELECT SUM(1/0) FROM data",
    "SELECT COUNT(*) FROM data WHERE 1/0 = 1",
    "'; DROP TABLE data; --",
    "\u202eSELECT",
]

RECORDS = [
    ({"limit": 0}, 400),
    ({"limit": -1}, 400),
    ({"limit": 10**30}, 422),
    ({"limit": "5"}, 400),
    ({"limit": True}, 400),
    ({"select": []}, 400),
    ({"select": ["nothing"]}, 422),
    ({"select": ["race"]}, 422),
    ({"select": "age"}, 400),
    ({"where": {"column": "race", "equals": "White"}}, 422),
    ({"where": {"column": "nothing", "equals": 1}}, 422),
    ({"where": {"column": 5, "equals": 1}}, 400),
    ({"where": {"sql": "1=1"}}, 400),
    ({"cursor": "abc"}, 400),
    ({"cursor": 5}, 400),
    ({"cursor": base64url(b"x" * 100)}, 400),
    ({"offset": 5}, 400),
]


@pytest.mark.parametrize(("body", "status"), BODIES, ids=range(len(BODIES)))
async def test_a_body_that_is_no_question(
    scene: Scene, session: Gateway, observer: Observer, body: bytes, status: int
) -> None:
    path = f"/v1/datasets/{scene.tables.tables[0].dataset}/query"

    response = await sent(session, "POST", path, body)

    observer.saw(response.status, response.headers, response.body)
    assert (response.status, problem(response)["title"]) == (
        status,
        "The request cannot be read" if status == 400 else "This cannot be asked",
    )


@pytest.mark.parametrize("sql", QUESTIONS, ids=range(len(QUESTIONS)))
async def test_a_question_that_cannot_be_asked(
    scene: Scene, session: Gateway, observer: Observer, sql: str
) -> None:
    path = f"/v1/datasets/{scene.tables.tables[0].dataset}/query"

    response = await sent(session, "POST", path, json.dumps({"sql": sql}).encode())

    observer.saw(response.status, response.headers, response.body)
    assert response.status == 422
    assert problem(response)["type"] == "urn:problem:gateway:question-refused"
    assert len(response.body) < 1000


@pytest.mark.parametrize(("question", "status"), RECORDS, ids=range(len(RECORDS)))
async def test_a_pull_that_cannot_be_asked(
    scene: Scene, session: Gateway, observer: Observer, question: dict[str, object], status: int
) -> None:
    path = f"/v1/datasets/{scene.tables.tables[0].dataset}/records"

    response = await sent(session, "POST", path, json.dumps(question).encode())

    observer.saw(response.status, response.headers, response.body)
    assert response.status == status, response.body
    problem(response)


@pytest.mark.parametrize(
    "case",
    [
        ("POST", "/v1/datasets/nothing/query", {}, 404, "dataset-unknown"),
        ("POST", "/v1/datasets/nothing/records", {}, 404, "dataset-unknown"),
        ("GET", "/v1/datasets/nothing", {}, 404, "dataset-unknown"),
        ("GET", "/v1/nothing", {}, 404, "path-unknown"),
        ("GET", "/", {}, 404, "path-unknown"),
        ("PUT", "/v1/datasets", {}, 405, "method-not-allowed"),
        ("POST", "/checkpoint", {}, 405, "method-not-allowed"),
        ("POST", "{query}", {"Content-Type": "text/plain"}, 415, "unsupported-content"),
        ("POST", "{query}", {"Content-Encoding": "gzip"}, 415, "unsupported-content"),
        ("POST", "{query}", {"Accept": "application/xml"}, 406, "not-acceptable"),
        ("POST", "{query}", {"Idempotency-Key": "a b"}, 400, "malformed-request"),
        ("POST", "{query}", {"Idempotency-Key": "a" * 129}, 400, "malformed-request"),
    ],
)  # fmt: skip
async def test_a_path_method_or_header_that_is_not_taken(
    scene: Scene, session: Gateway, observer: Observer, case: tuple[str, str, dict[str, str], int, str]
) -> None:
    method, path, headers, status, slug = case
    body = b'{"sql": "SELECT COUNT(*) FROM data"}' if method == "POST" else b""
    path = path.format(query=f"/v1/datasets/{scene.tables.tables[0].dataset}/query")

    response = await sent(session, method, path, body, headers)

    observer.saw(response.status, response.headers, response.body)
    assert (response.status, problem(response)["type"]) == (status, f"urn:problem:gateway:{slug}")


async def test_a_body_over_the_bound(scene: Scene, session: Gateway, observer: Observer) -> None:
    path = f"/v1/datasets/{scene.tables.tables[0].dataset}/query"

    response = await sent(session, "POST", path, b'{"sql": "' + b" " * 70_000 + b'"}')

    observer.saw(response.status, response.headers, response.body)
    assert problem(response)["type"] == "urn:problem:gateway:body-too-large"


async def test_p3_a_firm_that_no_rule_names_gets_nothing(scene: Scene, observer: Observer) -> None:
    """Promise P3: default deny, over the wire."""
    dataset = scene.tables.tables[0].dataset
    async with scene.house.session(scene.stranger) as session:
        refused = [
            await sent(session, "POST", f"/v1/datasets/{dataset}/records", b"{}"),
            await sent(
                session, "POST", f"/v1/datasets/{dataset}/query", b'{"sql": "SELECT COUNT(*) FROM data"}'
            ),
            await sent(
                session, "POST", f"/v1/datasets/{dataset}/plan", b'{"sql": "SELECT COUNT(*) FROM data"}'
            ),
        ]
        listed = (await session.datasets()).document["datasets"]

    for response in refused:
        observer.saw(response.status, response.headers, response.body)
        assert response.status == 403
        assert problem(response)["reason"] == "no-rule-permits"
    assert all(entry["may"] == [] for entry in listed)


async def test_a_client_that_no_person_activated_is_told_to_step_up(scene: Scene, observer: Observer) -> None:
    """RFC 9470: the challenge says what would be enough, and goes to the key's holder only."""
    dataset, firm = scene.tables.tables[0].dataset, scene.sleeper
    async with Gateway(scene.house.origin, client=firm.client, key=ClientKey.create()) as thief:
        with pytest.raises(GatewayProblem) as refused:
            await thief.resume(firm.purpose)
    assert refused.value.status == 401
    async with Gateway(scene.house.origin, client=firm.client, key=firm.key) as session:
        assert await session.resume(firm.purpose) == "aal1"
        response = await sent(session, "POST", f"/v1/datasets/{dataset}/records", b"{}")

    observer.saw(response.status, response.headers, response.body)
    assert response.status == 401
    assert problem(response)["required"] == {"acr": ["aal2"], "max_age": 28800}
    assert response.headers["WWW-Authenticate"] == (
        'DPoP error="insufficient_user_authentication", algs="ES256 EdDSA", '
        'acr_values="aal2", max_age="28800"'
    )


# Promise P7: a token is useless to a thief.


def authorization(token: str, proof: str | None) -> dict[str, str]:
    head = {"Authorization": f"DPoP {token}", "Content-Type": "application/json"}
    return head if proof is None else {**head, "DPoP": proof}


async def raw(
    scene: Scene, path: str, headers: list[tuple[str, str]], body: bytes, observer: Observer
) -> int:
    async with (
        aiohttp.ClientSession() as http,
        http.post(scene.house.origin + path, headers=headers, data=body) as answer,
    ):
        text = await answer.read()
        observer.saw(answer.status, answer.headers, text)
        return answer.status


@pytest.mark.parametrize(
    "theft",
    [
        "bearer", "no-proof", "other-key", "other-body", "other-path", "other-query", "other-method",
        "old", "future", "no-nonce", "foreign-nonce", "two-proofs", "two-tokens", "replay", "other-host",
    ],
)  # fmt: skip
async def test_p7_a_stolen_token_opens_nothing(
    scene: Scene, session: Gateway, observer: Observer, theft: str
) -> None:
    """Promise P7: without the key, over this very request, once."""
    path = f"/v1/datasets/{scene.tables.tables[0].dataset}/query"
    body = b'{"sql": "SELECT COUNT(*) FROM data", "rho": "0.001"}'
    assert (await session.datasets()).status == 200  # learns the nonce
    assert session._token is not None
    token, key, now = session._token.text, session._proof_key, datetime.now(UTC)

    def proof(**changes: object) -> str:
        asked: dict[str, object] = {
            "method": "POST",
            "url": scene.house.origin + path,
            "now": now,
            "nonce": session._nonce,
            "access_token": token,
            "body": body,
        }
        return key.proof(**(asked | changes))  # type: ignore[arg-type]

    mine, json_type, good = ("Authorization", f"DPoP {token}"), ("Content-Type", "application/json"), proof()
    thief = ClientKey.create()
    stolen = thief.proof(
        method="POST",
        url=scene.house.origin + path,
        now=now,
        nonce=session._nonce,
        access_token=token,
        body=body,
    )
    attacks: dict[str, tuple[str, list[tuple[str, str]]]] = {
        "bearer": (path, [("Authorization", f"Bearer {token}"), json_type]),
        "no-proof": (path, [mine, json_type]),
        "other-key": (path, [mine, ("DPoP", stolen), json_type]),
        "other-body": (path, [mine, ("DPoP", proof(body=b"{}")), json_type]),
        "other-path": (path, [mine, ("DPoP", proof(url=scene.house.origin + "/v1/datasets")), json_type]),
        "other-query": (path + "?a=1", [mine, ("DPoP", good), json_type]),
        "other-method": (path, [mine, ("DPoP", proof(method="GET")), json_type]),
        "old": (path, [mine, ("DPoP", proof(now=now - timedelta(minutes=2))), json_type]),
        "future": (path, [mine, ("DPoP", proof(now=now + timedelta(minutes=2))), json_type]),
        "no-nonce": (path, [mine, ("DPoP", proof(nonce=None)), json_type]),
        "foreign-nonce": (path, [mine, ("DPoP", proof(nonce="A" * 43)), json_type]),
        "two-proofs": (path, [mine, ("DPoP", good), ("DPoP", proof()), json_type]),
        "two-tokens": (path, [mine, mine, ("DPoP", good), json_type]),
        "replay": (path, [mine, ("DPoP", good), json_type]),
        "other-host": (
            path,
            [mine, ("DPoP", proof(url="http://evil.example" + path)), ("Host", "evil.example"), json_type],
        ),
    }
    target, headers = attacks[theft]
    if theft == "replay":
        assert await raw(scene, target, headers, body, observer) == 200

    assert await raw(scene, target, headers, body, observer) in {400, 401}


async def test_p7_one_proof_sent_fifty_times_at_once_serves_once(
    scene: Scene, session: Gateway, observer: Observer
) -> None:
    """Promise P7: single use holds under a race."""
    path = f"/v1/datasets/{scene.tables.tables[0].dataset}/records"
    await session.datasets()
    assert session._token is not None
    token = session._token.text
    proof = session._proof_key.proof(
        method="POST",
        url=scene.house.origin + path,
        now=datetime.now(UTC),
        nonce=session._nonce,
        access_token=token,
        body=b"{}",
    )
    headers = [*authorization(token, proof).items()]

    statuses = await asyncio.gather(*(raw(scene, path, headers, b"{}", observer) for _ in range(50)))

    assert sorted(statuses) == [200] + [401] * 49


async def test_p1_every_reply_received_stands_in_the_log(scene: Scene, observer: Observer) -> None:
    """Promise P1: the outside observer's receipts verify, at distinct places, in a log that verifies."""
    assert len(observer.receipts) > 100
    indexes = {receipt.verify(scene.house.vkey).index for receipt in observer.receipts}
    assert len(indexes) == len(observer.receipts)

    report = verify_store(
        scene.house.store, scene.house.vkey, checkpoints=[(scene.house.home / "ledger" / "head").read_bytes()]
    )
    assert report.faults == ()
    assert report.size > max(indexes)


async def test_p9_no_raw_value_and_no_password_lies_in_the_ledger_or_the_log(scene: Scene) -> None:
    """Promise P9: files of the home, searched for what must not be there."""
    firm = scene.firm
    needles = [firm.password.encode(), b"SELECT COUNT", b"/etc/passwd", firm.totp_secret]
    for path in [*(scene.house.home / "ledger").iterdir(), scene.house.home / "serve.err"]:
        content = path.read_bytes()
        assert not [needle for needle in needles if needle in content], path.name


def test_a_flood_of_refusals_gets_closed_connections_and_is_counted(tmp_path: Path) -> None:
    """Promise P1: above its bound a flood gets no response, so none is unlogged."""
    found = tables()
    house = make_house(tmp_path / "home", data=found.folder, rules=found.rules, refusals_max=30)

    def knock() -> bytes:
        with socket.create_connection(("127.0.0.1", house.port), timeout=5) as connection:
            connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            try:
                return connection.recv(100)
            except ConnectionError:
                return b""

    with house.serving():
        answers = [knock() for _ in range(90)]

    answered = [answer for answer in answers if answer]
    assert all(answer.startswith(b"HTTP/1.1 404") for answer in answered)
    assert 31 <= len(answered) <= 62  # a window may end in between
    assert answers[-1] == b""
    entries = verify_store(house.store, house.vkey)
    others = len(found.rules) + 3  # an entry each; start, mark and stop
    assert (entries.faults, entries.size) == ((), len(answered) + others)
    leaves = apsw.Connection(str(house.store)).execute("SELECT leaf FROM entry").fetchall()
    told = [json.loads(leaf)["facts"].get("closed") for (leaf,) in leaves]
    assert [closed for closed in told if closed] == [{"flood": len(answers) - len(answered)}]
