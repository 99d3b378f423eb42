"""Stewards' keys: private ones stay outside the home, and the home says whom it trusts."""

import os
import pickle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.errors import HomeInvalid
from gateway.keyring.keyring import Keyring
from gateway.keyring.stewards import (
    StewardKey,
    make_steward_key,
    open_steward_key,
    own_key_file,
    own_steward_key,
    trust_steward,
    trusted_stewards,
)
from gateway.transparency.note import sign, verify

MESSAGE = "what a steward signs\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Keyring.create(tmp_path / "home" / "keys", log_name="gateway.test/log")
    return tmp_path / "home"


def never() -> str:
    raise AssertionError("nobody is asked for a passphrase")


def test_a_key_is_made_once_for_its_owner_alone_and_opened_again(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "lan.pem"

    made = make_steward_key(file, "moh", home=home)
    opened = open_steward_key(file, "moh", never)

    assert (file.stat().st_mode & 0o777, opened.vkey) == (0o600, made.vkey)
    assert verify(sign(MESSAGE, opened), made.vkey) == MESSAGE
    with pytest.raises(HomeInvalid, match="File exists"):
        make_steward_key(file, "moh", home=home)
    assert open_steward_key(file, "nso", never).vkey != made.vkey


def test_a_key_with_a_passphrase_opens_with_it_alone(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "lan.pem"

    with pytest.raises(HomeInvalid, match="at least 12 characters"):
        make_steward_key(file, "moh", home=home, passphrase="mười một ch")
    made = make_steward_key(file, "moh", home=home, passphrase="bốn từ dễ nhớ")

    assert open_steward_key(file, "moh", lambda: "bốn từ dễ nhớ").vkey == made.vkey
    for other in ("bốn từ khó nhớ", ""):
        with pytest.raises(HomeInvalid, match="the passphrase is another"):
            open_steward_key(file, "moh", lambda other=other: other)  # type: ignore[misc]


def test_a_private_key_never_lies_in_the_home(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home)

    for place in (home / "lan.pem", home / "keys" / "lan.pem", tmp_path / "link" / "lan.pem"):
        with pytest.raises(HomeInvalid, match="does not lie in the home"):
            make_steward_key(place, "moh", home=home)
        assert not place.exists()


def test_a_private_key_shows_its_name_only(home: Path, tmp_path: Path) -> None:
    made = make_steward_key(tmp_path / "lan.pem", "moh", home=home)

    assert repr(made) == f"StewardKey(vkey='{made.vkey}')"
    with pytest.raises(TypeError, match="not copied"):
        pickle.dumps(made)


@pytest.mark.parametrize("publisher", ["", "Moh", "moh ", "moh+x", "moh\n", "bộ-y-tế", "../moh"])
def test_a_publisher_is_a_short_name_and_nothing_is_made_for_another(
    home: Path, tmp_path: Path, publisher: str
) -> None:
    with pytest.raises(HomeInvalid, match="an agency's short name"):
        make_steward_key(tmp_path / "lan.pem", publisher, home=home)
    assert not (tmp_path / "lan.pem").exists()


def test_what_is_no_steward_s_key_does_not_open(home: Path, tmp_path: Path) -> None:
    tokens = home / "keys" / "tokens.pem"
    garbage = tmp_path / "garbage.pem"
    garbage.write_bytes(b"geheim")
    garbage.chmod(0o600)
    (tmp_path / "link.pem").symlink_to(garbage)

    for file, said in (
        (tokens, "holds no Ed25519 key"),
        (garbage, "holds no private key"),
        (tmp_path / "link.pem", "cannot be read"),
        (tmp_path / "none.pem", "No such file"),
    ):
        with pytest.raises(HomeInvalid, match=said) as refused:
            open_steward_key(file, "moh", never)
        assert "geheim" not in str(refused.value) + repr(refused.value.__cause__)
    garbage.chmod(0o640)
    with pytest.raises(HomeInvalid, match="can be read by others"):
        open_steward_key(garbage, "moh", never)


def test_the_key_of_who_is_steward_and_operator_lies_beside_the_home(home: Path) -> None:
    first = own_steward_key(home, "moh", never)

    assert own_key_file(home) == home.parent / "home-steward.pem"
    assert own_steward_key(home, "moh", never).vkey == first.vkey


def test_a_home_trusts_whose_files_lie_in_its_folder(home: Path) -> None:
    lan, minh = (StewardKey("moh", Ed25519PrivateKey.generate()) for _ in range(2))
    assert trusted_stewards(home) == ()

    trust_steward(home, lan.vkey, name="lan")
    trust_steward(home, minh.vkey, name="minh")
    (home / "keys" / "stewards" / "notes.txt").write_text("not read")
    names = [(key.name, key.key.public_bytes_raw()) for key in trusted_stewards(home)]

    assert [name for name, _ in names] == ["moh", "moh"]
    assert names[0] != names[1]
    (home / "keys" / "stewards" / "lan.vkey").unlink()
    assert [key.id for key in trusted_stewards(home)] == [bytes.fromhex(minh.vkey.split("+")[1])]
    Keyring.open(home / "keys", log_name="gateway.test/log")
    with pytest.raises(HomeInvalid, match="cannot be made: No such file"):
        trust_steward(home.with_name("no home"), lan.vkey, name="lan")


LAN = StewardKey("moh", Ed25519PrivateKey.generate()).vkey


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        LAN.encode() + b"\n\n",
        f"{LAN}\n{LAN}\n".encode(),
        LAN.encode() + b" \n",
        b"nso" + LAN.encode()[3:] + b"\n",
        "mộh+".encode(),
        LAN.encode() + b"\n" * 10_000_000,
    ],
)
def test_a_home_that_does_not_say_clearly_whom_it_trusts_is_refused(home: Path, content: bytes) -> None:
    trust_steward(home, LAN, name="lan")
    (home / "keys" / "stewards" / "minh.vkey").write_bytes(content)

    with pytest.raises(HomeInvalid, match=r"steward's key `minh\.vkey`"):
        trusted_stewards(home)


@pytest.mark.parametrize("what", ["a file", "a link", "a broken link"])
def test_a_folder_of_stewards_that_is_none_is_refused(home: Path, tmp_path: Path, what: str) -> None:
    """To trust nobody is said by an empty folder, or by none; and a link may lead to what others write."""
    folder = home / "keys" / "stewards"
    trust_steward(home, LAN, name="lan")
    folder.rename(tmp_path / "elsewhere")
    if what == "a file":
        folder.touch()
    else:
        folder.symlink_to(tmp_path / ("elsewhere" if what == "a link" else "nowhere"))

    with pytest.raises(HomeInvalid, match="`keys/stewards` is no folder; links are not followed"):
        trusted_stewards(home)


def test_who_can_write_the_folder_above_could_put_another_in_its_place(home: Path) -> None:
    trust_steward(home, LAN, name="lan")
    (home / "keys").chmod(0o770)

    with pytest.raises(HomeInvalid, match="`keys` can be written by others"):
        trusted_stewards(home)


def test_a_key_lies_in_one_file_so_that_to_remove_it_ends_the_trust(home: Path) -> None:
    trust_steward(home, LAN, name="lan")
    trust_steward(home, LAN, name="minh")

    with pytest.raises(HomeInvalid, match=r"`minh\.vkey` holds a key that another file holds too"):
        trusted_stewards(home)
    nso = StewardKey("nso", Ed25519PrivateKey.generate())
    trust_steward(home, nso.vkey, name="minh")
    assert [key.name for key in trusted_stewards(home)] == ["moh", "nso"]


def test_who_else_can_write_does_not_decide_whom_to_trust(home: Path, tmp_path: Path) -> None:
    folder = home / "keys" / "stewards"
    trust_steward(home, LAN, name="lan")
    (tmp_path / "elsewhere.vkey").write_text(f"{LAN}\n")
    (folder / "link.vkey").symlink_to(tmp_path / "elsewhere.vkey")
    with pytest.raises(HomeInvalid, match=r"`link\.vkey` cannot be read"):
        trusted_stewards(home)
    (folder / "link.vkey").unlink()
    os.mkfifo(folder / "pipe.vkey", 0o600)
    with pytest.raises(HomeInvalid, match=r"`pipe\.vkey` cannot be read: it is no plain file"):
        trusted_stewards(home)
    (folder / "pipe.vkey").unlink()

    for path, mode in ((folder / "lan.vkey", 0o620), (folder, 0o702)):
        before = path.stat().st_mode
        path.chmod(mode)
        with pytest.raises(HomeInvalid, match="can be written by others"):
            trusted_stewards(home)
        path.chmod(before)
    assert len(trusted_stewards(home)) == 1
