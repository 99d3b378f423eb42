"""The endpoints that answer without an entry: the same for everybody, touching neither data nor people.

``routes.OPEN`` and the tiles' paths are the whole list; another path cannot be answered from here.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from gateway.errors import GatewayError, PathUnknown
from gateway.problems import CONTENT_TYPE, TYPE_URI, kind_of
from gateway.services.metadata import authorization_server_metadata, protected_resource_metadata
from gateway.transparency.tile_path import TilePlace, parse_tile_path
from gateway.web import openapi
from gateway.web.routes import OPEN

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
SCRIPT = "text/javascript; charset=utf-8"
NEVER_CHANGES = "public, max-age=31536000, immutable"


class Answer(NamedTuple):
    """A reply that leaves without an entry."""

    status: int
    content_type: str
    body: bytes
    caching: str = "no-store"


Endpoint = Callable[[], Awaitable[Answer]]
_UNKNOWN = kind_of(PathUnknown(""))
NOT_THAT_LARGE = Answer(
    _UNKNOWN.status,
    CONTENT_TYPE,
    json.dumps(
        {
            "type": TYPE_URI + _UNKNOWN.slug,
            "title": _UNKNOWN.title,
            "status": _UNKNOWN.status,
            "detail": "the log is not that large yet",
        }
    ).encode(),
)


class Open:
    """Finds the open endpoint of a path."""

    def __init__(
        self, endpoints: Mapping[str, Endpoint], tile: Callable[[TilePlace], Awaitable[bytes | None]]
    ) -> None:
        self._endpoints = endpoints
        self._tile = tile

    def at(self, path: str) -> Endpoint | None:
        """Return what answers at a path; None: it is not open."""
        if (endpoint := self._endpoints.get(path)) is not None:
            return endpoint
        place = parse_tile_path(path)
        return None if place is None else lambda: self._tile_at(place)

    async def _tile_at(self, place: TilePlace) -> Answer:
        """Return a tile, which stays as it is for ever; one that is not full yet may come."""
        try:
            hashes = await self._tile(place)
        except GatewayError:
            return Answer(503, TEXT, b"too much is asked; try again later\n")
        if hashes is None:
            return NOT_THAT_LARGE
        return Answer(200, "application/octet-stream", hashes, NEVER_CHANGES)


def open_endpoints(
    *,
    documents: Mapping[str, object],
    key_set: Callable[[], object],
    checkpoint: Callable[[], Awaitable[bytes]],
    ready: Callable[[], Awaitable[None]],
    tile: Callable[[TilePlace], Awaitable[bytes | None]],
    script: bytes,
) -> Open:
    """Return the endpoints; of ``documents`` those that can be called are made anew for each request."""

    async def livez() -> Answer:
        return Answer(200, TEXT, b"ok\n")

    async def readyz() -> Answer:
        try:
            await ready()
        except GatewayError:
            return Answer(503, TEXT, b"the ledger cannot record\n")
        return Answer(200, TEXT, b"ok\n")

    async def head() -> Answer:
        try:
            return Answer(200, TEXT, await checkpoint())
        except GatewayError:
            return Answer(503, TEXT, b"the ledger does not answer\n")

    async def keys() -> Answer:
        return Answer(200, JSON, _written(key_set()))

    async def passkey_script() -> Answer:
        return Answer(200, SCRIPT, script)

    endpoints: dict[str, Endpoint] = {
        "/livez": livez,
        "/readyz": readyz,
        "/checkpoint": head,
        "/oauth/jwks": keys,
        "/passkey.js": passkey_script,
    }
    endpoints |= {path: _document(document) for path, document in documents.items()}
    assert endpoints.keys() == OPEN.keys(), "the open list and the endpoints are the same"  # noqa: S101
    return Open(endpoints, tile)


def documents(origin: str, *, certificates: bool, log_vkeys: Callable[[], str]) -> Mapping[str, object]:
    """Return the open endpoints that say what this gateway is; one says which keys sign the log now."""
    resource = protected_resource_metadata(
        origin=origin, issuer=origin, audience=origin, certificates=certificates
    )
    return {
        "/openapi.json": openapi.document(origin),
        "/.well-known/oauth-authorization-server": authorization_server_metadata(
            origin=origin, issuer=origin, certificates=certificates
        ),
        "/.well-known/oauth-protected-resource": lambda: {**resource, "gateway_log_key": log_vkeys()},
    }


def _document(document: object) -> Endpoint:
    body = b"" if callable(document) else _written(document)

    async def written() -> Answer:
        return Answer(200, JSON, _written(document()) if callable(document) else body)

    return written


def _written(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, sort_keys=True).encode()
