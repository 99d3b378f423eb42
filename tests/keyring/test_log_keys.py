"""One key of the log replaces another: at every moment, and after a crash at any of them, it can sign."""

from pathlib import Path

import pytest

from gateway.errors import HomeInvalid
from gateway.keyring.keyring import Keyring
from gateway.keyring.log_keys import LogKeys, make_next, retire_former, take_next
from gateway.transparency.note import sign, verify

LOG = "gateway.example/log/2026"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Keyring.create(tmp_path / "keys", log_name=LOG)
    return tmp_path / "keys"


def opened(folder: Path) -> LogKeys:
    return Keyring.open(folder, log_name=LOG).log_keys


def test_a_fresh_log_has_one_key(folder: Path) -> None:
    keys = opened(folder)

    assert (keys.former, keys.retired) == ((), ())
    assert keys.vkeys == keys.history == keys.newest.vkey


def test_the_whole_way_from_one_key_to_the_next(folder: Path) -> None:
    old = opened(folder).newest.vkey

    new = make_next(folder, log_name=LOG).vkey
    assert opened(folder).vkeys == old, "what is made signs nothing yet"
    take_next(folder)
    keys = opened(folder)
    assert keys.vkeys == f"{new}\n{old}"
    both = sign("text\n", keys.newest, *keys.former)
    assert verify(both, old) == verify(both, new) == "text\n"

    assert retire_former(folder, log_name=LOG) == old
    keys = opened(folder)
    assert (keys.vkeys, keys.retired, keys.history) == (new, (old,), f"{new}\n{old}")
    assert not (folder / "log-former.pem").exists()


def test_each_step_may_be_done_again_after_a_crash(folder: Path) -> None:
    old = opened(folder).newest.vkey
    assert make_next(folder, log_name=LOG).vkey == make_next(folder, log_name=LOG).vkey
    new = make_next(folder, log_name=LOG).vkey
    (folder / "log-former.pem").write_bytes((folder / "log.pem").read_bytes())  # cut off inside `take_next`
    (folder / "log-former.pem").chmod(0o600)

    assert opened(folder).vkeys == old, "one key in two files signs once"
    assert make_next(folder, log_name=LOG).vkey == new
    take_next(folder)
    assert opened(folder).vkeys == f"{new}\n{old}"

    (folder / "log-retired.vkeys").write_text(old + "\n", encoding="ascii")  # cut off inside `retire_former`
    (folder / "log-retired.vkeys").chmod(0o600)
    assert retire_former(folder, log_name=LOG) == old
    assert opened(folder).retired == (old,)


def test_two_changes_at_once_are_refused(folder: Path) -> None:
    make_next(folder, log_name=LOG)
    take_next(folder)

    with pytest.raises(HomeInvalid, match="a former key of the log still signs"):
        make_next(folder, log_name=LOG)
    retire_former(folder, log_name=LOG)
    with pytest.raises(HomeInvalid, match="no former key of the log signs"):
        retire_former(folder, log_name=LOG)


def test_the_files_are_their_owners_only_and_no_message_or_repr_shows_a_key(folder: Path) -> None:
    make_next(folder, log_name=LOG)
    take_next(folder)
    keys = opened(folder)
    pem = (folder / "log.pem").read_text(encoding="ascii").splitlines()[1]

    assert pem not in repr(keys) + str(keys) + repr(Keyring.open(folder, log_name=LOG))
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    (folder / "log-former.pem").write_text("-----BEGIN PRIVATE" + " KEY-----\nc2VjcmV0\n", encoding="ascii")
    with pytest.raises(HomeInvalid, match=r"^key file `log-former.pem` holds no private key$") as caught:
        opened(folder)
    assert caught.value.__cause__ is None


def test_a_list_of_retired_keys_that_is_none_is_named(folder: Path) -> None:
    (folder / "log-retired.vkeys").write_text("nonsense\n", encoding="ascii")
    (folder / "log-retired.vkeys").chmod(0o600)

    with pytest.raises(HomeInvalid, match=r"`log-retired\.vkeys` is not a list of verifier keys"):
        opened(folder)


def test_a_worker_has_the_names_of_the_keys_that_sign_and_cannot_sign(folder: Path) -> None:
    keys = opened(folder)
    (folder / "log.pem").unlink()  # a worker does not even look at it

    worker = Keyring.open(folder, log_name=LOG, log_vkeys=keys.vkeys)

    assert (worker.log_keys.vkeys, worker.log.name) == (keys.vkeys, LOG)
    with pytest.raises(TypeError):
        worker.log.sign(b"a head")
