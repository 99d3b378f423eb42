"""What anyone may know of the gateway's OAuth side, as documents; pure functions.

RFC 8414 (authorization server), RFC 9728 (protected resource). They name only what is built.
"""

from typing import Final

ALGORITHMS: Final = ["ES256", "EdDSA"]
ASSURANCES: Final = ["aal1", "aal2", "aal3"]


def authorization_server_metadata(*, origin: str, issuer: str, certificates: bool) -> dict[str, object]:
    """Return ``/.well-known/oauth-authorization-server`` (RFC 8414 section 2).

    ``certificates`` is whether the gateway asks clients for theirs (RFC 8705 sections 2.1.1 and 3.3).
    """
    methods = ["private_key_jwt", *(["tls_client_auth"] if certificates else [])]
    return {
        "issuer": issuer,
        "token_endpoint": f"{origin}/oauth/token",
        "device_authorization_endpoint": f"{origin}/oauth/device_authorization",
        "revocation_endpoint": f"{origin}/oauth/revoke",
        "introspection_endpoint": f"{origin}/oauth/introspect",
        "jwks_uri": f"{origin}/oauth/jwks",
        "response_types_supported": [],  # required by RFC 8414; there is no authorization endpoint
        "grant_types_supported": [
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        **{
            f"{endpoint}_endpoint_auth_{what}_supported": values
            for endpoint in ("token", "revocation", "introspection")
            for what, values in (("methods", methods), ("signing_alg_values", ALGORITHMS))
        },
        "dpop_signing_alg_values_supported": ALGORITHMS,
        "acr_values_supported": ASSURANCES,
        "tls_client_certificate_bound_access_tokens": certificates,
    }


def protected_resource_metadata(
    *, origin: str, issuer: str, audience: str, certificates: bool
) -> dict[str, object]:
    """Return ``/.well-known/oauth-protected-resource`` (RFC 9728 section 2)."""
    return {
        "resource": audience,
        "authorization_servers": [issuer],
        "jwks_uri": f"{origin}/oauth/jwks",
        "bearer_methods_supported": [],  # a bearer token is never taken: tokens are bound to a key
        "dpop_signing_alg_values_supported": ALGORITHMS,
        "dpop_bound_access_tokens_required": True,
        "tls_client_certificate_bound_access_tokens": certificates,
    }


def key_set(*jwks: dict[str, object]) -> dict[str, object]:
    """Return ``/oauth/jwks``: the members of several key sets as one (RFC 7517 section 5)."""
    return {"keys": [key for jwk in jwks for key in jwk.get("keys", [])]}  # type: ignore[attr-defined]
