"""Tokens over a served gateway: revoked at every worker, vouched for by others, shown again in vain."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest
from attack_world import World
from cryptography.hazmat.primitives.asymmetric import ec
from firm_scene import DATASET, RULES, people
from house import House, a_firm, free_port, make_house

from gateway import jose
from gateway.cli.demo.cast import Firm
from gateway.client import ClientKey, Gateway
from gateway.ledger.audit import verify_store
from tests.faults.share import say

WORKERS = 4
LIST = "/v1/datasets"
EFFECTIVE_S = 1.0
"""Longest time from the answer of a revocation to its effect at every worker."""


@dataclass(slots=True)
class Scene:
    """A house that a test serves by itself, and a firm."""

    house: House
    firm: Firm

    @property
    def url(self) -> str:
        return self.house.origin + LIST


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "people.csv").write_text(people(), encoding="utf-8")
    house = make_house(tmp_path / "home", data=tmp_path / "data", rules={DATASET: RULES})
    scene = Scene(house, a_firm())
    house.register(scene.firm)
    return scene


@dataclass(slots=True)
class Shower:
    """Shows one token with a fresh proof each time, over a connection of its own: any worker may take it."""

    scene: Scene
    token: str
    key: ClientKey
    http: aiohttp.ClientSession
    nonce: str | None = None

    def proof(self) -> str:
        return self.key.proof(
            method="GET", url=self.scene.url, now=datetime.now(UTC), nonce=self.nonce, access_token=self.token
        )

    async def show(self, proof: str | None = None) -> tuple[int, str]:
        """Return the status, and the problem if there is one."""
        headers = {
            "Authorization": f"DPoP {self.token}",
            "DPoP": proof or self.proof(),
            "Connection": "close",
        }
        async with self.http.get(self.scene.url, headers=headers) as answer:
            self.nonce = answer.headers["DPoP-Nonce"]
            return answer.status, (await answer.json(content_type=None)).get("type", "").rpartition(":")[2]

    async def learnt(self) -> tuple[int, str]:
        """Return the answer once the nonce is known."""
        first = await self.show()
        return await self.show() if first[1] == "proof-nonce-required" else first


@asynccontextmanager
async def shown(scene: Scene, token: str, key: ClientKey) -> AsyncIterator[Shower]:
    async with aiohttp.ClientSession() as http:
        yield Shower(scene, token, key, http)


async def posted(session: Gateway, path: str, token: str) -> dict[str, Any]:
    return dict(await session._login._post(path, token=token))


async def test_a_revoked_token_is_refused_by_every_worker_within_a_second(scene: Scene) -> None:
    """Promise P7. It stays revoked over a restart, and the client's other token goes on."""
    with scene.house.serving("--workers", str(WORKERS)):
        async with scene.house.session(scene.firm) as session:
            revoked, kept = [(await session._login.renewed(scene.firm.purpose)).text for _ in range(2)]
            async with (
                shown(scene, revoked, session._proof_key) as one,
                shown(scene, kept, session._proof_key) as other,
            ):
                assert (await one.learnt(), await other.learnt()) == ((200, ""), (200, ""))
                assert await posted(session, "/oauth/revoke", revoked) == {}
                answered_at = time.monotonic()
                await asyncio.sleep(EFFECTIVE_S)
                after = await asyncio.gather(*(one.show() for _ in range(60)))
                still = await asyncio.gather(*(other.show() for _ in range(20)))
                told = [await posted(session, "/oauth/introspect", text) for text in (revoked, kept)]
            assert time.monotonic() - answered_at < 60

    assert Counter(after) == {(401, "not-authenticated"): 60}
    assert Counter(still) == {(200, ""): 20}
    assert [one["active"] for one in told] == [False, True]

    report = verify_store(scene.house.store, scene.house.vkey)
    assert report.faults == ()
    with scene.house.serving():
        async with shown(scene, revoked, session._proof_key) as one:
            assert await one.learnt() == (401, "not-authenticated")
        async with shown(scene, kept, session._proof_key) as other:
            assert await other.learnt() == (200, "")


async def replayed(scene: Scene, times: int, at_once: int) -> Counter[tuple[int, str]]:
    """Show one proof many times to four workers, and again after a restart."""
    said: Counter[tuple[int, str]] = Counter()
    with scene.house.serving("--workers", str(WORKERS)):
        async with scene.house.session(scene.firm) as session:
            await session.datasets()
            token, key = (await session._fresh_token()).text, session._proof_key
            async with shown(scene, token, key) as shower:
                assert await shower.learnt() == (200, "")
                proof = shower.proof()
                for _ in range(times // 2 // at_once):
                    said.update(await asyncio.gather(*(shower.show(proof) for _ in range(at_once))))
    with scene.house.serving("--workers", str(WORKERS)):
        async with shown(scene, token, key) as shower:
            for _ in range(times // 2 // at_once):
                said.update(await asyncio.gather(*(shower.show(proof) for _ in range(at_once))))
            assert await shower.show() == (200, ""), "the key's holder goes on"
    return said


async def test_one_proof_over_four_workers_and_a_restart_serves_once(scene: Scene) -> None:
    """Promise P7."""
    said = await replayed(scene, 400, 20)

    assert said == {(200, ""): 1, (401, "proof-refused"): 199, (401, "proof-nonce-required"): 200}


@pytest.mark.long
async def test_one_proof_shown_ten_thousand_times_serves_once(scene: Scene) -> None:
    """Promise P7."""
    said = await replayed(scene, 10_000, 50)

    say(f"one proof shown 10,000 times over {WORKERS} workers and a restart: {said[200, '']} accepted")
    assert sum(said.values()) == 10_000
    assert said[200, ""] == 1
    assert {status for status, _ in said} == {200, 401}


# another issuer


@dataclass(slots=True)
class Issuer:
    """A small issuer on loopback: a key set to fetch, and tokens."""

    port: int = field(default_factory=free_port)
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    fetches: list[str] = field(default_factory=list)
    moved_to: str | None = None
    """Where it sends who asks for its keys."""

    @property
    def name(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        issuer = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version: ClassVar[str] = "HTTP/1.1"

            def do_GET(self) -> None:
                issuer.fetches.append(self.path)
                keys = {"keys": [{**jose.jwk_of(issuer.key.public_key()), "kid": "x1", "use": "sig"}]}
                body = json.dumps(keys).encode()
                elsewhere = issuer.moved_to if self.path == "/jwks" else None
                self.send_response(200 if elsewhere is None else 302)
                if elsewhere is not None:
                    self.send_header("Location", elsewhere)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Answer)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def token(self, audience: str, bound_to: ClientKey, **change: Any) -> str:
        now = int(datetime.now(UTC).timestamp())
        header = {"typ": "at+jwt", "alg": "ES256", "kid": "x1", **change.pop("header", {})}
        claims = {
            "iss": self.name,
            "aud": audience,
            "sub": "person-1",
            "client_id": "theirs-7",
            "jti": f"{now:022}",
            "iat": now,
            "exp": now + 300,
            "auth_time": now - 60,
            "acr": "high",
            "cnf": {"jkt": bound_to.thumbprint},
        }
        return World().signed(header, claims | change, change.pop("key", self.key))

    def file_for(self, firm: Firm) -> dict[str, Any]:
        here = {"client": firm.client, "org": firm.org, "agreement": firm.agreement, "purpose": firm.purpose}
        return {
            "issuer": self.name,
            "keys": {"url": f"{self.name}/jwks"},
            "clients": {"theirs-7": here},
            "people": {"person-1": firm.operator},
            "acr": {"high": ["pwd", "otp"]},
        }


async def rows(scene: Scene, token: str, key: ClientKey) -> tuple[int, str]:
    """Pull rows, which need a person with two factors."""
    url, body = f"{scene.house.origin}/v1/datasets/{DATASET}/records", b'{"limit": 1}'
    nonce, told = None, (0, "")
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            proof = key.proof(
                method="POST", url=url, now=datetime.now(UTC), nonce=nonce, access_token=token, body=body
            )
            headers = {"Authorization": f"DPoP {token}", "DPoP": proof, "Content-Type": "application/json"}
            async with http.post(url, headers=headers, data=body) as answer:
                nonce = answer.headers["DPoP-Nonce"]
                told = (
                    answer.status,
                    (await answer.json(content_type=None)).get("type", "").rpartition(":")[2],
                )
            if told[1] != "proof-nonce-required":
                return told
    return told


async def test_a_trusted_issuers_tokens_are_taken_and_outlive_its_server(scene: Scene) -> None:
    """Promises P6 and P7: pinned keys, listed clients and people, a key registered here; nothing else."""
    issuer, firm, origin = Issuer(), scene.firm, scene.house.origin
    folder = scene.house.home / "keys" / "issuers"
    folder.mkdir()
    (folder / "id.json").write_text(json.dumps(issuer.file_for(firm)), encoding="utf-8")
    thief = ClientKey.create()

    with issuer.serving():
        serving = scene.house.serving("--workers", "2")
        serving.__enter__()
    try:
        said = {
            "a person": await rows(scene, issuer.token(origin, firm.key), firm.key),
            "a client of its own": await rows(
                scene, issuer.token(origin, firm.key, sub="theirs-7"), firm.key
            ),
            "an unlisted word": await rows(scene, issuer.token(origin, firm.key, acr="aal3"), firm.key),
            "mfa without a list": await rows(
                scene, issuer.token(origin, firm.key, acr="x", amr=["mfa"]), firm.key
            ),
            "a key that is not registered": await rows(scene, issuer.token(origin, thief), thief),
            "an unlisted person": await rows(scene, issuer.token(origin, firm.key, sub="lan"), firm.key),
            "an unlisted client": await rows(
                scene, issuer.token(origin, firm.key, client_id=firm.client), firm.key
            ),
            "another audience": await rows(scene, issuer.token(issuer.name, firm.key), firm.key),
            "our name": await rows(scene, issuer.token(origin, firm.key, iss=origin), firm.key),
            "keys from elsewhere": await rows(
                scene, issuer.token(origin, firm.key, header={"jku": f"{issuer.name}/thief"}), firm.key
            ),
            "a key that it has not": await rows(
                scene, issuer.token(origin, firm.key, header={"kid": "x2"}), firm.key
            ),
            "still a person": await rows(scene, issuer.token(origin, firm.key), firm.key),
        }
    finally:
        serving.__exit__(None, None, None)

    refused = (401, "not-authenticated")
    assert said == {
        **dict.fromkeys(said, refused),
        "a person": (200, ""),
        "still a person": (200, ""),
        **dict.fromkeys(("a client of its own", "an unlisted word", "mfa without a list"), (401, "step-up")),
    }
    assert set(issuer.fetches) == {"/jwks"}, "nothing else was ever asked for"
    assert len(issuer.fetches) <= 2, "once a worker"


async def test_an_issuers_address_sends_nobody_elsewhere(scene: Scene) -> None:
    """Whoever takes over the address for a while does not put keys of another place into the set."""
    issuer = Issuer(moved_to="/elsewhere")
    folder = scene.house.home / "keys" / "issuers"
    folder.mkdir()
    (folder / "id.json").write_text(json.dumps(issuer.file_for(scene.firm)), encoding="utf-8")

    with issuer.serving(), scene.house.serving():
        token = issuer.token(scene.house.origin, scene.firm.key)
        assert await rows(scene, token, scene.firm.key) == (401, "not-authenticated")

    assert set(issuer.fetches) == {"/jwks"}


async def test_an_issuer_that_never_answers_does_not_stop_the_gateway(scene: Scene) -> None:
    issuer = Issuer()
    folder = scene.house.home / "keys" / "issuers"
    folder.mkdir()
    (folder / "id.json").write_text(json.dumps(issuer.file_for(scene.firm)), encoding="utf-8")

    with scene.house.serving():
        token = issuer.token(scene.house.origin, scene.firm.key)
        assert await rows(scene, token, scene.firm.key) == (401, "not-authenticated")
        async with scene.house.session(scene.firm) as session:
            assert (await session.datasets()).status == 200
