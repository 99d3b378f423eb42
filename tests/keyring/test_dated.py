"""Keys that replace one another by the clock: the same in every process that has the files and the time."""

import copy
import pickle
from pathlib import Path

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import HomeInvalid
from gateway.keyring.ages import DAY_S, DAYS, KeyRow, key_rows, warning_of
from gateway.keyring.dated import FILES_MAX, KeyState
from gateway.keyring.keyring import Keyring
from gateway.keyring.sealing_keys import new_master
from gateway.keyring.token_keys import BELIEVED_S, new_token_key

ORIGIN = "gateway.example/log"


class Hands:
    """A clock of Unix seconds."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands(1_000_000.0)


@pytest.fixture
def keyring(tmp_path: Path, hands: Hands) -> Keyring:
    Keyring.create(tmp_path / "keys", log_name=ORIGIN)
    return Keyring.open(tmp_path / "keys", log_name=ORIGIN, now=hands)


def signed_with(keyring: Keyring) -> str:
    return str(jwt.get_unverified_header(keyring.tokens.sign({"sub": "a"}, "at+jwt"))["kid"])


def test_a_key_for_tokens_is_announced_active_retired_and_gone(keyring: Keyring, hands: Hands) -> None:
    old = keyring.tokens.kid
    new = keyring.tokens.files.add(new_token_key(), int(hands.now) + 100).kid

    assert (signed_with(keyring), set(keyring.tokens.public_keys)) == (old, {old, new})
    hands.now += 99.9
    assert signed_with(keyring) == old
    hands.now += 0.1
    assert (signed_with(keyring), set(keyring.tokens.public_keys)) == (new, {old, new})
    hands.now += BELIEVED_S - 0.1
    assert set(keyring.tokens.public_keys) == {old, new}
    hands.now += 0.1
    assert set(keyring.tokens.public_keys) == {new}
    assert [key["kid"] for key in keyring.tokens.jwks["keys"]] == [new]  # type: ignore[attr-defined]


def test_a_token_is_believed_for_longer_than_it_can_live() -> None:
    from gateway.identity.token import LIFETIME_MAX_S  # noqa: PLC0415  what the figure stands on

    assert BELIEVED_S == LIFETIME_MAX_S + 60


@given(st.lists(st.integers(1, 50), unique=True, max_size=4), st.integers(0, 60))
def test_two_processes_with_the_same_files_and_time_agree(
    tmp_path_factory: pytest.TempPathFactory, seconds: list[int], now: int
) -> None:
    folder = tmp_path_factory.mktemp("home") / "keys"
    Keyring.create(folder, log_name=ORIGIN)
    first, second = (Keyring.open(folder, log_name=ORIGIN, now=Hands(now)) for _ in range(2))
    for each in seconds:
        first.tokens.files.add(new_token_key(), each)
    second.reload(frozenset())

    assert [(key.name, state) for key, state, _ in first.tokens.files.states()] == [
        (key.name, state) for key, state, _ in second.tokens.files.states()
    ]
    states = [state for _, state, _ in first.tokens.files.states()]
    assert states.count(KeyState.ACTIVE) == 1
    assert states.count(KeyState.ANNOUNCED) == sum(each > now for each in seconds)
    assert second.tokens.public_keys[first.tokens.kid] is not None


def test_every_sealing_key_opens_and_the_active_one_seals(keyring: Keyring, hands: Hands) -> None:
    first = keyring.sealer.seal("cursor", b"page 2")
    keyring.sealer.files.add(new_master(), int(hands.now) + 10)
    hands.now += 11
    second = keyring.sealer.seal("cursor", b"page 3")

    assert keyring.sealer.unseal("cursor", first) == b"page 2"
    assert keyring.sealer.unseal("cursor", second) == b"page 3"
    with pytest.raises(ValueError, match="not sealed here"):
        keyring.sealer.unseal("totp", second)
    with pytest.raises(ValueError, match="not sealed here"):
        keyring.sealer.files.keys[-1].key.unseal("cursor", second)


def test_the_first_sealing_key_must_stay(keyring: Keyring, hands: Hands, tmp_path: Path) -> None:
    keyring.sealer.files.add(new_master(), int(hands.now))
    (tmp_path / "keys" / "sealing.key").unlink()

    with pytest.raises(HomeInvalid):
        Keyring.open(tmp_path / "keys", log_name=ORIGIN)


def test_a_dated_key_is_as_private_as_every_other(keyring: Keyring, hands: Hands, tmp_path: Path) -> None:
    keyring.tokens.files.add(new_token_key(), int(hands.now) + 5)
    keyring.sealer.files.add(new_master(), int(hands.now) + 5)
    shown = " ".join(
        repr(part)
        for part in (
            keyring.tokens, keyring.sealer, keyring.tokens.files.keys, keyring.sealer.files.keys,
            *(dated.key for dated in (*keyring.tokens.files.keys, *keyring.sealer.files.keys)),
        )
    )  # fmt: skip

    for path in (tmp_path / "keys").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        for line in path.read_text(encoding="ascii").splitlines():
            assert line.startswith("-----") or line not in shown
    for handle in (keyring.sealer, keyring.tokens.files.active.key, keyring.sealer.files.active.key):
        with pytest.raises(TypeError, match="not copied"):
            pickle.dumps(handle)
        with pytest.raises(TypeError, match="not copied"):
            copy.copy(handle)


def test_no_two_keys_work_from_one_second_and_there_is_an_end(keyring: Keyring, hands: Hands) -> None:
    keyring.sealer.files.add(new_master(), int(hands.now))

    with pytest.raises(HomeInvalid, match="too many keys at once"):
        keyring.sealer.files.add(new_master(), int(hands.now))
    for number in range(FILES_MAX - 2):
        keyring.sealer.files.add(new_master(), number)
    with pytest.raises(HomeInvalid, match="too many keys at once"):
        keyring.sealer.files.add(new_master(), FILES_MAX)


def test_days_left_are_of_the_active_key_and_warned_of(keyring: Keyring, tmp_path: Path) -> None:
    folder, began = tmp_path / "keys", 2_000_000_000
    keyring.tokens.files.add(new_token_key(), began)

    def row(days: float) -> KeyRow:
        rows = key_rows(folder, log_name=ORIGIN, now=Hands(began + days * DAY_S))
        (active,) = [row for row in rows if (row.kind, row.state) == ("tokens", "active")]
        return active

    serves = DAYS["tokens"]
    assert [row(day).days_left for day in (0, 1.5, serves)] == [serves, serves - 2, 0]
    warned = {left: warning_of(row(serves - left)) for left in (31, 30, 14, 8, 7, 1, 0, -3)}
    assert warned[31] is None
    for left, said in ((30, 30), (14, 14), (8, 14), (7, 7), (1, 1), (0, 1)):
        assert warned[left] is not None
        assert f"within {said} days" in str(warned[left])
    assert "3 days ago" in str(warned[-3])


def test_a_revoked_key_is_destroyed_and_its_name_is_listed(
    keyring: Keyring, tmp_path: Path, hands: Hands
) -> None:
    folder, old = tmp_path / "keys", keyring.tokens.kid
    private = (folder / "tokens.pem").read_bytes()
    keyring.tokens.files.add(new_token_key(), int(hands()))

    keyring.tokens.files.revoke(old)

    assert keyring.tokens.kid != old
    assert not (folder / "tokens.pem").exists()
    assert (folder / "tokens.pem.revoked").read_text() == f"{old}\n"
    assert all(private != path.read_bytes() for path in folder.iterdir() if path.is_file())
    rows = key_rows(folder, log_name=ORIGIN, now=hands)
    assert KeyRow(kind="tokens", state="revoked", public=old) in rows
    assert Keyring.open(folder, log_name=ORIGIN, now=hands).tokens.kid == keyring.tokens.kid
