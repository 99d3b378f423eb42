"""What handshakes are made with: the gateway's certificate and key, and the authorities of clients'.

    the operator's files --checked in the main process--> run/tls --loaded by every process--> contexts

SECURITY: ``run/tls`` is of the gateway's user only, made anew at each start and removed at its end. It is
there so that all processes serve the same: a worker that starts while an operator is half done with
copying takes what was last found good. A renewal that fails changes nothing, and is told.

TLS 1.3 only (RFC 9325 section 3.1.1 lets a new deployment): no renegotiation, no weak cipher to choose, and a
client's certificate is not sent in clear. No session tickets: with one, a certificate would be believed
without being proved again.
"""

import shutil
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway import telemetry
from gateway.clock import Clock
from gateway.errors import HomeInvalid
from gateway.identity.certificate import Certificate, certificates_in
from gateway.keyring.ages import TLS, KeyRow
from gateway.settings import Settings
from gateway.web.transport import AskingContext, Authorities

FOLDER: Final = "run/tls"
OWN: Final = "own.pem"
"""The certificate, what leads to its authority, and the private key."""
AUTHORITIES: Final = "authorities.pem"
FILE_BYTES_MAX: Final = 1024 * 1024
READABLE_BY_ALL: Final = 0o004


@dataclass(slots=True, kw_only=True)
class Tls:
    """The contexts of one process. State: ``context``, of the handshakes to come; the event loop's."""

    folder: Path
    followers: list[Callable[[], None]] = field(default_factory=list, repr=False)
    """Told after a renewal."""
    context: AskingContext = field(init=False, repr=False)
    authorities_changed: Callable[[], None] | None = field(default=None, repr=False)
    """Told when other authorities are believed than before."""

    def __post_init__(self) -> None:
        self.context = self._read()

    def take_over(self) -> None:
        """Make the handshakes to come with what lies in the folder.

        Connections that are made stay, unless the authorities are others: then none counts any more that
        showed a certificate to the ones before.
        """
        before, after = self.context.authorities, self._read()
        same = before.pem == after.authorities.pem
        if same:
            after.authorities = before
        self.context = after
        if not same:
            before.believed = False
            if self.authorities_changed is not None:
                self.authorities_changed()

    def _read(self) -> AskingContext:
        context, authorities = _context(self.folder), self.folder / AUTHORITIES
        context.authorities = Authorities(authorities.read_bytes() if authorities.exists() else b"")
        return context


@contextmanager
def tls_kept(home: Path, settings: Settings, clock: Clock) -> Iterator[Tls | None]:
    """Check the operator's files and keep them for all processes until the block ends; None: no TLS here.

    Raises:
        HomeInvalid: A file is not there, cannot be used, or is not of this time.

    """
    folder = home / FOLDER
    for left in (home / "run").glob(f"{folder.name}*"):  # by a crash, which may come while a file is checked
        shutil.rmtree(left, ignore_errors=True)
    if not settings.tls_ends_here:
        yield None
        return
    _keep(home, settings, clock.now())
    try:
        yield Tls(folder=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def renew(home: Path, settings: Settings, tls: Tls | None, clock: Clock) -> None:
    """Take over the operator's files as they are now, and tell the other processes; or keep what is."""
    if tls is None:
        return
    try:
        own = _keep(home, settings, clock.now())
        tls.take_over()
    except (HomeInvalid, OSError) as error:
        telemetry.tls_renewed(refused=True)
        telemetry.log("tls_not_renewed", cause=error.detail if isinstance(error, HomeInvalid) else str(error))
        return
    for tell in tls.followers:
        tell()
    telemetry.tls_renewed(refused=False)
    telemetry.log("tls_renewed", certificate=own.thumbprint, ends_at=own.ends_at.isoformat())


def tls_rows(home: Path, settings: Settings, clock: Clock) -> tuple[KeyRow, ...]:
    """Return the gateway's certificate as keys are listed: the one that serves, else the operator's file.

    Raises:
        HomeInvalid: There is none in the file.

    """
    serving = home / FOLDER / OWN
    if serving.exists():
        own, state = _certificates(serving, "tls_certificate")[0], "serves"
    elif settings.tls_ends_here:
        own, state = _certificates(home / settings.tls_certificate, "tls_certificate")[0], "would serve"
    else:
        return ()
    days_left = (own.ends_at - clock.now()).days
    return (KeyRow(kind=TLS, state=state, public=own.thumbprint, days_left=days_left),)


def _keep(home: Path, settings: Settings, now: datetime) -> Certificate:
    """Put the operator's files, once they have passed every check, where all processes load them."""
    certificate, key = home / settings.tls_certificate, home / settings.tls_key
    own = _certificates(certificate, "tls_certificate")[0]
    if now > own.ends_at:
        raise HomeInvalid(f"the certificate in `{certificate}` ended on {own.ends_at:%Y-%m-%d}; renew it")
    if now < own.begins_at:
        raise HomeInvalid(
            f"the certificate in `{certificate}` holds from {own.begins_at:%Y-%m-%d %H:%M} UTC on; "
            "is this machine's clock right?"
        )
    private = _read(key, "tls_key")
    if key.stat().st_mode & READABLE_BY_ALL:
        raise HomeInvalid(f"everybody may read the private key `{key}`; run: chmod 600 {key}")
    parts = {OWN: _read(certificate, "tls_certificate") + b"\n" + private}
    if settings.asks_for_certificates:
        _certificates(home / settings.client_ca, "client_ca")
        parts[AUTHORITIES] = _read(home / settings.client_ca, "client_ca")
    try:
        _put(home / FOLDER, parts)
    except ssl.SSLError as error:
        raise HomeInvalid(_why(error, certificate, key)) from error
    except OSError as error:
        raise HomeInvalid(f"`{home / FOLDER}` cannot be written ({error.strerror})") from error
    return own


def _put(folder: Path, parts: Mapping[str, bytes]) -> None:
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as new:
        for name, content in parts.items():
            (Path(new) / name).touch(mode=0o600)
            (Path(new) / name).write_bytes(content)
        _context(Path(new))  # these very bytes are what is loaded later
        folder.mkdir(mode=0o700, exist_ok=True)
        for name in parts:
            (Path(new) / name).replace(folder / name)


def _context(folder: Path) -> AskingContext:
    context = AskingContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(folder / OWN, password=lambda: "")  # else it would ask at the terminal
    if (folder / AUTHORITIES).exists():
        context.verify_mode = ssl.CERT_OPTIONAL
        # Each certificate of the file is trusted as it is: an authority below another, or a client's own.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(folder / AUTHORITIES)
    return context


def _certificates(file: Path, setting: str) -> tuple[Certificate, ...]:
    try:
        return certificates_in(_read(file, setting))
    except ValueError as error:
        raise HomeInvalid(f"`{file}` (`{setting}`) holds no certificate in PEM that can be read") from error


def _read(file: Path, setting: str) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise HomeInvalid(
            f"`{file}` cannot be read ({error.strerror}); name a PEM file in the setting `{setting}`, "
            f"or with --{setting.replace('_', '-')}"
        ) from error
    if len(content) > FILE_BYTES_MAX:
        raise HomeInvalid(f"`{file}` (`{setting}`) is larger than {FILE_BYTES_MAX} bytes")
    return content


def _why(error: ssl.SSLError, certificate: Path, key: Path) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the private key in `{key}` is not the one of the certificate in `{certificate}`"
    reason = (error.reason or "not PEM").lower().replace("_", " ")
    return f"`{certificate}` and `{key}` cannot be used: {reason}; is the key in PEM, and not encrypted?"
