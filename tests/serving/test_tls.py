"""The operator's certificate and key: what is wrong is a sentence that names the file."""

import resource
import signal
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from authority import DAY, Authority, of_version, pem_of
from structlog.testing import capture_logs

from gateway.clock import SystemClock
from gateway.errors import HomeInvalid
from gateway.keyring.ages import KeyRow, warning_of
from gateway.serving.tls import FILE_BYTES_MAX, FOLDER, renew, tls_kept, tls_rows
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


def test_what_cannot_be_taken_over_is_told_and_changes_nothing_whatever_it_is(desk: Desk) -> None:
    """A certificate of no known version among the authorities, and a disk that takes nothing more."""
    good = (desk.home / "ca.pem").read_bytes()
    odd = pem_of(of_version(desk.authority, desk.authority.issue("x"), 5))
    with capture_logs() as told, tls_kept(desk.home, desk.settings(), SystemClock()) as tls:
        assert tls is not None
        first = tls.context
        (desk.home / "ca.pem").write_bytes(good + odd)
        renew(desk.home, desk.settings(), tls, SystemClock())
        (desk.home / "ca.pem").write_bytes(good)
        with full_disk():
            renew(desk.home, desk.settings(), tls, SystemClock())
        after_both = tls.context is first
        renew(desk.home, desk.settings(), tls, SystemClock())

    causes = [line["cause"] for line in told if line["event"] == "tls_not_renewed"]
    assert (after_both, tls.context is first) == (True, False)
    assert causes == [
        f"`{desk.home / 'ca.pem'}` (`client_ca`) holds no certificate in PEM that can be read",
        f"`{desk.home / FOLDER}` cannot be written (File too large)",
    ]


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow beyond 100 bytes."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_file_that_is_too_large_is_refused_and_never_cut(desk: Desk) -> None:
    (desk.home / "ca.pem").write_bytes(desk.authority.pem + b"\n" * FILE_BYTES_MAX)
    assert desk.fault().endswith(f"(`client_ca`) is larger than {FILE_BYTES_MAX} bytes")


def test_a_folder_that_a_kill_left_while_files_were_checked_is_removed(desk: Desk) -> None:
    (desk.home / "run" / "tls-kx3f").mkdir()
    (desk.home / "run" / "tls-kx3f" / "own.pem").touch()
    with tls_kept(desk.home, PLAIN, SystemClock()):
        assert not [*(desk.home / "run").iterdir()]


def test_authorities_that_are_replaced_vouch_for_no_open_connection(desk: Desk) -> None:
    """Those of the same bytes go on; a renewed certificate of the gateway closes nothing."""
    told: list[str] = []
    with tls_kept(desk.home, desk.settings(), SystemClock()) as tls:
        assert tls is not None
        tls.authorities_changed = lambda: told.append("changed")
        first = tls.context
        desk.authority.issue("gateway").put(desk.home, "gateway")
        renew(desk.home, desk.settings(), tls, SystemClock())
        second, after_a_certificate = tls.context, (first.authorities.believed, [*told])
        (desk.home / "ca.pem").write_bytes(Authority("Other").pem)
        renew(desk.home, desk.settings(), tls, SystemClock())

        assert after_a_certificate == (True, [])
        assert [each.authorities.believed for each in (first, second, tls.context)] == [False, False, True]
        assert told == ["changed"]


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
