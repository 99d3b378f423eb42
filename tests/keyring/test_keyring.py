"""Keys that are made once, stay private on disk and in memory, and sign what others can verify."""

import base64
import copy
import logging
import pickle
import stat
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey

from gateway import jose, telemetry
from gateway.errors import HomeInvalid
from gateway.keyring import custody
from gateway.keyring.dated import Dated, DatedFiles
from gateway.keyring.handles import Sealer
from gateway.keyring.keyring import Keyring
from gateway.keyring.pseudonym_keys import PseudonymKeys
from gateway.transparency import note

ORIGIN = "gateway.example/log"
FILES = {"tokens.pem", "log.pem", "sealing.key", "pseudonyms.key"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "keys"


@pytest.fixture
def keyring(folder: Path) -> Keyring:
    return Keyring.create(folder, log_name=ORIGIN)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("keyring")
def test_nobody_else_can_read_what_is_made(folder: Path) -> None:
    assert mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == dict.fromkeys(FILES, 0o600)
    assert [path.name for path in folder.parent.iterdir()] == ["keys"]


def test_a_keyring_opens_as_it_was_made(keyring: Keyring, folder: Path) -> None:
    opened = Keyring.open(folder, log_name=ORIGIN)

    assert opened.tokens.jwks == keyring.tokens.jwks
    assert opened.log.vkey == keyring.log.vkey
    assert opened.sealer.unseal("cursor", keyring.sealer.seal("cursor", b"page 2")) == b"page 2"
    parts = ("token", "person", "bank-a", "1")
    assert opened.pseudonyms.derive(*parts) == keyring.pseudonyms.derive(*parts)


def test_two_installations_share_no_key(keyring: Keyring, tmp_path: Path) -> None:
    other = Keyring.create(tmp_path / "other", log_name=ORIGIN)

    parts = ("token", "person", "bank-a", "1")
    assert other.tokens.kid != keyring.tokens.kid
    assert other.log.vkey != keyring.log.vkey
    assert other.pseudonyms.derive(*parts) != keyring.pseudonyms.derive(*parts)
    with pytest.raises(ValueError, match="not sealed here"):
        other.sealer.unseal("cursor", keyring.sealer.seal("cursor", b"page 2"))


def test_keys_are_never_written_over(keyring: Keyring, folder: Path) -> None:
    with pytest.raises(HomeInvalid, match="never written over"):
        Keyring.create(folder, log_name=ORIGIN)

    assert Keyring.open(folder, log_name=ORIGIN).log.vkey == keyring.log.vkey


def test_an_empty_folder_is_taken(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o755)

    Keyring.create(folder, log_name=ORIGIN)

    assert mode(folder) == 0o700


def test_a_place_that_is_a_file_is_refused(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("something else")

    with pytest.raises(HomeInvalid):
        Keyring.create(folder, log_name=ORIGIN)


def a_pem_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def link(folder: Path) -> None:
    (folder / "log.pem").rename(folder / "elsewhere")
    (folder / "log.pem").symlink_to(folder / "elsewhere")


def folder_for_file(folder: Path) -> None:
    (folder / "log.pem").unlink()
    (folder / "log.pem").mkdir(mode=0o700)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "folder open to the group": lambda folder: folder.chmod(0o750),
    "folder open to all": lambda folder: folder.chmod(0o701),
    "file readable by the group": lambda folder: (folder / "tokens.pem").chmod(0o640),
    "file readable by all": lambda folder: (folder / "pseudonyms.key").chmod(0o604),
    "file writable by the group": lambda folder: (folder / "sealing.key").chmod(0o620),
    "file missing": lambda folder: (folder / "sealing.key").unlink(),
    "a link instead of a file": link,
    "a folder instead of a file": folder_for_file,
    "empty": write("tokens.pem", b""),
    "not PEM": write("log.pem", b"secret-content"),
    "too large": write("log.pem", b"x" * 5000),
    "a token key on another curve": write("tokens.pem", a_pem_of(ec.generate_private_key(ec.SECP384R1()))),
    "a log key of the wrong kind": write("log.pem", a_pem_of(ec.generate_private_key(ec.SECP256R1()))),
    "a token key of the wrong kind": write("tokens.pem", a_pem_of(ed25519.Ed25519PrivateKey.generate())),
    "a short master": write("sealing.key", b"AAAA\n"),
    "a master in another alphabet": write("pseudonyms.key", b"secret-content+/=\n"),
    "a master that is not text": write("pseudonyms.key", b"\xff\xfe"),
}


@pytest.mark.usefixtures("keyring")
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_keyring_that_is_open_to_others_or_damaged_does_not_open(
    damage: Callable[[Path], object], folder: Path
) -> None:
    damage(folder)

    with pytest.raises(HomeInvalid) as refused:
        Keyring.open(folder, log_name=ORIGIN)

    assert "secret-content" not in str(refused.value)
    assert str(folder.parent) not in str(refused.value)


def test_a_missing_folder_does_not_open(folder: Path) -> None:
    with pytest.raises(HomeInvalid, match="cannot be read"):
        Keyring.open(folder, log_name=ORIGIN)


class Held(NamedTuple):
    """Everything of an installation that holds a private key, by name, and the keys themselves."""

    holders: dict[str, object]
    secrets: list[bytes]

    def shown_in(self, text: str) -> list[int]:
        """Which secrets a text shows, in whatever spelling."""
        return [
            number
            for number, secret in enumerate(self.secrets)
            if any(spelled in text for spelled in spellings(secret))
        ]


def spellings(secret: bytes) -> list[str]:
    plain = base64.b64encode(secret).decode()
    inner = repr(secret)[2:-1]
    return [
        secret.hex(),
        plain,
        plain.rstrip("="),
        jose.base64url(secret),
        inner,
        str(int.from_bytes(secret, "big")),
    ]


@pytest.fixture
def held(keyring: Keyring, folder: Path, tmp_path: Path) -> Held:
    files, passphrases = (tmp_path / "a", tmp_path / "b"), ("lan has a long one", "hoa has a longer one")
    (master,) = keyring.pseudonym_keys.handed_over()
    custody.split(folder, files, passphrases)
    share, rotation = (
        custody.open_share(files[0], passphrases[0]),
        custody.rotation(folder, files, passphrases),
    )
    token, seal = keyring.tokens.files.active.key, keyring.sealer.files.active.key
    holders = {
        "keyring": keyring,
        "token keys": keyring.tokens,
        "token signer": token,
        "token files": keyring.tokens.files,
        "token file": keyring.tokens.files.active,
        "log keys": keyring.log_keys,
        "log signer": keyring.log,
        "sealing keys": keyring.sealer,
        "sealer": seal,
        "pseudonym keys": keyring.pseudonym_keys,
        "pseudonym key": keyring.pseudonyms,
        "share": share,
        "rotation": rotation,
    }
    private = token._key.private_numbers().private_value.to_bytes(32, "big")
    log = keyring.log._key
    assert isinstance(log, ed25519.Ed25519PrivateKey)
    secrets = [private, log.private_bytes_raw(), seal._master, master, *share._epochs, *rotation._masters]
    return Held(holders, secrets)


def test_the_search_for_secrets_finds_them(held: Held) -> None:
    for number, secret in enumerate(held.secrets):
        for text in (f"{secret!r}", secret.hex(), jose.base64url(secret)):
            assert number in held.shown_in(f"x{text}y")


def test_no_holder_of_a_key_shows_it_in_words_logs_or_members(
    held: Held, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    telemetry.configure_log()
    for name, holder in held.holders.items():
        logging.getLogger("test").warning("%s %r", holder, holder)
        telemetry.log("test", holder=str(holder))
        members = repr(vars(holder)) if hasattr(holder, "__dict__") else ""
        text = f"{holder!r} {holder!s} {holder} {holder!a} {[holder]} {members} {holder.__doc__}"
        assert held.shown_in(text) == [], name
    captured = capsys.readouterr()
    assert held.shown_in(captured.out + captured.err + caplog.text) == []


def test_no_holder_of_a_key_is_pickled_or_copied(held: Held) -> None:
    for name, holder in held.holders.items():
        for way in (pickle.dumps, copy.deepcopy):
            with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
                pytest.fail(f"{name} was copied: {way(holder)!r}")
        if not isinstance(holder, DatedFiles | Dated):  # these refer to a key, and a copy would too
            with pytest.raises(TypeError, match="not copied"):
                copy.copy(holder)


def test_a_traceback_shows_no_key_even_with_the_locals_of_every_frame(held: Held, keyring: Keyring) -> None:
    failing: list[Callable[[], object]] = [
        lambda: keyring.tokens.sign({"x": object()}, "at+jwt"),
        lambda: keyring.log.sign("text"),  # type: ignore[arg-type]
        lambda: keyring.sealer.unseal("p", bytes(60)),
        lambda: keyring.sealer.seal("p", None),  # type: ignore[arg-type]
        lambda: keyring.pseudonyms.derive("a|b", "c", "d", "1"),
        lambda: keyring.pseudonym_keys.value_of("p1_x", "d", "r"),
        lambda: held.holders["share"].require_of((custody.Named("x", ("y", "z")),)),  # type: ignore[attr-defined]
    ]
    for fail in failing:
        with pytest.raises((ValueError, TypeError, HomeInvalid)) as raised:
            fail()
        ours = raised.value.__traceback__
        assert ours is not None
        assert ours.tb_next is not None
        inside = raised.value.with_traceback(ours.tb_next.tb_next)  # this test's own frames hold the secrets
        whole = "".join(traceback.TracebackException.from_exception(inside, capture_locals=True).format())
        assert held.shown_in(whole) == [], whole


def test_a_token_has_exactly_three_header_members(keyring: Keyring) -> None:
    token = keyring.tokens.sign({"sub": "a"}, "at+jwt")

    header = jwt.get_unverified_header(token)

    assert header == {"typ": "at+jwt", "alg": "ES256", "kid": keyring.tokens.kid}


def test_another_library_verifies_a_token_with_the_published_keys(keyring: Keyring) -> None:
    (jwk,) = keyring.tokens.jwks["keys"]  # type: ignore[misc]

    found = jws.deserialize_compact(keyring.tokens.sign({"sub": "a"}, "at+jwt"), ECKey.import_key(jwk))

    assert found.payload == b'{"sub":"a"}'
    assert jwk["kid"] == jose.thumbprint(jwk)
    assert "d" not in jwk


def test_the_key_to_verify_with_is_found_by_its_name(keyring: Keyring) -> None:
    token = keyring.tokens.sign({"sub": "a"}, "at+jwt")
    key = keyring.tokens.public_keys[keyring.tokens.kid]

    assert jwt.decode(token, key, algorithms=["ES256"]) == {"sub": "a"}  # type: ignore[arg-type]


def test_a_note_signed_by_the_log_verifies_under_its_vkey(keyring: Keyring) -> None:
    signed = note.sign("gateway.example/log\n1\nAAAA\n", keyring.log)

    assert note.verify(signed, keyring.log.vkey) == "gateway.example/log\n1\nAAAA\n"
    assert keyring.log.vkey.startswith("gateway.example/log+")


SEALER = Sealer(bytes(range(32)))


@given(st.binary(max_size=200), st.text(st.characters(exclude_categories=["Cs"]), max_size=10))
def test_what_is_sealed_opens_for_its_purpose_only(data: bytes, purpose: str) -> None:
    sealed = SEALER.seal(purpose, data)

    assert SEALER.unseal(purpose, sealed) == data
    with pytest.raises(ValueError, match="not sealed here"):
        SEALER.unseal(purpose + "x", sealed)


@given(st.data())
def test_a_seal_that_was_changed_anywhere_does_not_open(data: st.DataObject) -> None:
    sealed = bytearray(SEALER.seal("cursor", b"page 2"))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))

    with pytest.raises(ValueError, match="not sealed here"):
        SEALER.unseal("cursor", bytes(sealed))


@given(st.binary(max_size=60))
def test_bytes_that_were_never_sealed_do_not_open(data: bytes) -> None:
    with pytest.raises(ValueError, match="not sealed here"):
        SEALER.unseal("cursor", data)


def test_equal_data_is_sealed_differently_each_time() -> None:
    assert SEALER.seal("cursor", b"page 2") != SEALER.seal("cursor", b"page 2")


def test_a_sealing_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(b"short")


def test_a_new_epoch_forgets_no_idempotency_key_and_two_firms_have_nothing_in_common() -> None:
    """Promise P2: what a claim is named by holds across rotations, or a repeat would be paid again."""
    first, second = bytes(32), b"2" * 32
    before, after = PseudonymKeys((first,)), PseudonymKeys((first, second))

    assert before.claim_key("bank-a") == after.claim_key("bank-a")
    assert len({before.claim_key(org) for org in ("bank-a", "bank-b")}) == 2
    assert before.claim_key("bank-a") not in {
        before.newest.order_key("bank-a", "idempotency-key"),
        before.newest.token_key("idempotency-key", "bank-a"),
    }
    with pytest.raises(HomeInvalid):
        PseudonymKeys(()).claim_key("bank-a")
