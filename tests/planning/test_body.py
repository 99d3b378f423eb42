"""JSON is read strictly: one text has one meaning, and a bad one a typed refusal."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import MalformedRequest
from gateway.planning.body import members_of

ALLOWED = ("a", "b", "where")


def test_numbers_stay_exact() -> None:
    body = b'{"a": 0.10000000000000000001, "b": 12345678901234567890}'

    assert members_of(body, allowed=ALLOWED) == {
        "a": Decimal("0.10000000000000000001"),
        "b": 12345678901234567890,
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"a"',
        b'{"a": 1',
        b'{"a": 1}}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"x": 1, "x": 1}}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1' + b"0" * 40 + b"}",
        b'{"a": 1e' + b"0" * 40 + b"1}",
        b'{"a": 01}',
        b"{'a': 1}",
        b'{"a": "\\ud800"}',
        b'{"a": "\\u0000"}',
        b'{"\\ud800": 1}',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": ' + b"[" * 30 + b"]" * 30 + b"}",
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"c": 1}',
    ],
)
def test_what_is_not_one_strict_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequest) as refused:
        members_of(body, allowed=ALLOWED)

    assert len(refused.value.detail) < 100


def test_a_slip_in_a_name_is_answered_with_what_was_perhaps_meant() -> None:
    with pytest.raises(MalformedRequest, match="`wher` is not known, perhaps `where` is meant"):
        members_of(b'{"wher": 1}', allowed=ALLOWED)


@given(st.one_of(st.binary(max_size=50), st.text(max_size=50).map(lambda text: text.encode("utf-8"))))
@settings(max_examples=200)
def test_no_bytes_raise_anything_but_malformed(body: bytes) -> None:
    try:
        members_of(body, allowed=ALLOWED)
    except MalformedRequest as error:
        assert error.detail  # noqa: PT017 - most bodies are refused, a few are not
