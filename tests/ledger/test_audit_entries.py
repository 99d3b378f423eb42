"""The fast reading of entries accepts what the strict one accepts, and nothing else."""

import random
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from roots import root_of

from gateway.ledger.audit_entries import EntryInvalid, read_entry
from gateway.ledger.audit_tree import GrowingTree
from gateway.terms.entry import EntryKind
from gateway.transparency.canonical import NotCanonical, canonical, parsed
from gateway.transparency.tiles import Tiles
from gateway.transparency.tree import leaf_hash

TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
FACTS = st.dictionaries(
    NAMES,
    TEXTS
    | INTEGERS
    | st.booleans()
    | st.lists(TEXTS, max_size=3)
    | st.dictionaries(NAMES, INTEGERS, max_size=3),
    max_size=5,
)
NATURAL = st.integers(0, 2**53 - 1)
DEBITS = st.fixed_dictionaries(
    {"node": NAMES, "rho": NATURAL, "delta": NATURAL, "rho_after": NATURAL, "delta_after": NATURAL}
)
ENTRIES = st.fixed_dictionaries(
    {
        "v": st.just(1),
        "kind": st.sampled_from([kind.value for kind in EntryKind]),
        "id": NAMES,
        "ts": NATURAL,
        "facts": FACTS,
        "commitments": st.dictionaries(st.sampled_from(["body", "peer"]), st.just("A" * 43)),
    },
    optional={
        "charge": NATURAL,
        "changes": st.lists(NAMES, max_size=3),
        "debits": st.lists(DEBITS, max_size=3),
    },
)
MUTATED = settings(max_examples=400, deadline=None)


@given(ENTRIES)
@settings(deadline=None)
def test_every_canonical_entry_is_read(document: dict[str, Any]) -> None:
    leaf = canonical(document)

    entry = read_entry(leaf)

    assert rfc8785.dumps(document) == leaf
    assert (entry.kind, entry.id, entry.ts, entry.facts) == tuple(
        document[name] for name in ("kind", "id", "ts", "facts")
    )


@given(ENTRIES, st.randoms(use_true_random=False))
@MUTATED
def test_what_the_fast_way_reads_the_strict_way_reads_as_the_same(
    document: dict[str, Any], chance: random.Random
) -> None:
    leaf = bytearray(canonical(document))
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(leaf))
        match chance.randrange(4):
            case 0:
                leaf[place] ^= 1 << chance.randrange(8)
            case 1:
                del leaf[place]
            case 2:
                leaf[place:place] = chance.choice(
                    [b" ", b"0", b"-", b".0", b"e1", b"null", b"\\u0041", b'"a":1,']
                )
            case _:
                leaf[place:place] = leaf[: chance.randrange(len(leaf))]

    try:
        entry = read_entry(bytes(leaf))
    except EntryInvalid:
        return
    assert parsed(bytes(leaf))["facts"] == entry.facts


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"v": 2}, "is not of an entry's form"),
        ({"kind": "other"}, "is not of an entry's form"),
        ({"more": 1}, "is not of an entry's form"),
        ({"ts": -1}, "is not of an entry's form"),
        ({"charge": True}, "is not of an entry's form"),
        ({"facts": {"a": {"b": "c"}}}, "is not of an entry's form"),
        ({"commitments": {"body": "short"}}, "is not of an entry's form"),
        ({"commitments": {"body": "A" * 42 + "="}}, "a commitment is not base64url"),
        ({"commitments": {"body": "A" * 43, "peer": "é" * 43}}, "a commitment is not base64url"),
        ({"id": "two words"}, "a name is not of visible ASCII"),
        ({"id": "n\n"}, "a name is not of visible ASCII"),
        ({"id": ""}, "is not of an entry's form"),
        ({"changes": ["client/a", "client/b\x7f"]}, "a name is not of visible ASCII"),
        ({"changes": [""]}, "is not of an entry's form"),
        (
            {"debits": [{"node": "é", "rho": 1, "delta": 0, "rho_after": 1, "delta_after": 0}]},
            "a name is not of visible ASCII",
        ),
        ({"debits": [{"node": "n", "rho": 1, "delta": 0}]}, "is not of an entry's form"),
        ({"facts": {"a": "x" * 5000}}, "has 5,"),
    ],
)
def test_canonical_json_that_is_no_entry_is_named(change: dict[str, Any], says: str) -> None:
    good = {"v": 1, "kind": "single", "id": "r", "ts": 0, "facts": {}, "commitments": {}}

    with pytest.raises(EntryInvalid, match=says):
        read_entry(canonical(good | change))


@pytest.mark.parametrize(
    "value",
    [
        b"null", b"1.5", b"1e3", b"NaN", b"9007199254740992", b'"\\u0041"', b'"\xed\xa0\x80"',
        b'{"b":1,"a":2}', b"[1, 2]", b'{"\xc3\xa9":1}',
    ],
)  # fmt: skip
def test_another_spelling_is_not_canonical(value: bytes) -> None:
    leaf = b'{"commitments":{},"facts":{"a":' + value + b'},"id":"r","kind":"single","ts":0,"v":1}'

    with pytest.raises(EntryInvalid, match="is not canonical JSON"):
        read_entry(leaf)
    with pytest.raises(NotCanonical):
        parsed(leaf)


@given(st.integers(0, 1500), st.lists(st.integers(0, 1500), max_size=8))
@settings(max_examples=25, deadline=None)
def test_the_tree_grown_by_tiles_is_that_of_the_leaves_at_every_size(size: int, sizes: list[int]) -> None:
    leaves = [b"%d" % number for number in range(size)]
    grown, reference, tiles = GrowingTree(), Tiles(0, lambda *_: b""), dict[tuple[int, int], bytes]()
    for start in range(0, size, 256):
        batch = leaves[start : start + 256]
        tiles |= {(level, number): hashes for level, number, hashes in grown.grow(batch)}
        for at in [at for at in sizes if start <= at <= start + len(batch)]:
            assert grown.root_at(at) == root_of(map(leaf_hash, leaves[:at]))
    for leaf in leaves:
        reference.append(leaf_hash(leaf))
    stored = {(level, number): hashes for level, number, hashes in reference.changed()}

    assert (grown.size, grown.root_at(size)) == (size, reference.root())
    assert tiles | {(level, number): hashes for level, number, hashes in grown.growing()} == stored
