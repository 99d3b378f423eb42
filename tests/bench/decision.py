"""Who asks, and may they: steps 1 and 2 in process, against one bare ES256 verification."""

import asyncio
import json
import uuid
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from gateway import flow, wiring
from gateway.identity.nonce import nonce_at
from gateway.terms.identifiers import DatasetId, RequestId
from gateway.terms.query import Action, Query
from tests.bench.measure import Family, Measure, Plan, seconds_of
from tests.bench.scene import Scene, in_force, make_scene

REQUESTS = 3000


def signed_query(
    scene: Scene, *, token: str, nonce: str, table: str, what: str, method: str = "POST", body: bytes = b""
) -> Query:
    """Return one request as the web room hands it on."""
    path = f"/v1/datasets/bench.{table}/{what}"
    proof = scene.firm.key.proof(
        method=method,
        url=scene.house.origin + path,
        now=datetime.now(UTC),
        nonce=nonce,
        access_token=token,
        body=body,
    )
    return Query(
        request_id=RequestId(str(uuid.uuid4())),
        method=method,
        path=path,
        query_string="",
        action=Action.AGGREGATE if what == "query" else Action.EXTRACT,
        dataset=DatasetId(f"bench.{table}"),
        authorizations=(f"DPoP {token}",),
        proofs=(proof,),
        content_type="application/json",
        body=body,
        peer="127.0.0.1",
    )


def steps_of(gateway: wiring.Gateway) -> flow.Steps:
    """Return the eight steps as they are served."""
    return wiring.api_of(gateway).steps


async def _times(plan: Plan, scene: Scene) -> tuple[list[float], list[float]]:
    key = ec.generate_private_key(ec.SECP256R1())
    message, signed_with = b"m" * 700, ec.ECDSA(SHA256())
    signature, public = key.sign(message, signed_with), key.public_key()
    body = json.dumps({"limit": 100}).encode()
    measured, floor = [], []
    async with in_force(scene) as gateway:
        steps = steps_of(gateway)
        token, nonce = scene.token(), nonce_at(gateway.nonce_secret, datetime.now(UTC))
        queries = [
            signed_query(scene, token=token, nonce=nonce, table="tiny", what="records", body=body)
            for _ in range(plan.size(REQUESTS))
        ]

        async def judged(query: Query) -> None:
            steps.decide(query, await steps.authenticate(query))

        for query in queries:
            coroutine = judged(query)

            def step(coroutine: object = coroutine) -> None:
                try:
                    coroutine.send(None)  # type: ignore[attr-defined]
                except StopIteration:
                    return
                raise RuntimeError("authenticate waited for something")

            measured.append(seconds_of(step))
            floor.append(seconds_of(lambda: public.verify(signature, message, signed_with)))
    return sorted(measured), sorted(floor)


def run(plan: Plan) -> list[Measure]:
    scene = make_scene(plan.folder / "decision", {"tiny": 1})
    measured, floor = asyncio.run(_times(plan, scene))

    def at(part: float, times: list[float]) -> float:
        return times[min(len(times) - 1, int(len(times) * part))] * 1000

    return [
        Measure(name=name, value=at(part, measured), unit="ms", floor=at(part, floor))
        for name, part in (("auth_policy_ms_p50", 0.5), ("auth_policy_ms_p99", 0.99))
    ]


FAMILY = Family(names=("auth_policy_ms_p50", "auth_policy_ms_p99"), run=run)
