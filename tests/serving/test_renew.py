"""Rules and certificate are renewed at each SIGHUP, whatever became of the last; what a start records."""

import asyncio
import json
import os
import resource
import signal
from pathlib import Path

import pytest
from house import put_rules
from real_data import PUMS, PUMS_RULES

from gateway import telemetry, wiring
from gateway.services.acts import Kind, Look, LookAtRules
from gateway.services.stewardship import RULES
from gateway.serving.admin import perform
from gateway.serving.renew import begun, renewing
from gateway.settings import Settings
from gateway.wiring import Gateway, opened

HEADER = "age,sex,educ,race,income,married,pid\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    wiring.create_home(
        tmp_path / "home", Settings(origin="http://127.0.0.1:1", log_origin="gateway.test/log")
    )
    (tmp_path / "home" / "data" / "pums").mkdir()
    (tmp_path / "home" / "data" / "pums" / "PUMS_pid.csv").write_text(HEADER + "30,1,3,1,100.00,true,p1\n")
    return tmp_path / "home"


def refused() -> float | None:
    return telemetry.REGISTRY.get_sample_value("gateway_rules_refused")


async def hang_up() -> None:
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.sleep(0.3)


async def test_whatever_fails_the_next_signal_is_heard(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk, no file to open, a bug: told, alarmed, and then all is well again."""
    telemetry.configure_log()
    found = iter([OSError(28, "No space left on device"), RuntimeError("secret")])

    def renew_tls() -> None:
        if each := next(found, None):
            raise each

    def broken(*_: object) -> None:
        gateway.current.watchers.remove(broken)
        raise RuntimeError("secret")

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with opened(home) as gateway, renewing(gateway, renew_tls=renew_tls):
        await begun(gateway)
        put_rules(home, PUMS, PUMS_RULES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        await hang_up()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (dict(gateway.current.rules), refused()) == ({}, 1)
        gateway.current.watchers.insert(0, broken)
        await hang_up()
        assert refused() == 1
        await hang_up()
        assert (list(gateway.current.rules), refused()) == ([PUMS], 0)

    captured = capsys.readouterr()
    lines = [json.loads(line) for line in (captured.out + captured.err).splitlines()]
    assert [line["cause"] for line in lines if line["event"] == "tls_not_renewed"] == [
        "OSError",
        "RuntimeError",
    ]
    assert [line["cause"] for line in lines if line["event"] == "rules_not_renewed"] == [
        "HomeInvalid",
        "RuntimeError",
    ]
    assert "secret" not in captured.out + captured.err


async def recorded(gateway: Gateway) -> list[str]:
    return [change.document.decode() for change in await gateway.ledger.registry() if change.kind == RULES]


def test_p3_a_command_records_no_rules_and_a_start_none_whose_source_is_not_there(home: Path) -> None:
    """Promise P3: revision 1 serves on, and comes back once its file does."""
    second = PUMS_RULES.replace("revision: 1", "revision: 2").replace("PUMS_pid", "not_there_yet")

    async def started() -> tuple[list[int], list[str], int, float | None]:
        async with opened(home) as gateway:
            faults = await begun(gateway)
            serves = [rules.dataset.revision for rules in gateway.current.rules.values()]
            return serves, await recorded(gateway), len(faults), refused()

    put_rules(home, PUMS, PUMS_RULES)
    perform(home, Look(kind=Kind.ORG))
    assert perform(home, LookAtRules()).rows == ()
    assert asyncio.run(started()) == ([1], [PUMS_RULES], 0, 0)
    put_rules(home, PUMS, second)
    perform(home, Look(kind=Kind.ORG))
    assert [row["revision"] for row in perform(home, LookAtRules()).rows] == [1]
    assert asyncio.run(started()) == ([1], [PUMS_RULES], 1, 1)
    put_rules(home, PUMS, PUMS_RULES)
    assert asyncio.run(started()) == ([1], [PUMS_RULES], 0, 0)
