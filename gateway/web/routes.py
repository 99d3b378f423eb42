"""Which path leads where: one closed table, pure, so that what is exempt from the log can be read off.

``OPEN`` and ``TILES`` are the whole list of endpoints that answer without an entry (promise P1): they
say the same to everybody and touch neither data nor people.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.services.ports import Routed
from gateway.terms.identifiers import DatasetId
from gateway.terms.query import Action

KIB: Final = 1024
DATASET = r"(?P<dataset>[a-z0-9][a-z0-9.-]{0,127})"
UPSTREAM_PATH = r"(?P<upstream_path>(?!.*//)(?!.*/\.)/[A-Za-z0-9._~/-]{0,511})"
"""Read in one way only: no escape, no empty segment, no segment that begins with a dot."""


class Service(StrEnum):
    """What answers on a recorded path that is not a request for data."""

    CATALOGUE = "catalogue"
    BUDGETS = "budgets"
    TOKEN = "token"  # noqa: S105  the name of an endpoint
    DEVICE = "device-authorization"
    REVOKE = "revoke"
    INTROSPECT = "introspect"
    ACTIVATE = "activate"
    ACCOUNT = "account"
    ENROL = "enrol"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One path and what it is for. ``name`` is its label in metrics."""

    name: str
    method: str
    pattern: re.Pattern[str]
    body_bytes_max: int = 0
    action: Action | None = None
    dry_run: bool = False
    service: Service | None = None


def _route(name: str, method: str, path: str, **rest: object) -> Route:
    return Route(name=name, method=method, pattern=re.compile(path), **rest)  # type: ignore[arg-type]


OPEN: Final[Mapping[str, str]] = {
    "/livez": "the process runs",
    "/readyz": "the ledger can record",
    "/openapi.json": "this interface, described",
    "/.well-known/oauth-authorization-server": "RFC 8414 metadata",
    "/.well-known/oauth-protected-resource": "RFC 9728 metadata, with the log's verifier key",
    "/oauth/jwks": "the issuer's public keys",
    "/checkpoint": "the log's signed head (c2sp.org/tlog-checkpoint)",
    "/passkey.js": "the one script of the pages that people use",
}

TILES: Final = "/tile/{level}/{number}"
TILES_MEANING: Final = "the log's hashes (c2sp.org/tlog-tiles); `number` as `x001/234`, with `.p/W` in part"
"""Open too, for every path that ``parse_tile_path`` reads; entries are not read over the web."""

ROUTES: Final[tuple[Route, ...]] = (
    _route("datasets", "GET", r"/v1/datasets", service=Service.CATALOGUE),
    _route("dataset", "GET", rf"/v1/datasets/{DATASET}", service=Service.CATALOGUE),
    _route("budgets", "GET", r"/v1/budgets", service=Service.BUDGETS),
    _route(
        "records", "POST", rf"/v1/datasets/{DATASET}/records", action=Action.EXTRACT, body_bytes_max=64 * KIB
    ),
    _route(
        "query", "POST", rf"/v1/datasets/{DATASET}/query", action=Action.AGGREGATE, body_bytes_max=64 * KIB
    ),
    _route(
        "lookup", "POST", rf"/v1/datasets/{DATASET}/lookup", action=Action.LOOKUP, body_bytes_max=64 * KIB
    ),
    _route(
        "plan",
        "POST",
        rf"/v1/datasets/{DATASET}/plan",
        action=Action.AGGREGATE,
        dry_run=True,
        body_bytes_max=64 * KIB,
    ),
    _route("proxy", "GET", rf"/v1/datasets/{DATASET}/proxy{UPSTREAM_PATH}", action=Action.PROXY),
    _route("proxy_head", "HEAD", rf"/v1/datasets/{DATASET}/proxy{UPSTREAM_PATH}", action=Action.PROXY),
    _route("token", "POST", r"/oauth/token", service=Service.TOKEN, body_bytes_max=16 * KIB),
    _route("device", "POST", r"/oauth/device_authorization", service=Service.DEVICE, body_bytes_max=16 * KIB),
    _route("revoke", "POST", r"/oauth/revoke", service=Service.REVOKE, body_bytes_max=16 * KIB),
    _route("introspect", "POST", r"/oauth/introspect", service=Service.INTROSPECT, body_bytes_max=16 * KIB),
    _route("activate_page", "GET", r"/activate", service=Service.ACTIVATE),
    _route("activate", "POST", r"/activate", service=Service.ACTIVATE, body_bytes_max=16 * KIB),
    _route("account_page", "GET", r"/account", service=Service.ACCOUNT),
    _route("account", "POST", r"/account", service=Service.ACCOUNT, body_bytes_max=16 * KIB),
    _route("enrol_page", "GET", r"/enrol", service=Service.ENROL),
    _route("enrol", "POST", r"/enrol", service=Service.ENROL, body_bytes_max=16 * KIB),
)

PLAN_OF: Final[Mapping[str, Action]] = {"of=records": Action.EXTRACT, "of=lookup": Action.LOOKUP}
"""Query strings of ``POST .../plan`` that ask for the plan of a pull of rows, or of a lookup."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where a path leads; ``allowed`` is set when only the method is wrong."""

    route: Route | None
    dataset: DatasetId | None = None
    upstream_path: str | None = None
    allowed: tuple[str, ...] = ()


def routed(method: str, path: str) -> Routed | None:
    """Return what a request asks of a dataset's content; None: nothing, or only its price."""
    found = match(method, path)
    if found.route is None or found.route.action is None or found.route.dry_run or found.dataset is None:
        return None
    return Routed(found.route.action, found.dataset, found.upstream_path)


def match(method: str, path: str) -> Match:
    """Return where a request goes."""
    allowed: list[str] = []
    for route in ROUTES:
        if found := route.pattern.fullmatch(path):
            if method == route.method:
                named = found.groupdict()
                name = named.get("dataset")
                return Match(route, None if name is None else DatasetId(name), named.get("upstream_path"))
            allowed.append(route.method)
    return Match(None, allowed=tuple(sorted(allowed)))
