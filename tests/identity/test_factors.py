"""Factors counted honestly: kinds, not methods; a person's, not a machine's; proved, not claimed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.factors import amr_of, assurance_at, assurance_of, kinds_of
from gateway.terms.caller import Assurance, Factor
from tests.faults.share import say

RFC_8176 = (
    *("face", "fpt", "geo", "hwk", "iris", "kba", "mca", "mfa", "otp", "pin", "pop"),
    *("pwd", "rba", "retina", "sc", "sms", "swk", "tel", "user", "vbm", "wia"),
)
methods = st.lists(st.sampled_from(RFC_8176), max_size=6)
ages = st.none() | st.integers(-100, 40_000)


@pytest.mark.parametrize(
    ("proved", "kinds"),
    [
        ((), set()),
        (("pwd",), {Factor.KNOWLEDGE}),
        (("pwd", "pin", "kba"), {Factor.KNOWLEDGE}),
        (("otp", "sms", "hwk", "swk", "sc", "tel", "pop"), {Factor.POSSESSION}),
        (("face", "fpt", "iris", "retina", "vbm"), {Factor.INHERENCE}),
        (("pwd", "otp"), {Factor.KNOWLEDGE, Factor.POSSESSION}),
        (("mfa", "user", "mca", "geo", "rba", "wia", "magic"), set()),
    ],
)
def test_two_methods_of_one_kind_are_one_kind(proved: tuple[str, ...], kinds: set[Factor]) -> None:
    """Promise P6."""
    assert kinds_of(proved) == kinds


@pytest.mark.parametrize(
    ("proved", "age_s", "assurance"),
    [
        # the client alone, or nothing that counts as a person
        ((), None, Assurance.AAL1),
        (("pop", "swk"), 0, Assurance.AAL1),
        (("mfa",), 0, Assurance.AAL1),
        (("mfa", "user"), 0, Assurance.AAL1),
        # one kind of factor, once or twice
        (("pwd",), 0, Assurance.AAL1),
        (("pwd", "pin"), 0, Assurance.AAL1),
        (("otp", "sms"), 0, Assurance.AAL1),
        (("hwk", "otp", "mfa"), 0, Assurance.AAL1),
        (("hwk", "user"), 0, Assurance.AAL1),
        # a person's password does not become two kinds beside the client's own keys
        (("pwd", "pop", "swk"), 0, Assurance.AAL1),
        (("pwd", "swk"), 0, Assurance.AAL1),
        # two kinds, in the window
        (("pwd", "otp"), 0, Assurance.AAL2),
        (("pwd", "otp"), 8 * 3600, Assurance.AAL2),
        (("pwd", "otp"), 8 * 3600 + 1, Assurance.AAL1),
        (("pwd", "otp"), -1, Assurance.AAL1),
        (("pwd", "otp"), None, Assurance.AAL1),
        (("pwd", "hwk"), 0, Assurance.AAL2),
        (("pwd", "otp", "user"), 0, Assurance.AAL2),
        # a hardware key in presence, with a second kind, fresh
        (("hwk", "user", "pin"), 900, Assurance.AAL3),
        (("hwk", "user", "fpt"), 0, Assurance.AAL3),
        (("hwk", "user", "pwd"), 0, Assurance.AAL3),
        (("hwk", "user", "pin"), 901, Assurance.AAL2),
        (("hwk", "user", "pin"), None, Assurance.AAL1),
    ],
)
def test_assurance_is_what_was_proved(
    proved: tuple[str, ...], age_s: int | None, assurance: Assurance
) -> None:
    """Promise P6."""
    assert assurance_of(proved, age_s=age_s) is assurance


@given(methods, ages)
def test_claiming_mfa_changes_nothing(proved: list[str], age_s: int | None) -> None:
    """Promise P6."""
    without = [method for method in proved if method != "mfa"]

    assert assurance_of([*proved, "mfa"], age_s=age_s) is assurance_of(without, age_s=age_s)
    assert amr_of([*proved, "mfa"]) == amr_of(without)


@given(methods, ages)
def test_another_key_of_the_client_changes_nothing(proved: list[str], age_s: int | None) -> None:
    """Promise P6. Two keys on one server are one kind of factor."""
    assert assurance_of([*proved, "pop", "swk"], age_s=age_s) is assurance_of(
        [method for method in proved if method not in {"pop", "swk"}], age_s=age_s
    )


@given(methods, ages)
def test_mfa_is_said_exactly_when_a_person_proved_two_kinds(proved: list[str], age_s: int | None) -> None:
    """Promise P6."""
    amr = amr_of(proved)
    person = [method for method in proved if method not in {"pop", "swk"}]

    assert ("mfa" in amr) == (len(kinds_of(person)) >= 2)
    assert assurance_of(amr, age_s=age_s) is assurance_of(proved, age_s=age_s)
    if assurance_of(amr, age_s=age_s) > Assurance.AAL1:
        assert "mfa" in amr


@given(methods)
def test_methods_have_one_spelling(proved: list[str]) -> None:
    amr = amr_of(proved)

    assert list(amr) == sorted(set(amr))
    assert {"pop", "swk"} <= set(amr)
    assert amr_of(amr) == amr
    assert amr_of(reversed(proved * 2)) == amr


@given(methods, st.integers(0, 40_000), st.integers(0, 40_000))
def test_assurance_never_grows_with_age(proved: list[str], one: int, other: int) -> None:
    younger, older = sorted((one, other))

    assert assurance_of(proved, age_s=older) <= assurance_of(proved, age_s=younger)


def test_a_method_nobody_has_heard_of_is_not_put_into_a_token() -> None:
    with pytest.raises(ValueError, match="`magic`"):
        amr_of(["pwd", "magic"])


def test_age_is_counted_in_whole_seconds() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    signed_in = at + timedelta(microseconds=900_000)

    assert assurance_at(["pwd", "otp"], authenticated_at=signed_in, at=at) is Assurance.AAL2
    assert assurance_at(["pwd", "otp"], authenticated_at=None, at=at) is Assurance.AAL1


# every subset of RFC 8176's values against a table of our own, in another way than the code's

KNOWLEDGE, POSSESSION, INHERENCE = 1, 2, 4
PERSONS_KIND = {
    **dict.fromkeys(("pwd", "pin", "kba"), KNOWLEDGE),
    **dict.fromkeys(("otp", "hwk", "sc", "sms", "tel"), POSSESSION),
    **dict.fromkeys(("face", "fpt", "iris", "retina", "vbm"), INHERENCE),
}
"""``pop`` and ``swk`` are the client's own keys, and the rest of the list proves no factor."""
AGES = {None: 1, -1: 1, 0: 3, 900: 3, 901: 2, 8 * 3600: 2, 8 * 3600 + 1: 1}
"""The highest level that a sign-in of an age can have."""


def faults_among(values: tuple[str, ...]) -> tuple[int, list[object]]:
    """Return how many subsets there are, and those whose level is not the table's."""
    faults: list[object] = []
    kinds = [PERSONS_KIND.get(value, 0) for value in values]
    hardware = {1 << number for number, value in enumerate(values) if value == "hwk"}
    presence = {1 << number for number, value in enumerate(values) if value == "user"}
    for bits in range(1 << len(values)):
        proved, found = [], 0
        for number, value in enumerate(values):
            if bits >> number & 1:
                proved.append(value)
                found |= kinds[number]
        level = 1
        if found.bit_count() >= 2:
            touched = all(any(bits & bit for bit in wanted) for wanted in (hardware, presence))
            level = 3 if touched else 2
        for age_s, highest in AGES.items():
            if assurance_of(proved, age_s=age_s) != min(level, highest):
                faults.append((proved, age_s))
    return 1 << len(values), faults


RELEVANT = ("pwd", "pin", "kba", "otp", "hwk", "swk", "sc", "pop", "face", "fpt", "user", "mfa", "mca")


def test_every_subset_of_the_values_that_matter_has_the_level_of_the_table() -> None:
    """Promise P6: of each kind at least two, and each that proves nothing but could be believed."""
    assert faults_among(RELEVANT) == (2**13, [])


@pytest.mark.long
def test_every_subset_of_rfc_8176_has_the_level_of_the_table() -> None:
    """Promise P6: all of them, at every age where the level changes."""
    count, faults = faults_among(RFC_8176)

    say(f"{count:,} subsets of RFC 8176 at {len(AGES)} ages: {len(faults)} at another level")
    assert (count, faults) == (2**21, [])
