"""The attack list against one served gateway, whose own keys sign what is forged. Promises P1 and P7.

Each case has its outcome from the tables; none is answered with a 5xx, and every answer has a receipt that
stands in the log. A dataset that does not exist stands for the data: only who is authenticated hears 404.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import pytest
from attack_world import World
from attacks_by_value import BY_VALUE
from attacks_on_assertions import ASSERTIONS
from attacks_on_proofs import PROOFS
from attacks_on_tokens import ACCEPTED, CLAIMS, JOSE
from attacks_over_http import CLOSED, ENDPOINTS, FORMS, NOT_FOUND, RAW, Good
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from house import House, make_house

from gateway import jose, wiring
from gateway.client import StoredReceipt
from gateway.client.receipt import receipt_of
from gateway.ledger.audit import verify_store
from gateway.registry.public_keys import frozen_keys
from gateway.registry.records import Activation, Agreement, Client, Operator, Organisation, State
from gateway.services.registration import changes_of
from gateway.terms.dataset import Title

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OF_FUNCTIONS = {
    # accepted at https://gateway.example only, or from who knows the secret of the boot
    *("51 scheme and host in capitals", "51 the default port", "59 nonce of the window before"),
    # here the audience has no slash
    "35 aud without slash",
    # at the very edge of a clock, which goes on while a request is on its way
    *("54 60 s old", "54 11 s ahead", "30 exp in a second", "31 iat in 11 s", "67 nbf in 11 s"),
}
"""Cases that hold for the functions, which get host and time as arguments."""
OF_ANOTHER_KEY = {"a good proof with Ed25519"}
"""A good proof that the token shown is not bound to."""


@dataclass(frozen=True, kw_only=True)
class LiveWorld(World):
    """The same firm and thief before a real gateway, now."""

    learnt: list[str] = field(default_factory=lambda: ["none yet"])
    """The last nonce that was handed out."""
    numbers: Iterator[int] = field(default_factory=count)

    def name(self, letter: str) -> str:
        return f"{letter}{next(self.numbers):021}"

    def nonce(self) -> str:
        return self.learnt[-1]

    # The tables call the issuer's key `k1`; here its name is its thumbprint.

    def signed(self, header: Mapping[str, Any], claims: Mapping[str, Any], key: Any) -> str:
        kid = self.jkt(self.issuer_key) if header.get("kid") == "k1" else header.get("kid")
        return super().signed({**header, "kid": kid}, claims, key)

    def raw(self, header: bytes, claims: bytes, key: Any) -> str:
        return super().raw(header.replace(b'"k1"', f'"{self.jkt(self.issuer_key)}"'.encode()), claims, key)


@dataclass(slots=True)
class Siege:
    """A served house, who attacks it, and what it answered."""

    house: House
    world: LiveWorld
    http: aiohttp.ClientSession
    receipts: list[StoredReceipt]

    @property
    def now(self) -> LiveWorld:
        """The world at this moment, with a good token of its own to show."""
        world = replace(self.world, now=datetime.now(UTC).replace(microsecond=0))
        return replace(world, shown=world.token())

    def saw(self, status: int, headers: Any, body: bytes) -> int:
        assert status < 500, body
        receipt = receipt_of(headers, body)
        assert receipt is not None
        self.receipts.append(receipt)
        self.world.learnt[:] = [headers["DPoP-Nonce"]]
        return status

    async def ask(self, token: str, proof: str) -> tuple[int, str]:
        """Return status and problem of a request for data; nothing a header cannot carry is sent."""
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof, "Content-Type": "application/json"}
        url = self.world.origin + self.world.path
        async with self.http.post(url, headers=headers, data=self.world.body) as answer:
            body = await answer.read()
            status = self.saw(answer.status, answer.headers, body)
            return status, str(json.loads(body)["type"]).rpartition(":")[2]

    async def post(self, path: str, body: bytes, proof: str) -> tuple[int, dict[str, Any]]:
        headers = {"DPoP": proof, "Content-Type": "application/x-www-form-urlencoded"}
        async with self.http.post(self.world.origin + path, headers=headers, data=body) as answer:
            text = await answer.read()
            return self.saw(answer.status, answer.headers, text), json.loads(text)

    async def send(self, request: bytes) -> int:
        """Return the status of a request sent as bytes; ``CLOSED`` where nothing came back."""
        target = urlsplit(self.world.origin)
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        try:
            writer.write(request)
            answer = await asyncio.wait_for(reader.read(), 20)
        except ConnectionError:
            answer = b""
        finally:
            writer.close()
        if not answer:
            return CLOSED
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        return self.saw(int(lines[0].split(" ")[1]), headers, body)


def records(world: World) -> tuple[Any, ...]:
    now = datetime.now(UTC)
    org = Organisation(
        id="bank-a", name=Title(vi="A", en="A"), org_class="bank", country="VN", state=State.ACTIVE
    )  # type: ignore[arg-type]
    agreement = Agreement(
        id="AGR-1",
        org=org.id,
        purposes=("credit-risk",),
        valid_from=date(2026, 1, 1),
        valid_until=date(2030, 1, 1),
        state=State.ACTIVE,
    )  # type: ignore[arg-type]
    client = Client(
        id="bank-a.etl-1",
        org=org.id,
        agreement=agreement.id,
        purposes=agreement.purposes,
        keys=frozen_keys([jose.jwk_of(world.client_key.public_key())]),
        state=State.ACTIVE,
    )  # type: ignore[arg-type]
    lan = Operator(
        id="lan", org=org.id, name="Lan", password_hash="$argon2id$x", totp_sealed=b"x", state=State.ACTIVE
    )  # type: ignore[arg-type]
    activation = Activation(
        id="act-1",
        client=client.id,
        operator=lan.id,
        purpose="credit-risk",
        key=world.jkt(world.client_key),
        methods=("otp", "pwd"),
        authenticated_at=now - timedelta(hours=1),
        until=now + timedelta(hours=7),
        state=State.ACTIVE,
    )  # type: ignore[arg-type]
    return org, agreement, client, lan, activation


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, LiveWorld]]:
    folder = tmp_path_factory.mktemp("siege")
    house = make_house(folder / "home", data=folder, rules={})
    issuer_key: Any = load_pem_private_key((house.home / "keys" / "tokens.pem").read_bytes(), password=None)
    world = LiveWorld(origin=house.origin, issuer=house.origin, audience=house.origin, issuer_key=issuer_key)

    async def put() -> None:
        async with wiring.opened(house.home) as gateway:
            await gateway.register(changes_of(*records(world)))

    asyncio.run(put())
    with house.serving():
        yield house, world


@pytest.fixture(scope="module")
def receipts() -> list[StoredReceipt]:
    """Of every reply to any test of this module."""
    return []


@pytest.fixture
async def siege(house: tuple[House, LiveWorld], receipts: list[StoredReceipt]) -> AsyncIterator[Siege]:
    async with aiohttp.ClientSession() as http:
        siege = Siege(*house, http, receipts)
        await siege.ask("no token", "no proof")  # learns the nonce
        yield siege


def carried(text: str) -> bool:
    """Return whether a header of HTTP can hold a text as it is."""
    return text.isascii() and text == text.strip() and text.isprintable() and len(text) < 8000


def served(table: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the cases of a kind of text that can be tried against a served gateway."""
    return {name: one for name, one in {**table, **BY_VALUE[kind]}.items() if name not in OF_FUNCTIONS}


TOKENS, PROVING, ASSERTING = (
    served(JOSE | CLAIMS, "token"),
    served(PROOFS, "proof"),
    served(ASSERTIONS, "assertion"),
)


async def test_forged_tokens_are_refused_over_the_wire(siege: Siege) -> None:
    """Promise P7: signed with the issuer's own key, and still only what is exactly a token is one."""
    wrong, sent = [], 0
    for name, (attack, outcome) in TOKENS.items():
        world = siege.now
        text = attack(world)
        if not carried(text):
            continue
        sent += 1
        expected = (NOT_FOUND, "dataset-unknown") if outcome == ACCEPTED else (401, "not-authenticated")
        if (said := await siege.ask(text, world.proof(token=text))) != expected:
            wrong.append((name, said))

    print(f"{sent} forged tokens")  # noqa: T201  the count is a result
    assert (wrong, sent > 300) == ([], True)


async def test_forged_proofs_are_refused_over_the_wire(siege: Siege) -> None:
    """Promise P7."""
    wrong, sent = [], 0
    for name, (attack, outcome) in PROVING.items():
        world = siege.now
        text = attack(world)
        if not carried(text):
            continue
        sent += 1
        expected = (401, "proof-nonce-required" if outcome == "proof-nonce" else "proof-refused")
        if outcome == ACCEPTED and name not in OF_ANOTHER_KEY:
            expected = (NOT_FOUND, "dataset-unknown")
        assert world.shown is not None
        if (said := await siege.ask(world.shown, text)) != expected:
            wrong.append((name, said))

    print(f"{sent} forged proofs")  # noqa: T201  the count is a result
    assert (wrong, sent > 130) == ([], True)


def form_of(world: LiveWorld, endpoint: str) -> dict[str, str]:
    """A good form, which says who asks and what for."""
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": world.assertion()}
    match endpoint:
        case "/oauth/token":
            return form | {"grant_type": "client_credentials", "purpose": "credit-risk"}
        case "/oauth/device_authorization":
            return form | {"purpose": "credit-risk"}
        case _:
            return form | {"token": world.token()}


def proof_for(world: LiveWorld, endpoint: str, **change: Any) -> str:
    return replace(world, shown=None).proof(**({"htu": world.origin + endpoint, "qd": None} | change))


async def test_forged_assertions_are_refused_over_the_wire(siege: Siege) -> None:
    """Promise P7."""
    wrong = []
    for name, (attack, outcome) in ASSERTING.items():
        world, endpoint = siege.now, "/oauth/token"
        form = form_of(world, endpoint) | {"client_assertion": attack(world)}
        status, said = await siege.post(endpoint, urlencode(form).encode(), proof_for(world, endpoint))
        expected = (200, None) if outcome == ACCEPTED else (401, "invalid_client")
        if (status, said.get("error")) != expected:
            wrong.append((name, status, said))

    assert (wrong, len(ASSERTING) > 100) == ([], True)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_forms_that_are_not_right_are_refused_at_every_endpoint(siege: Siege, endpoint: str) -> None:
    wrong = []
    for name, (change, status, error) in FORMS.items():
        world = siege.now
        answered, said = await siege.post(
            endpoint, change(form_of(world, endpoint)), proof_for(world, endpoint)
        )
        if (answered, said.get("error")) != (status, error):
            wrong.append((name, answered, said))
    world = siege.now
    good, said = await siege.post(
        endpoint, urlencode(form_of(world, endpoint)).encode(), proof_for(world, endpoint)
    )

    assert (wrong, good) == ([], 200), said


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_proofs_that_are_not_right_are_refused_at_every_endpoint(siege: Siege, endpoint: str) -> None:
    """Promise P7."""
    world = siege.now
    other = ENDPOINTS[(ENDPOINTS.index(endpoint) + 1) % len(ENDPOINTS)]
    changes: dict[str, tuple[dict[str, Any], str]] = {
        "another endpoint": ({"htu": world.origin + other}, "invalid_dpop_proof"),
        "another method": ({"htm": "GET"}, "invalid_dpop_proof"),
        "another host": ({"htu": "http://thief.example" + endpoint}, "invalid_dpop_proof"),
        "61 s old": ({"iat": world.now_s - 65}, "invalid_dpop_proof"),
        "made for later": ({"iat": world.now_s + 60}, "invalid_dpop_proof"),
        "no nonce": ({"nonce": None}, "use_dpop_nonce"),
        "a foreign nonce": ({"nonce": "A" * 24}, "use_dpop_nonce"),
        "a nonce for data, and the type of a token": ({"header": {"typ": "at+jwt"}}, "invalid_dpop_proof"),
    }
    said = {}
    for name, (change, _) in changes.items():
        form = urlencode(form_of(siege.now, endpoint)).encode()
        status, answer = await siege.post(endpoint, form, proof_for(siege.now, endpoint, **change))
        said[name] = (status, answer.get("error"))

    assert said == {name: (400, error) for name, (_, error) in changes.items()}


async def test_raw_requests_have_their_outcome(siege: Siege) -> None:
    """Promises P1 and P7: what is no HTTP is closed, the rest is answered and recorded."""
    wrong = []
    for name, (attack, outcome) in RAW.items():
        world = siege.now
        assert world.shown is not None
        good = Good(
            host=world.origin.removeprefix("http://"),
            path=world.path,
            body=world.body,
            token=world.shown,
            proof=world.proof,
        )
        if (status := await siege.send(attack(good))) != outcome:
            wrong.append((name, status))

    assert wrong == []


async def test_p1_every_refusal_stands_in_the_log(siege: Siege) -> None:
    """Promise P1."""
    assert len(siege.receipts) > 600
    indexes = {receipt.verify(siege.house.vkey).index for receipt in siege.receipts}
    assert len(indexes) == len(siege.receipts)
    report = verify_store(siege.house.store, siege.house.vkey)
    assert report.faults == ()


async def test_no_token_proof_or_assertion_lies_in_the_logs(siege: Siege) -> None:
    """Attack 79. Promise P9."""
    world = siege.now
    assert world.shown is not None
    await siege.ask(world.shown, world.proof())
    signature = world.shown.rpartition(".")[2].encode()
    headers = (b"eyJ0eXAi", b"eyJhbGci")  # {"typ" and {"alg" in base64url
    for path in [*(siege.house.home / "ledger").iterdir(), siege.house.home / "serve.err"]:
        content = path.read_bytes()
        assert not [needle for needle in (signature, *headers) if needle in content], path.name
