"""Dual control of the pseudonyms' key: no custodian has it, no file of the home has it, none is guessed."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.errors import HomeInvalid
from gateway.keyring import custody
from gateway.keyring.ages import UNDIVIDED, key_rows, warning_of
from gateway.keyring.custody import (
    CUSTODY,
    Share,
    finish_rotation,
    known_epochs,
    master_keys,
    open_share,
    rotation,
    split,
)
from gateway.keyring.keyring import Keyring
from gateway.keyring.pseudonym_keys import PSEUDONYMS
from gateway.pseudonym import tokens_of

LOG = "gateway.example/log"
LAN, HOA = "lan has a long one", "hoa has a longer one"
DOMAIN, BANK = "people/id", "bank-a"
PERSON = "001085012345"


class Divided(NamedTuple):
    """A home whose key was divided, and what made tokens before."""

    keys: Path
    files: tuple[Path, Path]
    before: Keyring

    def shares(self) -> tuple[Share, Share]:
        return open_share(self.files[0], LAN), open_share(self.files[1], HOA)

    def opened(self, *shares: Share) -> Keyring:
        masters = master_keys(self.keys, shares or self.shares())
        return Keyring.open(self.keys, log_name=LOG, pseudonyms=masters)


def divided_home(tmp_path: Path) -> Divided:
    keys = tmp_path / "home" / "keys"
    before = Keyring.create(keys, log_name=LOG)
    files = tmp_path / "lan.share", tmp_path / "hoa.share"
    split(keys, files, (LAN, HOA))
    return Divided(keys, files, before)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Divided:
    return divided_home(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Divided:
    return divided_home(tmp_path_factory.mktemp("other"))


@pytest.fixture
def home(template: Divided, tmp_path: Path) -> Divided:
    """A copy: passphrases are slow on purpose."""
    shutil.copytree(template.keys.parents[1], tmp_path, dirs_exist_ok=True)
    files = [tmp_path / file.name for file in template.files]
    return Divided(tmp_path / "home" / "keys", (files[0], files[1]), template.before)


def token_of(keyring: Keyring) -> str:
    (token,) = tokens_of([PERSON], keyring.pseudonyms.token_key(DOMAIN, BANK))
    assert token is not None
    return token


def test_dividing_changes_no_pseudonym_and_leaves_no_key_in_the_home(home: Divided) -> None:
    assert token_of(home.opened()) == token_of(home.before)
    assert {path.name for path in home.keys.iterdir()} == {"log.pem", "sealing.key", "tokens.pem", CUSTODY}
    (master,) = home.before.pseudonym_keys.handed_over()
    for path in (*home.keys.iterdir(), *home.files):
        assert master not in path.read_bytes()


def test_the_order_of_the_files_is_nothing(home: Divided) -> None:
    assert token_of(home.opened(*reversed(home.shares()))) == token_of(home.before)


def test_one_share_fits_every_key_there_could_be(home: Divided) -> None:
    """With the other one free, any master can be made: a share alone narrows nothing."""
    lan = home.shares()[0]
    wanted = os.urandom(32)
    other = Share(2, (bytes(a ^ b for a, b in zip(lan._epochs[0], wanted, strict=True)),))

    assert lan.joined(other, 1) == (wanted,)


def test_a_process_without_shares_administers_and_makes_no_pseudonym(home: Divided) -> None:
    keyring = Keyring.open(home.keys, log_name=LOG)

    assert keyring.tokens.kid == home.before.tokens.kid
    with pytest.raises(HomeInvalid, match="this process has no shares"):
        _ = keyring.pseudonyms
    with pytest.raises(HomeInvalid, match="this process has no shares"):
        keyring.pseudonym_keys.value_of("p1_x", DOMAIN, BANK)


def changed(path: Path) -> None:
    document = json.loads(path.read_text())
    document["pseudonym_share"] = 3 - document["pseudonym_share"]
    path.write_text(json.dumps(document))


def test_a_share_that_is_missing_doubled_or_anothers_is_refused_by_what_it_is(
    home: Divided, other: Divided
) -> None:
    lan, hoa = home.shares()
    cases: dict[tuple[Share, ...], str] = {
        (): "both custodians' shares are needed, 0 given",
        (lan,): "both custodians' shares are needed, 1 given",
        (lan, lan, hoa): "3 given",
        (hoa, hoa): "both files are custodian 2's share; custodian 1's is needed",
        (lan, other.shares()[1]): "custodian 2's share is not one of this home's key",
        other.shares(): "custodian 1's share is not one of this home's key",
        (Share(2, lan._epochs), Share(1, hoa._epochs)): "custodian 1's share is not one of this home's key",
    }
    for shares, why in cases.items():
        with pytest.raises(HomeInvalid, match=why):
            master_keys(home.keys, shares)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (changed, "another passphrase, or the file was changed"),
        (lambda path: path.write_bytes(path.read_bytes()[:80]), "no share of a pseudonym key"),
        (lambda path: path.write_bytes(b"[]"), "no share of a pseudonym key"),
        (lambda path: path.write_bytes(b'{"pseudonym_share": 3}'), "no share of a pseudonym key"),
        (lambda path: path.write_bytes(b"\xff" * 5000), "no share of a pseudonym key"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_a_share_file_that_was_changed_does_not_open(
    spoil: Callable[[Path], object], why: str, home: Divided
) -> None:
    spoil(home.files[0])

    with pytest.raises(HomeInvalid, match=why):
        open_share(home.files[0], LAN)


def test_a_wrong_passphrase_opens_nothing(home: Divided) -> None:
    for passphrase in ("\ud800" * 12, "\udce9" * 12):  # bytes that are no UTF-8: never all one passphrase
        with pytest.raises(HomeInvalid, match="text in UTF-8"):
            open_share(home.files[0], passphrase)
        with pytest.raises(HomeInvalid, match="text in UTF-8"):
            home.shares()[0].sealed(passphrase)
    for passphrase in (HOA, LAN[:-1], ""):
        with pytest.raises(HomeInvalid, match="another passphrase"):
            open_share(home.files[0], passphrase)


def test_names_that_were_exchanged_yield_no_key(home: Divided, other: Divided) -> None:
    """Who writes the home's files, but has no shares, cannot have another key derived."""
    (ours,), (theirs,) = known_epochs(home.keys), known_epochs(other.keys)
    (home.keys / CUSTODY).write_text(f"{theirs.key} {' '.join(ours.shares)}\n")
    with pytest.raises(HomeInvalid, match="the two shares do not make the key"):
        home.opened()

    for text in ("", "one two\n", "\n"):
        (home.keys / CUSTODY).write_text(text)
        with pytest.raises(HomeInvalid, match="is not a list of names"):
            home.opened()


def test_a_whole_key_that_came_back_is_refused(home: Divided) -> None:
    """An old copy of the key file would give every firm the pseudonyms of an old epoch."""
    content = home.before.pseudonym_keys.handed_over()[0]
    (home.keys / PSEUDONYMS).write_bytes(custody.jose.base64url(content).encode() + b"\n")
    (home.keys / PSEUDONYMS).chmod(0o600)
    with pytest.raises(HomeInvalid, match="lies in the home beside"):
        home.opened()

    (home.keys / PSEUDONYMS).unlink()
    rotation(home.keys, home.files, (LAN, HOA)).take()
    (home.keys / PSEUDONYMS).write_bytes(custody.jose.base64url(content).encode() + b"\n")
    (home.keys / PSEUDONYMS).chmod(0o600)
    again = home.files[0].with_name("lan-2"), home.files[1].with_name("hoa-2")
    with pytest.raises(HomeInvalid, match="is an old copy"):
        split(home.keys, again, (LAN, HOA))
    assert not again[0].exists()


def test_where_shares_do_not_go(tmp_path: Path) -> None:
    keys = tmp_path / "home" / "keys"
    Keyring.create(keys, log_name=LOG)
    there = tmp_path / "there"
    there.write_text("mine")
    outside = tmp_path / "a", tmp_path / "b"
    cases: list[tuple[tuple[Path, Path], tuple[str, str], str]] = [
        ((keys.parent / "a", outside[1]), (LAN, HOA), "does not lie in the home"),
        ((keys / ".." / "data" / "a", outside[1]), (LAN, HOA), "does not lie in the home"),
        ((outside[0], outside[0]), (LAN, HOA), "two files that are not there yet"),
        ((outside[0], there), (LAN, HOA), "two files that are not there yet"),
        (outside, (LAN, LAN), "a passphrase of their own"),
        (outside, (LAN, "short"), "at least 12 characters"),
        ((tmp_path / "no" / "a", outside[1]), (LAN, HOA), "cannot be written"),
    ]
    for files, passphrases, why in cases:
        with pytest.raises(HomeInvalid, match=why):
            split(keys, files, passphrases)
        assert {path.name for path in keys.iterdir()} == {"log.pem", "sealing.key", "tokens.pem", PSEUDONYMS}
    assert there.read_text() == "mine"


def test_shares_beside_an_undivided_key_are_refused(home: Divided, tmp_path: Path) -> None:
    keys = tmp_path / "fresh" / "keys"
    Keyring.create(keys, log_name=LOG)

    with pytest.raises(HomeInvalid, match="shares protect nothing"):
        master_keys(keys, home.shares())
    with pytest.raises(HomeInvalid, match="first `gateway keys custody split`"):
        rotation(keys, home.files, (LAN, HOA))


def test_a_new_epoch_makes_other_tokens_and_reverses_all(home: Divided) -> None:
    old = token_of(home.opened())
    made = rotation(home.keys, home.files, (LAN, HOA))
    assert token_of(home.opened()) == old, "prepared, not in use"

    made.take()
    after = home.opened()
    new = token_of(after)

    assert new != old
    assert after.pseudonyms.order_key(BANK, "people") != home.before.pseudonyms.order_key(BANK, "people")
    assert [after.pseudonym_keys.value_of(token, DOMAIN, BANK) for token in (old, new)] == [PERSON, PERSON]
    with pytest.raises(ValueError, match="not a token of this key"):
        after.pseudonym_keys.value_of(new, DOMAIN, "bank-b")
    rows = key_rows(home.keys, log_name=LOG)
    first, second = known_epochs(home.keys)
    assert [(row.state, row.public) for row in rows if row.kind == "pseudonyms"] == [
        ("active", second.key),
        ("retired", first.key),
    ]


def test_a_share_from_before_a_rotation_is_named(home: Divided) -> None:
    early = home.shares()
    rotation(home.keys, home.files, (LAN, HOA)).take()

    with pytest.raises(HomeInvalid, match="custodian 1's share is from before the last rotation: it has 1"):
        master_keys(home.keys, early)
    with pytest.raises(HomeInvalid, match="custodian 2's share is from before"):
        master_keys(home.keys, (home.shares()[0], early[1]))


def test_an_older_list_of_names_does_not_bring_the_replaced_key_back(home: Divided) -> None:
    """A backup that came back, a line that was deleted, a crash before the names: the log knows better."""
    before = (home.keys / CUSTODY).read_bytes()
    old = token_of(home.opened())
    made = rotation(home.keys, home.files, (LAN, HOA))
    made.take()
    new, after = token_of(home.opened()), (home.keys / CUSTODY).read_bytes()
    assert not finish_rotation(home.keys, home.shares(), made.name)
    (home.keys / CUSTODY).write_bytes(before)
    assert token_of(home.opened()) == old

    assert finish_rotation(home.keys, home.shares(), made.name)

    assert (token_of(home.opened()), (home.keys / CUSTODY).read_bytes()) == (new, after)
    (home.keys / CUSTODY).write_bytes(before)
    rotation(home.keys, home.files, (LAN, HOA), newest=made.name).take()
    assert known_epochs(home.keys)[1].key == made.name  # and no epoch that served is cut by the next


def test_a_home_older_than_the_log_is_refused(home: Divided, other: Divided) -> None:
    early, name = home.shares(), known_epochs(home.keys)[0].key
    made = rotation(home.keys, home.files, (LAN, HOA))
    whole = (other.before.pseudonym_keys.handed_over()[0],)

    for newest, shares in ((made.name, early), ("another", early), ("another", home.shares())):
        with pytest.raises(HomeInvalid, match="not those of the key that the log was told of last"):
            finish_rotation(home.keys, shares, newest)
    made.take()
    with pytest.raises(HomeInvalid, match="not those of the key"):  # an epoch that the log never heard of
        finish_rotation(home.keys, home.shares(), name)
    content = custody.jose.base64url(whole[0]).encode() + b"\n"
    (home.keys / PSEUDONYMS).write_bytes(content)
    (home.keys / PSEUDONYMS).chmod(0o600)
    (home.keys / CUSTODY).unlink()
    with pytest.raises(HomeInvalid, match=r"was divided; take `pseudonyms\.key` away"):
        finish_rotation(home.keys, (), name)


def test_a_rotation_that_a_crash_cut_off_is_given_again(home: Divided) -> None:
    """Both files, or one of them, have an epoch that never came into use."""
    old = token_of(home.opened())
    lost = rotation(home.keys, home.files, (LAN, HOA))
    home.files[0].write_bytes(home.shares()[0].grown(1, os.urandom(32)).sealed(LAN))
    assert token_of(home.opened()) == old

    made = rotation(home.keys, tuple(reversed(home.files)), (HOA, LAN))  # type: ignore[arg-type]
    made.take()

    assert lost.name != made.name == known_epochs(home.keys)[-1].key
    assert home.opened().pseudonym_keys.value_of(old, DOMAIN, BANK) == PERSON


def test_there_is_an_end_to_epochs(home: Divided, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custody, "EPOCHS_MAX", 2)
    rotation(home.keys, home.files, (LAN, HOA)).take()

    with pytest.raises(HomeInvalid, match="at most 2 epochs"):
        rotation(home.keys, home.files, (LAN, HOA))


def test_a_home_says_that_its_key_is_undivided_until_it_is_divided(home: Divided, tmp_path: Path) -> None:
    keys = tmp_path / "fresh" / "keys"
    Keyring.create(keys, log_name=LOG)

    (row,) = [row for row in key_rows(keys, log_name=LOG) if row.kind == "pseudonyms"]

    assert (row.state, warning_of(row)) == ("undivided", UNDIVIDED)
    assert UNDIVIDED not in {warning_of(row) for row in key_rows(home.keys, log_name=LOG)}
