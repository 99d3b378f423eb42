"""What anyone may read about the OAuth side, and nothing that is not built."""

from typing import Any

from gateway.services.metadata import authorization_server_metadata, key_set, protected_resource_metadata

ORIGIN = "https://gateway.example"


def test_the_authorization_server_says_where_it_is_and_how_clients_prove_themselves() -> None:
    assert authorization_server_metadata(origin=ORIGIN, issuer=ORIGIN, certificates=False) == {
        "issuer": ORIGIN,
        "token_endpoint": f"{ORIGIN}/oauth/token",
        "device_authorization_endpoint": f"{ORIGIN}/oauth/device_authorization",
        "revocation_endpoint": f"{ORIGIN}/oauth/revoke",
        "introspection_endpoint": f"{ORIGIN}/oauth/introspect",
        "jwks_uri": f"{ORIGIN}/oauth/jwks",
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials", "urn:ietf:params:oauth:grant-type:device_code"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256", "EdDSA"],
        "revocation_endpoint_auth_methods_supported": ["private_key_jwt"],
        "revocation_endpoint_auth_signing_alg_values_supported": ["ES256", "EdDSA"],
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": ["ES256", "EdDSA"],
        "dpop_signing_alg_values_supported": ["ES256", "EdDSA"],
        "acr_values_supported": ["aal1", "aal2", "aal3"],
        "tls_client_certificate_bound_access_tokens": False,
    }


def test_certificates_are_named_only_where_they_are_asked_for() -> None:
    """RFC 8705 sections 2.1.1 and 3.3."""
    without = authorization_server_metadata(origin=ORIGIN, issuer=ORIGIN, certificates=False)
    asked = authorization_server_metadata(origin=ORIGIN, issuer=ORIGIN, certificates=True)
    methods = ["private_key_jwt", "tls_client_auth"]

    assert {name: asked[name] for name in asked if asked[name] != without[name]} == {
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": methods,
        "tls_client_certificate_bound_access_tokens": True,
    }


def test_the_resource_takes_no_bearer_tokens() -> None:
    """Promise P7."""
    document = protected_resource_metadata(origin=ORIGIN, issuer=ORIGIN, audience=ORIGIN, certificates=True)

    assert document["bearer_methods_supported"] == []
    assert document["dpop_bound_access_tokens_required"] is True
    assert document["tls_client_certificate_bound_access_tokens"] is True


def test_published_keys_are_public(keyring: Any) -> None:
    published = key_set(keyring.tokens.jwks)

    (key,) = published["keys"]  # type: ignore[misc]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
