"""What YAML 1.2 means here, and what is refused because two readers could understand it differently."""

from decimal import Decimal

import pytest

from gateway.errors import RulesInvalid
from gateway.policy.read import BYTES_MAX, CHARACTER_FAULTS_MAX, read


def faults_of(text: bytes) -> list[str]:
    try:
        _, faults = read(text, file="x")
    except RulesInvalid as error:
        faults = error.faults
    return [str(fault) for fault in faults]


def test_plain_values_mean_what_yaml_1_2_says() -> None:
    text = """
texts: [no, yes, on, off, y, 1_000, 12:30, 2026-01-01, "01", 'true', 0.1.2, <<]
numbers: [0, -7, +3, 1.50, 1e3, .5, "7"]
truths: [true, False]
folded: >-
  one
  line
"""
    tree, faults = read(text.encode(), file="x")

    assert faults == ()
    assert tree.content == {
        "texts": ["no", "yes", "on", "off", "y", "1_000", "12:30", "2026-01-01", "01", "true", "0.1.2", "<<"],
        "numbers": [0, -7, 3, Decimal("1.50"), Decimal(1000), Decimal("0.5"), "7"],
        "truths": [True, False],
        "folded": "one line",
    }
    assert [type(number) for number in tree.content["numbers"]] == [int] * 3 + [Decimal] * 3 + [str]


def test_keys_and_values_know_where_they_stood() -> None:
    tree, _ = read("a: 1\nb:\n  - {c: ế, d: x}\r\n".encode(), file="x")

    assert tree.keys["b", 0, "d"] == (3, 12)
    assert tree.values["b", 0, "d"] == (3, 15)
    assert str(tree.fault(("b", 0, "missing"), "m")) == "x:3:5: m"


MISSING = "a value is missing; write one or take the name away"
GAP = "nothing stands between the last comma and this bracket"
ANCHOR = "an anchor (`&`): write the value out where it applies"
TAG = "a tag (`!`): types follow from the document's model"
KEY = "a key that is not a text; put it in quotes if it is one"
BYTE_ORDER_MARK = "the document starts with a byte order mark; save it as UTF-8 without one"
DISGUISED = [(5, "01"), (9, "0x1F"), (15, "0o7"), (20, ".inf"), (26, ".NaN")]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (b"", ["x:1:1: the document is empty"]),
        (b"# nothing\n", ["x:2:1: the document is empty"]),
        (b"- a\n", ["x:1:1: the document is not a mapping of names to values"]),
        (b"a: 1\na: 2\n", ["x:2:1: `a` is already given in line 1"]),
        (b"a: {b: 1, b: {c: &x 2}}", ["x:1:11: `b` is already given in line 1", f"x:1:18: {ANCHOR}"]),
        (b"a: &x 1\nb: *x\n", [f"x:1:4: {ANCHOR}", "x:2:4: an alias (`*`): write the value out"]),
        (b"a: !!int '1'\nb: !x [1]\n", [f"x:1:4: {TAG}", f"x:2:4: {TAG}"]),
        (b"%YAML 1.1\n---\na: no\n", ["x:1:1: a directive (`%`): the document is YAML 1.2 and has no tags"]),
        (b"a: 1\n---\nb: 1\n", ["x:2:1: a second document: one file holds one document"]),
        (b"a:\tb\n", ["x:1:3: a tab: indent and separate with spaces (inside quotes write `\\t`)"]),
        (b"\xef\xbb\xbfa: 1\n", [f"x:1:1: {BYTE_ORDER_MARK}"]),
        (b"a: 1\nb: \xff\n", ["x:2:4: the document is not UTF-8"]),
        ("a: 1\nb: x\u202ey\n".encode(), ["x:2:5: invisible character U+202E"]),
        (b"a: x\rb: 1", ["x:1:5: invisible character U+000D"]),
        ("a: x\u0085b: 1".encode(), ["x:1:5: invisible character U+0085"]),
        (b"a: [1, 2,]\nb: {c: 1, }\n", [f"x:1:10: {GAP}", f"x:2:11: {GAP}"]),
        (b"a: [1,  # one, two\n  2,  # three\n]\nb: [1, 2] # x,\n", [f"x:3:1: {GAP}"]),
        (b"1: a\n", [f"x:1:1: {KEY}"]),
        (b"true: a\n? [b]\n: c\n", [f"x:1:1: {KEY}", "x:2:3: a key that is not a text"]),
        (
            b"a:\nb: ~\nc: null\nd: [,]",
            ["x:4:5: not readable as YAML: did not find expected node content"],
        ),
        (b"a:\nb: ~\nc: null\n", [f"x:1:1: {MISSING}", f"x:2:4: {MISSING}", f"x:3:4: {MISSING}"]),
        (
            b"a: [01, 0x1F, 0o7, .inf, .NaN]\n",
            [f"x:1:{at}: `{word}` is a text or a number; put a text in quotes" for at, word in DISGUISED],
        ),
        (b"a: " + b"9" * 31, ["x:1:4: a number of more than 30 digits"]),
        (b"a: 'b\n", ["x:2:1: not readable as YAML: found unexpected end of stream"]),
        (b"a: " + b"[" * 21 + b"]" * 21, ["x:1:24: more than 20 levels"]),
        (b"a: " + b"x" * BYTES_MAX, [f"x:1:1: the document is larger than {BYTES_MAX} bytes"]),
    ],
)
def test_what_could_be_understood_differently_is_refused_with_its_place(
    text: bytes, faults: list[str]
) -> None:
    """Promise P3."""
    assert faults_of(text) == faults


@pytest.mark.parametrize("opening", [b"[", b"{", b"- ", b"? "])
def test_a_megabyte_of_openings_is_refused_at_the_twentieth_level(opening: bytes) -> None:
    (fault,) = faults_of(b"a:\n " + opening * (BYTES_MAX // len(opening) - 5))

    assert fault.endswith("more than 20 levels")


def test_twenty_levels_are_read() -> None:
    assert faults_of(b"a: " + b"[" * 20 + b"]" * 20) == []


def test_a_document_full_of_tabs_is_told_so_a_few_times() -> None:
    assert len(faults_of(b"\t" * 100)) == CHARACTER_FAULTS_MAX


BOMB = b"a: &a [x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (at, at, b", ".join([b"*%c" % (at - 1)] * 9)) for at in range(ord("b"), ord("z"))
)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (BOMB, f"x:1:4: {ANCHOR}"),
        (b"a: &a [*a]\n", f"x:1:4: {ANCHOR}"),
        (b"a: &a {b: *a}\n", f"x:1:4: {ANCHOR}"),
        (b"a: {<<: *b}\n", "x:1:9: an alias (`*`): write the value out"),
        ("a: Hà Nội\n".encode("utf-16"), "x:1:1: the document is not UTF-8"),
        ("a: Hà Nội\n".encode("utf-8-sig"), f"x:1:1: {BYTE_ORDER_MARK}"),
        ("a: Hà Nội\n".encode("cp1258", "ignore"), "x:1:5: the document is not UTF-8"),
        ("a: H\n".encode("utf-16-le"), "x:1:2: invisible character U+0000"),
        (b"a: " + b"x" * 10_000_000, f"x:1:1: the document is larger than {BYTES_MAX} bytes"),
        (b"a:\n\t- b\n", "x:2:1: a tab: indent and separate with spaces (inside quotes write `\\t`)"),
    ],
)
def test_what_is_made_to_hurt_or_comes_from_elsewhere_is_refused_at_its_place(
    text: bytes, first: str
) -> None:
    """Promise P3."""
    assert faults_of(text)[0] == first
