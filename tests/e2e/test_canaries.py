"""Planted values of people, searched for in every byte that serving leaves behind (P9).

The values are in the data, in what a firm writes, and in what a person types; the search goes through the
ledger with its journals, the run folder, the log on standard error and the metrics. One exception: the
state of a boot, which a restart voids, knows the id of an operator who is signing in.
"""

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from house import House, a_firm, make_house

from gateway.cli.demo.cast import Firm
from gateway.client import GatewayProblem

RULES = """
policy: 1
id: clinic
revision: 1
valid: {from: 2026-01-01, until: 2030-12-31}
title: {vi: Lượt khám, en: Visits}
publisher: {org: moh, name: {vi: Bộ Y tế, en: Ministry of Health}}
steward: Head of the Information Centre
classification: {sharing: shared, importance: none, personal: sensitive}
source: {path: clinic.csv, format: csv, lineage: clinic, delimiter: ";", nulls: [""]}
unit: {column: so_cccd, rows_max: 4, units_max: 100000}
columns:
  so_cccd: {type: text, personal: basic}
  ho_va_ten: {type: text, personal: basic}
  tinh: {type: text, personal: basic, values: ["01", "48", "79"]}
  chi_phi: {type: integer, personal: basic, bounds: [0, 2000000]}
purposes:
  research: {vi: Nghiên cứu, en: Research}
acknowledged: {rows_and_statistics: both kinds of reply are searched here}
budgets: {lineage: {rho: "0.5"}, organisation: {rho: "0.5"}, client: {rho: "0.5"}}
permits:
  - id: statistics
    to: {org_class: [bank]}
    purposes: [research]
    may: [aggregate]
    assurance: {acr: aal2, max_age: 8h}
    columns: {tinh: keep, chi_phi: keep}
    functions: [count, sum, avg]
    limits: {groups: 100, rho_per_query: "0.05"}
  - id: rows
    to: {org_class: [bank]}
    purposes: [research]
    may: [extract]
    assurance: {acr: aal2, max_age: 8h}
    columns: {so_cccd: tokenise, ho_va_ten: redact, tinh: keep, chi_phi: {generalise: {band: 100000}}}
    limits: {rows: 1000}
"""
NUMBERS = [f"00108577{number:04}" for number in range(40)]
NAMES = [f"Nguyễn Hoàng Yến Canary-{number:02}" for number in range(40)]
KEY = "canary-of-idempotency-5151"
TRACE = "00-ca4a51ca4a51ca4a51ca4a51ca4a51ca-ca4a51ca4a51ca4a-01"
TYPED = "canary typed by a stranger 8383"


@pytest.fixture
def house(tmp_path: Path) -> House:
    data = tmp_path / "data"
    data.mkdir()
    rows = [f"{number};{name};01;350000" for number, name in zip(NUMBERS, NAMES, strict=True)]
    (data / "clinic.csv").write_text("\n".join(["so_cccd;ho_va_ten;tinh;chi_phi", *rows]), encoding="utf-8")
    return make_house(tmp_path / "home", data=data, rules={"clinic": RULES})


def spellings(firm: Firm) -> Iterator[bytes]:
    """Everything that must not be found, in the ways it could be written."""
    for text in (*NUMBERS, *NAMES, KEY, TRACE[3:35], TYPED, firm.operator, firm.person, firm.password):
        yield text.encode("utf-8")
        yield json.dumps(text).strip('"').encode("ascii")


async def traffic(house: House, firm: Firm) -> None:
    """Rows, a statistic twice under one key, questions with people's values in them, a wrong password."""
    async with house.session(firm) as gateway:
        assert len((await gateway.records("clinic", limit=40)).body) > 40
        for _ in range(2):
            await gateway.query(
                "clinic",
                "SELECT tinh, COUNT(*) AS n FROM data GROUP BY tinh",
                epsilon="0.2",
                idempotency_key=KEY,
            )
        for literal in (NAMES[0], NUMBERS[0], TYPED):
            sql = f"SELECT COUNT(*) AS n FROM data WHERE ho_va_ten = '{literal}'"  # noqa: S608 -- asked
            with pytest.raises(GatewayProblem):
                await gateway.query("clinic", sql)
        body = json.dumps({"sql": TYPED}).encode()
        headers = {"Content-Type": "application/json", "traceparent": TRACE}
        path = f"/v1/datasets/{NUMBERS[1]}/query"
        await gateway._signed("POST", path, TYPED.replace(" ", "+"), body, headers)


def test_no_planted_value_is_left_in_any_byte(house: House) -> None:
    firm = a_firm()
    house.register(firm)
    with house.serving() as process:
        asyncio.run(traffic(house, firm))
        assert process.stdout is not None
        metrics_at = re.search(r"http://[0-9.:]+/metrics", process.stdout.readline())
        assert metrics_at is not None
        metrics = urlopen(metrics_at[0], timeout=5).read()  # noqa: S310 -- loopback
        while_open = {path: path.read_bytes() for path in left_behind(house)}
        os.kill(process.pid, signal.SIGKILL)  # journals stay as they are
    after = {path: path.read_bytes() for path in left_behind(house)}

    assert {path.name for path in while_open} >= {"log.sqlite", "log.sqlite-wal", "openings.sqlite", "head"}
    texts = [*while_open.items(), *after.items(), (Path("metrics"), metrics)]
    found = [(path.name, word) for path, text in texts for word in spellings(firm) if word in text]
    assert set(found) <= {
        (name, firm.operator.encode()) for name in ("volatile.sqlite", "volatile.sqlite-wal")
    }
    store = [text for path, text in after.items() if path.name.startswith(house.store.name)]
    assert b"clinic" in b"".join(store)  # the search does find what stands there


def left_behind(house: House) -> list[Path]:
    """Every file of the home but what the operator put there and the snapshots of his data."""
    own = {"keys", "policies", "data", "snapshots"}
    return [
        path
        for path in house.home.rglob("*")
        if path.is_file() and path.relative_to(house.home).parts[0] not in own
    ]
