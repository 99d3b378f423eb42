"""Signed notes as the C2SP specification has them, in one spelling."""

import base64
from collections.abc import Callable

import pytest

from gateway.transparency.note import NoteSigner, format_vkey, parse_vkey, sign, verify
from gateway.transparency.tree import ProofInvalid

# The key and the note that Go's golang.org/x/mod/sumdb/note documents and tests with.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZIn"
    "NIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_the_note_of_gos_documentation_verifies() -> None:
    assert verify(GO_NOTE.encode(), GO_VKEY) == GO_NOTE.partition("\n\n")[0] + "\n"


def test_a_key_reads_back_as_it_was_written(a_signer: Callable[..., NoteSigner]) -> None:
    signer = a_signer()
    key = parse_vkey(signer.vkey)

    assert key.name == signer.name
    assert format_vkey(key.name, key.key) == signer.vkey


def test_a_signed_text_verifies_and_comes_back_whole(a_signer: Callable[..., NoteSigner]) -> None:
    text = "first line\n\nthird line, after an empty one\n"

    assert verify(sign(text, a_signer()), a_signer().vkey) == text


def test_signatures_of_unknown_keys_are_passed_over(a_signer: Callable[..., NoteSigner]) -> None:
    log, witness = a_signer(), a_signer("witness", "witness.example/w1")
    line = sign("text\n", witness).partition(b"\n\n")[2]

    assert verify(sign("text\n", log) + line, log.vkey) == "text\n"
    with pytest.raises(ProofInvalid, match="not signed by the trusted key"):
        verify(sign("text\n", witness), log.vkey)


def test_a_key_of_the_same_name_is_another_key(a_signer: Callable[..., NoteSigner]) -> None:
    with pytest.raises(ProofInvalid, match="not signed by the trusted key"):
        verify(sign("text\n", a_signer("thief")), a_signer("log").vkey)


def test_the_key_id_does_not_make_a_signature_ours(a_signer: Callable[..., NoteSigner]) -> None:
    """An attacker may find a key with our 32-bit id; the signature is checked with the key itself."""
    log, thief = a_signer("log"), a_signer("thief")
    ours = base64.b64decode(sign("text\n", log).rpartition(b" ")[2])
    theirs = base64.b64decode(sign("text\n", thief).rpartition(b" ")[2])
    forged = f"text\n\n\u2014 {log.name} ".encode() + base64.b64encode(ours[:4] + theirs[4:]) + b"\n"

    with pytest.raises(ProofInvalid, match="does not hold"):
        verify(forged, log.vkey)


def test_a_note_with_a_flipped_bit_is_no_note_of_ours(a_signer: Callable[..., NoteSigner]) -> None:
    signer = a_signer()
    note = sign("text\n", signer)

    for bit in range(len(note) * 8):
        flipped = bytearray(note)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProofInvalid):
            verify(bytes(flipped), signer.vkey)


@pytest.mark.parametrize(
    "damage",
    [
        lambda note: note[:-1],
        lambda note: note + b"\n",
        lambda note: note.replace(b"\n\n", b"\n"),
        lambda note: note.replace(b"\n", b"\r\n"),
        lambda note: b"\x00" + note,
        lambda note: note.replace(b" ", b"  "),
        lambda note: note + note.partition(b"\n\n")[2],
        lambda note: note.replace(b"=\n", b"\n"),
        lambda note: note.rpartition(b" ")[0] + b" AAAA\n",
        lambda note: b"x" * 20_000 + note,
        lambda note: note + b"".join(b"\xe2\x80\x94 w%d AAAAAAA=\n" % number for number in range(40)),
        lambda _: b"",
    ],
)
def test_a_note_of_another_spelling_is_refused(
    damage: Callable[[bytes], bytes], a_signer: Callable[..., NoteSigner]
) -> None:
    with pytest.raises(ProofInvalid):
        verify(damage(sign("text\n", a_signer())), a_signer().vkey)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        GO_VKEY.replace("c74f20a3", "C74F20A3"),
        GO_VKEY.replace("c74f20a3", "c74f20a4"),
        GO_VKEY.replace("Peter", "Paul"),
        GO_VKEY[:-4],
        GO_VKEY + "=",
        GO_VKEY.replace("+ARpc", "+AhpC"),
        GO_VKEY.replace("Peter", "Peter "),
    ],
)
def test_a_verifier_key_of_another_spelling_is_refused(vkey: str) -> None:
    with pytest.raises(ProofInvalid):
        parse_vkey(vkey)


@pytest.mark.parametrize("text", ["no newline", "tab\t\n", "return\r\n", ""])
def test_a_text_that_is_no_notes_text_is_not_signed(text: str, a_signer: Callable[..., NoteSigner]) -> None:
    with pytest.raises(ValueError, match="newline"):
        sign(text, a_signer())


def test_a_name_with_a_space_or_plus_is_no_keys_name() -> None:
    key = parse_vkey(GO_VKEY).key
    for name in ("", "a b", "a+b", "a\u2003b", "a\nb"):
        with pytest.raises(ValueError, match="name"):
            format_vkey(name, key)


def test_while_a_key_is_replaced_either_is_enough(a_signer: Callable[..., NoteSigner]) -> None:
    old, new = a_signer("old"), a_signer("new")
    both = sign("text\n", new, old)

    for vkeys in (old.vkey, new.vkey, f"{old.vkey}\n{new.vkey}", f"{a_signer('x').vkey}\n{new.vkey}"):
        assert verify(both, vkeys) == "text\n"
    with pytest.raises(ProofInvalid, match="not signed by the trusted key"):
        verify(sign("text\n", new), old.vkey)


def test_one_trusted_key_that_fails_rejects_the_note_though_another_holds(
    a_signer: Callable[..., NoteSigner],
) -> None:
    old, new = a_signer("old"), a_signer("new")
    line = sign("other text\n", old).partition(b"\n\n")[2]

    assert verify(sign("text\n", new) + line, new.vkey) == "text\n"
    with pytest.raises(ProofInvalid, match="does not hold"):
        verify(sign("text\n", new) + line, f"{new.vkey}\n{old.vkey}")


@pytest.mark.parametrize("vkeys", ["", "\n", f"{GO_VKEY}\n", f"{GO_VKEY}\nx", "\n".join([GO_VKEY] * 33)])
def test_a_list_of_keys_has_a_key_on_each_line_and_not_too_many(vkeys: str) -> None:
    with pytest.raises(ProofInvalid):
        verify(GO_NOTE.encode(), vkeys)
