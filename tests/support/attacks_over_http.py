"""What people will try with the connection and with the forms around good credentials. Promises P1 and P7.

``RAW`` are whole requests as bytes, each with its outcome: a status, or ``CLOSED`` where nothing is answered
because it is not HTTP. ``FORMS`` change the form of a good request to an OAuth endpoint; each of the four
endpoints gets each of them. Numbers are those of the project's attack checklist.
"""

# ruff: noqa: E501  one line an attack

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

CLOSED: Final = 0
NOT_FOUND: Final = 404
"""Of a dataset that does not exist: told only to who is authenticated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """A good request for data, in pieces."""

    host: str
    path: str
    body: bytes
    token: str
    proof: Callable[..., str]
    """Makes a proof for this very request; members may be changed."""

    def bytes(
        self,
        *headers: str,
        line: str | None = None,
        authorization: str | None = "DPoP",
        proof: str | None = "",
        body: bytes | None = None,
        length: str | None = "",
        host: str | None = "",
    ) -> bytes:
        """Return it as it goes over the wire, with some pieces changed or (None) left out."""
        body = self.body if body is None else body
        lines = [line or f"POST {self.path} HTTP/1.1"]
        lines += [] if host is None else [f"Host: {host or self.host}"]
        lines += [] if authorization is None else [f"Authorization: {authorization} {self.token}"]
        lines += [] if proof is None else [f"DPoP: {proof or self.proof()}"]
        lines += [] if length is None else [f"Content-Length: {length or len(body)}"]
        lines += ["Content-Type: application/json", "Connection: close", *headers]
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def _twice(good: Good, proof: str) -> bytes:
    return good.bytes(f"DPoP: {proof}", proof=proof)


Raw = tuple[Callable[[Good], bytes], int]
RAW: Final[Mapping[str, Raw]] = {
    "a good request": (lambda g: g.bytes(), NOT_FOUND),
    "43 the scheme in capitals": (lambda g: g.bytes(authorization="DPOP"), NOT_FOUND),
    "43 header names in any case": (
        lambda g: g.bytes(f"dPoP: {g.proof()}", f"AUTHORIZATION: dpop {g.token}", authorization=None, proof=None),
        NOT_FOUND,
    ),
    "a cookie beside": (lambda g: g.bytes("Cookie: session=1"), NOT_FOUND),
    "82 another method by header": (lambda g: g.bytes("X-HTTP-Method-Override: GET"), NOT_FOUND),
    "82 another path by header": (lambda g: g.bytes("X-Original-URL: /v1/budgets", "X-Rewrite-URL: /livez"), NOT_FOUND),
    "53 another host by header": (lambda g: g.bytes("X-Forwarded-Host: thief.example", "X-Forwarded-Proto: https"), NOT_FOUND),
    "53 another host": (lambda g: g.bytes(host="thief.example"), NOT_FOUND),
    "53 a proof for the host that was sent": (
        lambda g: g.bytes(host="thief.example", proof=g.proof(htu=f"http://thief.example{g.path}")),
        401,
    ),
    "53 a proof for the host of a header": (
        lambda g: g.bytes("X-Forwarded-Host: thief.example", proof=g.proof(htu=f"http://thief.example{g.path}")),
        401,
    ),
    "82 the proof named hop by hop": (lambda g: g.bytes("Connection: DPoP, close"), NOT_FOUND),
    "40 no proof": (lambda g: g.bytes(proof=None), 401),
    "40 an empty proof": (lambda g: g.bytes("DPoP: ", proof=None), 401),
    "no token": (lambda g: g.bytes(authorization=None), 401),
    "neither": (lambda g: g.bytes(authorization=None, proof=None), 401),
    "41 two proofs": (lambda g: g.bytes(f"DPoP: {g.proof()}"), 400),
    "41 the same proof twice": (lambda g: _twice(g, g.proof()), 400),
    "41 two proofs in one header": (lambda g: g.bytes(proof=f"{g.proof()}, {g.proof()}"), 401),
    "41 two tokens": (lambda g: g.bytes(f"Authorization: DPoP {g.token}"), 400),
    "41 a bearer token beside": (lambda g: g.bytes(f"Authorization: Bearer {g.token}"), 400),
    "41 two tokens in one header": (lambda g: g.bytes(f"Authorization: DPoP {g.token}, DPoP {g.token}", authorization=None), 401),
    "42 Bearer": (lambda g: g.bytes(authorization="Bearer"), 401),
    "42 Bearer without proof": (lambda g: g.bytes(authorization="Bearer", proof=None), 401),
    "42 Basic": (lambda g: g.bytes(authorization="Basic"), 401),
    "42 another scheme": (lambda g: g.bytes(authorization="GNAP"), 401),
    "42 a scheme that begins alike": (lambda g: g.bytes(authorization="DPoPX"), 401),
    "42 no scheme": (lambda g: g.bytes(f"Authorization: {g.token}", authorization=None), 401),
    "42 a scheme only": (lambda g: g.bytes("Authorization: DPoP", authorization=None), 401),
    "42 an empty header": (lambda g: g.bytes("Authorization:", authorization=None), 401),
    "42 two spaces": (lambda g: g.bytes(authorization="DPoP "), 401),
    "42 a tab": (lambda g: g.bytes(f"Authorization: DPoP\t{g.token}", authorization=None), 401),
    "42 the token in a cookie": (lambda g: g.bytes(f"Cookie: access_token={g.token}", authorization=None), 401),
    "42 the token in a header of its own": (lambda g: g.bytes(f"X-Access-Token: {g.token}", authorization=None), 401),
    "42 the token for a proxy": (lambda g: g.bytes(f"Proxy-Authorization: DPoP {g.token}", authorization=None), 401),
    "the token in the query string": (
        lambda g: g.bytes(line=f"POST {g.path}?access_token={g.token} HTTP/1.1", authorization=None),
        400,
    ),
    "the token in the query string too": (lambda g: g.bytes(line=f"POST {g.path}?access_token=x HTTP/1.1"), 400),
    "the token in the query string, escaped": (lambda g: g.bytes(line=f"POST {g.path}?%61ccess_token=x HTTP/1.1"), 400),
    "48 another method": (lambda g: g.bytes(proof=g.proof(htm="GET")), 401),
    "48 the method in lower case": (lambda g: g.bytes(proof=g.proof(htm="post")), 401),
    "49 another path": (lambda g: g.bytes(proof=g.proof(htu=f"http://{g.host}/v1/datasets")), 401),
    "49 another port": (lambda g: g.bytes(proof=g.proof(htu=f"http://127.0.0.1:1{g.path}")), 401),
    "49 another scheme": (lambda g: g.bytes(proof=g.proof(htu=f"https://{g.host}{g.path}")), 401),
    "50 htu with query and fragment": (lambda g: g.bytes(proof=g.proof(htu=f"http://{g.host}{g.path}?a=b#c")), NOT_FOUND),
    "51 the scheme in capitals": (lambda g: g.bytes(proof=g.proof(htu=f"HTTP://{g.host}{g.path}")), NOT_FOUND),
    "61 another body": (lambda g: g.bytes(body=g.body + b" "), 401),
    "61 no body": (lambda g: g.bytes(body=b""), 401),
    "61 a query string": (lambda g: g.bytes(line=f"POST {g.path}?limit=1 HTTP/1.1"), 401),
    "61 an empty query string": (lambda g: g.bytes(line=f"POST {g.path}? HTTP/1.1"), NOT_FOUND),
    "52 the path escaped": (lambda g: g.bytes(line=f"POST {g.path.replace('query', '%71uery')} HTTP/1.1"), 404),
    "52 dot segments": (lambda g: g.bytes(line=f"POST /v1/x/..{g.path.removeprefix('/v1')} HTTP/1.1"), 404),
    "52 a double slash": (lambda g: g.bytes(line=f"POST /{g.path} HTTP/1.1"), 404),
    "52 a slash at the end": (lambda g: g.bytes(line=f"POST {g.path}/ HTTP/1.1"), 404),
    "52 the path in capitals": (lambda g: g.bytes(line=f"POST {g.path.upper()} HTTP/1.1"), 404),
    "52 a path beyond ASCII": (lambda g: g.bytes(line=f"POST {g.path}é HTTP/1.1"), CLOSED),
    "82 TRACE": (lambda g: g.bytes(line=f"TRACE {g.path} HTTP/1.1"), 405),
    "82 PUT": (lambda g: g.bytes(line=f"PUT {g.path} HTTP/1.1"), 405),
    "82 a method of one's own": (lambda g: g.bytes(line=f"STEAL {g.path} HTTP/1.1"), CLOSED),
    "82 the method in lower case": (lambda g: g.bytes(line=f"post {g.path} HTTP/1.1"), CLOSED),
    "26 a token of 5 kB": (lambda g: g.bytes(f"Authorization: DPoP {'a' * 5000}", authorization=None), 401),
    "26 a proof of 5 kB": (lambda g: g.bytes(proof="a" * 5000), 401),
    "26 a header of 10 kB": (lambda g: g.bytes(proof="a" * 10_000), CLOSED),
    "26 a header of a megabyte": (lambda g: g.bytes("X: " + "a" * 2**20), CLOSED),
    "26 a hundred headers": (lambda g: g.bytes(*[f"X-{n}: 1" for n in range(100)]), CLOSED),
    "26 a target of 10 kB": (lambda g: g.bytes(line=f"POST {g.path}?{'a' * 10_000} HTTP/1.1"), CLOSED),
    "21 a NUL in the token": (lambda g: g.bytes("Authorization: DPoP a\0b", authorization=None), CLOSED),
    "21 a bare line feed in a header": (lambda g: g.bytes("X: a\nAuthorization: DPoP x"), CLOSED),
    "21 a folded header": (lambda g: g.bytes("X: a", " b"), CLOSED),
    "21 a space before the colon": (lambda g: g.bytes(f"DPoP : {g.proof()}", proof=None), CLOSED),
    "21 a header without a name": (lambda g: g.bytes(": a"), CLOSED),
    "27 a proof beyond ASCII": (lambda g: g.bytes(proof="é.é.é"), 401),
    "27 bytes that are no text": (lambda g: g.bytes(proof="a.b.\udcff"), 401),
    "81 two lengths": (lambda g: g.bytes("Content-Length: 0"), CLOSED),
    "81 length and chunks": (lambda g: g.bytes("Transfer-Encoding: chunked"), CLOSED),
    "81 chunks under another name": (lambda g: g.bytes("Transfer-Encoding: xchunked", length=None), CLOSED),
    "81 chunks of no size": (lambda g: g.bytes("Transfer-Encoding: chunked", length=None, body=b"zz\r\n"), CLOSED),
    "81 a negative length": (lambda g: g.bytes(length="-1"), CLOSED),
    "81 a length with a sign": (lambda g: g.bytes(length="+5"), CLOSED),
    "81 a length in words": (lambda g: g.bytes(length="five"), CLOSED),
    "81 a packed body": (lambda g: g.bytes("Content-Encoding: gzip"), 415),
    "81 another version of HTTP": (lambda g: g.bytes(line=f"POST {g.path} HTTP/3.7"), CLOSED),
    "81 no version of HTTP": (lambda g: g.bytes(line=f"POST {g.path}"), NOT_FOUND),
    "81 no HTTP at all": (lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), CLOSED),
}  # fmt: skip

ENDPOINTS: Final = ("/oauth/token", "/oauth/device_authorization", "/oauth/revoke", "/oauth/introspect")

Form = dict[str, str]


def _encoded(change: Callable[[Form], Any]) -> Callable[[Form], bytes]:
    def body(form: Form) -> bytes:
        changed = dict(form)
        change(changed)
        return urlencode(changed).encode()

    return body


def _with(**members: str) -> Callable[[Form], bytes]:
    return _encoded(lambda form: form.update(members))


def _without(name: str) -> Callable[[Form], bytes]:
    return _encoded(lambda form: form.pop(name))


FORMS: Final[Mapping[str, tuple[Callable[[Form], bytes], int, str]]] = {
    "no assertion": (_without("client_assertion"), 400, "invalid_request"),
    "an empty assertion": (_with(client_assertion=""), 400, "invalid_request"),
    "an assertion of dots": (_with(client_assertion=".."), 401, "invalid_client"),
    "an assertion beyond ASCII": (_with(client_assertion="é.é.é"), 401, "invalid_client"),
    "an assertion with a line break": (
        _encoded(lambda form: form.update(client_assertion=form["client_assertion"] + "\n")),
        401,
        "invalid_client",
    ),
    "an assertion of 10 kB": (_with(client_assertion="a" * 10_000), 401, "invalid_client"),
    "no assertion type": (_without("client_assertion_type"), 401, "invalid_client"),
    "another assertion type": (
        _with(client_assertion_type="urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
        401,
        "invalid_client",
    ),
    "69 another client's id": (_with(client_id="bank-b.etl-1"), 401, "invalid_client"),
    "a client's id in capitals": (_with(client_id="BANK-A.ETL-1"), 401, "invalid_client"),
    "a field twice": (lambda form: urlencode([*form.items(), *form.items()]).encode(), 400, "invalid_request"),
    "a field twice, once escaped": (
        lambda form: urlencode(form).encode() + b"&client%5Fassertion=x",
        400,
        "invalid_request",
    ),
    "seventeen fields": (_with(**{f"f{n}": "x" for n in range(17)}), 400, "invalid_request"),
    "an empty form": (lambda _: b"", 401, "invalid_client"),
    "JSON": (lambda _: b"{}", 400, "invalid_request"),
    "bytes that are no text": (lambda form: urlencode(form).encode() + b"&a=%ff%fe", 400, "invalid_request"),
    "raw bytes": (lambda form: urlencode(form).encode() + b"&a=\xff", 400, "invalid_request"),
    "an entity": (lambda _: b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>", 400, "invalid_request"),
}  # fmt: skip
