"""Where paths lead, and that the list of what is exempt from the log is short and complete."""

import json

import pytest

from gateway.errors import LedgerUnavailable, PathUnknown
from gateway.problems import PROBLEM_TYPES
from gateway.terms.query import Action
from gateway.transparency.tile_path import TilePlace
from gateway.web.open import Answer, Open, open_endpoints
from gateway.web.openapi import document, path_of
from gateway.web.routes import OPEN, ROUTES, TILES, match


def test_p1_the_exempt_endpoints_are_exactly_these() -> None:
    """Promise P1: whoever adds one changes this list on purpose."""
    assert set(OPEN) == {
        "/livez",
        "/readyz",
        "/openapi.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource",
        "/oauth/jwks",
        "/checkpoint",
        "/passkey.js",
    }


@pytest.mark.parametrize("path", [*OPEN, "/tile/0/000", "/tile/1/x001/000.p/7", TILES])
def test_an_open_path_is_no_route_of_the_flow(path: str) -> None:
    assert match("GET", path).route is None


@pytest.mark.parametrize(
    ("method", "path", "name", "action", "dry_run"),
    [
        ("POST", "/v1/datasets/a.b-c/records", "records", Action.EXTRACT, False),
        ("POST", "/v1/datasets/a.b-c/query", "query", Action.AGGREGATE, False),
        ("POST", "/v1/datasets/a.b-c/plan", "plan", Action.AGGREGATE, True),
        ("GET", "/v1/datasets/a.b-c", "dataset", None, False),
        ("GET", "/v1/datasets/a.b-c/proxy/x/y.json", "proxy", Action.PROXY, False),
        ("HEAD", "/v1/datasets/a.b-c/proxy/x/y.json", "proxy_head", Action.PROXY, False),
        ("GET", "/v1/datasets", "datasets", None, False),
        ("GET", "/activate", "activate_page", None, False),
        ("POST", "/activate", "activate", None, False),
        ("GET", "/account", "account_page", None, False),
        ("POST", "/account", "account", None, False),
        ("GET", "/enrol", "enrol_page", None, False),
        ("POST", "/enrol", "enrol", None, False),
    ],
)
def test_a_path_leads_to_its_route(
    method: str, path: str, name: str, action: Action | None, dry_run: bool
) -> None:
    found = match(method, path)

    assert found.route is not None
    assert (found.route.name, found.route.action, found.route.dry_run) == (name, action, dry_run)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/datasets/",
        "/v1/datasets/A",
        "/v1/datasets/a/records/",
        "/v1/datasets/a%2Fb/records",
        "/v1/datasets/../records",
        "/v1/datasets/" + "a" * 129,
        "/V1/datasets",
        "//v1/datasets",
        "/v1/datasets/a/records\n",
        "/v1/datasets/a/proxy",
        "/v1/datasets/a/proxy/../x",
        "/v1/datasets/a/proxy/x/..",
        "/v1/datasets/a/proxy//x",
        "/v1/datasets/a/proxy/.x",
        "/v1/datasets/a/proxy/%2e%2e/x",
        "/v1/datasets/a/proxy/x;y",
        "/v1/datasets/a/proxy/x\n",
        "/v1/datasets/a/proxy/" + "a" * 512,
        "/oauth/token/",
        "http://elsewhere/v1/datasets",
    ],
)
def test_anything_else_leads_nowhere(path: str) -> None:
    assert match("POST", path).route is None
    assert match("GET", path).route is None


def test_the_upstreams_path_begins_with_its_slash() -> None:
    found = match("GET", "/v1/datasets/a/proxy/-/people.json")

    assert (found.dataset, found.upstream_path) == ("a", "/-/people.json")
    assert match("POST", "/v1/datasets/a/proxy/x").allowed == ("GET", "HEAD")


def test_a_wrong_method_names_the_right_ones() -> None:
    assert match("DELETE", "/activate").allowed == ("GET", "POST")
    assert match("GET", "/v1/datasets/a/query").allowed == ("POST",)


def test_openapi_describes_every_path_and_no_other() -> None:
    described = {
        (path, method.upper())
        for path, methods in document("https://g")["paths"].items()
        for method in methods
    }
    routed = {(path_of(route), route.method) for route in ROUTES}

    assert described == routed | {(path, "GET") for path in [*OPEN, TILES]}
    assert not any(set("()[]?") & set(path) for path, _ in described)


ASKED: list[TilePlace] = []


def an_open(hashes: bytes | None = b"hashes", *, busy: bool = False) -> Open:
    async def head() -> bytes:
        return b"head"

    async def ready() -> None:
        return

    async def tile(place: TilePlace) -> bytes | None:
        ASKED.append(place)
        if busy:
            raise LedgerUnavailable("too much is read")
        return hashes

    moving = {"/livez", "/readyz", "/checkpoint", "/oauth/jwks", "/passkey.js"}
    return open_endpoints(
        documents={path: {} for path in OPEN.keys() - moving},
        key_set=dict,
        checkpoint=head,
        ready=ready,
        tile=tile,
        script=b"script",
    )


async def test_the_one_script_is_a_script_and_no_document_is() -> None:
    script, document = an_open().at("/passkey.js"), an_open().at("/openapi.json")

    assert script is not None
    assert document is not None
    assert await script() == Answer(200, "text/javascript; charset=utf-8", b"script")
    assert (await document()).content_type == "application/json"


async def test_a_tile_is_open_and_may_be_kept_for_ever() -> None:
    endpoint = an_open().at("/tile/1/x001/000.p/7")

    assert endpoint is not None
    assert await endpoint() == Answer(
        200, "application/octet-stream", b"hashes", "public, max-age=31536000, immutable"
    )
    assert ASKED[-1] == TilePlace(1, 1000, 7)


async def test_a_tile_that_is_not_there_yet_is_a_typed_404_that_nobody_keeps() -> None:
    endpoint = an_open(None).at("/tile/0/000")

    assert endpoint is not None
    answer = await endpoint()
    assert (answer.status, answer.content_type, answer.caching) == (
        404,
        "application/problem+json",
        "no-store",
    )
    assert json.loads(answer.body) == {
        "type": "urn:problem:gateway:path-unknown",
        "title": PROBLEM_TYPES[PathUnknown].title,
        "status": 404,
        "detail": "the log is not that large yet",
    }


async def test_a_reader_that_is_busy_says_so_without_an_entry() -> None:
    endpoint = an_open(busy=True).at("/tile/0/000")

    assert endpoint is not None
    assert (await endpoint()).status == 503


@pytest.mark.parametrize(
    "path",
    ["/tile/0/0", "/tile/entries/000", "/tile/0/000.p/256", "/tile/", TILES, "/v1/datasets", "/checkpoint/"],
)
def test_a_path_that_is_not_exactly_a_tiles_is_not_open(path: str) -> None:
    """It goes through the flow like any other, and is recorded."""
    assert an_open().at(path) is None
