"""One document, one spelling: RFC 8785 on our subset, and nothing else is read."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from gateway.transparency.canonical import NotCanonical, canonical, parsed

names = st.text(st.characters(codec="ascii"), max_size=8)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
scalars = st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(names, values, max_size=5)


@given(documents)
def test_our_bytes_are_those_of_rfc_8785(document: dict[str, object]) -> None:
    assert canonical(document) == rfc8785.dumps(document)


@given(documents)
def test_what_is_written_reads_back_the_same(document: dict[str, object]) -> None:
    assert parsed(canonical(document)) == document


@given(documents, st.data())
def test_any_other_spelling_of_a_document_is_refused(
    document: dict[str, object], data: st.DataObject
) -> None:
    other = json.dumps(document, indent=data.draw(st.sampled_from([0, 1])), ensure_ascii=True).encode()

    if other != canonical(document):
        with pytest.raises(NotCanonical):
            parsed(other)


@pytest.mark.parametrize(
    "document",
    [1.0, None, 2**53, -(2**53), {"é": 1}, {1: 1}, b"x", float("nan"), ["\ud800"], {"a": {"b": [None]}}],
)
def test_a_value_outside_the_subset_has_no_spelling(document: object) -> None:
    with pytest.raises(NotCanonical):
        canonical(document)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"1",
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":null}',
        b'{"a":NaN}',
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":-0}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":9007199254740992}',
        b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}",
        b'{"a":' + b"[" * 16 + b"]" * 16 + b"}",
        b'{"a":' + b"9" * 4400 + b"}",
    ],
)
def test_what_is_not_the_one_spelling_is_not_read(text: bytes) -> None:
    with pytest.raises(NotCanonical):
        parsed(text)


def test_sixteen_levels_are_read() -> None:
    text = b'{"a":' + b"[" * 15 + b"]" * 15 + b"}"

    assert canonical(parsed(text)) == text
