"""The policy file of c2sp.org/tlog-policy: what it says, and that nothing else passes for it."""

from collections.abc import Callable

import pytest
from witness_server import WitnessServer

from gateway.transparency.cosignature import with_cosignature
from gateway.transparency.note import NoteSigner
from gateway.transparency.proof import Checkpoint, sign_checkpoint
from gateway.transparency.tree import ProofInvalid
from gateway.transparency.trust import Trust, TrustInvalid, Witness, parse_trust

ORIGIN = "gateway.example/log/2026"
NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
WITNESSES = {name: WitnessServer(f"witness.example/{name}") for name in NAMES}


def lines(*more: str) -> str:
    """The specification's example, with keys."""
    known = [f"witness {name} {WITNESSES[name].vkey} https://{name.lower()}.example/" for name in NAMES]
    return "\n".join(["# who", *known, "", *more])


EXAMPLE = lines(
    "group  X-witnesses\t2 X1 X2 X3",
    "group Y-witnesses any Y1 Y2 Y3",
    "group X-and-Y all X-witnesses Y-witnesses",
    "quorum X-and-Y",
    "",
)


def test_the_specifications_example_is_read() -> None:
    trust = parse_trust(EXAMPLE)

    assert trust == Trust(
        logs="",
        witnesses=tuple(
            Witness(name=name, vkey=WITNESSES[name].vkey, url=f"https://{name.lower()}.example")
            for name in NAMES
        ),
        quorum="X-and-Y",
        groups={
            "X-witnesses": (2, ("X1", "X2", "X3")),
            "Y-witnesses": (1, ("Y1", "Y2", "Y3")),
            "X-and-Y": (2, ("X-witnesses", "Y-witnesses")),
        },
    )


@pytest.mark.parametrize(
    ("names", "enough"),
    [
        ({"X1", "X2", "Y3"}, True),
        ({"X1", "X2", "X3", "Y1", "Y2", "Y3"}, True),
        ({"X1", "Y1", "Y2", "Y3"}, False),
        ({"X1", "X2", "X3"}, False),
        (set(), False),
        ({"X-witnesses", "Y1"}, False),
    ],
)
def test_a_quorum_is_counted_group_by_group(names: set[str], enough: bool) -> None:
    assert parse_trust(EXAMPLE).is_quorum(names) is enough


def test_no_quorum_asks_for_nobody() -> None:
    assert parse_trust("quorum none\n").is_quorum(set())


def test_logs_are_kept_one_a_line(a_signer: Callable[..., NoteSigner]) -> None:
    keys = [a_signer(seed, ORIGIN).vkey for seed in ("log", "next")]
    text = f"log {keys[0]} https://gateway.example\nlog {keys[1]}\nquorum none"

    assert parse_trust(text).logs == "\n".join(keys)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no quorum"),
        ("quorum none\nquorum none", "line 2.*not a log, a witness, a group or the one quorum"),
        ("quorum X1", "line 1.*`X1` is not known yet"),
        ("witness X1 key\nquorum X1", "line 1.*name\\+hash\\+key"),
        ("witness none key\nquorum none", "line 1.*`none` is there already"),
        ("log x y z\nquorum none", "line 1.*not a log"),
        ("quorum none\x00", "line 1.*control character"),
        ("quorum none\r\n", "line 1.*control character"),
        ("quorum\u00a0none", "line 1.*not a log"),
        (lines("group g 0 X1", "quorum g"), "`0` is not how many of 1"),
        (lines("group g 2 X1", "quorum g"), "`2` is not how many of 1"),
        (lines("group g 01 X1", "quorum g"), "`01` is not how many of 1"),
        (lines("group g some X1", "quorum g"), "`some` is not how many of 1"),
        (lines("group g " + "9" * 5000 + " X1", "quorum g"), "is not how many of 1"),
        (lines("group g any", "quorum g"), "not a log"),
        (lines("group g any X1 X1", "quorum g"), "`X1` cannot be a member here"),
        (lines("group g any none", "quorum g"), "`none` cannot be a member here"),
        (lines("group g any g", "quorum g"), "`g` is not known yet"),
        (lines("group X1 any X2", "quorum X1"), "`X1` is there already"),
        (lines(f"witness Z {WITNESSES['X1'].vkey}", "quorum Z"), "this key is there already"),
        ("#" * 70_000 + "\nquorum none", "too large"),
        ("\n" * 300 + "quorum none", "too large"),
    ],
)
def test_anything_else_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(TrustInvalid, match=why):
        parse_trust(text)


def test_a_checkpoint_needs_the_logs_signature_and_a_quorum(a_signer: Callable[..., NoteSigner]) -> None:
    trust = parse_trust(lines("group g 2 X1 X2 X3", "quorum g"))
    log = a_signer("log", ORIGIN)
    note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=7, root=bytes(32)), log)
    text = note.decode().partition("\n\n")[0] + "\n"
    for name in ("X1", "Y1"):
        note = with_cosignature(note, WITNESSES[name].line(text).encode(), WITNESSES[name].vkey)

    with pytest.raises(ProofInvalid, match="too few witnesses"):
        trust.require(note, log.vkey)
    note = with_cosignature(note, WITNESSES["X3"].line(text).encode(), WITNESSES["X3"].vkey)
    assert trust.require(note, log.vkey).size == 7
    with pytest.raises(ProofInvalid, match="not signed by the trusted key"):
        trust.require(note, a_signer("thief", ORIGIN).vkey)
