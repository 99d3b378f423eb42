"""A real Chromium, driven over the DevTools protocol, with an authenticator that WebAuthn takes for real.

Loopback only: every other name is unknown to it. A fresh profile each time; nothing stays.
"""

import asyncio
import base64
import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

PROGRAM = os.environ.get("CHROMIUM", "chromium")
DEADLINE_S = 20.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)


class Failed(AssertionError):
    """The browser did not do what was asked."""


class Tab:
    """One page of the browser."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.log: list[str] = []
        """What the page's console said: errors, and what the content security policy stopped."""

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and return its result."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message = await self._socket.receive()
                if message.type is not WSMsgType.TEXT:
                    raise Failed(f"the browser went away during {method}")
                told = json.loads(message.data)
                if told.get("method") == "Log.entryAdded":
                    self.log.append(told["params"]["entry"]["text"])
                if told.get("id") == self._number:
                    if "error" in told:
                        raise Failed(f"{method}: {told['error']}")
                    return dict(told["result"])

    async def js(self, expression: str) -> Any:
        """Return what an expression is in the page."""
        told = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in told:
            raise Failed(f"{expression}: {told['exceptionDetails']}")
        return told["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true in the page; a navigation in between is no failure."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + DEADLINE_S
        while loop.time() < give_up_at:
            try:
                if await self.js(f"document.readyState === 'complete' && !!({expression})"):
                    return
            except Failed:
                pass
            await asyncio.sleep(0.05)
        raise Failed(f"never came: {expression}; the page says {await self.text()!r}")

    async def open(self, address: str) -> None:
        """Go to an address."""
        await self.call("Page.navigate", url=address)
        await self.until(f"location.href.startsWith({json.dumps(address)})")

    async def text(self) -> str:
        """Return what a person reads."""
        return str(await self.js("document.body.innerText"))

    async def type(self, **fields: str) -> None:
        """Fill in fields by their names, as typing does."""
        for name, value in fields.items():
            found = await self.js(f"!!document.getElementsByName('{name}')[0]")
            assert found, f"no field `{name}`"
            await self.js(f"document.getElementsByName('{name}')[0].focus()")
            await self.js(f"document.getElementsByName('{name}')[0].select()")
            await self.call("Input.insertText", text=value)

    async def click(self, selector: str) -> None:
        """Click the middle of the one element that a selector names, where a person would."""
        query = f"document.querySelector({json.dumps(selector)})"
        await self.js(f"{query}.scrollIntoView({{block: 'center'}})")
        box = await self.js(
            f"(({{x, y, width, height}}) => [x, y, width, height])({query}.getBoundingClientRect())"
        )
        assert box[2] > 0, f"{selector} is not visible"
        place = {"x": box[0] + box[2] / 2, "y": box[1] + box[3] / 2, "button": "left", "clickCount": 1}
        await self.call("Input.dispatchMouseEvent", type="mousePressed", **place)
        await self.call("Input.dispatchMouseEvent", type="mouseReleased", **place)

    async def width(self, pixels: int, *, dark: bool = False) -> None:
        """Look at the page in a window of that width."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=pixels, height=900, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, path: Path) -> None:
        """Save what the whole page looks like."""
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        await asyncio.to_thread(_save, path, base64.b64decode(shot["data"]))

    async def authenticator(self, *, verifies: bool = True, synced: bool = False) -> str:
        """Give the page an authenticator of its own and return its id."""
        await self.call("WebAuthn.enable")
        options: Mapping[str, Any] = {
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": verifies,
            "automaticPresenceSimulation": True,
            "defaultBackupEligibility": synced,
            "defaultBackupState": synced,
        }
        told = await self.call("WebAuthn.addVirtualAuthenticator", options=options)
        return str(told["authenticatorId"])


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Tab]:
    """Start Chromium with a fresh profile in a folder, and end it with the block.

    Raises:
        Failed: There is none; ``make pages`` installs it where it may.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise Failed("there is no Chromium; see `make pages`")
    profile = folder / "profile"
    process = await asyncio.create_subprocess_exec(
        program,
        *FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
                target = await answer.json(content_type=None)
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = Tab(socket)
                await tab.call("Page.enable")
                await tab.call("Log.enable")
                yield tab
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


def _save(path: Path, picture: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)


async def _port(file: Path) -> int:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if (port := await asyncio.to_thread(_first_line, file)) is not None:
                return int(port)
            await asyncio.sleep(0.05)


def _first_line(file: Path) -> str | None:
    lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
    return lines[0] if lines else None
