"""Handshakes under way: who comes finds room, whoever else holds connections open and says nothing."""

import asyncio

from gateway.serving import handshake
from gateway.serving.handshake import SOURCE_MAX, UnderWay


async def _silent() -> None:
    await asyncio.sleep(60)


async def _added(under_way: UnderWay, source: str, count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(_silent()) for _ in range(count)]
    for task in tasks:
        under_way.add(task, source)
    await asyncio.sleep(0)
    return tasks


async def test_a_source_with_too_many_pushes_out_its_own_oldest_and_nobody_elses() -> None:
    under_way = UnderWay()
    (other,) = await _added(under_way, "192.0.2.7", 1)
    flood = await _added(under_way, "198.51.100.1", SOURCE_MAX + 3)
    await asyncio.sleep(0)

    assert [task.cancelled() for task in flood] == [True] * 3 + [False] * SOURCE_MAX
    assert (other.done(), len(under_way)) == (False, SOURCE_MAX + 1)


async def test_where_there_is_no_room_the_oldest_makes_way() -> None:
    under_way = UnderWay()
    first, second = await _added(under_way, "192.0.2.7", 1) + await _added(under_way, "192.0.2.8", 1)

    made = under_way.make_room()
    await asyncio.sleep(0)

    assert (made, first.cancelled(), second.done(), [*under_way]) == (True, True, False, [second])
    assert (under_way.make_room(), under_way.make_room()) == (True, False)


async def test_one_that_is_done_is_forgotten_with_its_source() -> None:
    under_way = UnderWay()
    (task,) = await _added(under_way, "192.0.2.7", 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert (len(under_way), under_way._of) == (0, {})


async def test_an_address_that_is_closed_gets_no_handshake() -> None:
    listening = handshake.socket.create_server(("127.0.0.1", 0))
    asked: list[str] = []

    def turned_away(address: str) -> bool:
        asked.append(address)
        return True

    def no_context() -> handshake.ssl.SSLContext:
        raise AssertionError("no handshake is begun")

    server = handshake.web.Server(lambda _request: _silent())  # type: ignore[arg-type,return-value]
    async with handshake.handshaking(listening, server, no_context, turned_away):
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
    listening.close()
    assert asked == ["127.0.0.1"]
