"""What people will try with access tokens, one line an attack, and what becomes of it. Promise P7.

Numbers are those of the project's attack checklist, items 1 to 37 and 71 to 73, as far as it concerns
pure verification. ``ACCEPTED`` lines keep the parser from refusing everything; any other word is the
exact cause for the ledger. Whatever the input, nothing but a refusal comes out.
"""

# ruff: noqa: E501  one line an attack

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

from attack_world import World
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway import jose

ACCEPTED = "accepted"
Attack = tuple[Callable[[World], str], str]

P384 = ec.derive_private_key(15, ec.SECP384R1())
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def parts(text: str) -> list[str]:
    return text.split(".")


def with_part(text: str, index: int, part: str) -> str:
    changed = parts(text)
    changed[index] = part
    return ".".join(changed)


def with_signature(text: str, change: Callable[[bytes], bytes]) -> str:
    signature = base64.urlsafe_b64decode(parts(text)[2] + "==")
    return with_part(text, 2, b64(change(signature)))


def as_der(signature: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


def other_s(signature: bytes) -> bytes:
    return signature[:32] + (ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")


def raw_token(world: World, header: bytes | None = None, claims: bytes | None = None) -> str:
    """Sign bytes as they are with the issuer's own key."""
    head = b'{"typ":"at+jwt","alg":"ES256","kid":"k1"}' if header is None else header
    body = json.dumps(world.token_claims()).encode() if claims is None else claims
    return world.raw(head, body, world.issuer_key)


def claims_text(world: World, old: str, new: str) -> bytes:
    text = json.dumps(world.token_claims())
    assert old in text
    return text.replace(old, new, 1).encode()


def under_hmac(world: World, secret: bytes, alg: str = "HS256") -> str:
    """Sign with a public key as if it were a shared secret (algorithm confusion)."""
    header = json.dumps({"typ": "at+jwt", "alg": alg, "kid": "k1"}).encode()
    message = f"{b64(header)}.{b64(json.dumps(world.token_claims()).encode())}"
    digest = {"HS256": "sha256", "HS512": "sha512"}[alg]
    return f"{message}.{b64(hmac.digest(secret, message.encode(), digest))}"


def public_bytes(world: World, encoding: Encoding) -> bytes:
    return world.issuer_key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def unsigned(world: World, alg: object) -> str:
    header = {"typ": "at+jwt", "alg": alg, "kid": "k1"}
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(world.token_claims()).encode())}."


def as_json(world: World) -> str:
    protected, payload, signature = parts(world.token())
    return json.dumps({"protected": protected, "payload": payload, "signature": signature})


def with_head(world: World, **members: Any) -> str:
    return world.token(header=members)


JOSE: dict[str, Attack] = {
    "a good token": (lambda w: w.token(), ACCEPTED),
    "type with its prefix": (lambda w: with_head(w, typ="application/at+jwt"), ACCEPTED),
    "JSON with spaces": (lambda w: raw_token(w, claims=json.dumps(w.token_claims(), indent=2).encode()), ACCEPTED),
    "the other s of an ECDSA signature": (lambda w: with_signature(w.token(), other_s), ACCEPTED),
    "1 alg none": (lambda w: unsigned(w, "none"), "empty-segment"),
    "1 alg none, signature kept": (lambda w: with_head(w, alg="none"), "algorithm"),
    "1 alg None": (lambda w: with_head(w, alg="None"), "algorithm"),
    "1 alg nOnE": (lambda w: with_head(w, alg="nOnE"), "algorithm"),
    "1 alg empty": (lambda w: with_head(w, alg=""), "algorithm"),
    "1 alg null": (lambda w: raw_token(w, b'{"typ":"at+jwt","alg":null,"kid":"k1"}'), "algorithm"),
    "2 alg missing": (lambda w: with_head(w, alg=None), "algorithm"),
    "2 alg a list": (lambda w: with_head(w, alg=["ES256"]), "algorithm"),
    "2 alg an object": (lambda w: with_head(w, alg={"a": "ES256"}), "algorithm"),
    "2 alg a number": (lambda w: with_head(w, alg=256), "algorithm"),
    "2 alg in lower case": (lambda w: with_head(w, alg="es256"), "algorithm"),
    "3 HS256 with the public key as PEM": (lambda w: under_hmac(w, public_bytes(w, Encoding.PEM)), "signature-length"),
    "3 HS256 with the public key as DER": (lambda w: under_hmac(w, public_bytes(w, Encoding.DER)), "signature-length"),
    "3 HS512 with the public key as PEM": (lambda w: under_hmac(w, public_bytes(w, Encoding.PEM), "HS512"), "algorithm"),
    "3 HS512 with the public key as JWK": (
        lambda w: under_hmac(w, json.dumps(jose.jwk_of(w.keys["k1"])).encode(), "HS512"),
        "algorithm",
    ),
    "4 ES256 key, PS256 header": (lambda w: with_head(w, alg="PS256"), "algorithm"),
    "4 ES256 key, EdDSA header": (lambda w: with_head(w, alg="EdDSA"), "algorithm-not-the-keys"),
    "5 RS256": (lambda w: with_head(w, alg="RS256"), "algorithm"),
    "6 ES256K": (lambda w: with_head(w, alg="ES256K"), "algorithm"),
    "6 ES384": (lambda w: with_head(w, alg="ES384"), "algorithm"),
    "6 Ed448": (lambda w: with_head(w, alg="Ed448"), "algorithm"),
    "6 a signature of another curve": (lambda w: w.token(key=P384), "signature-length"),
    "8 jwk in a token": (
        lambda w: w.token(header={"jwk": jose.jwk_of(w.thief_key.public_key())}, key=w.thief_key),
        "header-not-allowed",
    ),
    "9 jku": (lambda w: with_head(w, jku="https://thief.example/jwks"), "header-not-allowed"),
    "9 x5u": (lambda w: with_head(w, x5u="https://thief.example/cert"), "header-not-allowed"),
    "9 x5c": (lambda w: with_head(w, x5c=["MIIB"]), "header-not-allowed"),
    "29 x5t": (lambda w: with_head(w, x5t="AAAA"), "header-not-allowed"),
    "10 kid missing": (lambda w: with_head(w, kid=None), "key-unknown"),
    "10 kid unknown": (lambda w: with_head(w, kid="k2"), "key-unknown"),
    "10 kid empty": (lambda w: with_head(w, kid=""), "kid"),
    "10 kid a path": (lambda w: with_head(w, kid="../../etc/passwd"), "key-unknown"),
    "10 kid SQL": (lambda w: with_head(w, kid="' OR 1=1 --"), "key-unknown"),
    "10 kid with NUL": (lambda w: with_head(w, kid="k1\0"), "text-not-printable-ascii"),
    "10 kid 10 kB": (lambda w: with_head(w, kid="k" * 10_000), "too-large"),
    "10 kid 900 characters": (lambda w: with_head(w, kid="k" * 900), "kid"),
    "10 kid an integer": (lambda w: with_head(w, kid=1), "kid"),
    "10 kid null": (lambda w: raw_token(w, b'{"typ":"at+jwt","alg":"ES256","kid":null}'), "kid"),
    "10 kid twice": (lambda w: raw_token(w, b'{"typ":"at+jwt","alg":"ES256","kid":"k2","kid":"k1"}'), "duplicate-name"),
    "13 crit unknown": (lambda w: with_head(w, crit=["exp"]), "header-not-allowed"),
    "13 crit empty": (lambda w: with_head(w, crit=[]), "header-not-allowed"),
    "13 crit no list": (lambda w: with_head(w, crit="b64"), "header-not-allowed"),
    "14 b64 false": (lambda w: with_head(w, b64=False), "header-not-allowed"),
    "14 b64 false with crit": (lambda w: with_head(w, b64=False, crit=["b64"]), "header-not-allowed"),
    "15 zip": (lambda w: with_head(w, zip="DEF"), "header-not-allowed"),
    "16 enc": (lambda w: with_head(w, enc="A256GCM"), "header-not-allowed"),
    "16 five segments": (lambda w: "a.b.c.d.e", "not-three-segments"),  # noqa: ARG005
    "83 p2c": (lambda w: with_head(w, p2c=2**31), "header-not-allowed"),
    "17 nested": (lambda w: raw_token(w, claims=w.token().encode()), "not-json"),
    "17 cty": (lambda w: with_head(w, cty="JWT"), "header-not-allowed"),
    "18 JSON serialisation": (as_json, "not-three-segments"),
    "19 nothing": (lambda w: "", "not-three-segments"),  # noqa: ARG005
    "19 two segments": (lambda w: ".".join(parts(w.token())[:2]), "not-three-segments"),
    "19 four segments": (lambda w: w.token() + ".AAAA", "not-three-segments"),
    "19 dots only": (lambda w: "..", "empty-segment"),  # noqa: ARG005
    "19 no header": (lambda w: with_part(w.token(), 0, ""), "empty-segment"),
    "19 no claims": (lambda w: with_part(w.token(), 1, ""), "empty-segment"),
    "20 signature of another token": (lambda w: with_part(w.token(), 2, parts(w.token(jti="u" * 22))[2]), "signature"),
    "20 claims of another token": (lambda w: with_part(w.token(), 1, parts(w.token(org="bank-b"))[1]), "signature"),
    "20 header of another token": (
        lambda w: with_part(w.token(), 0, parts(with_head(w, typ="application/at+jwt"))[0]),
        "signature",
    ),
    "20 signed by a thief": (lambda w: w.token(key=w.thief_key), "signature"),
    "21 padding": (lambda w: w.token() + "==", "not-base64url"),
    "21 padding in the header": (lambda w: with_part(w.token(), 0, parts(w.token())[0] + "="), "not-base64url"),
    "21 standard alphabet": (lambda w: with_part(w.token(), 2, "+/" * 43), "not-base64url"),
    "21 trailing bits": (lambda w: with_part(w.token(), 2, "A" * 85 + "B"), "not-base64url"),
    "21 newline at the end": (lambda w: w.token() + "\n", "not-base64url"),
    "21 space before": (lambda w: " " + w.token(), "not-base64url"),
    "21 junk inside the signature": (lambda w: with_part(w.token(), 2, "!!" + parts(w.token())[2]), "not-base64url"),
    "21 impossible length": (lambda w: with_part(w.token(), 2, "A" * 85), "not-base64url"),
    "22 DER signature": (lambda w: with_signature(w.token(), as_der), "signature-length"),
    "22 r and s zero": (lambda w: with_signature(w.token(), lambda _: bytes(64)), "signature"),
    "22 r zero": (lambda w: with_signature(w.token(), lambda s: bytes(32) + s[32:]), "signature"),
    "22 s zero": (lambda w: with_signature(w.token(), lambda s: s[:32] + bytes(32)), "signature"),
    "22 r and s the order": (lambda w: with_signature(w.token(), lambda _: ORDER.to_bytes(32, "big") * 2), "signature"),
    "22 a byte short": (lambda w: with_signature(w.token(), lambda s: s[:-1]), "signature-length"),
    "22 a byte long": (lambda w: with_signature(w.token(), lambda s: s + b"\0"), "signature-length"),
    "23 alg twice": (lambda w: raw_token(w, b'{"typ":"at+jwt","alg":"none","alg":"ES256","kid":"k1"}'), "duplicate-name"),
    "23 a claim twice": (
        lambda w: raw_token(w, claims=claims_text(w, '"org":', '"org": "bank-b", "org":')),
        "duplicate-name",
    ),
    "23 a claim twice by escape": (
        lambda w: raw_token(w, claims=claims_text(w, '"org":', '"\\u006frg": "bank-b", "org":')),
        "duplicate-name",
    ),
    "23 a name twice inside": (
        lambda w: raw_token(w, claims=claims_text(w, '"jkt":', '"jkt": "x", "jkt":')),
        "duplicate-name",
    ),
    "24 NaN": (lambda w: w.token(exp=float("nan")), "not-an-integer"),
    "24 Infinity": (lambda w: w.token(exp=float("inf")), "not-an-integer"),
    "24 minus Infinity": (lambda w: w.token(iat=float("-inf")), "not-an-integer"),
    "24 1e400": (lambda w: raw_token(w, claims=claims_text(w, f'"exp": {w.now_s + 300}', '"exp": 1e400')), "not-an-integer"),
    "24 a fraction": (lambda w: w.token(exp=w.now_s + 300.5), "not-an-integer"),
    "24 minus zero": (lambda w: raw_token(w, claims=claims_text(w, f'"iat": {w.now_s}', '"iat": -0')), "lifetime"),
    "24 10^400": (lambda w: w.token(exp=10**400), "integer-too-large"),
    "25 depth 100000": (lambda w: raw_token(w, claims=b"[" * 100_000), "too-large"),
    "25 depth 400": (lambda w: raw_token(w, claims=b'{"a":' + b"[" * 400 + b"]" * 400 + b"}"), "too-deep"),
    "25 depth 9": (lambda w: w.token(extra=json.loads("[" * 8 + "]" * 8)), "too-deep"),
    "25 depth 8": (lambda w: w.token(extra=json.loads("[" * 7 + "]" * 7)), ACCEPTED),
    "26 a megabyte": (lambda w: w.token(extra="x" * 2**20), "too-large"),
    "26 a large header": (lambda w: with_head(w, kid="k" * 1024), "header-too-large"),
    "27 not UTF-8": (lambda w: raw_token(w, claims=b'{"a":"\xff"}'), "not-json"),
    "27 UTF-16": (lambda w: raw_token(w, claims=json.dumps(w.token_claims()).encode("utf-16")), "not-json"),
    "27 UTF-32": (lambda w: raw_token(w, claims=json.dumps({"a": 1}).encode("utf-32-le")), "not-json"),
    "27 byte-order mark": (lambda w: raw_token(w, claims=b"\xef\xbb\xbf" + b"{}"), "not-json"),
    "27 half a surrogate": (lambda w: w.token(org="\ud800"), "text-not-printable-ascii"),
    "27 half a surrogate in a name": (lambda w: w.token(**{"\udc00": 1}), "text-not-printable-ascii"),
    "27 letters beyond ASCII": (lambda w: w.token(org="ngân-hàng"), "text-not-printable-ascii"),
    "27 a token beyond ASCII": (lambda w: w.token() + "é", "not-ascii"),
    "27 half a surrogate in the token": (lambda w: w.token() + "\ud800", "not-ascii"),
    "28 type missing": (lambda w: with_head(w, typ=None), "type"),
    "28 type empty": (lambda w: with_head(w, typ=""), "type"),
    "28 an ID token": (lambda w: with_head(w, typ="JWT"), "type"),
    "28 a client assertion": (lambda w: w.assertion(key=w.issuer_key, header={"kid": "k1"}), "type"),
    "28 a typed client assertion": (lambda w: with_head(w, typ="client-authentication+jwt"), "type"),
    "28 a proof": (lambda w: w.proof(key=w.issuer_key), "header-not-allowed"),
    "28 a proof without its key": (lambda w: with_head(w, typ="dpop+jwt"), "type"),
    "28 a logout token": (lambda w: with_head(w, typ="logout+jwt"), "type"),
    "28 a receipt": (lambda w: with_head(w, typ="receipt+jwt"), "type"),
    "28 type in capitals": (lambda w: with_head(w, typ="AT+JWT"), "type"),
    "28 type a list": (lambda w: with_head(w, typ=["at+jwt"]), "type"),
    "28 claims a list": (lambda w: raw_token(w, claims=b"[1]"), "not-an-object"),
    "28 header a text": (lambda w: raw_token(w, header=b'"ES256"'), "not-an-object"),
    "28 claims null": (lambda w: raw_token(w, claims=b"null"), "not-an-object"),
    "28 something after the claims": (lambda w: raw_token(w, claims=b"{} {}"), "not-json"),
}  # fmt: skip

CLAIMS: dict[str, Attack] = {
    "30 exp missing": (lambda w: w.token(exp=None), "claim-exp"),
    "30 exp past": (lambda w: w.token(iat=w.now_s - 400, exp=w.now_s - 100), "expired"),
    "30 exp now": (lambda w: w.token(iat=w.now_s - 300, exp=w.now_s), "expired"),
    "30 exp in a second": (lambda w: w.token(iat=w.now_s - 299, exp=w.now_s + 1), ACCEPTED),
    "30 exp a digit string": (lambda w: w.token(exp=str(w.now_s + 300)), "claim-exp"),
    "30 exp true": (lambda w: w.token(exp=True), "claim-exp"),
    "30 exp a list": (lambda w: w.token(exp=[w.now_s + 300]), "claim-exp"),
    "30 exp an object": (lambda w: w.token(exp={}), "claim-exp"),
    "30 exp null": (lambda w: raw_token(w, claims=claims_text(w, str(w.now_s + 300), "null")), "claim-exp"),
    "30 exp negative": (lambda w: w.token(exp=-1), "claim-exp"),
    "30 exp beyond dates": (lambda w: w.token(exp=10**14), "claim-exp"),
    "31 iat in 9 s": (lambda w: w.token(iat=w.now_s + 9), ACCEPTED),
    "31 iat in 11 s": (lambda w: w.token(iat=w.now_s + 11), "issued-in-the-future"),
    "31 iat in 61 s": (lambda w: w.token(iat=w.now_s + 61), "issued-in-the-future"),
    "31 nbf in 9 s": (lambda w: w.token(nbf=w.now_s + 9), ACCEPTED),
    "31 nbf in 61 s": (lambda w: w.token(nbf=w.now_s + 61), "issued-in-the-future"),
    "31 nbf long ago": (lambda w: w.token(nbf=0), ACCEPTED),
    "31 nbf a text": (lambda w: w.token(nbf=str(w.now_s)), "claim-nbf"),
    "31 nbf true": (lambda w: w.token(nbf=True), "claim-nbf"),
    "31 iat missing": (lambda w: w.token(iat=None), "claim-iat"),
    "31 iat true": (lambda w: w.token(iat=True), "claim-iat"),
    "32 iat ancient with a long life": (lambda w: w.token(iat=0), "lifetime"),
    "33 a life of 901 s": (lambda w: w.token(exp=w.now_s + 901), "lifetime"),
    "33 a life of 900 s": (lambda w: w.token(exp=w.now_s + 900), ACCEPTED),
    "33 an end before the beginning": (lambda w: w.token(iat=w.now_s + 5, exp=w.now_s + 5), "lifetime"),
    "34 iss with a slash": (lambda w: w.token(iss=w.issuer + "/"), "issuer"),
    "34 iss in capitals": (lambda w: w.token(iss=w.issuer.upper()), "issuer"),
    "34 iss a list": (lambda w: w.token(iss=[w.issuer]), "claim-iss"),
    "34 iss missing": (lambda w: w.token(iss=None), "claim-iss"),
    "35 aud a list": (lambda w: w.token(aud=[w.audience]), "claim-aud"),
    "35 aud a list of more": (lambda w: w.token(aud=[w.audience, "https://other.example/"]), "claim-aud"),
    "35 aud another": (lambda w: w.token(aud="https://other.example/"), "audience"),
    "35 aud without slash": (lambda w: w.token(aud=w.audience.rstrip("/")), "audience"),
    "35 aud missing": (lambda w: w.token(aud=None), "claim-aud"),
    "36 jti missing": (lambda w: w.token(jti=None), "claim-jti"),
    "36 jti empty": (lambda w: w.token(jti=""), "claim-jti"),
    "36 jti short": (lambda w: w.token(jti="t" * 15), "claim-jti"),
    "36 jti huge": (lambda w: w.token(jti="t" * 129), "claim-jti"),
    "36 jti a number": (lambda w: w.token(jti=10**14), "claim-jti"),
    "37 cnf missing": (lambda w: w.token(cnf=None), "claim-cnf"),
    "37 cnf no object": (lambda w: w.token(cnf=w.jkt(w.proof_key)), "claim-cnf"),
    "37 cnf empty": (lambda w: w.token(cnf={}), "claim-cnf"),
    "37 cnf with two methods": (
        lambda w: w.token(cnf={"jkt": w.jkt(w.proof_key), "x5t#S256": w.jkt(w.proof_key)}),
        "claims-inconsistent",
    ),
    "37 cnf of a certificate": (lambda w: w.token(cnf={"x5t#S256": w.jkt(w.proof_key)}), "claim-cnf"),
    "37 jkt a list": (lambda w: w.token(cnf={"jkt": [w.jkt(w.proof_key)]}), "claim-jkt"),
    "37 jkt short": (lambda w: w.token(cnf={"jkt": "A" * 42}), "claim-jkt"),
    "37 jkt with stray bits": (lambda w: w.token(cnf={"jkt": "A" * 42 + "B"}), "claim-jkt"),
    "client_id missing": (lambda w: w.token(client_id=None), "claim-client_id"),
    "client_id with a space": (lambda w: w.token(client_id="bank a"), "claim-client_id"),
    "sub missing": (lambda w: w.token(sub=None), "claim-sub"),
    "org a number": (lambda w: w.token(org=1), "claim-org"),
    "purpose missing": (lambda w: w.token(purpose=None), "claim-purpose"),
    "purpose a list": (lambda w: w.token(purpose=["credit-risk"]), "claim-purpose"),
    "agreement missing": (lambda w: w.token(agreement=None), "claim-agreement"),
    "client_key missing": (lambda w: w.token(client_key=None), "claim-client_key"),
    "71 acr believed": (lambda w: w.token(acr="aal3"), "assurance-not-earned"),
    "71 acr in capitals": (lambda w: w.token(acr="AAL2"), "assurance-not-earned"),
    "71 acr missing": (lambda w: w.token(acr=None), "assurance-not-earned"),
    "71 acr a number": (lambda w: w.token(acr=2), "assurance-not-earned"),
    "71 acr lower than earned": (lambda w: w.token(acr="aal1"), "assurance-not-earned"),
    "71 mfa without methods": (lambda w: w.token(amr=["mfa", "pop", "swk"]), "assurance-not-earned"),
    "71 mfa left out": (lambda w: w.token(amr=["otp", "pop", "pwd", "swk"]), "claims-inconsistent"),
    "72 mfa for two possession factors": (
        lambda w: w.token(amr=["hwk", "mfa", "otp", "pop", "swk"]),
        "assurance-not-earned",
    ),
    "72 the client's keys beside a password": (lambda w: w.token(amr=["mfa", "pop", "pwd", "swk"]), "assurance-not-earned"),
    "amr out of order": (lambda w: w.token(amr=["pwd", "otp", "mfa", "pop", "swk"]), "claims-inconsistent"),
    "amr twice the same": (lambda w: w.token(amr=["mfa", "otp", "otp", "pop", "pwd", "swk"]), "claims-inconsistent"),
    "amr unknown": (lambda w: w.token(amr=["magic", "mfa", "otp", "pop", "pwd", "swk"]), "claims-inconsistent"),
    "amr a text": (lambda w: w.token(amr="pwd"), "claim-amr"),
    "amr of numbers": (lambda w: w.token(amr=[1]), "claim-amr"),
    "amr missing": (lambda w: w.token(amr=None), "claim-amr"),
    "73 auth_time in the future": (lambda w: w.token(auth_time=w.now_s + 60), "assurance-not-earned"),
    "73 auth_time over the window": (lambda w: w.token(auth_time=w.now_s - 8 * 3600 - 1), "assurance-not-earned"),
    "73 auth_time missing": (lambda w: w.token(auth_time=None), "assurance-not-earned"),
    "73 auth_time a text": (lambda w: w.token(auth_time="1"), "claim-auth_time"),
    "aal1, no person": (
        lambda w: w.token(acr="aal1", amr=["pop", "swk"], auth_time=None, sub="bank-a.etl-1"),
        ACCEPTED,
    ),
    "a person without a sign-in": (
        lambda w: w.token(acr="aal1", amr=["pop", "swk"], auth_time=None),
        "claims-inconsistent",
    ),
    "a client as person": (lambda w: w.token(sub="bank-a.etl-1"), "claims-inconsistent"),
    "60 a claim that nobody asked for": (lambda w: w.token(scope="all"), ACCEPTED),
}  # fmt: skip

SHAPES = {
    name: attack
    for name, (attack, outcome) in JOSE.items()
    if outcome != ACCEPTED and not name.startswith(("28", "10", "4 ES256 key, EdDSA", "20", "22 "))
}
