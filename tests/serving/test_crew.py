"""A place that cannot be manned is told of, whatever the reason, and tried again."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.errors import HomeInvalid
from gateway.serving.crew import Crew
from gateway.serving.orders import Orders
from gateway.settings import Settings

ORDERS = Orders(
    settings=Settings(origin="https://gateway.example", log_origin="gateway.example/log/2026"),
    log_vkeys="",
    nonce_secret=bytes(32),
    pseudonyms=(),
)


@pytest.mark.parametrize("error", [OSError(), RuntimeError(), ValueError()])
async def test_a_worker_that_cannot_be_started_is_told_of_and_tried_again(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []

    async def refuse(*arguments: object, **_: object) -> Any:
        tried.append(arguments)
        raise error

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    with socket.create_server(("127.0.0.1", 0)) as listening, structlog.testing.capture_logs() as told:
        crew = Crew(
            home=tmp_path,
            orders=lambda: ORDERS,
            server=None,  # type: ignore[arg-type]  # nobody comes so far as to be served
            listening=listening,
            metrics=tmp_path / "metrics",
        )
        with pytest.raises(HomeInvalid, match="did not start"):
            await crew.keep(0, asyncio.get_running_loop().create_future())
        manned = asyncio.get_running_loop().create_future()
        manned.set_result(None)
        keeping = asyncio.create_task(crew.keep(0, manned))
        async with asyncio.timeout(10):
            while len(tried) < 3:  # noqa: ASYNC110 -- the keeper tells nobody
                await asyncio.sleep(0.01)
        keeping.cancel()

    words = [line for line in told if line["event"] == "worker_not_started"]
    assert {line["cause"] for line in words} == {type(error).__name__}
