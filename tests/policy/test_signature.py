"""Who vouches for a revision: of everything that comes as a signature, only the steward's own counts."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RulesInvalid
from gateway.keyring.stewards import StewardKey
from gateway.policy.load import load_rules
from gateway.policy.signature import (
    NO_CASES,
    Statement,
    Vouched,
    digest_of,
    require_cases,
    require_said,
    signature,
    statement_of,
    vouched,
)
from gateway.transparency.note import Signature, joined, parse_vkey, sign, split
from gateway.transparency.proof import verify_checkpoint
from gateway.transparency.tree import ProofInvalid

TEXT = (Path(__file__).parent / "vectors" / "example.yaml").read_bytes()
RULES = load_rules(TEXT, file="example.yaml")
SAID = statement_of(RULES, b"cases")
PUBLISHER = RULES.dataset.publisher
LAN, MINH = (StewardKey(PUBLISHER, Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in (1, 2))
STRANGER = StewardKey("elsewhere", Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32))
STEWARDS = tuple(parse_vkey(each.vkey) for each in (LAN, MINH, STRANGER))
NOTE = signature(SAID, LAN)
LINE = f"revision {SAID.revision}\n"


def judged(note: bytes | None, document: bytes = TEXT) -> Vouched:
    return vouched(document, note, STEWARDS, file="example.yaml")


def test_a_steward_of_the_publisher_vouches_for_these_bytes() -> None:
    found = judged(NOTE)

    assert (found.statement, found.vkey) == (SAID, LAN.vkey)
    require_said(found, RULES, file="example.yaml")
    require_cases(found, b"cases", file="example.yaml")
    assert SAID.text.splitlines() == [
        "data-sharing-gateway/rules/v1",
        f"publisher {PUBLISHER}",
        f"dataset {RULES.dataset.id}",
        LINE.strip(),
        f"lineage {RULES.dataset.source.lineage}",
        f"document {digest_of(TEXT)}",
        f"cases {digest_of(b'cases')}",
    ]


def resigned(**changed: str | int) -> bytes:
    return signature(replace(SAID, **changed), LAN)  # type: ignore[arg-type]  # of their types


def spoiled(note: bytes) -> bytes:
    """The last signature, one bit off."""
    text, signatures = split(note)
    last = signatures[-1]
    return joined(text, [*signatures[:-1], Signature(last.name, last.key_id, last.data[:-1] + b"\0")])


def signed_twice(*stewards: StewardKey) -> bytes:
    return sign(SAID.text, *stewards)


FORGED = {
    "nothing": (None, "not signed: a steward runs `gateway policy sign FILE --key KEY`"),
    "an empty file": (b"", "not a note"),
    "garbage": (bytes(range(256)), "the note is not UTF-8"),
    "ten megabytes": (NOTE + b"\n" * 10_000_000, "the note is too large"),
    "only the text": (SAID.text.encode(), "not a note"),
    "carriage returns": (NOTE.replace(b"\n", b"\r\n"), "not a note"),
    "an empty line in the text": (
        NOTE.replace(b"\nlineage", b"\n\nlineage"), "the signature is not over sharing rules",
    ),
    "a line more in the text": (
        NOTE.replace(b"\n\n", b"\nrevision 9\n\n"), "the signature is not over sharing rules",
    ),
    "a line twice": (
        sign(SAID.text.replace(LINE, LINE + "revision 2\n"), LAN),
        "the signature is not over sharing rules",
    ),
    "a number with a zero before": (
        sign(SAID.text.replace(LINE, LINE.replace(" ", " 0")), LAN),
        "the signature is not over sharing rules",
    ),
    "a log's checkpoint": (
        sign(f"{PUBLISHER}\n7\n{base64.b64encode(bytes(32)).decode()}\n", LAN),
        "the signature is not over sharing rules",
    ),
    "a key that nobody trusts": (
        signature(SAID, StewardKey(PUBLISHER, Ed25519PrivateKey.generate())),
        f"no trusted steward of `{PUBLISHER}` signed this: the note is not signed by the trusted key",
    ),
    "a steward of another agency, as itself": (
        signature(SAID, STRANGER), f"no trusted steward of `{PUBLISHER}` signed this",
    ),
    "an agency without stewards": (
        resigned(publisher="nobody"), "`keys/stewards` of the home has no steward of `nobody`",
    ),
    "one bit of the signature": (spoiled(NOTE), "the signature does not hold"),
    "one steward signed, the other's signature is forged": (
        spoiled(signed_twice(LAN, MINH)), "the signature does not hold",
    ),
    "the same steward twice": (signed_twice(LAN, LAN), "a key signed twice"),
    "another revision": (NOTE.replace(LINE.encode(), b"revision 999\n"), "the signature does not hold"),
    "other bytes": (resigned(document=digest_of(b"x")), "the signature is over other bytes, of `"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_p3_what_is_no_signature_of_a_trusted_steward_counts_for_nothing(what: str) -> None:
    """Promise P3."""
    note, said = FORGED[what]

    with pytest.raises(RulesInvalid) as refused:
        judged(note)

    assert said in refused.value.detail


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
def test_p3_no_byte_of_a_document_changes_after_the_signature(place: int, by: int) -> None:
    """Promise P3: white space and comments too, for what a person signed is what a person read."""
    changed = TEXT[:place] + bytes([TEXT[place] ^ by]) + TEXT[place + 1 :]

    with pytest.raises(RulesInvalid, match="the signature is over other bytes"):
        judged(NOTE, changed)


@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
def test_p3_no_byte_of_a_signature_can_be_another(place: int, by: int) -> None:
    """Promise P3."""
    with pytest.raises(RulesInvalid):
        judged(NOTE[:place] + bytes([NOTE[place] ^ by]) + NOTE[place + 1 :])


@pytest.mark.parametrize(
    "changed",
    [{"dataset": "other"}, {"revision": 999}, {"lineage": "other"}],
    ids=["dataset", "revision", "lineage"],
)
def test_p3_a_signature_that_tells_of_another_document_is_refused(changed: dict[str, str | int]) -> None:
    """Promise P3: though the steward did sign it, over these bytes."""
    found = judged(resigned(**changed))

    with pytest.raises(RulesInvalid, match="the signature tells of another document"):
        require_said(found, RULES, file="example.yaml")


def test_p3_a_steward_of_another_agency_vouches_for_nothing_of_this_one() -> None:
    """Promise P3: under the other agency's name the signature holds, and the document says another."""
    found = judged(signature(replace(SAID, publisher="elsewhere"), STRANGER))

    assert found.vkey == STRANGER.vkey
    with pytest.raises(RulesInvalid, match="the signature tells of another document"):
        require_said(found, RULES, file="example.yaml")


def test_two_stewards_may_sign_and_the_first_who_is_trusted_is_named() -> None:
    assert judged(signed_twice(MINH, LAN)).vkey == MINH.vkey
    unknown = StewardKey(PUBLISHER, Ed25519PrivateKey.generate())
    assert judged(signed_twice(unknown, LAN)).vkey == LAN.vkey


@pytest.mark.parametrize(
    ("signed", "shown"), [(b"cases", b"cases that come out"), (b"cases", None), (None, b"cases"), (None, b"")]
)
def test_the_cases_are_those_that_came_out_when_the_steward_signed(
    signed: bytes | None, shown: bytes | None
) -> None:
    found = judged(signature(statement_of(RULES, signed), LAN))

    with pytest.raises(RulesInvalid, match="the cases are not those that were signed"):
        require_cases(found, shown, file="example.yaml")
    require_cases(found, signed, file="example.yaml")


def test_what_a_steward_signs_is_no_head_of_any_log() -> None:
    """The other way round stands among the forgeries."""
    with pytest.raises(ProofInvalid):
        verify_checkpoint(NOTE, LAN.vkey)


@given(
    st.builds(
        Statement,
        publisher=st.just(PUBLISHER),
        dataset=st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True),
        revision=st.integers(1, 10**15),
        lineage=st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True),
        document=st.just(digest_of(TEXT)),
        cases=st.sampled_from([NO_CASES, digest_of(b"cases")]),
    )
)
def test_a_statement_comes_back_as_it_was_signed(said: Statement) -> None:
    assert judged(signature(said, LAN)).statement == said
