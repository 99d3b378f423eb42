"""A firm's machine beside a gateway: an empty profile that was enrolled by the real commands, six at most."""

import asyncio
import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from house import House, a_firm, make_house

from gateway.cli.demo.cast import Firm
from gateway.cli.demo.person import approve

DATASET = "vn.test.people-2026"
CLIENT = "bank-a.desk"
PEOPLE = 600
RULES = f"""\
policy: 1
id: {DATASET}
revision: 1
valid: {{from: 2026-01-01, until: 2030-12-31}}
title: {{vi: Người, en: People}}
publisher: {{org: nso, name: {{vi: Cục Thống kê, en: Statistics Office}}}}
steward: Chief of People
classification: {{sharing: shared, importance: none, personal: basic}}
source: {{path: people.csv, format: csv, lineage: vn.test.people}}
unit: {{column: id, rows_max: 1, units_max: 5000}}
columns:
  id: {{type: text, meaning: Person, personal: basic}}
  province: {{type: text, meaning: Province, personal: basic, values: ["01", "79"]}}
  age: {{type: integer, meaning: Age in years, personal: basic, bounds: [0, 120]}}
  remark: {{type: text, meaning: What was noted, personal: none}}
purposes:
  research: {{vi: Nghiên cứu, en: Research}}
budgets: {{lineage: {{rho: "10"}}, organisation: {{rho: "1"}}, client: {{rho: "1"}}}}
acknowledged: {{rows_and_statistics: a test asks both}}
permits:
  - id: statistics
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [aggregate]
    assurance: {{acr: aal2, max_age: 8h}}
    columns: {{province: keep, age: keep}}
    functions: [count, sum, avg]
    limits: {{groups: 100, rho_per_query: "0.5"}}
  - id: rows
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [extract]
    assurance: {{acr: aal2, max_age: 8h}}
    columns: {{id: tokenise, province: keep, age: keep, remark: keep}}
    limits: {{rows: 250}}
"""


@dataclass(slots=True)
class Desk:
    """The firm's machine: a profile folder and the program."""

    house: House
    firm: Firm
    profile: Path
    transcript: list[str] = field(default_factory=list)
    """The commands that it took to be let in, the operator's included."""

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "GATEWAY_PROFILE": str(self.profile)}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "gateway", *arguments]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, without a person."""
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**self.environment, **environment},
        )

    def log_in(self, *arguments: str) -> tuple[int, str, str]:
        """Run ``gateway login`` while the operator sits at the activation page."""
        return asyncio.run(self._log_in(*arguments))

    async def _log_in(self, *arguments: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *self.command("login", *arguments),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        shown = ""
        while "key phrase" not in shown:
            line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
            if not line:
                break
            shown += line
        if told := re.search(r"page +(\S+)\n *code +(\S+)\n *key phrase +(\S+)", shown):
            await approve(self.firm, told[2], told[1], told[3])
        output, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, output.decode(), shown + errors.decode()


@dataclass(frozen=True, slots=True)
class Fetched:
    status: int
    headers: dict[str, str]
    body: bytes


def curl(url: str, *, method: str = "GET", headers: dict[str, str] | None = None, body: str = "") -> Fetched:
    """Fetch with the real curl, or with Python's own client where there is none."""
    if shutil.which("curl") is None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        connection.request(method, url.split(parts.netloc, 1)[1], body or None, headers or {})
        answer = connection.getresponse()
        return Fetched(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    command = ["curl", "-sS", "-i", "--max-time", "60", "--noproxy", "*", "-X", method, url]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    if body:
        command += ["--data-binary", body]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return Fetched(int(first.split()[1]), {k.lower(): v for k, v in fields.items()}, rest)


@contextmanager
def connected(desk: Desk, *arguments: str) -> Iterator[str]:
    """Run ``gateway connect`` and yield the address that it prints."""
    process = subprocess.Popen(
        desk.command("connect", "--port", "0", "--json", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=desk.environment,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        yield json.loads(line)["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A machine that went the whole way from nothing to logged in."""
    folder = tmp_path_factory.mktemp("firm")
    (folder / "data").mkdir()
    (folder / "data" / "people.csv").write_text(people(), encoding="utf-8")
    house = make_house(folder / "home", data=folder / "data", rules={DATASET: RULES})
    desk = Desk(house, a_firm(), folder / "profile")
    house.register(desk.firm)
    who = ("--gateway", house.origin, "--client", CLIENT, "--purpose", desk.firm.purpose)
    with house.serving():
        first = desk.run("login", *who, "--json")
        assert first.returncode == 1, first.stderr
        desk.transcript.append("gateway login " + " ".join(who))
    jwk = json.loads(first.stdout)["jwk"]
    added = desk.run(
        "--home", str(house.home), "client", "add", CLIENT, "--agreement", desk.firm.agreement,
        "--purpose", desk.firm.purpose, "--key", jwk,
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    desk.transcript.append("gateway client add")
    with house.serving():
        code, output, errors = desk.log_in("--hours", "2")
        assert (code, "aal2" in output) == (0, True), errors
        desk.transcript.append("gateway login")
        yield desk


def people() -> str:
    """Return six hundred people; one remark would act on a terminal, and on a spreadsheet."""
    dice = random.Random(2026)  # noqa: S311  a test's data
    lines = ["id,province,age,remark"]
    for number in range(PEOPLE):
        remark = "=1+1" if number % 2 else "a\x1b[31mred"
        lines.append(f"p{number:04},{dice.choice(['01', '79'])},{dice.randint(0, 99)},{remark}")
    return "\n".join(lines) + "\n"
