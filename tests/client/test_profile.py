"""What a machine remembers: for its owner only, whole or not at all, and with the log's key pinned."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from authority import Authority

from gateway.client.decryption import DecryptionKey
from gateway.client.failures import ProfileInvalid
from gateway.client.keys import ClientKey
from gateway.client.profile import Profile, checked_log_key, connect_secret, profile_folder


def a_profile(**changed: Any) -> Profile:
    fields: dict[str, Any] = {
        "gateway": "https://gateway.example",
        "client": "bank-a.etl",
        "purpose": "research",
        "key": "/nowhere/client.pem",
        "log_key": "log+00000000+AAAA",
    }
    return Profile(**(fields | changed))


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"GATEWAY_PROFILE": "/a/b", "XDG_CONFIG_HOME": "/x"}, Path("/a/b")),
        ({"XDG_CONFIG_HOME": "/x"}, Path("/x/data-sharing-gateway")),
        ({"XDG_CONFIG_HOME": ""}, Path.home() / ".config" / "data-sharing-gateway"),
        ({}, Path.home() / ".config" / "data-sharing-gateway"),
    ],
)
def test_the_folder_is_the_one_named_or_the_desktops(environment: dict[str, str], folder: Path) -> None:
    assert profile_folder(environment) == folder


def test_what_is_saved_is_loaded_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "profile"
    a_profile().save(folder)
    a_profile(purpose="other").save(folder)

    assert Profile.load(folder) == a_profile(purpose="other")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "profile.json").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["profile.json"]


def test_a_profile_of_before_there_were_certificates_is_loaded(tmp_path: Path) -> None:
    a_profile().save(tmp_path / "p")
    file = tmp_path / "p" / "profile.json"
    members = json.loads(file.read_bytes())
    file.write_text(json.dumps({name: members[name] for name in members if members[name]}), encoding="ascii")

    assert "ca" not in json.loads(file.read_bytes())
    assert Profile.load(tmp_path / "p") == a_profile()


def test_the_keys_that_answers_are_encrypted_to_are_remembered_and_loaded(tmp_path: Path) -> None:
    ClientKey.create().save(tmp_path / "client.pem")
    keys = [DecryptionKey.create() for _ in range(3)]
    files = [str(tmp_path / f"{number}.pem") for number in range(3)]
    for key, file in zip(keys, files, strict=True):
        key.save(file)
    profile = a_profile(key=str(tmp_path / "client.pem"), encryption_keys=tuple(files[:2]))
    profile.save(tmp_path / "p")

    assert Profile.load(tmp_path / "p") == profile
    loaded = profile.gateway_options()["decryption_keys"]
    assert [key.thumbprint for key in loaded] == [key.thumbprint for key in keys[:2]]
    assert a_profile(key=str(tmp_path / "client.pem")).gateway_options()["decryption_keys"] == ()
    (tmp_path / "0.pem").chmod(0o644)
    for wrong, says in (
        ((files[0],), "chmod 600"),
        (tuple(files[1:]) * 2, "at most 2"),
        ((files[1], files[1]), "all different"),
        ((str(tmp_path / "none.pem"),), "--encryption-key"),
        ((str(tmp_path / "p" / "profile.json"),), "cannot be used"),
    ):
        with pytest.raises(ProfileInvalid, match=says):
            a_profile(encryption_keys=wrong).decryption_keys()


@pytest.mark.parametrize("value", ["x", 1, None, {}, [1], [""], [["x"]]])
def test_a_list_of_keys_that_is_none_is_a_sentence(tmp_path: Path, value: object) -> None:
    a_profile().save(tmp_path / "p")
    file = tmp_path / "p" / "profile.json"
    file.write_text(json.dumps(json.loads(file.read_bytes()) | {"encryption_keys": value}), encoding="ascii")

    with pytest.raises(ProfileInvalid, match="cannot be read"):
        Profile.load(tmp_path / "p")


def test_what_is_shown_to_the_gateway_is_the_certificate_or_the_key_never_both(tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.issue("etl").put(tmp_path, "etl")
    other = authority.issue("other").put(tmp_path, "other")[1]
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    ClientKey.create().save(tmp_path / "client.pem")

    by_key = a_profile(key=str(tmp_path / "client.pem")).gateway_options()
    files = {"key": str(key), "certificate": str(certificate), "ca": str(tmp_path / "ca.pem")}
    shown = a_profile(**files).gateway_options()
    assert (by_key["tls"], by_key["key"] is None) == (None, False)
    assert (shown["key"], len(shown["tls"].get_ca_certs())) == (None, 1)
    for wrong in ({"key": str(other)}, {"ca": str(key)}, {"ca": "/nowhere"}, {"certificate": "/nowhere"}):
        with pytest.raises(ProfileInvalid, match="cannot be used"):
            a_profile(**(files | wrong)).gateway_options()


def test_without_a_profile_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ProfileInvalid, match="gateway login --gateway"):
        Profile.load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"gateway": 1}', "null", "[" * 9000, "\xff"])
def test_a_broken_profile_is_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "profile.json"
    file.write_text(text, encoding="latin-1")
    file.chmod(0o600)

    with pytest.raises(ProfileInvalid, match="cannot be read"):
        Profile.load(tmp_path)


def test_a_profile_that_others_may_read_or_write_is_refused(tmp_path: Path) -> None:
    a_profile().save(tmp_path / "p")
    (tmp_path / "p" / "profile.json").chmod(0o644)
    with pytest.raises(ProfileInvalid, match="chmod 600"):
        Profile.load(tmp_path / "p")

    (tmp_path / "p").chmod(0o777)
    with pytest.raises(ProfileInvalid, match="chmod 700"):
        a_profile().save(tmp_path / "p")


def test_the_key_is_named_where_it_is_missing_or_open_to_others(tmp_path: Path) -> None:
    file = tmp_path / "client.pem"
    with pytest.raises(ProfileInvalid, match="no key file"):
        a_profile(key=str(file)).private_key()
    key = ClientKey.create()
    key.save(file)
    assert a_profile(key=str(file)).private_key().thumbprint == key.thumbprint
    file.chmod(0o640)
    with pytest.raises(ProfileInvalid, match="chmod 600"):
        a_profile(key=str(file)).private_key()


def test_the_logs_key_is_trusted_on_first_use_and_then_pinned() -> None:
    known, here = a_profile(log_key="first"), "https://gateway.example"

    assert checked_log_key(None, here, "first", None) == "first"
    assert checked_log_key(known, here, "first", None) == "first"
    assert checked_log_key(known, "https://elsewhere.example", "other", None) == "other"
    assert checked_log_key(known, here, "second", "second") == "second"  # the operator said so
    with pytest.raises(ProfileInvalid, match="is not the one you trust"):
        checked_log_key(known, here, "second", None)
    with pytest.raises(ProfileInvalid, match="is not the one you trust"):
        checked_log_key(None, here, "second", "first")


def test_while_the_log_changes_its_key_one_trusted_key_is_enough_and_stays_the_only_one() -> None:
    """What the gateway shows beside the trusted key is not trusted for that."""
    known, here = a_profile(log_key="old"), "https://gateway.example"

    assert checked_log_key(known, here, "new\nold", None) == "old"
    assert checked_log_key(known, here, "new\nold", "new") == "new"
    assert checked_log_key(None, here, "new\nold", None) == "new\nold"
    with pytest.raises(ProfileInvalid, match="is not the one you trust"):
        checked_log_key(known, here, "new\nolder", None)


def test_the_secret_stays_until_a_new_one_is_made(tmp_path: Path) -> None:
    first = connect_secret(tmp_path / "p", anew=False)

    assert connect_secret(tmp_path / "p", anew=False) == first
    assert connect_secret(tmp_path / "p", anew=True) != first
    assert len(first) == 32
    (tmp_path / "p" / "connect.secret").write_text("short", encoding="ascii")
    with pytest.raises(ProfileInvalid, match="--new-secret"):
        connect_secret(tmp_path / "p", anew=False)


def test_no_token_and_no_private_key_is_in_the_file(tmp_path: Path) -> None:
    a_profile().save(tmp_path / "p")

    assert set(json.loads((tmp_path / "p" / "profile.json").read_bytes())) == set(Profile.__slots__)
