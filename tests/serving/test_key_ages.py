"""A key that should be replaced soon is told of by the running gateway, and nothing stops."""

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from gateway import telemetry
from gateway.keyring.ages import DAY_S, DAYS, KeyRow
from gateway.keyring.keyring import Keyring
from gateway.serving.key_ages import key_ages_told

LOG = "gateway.test/log"


async def test_an_old_key_is_told_of_once_a_day_and_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure_log()
    keyring = Keyring.create(tmp_path / "keys", log_name=LOG)
    for days in (5.5, 4.5):
        made = time.time() - (DAYS["tokens"] - days) * DAY_S
        os.utime(tmp_path / "keys" / "tokens.pem", (made, made))
        async with key_ages_told(tmp_path / "keys", log_name=LOG, every_s=0.05):
            await asyncio.sleep(0.4)

    captured = capsys.readouterr()
    lines = [json.loads(line) for line in (captured.out + captured.err).splitlines() if "key_due" in line]
    assert [(line["kind"], line["key"], line["days_left"]) for line in lines] == [
        ("tokens", keyring.tokens.kid, 5),
        ("tokens", keyring.tokens.kid, 4),
    ]
    assert "key_undivided" in captured.out + captured.err
    shown = telemetry.REGISTRY.get_sample_value("gateway_key_days_left", {"kind": "tokens"})
    assert shown == 4


async def test_whatever_fails_the_keys_are_told_of_the_next_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure_log()
    Keyring.create(tmp_path / "keys", log_name=LOG)
    due = KeyRow(kind="tls", state="serves", public="due", days_left=1)
    found = iter([OSError(24, "Too many open files"), RuntimeError("secret"), (due,)])

    def more() -> tuple[KeyRow, ...]:
        each = next(found, ())
        if isinstance(each, Exception):
            raise each
        return each

    async with key_ages_told(tmp_path / "keys", log_name=LOG, more=more, every_s=0.05):
        await asyncio.sleep(0.6)

    captured = capsys.readouterr()
    lines = [json.loads(line) for line in (captured.out + captured.err).splitlines()]
    assert [line["cause"] for line in lines if line["event"] == "keys_unreadable"] == [
        "OSError",
        "RuntimeError",
    ]
    assert [line["key"] for line in lines if line["event"] == "key_due"] == ["due"]
