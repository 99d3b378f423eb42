"""What people will try with DPoP proofs, one line an attack, and what becomes of it. Promise P7.

Numbers are those of the project's attack checklist, items 40 to 62; the request as a whole, with its
headers, is in ``test_request.py``.
"""

# ruff: noqa: E501  one line an attack

import base64
from collections.abc import Callable

from attack_world import World
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import jose
from gateway.identity.nonce import nonce_at

ACCEPTED = "accepted"
Attack = tuple[Callable[[World], str], str]

P384 = ec.derive_private_key(15, ec.SECP384R1())


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def without_signature(text: str) -> str:
    return text.rpartition(".")[0] + "." + b64(bytes(64))


def curve_point(world: World, **change: str) -> dict[str, str]:
    return jose.jwk_of(world.proof_key.public_key()) | change


def with_query(text: str) -> Callable[[World], str]:
    return lambda w: w.proof(htu=w.origin + w.path + text)


def at(address: str) -> Callable[[World], str]:
    return lambda w: w.proof(htu=address + w.path)


def path(text: str) -> Callable[[World], str]:
    return lambda w: w.proof(htu=w.origin + text)


PROOFS: dict[str, Attack] = {
    "a good proof": (lambda w: w.proof(), ACCEPTED),
    "a good proof with Ed25519": (lambda w: w.proof(key=w.client_key), ACCEPTED),
    "a proof with a kid": (lambda w: w.proof(header={"kid": "mine"}), ACCEPTED),
    "40 no proof": (lambda w: "", "proof-not-three-segments"),  # noqa: ARG005
    "41 two proofs with a comma": (lambda w: f"{w.proof()}, {w.proof()}", "proof-not-three-segments"),
    "44 type missing": (lambda w: w.proof(header={"typ": None}), "proof-type"),
    "44 type JWT": (lambda w: w.proof(header={"typ": "JWT"}), "proof-type"),
    "44 type of a token": (lambda w: w.proof(header={"typ": "at+jwt"}), "proof-type"),
    "44 a token as proof": (lambda w: w.token(), "proof-type"),
    "45 jwk missing": (lambda w: w.proof(header={"jwk": None}), "proof-key-missing"),
    "45 jwk a text": (lambda w: w.proof(header={"jwk": "key"}), "proof-key-missing"),
    "45 jwk private": (lambda w: w.proof(header={"jwk": curve_point(w, d="AAAA")}), "proof-key"),
    "45 jwk with a private member of RSA": (lambda w: w.proof(header={"jwk": curve_point(w, p="AAAA")}), "proof-key"),
    "45 jwk symmetric": (lambda w: w.proof(header={"jwk": {"kty": "oct", "k": "AAAA"}}), "proof-key"),
    "45 jwk RSA": (lambda w: w.proof(header={"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}), "proof-key"),
    "45 jwk of another curve": (lambda w: w.proof(header={"jwk": curve_point(w, crv="P-384")}), "proof-key"),
    "45 jwk Ed448": (
        lambda w: w.proof(header={"jwk": {"kty": "OKP", "crv": "Ed448", "x": b64(bytes(57))}}),
        "proof-key",
    ),
    "45 jwk without x": (lambda w: w.proof(header={"jwk": {"kty": "EC", "crv": "P-256"}}), "proof-key"),
    "45 jwk with a number": (lambda w: w.proof(header={"jwk": {"kty": "EC", "crv": "P-256", "x": 1}}), "proof-key"),
    "29 a point off the curve": (lambda w: w.proof(header={"jwk": curve_point(w, y=b64(bytes(32)))}), "proof-key"),
    "29 the point at infinity": (
        lambda w: w.proof(header={"jwk": curve_point(w, x=b64(bytes(32)), y=b64(bytes(32)))}),
        "proof-key",
    ),
    "29 a coordinate a byte long": (lambda w: w.proof(header={"jwk": curve_point(w, x=b64(bytes(33)))}), "proof-key"),
    "46 alg none": (lambda w: w.proof(header={"alg": "none"}), "proof-algorithm"),
    "46 alg RS256": (lambda w: w.proof(header={"alg": "RS256"}), "proof-algorithm"),
    "46 alg missing": (lambda w: w.proof(header={"alg": None}), "proof-algorithm"),
    "46 alg of another key": (lambda w: w.proof(header={"alg": "EdDSA"}), "proof-algorithm-not-the-keys"),
    "46 jku": (lambda w: w.proof(header={"jku": "https://thief.example"}), "proof-header-not-allowed"),
    "47 another key's signature": (
        lambda w: w.proof(key=w.thief_key, header={"jwk": jose.jwk_of(w.proof_key.public_key())}),
        "proof-signature",
    ),
    "47 signature zero": (lambda w: without_signature(w.proof()), "proof-signature"),
    "48 htm wrong": (lambda w: w.proof(htm="GET"), "proof-htm"),
    "48 htm in lower case": (lambda w: w.proof(htm="post"), "proof-htm"),
    "48 htm missing": (lambda w: w.proof(htm=None), "proof-htm"),
    "48 htm a list": (lambda w: w.proof(htm=["POST"]), "proof-htm"),
    "49 another host": (at("https://thief.example"), "proof-htu"),
    "49 a host that begins alike": (at("https://gateway.example.thief.example"), "proof-htu"),
    "49 another port": (at("https://gateway.example:8443"), "proof-htu"),
    "49 another scheme": (at("http://gateway.example"), "proof-htu"),
    "49 another path": (path("/v1/datasets/vn.nso.household/records"), "proof-htu"),
    "49 htu missing": (lambda w: w.proof(htu=None), "proof-claim-htu"),
    "49 htu a path": (lambda w: w.proof(htu=w.path), "proof-htu"),
    "49 htu a list": (lambda w: w.proof(htu=[w.origin + w.path]), "proof-claim-htu"),
    "49 htu too long": (lambda w: w.proof(htu=w.origin + "/" + "a" * 600), "proof-claim-htu"),
    "50 htu with query and fragment": (with_query("?a=b#c"), ACCEPTED),
    "51 scheme and host in capitals": (at("HTTPS://GATEWAY.example"), ACCEPTED),
    "51 the default port": (at("https://gateway.example:443"), ACCEPTED),
    "51 the default port of another scheme": (at("https://gateway.example:80"), "proof-htu"),
    "52 an escape of what needs none": (path("/v1/datasets/vn%2Enso.household/query"), ACCEPTED),
    "52 dot segments": (path("/v1/x/../datasets/./vn.nso.household/query"), ACCEPTED),
    "52 dot segments above the root": (path("/../../v1/datasets/vn.nso.household/query"), ACCEPTED),
    "52 an escaped slash": (path("/v1/datasets%2Fvn.nso.household/query"), "proof-htu"),
    "52 a double slash": (path("/v1/datasets//vn.nso.household/query"), "proof-htu"),
    "52 a slash at the end": (path("/v1/datasets/vn.nso.household/query/"), "proof-htu"),
    "52 the path in capitals": (path("/V1/datasets/vn.nso.household/query"), "proof-htu"),
    "52 a user name": (at("https://lan@gateway.example"), "proof-htu"),
    "52 our host as user name": (at("https://gateway.example@thief.example"), "proof-htu"),
    "52 an international host": (at("https://gatewаy.example"), "proof-text-not-printable-ascii"),  # noqa: RUF001
    "52 a backslash": (path("\\v1\\datasets"), "proof-htu"),
    "52 a broken escape": (path("/v1/datasets/%zz"), "proof-htu"),
    "54 an hour old": (lambda w: w.proof(iat=w.now_s - 3600), "proof-time"),
    "54 61 s old": (lambda w: w.proof(iat=w.now_s - 61), "proof-time"),
    "54 10 s old": (lambda w: w.proof(iat=w.now_s - 10), ACCEPTED),
    "54 60 s old": (lambda w: w.proof(iat=w.now_s - 60), ACCEPTED),
    "54 8 s ahead": (lambda w: w.proof(iat=w.now_s + 8), ACCEPTED),
    "54 11 s ahead": (lambda w: w.proof(iat=w.now_s + 11), "proof-time"),
    "54 nbf 8 s ahead": (lambda w: w.proof(nbf=w.now_s + 8), ACCEPTED),
    "54 nbf 61 s ahead": (lambda w: w.proof(nbf=w.now_s + 61), "proof-time"),
    "54 nbf a text": (lambda w: w.proof(nbf=str(w.now_s)), "proof-claim-nbf"),
    "54 exp in a minute": (lambda w: w.proof(exp=w.now_s + 60), ACCEPTED),
    "54 exp past": (lambda w: w.proof(exp=w.now_s - 1), "proof-time"),
    "54 exp a text": (lambda w: w.proof(exp=str(w.now_s + 60)), "proof-claim-exp"),
    "62 made for tomorrow": (lambda w: w.proof(iat=w.now_s + 86400), "proof-time"),
    "54 iat missing": (lambda w: w.proof(iat=None), "proof-claim-iat"),
    "54 iat a text": (lambda w: w.proof(iat=str(w.now_s)), "proof-claim-iat"),
    "54 iat true": (lambda w: w.proof(iat=True), "proof-claim-iat"),
    "55 jti missing": (lambda w: w.proof(jti=None), "proof-claim-jti"),
    "55 jti short": (lambda w: w.proof(jti="p"), "proof-claim-jti"),
    "55 jti huge": (lambda w: w.proof(jti="p" * 129), "proof-claim-jti"),
    "59 nonce missing": (lambda w: w.proof(nonce=None), "proof-nonce"),
    "59 nonce empty": (lambda w: w.proof(nonce=""), "proof-nonce"),
    "59 nonce a number": (lambda w: w.proof(nonce=1), "proof-nonce"),
    "59 nonce of the window before": (lambda w: w.proof(nonce=nonce_at(w.nonce_secret, w.later(-60))), ACCEPTED),
    "59 nonce of two windows before": (lambda w: w.proof(nonce=nonce_at(w.nonce_secret, w.later(-120))), "proof-nonce"),
    "62 nonce of the next window": (lambda w: w.proof(nonce=nonce_at(w.nonce_secret, w.later(60))), "proof-nonce"),
    "59 nonce of another boot": (lambda w: w.proof(nonce=nonce_at(b"m" * 32, w.now)), "proof-nonce"),
    "60 claims that nobody asked for": (lambda w: w.proof(extra="x", aud="y"), ACCEPTED),
    "61 qd missing": (lambda w: w.proof(qd=None), "proof-qd"),
    "61 qd of another body": (lambda w: w.proof(qd=jose.query_digest("", b"{}")), "proof-qd"),
    "61 qd of another query": (lambda w: w.proof(qd=jose.query_digest("a=b", w.body)), "proof-qd"),
    "61 qd a list": (lambda w: w.proof(qd=[jose.query_digest("", w.body)]), "proof-qd"),
    "61 accept of another form": (lambda w: w.proof(accept="application/jose"), "proof-accept"),
    "61 accept no text": (lambda w: w.proof(accept=7), "proof-accept"),
    "61 accept a list": (lambda w: w.proof(accept=["*/*"]), "proof-accept"),
    "61 qd empty": (lambda w: w.proof(qd=""), "proof-qd"),
    "26 a proof of 5 kB": (lambda w: w.proof(extra="x" * 5000), "proof-too-large"),
}  # fmt: skip
