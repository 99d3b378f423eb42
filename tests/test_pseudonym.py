"""What a token promises: one person, one token at one recipient; nothing in common at two; no forgery."""

import hmac
import re
import sys
import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pseudonym import KEY_BYTES, TEXT_BYTES_MAX, PseudonymKey, canonical, tokens_of, value_of

HANDLE = PseudonymKey(bytes(range(KEY_BYTES)))
KEY = HANDLE.token_key("person", "org-a")
OTHER_KEY = HANDLE.token_key("person", "org-b")
SHORT_TOKEN = re.compile(r"p1_[0-9a-z]{29}")

identifiers = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=20)
texts = st.text(max_size=60)
keys = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)


def tokens(values: list[str | None], key: bytes = KEY) -> list[str | None]:
    return tokens_of(values, key)


def canonical_text(text: str) -> str | None:
    """The spelling that comes back, said in another library's words."""
    return unicodedata.normalize("NFC", text).strip() or None


@pytest.mark.parametrize(
    "value",
    [
        *("0", "00", "A", "C1234567", "0912345678", "001203123456", "000000000000", "ZZZZZZZZZZZZ"),
        *("1234567890123", "AA00000000000", "DN4010123456789", "4111111111111111", "ZZ999999999999999"),
    ],
)
def test_short_identifiers_become_one_block_and_come_back_with_their_zeros(value: str) -> None:
    (token,) = tokens([value])

    assert token is not None
    assert SHORT_TOKEN.fullmatch(token)
    assert value_of(token, KEY) == value


@pytest.mark.parametrize(
    "value",
    ["Nguyễn Thị Hồng", "an@example.vn", "29A-123.45", "4111 1111", "a\0", "\x80", "1" * 18, "đ" * 512],
)
def test_other_texts_become_longer_tokens_and_come_back(value: str) -> None:
    (token,) = tokens([value])

    assert token is not None
    assert not SHORT_TOKEN.fullmatch(token)
    assert value_of(token, KEY) == value


@given(st.lists(st.one_of(st.none(), identifiers, texts), max_size=20), keys)
def test_every_token_gives_back_the_canonical_text(values: list[str | None], key: bytes) -> None:
    """Promise P8: the owner can reverse them."""
    made = tokens(values, key)

    back = [None if token is None else value_of(token, key) for token in made]
    assert back == [None if value is None else canonical_text(value) for value in values]
    assert tokens(back, key) == made


@given(st.lists(st.one_of(identifiers, texts), max_size=20))
def test_a_token_does_not_depend_on_the_values_around_it(values: list[str]) -> None:
    assert tokens(values) == [tokens([value])[0] for value in values]


@given(st.lists(st.one_of(identifiers, texts), unique_by=canonical_text, max_size=30))
def test_different_people_have_different_tokens(values: list[str]) -> None:
    made = [token for token in tokens(values) if token is not None]

    assert len(set(made)) == len(made)


def test_ten_thousand_people_share_no_token_at_two_recipients() -> None:
    """Promise P8."""
    people: list[str | None] = [f"{n * 7919:012d}" for n in range(9_000)] + [
        f"Người {n}" for n in range(1_000)
    ]

    at_one, at_other = tokens(people), tokens(people, OTHER_KEY)

    assert len(set(at_one)) == len(set(at_other)) == 10_000
    assert set(at_one).isdisjoint(at_other)


def test_two_extracts_of_one_recipient_join_on_the_token() -> None:
    """Promise P8."""
    assert tokens(["001203123456", "Lê Văn Tám"]) == tokens(["Lê Văn Tám", "001203123456"])[::-1]


def test_one_text_has_one_token_in_every_chunk_of_a_long_column() -> None:
    values: list[str | None] = [f"{n:012d}" for n in range(40_000)]

    made = tokens(values)

    assert [made[0], made[20_000], made[39_999]] == tokens([values[0], values[20_000], values[39_999]])


def test_both_spellings_of_an_accent_are_one_person() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Nguyễn Đình Đức") for form in ("NFC", "NFD"))

    assert composed != decomposed
    assert tokens([composed, decomposed, f" {composed}\u00a0"]) == tokens([composed]) * 3


@pytest.mark.parametrize("value", [None, "", " ", "\t\u3000\u00a0", "x" * (TEXT_BYTES_MAX + 1)])
def test_what_names_nobody_gets_no_token(value: str | None) -> None:
    assert tokens([value]) == [None]


def test_no_character_stands_for_more_code_points_than_the_bound_before_nfc_allows() -> None:
    """So a text of more than twice as many code points as bytes allowed is too long after NFC too."""
    for code in range(sys.maxunicode + 1):
        parts, size = unicodedata.normalize("NFD", chr(code)), len(chr(code).encode("utf-8", "replace"))
        assert 2 * len(parts) <= 3 * size


edges = st.text(" \t\u2000\u3000\u0301\u0316a\u212b\u1fbe\u0308", max_size=12)


@given(edges, texts, edges, st.sampled_from([1, 60, 400]))
def test_a_canonical_text_is_nfc_without_space_around(
    before: str, text: str, behind: str, times: int
) -> None:
    written = before + text * times + behind
    expected = canonical_text(written)

    is_short = expected is not None and len(expected.encode()) <= TEXT_BYTES_MAX
    assert canonical(written) == (expected if is_short else None)


def test_a_text_that_is_short_only_in_nfc_is_an_identifier() -> None:
    longest = "\u1fbe\u0308\u0301" * (TEXT_BYTES_MAX // 2)  # three code points for two bytes

    assert canonical(longest) == "\u0390" * (TEXT_BYTES_MAX // 2)
    assert canonical(longest + "\u1fbe\u0308\u0301") is None


@pytest.mark.parametrize("marks", ["\u0316\u0301" * 20_000, "\u0301" * 20_000 + "\u0316" * 20_000])
def test_a_text_of_very_many_marks_is_refused_at_once(marks: str) -> None:
    """NFC takes time in the square of a run of marks, and holds the interpreter meanwhile."""
    began = time.process_time()

    assert tokens(["a" + marks]) == [None]
    assert time.process_time() - began < 0.1


def test_an_empty_column_stays_empty() -> None:
    assert tokens([]) == []


@given(st.one_of(identifiers, texts), keys)
def test_no_token_holds_two_neighbouring_digits(value: str, key: bytes) -> None:
    assert re.search(r"[0-9][^a-z]*[0-9]", tokens([value], key)[0] or "") is None


@given(st.one_of(identifiers, texts).filter(canonical_text), st.data())
def test_no_single_bit_can_be_changed(value: str, data: st.DataObject) -> None:
    """Promise P8: never garbage."""
    (token,) = tokens([value])
    assert token is not None
    place = data.draw(st.integers(0, len(token) - 1))
    forged = token[:place] + chr(ord(token[place]) ^ 1 << data.draw(st.integers(0, 6))) + token[place + 1 :]

    with pytest.raises(ValueError, match="not a token of this key"):
        value_of(forged, KEY)


@settings(max_examples=50)
@given(st.one_of(identifiers, texts).filter(canonical_text), keys.filter(lambda key: key != KEY))
def test_another_key_reads_nothing(value: str, key: bytes) -> None:
    (token,) = tokens([value])
    assert token is not None

    with pytest.raises(ValueError, match="not a token of this key"):
        value_of(token, key)


@given(st.text(max_size=70) | st.text("bcdfghjkmnpqrstv", min_size=29, max_size=29).map("p1_".__add__))
def test_no_text_that_was_not_issued_is_a_token(text: str) -> None:
    with pytest.raises(ValueError, match="not a token of this key"):
        value_of(text, KEY)


@pytest.mark.parametrize(
    "change",
    [str.upper, lambda t: t + "b", lambda t: t[:3], lambda t: t[3:], lambda t: t + t[3:], lambda t: t * 99],
)
@pytest.mark.parametrize("value", ["001203123456", "Lê Văn Tám"])
def test_a_token_has_one_spelling(value: str, change: Callable[[str], str]) -> None:
    (token,) = tokens([value])
    assert token is not None

    with pytest.raises(ValueError, match="not a token of this key"):
        value_of(change(token), KEY)


def test_each_part_of_a_keys_name_makes_another_key() -> None:
    names = [
        ("token", "person", "org-a", "1"),
        ("order", "person", "org-a", "1"),
        ("token", "home", "org-a", "1"),
    ]
    names += [
        ("token", "person", "org-b", "1"),
        ("token", "person", "org-a", "2"),
        ("token", "pers", "onorg-a", "1"),
    ]

    derived = {HANDLE.derive(*name) for name in names}

    assert len(derived) == len(names)
    assert {len(key) for key in derived} == {KEY_BYTES}


def test_derivation_is_hkdf_over_the_named_parts() -> None:
    """Computed apart with HMAC-SHA256 as RFC 5869 section 2 writes it."""
    extracted = hmac.digest(bytes(32), bytes(range(KEY_BYTES)), "sha256")

    expanded = hmac.digest(extracted, b"gw1|token|person|org-a|1\x01", "sha256")

    assert HANDLE.derive("token", "person", "org-a", "1") == expanded


@pytest.mark.parametrize("part", ["", "a|b", "|", "x" * 201])
@pytest.mark.parametrize("place", range(4))
def test_a_part_that_could_blur_two_names_is_refused(part: str, place: int) -> None:
    parts = ["token", "person", "org-a", "1"]
    parts[place] = part

    with pytest.raises(ValueError, match="a part of a key's name"):
        HANDLE.derive(*parts)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_master_secret_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="master secret"):
        PseudonymKey(bytes(size))


def test_the_handle_shows_nothing_of_its_secret() -> None:
    assert repr(HANDLE) == str(HANDLE) == "PseudonymKey(hidden)"


def test_orders_of_two_datasets_or_recipients_differ() -> None:
    orders = {HANDLE.order_key(org, dataset) for org in ("org-a", "org-b") for dataset in ("homes", "visits")}

    assert len(orders) == 4


def test_stored_tokens_stay_readable() -> None:
    """Frozen vectors: a change of the codec that breaks them needs a new prefix."""
    assert tokens(["001203123456", "Lê Văn Tám"]) == [
        "p1_m8kngzsevccdpeh6r7bmp6qvn9feb",
        "p1_rfbrdybmrypdk5magsg1rkqdner5fjgdwt9m9ttjvjzrddwnbfrf0nqb6d",
    ]
