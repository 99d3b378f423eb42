"""Replies that our gateway encrypts, opened by npm's jose with a key that it made, and by RFC 7518 alone."""

import asyncio
import base64
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from firm_scene import DATASET, RULES, people
from foreign_verifier import Verifier
from house import a_firm, make_house
from joserfc import jwe
from joserfc.jwk import ECKey
from rfc7518 import agreed_key, opened, private_key, public_key

from gateway import jose
from gateway.client import DecryptionKey
from gateway.client.wire import Response
from gateway.delivery.encryption import encrypted
from gateway.delivery.formats import write_rows
from gateway.services.registration import client_keys
from gateway.steps.encrypt import INLINE_BYTES_MAX
from gateway.terms.format import Format
from gateway.terms.frame import Columns
from gateway.terms.identifiers import ColumnName

RECEIPT: Final = ("Gateway-Receipt", "Gateway-Entry")
PARTS: Final = ("header", "wrapped key", "nonce", "ciphertext", "tag")
COLUMNS: Final[Columns] = {
    ColumnName("name"): ("Nguyễn Văn An", "=1+1", None),
    ColumnName("born"): (date(1985, 3, 14), None, date(2001, 1, 19)),
    ColumnName("cost"): (Decimal("350000.50"), Decimal(0), Decimal(-1)),
}


@pytest.fixture(scope="module")
def made(jose_firm: Verifier) -> dict[str, Any]:
    """A key pair that jose made, and what it calls it."""
    found: dict[str, Any] = json.loads(jose_firm.verdicts([{}])[0])
    return found


def registered(made: dict[str, Any]) -> jose.Jwk:
    """Return jose's public key as a client's record keeps it."""
    (key,) = client_keys([made["jwk"]]).encryption
    return dict(key)


def told(verifier: Verifier, made: dict[str, Any], *jwes: bytes) -> list[dict[str, Any]]:
    given = [{"Jwe": each.decode("ascii"), "Private": made["private"]} for each in jwes]
    return [json.loads(line) for line in verifier.verdicts(given)]


def flipped(text: bytes, part: str) -> bytes:
    """Return a JWE with one bit of one part another; the header is still one, of another content type."""
    parts = text.split(b".")
    at = PARTS.index(part)
    changed = bytearray(jose.base64url_decoded(parts[at].decode()))
    changed[changed.index(b"csv") if part == "header" else 0] ^= 1
    parts[at] = jose.base64url(bytes(changed)).encode()
    return b".".join(parts)


def test_jose_opens_every_format_of_ours_and_a_large_reply(jose_firm: Verifier, made: dict[str, Any]) -> None:
    written = [write_rows(COLUMNS, form, {"dataset": DATASET}) for form in Format]
    large = write_rows({ColumnName("n"): tuple(range(400_000))}, Format.CSV, {})
    assert len(large[1]) > 30 * INLINE_BYTES_MAX
    replies = [*written, large]

    answers = told(jose_firm, made, *(encrypted(body, kind, registered(made)) for kind, body in replies))

    for (kind, body), answer in zip(replies, answers, strict=True):
        epk = answer["header"].pop("epk")
        assert (epk.keys(), epk["crv"]) == ({"kty", "crv", "x", "y"}, "P-256")
        assert answer["header"] == {
            "alg": "ECDH-ES+A256KW",
            "enc": "A256GCM",
            "kid": made["thumbprint"],
            "cty": kind,
        }
        assert answer["text"].encode() == body


def test_jose_opens_a_reply_that_was_served_to_its_key(
    jose_firm: Verifier, made: dict[str, Any], tmp_path: Path
) -> None:
    """The reply, and its receipt beside it, as they come over the wire."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "people.csv").write_text(people(), encoding="utf-8")
    house = make_house(tmp_path / "home", data=tmp_path / "data", rules={DATASET: RULES})
    firm = replace(a_firm(), decryption_keys=(DecryptionKey(private_key(made["private"])),))
    house.register(firm)

    async def asked() -> list[Response]:
        async with house.session(firm) as gateway:
            accepts = ("text/csv", 'application/jose; cty="text/csv"')
            path = f"/v1/datasets/{DATASET}/records"
            return [
                await gateway._signed("POST", path, "", b'{"limit": 200}', {"Accept": each})
                for each in accepts
            ]

    with house.serving():
        in_clear, sealed = asyncio.run(asked())

    clear, carried = in_clear.body, [sealed.headers[name].encode() for name in RECEIPT]
    answer, proof, entry = told(jose_firm, made, sealed.body, *carried)
    assert sealed.content_type == "application/jose"
    assert proof["text"].startswith("c2sp.org/tlog-proof@v1\n")
    assert json.loads(entry["text"])["facts"]["encrypted_to"] == made["thumbprint"]
    assert answer["text"].encode() == clear
    assert clear.count(b"\r\n") == 201
    assert (answer["header"]["kid"], answer["header"]["cty"]) == (
        made["thumbprint"],
        "text/csv; charset=utf-8",
    )


def test_jose_and_the_documents_refuse_a_reply_with_one_bit_of_any_part_changed(
    jose_firm: Verifier, made: dict[str, Any]
) -> None:
    reply = encrypted(b"age\r\n41\r\n", "text/csv; charset=utf-8", registered(made))
    changed = [flipped(reply, part) for part in PARTS]

    answers = told(jose_firm, made, reply, *changed)

    assert answers[0]["text"] == "age\r\n41\r\n"
    assert [answer.get("refused") for answer in answers[1:]] == ["ERR_JWE_DECRYPTION_FAILED"] * len(PARTS)
    for each in changed:
        with pytest.raises((InvalidTag, InvalidUnwrap)):
            opened(each, private_key(made["private"]))


@pytest.mark.parametrize(
    ("alg", "enc"), [("ECDH-ES", "A256GCM"), ("ECDH-ES+A128KW", "A256GCM"), ("ECDH-ES+A256KW", "A128GCM")]
)
def test_jose_as_it_is_asked_here_takes_no_other_algorithm(
    jose_firm: Verifier, made: dict[str, Any], alg: str, enc: str
) -> None:
    """Else it would say nothing of what our gateway writes."""
    other = jwe.encrypt_compact(
        {"alg": alg, "enc": enc}, b"41", ECKey.import_key({**registered(made)}), algorithms=[alg, enc]
    )

    assert told(jose_firm, made, other.encode()) == [{"refused": "ERR_JOSE_ALG_NOT_ALLOWED"}]


def test_what_we_write_is_what_the_documents_say(made: dict[str, Any]) -> None:
    """RFC 7516 and 7518 by hand, without a JOSE library."""
    for form in Format:
        kind, body = write_rows(COLUMNS, form, {"dataset": DATASET})

        header, plaintext = opened(encrypted(body, kind, registered(made)), private_key(made["private"]))

        assert plaintext == body
        assert (header["kid"], header["cty"]) == (jose.thumbprint(made["jwk"]), kind)


ALICE: Final = {
    "kty": "EC",
    "crv": "P-256",
    "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
    "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
    "d": "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo",
}
BOB: Final = {
    "kty": "EC",
    "crv": "P-256",
    "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
    "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    "d": "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw",
}


@pytest.mark.parametrize(("own", "other"), [(ALICE, BOB), (BOB, ALICE)])
def test_the_derivation_by_hand_gives_the_example_of_rfc_7518_appendix_c(
    own: dict[str, str], other: dict[str, str]
) -> None:
    key = agreed_key(
        private_key(own), public_key(other), algorithm="A128GCM", bits=128, apu=b"Alice", apv=b"Bob"
    )

    assert base64.urlsafe_b64encode(key).rstrip(b"=") == b"VqqN6vgjbSBcIijNcacQGg"
