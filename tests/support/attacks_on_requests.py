"""What a thief can do with a token, a proof or both, one entry an attack, and what becomes of it. Promise P7.

Numbers are those of the project's attack checklist.
"""

from collections.abc import Callable
from typing import Any

from attack_world import World

from gateway.errors import NotAuthenticated, ProofNonceRequired, ProofRefused
from gateway.terms.query import Query


def changed(**change: Any) -> Callable[[World], Query]:
    return lambda w: w.query(**change)


STOLEN: dict[str, tuple[Callable[[World], Query], type[Exception], str]] = {
    "no token": (changed(authorizations=()), NotAuthenticated, "token-missing"),
    "40 a token without proof": (changed(proofs=()), ProofRefused, "proof-missing"),
    "42 a bound token as Bearer": (
        lambda w: w.query(authorizations=(f"Bearer {w.token()}",)),
        NotAuthenticated,
        "scheme",
    ),
    "42 as Bearer without proof": (
        lambda w: w.query(authorizations=(f"Bearer {w.token()}",), proofs=()),
        NotAuthenticated,
        "scheme",
    ),
    "a token without scheme": (lambda w: w.query(authorizations=(w.token(),)), NotAuthenticated, "scheme"),
    "an empty header": (changed(authorizations=("",)), NotAuthenticated, "scheme"),
    "a scheme without token": (
        lambda w: w.query(authorizations=("DPoP",)),
        NotAuthenticated,
        "not-three-segments",
    ),
    "two spaces": (
        lambda w: w.query(authorizations=(f"DPoP  {w.token()}",)),
        NotAuthenticated,
        "not-base64url",
    ),
    "58 a thief's own proof": (
        lambda w: w.query(proof=w.proof(key=w.thief_key, token=w.token())),
        ProofRefused,
        "proof-other-key",
    ),
    "58 the client's registered key as proof key": (
        lambda w: w.query(proof=w.proof(key=w.client_key, token=w.token())),
        ProofRefused,
        "proof-other-key",
    ),
    "57 a proof for another token": (
        lambda w: w.query(proof=w.proof(token=w.token(jti="u" * 22))),
        ProofRefused,
        "proof-ath",
    ),
    "57 a proof for no token": (lambda w: w.query(proof=w.proof()), ProofRefused, "proof-ath"),
    "61 another body": (changed(body=b'{"sql":"SELECT 1"}'), ProofRefused, "proof-qd"),
    "61 no body": (changed(body=b""), ProofRefused, "proof-qd"),
    "61 a query string added": (changed(query_string="limit=1"), ProofRefused, "proof-qd"),
    "49 another dataset": (changed(path="/v1/datasets/vn.nso.other/query"), ProofRefused, "proof-htu"),
    "48 another method": (changed(method="GET"), ProofRefused, "proof-htm"),
    "41 two proofs in one header": (
        lambda w: w.query(proofs=(f"{w.proof(token=w.token())}, {w.proof(token=w.token())}",)),
        ProofRefused,
        "proof-not-three-segments",
    ),
    "59 no nonce": (
        lambda w: w.query(proof=w.proof(token=w.token(), nonce=None)),
        ProofNonceRequired,
        "proof-nonce",
    ),
}

MALFORMED: dict[str, Callable[[World], Query]] = {
    "41 two tokens": lambda w: w.query(authorizations=(f"DPoP {w.token()}",) * 2),
    "41 two proofs": lambda w: w.query(proofs=(w.proof(token=w.token()),) * 2),
    "a token in the query string": changed(query_string="a=b&access_token=x"),
    "a token in the query string, escaped": changed(query_string="%61ccess_token=x"),
    "a token in a form": changed(
        body=b"access_token=x", content_type="application/x-www-form-urlencoded; charset=utf-8"
    ),
    "a query string beyond ASCII": changed(query_string="tên=x"),
}
