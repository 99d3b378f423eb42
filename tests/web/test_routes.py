"""Where paths lead, and that the list of what is exempt from the log is short and complete."""

import pytest

from gateway.terms.query import Action
from gateway.web.openapi import document, path_of
from gateway.web.routes import OPEN, ROUTES, match


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
    }


@pytest.mark.parametrize("path", [*OPEN])
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

    assert described == routed | {(path, "GET") for path in OPEN}
    assert not any(set("()[]?") & set(path) for path, _ in described)
