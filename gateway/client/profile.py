"""What a firm's machine remembers between commands: one folder that only its owner may read.

    profile.json     the gateway, who we are to it, for which purpose, and the log's verifier key
    client.pem       the private key (or wherever ``key`` points), mode 0600; those that answers are
                     encrypted to are wherever ``encryption_keys`` points
    connect.secret   the secret of ``gateway connect``'s address, mode 0600

No token is kept. The log's key is trusted on first use unless it was given; a gateway that later
shows another one is refused, because it could show each firm another log.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.client.decryption import DecryptionKey, require_few
from gateway.client.failures import ProfileInvalid
from gateway.client.keys import ClientKey
from gateway.client.private_key import PrivateKey
from gateway.client.tls import tls_context

FOLDER_VARIABLE: Final = "GATEWAY_PROFILE"
FOLDER_NAME: Final = "data-sharing-gateway"
FILE_NAME: Final = "profile.json"
KEY_NAME: Final = "client.pem"
SECRET_NAME: Final = "connect.secret"  # noqa: S105  a file's name
SECRET_BYTES: Final = 24
OWNER_ONLY: Final = 0o700
FILE_BYTES_MAX: Final = 64 * 1024
MAY_BE_EMPTY: Final = frozenset({"ca", "certificate"})
Key = TypeVar("Key", bound=PrivateKey)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Who we are to which gateway. All of it may be shown; the private key stays in its file."""

    gateway: str
    client: str
    purpose: str
    key: str
    """Path of the private key's file."""
    log_key: str
    """The log's verifier key that every receipt is held against."""
    ca: str = ""
    """Path of the file with the authorities that may vouch for the gateway; empty: the system's."""
    certificate: str = ""
    """Path of the certificate over ``key`` that says who we are; empty: the key itself says so."""
    encryption_keys: tuple[str, ...] = ()
    """Paths of the private keys that answers are encrypted to; none: they come in clear."""

    @classmethod
    def load(cls, folder: Path) -> "Profile":
        """Return the profile of a folder.

        Raises:
            ProfileInvalid: There is none, or others could have written it.

        """
        file = folder / FILE_NAME
        try:
            _check_owner(file)
            document = json.loads(file.read_bytes()[:FILE_BYTES_MAX])
            encryption_keys = _texts(document.pop("encryption_keys", []))
            texts = {name: _text(document, name) for name in cls.__slots__ if name in document}
            return cls(**texts, encryption_keys=encryption_keys)
        except FileNotFoundError as error:
            raise ProfileInvalid(
                "no gateway is known here yet; run: gateway login --gateway URL --client ID --purpose P"
            ) from error
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ProfileInvalid(
                f"`{file}` cannot be read; remove it and run `gateway login` anew"
            ) from error

    def save(self, folder: Path) -> None:
        """Write the profile, whole or not at all."""
        make_folder(folder)
        write_private(folder / FILE_NAME, json.dumps(asdict(self), indent=2) + "\n")

    def gateway_options(self) -> dict[str, Any]:
        """Return what ``Gateway`` needs to ask as this client: name, keys or certificate, whom to trust.

        Raises:
            ProfileInvalid: A file is not there or cannot be used.

        """
        who = {"client": self.client, "decryption_keys": self.decryption_keys()}
        ca = Path(self.ca) if self.ca else None
        if self.certificate:
            tls = tls_context(ca=ca, certificate=Path(self.certificate), key=Path(self.key))
            return {**who, "key": None, "tls": tls}
        trusted = None if ca is None else tls_context(ca=ca)
        return {**who, "key": self.private_key(), "tls": trusted}

    def private_key(self) -> ClientKey:
        """Return the client's key.

        Raises:
            ProfileInvalid: The file is not there, is no P-256 key, or others may read it.

        """
        return _loaded(ClientKey, self.key, "--key")

    def decryption_keys(self) -> tuple[DecryptionKey, ...]:
        """Return the keys that answers are encrypted to.

        Raises:
            ProfileInvalid: A file is not there, is no P-256 key, or others may read it; or too many.

        """
        keys = tuple(_loaded(DecryptionKey, path, "--encryption-key") for path in self.encryption_keys)
        try:
            require_few(keys)
        except ValueError as error:
            raise ProfileInvalid(f"{error}; name them anew with --encryption-key") from error
        return keys


def _loaded(kind: type[Key], path: str, option: str) -> Key:
    try:
        return kind.load(path)
    except FileNotFoundError as error:
        raise ProfileInvalid(f"there is no key file `{path}`; name it with {option}") from error
    except (OSError, ValueError, TypeError) as error:
        raise ProfileInvalid(f"the key file `{path}` cannot be used: {error}") from error


def profile_folder(environment: Mapping[str, str]) -> Path:
    """Return where the profile is: ``GATEWAY_PROFILE``, or a folder in the XDG configuration home."""
    if chosen := environment.get(FOLDER_VARIABLE):
        return Path(chosen)
    return Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / FOLDER_NAME


def make_folder(folder: Path) -> None:
    """Make the profile folder, for its owner only.

    Raises:
        ProfileInvalid: It was there before, and others may write to it.

    """
    folder.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY)
    if os.name == "posix" and folder.stat().st_mode & 0o022:
        raise ProfileInvalid(f"others may write to the folder `{folder}`; run: chmod 700 {folder}")


def checked_log_key(known: Profile | None, gateway: str, published: str, given: str | None) -> str:
    """Return the log's keys to trust, one a line: those given, those already trusted, or the first seen.

    While a log changes its key it publishes two, and one of them is trusted already: that is enough.

    Raises:
        ProfileInvalid: The gateway publishes none that is trusted.

    """
    pinned = known.log_key if known is not None and known.gateway == gateway else None
    trusted = given or pinned or published
    if not set(trusted.split("\n")) & set(published.split("\n")):
        raise ProfileInvalid(
            f"the log's key at {gateway} is not the one you trust: it shows `{published}`, and trusted is "
            f"`{trusted}`; do not go on before the operator told you, by another way than this gateway, "
            "that the key was changed; then run `gateway login --log-key FILE` with the new one"
        )
    return trusted


def connect_secret(folder: Path, *, anew: bool) -> str:
    """Return the secret of the loopback address; it stays the same, so that saved addresses work on."""
    file = folder / SECRET_NAME
    make_folder(folder)
    if anew or not file.exists():
        write_private(file, secrets.token_urlsafe(SECRET_BYTES) + "\n")
    _check_owner(file)
    secret = file.read_text(encoding="ascii").strip()
    if len(secret) < SECRET_BYTES:
        raise ProfileInvalid(f"`{file}` holds no secret; run `gateway connect --new-secret`")
    return secret


def _check_owner(file: Path) -> None:
    """Refuse what others may read or write. SECURITY: the pin of the log's key is in there."""
    if os.name == "posix" and file.stat().st_mode & 0o077:
        raise ProfileInvalid(f"others may read `{file}`; run: chmod 600 {file}")


def _text(document: Mapping[str, object], name: str) -> str:
    value = document[name]
    if not isinstance(value, str) or not (value or name in MAY_BE_EMPTY):
        raise ValueError(f"`{name}` is not a text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError("`encryption_keys` is not a list of texts")
    return tuple(value)


def write_private(file: Path, text: str) -> None:
    """Replace a file in one step; only its owner may ever read it."""
    part = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(text)
    part.replace(file)
