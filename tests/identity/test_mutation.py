"""Change one character anywhere, and nothing is left: bounded search, and a second library's opinion."""

import string
import warnings
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from gateway import jose
from gateway.errors import NotAuthenticated
from gateway.identity.strict import parse, verify_signature

World = Any
EXAMPLES = settings(max_examples=300, deadline=None)
ALPHABET = string.ascii_letters + string.digits + "-_"
CLAIMS = {"iss", "aud", "sub", "client_id", "org", "cnf", "acr", "amr", "auth_time", "iat", "exp", "jti"}
characters = st.sampled_from(ALPHABET) | st.characters()

KEYS: list[Any] = [
    ec.derive_private_key(21, ec.SECP256R1()),
    ec.derive_private_key(22, ec.SECP256R1()),
    ed25519.Ed25519PrivateKey.from_private_bytes(b"\x17" * 32),
    ed25519.Ed25519PrivateKey.from_private_bytes(b"\x18" * 32),
]


def mutated(data: st.DataObject, text: str) -> str:
    """Replace, insert or remove one character."""
    place = data.draw(st.integers(0, len(text) - 1))
    match data.draw(st.sampled_from(["replace", "insert", "remove"])):
        case "replace":
            other = data.draw(characters.filter(lambda c: c != text[place]))
            return text[:place] + other + text[place + 1 :]
        case "insert":
            return text[:place] + data.draw(characters) + text[place:]
        case _:
            return text[:place] + text[place + 1 :]


def is_refused(verify: Callable[[str], object], text: str) -> bool:
    try:
        verify(text)
    except NotAuthenticated as refused:
        return "unexpected" not in refused.cause
    return False


@EXAMPLES
@given(st.data())
def test_a_token_with_one_character_changed_is_refused(world: World, data: st.DataObject) -> None:
    """Promise P7."""
    assert is_refused(world.verify_token, mutated(data, world.token()))


@EXAMPLES
@given(st.data())
def test_a_proof_with_one_character_changed_is_refused(world: World, data: st.DataObject) -> None:
    """Promise P7."""
    assert is_refused(world.verify_proof, mutated(data, world.proof()))


@EXAMPLES
@given(st.data())
def test_an_assertion_with_one_character_changed_is_refused(world: World, data: st.DataObject) -> None:
    """Promise P7."""
    assert is_refused(world.verify_assertion, mutated(data, world.assertion()))


@EXAMPLES
@given(st.text(max_size=300) | st.text(ALPHABET + ".", max_size=300))
def test_any_text_at_all_is_refused_in_words(world: World, text: str) -> None:
    assert is_refused(world.verify_token, text)
    assert is_refused(world.verify_proof, text)
    assert is_refused(world.verify_assertion, text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@EXAMPLES
@given(
    st.sampled_from(sorted(CLAIMS)),
    json_values,
)
def test_a_claim_of_any_other_value_is_refused_in_words(world: World, name: str, value: object) -> None:
    good = world.token_claims()
    if value is None or value == good[name] or name in {"sub", "client_id", "org", "jti"}:
        value = [value]  # so that it is of another type
    if name in {"iat", "exp", "auth_time"} and isinstance(value, int):
        value = [value]

    assert is_refused(world.verify_token, world.token(**{name: value}))


def ours_accepts(text: str, key: jose.PublicKey) -> bool:
    try:
        verify_signature(parse(text, types=frozenset({"at+jwt"}), size_max=4096), key)
    except NotAuthenticated:
        return False
    return True


def joserfc_accepts(text: str, key: jose.PublicKey) -> bool:
    jwk = jose.jwk_of(key)
    imported = OKPKey.import_key(jwk) if jwk["kty"] == "OKP" else ECKey.import_key(jwk)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would rather see RFC 9864's name for EdDSA
        try:
            jws.deserialize_compact(text, imported, algorithms=["ES256", "EdDSA"])
        except (JoseError, ValueError):
            return False
    return True


@EXAMPLES
@given(st.data())
def test_another_library_agrees_on_every_signature(world: World, data: st.DataObject) -> None:
    """A well-formed text is accepted by both or by neither, whatever key signs, is named and verifies."""
    signer, verifier = data.draw(st.sampled_from(KEYS)), data.draw(st.sampled_from(KEYS)).public_key()
    header = {"typ": "at+jwt", "alg": data.draw(st.sampled_from(["ES256", "EdDSA"])), "kid": "k1"}
    text = world.signed(header, {"sub": data.draw(st.text(ALPHABET, max_size=20))}, signer)
    if data.draw(st.booleans()):
        head, _, signature = text.rpartition(".")
        place = data.draw(st.integers(0, 84))  # not the last, whose low bits are no part of the bytes
        text = f"{head}.{signature[:place]}{data.draw(st.sampled_from(ALPHABET))}{signature[place + 1 :]}"

    assert ours_accepts(text, verifier) == joserfc_accepts(text, verifier)


@EXAMPLES
@given(st.data())
def test_what_we_accept_another_library_accepts(world: World, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(KEYS))
    header = {
        "typ": "at+jwt",
        "alg": "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "EdDSA",
        "kid": "k1",
    }
    text = world.signed(header, {"sub": "a"}, key)
    if data.draw(st.booleans()):
        text = mutated(data, text)

    if ours_accepts(text, key.public_key()):
        assert joserfc_accepts(text, key.public_key())
