"""npm's oauth4webapi, a certified relying party, beside ours: it judges the same requests, and is a client.

What we accept, it accepts. It is laxer where its job ends: it gives out no nonce, knows no ``qd``, takes
proofs five minutes old, and believes any ``acr``; those are listed by our own cause.
"""

import asyncio
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from attack_world import World
from credential_mutants import broken, resigned
from cryptography.hazmat.primitives.asymmetric import ec
from firm_scene import DATASET, RULES, people
from foreign_verifier import Verifier
from house import a_firm, make_house

from gateway import jose
from gateway.cli.demo.person import approve
from gateway.client import ClientKey
from gateway.errors import NotAuthenticated
from tests.faults.share import chance_of, say

STEP_S = 60
LAXER = {
    # a resource server of this project says more
    *("proof-nonce", "proof-qd", "proof-time", "assurance-not-earned", "claims-inconsistent", "lifetime"),
    *("issued-in-the-future", "kid", "proof-kid", "proof-other-key"),
    # a token or a proof has one spelling, and nothing in it that nobody asked for
    *("header-not-allowed", "proof-header-not-allowed", "text-not-printable-ascii", "not-an-integer"),
    *(
        "proof-text-not-printable-ascii",
        "proof-not-an-integer",
        "integer-too-large",
        "proof-integer-too-large",
    ),
    *("integer-too-large", "audience", "claim-aud", "proof-htu", "type", "key-unknown"),
}


def asked(world: World, kind: str, text: str) -> tuple[Any, dict[str, Any]]:
    """Return a request for us, and the same for the other verifier."""
    token = text if kind == "token" else str(world.shown)
    proof = text if kind == "proof" else world.proof(token=token)
    key = world.issuer_key.public_key()
    given = {
        "Issuer": world.issuer,
        "Audience": world.audience,
        "Jwks": {"keys": [{**jose.jwk_of(key), "kid": "k1", "alg": "ES256", "use": "sig"}]},
        "Now": world.now_s,
        "Url": world.origin + world.path,
        "Method": "POST",
        "Authorization": f"DPoP {token}",
        "DPoP": proof,
    }
    return world.query(token, proof), given


def verdict(world: World, query: Any) -> str:
    try:
        world.verify_request(query)
    except NotAuthenticated as refused:
        cause = refused.cause
    else:
        return "ok"
    return cause


def compared(verifier: Verifier, count: int, dice: Random) -> None:
    base = World()
    world = replace(base, shown=base.token())
    ours, given = [], []
    for number in range(count):
        kind = dice.choice(("token", "proof"))
        text = resigned(kind, world, dice)[1] if number % 2 else broken(kind, world, dice)
        if not text.isascii() or not text.isprintable() or " " in text:  # no header of HTTP carries it
            continue
        query, other = asked(world, kind, text)
        ours.append(verdict(world, query))
        given.append(other)

    theirs = verifier.verdicts(given)

    both = list(zip(ours, theirs, given, strict=True))
    laxer = Counter(mine for mine, other, _ in both if other == "ok" != mine)
    accepted = sum(mine == other == "ok" for mine, other, _ in both)
    say(f"{len(both):,} requests beside oauth4webapi: {accepted} accepted by both; it alone {dict(laxer)}")
    assert Counter(other for mine, other, one in both if mine == "ok" != other) == {}
    assert {cause for cause in laxer if "claim-" not in cause} <= LAXER
    assert accepted > count // 50
    assert sum(mine != "ok" for mine in ours) > count // 2


def test_both_accept_a_good_request(oauth_verifier: Verifier) -> None:
    world = World()
    query, given = asked(replace(world, shown=world.token()), "token", world.token())

    assert (verdict(world, query), oauth_verifier.verdicts([given])) == ("ok", ["ok"])


def test_what_we_accept_oauth4webapi_accepts(oauth_verifier: Verifier) -> None:
    compared(oauth_verifier, 1_000, chance_of("oauth4webapi"))


@pytest.mark.long
def test_what_we_accept_of_many_oauth4webapi_accepts(oauth_verifier: Verifier) -> None:
    compared(oauth_verifier, 10_000, chance_of("long oauth4webapi"))


def private_jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    number = key.private_numbers().private_value.to_bytes(32, "big")
    return {**jose.jwk_of(key.public_key()), "d": jose.base64url(number)}


async def test_oauth4webapi_gets_tokens_by_both_grants_and_uses_them(
    oauth_verifier: Verifier, tmp_path: Path
) -> None:
    """Client credentials, device grant, nonces, rows, introspection, revocation: with software of others."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "people.csv").write_text(people(), encoding="utf-8")
    house = make_house(tmp_path / "home", data=tmp_path / "data", rules={DATASET: RULES})
    private = ec.generate_private_key(ec.SECP256R1())
    firm = replace(a_firm(), key=ClientKey(private))
    await asyncio.to_thread(house.register, firm)
    given = {
        "Origin": house.origin,
        "Client": firm.client,
        "Purpose": firm.purpose,
        "Key": private_jwk(private),
        "Path": f"/v1/datasets/{DATASET}/records",
    }
    said: dict[str, dict[str, Any]] = {}
    with house.serving():
        process = await asyncio.create_subprocess_exec(
            oauth_verifier.command[0],
            "driver_oauth_client.mjs",
            cwd=oauth_verifier.folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(os.environ),
        )
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: PT018
        process.stdin.write(json.dumps(given).encode() + b"\n")
        while line := await asyncio.wait_for(process.stdout.readline(), STEP_S):
            told = json.loads(line)
            said[told.pop("step")] = told
            if "device" in said and "activated" not in said:
                device = said["device"]
                await approve(firm, device["user_code"], device["verification_uri"], device["key_phrase"])
                process.stdin.write(b"{}\n")
        errors = (await process.stderr.read()).decode()
        await process.wait()

    assert errors == ""
    assert said["discovered"] == {"issuer": house.origin}
    assert said["alone"] == {"type": "dpop", "acr": "aal1", "nonces": 1}
    assert said["listed"]["status"] == 200
    assert (said["introspected"]["active"], said["introspected"]["client_id"]) == (True, firm.client)
    assert said["revoked"] == {"active": False}
    assert said["refused"] == {"status": 401, "error": "invalid_token"}
    assert said["activated"] == {"type": "dpop", "acr": "aal2"}
    assert (said["rows"]["status"], len(said["rows"]["content"]["rows"])) == (200, 3)
