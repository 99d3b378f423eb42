"""A firm's nightly job: one person approves one question, and real commands run it without them."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from firm_scene import RULES as PEOPLE_RULES
from firm_scene import Desk, people
from house import House, a_firm, make_house

from gateway.cli.demo.cast import Firm
from gateway.cli.demo.person import approve
from gateway.client import Gateway, GatewayProblem, Profile, SavedRequest
from gateway.client.saved import saved_names
from gateway.registry.records import State
from gateway.services.acts import Kind, Look, SetState
from gateway.serving.admin import perform

DATASET = "vn.test.people-2026"
SQL = "SELECT province, COUNT(*) AS n FROM data GROUP BY province"
RULES = PEOPLE_RULES.replace("acr: aal2, max_age: 8h", "acr: aal2, max_age: 8h, unattended: 30d")
WORKERS = 2
SESSIONS = 6
"""Connections of their own, so that every worker is met."""


@dataclass(frozen=True, slots=True)
class Town:
    """A gateway of two workers, and firms whose operators have not signed in yet: one a test."""

    house: House
    firms: Iterator[Firm]

    def gateway(self, firm: Firm) -> Gateway:
        return Gateway(self.house.origin, client=firm.client, key=firm.key, log_key=self.house.vkey)

    async def saved(self, firm: Firm, days: int = 30, **question: object) -> SavedRequest:
        """Have the firm's operator approve a question."""

        async def prompt(code: str, page: str, phrase: str) -> None:
            await approve(firm, code, page, phrase)

        async with self.gateway(firm) as gateway:
            return await gateway.save(firm.purpose, DATASET, prompt, days=days, **question)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    (folder / "data").mkdir()
    (folder / "data" / "people.csv").write_text(people(), encoding="utf-8")
    house = make_house(folder / "home", data=folder / "data", rules={DATASET: RULES})
    firms = [a_firm(f"bank-{letter}", number=number) for number, letter in enumerate("abcd", 1)]
    house.register(*firms)
    with house.serving("--workers", str(WORKERS)):
        yield Town(house, iter(firms))


@pytest.fixture
def firm(town: Town) -> Firm:
    return next(town.firms)


async def approving(desk: Desk, *arguments: str) -> tuple[int, str]:
    """Run a command that waits for a person, and be that person."""
    process = await asyncio.create_subprocess_exec(
        *desk.command(*arguments),
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    shown = ""
    while "key phrase" not in shown:
        line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
        assert line, shown
        shown += line
    told = re.search(r"page +(\S+)\n *code +(\S+)\n *key phrase +(\S+)", shown)
    assert told is not None
    await approve(desk.firm, told[2], told[1], told[3])
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None, errors
    return process.returncode, output.decode() + errors.decode()


async def test_a_nightly_job_runs_without_a_person_and_ends_when_somebody_ends_it(
    town: Town, firm: Firm, tmp_path: Path
) -> None:
    profile = tmp_path / "profile"
    profile.mkdir(mode=0o700)
    firm.key.save(profile / "client.pem")
    Profile(
        gateway=town.house.origin, client=firm.client, purpose=firm.purpose,
        key=str(profile / "client.pem"), log_key=town.house.vkey,
    ).save(profile)  # fmt: skip
    desk = Desk(town.house, firm, profile)

    code, said = await approving(desk, "save", "nightly", DATASET, SQL, "--epsilon", "0.02")
    first = desk.run("run", "nightly", "--json", "--save-receipt", str(tmp_path / "night.receipt"))
    again = desk.run("run", "nightly", "--json")
    spent = json.loads(desk.run("budget", "--json").stdout)

    assert (code, "saved as nightly until" in said) == (0, True), said
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert json.loads(first.stdout)["rows"] == json.loads(again.stdout)["rows"]
    assert (tmp_path / "night.receipt").exists()
    assert saved_names(profile) == ["nightly"]
    assert "nightly" in desk.run("run").stdout
    assert spent["budgets"] == []  # an ordinary token of that machine has no person behind it
    home = ("--home", str(town.house.home))
    (listed,) = [
        json.loads(line)
        for line in desk.run(*home, "activation", "list", "--json").stdout.splitlines()
        if firm.client in line
    ]
    assert (listed["saved"], listed["operator"]) == (f"POST /v1/datasets/{DATASET}/query", firm.operator)
    ended = desk.run(*home, "activation", "end", listed["id"], "--reason", "test")
    assert ended.returncode == 0, ended.stderr
    over = desk.run("run", "nightly")
    assert (over.returncode, over.stdout) == (1, "")
    assert "run `gateway save` again" in over.stderr
    missing = desk.run("run", "weekly")
    assert (missing.returncode, "nothing is saved as" in missing.stderr) == (1, True)


async def test_p7_its_token_asks_nothing_else_whatever_is_sent(town: Town, firm: Firm) -> None:
    """Promise P7: right proofs over other requests, at every worker."""
    saved = await town.saved(firm, sql=SQL, epsilon="0.02")
    body = saved.body.encode()
    others = [
        ("POST", saved.path, "", body.replace(b"0.02", b"0.03")),
        ("POST", saved.path, "", body + b" "),
        ("POST", saved.path, "", b'{"epsilon": "0.02", ' + body[1:]),
        ("POST", saved.path, "x=1", body),
        ("POST", f"/v1/datasets/{DATASET}/plan", "", body),
        ("POST", f"/v1/datasets/{DATASET}/records", "", b"{}"),
        ("POST", "/v1/datasets/vn.other/query", "", body),
        ("GET", f"/v1/datasets/{DATASET}", "", b""),
        ("GET", "/v1/budgets", "", b""),
    ]
    async with town.gateway(firm) as gateway:
        first = await gateway.run(saved)
        for method, path, query_string, sent in others * WORKERS:
            response = await gateway.forward(method, path, query_string=query_string, body=sent, headers={})
            assert (response.status, json.loads(response.body)["type"]) == (
                403, "urn:problem:gateway:request-not-saved",
            ), (method, path, query_string)  # fmt: skip
        tricks = {
            "application/x-www-form-urlencoded": 415,
            "text/plain": 415,
            "application/json; charset=utf-8": 200,
        }
        for content_type, status in tricks.items():
            response = await gateway.forward(
                "POST", saved.path, query_string="", body=body, headers={"Content-Type": content_type}
            )
            assert response.status == status, content_type
        keyed = await gateway.forward(
            "POST", saved.path, query_string="", body=body, headers={"Idempotency-Key": "again"}
        )
        assert keyed.status == 400
        assert (await gateway.run(saved)).document["rows"] == first.document["rows"]
    receipt = first.receipt
    assert receipt is not None
    facts = json.loads(receipt.entry)["facts"]
    assert (facts["activation"], facts["run"], facts["acr"]) == (saved.activation, 0, "aal2")


async def test_p7_ended_it_is_refused_at_every_worker_within_a_second(town: Town, firm: Firm) -> None:
    """Promise P7: also with tokens that were made before."""
    saved = await town.saved(firm, sql=SQL, epsilon="0.02")
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(town.gateway(firm)) for _ in range(SESSIONS)]
        for session in sessions:
            await session.run(saved)
        act = SetState(kind=Kind.ACTIVATION, id=saved.activation, state=State.SUSPENDED)
        await asyncio.to_thread(perform, town.house.home, act)
        ended = time.monotonic()

        async def asked(session: Gateway) -> int:
            wire, body = {"Accept": "application/json"}, saved.body.encode()
            response = await session.forward("POST", saved.path, query_string="", body=body, headers=wire)
            return response.status

        with pytest.raises(GatewayProblem, match="invalid_grant"):  # refused, so a new token was asked for
            await asked(sessions[0])
        assert time.monotonic() - ended < 1.0
        for session in sessions:
            with pytest.raises(GatewayProblem, match="invalid_grant"):
                await asked(session)
    (row,) = perform(town.house.home, Look(kind=Kind.ACTIVATION, id=saved.activation)).rows
    assert (row["state"], row["saved"]) == ("suspended", f"POST {saved.path}")


async def test_rows_are_pulled_three_times_a_day_at_most(town: Town, firm: Firm) -> None:
    saved = await town.saved(firm, days=7, select=["province", "age"], limit=3)
    async with town.gateway(firm) as gateway:
        for _ in range(3):
            assert len((await gateway.run(saved)).document["rows"]) == 3
        with pytest.raises(GatewayProblem) as problem:
            await gateway.run(saved)

    assert (problem.value.type, problem.value.members["reason"]) == (
        "urn:problem:gateway:not-permitted", "runs-used-up",
    )  # fmt: skip
