"""One-time codes as authenticator apps make them."""

import base64
from datetime import UTC, datetime

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.totp import accepted_step, code_at, step_at

SECRET = b"12345678901234567890"
NOW = datetime(2026, 1, 1, 0, 0, 15, tzinfo=UTC)


def at(step: int) -> datetime:
    return datetime.fromtimestamp(step * 30 + 29, UTC)


# RFC 6238 appendix B, the last six of eight digits
@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_vectors_of_the_standard_hold(seconds: int, code: str) -> None:
    now = datetime.fromtimestamp(seconds, UTC)

    assert code_at(SECRET, seconds // 30) == code
    assert accepted_step(SECRET, code, now) == seconds // 30


@given(st.binary(min_size=16, max_size=32), st.integers(0, 2**33))
def test_another_library_makes_the_same_codes(secret: bytes, seconds: int) -> None:
    other = pyotp.TOTP(base64.b32encode(secret).decode())

    assert code_at(secret, seconds // 30) == other.at(seconds)


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_code_of_a_neighbouring_step_is_accepted_and_its_step_told(offset: int) -> None:
    step = step_at(NOW) + offset

    assert accepted_step(SECRET, code_at(SECRET, step), NOW) == step


@pytest.mark.parametrize("offset", [-2, 2, 100])
def test_a_code_of_a_farther_step_is_refused(offset: int) -> None:
    assert accepted_step(SECRET, code_at(SECRET, step_at(NOW) + offset), NOW) is None


@given(st.integers(10**6, 10**8))
def test_the_step_is_the_callers_to_use_up(step: int) -> None:
    """Promise P7. The same code tells the same step, so that a store of steps refuses its reuse."""
    code = code_at(SECRET, step)

    assert {accepted_step(SECRET, code, at(step)) for _ in range(2)} == {step}


@pytest.mark.parametrize(
    "code",
    [
        "",
        "12345",
        "1234567",
        "12345a",
        " 123456",
        "123456\n",
        "+12345",
        "\uff11" * 6,
        "\u0661" * 6,
        "\ud800" * 6,
    ],
)
def test_a_code_is_six_ascii_digits(code: str) -> None:
    assert accepted_step(SECRET, code, NOW) is None


def test_the_right_code_in_another_scripts_digits_is_refused() -> None:
    code = code_at(SECRET, step_at(NOW)).translate({48 + i: 0xFF10 + i for i in range(10)})

    assert code.isdecimal()
    assert accepted_step(SECRET, code, NOW) is None


def test_time_begins_at_nought() -> None:
    assert accepted_step(SECRET, code_at(SECRET, 0), datetime(1970, 1, 1, tzinfo=UTC)) == 0
