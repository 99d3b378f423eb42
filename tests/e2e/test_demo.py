"""The demo, as the README's reader runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


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
    ):  # fmt: skip
        assert words in run.stdout
    assert "Traceback" not in run.stderr


def test_a_folder_that_no_demo_made_is_left_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine", encoding="utf-8")

    run = gateway("demo", "--once", "--folder", str(tmp_path), home=home)

    assert run.returncode == 1
    assert "no demo made it" in run.stderr
    assert (tmp_path / "precious").read_text(encoding="utf-8") == "mine"
