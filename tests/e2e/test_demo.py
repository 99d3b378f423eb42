"""The demo, as the README's reader runs it."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from house import House, a_firm, free_port

from gateway.cli.demo.cast import Firm
from gateway.cli.demo.house import make_home
from gateway.cli.demo.sensors import sensors
from gateway.client import GatewayProblem, StoredReceipt
from gateway.jose import base64url_decoded


def gateway(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "--home", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def summary(home: Path) -> dict[str, Any]:
    run = gateway("demo", "--once", "--json", home=home)
    assert run.returncode == 0, run.stderr
    last: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return last


def test_the_summary_has_its_five_members(summary: dict[str, Any]) -> None:
    assert set(summary) == {"records", "statistic", "refusal", "receipt", "seconds"}


def test_rows_came_masked(summary: dict[str, Any]) -> None:
    records = summary["records"]

    assert len(records["rows"]) == 5
    assert records["treatments"] == {
        "citizen_id": "tokenise",
        "household_id": "tokenise",
        "full_name": "redact",
        "birth_date": "generalise",
        "province": "keep",
        "ward": "generalise",
        "phone": "partial",
        "household_size": "keep",
        "income_vnd": "generalise",
    }
    for row in records["rows"]:
        assert row["citizen_id"].startswith("p1_")
        assert row["full_name"] is None
        assert row["birth_date"].endswith("-01-01")
        assert row["phone"] is None or row["phone"].startswith("*******")
        assert row["income_vnd"] is None or row["income_vnd"] % 5_000_000 == 0


def test_rows_left_encrypted_to_the_firm_and_their_receipt_stands_for_what_they_say(
    summary: dict[str, Any], home: Path
) -> None:
    stored = StoredReceipt.load(home / "demo" / "receipts" / "records.receipt")
    assert stored.body is not None
    assert stored.plain is not None

    header = json.loads(base64url_decoded(stored.body.split(b".")[0].decode()))
    assert (header["kid"], header["cty"]) == (summary["records"]["encrypted_to"], "application/json")
    assert json.loads(stored.plain)["rows"] == summary["records"]["rows"]
    assert json.loads(stored.entry)["facts"]["encrypted_to"] == header["kid"]


def test_the_statistic_has_values_margins_and_a_charge(summary: dict[str, Any]) -> None:
    statistic = summary["statistic"]

    assert [row["education"] for row in statistic["rows"]] == [
        "none", "primary", "lower-secondary", "upper-secondary", "vocational", "university",
    ]  # fmt: skip
    assert abs(sum(row["people"]["value"] for row in statistic["rows"]) - 100_000) < 2_000
    assert all(row["people"]["margin"] > 0 and row["income"]["margin"] > 0 for row in statistic["rows"])
    assert statistic["charge"]["epsilon"] == "0.200"
    assert statistic["charge"]["protects"] == "one person"
    assert set(statistic["charge"]["left"]) == {"organisation", "client"}


def test_a_refusal_names_its_reason(summary: dict[str, Any]) -> None:
    assert summary["refusal"] == {"status": 403, "reason": "no-rule-permits"}


def test_the_receipts_verify_and_a_forged_one_does_not(summary: dict[str, Any]) -> None:
    assert summary["receipt"]["verified"] is True
    assert summary["receipt"]["forged"] == "the entry does not commit to this body"


def test_the_commands_that_the_screen_names_work(summary: dict[str, Any], home: Path) -> None:
    receipts = home / "demo" / "receipts"
    key = ("--log-key", str(receipts / "log.vkey"))
    for name in ("records", "statistic", "visits", "refusal"):
        checked = gateway("receipt", "verify", str(receipts / f"{name}.receipt"), *key, "--json", home=home)
        assert (checked.returncode, json.loads(checked.stdout)["verified"]) == (0, True)
    audited = gateway("audit", "verify", *key, "--json", home=home / "demo")

    assert audited.returncode == 0
    report = json.loads(audited.stdout)
    assert (report["verified"], report["charges"], report["open_charges"]) == (True, 2, 0)
    assert report["entries"] > summary["receipt"]["index"]


def test_the_screen_explains_itself(home: Path) -> None:
    run = gateway("demo", "--once", "--people", "2000", home=home)

    assert run.returncode == 0, run.stderr
    for words in (
        "Who asks", "Rows, masked for this one firm", "A statistic, with noise and error bars",
        "A refusal, with its reason", "Where the proof is", "Cost: epsilon", "NOT verified",
        "encrypted to the firm: only its key",
    ):  # fmt: skip
        assert words in run.stdout
    assert "Traceback" not in run.stderr


def test_a_folder_that_no_demo_made_is_left_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine", encoding="utf-8")

    run = gateway("demo", "--once", "--folder", str(tmp_path), home=home)

    assert run.returncode == 1
    assert "no demo made it" in run.stderr
    assert (tmp_path / "precious").read_text(encoding="utf-8") == "mine"


def test_all_six_datasets_that_ship_answer_whom_their_rules_name(tmp_path: Path) -> None:
    """And a controlled transaction and a price are what the rules say, over HTTP."""
    port = free_port()
    named = [
        a_firm("bank-a", "bank", "credit-risk-statistics", 14),
        a_firm("bank-b", "bank", "credit-risk-statistics", 50),
        a_firm("insurer-c", "insurer", "actuarial-statistics", 31),
        a_firm("builder-d", "infrastructure", "infrastructure-planning", 201),
        a_firm("office-e", "statistics-office", "population-statistics", 110),
        a_firm("navigator-f", "navigation", "traffic-services", 301),
    ]
    with sensors(seed=7) as upstream:
        make_home(tmp_path / "demo", people=3_000, seed=7, port=port, sensors=upstream, told=str)
        house = House(tmp_path / "demo", port)
        house.register(*named)
        with house.serving():
            answers, refused, listed = asyncio.run(_ask_all(house, named))

    assert listed == 6
    assert {name: bool(answer["rows"]) for name, answer in answers.items()} == dict.fromkeys(answers, True)
    assert len(answers) == 6
    assert answers["parcels"]["rows"][0]["holder_id"].startswith("p1_")
    assert "maintenance_code" not in answers["sensors"]["rows"][0]
    assert refused == {
        "beyond a thousand rows": (403, "approval-needed"),
        "vnd": {"per_request": 50000, "per_row": 0, "per_key": 0, "at_most": 50000},
    }


async def _ask_all(house: House, named: list[Firm]) -> tuple[dict[str, Any], dict[str, Any], int]:
    bank, taxes, insurer, builder, office, navigator = named
    by_province = "SELECT province, COUNT(*) AS n FROM data GROUP BY province"
    found: dict[str, Any] = {}
    refused: dict[str, Any] = {}
    async with house.session(bank) as session:
        listed = len((await session.datasets()).document["datasets"])
        found["households"] = (await session.query("vn.nso.household-2026", by_province)).document
    async with house.session(taxes) as session:
        planned = await session.plan("vn.gdt.tax-declarations-2026", sql=by_province)
        refused["vnd"] = planned.document["vnd"]
        found["taxes"] = (await session.query("vn.gdt.tax-declarations-2026", by_province)).document
    async with house.session(insurer) as session:
        found["visits"] = (await session.query("vn.moh.outpatient-2026", by_province)).document
    async with house.session(builder) as session:
        found["parcels"] = (await session.records("vn.mae.land-parcels-2026", limit=5)).document
        with pytest.raises(GatewayProblem) as held:
            await session.records("vn.mae.land-parcels-2026", limit=1001)
        refused["beyond a thousand rows"] = (held.value.status, held.value.members["reason"])
    async with house.session(office) as session:
        found["events"] = (await session.query("vn.moj.civil-registry-2026", by_province)).document
    async with house.session(navigator) as session:
        pulled = await session.proxy("vn.moc.traffic-sensors-2026", "/counts", {"limit": "5"})
        found["sensors"] = pulled.document
    return found, refused, listed
