"""Witnesses: real HTTP on loopback, a strict witness, and every way in which one can fail or lie."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from witness_server import WitnessServer

from gateway import telemetry
from gateway.errors import HomeInvalid
from gateway.ledger.tile_reader import TileReader
from gateway.ledger.witnesses import Witnesses, watched
from gateway.settings import Settings
from gateway.transparency.cosignature import cosignatures
from gateway.transparency.proof import verify_checkpoint

ORIGIN = "gateway.example/log/2026"
Start = Callable[..., Awaitable[tuple[Any, Witnesses]]]


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "origin": "https://gateway.example",
        "log_origin": ORIGIN,
        "witness_policy": "witnesses.policy",
        "witness_interval_s": 0.02,
    }
    return Settings(**(values | changes))


@asynccontextmanager
async def serving(*names: str, vkey: str) -> AsyncIterator[list[WitnessServer]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(WitnessServer(name, logs={ORIGIN: [vkey]}).serving())
            for name in names
        ]


def write_policy(home: Path, servers: list[WitnessServer], enough: str = "all") -> None:
    names = [f"w{number}" for number in range(len(servers))]
    known = [
        f"witness {name} {server.vkey} {server.url}/" for name, server in zip(names, servers, strict=True)
    ]
    group = f"group all-of-them {enough} {' '.join(names)}"
    (home / "witnesses.policy").write_text(
        "\n".join([*known, group, "quorum all-of-them\n"]), encoding="ascii"
    )


@pytest.fixture
async def start(files: Any, tmp_path: Path) -> AsyncIterator[Start]:
    """Open ledger and witnesses as ``wiring`` does."""
    (tmp_path / "ledger").mkdir()
    async with AsyncExitStack() as stack:

        async def opened(**changes: Any) -> tuple[Any, Witnesses]:
            ledger = files.open_only()
            reader = TileReader.open(files.path)
            close = ledger.close

            async def closed() -> None:
                reader.close()
                await close()

            ledger.close = closed  # the reader goes first, as in ``wiring``
            witnesses = await stack.enter_async_context(
                watched(
                    tmp_path,
                    settings(**changes),
                    vkeys=files.signer.vkey,
                    head=ledger.checkpoint,
                    tiles=reader,
                )
            )
            ledger.start()
            return ledger, witnesses

        yield opened


def outcomes(name: str) -> dict[str, float]:
    """What the metric counts of one witness."""
    return {
        sample.labels["outcome"]: sample.value
        for metric in telemetry.REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "gateway_witness_answers_total" and sample.labels["witness"] == name
    }


async def test_a_head_is_cosigned_kept_and_published(
    files: Any, build: Any, start: Start, tmp_path: Path
) -> None:
    async with serving("witness.example/a", "witness.example/b", vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers)
        ledger, witnesses = await start()
        await ledger.release(build.release())
        plain = await ledger.checkpoint()
        assert await witnesses.published() == plain, "before there is a quorum, the newest head"

        assert await witnesses.ask()

        published = await witnesses.published()
        assert published.startswith(plain)
        assert cosignatures(published, [server.vkey for server in servers]) == {
            server.vkey: server.time_s for server in servers
        }
        assert verify_checkpoint(published, files.signer.vkey).size == 1
        assert 0 <= age("w0") < 5


def age(name: str) -> float:
    value = telemetry.REGISTRY.get_sample_value("gateway_witness_age_seconds", {"witness": name})
    assert value is not None
    return value


async def test_a_growing_log_is_proved_to_grow_each_time(
    files: Any, build: Any, start: Start, tmp_path: Path
) -> None:
    async with serving("witness.example/a", vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers)
        ledger, witnesses = await start()
        for number in range(40):
            await ledger.release(build.release(f"r-{number}"))
            assert await witnesses.ask()
            assert verify_checkpoint(await witnesses.published(), files.signer.vkey).size == number + 1
        assert await witnesses.ask(), "an unchanged head is cosigned again, at a later time"

        assert {status for _, status in servers[0].requests} == {200, 404}, "no proof was ever refused"


async def test_two_of_three_are_a_quorum_of_two(files: Any, build: Any, start: Start, tmp_path: Path) -> None:
    names = ("witness.example/a", "witness.example/b", "witness.example/c")
    async with serving(*names, vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers, "2")
        ledger, witnesses = await start()
        await ledger.release(build.release())
        servers[1].instead = failing(500)

        assert await witnesses.ask()
        cosigned = cosignatures(await witnesses.published(), [server.vkey for server in servers])
        assert set(cosigned) == {servers[0].vkey, servers[2].vkey}

        await ledger.release(build.release("r-2"))
        servers[2].instead = failing(500)
        assert not await witnesses.ask()
        assert verify_checkpoint(await witnesses.published(), files.signer.vkey).size == 1, (
            "the last that was"
        )


async def test_a_witness_that_knows_more_than_we_remember_says_so_and_is_asked_again(
    files: Any,
    build: Any,
    start: Start,
    tmp_path: Path,
) -> None:
    """409 with the witness's own size: the proof is made from there."""
    async with serving("witness.example/a", vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers)
        ledger, witnesses = await start()
        await ledger.release(build.release())
        assert await witnesses.ask()
        await ledger.release(build.release("r-2"))
        witnesses._clients[0]._size = 0

        assert await witnesses.ask()
        assert [status for asked, status in servers[0].requests if asked.startswith("POST")] == [
            200,
            409,
            200,
        ]


def failing(status: int, body: bytes = b"", content_type: str = "text/plain") -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, content_type=content_type)

    return answer


async def redirect(_: web.Request) -> web.Response:
    raise web.HTTPFound("http://127.0.0.1:9/")


async def endless(request: web.Request) -> web.Response:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(1000):
        await response.write(b"x" * 65536)
    return response  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("instead", "outcome"),
    [
        (failing(403), "key-refused"),
        (failing(404), "unknown-log"),
        (failing(422), "proof-refused"),
        (failing(409), "conflict"),
        (failing(409, b"1\n", "text/x.tlog.size"), "conflict"),
        (failing(409, b"99\n", "text/x.tlog.size"), "conflict"),
        (failing(409, b"01\n", "text/x.tlog.size"), "unbelievable"),
        (failing(409, b"-1\n", "text/x.tlog.size"), "unbelievable"),
        (failing(409, b"9" * 5000, "text/x.tlog.size"), "unbelievable"),
        (failing(500), "unreached"),
        (failing(400), "unreached"),
        (redirect, "unreached"),
        (failing(200), "unbelievable"),
        (failing(200, b"ok\n"), "unbelievable"),
        (failing(200, WitnessServer("witness.example/other").line("text\n").encode()), "unbelievable"),
        (failing(200, WitnessServer("witness.example/a").line("text\n").encode()), "unbelievable"),
        (endless, "unbelievable"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_whatever_a_witness_answers_instead_nothing_is_published(
    files: Any,
    build: Any,
    start: Start,
    tmp_path: Path,
    *,
    instead: Any,
    outcome: str,
) -> None:
    async with serving("witness.example/a", vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers)
        ledger, witnesses = await start()
        await ledger.release(build.release())
        before = outcomes("w0")
        servers[0].instead = instead

        assert not await witnesses.ask()

        assert outcomes("w0").get(outcome, 0) > before.get(outcome, 0)
        assert await witnesses.published() == await ledger.checkpoint()
        servers[0].instead = None
        assert await witnesses.ask(), "and nothing of it stays"


async def test_a_witness_that_hangs_is_given_up_and_holds_up_nobody(
    files: Any,
    build: Any,
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.ledger.witness.ANSWER_S", 0.2)

    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    names = ("witness.example/a", "witness.example/b")
    async with serving(*names, vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers, "any")
        ledger, witnesses = await start()
        await ledger.release(build.release())
        servers[0].instead = hang

        async with asyncio.timeout(5):
            assert await witnesses.ask()
        assert set(cosignatures(await witnesses.published(), [s.vkey for s in servers])) == {servers[1].vkey}


def files_of(home: Path) -> list[Path]:
    return [path for path in home.iterdir() if path.is_file()]


async def test_an_old_backup_is_refused_because_a_witness_remembers_more(
    files: Any,
    build: Any,
    start: Start,
    tmp_path: Path,
) -> None:
    """The whole folder comes back, the head file and the kept head with it: only somebody outside knows."""
    async with serving("witness.example/a", vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers)
        ledger, witnesses = await start()
        await ledger.release(build.release())
        assert await witnesses.ask()
        await ledger.close()
        backup = tmp_path / "backup"
        backup.mkdir()
        for file in files_of(tmp_path):
            shutil.copy(file, backup / file.name)
        shutil.copy(tmp_path / "ledger" / "cosigned", backup / "cosigned")
        ledger, witnesses = await start()
        await ledger.release(build.release("r-2"))
        assert await witnesses.ask()
        await ledger.close()
        for file in backup.iterdir():
            shutil.copy(file, (tmp_path / "ledger" if file.name == "cosigned" else tmp_path) / file.name)

        with pytest.raises(
            HomeInvalid, match=r"holds 1 entries but 2 are remembered by witness `w0`.*old backup"
        ):
            await start()
        await files.opened[-1].close()
        with pytest.raises(HomeInvalid, match="are remembered by witness `w0`"):
            await start(witness_start="alone")


async def test_another_history_is_refused_at_the_start_and_ends_a_running_gateway(
    files: Any,
    build: Any,
    start: Start,
    tmp_path: Path,
) -> None:
    """A second gateway on a copy signed other entries, and the witness saw them first."""
    async with serving("witness.example/a", vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers)
        ledger, witnesses = await start()
        await ledger.release(build.release("ours"))
        assert await witnesses.ask()
        fork = tmp_path / "fork"
        (fork / "ledger").mkdir(parents=True)
        shutil.copy(tmp_path / "witnesses.policy", fork)
        other = files.open(path=fork / "log.sqlite", head_file=None)
        await other.release(build.release("theirs"))
        await other.release(build.release("theirs-2"))
        servers[0].latest.clear()
        reader = TileReader.open(fork / "log.sqlite")
        async with watched(
            fork, settings(), vkeys=files.signer.vkey, head=other.checkpoint, tiles=reader
        ) as theirs:
            assert await theirs.ask()
        reader.close()

        ended = asyncio.Event()
        with pytest.raises(HomeInvalid, match=r"holds 1 entries but 2 are remembered"):
            await witnesses.ask()
        await ledger.release(build.release("ours-2"))
        with pytest.raises(HomeInvalid, match=r"first 2 entries are not the ones that are remembered"):
            await witnesses.check(quorum=True)
        with pytest.raises(HomeInvalid):
            async with witnesses.asked(on_fork=ended.set):
                pass
        assert not ended.is_set()
        known, servers[0].latest = dict(servers[0].latest), {}
        async with witnesses.asked(on_fork=ended.set):
            servers[0].latest = known
            await asyncio.wait_for(ended.wait(), 5)


async def test_a_lie_without_our_signature_does_not_stop_us(
    files: Any,
    build: Any,
    start: Start,
    tmp_path: Path,
) -> None:
    """A checkpoint that we never signed proves nothing; the witness just does not count."""
    async with serving("witness.example/a", vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers)
        ledger, witnesses = await start()
        await ledger.release(build.release())
        assert await witnesses.ask()
        size, root, note = servers[0].latest[ORIGIN]
        servers[0].latest[ORIGIN] = (size, root, note.replace("\n1\n", "\n9\n"))

        with pytest.raises(HomeInvalid, match="too few of the log's witnesses answered"):
            await witnesses.check(quorum=True)
        await witnesses.check(quorum=False)


async def test_our_own_head_shown_by_somebody_else_is_no_witness(
    files: Any,
    build: Any,
    start: Start,
    tmp_path: Path,
) -> None:
    """What the log signed is public; only the witness's own signature makes the answer the witness's."""
    async with serving("witness.example/a", vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers)
        ledger, witnesses = await start()
        await ledger.release(build.release())
        servers[0].instead = failing(200, await ledger.checkpoint())

        with pytest.raises(HomeInvalid, match="too few of the log's witnesses answered"):
            await witnesses.check(quorum=True)


async def test_a_redirect_to_somebody_who_knows_nothing_is_not_followed(
    files: Any, start: Start, tmp_path: Path
) -> None:
    names = ("witness.example/a", "witness.example/forgetful")
    async with serving(*names, vkey=files.signer.vkey) as (witness, forgetful):
        write_policy(tmp_path, [witness])

        async def elsewhere(request: web.Request) -> web.Response:
            return web.Response(status=302, headers={"Location": forgetful.url + request.path})

        witness.instead = elsewhere
        with pytest.raises(HomeInvalid, match="too few of the log's witnesses answered"):
            await start()
        assert forgetful.requests == []


@pytest.mark.parametrize("instead", [failing(500), failing(200, b"nonsense"), redirect])
async def test_without_a_quorum_there_is_no_start_unless_the_operator_says_so(
    files: Any,
    start: Start,
    tmp_path: Path,
    instead: Any,
) -> None:
    async with serving("witness.example/a", vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers)
        servers[0].instead = instead

        with pytest.raises(HomeInvalid, match=r"too few of the log's witnesses answered.*`witness_start`"):
            await start()
        await files.opened[-1].close()
        await start(witness_start="alone")


async def test_a_kept_head_that_the_ledger_does_not_reach_is_refused_without_any_witness(
    files: Any,
    build: Any,
    start: Start,
    tmp_path: Path,
) -> None:
    async with serving("witness.example/a", vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers)
        ledger, witnesses = await start()
        await ledger.release(build.release())
        assert await witnesses.ask()
        servers[0].latest.clear()
        await ledger.close()
        files.path.unlink()
        files.head.unlink()

        with pytest.raises(HomeInvalid, match=r"holds 0 entries but 1 were cosigned"):
            await start(witness_start="alone")


async def test_no_policy_asks_nobody(build: Any, start: Start) -> None:
    ledger, witnesses = await start(witness_policy="none")
    await ledger.release(build.release())

    async with witnesses.asked(on_fork=lambda: pytest.fail("nobody was asked")):
        assert await witnesses.published() == await ledger.checkpoint()


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (None, "cannot be read"),
        ("quorum me", "line 1 of the policy file: `me` is not known yet"),
        (f"witness w {WitnessServer().vkey} http://witness.example\nquorum w", "`w` is not https"),
        (f"witness w {WitnessServer().vkey} http://127.0.0.1.example\nquorum w", "`w` is not https"),
    ],
)
async def test_a_policy_file_that_does_not_say_whom_to_ask_stops_the_start(
    start: Start, tmp_path: Path, policy: str | None, why: str
) -> None:
    if policy is not None:
        (tmp_path / "witnesses.policy").write_text(policy, encoding="ascii")

    with pytest.raises(HomeInvalid, match=why):
        await start()


async def test_nothing_is_appended_or_signed_before_the_witnesses_were_asked(
    files: Any,
    build: Any,
    start: Start,
    tmp_path: Path,
) -> None:
    """A home that came back from a backup, with a charge open: recovering it first would sign a fork."""
    async with serving("witness.example/a", vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers)
        ledger, witnesses = await start()
        await ledger.charge(build.charge("r-1"))
        backup = files.folder / "backup"
        backup.mkdir()
        for name in ("ledger.sqlite", "ledger.sqlite-wal", "openings.sqlite", "head"):
            shutil.copy(files.folder / name, backup / name)
        await ledger.release(build.release("r-1", charge=0))
        await ledger.release(build.release("r-2"))
        assert await witnesses.ask()
        await ledger.close()
        (tmp_path / "ledger" / "cosigned").unlink()
        for file in backup.iterdir():
            shutil.copy(file, files.folder / file.name)
        signed: list[bytes] = []
        true_sign = files.signer.sign
        files.signer.sign = lambda message: signed.append(message) or true_sign(message)

        with pytest.raises(HomeInvalid, match="are remembered by witness `w0`"):
            await start()

        assert signed == []
        assert verify_checkpoint(files.head.read_bytes(), files.signer.vkey).size <= 1


async def test_a_witness_that_has_forgotten_what_it_cosigned_does_not_count(
    files: Any,
    build: Any,
    start: Start,
    tmp_path: Path,
) -> None:
    async with serving("witness.example/a", vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers)
        ledger, witnesses = await start()
        await ledger.release(build.release())
        assert await witnesses.ask()
        servers[0].latest.clear()

        with pytest.raises(HomeInvalid, match="too few of the log's witnesses answered"):
            await witnesses.check(quorum=True)
        await witnesses.check(quorum=False)
        (tmp_path / "ledger" / "cosigned").unlink()
        await witnesses.check(quorum=True)


async def test_a_disk_that_cannot_keep_a_cosigned_head_does_not_stop_the_start(
    files: Any,
    start: Start,
    tmp_path: Path,
) -> None:
    async with serving("witness.example/a", vkey=files.signer.vkey) as servers:
        write_policy(tmp_path, servers)
        ledger, witnesses = await start()
        (tmp_path / "ledger" / "cosigned.new").mkdir()

        async with witnesses.asked(on_fork=lambda: pytest.fail("there is no fork")):
            assert await witnesses.published() == await ledger.checkpoint()
        (tmp_path / "ledger" / "cosigned.new").rmdir()
        async with witnesses.asked(on_fork=lambda: pytest.fail("there is no fork")):
            assert verify_checkpoint(await witnesses.published(), files.signer.vkey).size == 0
