"""What an operator sets, in ``gateway.toml`` of the home folder: closed, typed, with safe defaults.

Sharing rules are not settings, and keys are not settings: they have folders of their own.
Every setting is described in docs/settings.md (a test keeps it so).
"""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_type_hints

from gateway.errors import HomeInvalid

FILE_NAME = "gateway.toml"
PORT_MAX = 65535
NOBODY = "none"
WITNESS_STARTS = ("quorum", "alone")
MORE_THAN_0 = (
    "workers",
    "engine_memory_mb",
    "engine_threads",
    "engine_deadline_s",
    "refusals_max",
    "places",
    "witness_interval_s",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One installation's settings."""

    origin: str
    """Scheme, host and port that callers use, for example ``https://gateway.example.gov.vn``."""
    log_origin: str
    """Name of the log in its checkpoints: a URL without scheme, with the year (c2sp.org/tlog-checkpoint)."""
    host: str = "127.0.0.1"
    port: int = 8080
    """0 picks a free port."""
    tls_certificate: str = NOBODY
    """PEM file with the gateway's certificate and what leads to its root; ``none``: TLS ends in front."""
    tls_key: str = NOBODY
    """PEM file with the certificate's private key."""
    client_ca: str = NOBODY
    """PEM file with the authorities of clients' certificates; ``none``: clients are not asked for any."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9464
    """0 picks a free port."""
    workers: int = 1
    """Processes that answer; with more than one, another one keeps the ledger and answers nobody."""
    data: str = "data"
    """Folder that sources are relative to; itself relative to the home folder."""
    engine_memory_mb: int = 2048
    engine_threads: int = 2
    engine_deadline_s: float = 10.0
    """Longest time for one pull of rows; a statistic's deadline is its release slot."""
    refusals_max: int = 200
    """Requests of one address in ten seconds that proved no caller, before it is closed unanswered."""
    places: int = 64
    """Requests for data that are answered at once; more are turned away before anything is charged."""
    places_each: int = 32
    """Of one client."""
    trusted_fronts: int = 0
    """Proxies in front of the gateway that append to ``X-Forwarded-For``; 0 believes no header."""
    device_interval_s: int = 5
    """Seconds a client waits between polls of the device grant (RFC 8628 section 3.2)."""
    witness_policy: str = NOBODY
    """File of c2sp.org/tlog-policy in the home folder that names the log's witnesses; ``none``: nobody."""
    witness_start: str = "quorum"
    """``quorum``: no start unless so many witnesses answer; ``alone``: start without them too."""
    witness_interval_s: float = 10.0
    """Between two requests for cosignatures."""
    pseudonym_share_1: str = NOBODY
    """File with a custodian's share of the pseudonyms' key; ``none``: the key is undivided, or given."""
    pseudonym_share_2: str = NOBODY
    """The other custodian's."""

    def __post_init__(self) -> None:
        if not self.origin.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise HomeInvalid("`origin` must be an https address (http only on loopback)")
        if self.origin.endswith("/") or self.origin.count("/") != len("//"):
            raise HomeInvalid("`origin` is scheme, host and port, without a path")
        self._check_tls()
        for name in ("port", "metrics_port"):
            if not 0 <= getattr(self, name) <= PORT_MAX:
                raise HomeInvalid(f"`{name}` is not a port")
        if self.witness_start not in WITNESS_STARTS:
            raise HomeInvalid(f"`witness_start` is one of {', '.join(WITNESS_STARTS)}")
        for name in MORE_THAN_0:
            if getattr(self, name) <= 0:
                raise HomeInvalid(f"`{name}` must be more than 0")

    @property
    def tls_ends_here(self) -> bool:
        return self.tls_certificate != NOBODY

    @property
    def asks_for_certificates(self) -> bool:
        return self.client_ca != NOBODY

    def _check_tls(self) -> None:
        if (self.tls_certificate == NOBODY) != (self.tls_key == NOBODY):
            raise HomeInvalid("`tls_certificate` and `tls_key` are set together")
        if self.asks_for_certificates and not self.tls_ends_here:
            raise HomeInvalid(
                "`client_ca` needs `tls_certificate`: only where TLS ends is a client's certificate proved"
            )
        if self.tls_ends_here and not self.origin.startswith("https://"):
            raise HomeInvalid("`origin` must be an https address where TLS ends in the gateway")


def load_settings(home: Path) -> Settings:
    """Return the settings of a home folder.

    Raises:
        HomeInvalid: No such file, not TOML, an unknown name, a missing name or a wrong type.
    """
    path = home / FILE_NAME
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise HomeInvalid(
            f"there is no `{FILE_NAME}` in this home; `gateway demo` makes one to look at"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HomeInvalid(f"`{FILE_NAME}` cannot be read: {error}") from error
    types = get_type_hints(Settings)
    for name, value in document.items():
        if name not in types:
            raise HomeInvalid(f"`{name}` is no setting")
        if not _fits(value, types[name]):
            raise HomeInvalid(f"`{name}` must be of type {types[name].__name__}")
    missing = [f.name for f in fields(Settings) if f.name in {"origin", "log_origin"} - document.keys()]
    if missing:
        raise HomeInvalid(f"`{missing[0]}` must be set")
    return Settings(**document)


def _fits(value: object, wanted: type) -> bool:
    if wanted is float:
        return type(value) in (int, float)
    return type(value) is wanted


def settings_text(settings: Settings) -> str:
    """Return ``gateway.toml`` with every setting written out."""
    lines = []
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        lines.append(f'{setting.name} = "{value}"' if isinstance(value, str) else f"{setting.name} = {value}")
    return "\n".join(lines) + "\n"
