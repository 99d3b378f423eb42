"""What is encrypted to a client is read by its key alone, and only as the gateway encrypts it (issue 6)."""

import asyncio
import base64
import json
import pickle
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey

from gateway.client import AnswerRefused, DecryptionKey
from gateway.client.decryption import HEADER_CHARS_MAX, Decryption, encrypted_accept, opened
from gateway.client.wire import BODY_BYTES_MAX, Response
from gateway.delivery.encryption import encrypted
from gateway.delivery.formats import negotiate
from gateway.errors import NotAcceptable
from gateway.jose import JWE_ALG, JWE_ENC, base64url, jwk_of, key_of, thumbprint
from gateway.terms.format import Form, Format

KEY = DecryptionKey.create()
OTHER = DecryptionKey.create()
PLAINTEXT = '{"rows":[{"người":"A"}]}'.encode()
CSV = "text/csv; charset=utf-8"


def an_answer(plaintext: bytes = PLAINTEXT, key: DecryptionKey = KEY) -> bytes:
    """The body that the gateway itself makes."""
    return encrypted(plaintext, CSV, key.jwk)


def forged(changed: dict[str, Any] | None = None, *, text: str = "", ephemeral: Any = None) -> bytes:
    """A JWE by somebody who knows the public key: sound in all but its header, which ``text`` may spell.

    Done by hand, since no library would do it.
    """
    secret = ec.generate_private_key(ec.SECP256R1())
    shared = secret.exchange(ec.ECDH(), key_of(KEY.jwk))  # type: ignore[arg-type]
    algorithm = len(JWE_ALG).to_bytes(4, "big") + JWE_ALG.encode()
    info = algorithm + bytes(8) + (256).to_bytes(4, "big")  # RFC 7518 section 4.6.2
    wrapping = ConcatKDFHash(hashes.SHA256(), 32, info).derive(shared)
    content_key, nonce = b"k" * 32, b"n" * 12
    epk = jwk_of(secret.public_key()) if ephemeral is None else ephemeral
    header = {"alg": JWE_ALG, "enc": JWE_ENC, "kid": KEY.thumbprint, "cty": CSV, "epk": epk} | (changed or {})
    spelt = text % json.dumps(epk) if text else json.dumps({k: v for k, v in header.items() if v is not ...})
    head = base64url(spelt.encode())
    sealed = AESGCM(content_key).encrypt(nonce, PLAINTEXT, head.encode())
    parts = (aes_key_wrap(wrapping, content_key), nonce, sealed[:-16], sealed[-16:])
    return ".".join([head, *map(base64url, parts)]).encode()


def with_header(text: bytes, change: Any) -> bytes:
    """The same JWE under a header that was changed after it was encrypted."""
    head, rest = text.split(b".", 1)
    header = json.loads(base64.urlsafe_b64decode(head + b"=="))
    changed = change(header)
    spelt = changed if isinstance(changed, str) else json.dumps(changed)
    return base64url(spelt.encode()).encode() + b"." + rest


def flipped(text: bytes, part: int) -> bytes:
    """The same JWE with one bit of one part turned, still well spelt."""
    parts = text.split(b".")
    raw = bytearray(base64.urlsafe_b64decode(parts[part] + b"=" * (-len(parts[part]) % 4)))
    raw[len(raw) // 2] ^= 1
    parts[part] = base64url(bytes(raw)).encode()
    return b".".join(parts)


def cut(text: bytes, part: int, chars: int) -> bytes:
    parts = text.split(b".")
    parts[part] = parts[part][:chars]
    return b".".join(parts)


def test_what_the_gateway_encrypts_is_read_with_its_type() -> None:
    found = opened(an_answer(), (OTHER, KEY))

    assert (found.content_type, found.plaintext, found.key) == (CSV, PLAINTEXT, KEY.thumbprint)
    assert PLAINTEXT.decode() not in repr(found)


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 5_000_000])
def test_an_answer_may_be_empty_or_large(size: int) -> None:
    plaintext = bytes(size)

    assert opened(an_answer(plaintext), (KEY,)).plaintext == plaintext


def test_the_public_half_says_what_it_is_for_and_its_name_does_not_hang_on_that(tmp_path: Path) -> None:
    KEY.save(tmp_path / "enc.pem")
    again = DecryptionKey.load(tmp_path / "enc.pem")

    assert KEY.jwk == {**KEY.jwk, "kty": "EC", "crv": "P-256", "use": "enc"}
    assert KEY.jwk.keys() == {"kty", "crv", "x", "y", "use"}
    assert isinstance(key_of(KEY.jwk), ec.EllipticCurvePublicKey)
    assert (again.jwk, again.thumbprint) == (KEY.jwk, thumbprint(KEY.jwk))
    assert (tmp_path / "enc.pem").stat().st_mode & 0o777 == 0o600
    assert repr(KEY) == f"DecryptionKey({KEY.thumbprint})"
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
    (tmp_path / "enc.pem").chmod(0o640)
    with pytest.raises(ValueError, match="chmod 600"):
        DecryptionKey.load(tmp_path / "enc.pem")


def test_a_client_has_two_keys_at_most_and_each_once() -> None:
    Decryption((KEY, OTHER))
    for keys in ((KEY, KEY), (KEY, OTHER, DecryptionKey.create())):
        with pytest.raises(ValueError, match="at most 2"):
            Decryption(keys)


def refused(text: bytes, says: str) -> None:
    with pytest.raises(AnswerRefused, match=says) as caught:
        opened(text, (KEY,))
    assert PLAINTEXT.decode() not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [b"", b"x", b"....", b"." * 100, PLAINTEXT, b"\xff" * 200, b"a.b.c",
     b'{"protected":"x","ciphertext":"y"}', b"eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl"],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_jwe_is_refused(text: bytes) -> None:
    refused(text, "not encrypted as the gateway encrypts")


@pytest.mark.parametrize("part", range(1, 5))
def test_one_turned_bit_anywhere_is_refused(part: int) -> None:
    refused(flipped(an_answer(), part), "does not decrypt: it was changed")


@pytest.mark.parametrize(
    ("part", "chars"), [(0, 80), (1, 0), (1, 40), (2, 0), (2, 12), (3, 0), (3, 8), (4, 0), (4, 16), (4, 21)]
)
def test_a_part_cut_short_is_refused(part: int, chars: int) -> None:
    refused(cut(an_answer(), part, chars), "not encrypted as|does not decrypt")


@pytest.mark.parametrize("ending", [b"=", b"==", b"A", b".", b" ", b"\n", b"\x00"])
def test_there_is_one_spelling_of_a_jwe(ending: bytes) -> None:
    refused(an_answer() + ending, "not encrypted as")
    refused(an_answer().replace(b".", b"." + ending, 1), "not encrypted as")


def test_parts_of_two_answers_do_not_make_a_third() -> None:
    one, two = an_answer(b"one").split(b"."), an_answer(b"two").split(b".")
    for part in range(5):
        mixed = [*one[:part], two[part], *one[part + 1 :]]
        refused(b".".join(mixed), "does not decrypt")


def test_another_clients_answer_is_refused_whatever_its_header_says() -> None:
    refused(an_answer(key=OTHER), "a key that is not held here")
    lying = with_header(an_answer(key=OTHER), lambda header: header | {"kid": KEY.thumbprint})
    refused(lying, "does not decrypt")
    ours = with_header(an_answer(), lambda header: header | {"kid": OTHER.thumbprint})
    with pytest.raises(AnswerRefused, match="does not decrypt"):
        opened(ours, (KEY, OTHER))


def test_who_knows_the_public_key_can_encrypt_to_it() -> None:
    """Which is why the receipt has to speak for an answer, and why the cheats below are no straw men."""
    assert opened(forged(), (KEY,)).plaintext == PLAINTEXT


@pytest.mark.parametrize(
    "changed",
    [
        {"zip": "DEF"}, {"crit": ["exp"], "exp": 1}, {"crit": []}, {"typ": "JWT"}, {"jku": "https://a.example"},
        {"apu": ""}, {"apv": ""}, {"x5c": []}, {"p2c": 1}, {"b64": False},
        {"alg": "ECDH-ES"}, {"alg": "ECDH-ES+A128KW"}, {"alg": [JWE_ALG]}, {"alg": None},
        {"alg": JWE_ALG.lower()},
        {"enc": "A128GCM"}, {"enc": "A256CBC-HS512"}, {"enc": {}}, {"enc": None}, {"kid": None}, {"kid": 1},
        {"cty": "text/html\r\nX: y"}, {"cty": "JWE"}, {"cty": ""}, {"cty": None}, {"cty": "a/b; c=d; e=f"},
        {"cty": "text/" + "x" * 200}, {"alg": ...}, {"enc": ...}, {"kid": ...}, {"cty": ...}, {"epk": ...},
    ],
    ids=str,
)  # fmt: skip
def test_a_header_has_what_ours_have_and_nothing_to_choose(changed: dict[str, Any]) -> None:
    refused(forged(changed), "not encrypted as the gateway encrypts")


@pytest.mark.parametrize("kid", ["", "x", OTHER.thumbprint, KEY.thumbprint + "=", KEY.thumbprint.upper()])
def test_a_key_is_named_exactly(kid: str) -> None:
    refused(forged({"kid": kid}), "a key that is not held here")


HEADER = f'{{"alg":"{JWE_ALG}","enc":"{JWE_ENC}","kid":"{KEY.thumbprint}","cty":"a/b","epk":%s}}'


@pytest.mark.parametrize(
    "text",
    [
        HEADER.replace('"enc"', '"alg":"dir","enc"'),
        HEADER.replace('"alg"', '"alg":"dir","alg"'),
        HEADER.replace('"enc"', '"al\\u0067":"dir","enc"'),
        HEADER.replace('"epk":%s', '"epk":{},"epk":%s'),
        f"[{HEADER}]",
        f"{HEADER}{HEADER}".replace("%s", "{}", 1),
        '"%s"',
        "null %s",
        "[" * 700 + "%s",
        HEADER + " " * HEADER_CHARS_MAX,
        HEADER.replace('"a/b"', "NaN"),
    ],
    ids=range(11),
)
def test_two_readers_of_a_header_cannot_differ(text: str) -> None:
    assert opened(forged(text=HEADER), (KEY,)).content_type == "a/b"

    refused(forged(text=text), "not encrypted as the gateway encrypts")


@pytest.mark.parametrize(
    "ephemeral",
    [
        {}, [], "x", 1, {**KEY.jwk},
        {"kty": "EC", "crv": "P-384", "x": base64url(bytes(48)), "y": base64url(bytes(48))},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": base64url(bytes(32)), "y": base64url(bytes(32))},
        {"kty": "OKP", "crv": "Ed25519", "x": base64url(bytes(32)), "y": ""},
        {"kty": "oct", "k": "AA", "x": "", "y": ""},
        {**jwk_of(ec.generate_private_key(ec.SECP256R1()).public_key()), "d": "AA"},
    ],
    ids=range(11),
)  # fmt: skip
def test_an_ephemeral_key_is_a_point_of_p256_and_nothing_more(ephemeral: Any) -> None:
    """RFC 7518 section 8 and the invalid-curve attack: a point off the curve would leak our key."""
    refused(forged(ephemeral=ephemeral), "another ephemeral key")


def test_another_algorithm_is_refused_before_anything_is_computed() -> None:
    secret = OctKey.import_key(KEY.jwk["x"][:32])  # what everybody knows, as a shared secret
    rsa, public = RSAKey.generate_key(2048), ECKey.import_key(dict(KEY.jwk))
    everything = [*jwe.JWERegistry.algorithms["alg"], *jwe.JWERegistry.algorithms["enc"], "DEF"]
    ours = {"alg": JWE_ALG, "enc": JWE_ENC, "kid": KEY.thumbprint, "cty": CSV}
    cheats: list[tuple[dict[str, Any], Any, bytes]] = [
        ({"alg": "dir", "enc": "A256GCM"}, secret, PLAINTEXT),
        ({"alg": "A256KW"}, secret, PLAINTEXT),
        ({"alg": "RSA1_5"}, rsa, PLAINTEXT),
        ({"alg": "RSA-OAEP"}, rsa, PLAINTEXT),
        ({"alg": "PBES2-HS256+A128KW", "p2c": 1000}, secret, PLAINTEXT),
        ({"alg": "ECDH-ES"}, public, PLAINTEXT),
        ({"enc": "A128CBC-HS256"}, public, PLAINTEXT),
        ({"zip": "DEF"}, public, bytes(20_000_000)),
    ]
    for changed, key, plaintext in cheats:
        loose = jwe.JWERegistry(algorithms=everything)
        with warnings.catch_warnings(action="ignore"):  # the library's own, about such algorithms
            text = jwe.encrypt_compact(ours | changed, plaintext, key, registry=loose).encode()
        refused(text, "not encrypted as the gateway encrypts")
        with pytest.raises(AnswerRefused, match="does not decrypt"):
            KEY.decrypted(text)  # which would not do it either
        refused(with_header(text, lambda header: header | {"p2c": 2**40}), "not encrypted as")


def test_what_is_nested_is_not_unpacked() -> None:
    inner = an_answer()

    assert opened(an_answer(inner), (KEY,)).plaintext == inner


def test_a_body_of_dots_costs_no_memory() -> None:
    text = b"." * 20_000_000
    tracemalloc.start()
    try:
        refused(text, "five parts")
        assert tracemalloc.get_traced_memory()[1] < 2 * len(text)
    finally:
        tracemalloc.stop()


def test_what_passes_the_bound_of_a_body_is_refused() -> None:
    head, wrapped, nonce, _, tag = an_answer().split(b".")

    refused(b".".join([head, wrapped, nonce, b"A" * BODY_BYTES_MAX, tag]), "not encrypted as")


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/v1/datasets", False), ("/v1/datasets/vn.nso.household-2026", False), ("/v1/budgets", False),
        ("/v1/datasets/x/plan", False), ("/v1/datasets/x/records", True), ("/v1/datasets/x/query", True),
        ("/v1/datasets/x/lookup", True), ("/v1/datasets/x/proxy/a", True), ("/v1/datasets/x/plan/y", True),
        ("/v1/datasets/x/%72ecords", True), ("/v1/datasets/x%2frecords", True), ("/v1/datasets/x/PLAN", True),
        ("/v1/new", True), ("/v1/datasets/", True), ("/v1/budgets/x", True),
    ],
)  # fmt: skip
def test_all_but_catalogue_plans_and_budgets_has_to_be_encrypted(path: str, wanted: bool) -> None:
    assert Decryption((KEY,)).is_wanted(path) is wanted
    assert Decryption(()).is_wanted(path) is False


async def test_an_answer_in_clear_is_not_taken_for_an_encrypted_one() -> None:
    decryption = Decryption((KEY,))
    for content_type in ("application/json", "text/csv", "", "application/jose+json", "x-application/jose"):
        with pytest.raises(AnswerRefused, match="came in clear"):
            await decryption.opened(
                Response(status=200, headers={"Content-Type": content_type}, body=PLAINTEXT)
            )
    spelt = Response(status=200, headers={"Content-Type": "Application/JOSE; x=y"}, body=an_answer())
    assert (await decryption.opened(spelt)).plaintext == PLAINTEXT


@pytest.mark.parametrize(("size", "at_once"), [(1_000, True), (3_000_000, False)])
async def test_a_large_answer_is_opened_beside_the_loop(size: int, at_once: bool) -> None:
    response = Response(status=200, headers={"Content-Type": "application/jose"}, body=an_answer(bytes(size)))
    opening = asyncio.create_task(Decryption((KEY,)).opened(response))
    turns = 0
    while not opening.done():
        await asyncio.sleep(0)
        turns += 1

    assert (turns == 1, len((await opening).plaintext)) == (at_once, size)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Format.JSON), ("*/*", Format.JSON), ("application/*", Format.JSON), ("text/*", Format.CSV),
        ("application/json", Format.JSON),
        ("text/csv", Format.CSV), ("TEXT/CSV; charset=utf-8", Format.CSV),
        ("application/x-ndjson", Format.NDJSON),
        ("text/html, text/csv;q=0.9, */*;q=0.1", Format.CSV),
        ("text/csv;q=0.1, application/json", Format.JSON),
        ('application/jose; cty="text/csv"', Format.CSV), ("application/jose", Format.JSON),
        ('"x", text/csv', Format.CSV), ("nonsense", Format.JSON), (", ,", Format.JSON),
        ('text/csv"; q=0, x', Format.JSON),
    ],
)  # fmt: skip
def test_the_gateway_reads_the_same_wish_but_encrypted(accept: str, form: Format) -> None:
    asked = encrypted_accept(accept)

    assert negotiate(asked) == Form(form, encrypted=True)
    assert all(element.strip().startswith("application/jose") for element in asked.split(","))


@pytest.mark.parametrize("accept", ["text/html", "text/csv;q=0", "*/*;q=0"])
def test_what_is_not_acceptable_is_not_made_so(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        negotiate(encrypted_accept(accept))
