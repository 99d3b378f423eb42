"""Replies encrypted to the client, end to end (issue 6): only the firm's machine reads them.

One dataset leaves it to the client whether its replies are encrypted; of the other, rows and statistics
leave in no other way.
"""

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from firm_scene import DATASET as OPEN
from firm_scene import RULES, Desk, connected, curl, people
from house import House, a_firm, free_port, make_house
from lookup_scene import BINH, REGISTER
from lookup_scene import DATASET as REGISTRY
from lookup_scene import RULES as LOOKUP_RULES
from upstream import Upstream, an_answer

from gateway.cli.demo.cast import Firm
from gateway.cli.demo.person import approve
from gateway.client import (
    Answer,
    DecryptionKey,
    Gateway,
    GatewayProblem,
    Profile,
    StoredReceipt,
)
from gateway.client.decryption import opened
from gateway.client.wire import Response
from gateway.jose import JWE_ALG, JWE_ENC, base64url_decoded

SEALED = "vn.test.sealed-2026"
ORDINARY = {
    "Content-Type", "Content-Length", "Date", "Cache-Control", "DPoP-Nonce", "X-Content-Type-Options",
    "Content-Security-Policy", "Referrer-Policy", "X-Frame-Options", "Strict-Transport-Security", "Server",
}  # fmt: skip
"""Headers that every reply has."""
PROXIED = "vn.test.proxied-2026"
KEY = DecryptionKey.create()
STATISTIC = "SELECT province, COUNT(*) AS n FROM data GROUP BY province"
TYPES = ("application/json", "application/x-ndjson", "text/csv")
OPEN_RULES = RULES.replace("max_age: 8h", "max_age: 8h, unattended: 30d")
SEALED_RULES = (
    OPEN_RULES.replace(OPEN, SEALED)
    .replace("vn.test.people", "vn.test.sealed")
    .replace("people.csv", "sealed.csv")
)


UPSTREAM_PORT = free_port()
PROXIED_RULES = f"""\
policy: 1
id: {PROXIED}
revision: 1
valid: {{from: 2026-01-01, until: 2030-12-31}}
title: {{vi: Người, en: People}}
publisher: {{org: nso, name: {{vi: Cục, en: Office}}}}
steward: Chief
classification: {{sharing: shared, importance: none, personal: basic}}
source: {{url: "http://127.0.0.1:{UPSTREAM_PORT}", format: http, lineage: vn.test.proxied}}
columns:
  age: {{type: integer, personal: basic}}
purposes: {{research: {{vi: Nghiên cứu, en: Research}}}}
permits:
  - id: rows
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [proxy]
    assurance: {{acr: aal2, max_age: 8h}}
    columns: {{age: keep}}
    limits: {{rows: 50}}
    paths: [{{path: /p, rows: /rows}}]
"""


def sealing(rules: str) -> str:
    """The same document, of which nothing leaves but encrypted."""
    return re.sub(r"(    may: .*\n)", r"\1    delivery: {encrypted: true}\n", rules)


@dataclass(frozen=True, slots=True)
class Town:
    """A gateway and its firms."""

    house: House
    bank: Firm
    """Has an encryption key, as the next."""
    night_bank: Firm
    plain_bank: Firm
    desk_bank: Firm
    notary: Firm
    """Has that key, too."""
    plain_notary: Firm

    @asynccontextmanager
    async def session(self, firm: Firm, *keys: DecryptionKey) -> AsyncIterator[Gateway]:
        who: dict[str, Any] = {"client": firm.client, "key": firm.key, "log_key": self.house.vkey}
        async with Gateway(self.house.origin, **who, decryption_keys=keys) as gateway:
            if firm.client in self.house.activated:
                await gateway.resume(firm.purpose)
            else:
                await gateway.login(firm.purpose, lambda *told: approve(firm, *told))
                self.house.activated.add(firm.client)
            yield gateway

    def desk(self, firm: Firm, profile: Path) -> Desk:
        """A machine that knows the gateway, and no encryption key yet."""
        profile.mkdir(mode=0o700)
        firm.key.save(profile / "client.pem")
        Profile(
            gateway=self.house.origin, client=firm.client, purpose=firm.purpose,
            key=str(profile / "client.pem"), log_key=self.house.vkey,
        ).save(profile)  # fmt: skip
        return Desk(self.house, firm, profile)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    (folder / "data").mkdir()
    for name in ("people", "sealed"):
        (folder / "data" / f"{name}.csv").write_text(people(), encoding="utf-8")
    (folder / "data" / "register.csv").write_text(REGISTER, encoding="utf-8")
    rules = {
        OPEN: OPEN_RULES, SEALED: sealing(SEALED_RULES), REGISTRY: sealing(LOOKUP_RULES),
        PROXIED: sealing(PROXIED_RULES),
    }  # fmt: skip
    house = make_house(folder / "home", data=folder / "data", rules=rules)
    bank, night_bank = (a_firm(f"bank-{n}", "bank", "research", n, KEY) for n in (1, 2))
    plain_bank, desk_bank = (a_firm(f"bank-{n}", number=n) for n in (3, 4))
    notary = a_firm("notary-5", "notary", "marital-status", 5, KEY)
    plain_notary = a_firm("notary-6", "notary", "marital-status", 6)
    firms = (bank, night_bank, plain_bank, desk_bank, notary, plain_notary)
    house.register(*firms)
    with house.serving():
        yield Town(house, *firms)


def header_of(answer: Answer) -> dict[str, object]:
    """The protected header of what was sent."""
    assert answer.receipt is not None
    assert answer.receipt.body is not None
    header: dict[str, object] = json.loads(base64url_decoded(answer.receipt.body.split(b".")[0].decode()))
    return header


def entry_of(answer: Answer) -> dict[str, Any]:
    assert answer.receipt is not None
    entry: dict[str, Any] = json.loads(answer.receipt.entry)
    return entry


async def spent(gateway: Gateway) -> str:
    """What the client has spent, in rho and in keys."""
    shown = (await gateway.budgets()).document["budgets"]
    return json.dumps([each["client"] for each in shown])


@pytest.mark.parametrize("dataset", [OPEN, SEALED])
async def test_rows_leave_encrypted_and_say_what_they_would_say_in_clear(town: Town, dataset: str) -> None:
    async with town.session(town.bank, KEY) as gateway, town.session(town.bank) as in_clear:
        for accept in TYPES:
            answer = await gateway.records(dataset, limit=3, accept=accept)
            assert answer.encrypted_to == KEY.thumbprint
            assert answer.receipt is not None
            verified = answer.receipt.verify(town.house.vkey)
            assert verified.entry["facts"]["encrypted_to"] == KEY.thumbprint  # type: ignore[index]
            header = header_of(answer)
            assert header.keys() == {"alg", "enc", "kid", "cty", "epk"}
            assert (header["alg"], header["enc"], header["kid"]) == (JWE_ALG, JWE_ENC, KEY.thumbprint)
            assert str(header["cty"]).startswith(accept)
            assert answer.body not in (answer.receipt.body or b"")
            if dataset == OPEN:
                plain = await in_clear.records(dataset, limit=3, accept=accept)
                assert (plain.encrypted_to, plain.content_type) == (None, answer.content_type)
                assert "plain" not in entry_of(plain)["commitments"]
                assert rows_of(plain) == rows_of(answer) != []
        pages = [page async for page in gateway.all_records(dataset, select=["province"], limit=250)]
        assert [len(page.document["rows"]) for page in pages] == [250, 250, 100]
        assert {page.encrypted_to for page in pages} == {KEY.thumbprint}


def rows_of(answer: Answer) -> list[object]:
    match answer.content_type:
        case "application/json":
            return list(answer.document["rows"])
        case "text/csv":
            return list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"))))
        case _:
            return [json.loads(line) for line in answer.body.splitlines()]


async def test_who_carries_a_reply_learns_nothing_but_lengths(town: Town) -> None:
    """Neither a count of rows, nor what would let a guess be checked: a salt beside a commitment."""
    async with town.session(town.notary, KEY) as gateway:
        seen = await gateway._signed(
            "POST", f"/v1/datasets/{REGISTRY}/lookup", "", json.dumps({"keys": [BINH]}).encode(),
            {"Accept": "application/jose", "Idempotency-Key": "seen"},
        )  # fmt: skip

    assert (seen.status, seen.content_type) == (200, "application/jose")
    carried = {name: seen.headers[name] for name in ("Gateway-Receipt", "Gateway-Entry")}
    assert {text.count(".") for text in (*carried.values(), seen.body.decode())} == {4}
    said = {name: opened(text.encode(), (KEY,)).plaintext for name, text in carried.items()}
    assert json.loads(said["Gateway-Entry"])["facts"]["rows"] == 1
    assert said["Gateway-Receipt"].startswith(b"c2sp.org/tlog-proof@v1\nextra ")
    others = set(seen.headers) - carried.keys() - ORDINARY
    assert others == set(), "what else is said, everybody may read"


async def test_who_carries_a_request_cannot_ask_for_it_in_clear(town: Town) -> None:
    """Where the rules leave it to the firm; refused before anything is read or charged."""
    async with town.session(town.bank, KEY) as gateway:
        before = await spent(gateway)
        send = gateway._wire.send

        async def stripped(method: str, path: str, *, message: Any) -> Response:
            headers, body = message()
            return await send(method, path, message=lambda: ({**headers, "Accept": "*/*"}, body))

        gateway._wire.send = stripped  # type: ignore[method-assign]
        for asking in (gateway.records(OPEN, limit=1), gateway.query(OPEN, STATISTIC, epsilon="0.1")):
            with pytest.raises(GatewayProblem, match="`accept` does not fit"):
                await asking
        gateway._wire.send = send  # type: ignore[method-assign]
        assert await spent(gateway) == before


async def test_a_repeat_is_paid_once_and_encrypted_anew(town: Town) -> None:
    """Promise P2."""
    async with town.session(town.bank, KEY) as gateway:
        asked = {"epsilon": "0.1", "idempotency_key": "one"}
        statistics = [await gateway.query(SEALED, STATISTIC, **asked) for _ in range(2)]
        budgets = (await gateway.budgets()).document["budgets"]
    async with town.session(town.notary, KEY) as gateway:
        (before,) = (await gateway.budgets()).document["budgets"]
        lookups = [await gateway.lookup(REGISTRY, [BINH], idempotency_key="two") for _ in range(2)]
        (keys,) = (await gateway.budgets()).document["budgets"]

    for first, again in (statistics, lookups):
        assert (first.body, first.encrypted_to) == (again.body, KEY.thumbprint)
        assert first.receipt is not None
        assert again.receipt is not None
        assert first.receipt.body != again.receipt.body
        assert first.receipt.verify(town.house.vkey).index < again.receipt.verify(town.house.vkey).index
    assert lookups[0].document["rows"][0]["status"] == "married"
    (paid,) = (each["client"]["rho_spent"] for each in budgets if each["dataset"] == SEALED)
    assert paid == statistics[0].document["charge"]["rho"]
    assert keys["client"]["keys_spent"] == before["client"]["keys_spent"] + 1


async def test_without_a_key_nothing_of_it_leaves_and_nothing_is_charged(town: Town) -> None:
    unknown = DecryptionKey.create()
    for keys, problem in (((), "not-acceptable"), ((unknown,), "encryption-key-required")):
        async with (
            town.session(town.plain_bank, *keys) as bank,
            town.session(town.plain_notary, *keys) as notary,
        ):
            before = [await spent(bank), await spent(notary)]
            for asking in (
                bank.records(SEALED),
                bank.query(SEALED, STATISTIC, epsilon="0.1"),
                notary.lookup(REGISTRY, [BINH]),
            ):
                with pytest.raises(GatewayProblem) as refused:
                    await asking
                assert refused.value.type == f"urn:problem:gateway:{problem}"
                assert refused.value.receipt is not None
                refused.value.receipt.verify(town.house.vkey)
            assert [await spent(bank), await spent(notary)] == before
    async with town.session(town.plain_bank, unknown) as gateway:
        with pytest.raises(GatewayProblem, match="No key to encrypt to"):
            await gateway.records(OPEN)
    async with town.session(town.plain_bank) as gateway:
        assert (await gateway.records(OPEN, limit=1)).encrypted_to is None
        anyhow = await gateway._signed("POST", f"/v1/datasets/{SEALED}/records", "", b"{}", {"Accept": "*/*"})
    assert (anyhow.status, b"encryption-key-required" in anyhow.body) == (403, True)


async def test_what_an_upstream_answers_leaves_encrypted_too(town: Town) -> None:
    upstream = Upstream()
    upstream.answers(an_answer(b'{"rows": [{"age": 41, "secret": "x"}]}'))
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", UPSTREAM_PORT)
    async with server, town.session(town.bank, KEY) as gateway:
        answer = await gateway.proxy(PROXIED, "p")

    assert (answer.document["rows"], answer.encrypted_to) == ([{"age": 41}], KEY.thumbprint)
    assert b"jose" not in b"".join(upstream.requests)  # the encryption is the gateway's own


async def test_a_saved_request_is_answered_encrypted(town: Town) -> None:
    firm = town.night_bank
    who: dict[str, Any] = {"client": firm.client, "key": firm.key, "log_key": town.house.vkey}
    async with Gateway(town.house.origin, **who, decryption_keys=(KEY,)) as gateway:
        saved = await gateway.save(
            firm.purpose, SEALED, lambda *told: approve(firm, *told), sql=STATISTIC, epsilon="0.02"
        )
        night, again = [await gateway.run(saved) for _ in range(2)]

    assert night.document["rows"] == again.document["rows"] != []
    assert (night.encrypted_to, again.encrypted_to) == (KEY.thumbprint, KEY.thumbprint)


def test_the_commands_and_the_programs_of_the_machine_show_what_was_encrypted(
    town: Town, tmp_path: Path
) -> None:
    desk = town.desk(town.desk_bank, tmp_path / "profile")
    keys = {name: str(tmp_path / f"{name}.pem") for name in ("old", "new")}
    for name, file in keys.items():
        key = DecryptionKey.create()
        key.save(file)
        (tmp_path / f"{name}.jwk").write_text(json.dumps(key.jwk), encoding="ascii")
    code, _, errors = desk.log_in("--encryption-key", keys["old"])
    assert (code, Profile.load(desk.profile).encryption_keys) == (0, (keys["old"],)), errors

    early = desk.run("records", OPEN, "--limit", "2")
    assert (early.returncode, "gateway login --encryption-key" in early.stderr) == (1, True), early.stderr
    operate(desk, "add", town.desk_bank.client, keys["old"].replace(".pem", ".jwk"))
    kept = tmp_path / "answer.receipt"
    rows = desk.run("records", SEALED, "--limit", "2", "--format", "csv", "--save-receipt", str(kept))
    assert (rows.returncode, len(list(csv.DictReader(io.StringIO(rows.stdout))))) == (0, 2), rows.stderr
    assert StoredReceipt.load(kept).plain == rows.stdout.replace("\n", "\r\n").encode()
    entry = StoredReceipt.load(kept).verify(town.house.vkey).entry
    assert {"body", "plain"} <= entry["commitments"].keys()  # type: ignore[attr-defined]
    with connected(desk) as url:
        by_address = curl(f"{url}/query/{SEALED}.csv?sql={quote(STATISTIC)}&epsilon=0.1")
        pulled = curl(f"{url}/v1/datasets/{SEALED}/records", method="POST", body='{"limit": 2}')
        listed = curl(f"{url}/v1/datasets")
    assert (by_address.status, by_address.body[:14]) == (200, b"province,n,n.m"), by_address.body
    assert (pulled.status, len(json.loads(pulled.body)["rows"])) == (200, 2)
    assert pulled.headers["content-type"].startswith("application/json")
    assert {"gateway-receipt", "gateway-entry"} <= pulled.headers.keys()
    assert (listed.status, SEALED.encode() in listed.body) == (200, True)

    operate(desk, "add", town.desk_bank.client, keys["new"].replace(".pem", ".jwk"))
    missing = desk.run("records", OPEN, "--limit", "2")
    assert (missing.returncode, "not held here" in missing.stderr) == (1, True), missing.stderr
    replace(Profile.load(desk.profile), encryption_keys=tuple(keys.values())).save(desk.profile)
    assert desk.run("records", OPEN, "--limit", "2").returncode == 0


def operate(desk: Desk, *arguments: str) -> None:
    """What the operator of the gateway runs."""
    done = desk.run("--home", str(desk.house.home), "client", "key", *arguments)
    assert done.returncode == 0, done.stderr
