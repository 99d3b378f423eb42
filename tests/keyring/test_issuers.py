"""Trusted issuers: files that say exactly what they must, and keys that outlive their server's bad days."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gateway import jose
from gateway.errors import HomeInvalid
from gateway.identity.trusted import ActsFor
from gateway.keyring.issuers import trusted_issuers
from gateway.keyring.key_sets import UNKNOWN_MAX, KeySet, keys_of

OURS = "https://gateway.example"
KEY = ec.derive_private_key(31, ec.SECP256R1()).public_key()
OTHER = ed25519.Ed25519PrivateKey.from_private_bytes(b"\x1f" * 32).public_key()
GOOD: dict[str, Any] = {
    "issuer": "https://id.example.gov.vn",
    "keys": {"url": "https://id.example.gov.vn/jwks"},
    "clients": {
        "idp-7": {"client": "bank-a.etl", "org": "bank-a", "agreement": "AGR-2026-001", "purpose": "research"}
    },
    "people": {"3f1c9a": "lan"},
    "acr": {"urn:loa:high": ["hwk", "user", "fpt"]},
    "amr": {"otp": ["otp"]},
}


def jwks(**keys: jose.PublicKey) -> bytes:
    return json.dumps({"keys": [{**jose.jwk_of(key), "kid": kid} for kid, key in keys.items()]}).encode()


def written(folder: Path, document: Any, name: str = "id.json") -> Path:
    (folder / "keys" / "issuers").mkdir(parents=True, exist_ok=True)
    (folder / "run").mkdir(exist_ok=True)
    text = document if isinstance(document, str) else json.dumps(document)
    (folder / "keys" / "issuers" / name).write_text(text, encoding="utf-8")
    return folder


def test_a_home_without_the_folder_trusts_nobody(tmp_path: Path) -> None:
    assert trusted_issuers(tmp_path, own=OURS).by_name == {}


def test_a_file_names_an_issuer_and_what_it_may_say(tmp_path: Path) -> None:
    found = trusted_issuers(written(tmp_path, GOOD), own=OURS).by_name

    (issuer,) = found.values()
    assert found == {"https://id.example.gov.vn": issuer}
    assert issuer.clients == {
        "idp-7": ActsFor(
            client="bank-a.etl",  # type: ignore[arg-type]
            org="bank-a",  # type: ignore[arg-type]
            agreement="AGR-2026-001",  # type: ignore[arg-type]
            purpose="research",  # type: ignore[arg-type]
        )
    }
    assert (issuer.people, issuer.acr, issuer.amr) == (
        {"3f1c9a": "lan"},
        {"urn:loa:high": ("hwk", "user", "fpt")},
        {"otp": ("otp",)},
    )


def test_the_example_that_ships_is_a_good_one(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "keys" / "issuers" / "example.json"

    folder = written(tmp_path, example.read_text(encoding="utf-8"))
    assert list(trusted_issuers(folder, own=OURS).by_name) == ["https://id.example.gov.vn"]


BAD: dict[str, tuple[Any, str]] = {
    "not JSON": ("{", "Expecting property name"),
    "a list": ([], "Expected `object`, got `array`"),
    "an unknown member": (GOOD | {"trust": 1}, "unknown field `trust`"),
    "an unknown member of a client": (
        GOOD | {"clients": {"idp-7": GOOD["clients"]["idp-7"] | {"level": "aal3"}}},
        r"unknown field `level` - at `\$.clients\[...\]`",
    ),
    "no issuer": ({k: v for k, v in GOOD.items() if k != "issuer"}, "missing required field `issuer`"),
    "no clients": ({k: v for k, v in GOOD.items() if k != "clients"}, "missing required field `clients`"),
    "a client without its purpose": (
        GOOD | {"clients": {"idp-7": {"client": "c", "org": "o", "agreement": "a"}}},
        "missing required field `purpose`",
    ),
    "a number for a name": (GOOD | {"people": {"3f1c9a": 7}}, "Expected `str`, got `int`"),
    "a level for methods": (GOOD | {"acr": {"urn:loa:high": "aal3"}}, "Expected `array`, got `str`"),
    "a method nobody has heard of": (GOOD | {"acr": {"urn:loa:high": ["aal3"]}}, "`aal3` is no auth"),
    "no place for keys": (GOOD | {"keys": {}}, "`keys` has one of"),
    "two places for keys": (GOOD | {"keys": {"url": "https://a.example", "file": "a"}}, "`keys` has one of"),
    "keys in clear": (GOOD | {"keys": {"url": "http://id.example.gov.vn/jwks"}}, "`keys` has one of"),
    "keys from a file address": (GOOD | {"keys": {"url": "file:///etc/passwd"}}, "`keys` has one of"),
    "keys from another folder": (GOOD | {"keys": {"file": "../tokens.pem"}}, "`keys` has one of"),
    "the gateway itself": (GOOD | {"issuer": OURS}, "is known already"),
    "a member twice": ('{"issuer": "a", "issuer": "b"}', "`issuer` is there twice"),
}  # fmt: skip


@pytest.mark.parametrize(("document", "reason"), BAD.values(), ids=BAD)
def test_a_file_that_is_not_as_it_must_be_stops_the_start(tmp_path: Path, document: Any, reason: str) -> None:
    with pytest.raises(HomeInvalid, match=reason) as refused:
        trusted_issuers(written(tmp_path, document), own=OURS)

    assert "/issuers/id.json`" in refused.value.detail


def test_two_files_do_not_speak_of_one_issuer(tmp_path: Path) -> None:
    written(tmp_path, GOOD)

    with pytest.raises(HomeInvalid, match="is known already"):
        trusted_issuers(written(tmp_path, GOOD, "second.json"), own=OURS)


RSA = {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "r"}
SETS: dict[str, tuple[Any, set[str]]] = {
    "one key": (json.loads(jwks(a=KEY)), {"a"}),
    "both kinds": (json.loads(jwks(a=KEY, b=OTHER)), {"a", "b"}),
    "a key of another kind beside": ({"keys": [RSA, *json.loads(jwks(a=KEY))["keys"]]}, {"a"}),
    "a key for encryption beside": (
        {"keys": [{**jose.jwk_of(OTHER), "kid": "e", "use": "enc"}, *json.loads(jwks(a=KEY))["keys"]]},
        {"a"},
    ),
    "a nameless key beside": ({"keys": [jose.jwk_of(OTHER), *json.loads(jwks(a=KEY))["keys"]]}, {"a"}),
    "a private key beside": (
        {"keys": [{**jose.jwk_of(OTHER), "kid": "p", "d": "AAAA"}, *json.loads(jwks(a=KEY))["keys"]]},
        {"a"},
    ),
    "certificates beside": ({"keys": [{**json.loads(jwks(a=KEY))["keys"][0], "x5c": ["MIIB"]}]}, {"a"}),
}


@pytest.mark.parametrize(("document", "kids"), SETS.values(), ids=SETS)
def test_of_a_key_set_the_usable_keys_are_taken(document: Any, kids: set[str]) -> None:
    assert set(keys_of(json.dumps(document).encode())) == kids


NO_SETS: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"<html>",
    "a list": b"[]",
    "no keys": b"{}",
    "empty": b'{"keys": []}',
    "keys an object": b'{"keys": {}}',
    "nothing usable": json.dumps({"keys": [RSA]}).encode(),
    "a name twice": json.dumps({"keys": json.loads(jwks(a=KEY))["keys"] * 2}).encode(),
    "too many": jwks(**{f"k{number}": KEY for number in range(33)}),
    "too large": jwks(a=KEY) + b" " * 65_536,
    "a deep one": b"[" * 50_000,
}


@pytest.mark.parametrize("document", NO_SETS.values(), ids=NO_SETS)
async def test_what_is_no_key_set_leaves_the_last_good_keys(document: bytes, tmp_path: Path) -> None:
    server = Server(jwks(a=KEY))
    key_set = KeySet("id", server.fetch, last_good=tmp_path / "last")
    await key_set.refresh()
    server.document = document

    await key_set.refresh()

    assert (server.fetches, key_set.get("a")) == (2, KEY)


class Server:
    """An issuer's server that a test has in its hand."""

    def __init__(self, document: bytes) -> None:
        self.document: bytes | Exception = document
        self.fetches = 0

    async def fetch(self) -> bytes:
        self.fetches += 1
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


@pytest.mark.parametrize("error", [OSError("no route"), TimeoutError(), ValueError("x"), RecursionError()])
async def test_an_issuer_out_of_reach_leaves_the_last_good_keys(error: Exception, tmp_path: Path) -> None:
    server = Server(jwks(a=KEY))
    key_set = KeySet("id", server.fetch, last_good=tmp_path / "last")
    await key_set.refresh()
    server.document = error

    await key_set.refresh()

    assert key_set.get("a") == KEY


async def test_who_starts_while_the_issuer_is_out_of_reach_has_the_keys_of_before(tmp_path: Path) -> None:
    server = Server(jwks(a=KEY))
    await KeySet("id", server.fetch, last_good=tmp_path / "last").refresh()
    found = []
    for document in (OSError("no route"), b"{}"):
        server.document = document
        started = KeySet("id", server.fetch, last_good=tmp_path / "last")
        await started.refresh()
        found.append(started.get("a"))
    server.document = jwks(b=OTHER)
    await started.refresh()

    assert found == [KEY, KEY]
    assert (started.get("a"), started.get("b")) == (None, OTHER)
    assert os.listdir(tmp_path) == ["last"]  # noqa: PTH208  a path's own listing is called blocking


async def until(true: Any) -> None:
    give_up_at = asyncio.get_running_loop().time() + 5
    while not true():
        assert asyncio.get_running_loop().time() < give_up_at
        await asyncio.sleep(0.005)


async def test_a_new_key_is_fetched_when_a_token_names_it_and_a_withdrawn_one_ends(tmp_path: Path) -> None:
    server = Server(jwks(a=KEY))
    key_set = KeySet("id", server.fetch, last_good=tmp_path / "last", cooldown_s=0.01, refresh_s=60)
    async with key_set.kept_fresh():
        server.document = jwks(b=OTHER)
        assert (key_set.get("b"), key_set.get("a")) == (None, KEY)

        await until(lambda: key_set.get("b") is not None)

        assert (key_set.get("b"), key_set.get("a")) == (OTHER, None)


async def test_keys_are_renewed_from_time_to_time_though_nobody_asks(tmp_path: Path) -> None:
    server = Server(jwks(a=KEY))
    async with KeySet(
        "id", server.fetch, last_good=tmp_path / "last", cooldown_s=0.01, refresh_s=0.02
    ).kept_fresh():
        await until(lambda: server.fetches > 3)


async def test_a_flood_of_unknown_keys_brings_one_fetch_in_a_cooldown_and_little_memory(
    tmp_path: Path,
) -> None:
    """Attack 11: however many tokens name keys that nobody has."""
    server, loop = Server(jwks(a=KEY)), asyncio.get_running_loop()
    key_set = KeySet("id", server.fetch, last_good=tmp_path / "last", cooldown_s=0.2, refresh_s=60)
    async with key_set.kept_fresh():
        began = loop.time()
        for number in range(20_000):
            assert key_set.get(f"unknown-{number}") is None
            if number % 1000 == 0:
                await asyncio.sleep(0.01)
        lasted = loop.time() - began

    assert server.fetches <= 1 + lasted / 0.2
    assert len(key_set._unknown) <= UNKNOWN_MAX


async def test_the_same_unknown_key_is_asked_for_once(tmp_path: Path) -> None:
    server = Server(jwks(a=KEY))
    key_set = KeySet("id", server.fetch, last_good=tmp_path / "last", cooldown_s=0.01, refresh_s=60)
    async with key_set.kept_fresh():
        key_set.get("unknown")
        await until(lambda: server.fetches == 2)
        for _ in range(10):
            key_set.get("unknown")
            await asyncio.sleep(0.01)

    assert server.fetches == 2


async def test_a_file_of_keys_is_read_again(tmp_path: Path) -> None:
    issuers = trusted_issuers(written(tmp_path, GOOD | {"keys": {"file": "id.jwks"}}), own=OURS)
    keys = tmp_path / "keys" / "issuers" / "id.jwks"
    (key_set,) = issuers.key_sets
    found: list[Mapping[str, bool]] = []
    for document in (jwks(a=KEY), jwks(b=OTHER)):
        keys.write_bytes(document)
        await key_set.refresh()
        found.append({kid: key_set.get(kid) is not None for kid in "ab"})

    assert found == [{"a": True, "b": False}, {"a": False, "b": True}]
