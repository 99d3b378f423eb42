"""The endpoints that answer without an entry: the same for everybody, touching neither data nor people.

``routes.OPEN`` is the whole list; a path that is not there cannot be answered from here.
"""

import json
from collections.abc import Awaitable, Callable, Mapping

from gateway.errors import GatewayError
from gateway.web.routes import OPEN

Answer = tuple[int, str, bytes]
JSON = "application/json"


def open_endpoints(
    *,
    documents: Mapping[str, object],
    checkpoint: Callable[[], Awaitable[bytes]],
    ready: Callable[[], Awaitable[None]],
) -> Mapping[str, Callable[[], Awaitable[Answer]]]:
    """Return the endpoints; ``documents`` are the ones that never change while the process runs."""

    async def livez() -> Answer:
        return 200, "text/plain", b"ok\n"

    async def readyz() -> Answer:
        try:
            await ready()
        except GatewayError:
            return 503, "text/plain", b"the ledger cannot record\n"
        return 200, "text/plain", b"ok\n"

    async def head() -> Answer:
        try:
            return 200, "text/plain; charset=utf-8", await checkpoint()
        except GatewayError:
            return 503, "text/plain", b"the ledger does not answer\n"

    endpoints: dict[str, Callable[[], Awaitable[Answer]]] = {
        "/livez": livez,
        "/readyz": readyz,
        "/checkpoint": head,
    }
    endpoints |= {path: _fixed(document) for path, document in documents.items()}
    assert endpoints.keys() == OPEN.keys(), "the open list and the endpoints are the same"  # noqa: S101
    return endpoints


def _fixed(document: object) -> Callable[[], Awaitable[Answer]]:
    body = json.dumps(document, ensure_ascii=False, sort_keys=True).encode()

    async def fixed() -> Answer:
        return 200, JSON, body

    return fixed
