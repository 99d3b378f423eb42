"""What counts as a witness's word on a checkpoint, and what does not."""

import base64
from collections.abc import Callable

import pytest
from witness_server import WitnessServer

from gateway.transparency.cosignature import cosignatures, parse_witness_vkey, with_cosignature
from gateway.transparency.note import NoteSigner, parse_vkey
from gateway.transparency.proof import Checkpoint, sign_checkpoint, verify_checkpoint
from gateway.transparency.tree import ProofInvalid

ORIGIN = "gateway.example/log/2026"


@pytest.fixture
def note(a_signer: Callable[..., NoteSigner]) -> bytes:
    return sign_checkpoint(Checkpoint(origin=ORIGIN, size=7, root=bytes(32)), a_signer("log", ORIGIN))


def text_of(note: bytes) -> str:
    return note.decode().partition("\n\n")[0] + "\n"


def test_the_example_of_the_specification_has_the_form_that_is_read() -> None:
    """c2sp.org/tlog-cosignature shows a line without its key; its parts are where we look for them."""
    blob = base64.b64decode(
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
    )
    assert len(blob) == 4 + 8 + 64
    assert int.from_bytes(blob[4:12], "big") == 1679315147


def test_a_cosignature_is_added_and_found_again(note: bytes, a_signer: Callable[..., NoteSigner]) -> None:
    witness = WitnessServer()

    cosigned = with_cosignature(note, witness.line(text_of(note)).encode(), witness.vkey)

    assert cosigned == note + witness.line(text_of(note)).encode()
    assert cosignatures(cosigned, [witness.vkey]) == {witness.vkey: witness.time_s}
    assert verify_checkpoint(cosigned, a_signer("log", ORIGIN).vkey).size == 7


def test_a_witness_that_cosigns_again_replaces_its_line(note: bytes) -> None:
    witness = WitnessServer()
    once = with_cosignature(note, witness.line(text_of(note)).encode(), witness.vkey)
    witness.time_s += 60

    again = with_cosignature(once, witness.line(text_of(note)).encode(), witness.vkey)

    assert cosignatures(again, [witness.vkey]) == {witness.vkey: witness.time_s}
    assert again.count(b"\n") == once.count(b"\n")


def test_a_witness_speaks_for_itself_only(note: bytes) -> None:
    one, other = WitnessServer("witness.example/w1"), WitnessServer("witness.example/w2")
    lines = other.line(text_of(note)) + one.line(text_of(note))

    assert other.name.encode() not in with_cosignature(note, lines.encode(), one.vkey)
    with pytest.raises(ProofInvalid, match="did not cosign"):
        with_cosignature(note, other.line(text_of(note)).encode(), one.vkey)


@pytest.mark.parametrize("place", range(4, 4 + 8 + 64))
def test_no_byte_of_a_cosignature_may_change(note: bytes, place: int) -> None:
    witness = WitnessServer()
    name, blob = witness.line(text_of(note)).removeprefix("\u2014 ").split(" ")
    raw = bytearray(base64.b64decode(blob))
    raw[place] ^= 1
    line = f"\u2014 {name} {base64.b64encode(raw).decode()}\n".encode()

    with pytest.raises(ProofInvalid, match="does not hold"):
        with_cosignature(note, line, witness.vkey)
    with pytest.raises(ProofInvalid, match="does not hold"):
        cosignatures(note + line, [witness.vkey])


@pytest.mark.parametrize(
    "lines", [b"", b"\n", b"ok\n", b"\xff\n", "\u2014 witness.example/w1 AAAA\n".encode()]
)
def test_an_answer_that_is_no_signature_line_is_refused(note: bytes, lines: bytes) -> None:
    with pytest.raises(ProofInvalid):
        with_cosignature(note, lines, WitnessServer().vkey)


def test_a_cosignature_is_of_one_checkpoint(note: bytes) -> None:
    witness = WitnessServer()
    other = text_of(note).replace("\n7\n", "\n8\n")

    with pytest.raises(ProofInvalid, match="does not hold"):
        with_cosignature(note, witness.line(other).encode(), witness.vkey)


def test_a_plain_signature_with_a_witnesss_key_is_no_cosignature(note: bytes) -> None:
    """The message has a header of its own, so that no signature serves as the other kind."""
    witness = WitnessServer()
    plain = witness.key_id + witness.time_s.to_bytes(8, "big") + witness.key.sign(text_of(note).encode())
    line = f"\u2014 {witness.name} {base64.b64encode(plain).decode()}\n".encode()

    with pytest.raises(ProofInvalid, match="does not hold"):
        with_cosignature(note, line, witness.vkey)


def test_a_logs_key_is_no_witnesss_and_the_other_way_round(a_signer: Callable[..., NoteSigner]) -> None:
    with pytest.raises(ProofInvalid, match="not a witness's Ed25519 key"):
        parse_witness_vkey(a_signer("log", ORIGIN).vkey)
    with pytest.raises(ProofInvalid, match="not an Ed25519 key"):
        parse_vkey(WitnessServer().vkey)
