"""The interface described in OpenAPI 3.1, made from the routes, so that it cannot promise more.

A test holds every path of ``routes`` against it in both directions.
"""

from typing import Any

from gateway.jose import JOSE_TYPE
from gateway.problems import INTERNAL, PROBLEM_TYPES, TYPE_URI
from gateway.terms.format import Format
from gateway.web.routes import DATASET, OPEN, ROUTES, TILES, TILES_MEANING, UPSTREAM_PATH, Route

_STRING = {"type": "string"}
_PREDICATE = {
    "type": "object",
    "description": "One comparison, or `all`, `any`, `not`; names columns that are kept as they are.",
    "examples": [{"column": "province", "in": ["01", "79"]}],
}
RECORDS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "select": {"type": "array", "items": _STRING},
        "where": _PREDICATE,
        "limit": {"type": "integer", "minimum": 1},
        "cursor": _STRING,
    },
}
QUERY = {
    "type": "object",
    "additionalProperties": False,
    "required": ["sql"],
    "properties": {
        "sql": {**_STRING, "examples": ["SELECT province, COUNT(*) FROM data GROUP BY province"]},
        "epsilon": {"type": ["string", "number"]},
        "rho": {"type": ["string", "number"]},
        "margin": {"type": ["string", "number"]},
    },
}
LOOKUP = {
    "type": "object",
    "additionalProperties": False,
    "required": ["keys"],
    "properties": {
        "keys": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["key"],
                "properties": {
                    "key": {"type": ["string", "integer"]},
                    "matching": {
                        "type": "object",
                        "additionalProperties": {"type": ["string", "number", "boolean"]},
                    },
                },
            },
            "examples": [[{"key": "001085012345", "matching": {"birth_date": "1985-03-14"}}]],
        },
        "select": {"type": "array", "items": _STRING},
    },
}
_FORM = {"type": "object", "additionalProperties": _STRING}
DEVICE = {
    **_FORM,
    "required": ["purpose"],
    "properties": {
        "purpose": _STRING,
        "hours": {**_STRING, "description": "1 to 8: an activation for whatever is asked."},
        "saved_method": {**_STRING, "description": "In place of `hours`: one request for unattended runs."},
        "saved_path": _STRING,
        "saved_query": _STRING,
        "saved_body": {**_STRING, "maxLength": 4096},
        "saved_days": {**_STRING, "description": "1 to 30."},
    },
}
TOKEN = {
    **_FORM,
    "required": ["grant_type"],
    "properties": {
        "grant_type": _STRING,
        "purpose": _STRING,
        "device_code": _STRING,
        "activation": {**_STRING, "description": "Of a saved request: the token is for that request only."},
    },
}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "records": ("application/json", RECORDS),
    "query": ("application/json", QUERY),
    "lookup": ("application/json", LOOKUP),
    "plan": ("application/json", {"anyOf": [QUERY, RECORDS, LOOKUP]}),
    "token": ("application/x-www-form-urlencoded", TOKEN),
    "device": ("application/x-www-form-urlencoded", DEVICE),
    "revoke": ("application/x-www-form-urlencoded", _FORM),
    "introspect": ("application/x-www-form-urlencoded", _FORM),
    "activate": ("application/x-www-form-urlencoded", _FORM),
    "account": ("application/x-www-form-urlencoded", _FORM),
    "enrol": ("application/x-www-form-urlencoded", _FORM),
}
_OF_DATA = frozenset({"records", "query", "lookup", "proxy"})
_FORMS: dict[str, dict[str, Any]] = {
    **{form.media_type: {} for form in Format},
    JOSE_TYPE: {
        "schema": {
            **_STRING,
            "description": "JWE compact serialisation (RFC 7516) to the client's newest encryption key; "
            "the parameter `cty` of `Accept` names the media type inside, JSON unless given.",
        }
    },
}
SUMMARIES = {
    "datasets": "What there is, and what this client may do with it",
    "dataset": "One dataset: columns, meanings, treatments, limits",
    "budgets": "What this client and its organisation have left",
    "records": "Rows with personal data treated",
    "query": "A statistic with differential-privacy noise and error bars",
    "lookup": "Rows found by keys that the firm holds; every key tried is charged, hit or miss",
    "plan": "What a question would cost; touches no data (`?of=records` for rows, `?of=lookup` for keys)",
    "proxy": "An upstream's own path: its rows with personal data treated, parameters as the rules bind them",
    "proxy_head": "The same without a body; recorded like any other reply",
    "token": "RFC 6749 token endpoint: client credentials, device grant",
    "device": "RFC 8628 device authorization",
    "revoke": "RFC 7009: end a token of one's own before its time",
    "introspect": "RFC 7662: whether a token of one's own still counts, and what it says",
    "activate_page": "The page where a person activates a client",
    "activate": "Sign in and decide on that page",
    "account_page": "The page where a person looks after passkeys, recovery codes and approvals",
    "account": "Sign in and change them on that page",
    "enrol_page": "The page where a registered person sets password and authenticator",
    "enrol": "Show the enrolment code and set them on that page",
}


def document(origin: str) -> dict[str, Any]:
    """Return the OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for path, meaning in {**OPEN, TILES: TILES_MEANING}.items():
        paths[path] = {
            "get": {"summary": meaning, "security": [], "responses": {"200": {"description": "ok"}}}
        }
    paths[TILES]["get"]["responses"]["404"] = {"description": "the log is not that large"}
    paths[TILES]["get"]["parameters"] = [
        {"name": name, "in": "path", "required": True, "schema": _STRING} for name in ("level", "number")
    ]
    for route in ROUTES:
        shown = path_of(route)
        paths.setdefault(shown, {})[route.method.lower()] = _operation(route.name, route.method, shown)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Data sharing gateway",
            "version": "1",
            "description": "Every reply carries `Gateway-Receipt` and `Gateway-Entry`: its proof in the log, "
            "in base64url; beside an encrypted reply each as a JWE to the same key.",
        },
        "servers": [{"url": origin}],
        "security": [{"dpop": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "dpop": {
                    "type": "http",
                    "scheme": "DPoP",
                    "description": "RFC 9449 with server nonce; the proof carries `ath`, and `qd`: SHA-256 "
                    "of query string, a zero byte and body.",
                }
            },
            "schemas": {"Problem": _problem()},
        },
    }


def path_of(route: Route) -> str:
    """Return a route's path as OpenAPI writes it."""
    return route.pattern.pattern.replace(DATASET, "{dataset}").replace(UPSTREAM_PATH, "/{path}")


def _operation(name: str, method: str, path: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": SUMMARIES[name],
        "responses": {
            "200": {"description": "ok"},
            "default": {
                "description": "a problem (RFC 9457)",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if name in _OF_DATA:
        operation["responses"]["200"]["content"] = _FORMS
    if "{dataset}" in path:
        operation["parameters"] = [
            {"name": part, "in": "path", "required": True, "schema": _STRING}
            for part in ("dataset", "path")
            if f"{{{part}}}" in path
        ]
    if name in {"token", "device", "revoke", "introspect", "activate_page", "activate"}:
        operation["security"] = []
    if method == "POST" and name in BODIES:
        content_type, schema = BODIES[name]
        operation["requestBody"] = {"required": True, "content": {content_type: {"schema": schema}}}
    return operation


def _problem() -> dict[str, Any]:
    kinds = sorted({TYPE_URI + kind.slug for kind in (*PROBLEM_TYPES.values(), INTERNAL)})
    return {
        "type": "object",
        "required": ["type", "title", "status", "instance"],
        "properties": {
            "type": {"enum": kinds},
            "title": _STRING,
            "status": {"type": "integer"},
            "detail": _STRING,
            "instance": _STRING,
        },
    }
