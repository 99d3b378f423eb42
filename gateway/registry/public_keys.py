"""A client's public keys as its record keeps them: frozen JWKs with their required members only."""

from collections.abc import Iterable, Mapping

from gateway import jose

FrozenJwk = tuple[tuple[str, str], ...]
"""The required members of a public key in the order of their names."""


def frozen_keys(jwks: Iterable[Mapping[str, object]]) -> tuple[FrozenJwk, ...]:
    """Return public keys as a client record keeps them: required members only, sorted by name.

    Raises:
        ValueError: A key is private, malformed, or of a kind that is not used here.

    """
    keys = (jose.jwk_of(jose.key_of(dict(jwk))) for jwk in jwks)
    return tuple(tuple(sorted(key.items())) for key in keys)


def frozen_encryption_keys(jwks: Iterable[Mapping[str, object]]) -> tuple[FrozenJwk, ...]:
    """Return public keys that can be encrypted to, as a client record keeps them.

    Raises:
        ValueError: As for other keys, or one is of a kind that only signs.

    """
    keys = frozen_keys(jwks)
    if any(dict(key)["kty"] != "EC" for key in keys):
        raise ValueError("only P-256 keys are encrypted to")
    return keys
