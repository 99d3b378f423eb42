"""A receipt proves what it says, offline, and anything else is refused by name."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.transparency.canonical import canonical
from gateway.transparency.commitment import commitment
from gateway.transparency.note import NoteSigner, sign
from gateway.transparency.proof import (
    Checkpoint,
    InclusionProof,
    VerifiedReceipt,
    format_checkpoint,
    format_proof,
    parse_checkpoint,
    parse_proof,
    salt_of,
    sign_checkpoint,
    verify_receipt,
)
from gateway.transparency.tiles import Tiles
from gateway.transparency.tree import ProofInvalid, inclusion_path, leaf_hash

SALT = bytes(range(32))
BODY = b'{"rows":[]}'
ORIGIN = "gateway.example/log/2026"


@dataclass(frozen=True)
class Held:
    """What a firm holds after one answer."""

    proof: bytes
    entry: bytes
    body: bytes | None
    salt: bytes
    vkey: str

    def verify(self) -> VerifiedReceipt:
        return verify_receipt(
            proof=self.proof, entry=self.entry, body=self.body, salt=self.salt, vkey=self.vkey
        )


def held(signer: NoteSigner, *, index: int = 3, size: int = 6) -> Held:
    """A receipt for entry ``index`` of a log of ``size`` entries."""
    entry = canonical({"v": 1, "kind": "single", "commitments": {"body": commitment("body", SALT, BODY)}})
    tiles = Tiles(0, lambda *_: b"")
    for number in range(size):
        tiles.append(leaf_hash(entry if number == index else b"%d" % number))
    head = Checkpoint(origin=signer.name, size=size, root=tiles.root())
    proof = InclusionProof(
        index=index,
        path=tuple(inclusion_path(index, size, tiles.node)),
        checkpoint=sign_checkpoint(head, signer),
        extra=SALT,
    )
    return Held(proof=format_proof(proof), entry=entry, body=BODY, salt=SALT, vkey=signer.vkey)


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (1, 2), (3, 6), (5, 6), (256, 700), (699, 700)])
def test_a_receipt_proves_place_and_body(index: int, size: int, a_signer: Callable[..., NoteSigner]) -> None:
    """Promise P9."""
    receipt = held(a_signer(), index=index, size=size)

    assert receipt.verify() == VerifiedReceipt(
        index=index,
        size=size,
        origin=ORIGIN,
        entry={"v": 1, "kind": "single", "commitments": {"body": commitment("body", SALT, BODY)}},
    )
    assert salt_of(receipt.proof) == SALT
    assert len(receipt.proof) <= 2048


def test_place_alone_can_be_proved_without_the_body(a_signer: Callable[..., NoteSigner]) -> None:
    assert replace(held(a_signer()), body=None).verify().index == 3


@pytest.mark.parametrize("part", ["proof", "entry", "body", "salt"])
def test_one_flipped_bit_anywhere_is_refused(part: str, a_signer: Callable[..., NoteSigner]) -> None:
    """Promise P9."""
    receipt = held(a_signer())
    true: bytes = getattr(receipt, part)

    for bit in range(len(true) * 8):
        flipped = bytearray(true)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProofInvalid):
            replace(receipt, **{part: bytes(flipped)}).verify()


@pytest.mark.parametrize("part", ["proof", "entry", "body"])
def test_a_missing_or_added_byte_is_refused(part: str, a_signer: Callable[..., NoteSigner]) -> None:
    receipt = held(a_signer())
    true: bytes = getattr(receipt, part)

    for place in range(len(true) + 1):
        for wrong in (true[:place] + true[place + 1 :], true[:place] + b"\n" + true[place:]):
            if wrong != true:
                with pytest.raises(ProofInvalid):
                    replace(receipt, **{part: wrong}).verify()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"index 1\n", b"extra \nindex 1\n"),
        (b"index 1\n", b"index 01\n"),
        (b"index 1\n", b"index  1\n"),
        (b"index 1\n", b""),
        (b"@v1", b"@v2"),
        (b"@v1\n", b"@v1\r\n"),
        (b"index", b"Index"),
    ],
)
def test_a_proof_of_another_spelling_is_refused(old: bytes, new: bytes) -> None:
    text = format_proof(InclusionProof(index=1, path=(bytes(32),), checkpoint=b"note"))
    assert format_proof(parse_proof(text)) == text

    with pytest.raises(ProofInvalid):
        parse_proof(text.replace(old, new, 1))


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_noise_is_no_proof_and_breaks_nothing(noise: bytes) -> None:
    for text in (noise, b"c2sp.org/tlog-proof@v1\n" + noise, b"c2sp.org/tlog-proof@v1\nindex 1\n" + noise):
        try:
            assert format_proof(parse_proof(text)) == text
        except ProofInvalid:
            continue


def test_a_receipt_of_another_log_or_another_key_is_refused(a_signer: Callable[..., NoteSigner]) -> None:
    receipt = held(a_signer())
    for other in (a_signer("thief"), a_signer("log", "other.example/log")):
        with pytest.raises(ProofInvalid, match="not signed by the trusted key"):
            replace(receipt, vkey=other.vkey).verify()


def test_a_key_of_the_log_does_not_speak_for_another_origin(a_signer: Callable[..., NoteSigner]) -> None:
    signer = a_signer()
    receipt = held(signer)
    parts = parse_proof(receipt.proof)
    text = parts.checkpoint.decode().partition("\n\n")[0] + "\n"
    other = sign(text.replace(ORIGIN, "other.example/log"), signer)

    with pytest.raises(ProofInvalid, match="origin"):
        replace(receipt, proof=format_proof(replace(parts, checkpoint=other))).verify()


def test_an_entry_without_a_commitment_to_its_body_proves_no_body(
    a_signer: Callable[..., NoteSigner],
) -> None:
    signer = a_signer()
    for entry in (b"{}", b'{"commitments":{}}', b'{"commitments":[]}'):
        head = Checkpoint(origin=ORIGIN, size=1, root=leaf_hash(entry))
        proof = InclusionProof(index=0, path=(), checkpoint=sign_checkpoint(head, signer), extra=SALT)
        receipt = Held(format_proof(proof), entry, BODY, SALT, signer.vkey)

        assert replace(receipt, body=None).verify().index == 0
        with pytest.raises(ProofInvalid, match="does not commit to this body"):
            receipt.verify()


def test_a_checkpoint_reads_back_as_it_was_written() -> None:
    checkpoint = Checkpoint(origin="example.com/behind-the-sofa", size=20852163, root=bytes(32))

    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "o\n01\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "o\n+1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "o\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "o\n\u0661\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "o\n9223372036854775808\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "o\n1\n" + base64.b64encode(bytes(31)).decode() + "\n",
        "o\n1\n" + base64.b64encode(bytes(32)).decode().rstrip("=") + "\n",
        "o\n1\n" + base64.b64encode(bytes(32)).decode() + "\nextension\n",
        "o\n1\n" + base64.b64encode(bytes(32)).decode(),
    ],
)
def test_a_checkpoint_of_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ProofInvalid):
        parse_checkpoint(text)


def test_a_log_signs_under_its_origin_only(a_signer: Callable[..., NoteSigner]) -> None:
    with pytest.raises(ValueError, match="origin"):
        sign_checkpoint(Checkpoint(origin="other.example", size=0, root=bytes(32)), a_signer())


def test_the_proof_is_the_text_of_the_specification(a_signer: Callable[..., NoteSigner]) -> None:
    lines = held(a_signer(), index=1, size=2).proof.decode().split("\n")

    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1] == "extra " + base64.b64encode(SALT).decode()
    assert lines[2] == "index 1"
    assert lines[3] == base64.b64encode(leaf_hash(b"0")).decode()
    assert lines[4:7] == ["", ORIGIN, "2"]
    assert lines[8] == ""
    assert lines[9].startswith("\u2014 " + ORIGIN + " ")
    assert lines[10:] == [""]
