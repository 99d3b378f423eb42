"""The operator's certificate and key: what is wrong is a sentence that names the file."""

import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from authority import DAY, Authority

from gateway.clock import SystemClock
from gateway.errors import HomeInvalid
from gateway.keyring.ages import KeyRow, warning_of
from gateway.serving.tls import FOLDER, renew, tls_kept, tls_rows
from gateway.settings import Settings

PLAIN = Settings(origin="https://gateway.test", log_origin="gateway.test/log/2026")


@dataclass(frozen=True, slots=True)
class Desk:
    """A home, the operator's files, and settings that name them."""

    home: Path
    authority: Authority

    def settings(
        self, certificate: str = "gateway.crt", key: str = "gateway.pem", ca: str = "ca.pem"
    ) -> Settings:
        return replace(PLAIN, tls_certificate=certificate, tls_key=key, client_ca=ca)

    def fault(self, **files: str) -> str:
        """Return what a start says of the files; then nothing of them was kept."""
        with pytest.raises(HomeInvalid) as caught, tls_kept(self.home, self.settings(**files), SystemClock()):
            pass
        assert not (self.home / FOLDER).exists()
        assert not [*(self.home / "run").iterdir()]
        return caught.value.detail


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "run").mkdir()
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (tmp_path / "text").write_text("nothing", encoding="ascii")
    (tmp_path / "text").chmod(0o600)
    authority.issue("gateway").put(tmp_path, "gateway")
    return Desk(tmp_path, authority)


def test_what_cannot_be_read_is_named_with_the_setting_that_names_it(desk: Desk) -> None:
    missing = {name: desk.fault(**{name: "none.pem"}) for name in ("certificate", "key", "ca")}
    settings = {"certificate": "tls_certificate", "key": "tls_key", "ca": "client_ca"}

    assert missing == {
        name: f"`{desk.home / 'none.pem'}` cannot be read (No such file or directory); "
        f"name a PEM file in the setting `{setting}`, or with --{setting.replace('_', '-')}"
        for name, setting in settings.items()
    }


def test_what_is_no_certificate_or_not_its_key_is_said(desk: Desk) -> None:
    desk.authority.issue("other").put(desk.home, "other")

    assert desk.fault(certificate="text").endswith(
        "(`tls_certificate`) holds no certificate in PEM that can be read"
    )
    assert desk.fault(ca="text").endswith("(`client_ca`) holds no certificate in PEM that can be read")
    assert "cannot be used: not pem; is the key in PEM" in desk.fault(key="text")
    assert desk.fault(key="other.pem") == (
        f"the private key in `{desk.home / 'other.pem'}` is not the one of the certificate in "
        f"`{desk.home / 'gateway.crt'}`"
    )


def test_what_is_not_of_this_time_is_said_with_its_day(desk: Desk) -> None:
    desk.authority.issue("old", begins=-9 * DAY, ends=-DAY).put(desk.home, "old")
    desk.authority.issue("new", begins=DAY).put(desk.home, "new")

    ended = f"{datetime.now(UTC) - DAY:%Y-%m-%d}"
    assert f"ended on {ended}; renew it" in desk.fault(certificate="old.crt", key="old.pem")
    assert "is this machine's clock right?" in desk.fault(certificate="new.crt", key="new.pem")


def test_a_key_that_everybody_may_read_is_not_used(desk: Desk) -> None:
    (desk.home / "gateway.pem").chmod(0o644)
    assert desk.fault().endswith(f"run: chmod 600 {desk.home / 'gateway.pem'}")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"tls_certificate": "a"}, "`tls_certificate` and `tls_key` are set together"),
        ({"tls_key": "a"}, "`tls_certificate` and `tls_key` are set together"),
        (
            {"client_ca": "a"},
            "`client_ca` needs `tls_certificate`: only where TLS ends is a client's certificate proved",
        ),
        (
            {"tls_certificate": "a", "tls_key": "a", "origin": "http://127.0.0.1"},
            "`origin` must be an https address where TLS ends in the gateway",
        ),
    ],
)
def test_settings_that_make_no_sense_together_are_refused(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(HomeInvalid) as caught:
        replace(PLAIN, **settings)
    assert caught.value.detail == sentence


def test_a_handshake_is_tls_1_3_without_tickets_and_asks_for_certificates_only_where_told(desk: Desk) -> None:
    asking, not_asking = desk.settings(), desk.settings(ca="none")
    with tls_kept(desk.home, asking, SystemClock()) as tls:
        assert tls is not None
        asked = tls.context
    with tls_kept(desk.home, not_asking, SystemClock()) as tls:
        assert tls is not None
        bare = tls.context

    assert (asked.minimum_version, asked.num_tickets) == (ssl.TLSVersion.TLSv1_3, 0)
    assert (asked.verify_mode, bare.verify_mode) == (ssl.CERT_OPTIONAL, ssl.CERT_NONE)
    assert bool(asked.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN)
    assert not (desk.home / FOLDER).exists()


def test_what_is_kept_is_for_the_owner_alone_and_what_a_crash_left_is_removed(desk: Desk) -> None:
    (desk.home / FOLDER).mkdir()
    (desk.home / FOLDER / "left").touch()
    with tls_kept(desk.home, desk.settings(), SystemClock()):
        kept = {path.name: path.stat().st_mode & 0o777 for path in (desk.home / FOLDER).iterdir()}
        folder = (desk.home / FOLDER).stat().st_mode & 0o777
    assert (kept, folder) == ({"own.pem": 0o600, "authorities.pem": 0o600}, 0o700)


def test_a_renewal_tells_who_follows_and_one_that_fails_changes_nothing(desk: Desk) -> None:
    told: list[str] = []
    with tls_kept(desk.home, desk.settings(), SystemClock()) as tls:
        assert tls is not None
        tls.followers.append(lambda: told.append("renewed"))
        first = tls.context
        (desk.home / "gateway.pem").write_bytes(b"half a ke")
        renew(desk.home, desk.settings(), tls, SystemClock())
        after_a_bad_one = (tls.context is first, [*told])
        desk.authority.issue("gateway").put(desk.home, "gateway")
        renew(desk.home, desk.settings(), tls, SystemClock())

        assert after_a_bad_one == (True, [])
        assert (tls.context is first, told) == (False, ["renewed"])


def test_the_days_of_the_certificate_are_told_and_warned_of_at_30_14_7_and_1(desk: Desk) -> None:
    issued = desk.authority.issue("gateway", ends=timedelta(days=6, hours=1))
    issued.put(desk.home, "gateway")
    before = tls_rows(desk.home, desk.settings(), SystemClock())
    with tls_kept(desk.home, desk.settings(), SystemClock()):
        (desk.home / "gateway.crt").unlink()  # what serves is what counts
        serving = tls_rows(desk.home, desk.settings(), SystemClock())

    row = KeyRow(kind="tls", state="would serve", public=issued.known_as.thumbprint, days_left=6)
    assert (before, serving) == ((row,), (replace(row, state="serves"),))
    assert tls_rows(desk.home, PLAIN, SystemClock()) == ()
    assert [left for left in (31, 30, 14, 7, 1, -1) if warning_of(replace(row, days_left=left)) is None] == [
        31
    ]
