"""One request that a person approved for runs without them, as a firm's machine keeps it.

    saved/NAME.json    the request to its last byte, the activation's id and end; mode 0600

There is no secret in it: without the client's key nobody can run it, and with the key nothing else.
"""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from gateway.client.failures import ProfileInvalid
from gateway.client.profile import make_folder, write_private

FOLDER: Final = "saved"
FILE_BYTES_MAX: Final = 64 * 1024
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRequest:
    """A request that may be run once a day, exactly as it is."""

    purpose: str
    path: str
    body: str = field(repr=False)
    activation: str
    """The gateway's name of the person's approval."""
    until: str
    """When it ends, as ISO 8601."""

    def save(self, folder: Path, name: str) -> None:
        """Keep it under a name, in place of the one there."""
        make_folder(folder)
        make_folder(folder / FOLDER)
        write_private(_file(folder, name), json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path, name: str) -> "SavedRequest":
        """Return the request of a name.

        Raises:
            ProfileInvalid: There is none, or its file cannot be read.

        """
        file = _file(folder, name)
        try:
            document = json.loads(file.read_bytes()[:FILE_BYTES_MAX])
            saved = cls(**{member: str(document[member]) for member in cls.__slots__})
        except FileNotFoundError as error:
            raise ProfileInvalid(f"nothing is saved as `{name}`; `gateway run` lists what is") from error
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise ProfileInvalid(f"`{file}` cannot be read; run `gateway save` again") from error
        return saved


def saved_names(folder: Path) -> list[str]:
    """Return the names under which requests are saved."""
    return sorted(file.stem for file in (folder / FOLDER).glob("*.json"))


def _file(folder: Path, name: str) -> Path:
    if NAME.fullmatch(name) is None:
        raise ProfileInvalid("a name has small letters, digits, `.`, `_` and `-`, 64 at most")
    return folder / FOLDER / f"{name}.json"
