"""Administration of a running gateway: every change counts in every worker.

The promise is a second: a request that begins a second after the command has returned finds it so.
"""

import asyncio
import base64
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import aiohttp
import pytest
from enrolling import enrolled
from firm_scene import DATASET, RULES, people
from house import House, a_firm, make_house

from gateway import wiring
from gateway.cli.demo.cast import Firm
from gateway.client import ClientKey, Gateway
from gateway.client.receipt import StoredReceipt, receipt_of
from gateway.client.wire import Response
from gateway.errors import ActRefused
from gateway.identity.totp import code_at, step_at
from gateway.jose import base64url_decoded
from gateway.ledger.audit import verify_store
from gateway.registry.records import Freezable, State
from gateway.services.acts import (
    Act,
    AddKey,
    AddOperator,
    AddOrganisation,
    Done,
    Erase,
    KeyKind,
    Kind,
    Lift,
    Look,
    RemoveKey,
    RetireLogKey,
    RevokeTokenKey,
    RotateKey,
    RotateLogKey,
    SetFrozen,
    SetState,
)
from gateway.services.registration import changes_of, new_operator, new_organisation
from gateway.serving.admin import perform
from gateway.terms.entry import Basis
from gateway.transparency.canonical import parsed

WORKERS = 2
EVERYWHERE_S = 1.0
PASSWORD = "correct horse battery"
AT_ONCE = 12
"""Fresh connections at the same moment, so that every worker has some."""
QUERY = f"/v1/datasets/{DATASET}/query"
QUESTION = json.dumps({"sql": "SELECT COUNT(*) AS n FROM data", "rho": "0.001"}).encode()
PAGE = {"select": ["province"], "limit": 5}
ROWS = f"/v1/datasets/{DATASET}/records"


@dataclass(slots=True)
class Town:
    """A firm with a session at a running gateway of two workers, and an administrator beside it."""

    house: House
    firm: Firm
    session: Gateway = field(init=False)
    wires: aiohttp.ClientSession = field(init=False)

    async def do(self, act: Act) -> Done:
        return await asyncio.to_thread(perform, self.house.home, act)

    async def answers(self) -> Counter[int]:
        """Ask the catalogue on fresh connections at once, and return how often which status came."""
        url = f"{self.house.origin}/v1/datasets"
        token = (await self.session._fresh_token()).text

        async def one() -> int:
            proof = self.session._proof_key.proof(
                method="GET", url=url, now=datetime.now(UTC), nonce=self.session._nonce, access_token=token
            )
            headers = {"Authorization": f"DPoP {token}", "DPoP": proof, "Connection": "close"}
            async with self.wires.get(url, headers=headers) as answer:
                return answer.status

        return Counter(await asyncio.gather(*(one() for _ in range(AT_ONCE))))

    async def ask(self, path: str = QUERY, body: bytes = QUESTION) -> Response:
        return await self.session._signed("POST", path, "", body, {})

    async def stopped_by(self, act: Act, back: Act | None) -> None:
        """See an act end the token in every worker, and its reverse restore it."""
        await self.within_a_second(self.answers, {200: AT_ONCE})
        await self.do(act)
        await self.within_a_second(self.answers, {401: AT_ONCE})
        if back is not None:
            await self.do(back)

    async def within_a_second(self, look: Callable[[], Awaitable[object]], wanted: object) -> None:
        """Look until it is so; what is asked a second after the command returned must be so."""
        done_at = time.monotonic()
        began, found = 0.0, await look()
        while found != wanted:
            assert began < EVERYWHERE_S, (found, wanted)
            began, found = time.monotonic() - done_at, await look()

    async def status(self) -> int:
        return (await self.ask()).status

    async def problems(self) -> set[tuple[int, str]]:
        """Ask for statistics and rows at once, and return which problems came."""
        asked = [(QUERY, QUESTION), (ROWS, json.dumps(PAGE).encode())] * (AT_ONCE // 2)
        answers = await asyncio.gather(*(self.ask(path, body) for path, body in asked))
        return {(each.status, json.loads(each.body).get("type", "")) for each in answers}

    def entries(self) -> list[dict[str, object]]:
        """The log, verified once the gateway has stopped."""
        head = (self.house.home / "ledger" / "head").read_bytes()
        assert verify_store(self.house.store, self.house.vkey, checkpoints=[head]).faults == ()
        with contextlib.closing(sqlite3.connect(self.house.store)) as store:
            return [parsed(leaf) for (leaf,) in store.execute("SELECT leaf FROM entry ORDER BY idx")]


@asynccontextmanager
async def at_work(town: Town) -> AsyncIterator[Town]:
    with town.house.serving("--workers", str(WORKERS)):
        async with town.house.session(town.firm) as session, aiohttp.ClientSession() as wires:
            town.session, town.wires = session, wires
            await session.datasets()  # so that the session has a nonce
            yield town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "people.csv").write_text(people(), encoding="utf-8")
    house = make_house(tmp_path / "home", data=tmp_path / "data", rules={DATASET: RULES})
    firm = a_firm()
    house.register(firm)
    return Town(house, firm)


def state(kind: Kind, name: str, to: State) -> SetState:
    return SetState(kind=kind, id=name, state=to, reason="a test")


async def test_every_link_of_the_chain_stops_a_token_in_every_worker(town: Town) -> None:
    """Promise P7: organisation, agreement, client, operator and key, each by itself."""
    firm = town.firm
    links = [
        (Kind.ORG, firm.org),
        (Kind.AGREEMENT, firm.agreement),
        (Kind.CLIENT, firm.client),
        (Kind.OPERATOR, firm.operator),
    ]
    spare = ClientKey.create()
    async with at_work(town):
        for kind, name in links:
            await town.stopped_by(state(kind, name, State.SUSPENDED), state(kind, name, State.ACTIVE))
        await town.do(AddKey(client=firm.client, key=dict(spare.jwk)))
        removed = RemoveKey(client=firm.client, thumbprint=firm.key.thumbprint, reason="replaced")
        await town.stopped_by(removed, None)

    events = [entry["facts"].get("event") for entry in town.entries() if entry["kind"] == "config"]  # type: ignore[attr-defined]
    assert Counter(events)["suspend"] == Counter(events)["resume"] == len(links)
    assert events[-2:] == ["add-key", "remove-key"]


async def test_a_freeze_stops_tokens_clients_keys_and_people_in_every_worker(town: Town) -> None:
    """Nobody has lifted anything: each is frozen at a gateway of its own name, one after the other."""
    firm = town.firm
    async with at_work(town):
        token = (await town.session._fresh_token()).text
        assert await town.answers() == {200: AT_ONCE}
        claims = json.loads(_decoded(token))
        await town.stopped_by(
            SetFrozen(what=Freezable.TOKEN, target=f"{firm.client}/{claims['jti']}", reason="stolen"), None
        )
        for what, target in (
            (Freezable.KEY, firm.key.thumbprint),
            (Freezable.OPERATOR, firm.operator),
            (Freezable.CLIENT, firm.client),
            (Freezable.AGREEMENT, firm.agreement),
            (Freezable.ORGANISATION, firm.org),
        ):
            await town.do(SetFrozen(what=what, target=target))
            with pytest.raises(ActRefused, match="frozen already"):
                await town.do(SetFrozen(what=what, target=target))
        row = (await town.do(Look(kind=Kind.CLIENT, id=firm.client))).rows[0]
        assert row["frozen"] is True


async def test_a_frozen_dataset_answers_nobody_and_stops_what_is_in_flight(town: Town) -> None:
    """Promises P1, P2 and P5: charged, stopped before its slot, one failure; and rows not at all."""
    async with at_work(town):
        assert (await town.ask()).status == 200
        rows = json.dumps(PAGE).encode()
        assert (await town.ask(ROWS, rows)).status == 200
        before = charges(town)
        asking = asyncio.create_task(town.ask())
        await asyncio.to_thread(await_charge, town, before)
        await town.do(SetFrozen(what=Freezable.DATASET, target=DATASET, reason="found an error"))
        stopped = await asking
        assert (stopped.status, json.loads(stopped.body)["type"]) == (
            500,
            "urn:problem:gateway:charged-failure",
        )
        await town.within_a_second(town.problems, {(403, "urn:problem:gateway:frozen")})
        refused = await town.ask()
        receipt = receipt_of(refused.headers, refused.body)
        assert receipt is not None
        assert json.loads(receipt.entry)["facts"]["why"] == "frozen"

    kinds = Counter(str(entry["kind"]) for entry in town.entries())
    assert kinds["charge"] == kinds["release"] + kinds["error"]
    assert kinds["error"] >= 1


def await_charge(town: Town, before: int) -> None:
    give_up_at = time.monotonic() + 30
    while charges(town) == before:
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def charges(town: Town) -> int:
    with contextlib.closing(sqlite3.connect(town.house.store)) as store:
        leaves = [leaf for (leaf,) in store.execute("SELECT leaf FROM entry")]
    return sum(parsed(leaf)["kind"] == "charge" for leaf in leaves)


async def test_one_person_freezes_everything_and_two_lift_it(town: Town) -> None:
    async with at_work(town):
        watch = AddOrganisation(id="watch", vi="Giám sát", en="Watch", org_class="overseer", country="VN")
        await town.do(watch)
        secrets = {name: await an_overseer(town, name) for name in ("lan", "hoa")}
        await town.do(SetFrozen(what=Freezable.EVERYTHING, reason="alarm"))
        late = await an_overseer(town, "late")
        await town.within_a_second(town.status, 403)

        lan = a_lift("lan", secrets["lan"])
        assert (await town.do(lan)).says == "noted; another person must say so, too"
        for wrong in (lan, a_lift("late", late), a_lift("hoa", secrets["hoa"], password="wrong horse")):
            with pytest.raises(ActRefused, match="not accepted"):
                await town.do(wrong)
        assert (await town.ask()).status == 403
        assert (await town.do(a_lift("hoa", secrets["hoa"]))).says == "unfrozen: everything"
        await town.within_a_second(town.status, 200)


async def an_overseer(town: Town, name: str) -> str:
    done = await town.do(AddOperator(id=name, org="watch", name=name))
    secret = await asyncio.to_thread(enrolled, town.house.origin, name, done.once, PASSWORD)
    return base64.b32encode(secret).decode()


async def an_old_overseer(town: Town, name: str) -> str:
    """Somebody who enrolled the day before yesterday, in a gateway that is stopped."""
    secret = os.urandom(20)
    async with wiring.opened(town.house.home) as gateway:
        watch = new_organisation("watch", vi="Giám sát", en="Watch", org_class="overseer", country="VN")
        operator = new_operator(
            name, watch, name, PASSWORD, salt=bytes(16), totp_secret=secret, sealer=gateway.keyring.sealer,
            now=datetime.now(UTC) - timedelta(days=2),
        )  # fmt: skip
        await gateway.register(changes_of(watch, operator))
    return base64.b32encode(secret).decode()


def a_lift(name: str, secret: str, *, password: str = PASSWORD) -> Lift:
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    code = code_at(key, step_at(datetime.now(UTC)))
    return Lift(what=Freezable.EVERYTHING, operator=name, password=password, code=code)


def _decoded(token: str) -> bytes:
    return base64url_decoded(token.split(".")[1])


@pytest.mark.parametrize("count", [6, pytest.param(100, marks=pytest.mark.long)])
async def test_no_valid_request_fails_while_keys_rotate(town: Town, count: int) -> None:
    """Tokens and sealed cursors of every key in turn, in two workers, each asked of the other."""
    statuses: Counter[int] = Counter()
    over = asyncio.Event()
    async with at_work(town):
        names = {await kid_of(town)}

        async def keep_asking() -> None:
            async with Gateway(town.house.origin, client=town.firm.client, key=town.firm.key) as other:
                while not over.is_set():
                    await other.resume(town.firm.purpose)  # a fresh token, of whichever key signs now
                    names.add(_header_kid((await other._fresh_token()).text))
                    page = await other._signed("POST", ROWS, "", json.dumps(PAGE).encode(), {})
                    statuses[page.status] += 1
                    following = {**PAGE, "cursor": json.loads(page.body)["next_cursor"]}
                    page = await other._signed("POST", ROWS, "", json.dumps(following).encode(), {})
                    statuses[page.status] += 1

        asking = [asyncio.create_task(keep_asking()) for _ in range(4)]
        for number in range(count):
            kind = KeyKind.SEALING if number % 5 == 4 else KeyKind.TOKENS
            await town.do(RotateKey(kind=kind, now=True))
            await asyncio.sleep(1.05)  # a file a second
        await asyncio.sleep(3)
        over.set()
        await asyncio.gather(*asking)
        published = json.loads(await asyncio.to_thread(read, f"{town.house.origin}/oauth/jwks"))

    assert set(statuses) == {200}
    assert statuses[200] > count
    rotated = count - count // 5
    assert len(published["keys"]) == 1 + rotated
    assert len(names) > rotated / 2
    assert names <= {key["kid"] for key in published["keys"]}


async def test_a_revoked_key_ends_its_tokens_in_every_worker(town: Town) -> None:
    async with at_work(town):
        kid = await kid_of(town)
        with pytest.raises(ActRefused, match="no other key works"):
            await town.do(RevokeTokenKey(id=kid, reason="the disk was copied"))
        await town.do(RotateKey(kind=KeyKind.TOKENS, now=True))
        await asyncio.sleep(4)
        await town.stopped_by(RevokeTokenKey(id=kid, reason="the disk was copied"), None)
        assert not (town.house.home / "keys" / "tokens.pem").exists()
        town.session._token = None
        await town.session.resume(town.firm.purpose)
        await town.within_a_second(town.answers, {200: AT_ONCE})


async def test_the_log_gets_another_key_and_a_person_is_erased_while_firms_ask(town: Town) -> None:
    """Three rotations under load: no request fails, every receipt verifies, every worker knows the keys."""
    statuses: Counter[int] = Counter()
    over = asyncio.Event()
    vkeys = [town.house.vkey]
    receipts: list[StoredReceipt] = []

    async def keep_asking() -> None:
        while not over.is_set():
            page = await town.ask(ROWS, json.dumps(PAGE).encode())
            statuses[page.status] += 1
            receipt = receipt_of(page.headers, page.body)
            assert receipt is not None
            receipts.append(receipt)

    async with at_work(town):
        await town.do(AddOperator(id="hoa", org=town.firm.org, name="Hoa"))
        asking = [asyncio.create_task(keep_asking()) for _ in range(4)]
        for _ in range(3):
            told = await town.do(RotateLogKey())
            vkeys.insert(0, str(told.rows[0]["public"]))
            await town.within_a_second(partial(published_keys, town), {"\n".join(vkeys[:2])})
            await asyncio.sleep(0.3)
            await town.do(RetireLogKey())
            await town.within_a_second(partial(published_keys, town), {vkeys[0]})
        over.set()
        await asyncio.gather(*asking)
        assert await town.answers() == {200: AT_ONCE}
        await town.do(Erase(basis=Basis.REQUEST, subject=town.firm.operator))
        await town.within_a_second(town.answers, {401: AT_ONCE})
        (row,) = (await town.do(Look(kind=Kind.OPERATOR))).rows
        assert row["id"] == "hoa"

    assert set(statuses) == {200}
    for receipt in receipts:
        receipt.verify("\n".join(vkeys))
    head = (town.house.home / "ledger" / "head").read_bytes()
    assert verify_store(town.house.store, "\n".join(vkeys), checkpoints=[head]).faults == ()
    with town.house.serving():  # what was erased is not back
        assert await asyncio.to_thread(read, f"{town.house.origin}/readyz")


async def published_keys(town: Town) -> set[str]:
    """What the workers call the log's key, each asked on a fresh connection."""
    url = f"{town.house.origin}/.well-known/oauth-protected-resource"
    found = await asyncio.gather(*(asyncio.to_thread(read, url) for _ in range(AT_ONCE)))
    return {str(json.loads(each)["gateway_log_key"]) for each in found}


async def test_both_custodians_start_a_divided_home_and_give_it_a_new_epoch(town: Town) -> None:
    house, passphrases = town.house, "lan has a long one\nhoa has a longer one\n"
    files = [str(house.home.parent / name) for name in ("lan.share", "hoa.share")]

    def gateway(*arguments: str, typed: str = passphrases) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway", "--home", str(house.home), *arguments]
        return subprocess.run(command, input=typed, capture_output=True, text=True, check=False, timeout=60)

    async with at_work(town):
        before = await tokens_of_page(town)
        done = gateway("keys", "custody", "split", *files)
        assert (done.returncode, "another process uses this home" in done.stderr) == (1, True)
    secrets = {name: await an_old_overseer(town, name) for name in ("lan", "hoa")}
    assert gateway("keys", "custody", "split", *files).returncode == 0
    names = house.home / "keys" / "pseudonyms.custody"
    undisturbed = names.read_bytes()
    assert not (house.home / "keys" / "pseudonyms.key").exists()
    shares = [word for file in files for word in ("--pseudonym-share", file)]
    for arguments, typed, why in (
        ([], "", "both custodians' shares are needed, 0 given"),
        (shares, "lan has a long one\n", "standard input has no line for it"),
    ):
        refused = gateway("serve", *arguments, typed=typed)
        assert refused.returncode in {1, 2}
        assert why in refused.stderr
    house.starting = (tuple(shares), passphrases)
    async with at_work(town):
        assert await tokens_of_page(town) == before

    def typed() -> str:
        codes = [a_lift(name, secret).code for name, secret in secrets.items()]
        return f"{passphrases}{PASSWORD}\n{codes[0]}\n{PASSWORD}\n{codes[1]}\n"

    rotated = gateway(
        "keys", "rotate", "--kind", "pseudonyms", *shares, "--as", "lan", "--as", "hoa", typed=typed()
    )
    assert rotated.returncode == 0, rotated.stderr
    names.write_bytes(undisturbed)  # a backup of before: the log knows that the key was replaced
    async with at_work(town):
        after = await tokens_of_page(town)
    assert before.isdisjoint(after)
    listed = [line.split()[:2] for line in gateway("keys", "list").stdout.splitlines()]
    assert [row for row in listed if row[0] == "pseudonyms"] == [
        ["pseudonyms", "active"],
        ["pseudonyms", "retired"],
    ]
    for path in (house.home / "serve.err", *(house.home / "keys").glob("*.*")):
        assert "has a long" not in path.read_text(encoding="utf-8", errors="replace")


async def tokens_of_page(town: Town) -> set[str]:
    page = await town.ask(ROWS, json.dumps({"select": ["id"], "limit": 5}).encode())
    assert page.status == 200, page.body
    return {row["id"] for row in json.loads(page.body)["rows"]}


async def kid_of(town: Town) -> str:
    return _header_kid((await town.session._fresh_token()).text)


def _header_kid(token: str) -> str:
    return str(json.loads(base64url_decoded(token.partition(".")[0]))["kid"])


def read(url: str) -> bytes:
    with urlopen(url, timeout=5) as answer:  # noqa: S310  our own address
        return bytes(answer.read())
