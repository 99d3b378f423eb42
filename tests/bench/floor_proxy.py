"""The floor of a pull: aiohttp passes on what an upstream says, unguarded, unmasked, unlogged.

It has what the gateway has (uvloop, keep-alive, no router), so that what is compared is the gate.
"""

import asyncio
import sys

import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web


async def main(upstream: str) -> None:
    connector = TCPConnector(limit=0)
    async with ClientSession(
        connector=connector, cookie_jar=DummyCookieJar(), auto_decompress=False
    ) as session:

        async def passed_on(request: web.BaseRequest) -> web.StreamResponse:
            async with session.get(upstream + request.path) as reply:
                return web.Response(
                    status=reply.status,
                    body=await reply.read(),
                    headers={"Content-Type": reply.headers["Content-Type"]},
                )

        runner = web.ServerRunner(web.Server(passed_on, access_log=None))  # type: ignore[arg-type]
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        sys.stdout.write(f"{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
