"""The loopback signer: any HTTP client of this machine asks the gateway, and the signer adds the proof.

    http://127.0.0.1:PORT/SECRET/v1/...                          forwarded as it is
    http://127.0.0.1:PORT/SECRET/query/DATASET.csv?sql=...       a statistic by address, for spreadsheets
    http://127.0.0.1:PORT/SECRET/records/DATASET.csv?limit=...   rows by address

SECURITY: who reaches it asks in the firm's name. So it listens on loopback only, wants a secret in the
path and (where the system tells) the same user, refuses what a web page could send (``Origin``,
``Sec-Fetch-Site``, a foreign ``Host``), passes on four headers and no credentials, and gives out no
answer whose receipt does not verify. Bodies and concurrency are bounded. Addresses are never logged.
"""

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from gateway.client.by_address import BadAddress, Question, question_of
from gateway.client.failures import ClientFailure
from gateway.client.neighbour import is_own
from gateway.client.once import OncePaid
from gateway.client.problem import GatewayProblem
from gateway.client.session import Gateway
from gateway.client.wire import Response

HOST: Final = "127.0.0.1"
METHODS: Final = ("GET", "HEAD", "POST")
BODY_BYTES_MAX: Final = 64 * 1024
TARGET_BYTES_MAX: Final = 8190
BODY_READ_S: Final = 10.0
AT_ONCE_MAX: Final = 8
WAITING_MAX: Final = 64
CHARGING: Final = ("/query", "/lookup")
PASSED_ON: Final = ("Accept", "Content-Type", "Idempotency-Key", "traceparent")
KEPT_BACK: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "upgrade",
     "te", "trailer", "date", "server", "set-cookie", "dpop-nonce", "alt-svc", "strict-transport-security"}
)  # fmt: skip
ALWAYS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


class NotSigned(Exception):
    """The signer itself says no; nothing was sent to the gateway."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(slots=True, kw_only=True)
class Signer:
    """Signs what this machine asks. Owns the two counters of its load."""

    gateway: Gateway
    secret: str = field(repr=False)
    port: int
    allowed: tuple[str, ...]
    """Prefixes of the gateway's paths that may be asked."""
    paid: OncePaid = field(default_factory=OncePaid, repr=False)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE_MAX), repr=False)
    _waiting: int = 0

    @property
    def url(self) -> str:
        """Where programs of this machine ask; it holds the secret."""
        return f"http://{HOST}:{self.port}/{self.secret}"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of this machine."""
        try:
            target = self._admitted(request)
            return _response(await self._bounded(lambda: self._answer(request, target)))
        except NotSigned as refusal:
            return _refusal(refusal.status, "Not signed", refusal.detail)
        except GatewayProblem as problem:
            return _refused_by_gateway(problem)
        except ClientFailure as failure:
            return _refusal(502, "No answer that can be used", str(failure))
        except Exception as error:  # noqa: BLE001  a bug; the one place that catches them here
            return _refusal(500, "The signer failed", f"a bug, {type(error).__name__}; nothing was given out")

    def _admitted(self, request: web.BaseRequest) -> str:
        """Return what is asked, without the secret: a path and perhaps a query string.

        Raises:
            NotSigned: It is not from a program that knows the secret.

        """
        headers = request.headers
        if headers.getall("Host", []) not in ([f"{HOST}:{self.port}"], [f"localhost:{self.port}"]):
            raise NotSigned(421, "use the address that `gateway connect` printed")  # DNS rebinding
        if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") != "none":
            raise NotSigned(403, "web pages may not ask here")
        peer = request.get_extra_info("peername")
        if peer is None or not is_own(peer[1], self.port):
            raise NotSigned(403, "another user of this machine may not ask here")
        target = request.raw_path
        known, _, rest = target.removeprefix("/").partition("/")
        if not target.startswith("/") or not hmac.compare_digest(known.encode(), self.secret.encode()):
            raise NotSigned(404, "use the address that `gateway connect` printed")
        if request.method not in METHODS:
            raise NotSigned(405, f"only {', '.join(METHODS)}")
        return f"/{rest}"

    async def _bounded(self, work: Callable[[], Awaitable[Response]]) -> Response:
        """Do the work when a slot is free, unless too many wait already."""
        if self._waiting >= WAITING_MAX:
            raise NotSigned(503, "too many requests at once; ask again shortly")
        self._waiting += 1
        try:
            async with self._slots:
                return await work()
        finally:
            self._waiting -= 1

    async def _answer(self, request: web.BaseRequest, target: str) -> Response:
        body = await _body_of(request)
        path, _, query_string = target.partition("?")
        if path.startswith("/v1/"):
            self._require_allowed(path)
            return await self._forwarded(request, path, query_string, body)
        if request.method == "POST":
            raise NotSigned(405, "questions by address are asked with GET")
        try:
            question = await question_of(path, query_string, self._types)
        except BadAddress as error:
            raise NotSigned(error.status, str(error)) from error
        self._require_allowed(question.path)
        return await self._asked(question)

    def _require_allowed(self, path: str) -> None:
        """Make sure that a path is one of those that may be asked.

        SECURITY: a path with dot segments or hidden separators is refused, whoever would resolve it.
        """
        plain = unquote(path)
        if {"..", "."} & set(plain.split("/")) or "\\" in plain or "//" in plain:
            raise NotSigned(400, "the path is not in its one spelling")
        if not any(path == prefix or path.startswith(f"{prefix.rstrip('/')}/") for prefix in self.allowed):
            raise NotSigned(403, "`gateway connect` was started without --allow for this path")

    async def _forwarded(
        self, request: web.BaseRequest, path: str, query_string: str, body: bytes
    ) -> Response:
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        if body.lstrip().startswith(b"{"):  # curl -d calls it a form; the gateway's questions are JSON
            headers["Content-Type"] = "application/json"
        if request.method == "POST" and "Idempotency-Key" not in headers and path.endswith(CHARGING):
            headers["Idempotency-Key"] = self.paid.fresh_key()  # a lost answer is asked for again, unpaid
        return await self.gateway.forward(
            request.method, path, query_string=query_string, body=body, headers=headers
        )

    async def _asked(self, question: Question) -> Response:
        """Return the answer to a question by address; asked again within minutes it is not paid again."""
        headers = {"Accept": question.accept, "Content-Type": "application/json"}
        body = json.dumps(question.members).encode()
        if not question.charges:
            return await self.gateway.forward(
                "POST", question.path, query_string="", body=body, headers=headers
            )
        async with self.paid.key_of(
            question.path.encode() + b"\n" + question.accept.encode() + b"\n" + body
        ) as key:
            return await self.gateway.forward(
                "POST", question.path, query_string="", body=body, headers=headers | {"Idempotency-Key": key}
            )

    async def _types(self, dataset: str) -> Mapping[str, str]:
        """Return the types of a dataset's columns."""
        columns = (await self.gateway.dataset(dataset)).document.get("columns", [])
        return {column["name"]: column["type"] for column in columns}


async def serve(
    gateway: Gateway,
    *,
    secret: str,
    port: int,
    allowed: Sequence[str],
    on_ready: Callable[[Signer], None],
    stopped: asyncio.Event,
) -> None:
    """Listen on loopback until ``stopped``; port 0 picks a free one.

    Raises:
        ClientFailure: The port is taken.

    """
    signer = Signer(gateway=gateway, secret=secret, port=port, allowed=tuple(allowed))
    server = web.Server(
        signer.handle,
        access_log=None,
        logger=_silent(),
        auto_decompress=False,
        max_line_size=TARGET_BYTES_MAX,
        max_field_size=TARGET_BYTES_MAX,
        lingering_time=2.0,
    )
    runner = web.ServerRunner(server, shutdown_timeout=2.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError as error:
            raise ClientFailure(f"port {port} is taken; choose another with --port") from error
        signer.port = runner.addresses[0][1]
        on_ready(signer)
        await stopped.wait()
    finally:
        await runner.cleanup()


def _silent() -> logging.Logger:
    """Return a logger that writes nothing. SECURITY: what it would quote, an address, holds the secret."""
    logger = logging.Logger("gateway.connect")  # noqa: LOG001  nobody else is to find it
    logger.addHandler(logging.NullHandler())
    return logger


async def _body_of(request: web.BaseRequest) -> bytes:
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_READ_S):
            while chunk := await request.content.readany():
                size += len(chunk)
                if size > BODY_BYTES_MAX:
                    raise NotSigned(413, f"at most {BODY_BYTES_MAX} bytes are taken")
                chunks.append(chunk)
    except TimeoutError as error:
        raise NotSigned(408, "the body did not arrive in time") from error
    return b"".join(chunks)


def _response(answer: Response) -> web.Response:
    """Return the gateway's answer as it is, without what concerns the connection to it.

    SECURITY: nothing that would let a web page read it (``Access-Control-*``) comes through either.
    """
    passed = {
        name: value
        for name, value in answer.headers.items()
        if name.lower() not in KEPT_BACK and not name.lower().startswith("access-control-")
    }
    return web.Response(status=answer.status, body=answer.body, headers={**passed, **ALWAYS})


def _refused_by_gateway(problem: GatewayProblem) -> web.Response:
    """Return what the gateway said to what the signer itself asked: for a token, or a dataset's columns."""
    if problem.type.startswith("oauth:"):
        return _refusal(502, "The gateway gives no token", f"{problem}; run `gateway login`")
    return _refusal(problem.status, problem.title, problem.detail)


def _refusal(status: int, title: str, detail: str) -> web.Response:
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return web.Response(
        status=status,
        text=json.dumps(document, ensure_ascii=False) + "\n",
        headers={"Content-Type": "application/problem+json", **ALWAYS},
    )
