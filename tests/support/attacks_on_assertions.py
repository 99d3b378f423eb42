"""What people will try with client assertions, one line an attack, and what becomes of it.

Numbers are those of the project's attack checklist, items 63 to 69.
"""

from collections.abc import Callable

from attack_world import World

ACCEPTED = "accepted"
Attack = tuple[Callable[[World], str], str]


ASSERTIONS: dict[str, Attack] = {
    "a good assertion": (lambda w: w.assertion(), ACCEPTED),
    "type JWT": (lambda w: w.assertion(header={"typ": "JWT"}), ACCEPTED),
    "its own type": (lambda w: w.assertion(header={"typ": "client-authentication+jwt"}), ACCEPTED),
    "any kid": (lambda w: w.assertion(header={"kid": "whatever"}), ACCEPTED),
    "28 a token as assertion": (lambda w: w.token(), "type"),
    "28 a proof as assertion": (lambda w: w.proof(), "header-not-allowed"),
    "28 type empty": (lambda w: w.assertion(header={"typ": ""}), "type"),
    "63 RS256": (lambda w: w.assertion(header={"alg": "RS256"}), "algorithm"),
    "63 HS256": (lambda w: w.assertion(header={"alg": "HS256"}), "algorithm"),
    "64 aud the token endpoint": (lambda w: w.assertion(aud=w.issuer + "/oauth/token"), "assertion-audience"),
    "64 aud a list": (lambda w: w.assertion(aud=[w.issuer]), "assertion-audience"),
    "64 aud missing": (lambda w: w.assertion(aud=None), "assertion-audience"),
    "65 no sub": (lambda w: w.assertion(sub=None), "assertion-client"),
    "65 no iss": (lambda w: w.assertion(iss=None), "assertion-client"),
    "65 another sub": (lambda w: w.assertion(sub="bank-b.etl-1"), "assertion-client"),
    "66 exp 5 min past": (lambda w: w.assertion(iat=w.now_s - 350, exp=w.now_s - 300), "assertion-expired"),
    "66 exp now": (lambda w: w.assertion(iat=w.now_s - 60, exp=w.now_s), "assertion-expired"),
    "66 exp missing": (lambda w: w.assertion(exp=None), "claim-exp"),
    "66 a life of 61 s": (lambda w: w.assertion(exp=w.now_s + 61), "assertion-lifetime"),
    "67 iat in 8 s": (lambda w: w.assertion(iat=w.now_s + 8), ACCEPTED),
    "67 iat in 61 s": (lambda w: w.assertion(iat=w.now_s + 61, exp=w.now_s + 120), "assertion-in-the-future"),
    "67 nbf in 8 s": (lambda w: w.assertion(nbf=w.now_s + 8), ACCEPTED),
    "67 nbf in 11 s": (lambda w: w.assertion(nbf=w.now_s + 11), "assertion-in-the-future"),
    "67 nbf a text": (lambda w: w.assertion(nbf="0"), "claim-nbf"),
    "67 iat missing": (lambda w: w.assertion(iat=None), "claim-iat"),
    "68 jti missing": (lambda w: w.assertion(jti=None), "claim-jti"),
    "68 jti short": (lambda w: w.assertion(jti="a"), "claim-jti"),
    "69 another client's key": (lambda w: w.assertion(key=w.thief_key), "assertion-signature"),
    "69 the proof's key": (lambda w: w.assertion(key=w.proof_key), "assertion-signature"),
}  # fmt: skip
