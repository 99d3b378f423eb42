"""What people, and the issuer itself, will try with tokens of a trusted other issuer. Promises P6 and P7."""

# ruff: noqa: E501  one line an attack

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from attack_world import World

from gateway import jose
from gateway.identity.token import AccessClaims
from gateway.identity.trusted import ActsFor, TrustedIssuer

ACCEPTED = "accepted"
NAME = "https://id.example.gov.vn"
PERSON = "3f1c9a"
CLIENT = "idp-client-7"
HERE = ActsFor(client="bank-a.etl-1", org="bank-a", agreement="AGR-1", purpose="credit-risk")  # type: ignore[arg-type]


def trusting(world: World, **change: Any) -> dict[str, TrustedIssuer]:
    issuer = TrustedIssuer(
        name=NAME,
        keys={"x1": world.thief_key.public_key()},
        clients={CLIENT: HERE},
        people={PERSON: "lan"},  # type: ignore[dict-item]
        acr={"urn:loa:substantial": ("pwd", "otp"), "urn:loa:low": ("pwd",)},
        amr={"pwd": ("pwd",), "otp": ("otp",), "vneid-face": ("face",)},
    )
    return {NAME: replace(issuer, **change)}


def token_of(world: World, *, header: Mapping[str, Any] | None = None, key: Any = None, **change: Any) -> str:
    head = {"typ": "at+jwt", "alg": "ES256", "kid": "x1"} | dict(header or {})
    claims = {
        "iss": NAME,
        "aud": world.audience,
        "sub": PERSON,
        "client_id": CLIENT,
        "jti": "x" * 22,
        "iat": world.now_s,
        "exp": world.now_s + 300,
        "auth_time": world.now_s - 600,
        "acr": "urn:loa:substantial",
        "cnf": {"jkt": world.jkt(world.proof_key)},
    }
    return str(world.signed(head, claims | change, key or world.thief_key))


def claims_of(world: World, token: str, **change: Any) -> AccessClaims:
    found: AccessClaims = world.verify_token(token, trusted=trusting(world, **change))
    return found


Attack = tuple[Callable[[World], str], str]
ATTACKS: dict[str, Attack] = {
    "a good token": (token_of, ACCEPTED),
    "a claim that nobody asked for": (lambda w: token_of(w, scope="all", org="bank-b", purpose="fraud"), ACCEPTED),
    "iat 9 s ahead": (lambda w: token_of(w, iat=w.now_s + 9), ACCEPTED),
    "iat 61 s ahead": (lambda w: token_of(w, iat=w.now_s + 61), "issued-in-the-future"),
    "expired": (lambda w: token_of(w, iat=w.now_s - 400, exp=w.now_s - 100), "expired"),
    "a life of 901 s": (lambda w: token_of(w, exp=w.now_s + 901), "lifetime"),
    "exp missing": (lambda w: token_of(w, exp=None), "claim-exp"),
    "iat missing": (lambda w: token_of(w, iat=None), "claim-iat"),
    "an issuer that nobody trusts": (lambda w: token_of(w, iss="https://other.example"), "key-unknown"),
    "its name with a slash": (lambda w: token_of(w, iss=NAME + "/"), "key-unknown"),
    "its name in capitals": (lambda w: token_of(w, iss=NAME.upper()), "key-unknown"),
    "its name in a list": (lambda w: token_of(w, iss=[NAME]), "key-unknown"),
    "iss missing": (lambda w: token_of(w, iss=None), "key-unknown"),
    "iss an object": (lambda w: token_of(w, iss={"a": NAME}), "key-unknown"),
    "our name, its key": (lambda w: token_of(w, iss=w.issuer), "key-unknown"),
    "our name, its key under our kid": (lambda w: token_of(w, iss=w.issuer, header={"kid": "k1"}), "signature"),
    "its name, our key": (lambda w: token_of(w, key=w.issuer_key), "signature"),
    "its name, our key and kid": (lambda w: token_of(w, key=w.issuer_key, header={"kid": "k1"}), "key-unknown"),
    "a kid that it does not have": (lambda w: token_of(w, header={"kid": "x2"}), "key-unknown"),
    "kid missing": (lambda w: token_of(w, header={"kid": None}), "key-unknown"),
    "alg none": (lambda w: token_of(w, header={"alg": "none"}), "algorithm"),
    "alg RS256": (lambda w: token_of(w, header={"alg": "RS256"}), "algorithm"),
    "alg HS256": (lambda w: token_of(w, header={"alg": "HS256"}), "algorithm"),
    "alg of another key": (lambda w: token_of(w, header={"alg": "EdDSA"}), "algorithm-not-the-keys"),
    "jku": (lambda w: token_of(w, header={"jku": "https://thief.example/jwks"}), "header-not-allowed"),
    "x5u": (lambda w: token_of(w, header={"x5u": "https://thief.example/cert"}), "header-not-allowed"),
    "jwk": (lambda w: token_of(w, header={"jwk": jose.jwk_of(w.thief_key.public_key())}), "header-not-allowed"),
    "crit": (lambda w: token_of(w, header={"crit": ["exp"]}), "header-not-allowed"),
    "an ID token": (lambda w: token_of(w, header={"typ": "JWT"}), "type"),
    "a logout token": (lambda w: token_of(w, header={"typ": "logout+jwt"}), "type"),
    "type missing": (lambda w: token_of(w, header={"typ": None}), "type"),
    "another audience": (lambda w: token_of(w, aud="https://other.example/"), "audience"),
    "an audience in a list": (lambda w: token_of(w, aud=[w.audience]), "claim-aud"),
    "aud missing": (lambda w: token_of(w, aud=None), "claim-aud"),
    "a client that is not listed": (lambda w: token_of(w, client_id="idp-client-8"), "client-not-listed"),
    "a client by its name here": (lambda w: token_of(w, client_id="bank-a.etl-1"), "client-not-listed"),
    "client_id a list": (lambda w: token_of(w, client_id=[CLIENT]), "claim-client_id"),
    "client_id missing": (lambda w: token_of(w, client_id=None), "claim-client_id"),
    "a person who is not listed": (lambda w: token_of(w, sub="somebody"), "person-not-listed"),
    "a person by the name here": (lambda w: token_of(w, sub="lan"), "person-not-listed"),
    "sub missing": (lambda w: token_of(w, sub=None), "claim-sub"),
    "a person without a sign-in": (lambda w: token_of(w, auth_time=None), "claim-auth_time"),
    "auth_time a text": (lambda w: token_of(w, auth_time=str(w.now_s)), "claim-auth_time"),
    "auth_time true": (lambda w: token_of(w, auth_time=True), "claim-auth_time"),
    "acr a number": (lambda w: token_of(w, acr=2), "claim-acr"),
    "acr a list": (lambda w: token_of(w, acr=["urn:loa:substantial"]), "claim-acr"),
    "amr a text": (lambda w: token_of(w, amr="pwd"), "claim-amr"),
    "amr of numbers": (lambda w: token_of(w, amr=[1]), "claim-amr"),
    "jti missing": (lambda w: token_of(w, jti=None), "claim-jti"),
    "jti short": (lambda w: token_of(w, jti="x"), "claim-jti"),
    "a bearer token": (lambda w: token_of(w, cnf=None), "claim-cnf"),
    "cnf of a certificate": (lambda w: token_of(w, cnf={"x5t#S256": "A" * 43}), "claim-cnf"),
    "cnf with two methods": (lambda w: token_of(w, cnf={"jkt": w.jkt(w.proof_key), "x5t#S256": "A" * 43}), "claim-cnf"),
    "cnf with a key in it": (lambda w: token_of(w, cnf={"jwk": jose.jwk_of(w.proof_key.public_key())}), "claim-cnf"),
    "jkt short": (lambda w: token_of(w, cnf={"jkt": "A" * 42}), "claim-jkt"),
    "26 a large token": (lambda w: token_of(w, extra="x" * 5000), "too-large"),
}  # fmt: skip
