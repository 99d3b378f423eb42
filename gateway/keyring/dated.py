"""Keys that replace one another by the clock: each file says from which second on its key works.

    tokens.pem  tokens-1767225600.pem          sealing.key  sealing-1767225600.key

What a key is follows from the files and the time alone, so all processes agree without a word, and a
crash leaves nothing half done:

    announced   works later; believed already, so nobody is surprised      active    the newest that works
    retired     was active; what it made counts for as long as it may      revoked   its name is left

The file without a number worked from the beginning. Not the log's keys: they sign side by side
(``log_keys.py``). Not the pseudonyms' key: with another one every pseudonym is another (``custody.py``).
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Generic, TypeVar

from gateway.errors import HomeInvalid
from gateway.keyring.files import move_private, put_private, read_private

FILES_MAX: Final = 128
"""Of one kind; more were never meant."""
_REVOKED: Final = ".revoked"
"""Behind the name of a file whose key is destroyed; it holds the public name."""
Now = Callable[[], float]
Made = TypeVar("Made")


class KeyState(StrEnum):
    """What a key is at a moment."""

    ANNOUNCED = "announced"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Dated(Generic[Made]):
    """A key and when it works."""

    name: str
    """Of the file."""
    works_from: int
    """Unix seconds; 0: from the beginning."""
    key: Made = field(repr=False)


class DatedFiles(Generic[Made]):
    """The key files of one kind in a folder, newest first. ``read`` makes a key of a file's bytes.

    ``named`` returns its public name. Where keys are ``kept``, the first one must be there for ever.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        read: Callable[[bytes, str], Made],
        named: Callable[[Made], str],
        kept: bool,
        now: Now = time.time,
    ) -> None:
        stem, _, ending = name.partition(".")
        self._folder = folder
        self._first = name
        self._dated = re.compile(rf"{stem}-([0-9]{{1,12}})\.{ending}")
        self._spelled = f"{stem}-{{}}.{ending}"
        self._read = read
        self._public = named
        self._kept = kept
        self._now = now
        self._revoked: frozenset[str] = frozenset()
        self.keys: tuple[Dated[Made], ...] = ()
        self.reload()

    def reload(self, revoked: frozenset[str] | None = None) -> None:
        """Take over what the folder has now; keys that were read before are the same objects.

        ``revoked`` are names of keys that do not count even if they are there (None: as before).

        Raises:
            HomeInvalid: A file is no key of its kind, open to others, or there are too many.

        """
        known = {dated.name: dated for dated in self.keys}
        try:
            there = {path.name for path in self._folder.iterdir()}
        except OSError as error:
            raise HomeInvalid(f"the key folder cannot be read: {error.strerror}") from error
        names = {name: int(match[1]) for name in there if (match := self._dated.fullmatch(name))}
        if self._kept or not names or self._first in there:
            names[self._first] = 0
        if len(names) > FILES_MAX:
            raise HomeInvalid(f"there are more than {FILES_MAX} keys like `{self._first}`")
        found = [
            known.get(name) or Dated(name, works_from, self._read(read_private(self._folder, name), name))
            for name, works_from in names.items()
        ]
        self._revoked = self._revoked if revoked is None else revoked
        counted = [dated for dated in found if self._public(dated.key) not in self._revoked]
        if not counted:
            raise HomeInvalid(f"no key like `{self._first}` counts any more")
        self.keys = tuple(sorted(counted, key=lambda dated: (-dated.works_from, dated.name)))

    @property
    def active(self) -> Dated[Made]:
        """The newest key that works."""
        now = self._now()
        working = (dated for dated in self.keys if dated.works_from <= now)
        return next(working, self.keys[-1])  # a clock before all keys: the oldest

    def states(self) -> tuple[tuple[Dated[Made], KeyState, int | None], ...]:
        """Return every key with its state, and the second at which it was or will be replaced."""
        active = self.active
        rows: list[tuple[Dated[Made], KeyState, int | None]] = []
        replaced: int | None = None
        for dated in self.keys:
            state = KeyState.RETIRED if dated.works_from < active.works_from else KeyState.ANNOUNCED
            rows.append((dated, KeyState.ACTIVE if dated is active else state, replaced))
            replaced = dated.works_from
        return tuple(rows)

    def add(self, content: bytes, works_from: int) -> Made:
        """Put another key into the folder, take it over, and return it.

        Raises:
            HomeInvalid: There is one of that second already, or the disk refuses.

        """
        name = self._spelled.format(works_from)
        if (self._folder / name).exists() or len(self.keys) >= FILES_MAX:
            raise HomeInvalid("too many keys at once; wait a while")
        put_private(self._folder, name, content)
        self.reload()
        return next(dated.key for dated in self.keys if dated.name == name)

    def remove(self, public: str) -> None:
        """Destroy the file of the key of that name, and forget the key.

        Raises:
            HomeInvalid: The disk refuses, or no key would be left.

        """
        for name in self._named(public):
            move_private(self._folder, name, None)
        self.reload()

    def revoke(self, public: str) -> None:
        """Destroy a key as ``remove`` does, and keep its public name in the file's place.

        Raises:
            HomeInvalid: As for ``remove``.

        """
        for name in self._named(public):
            put_private(self._folder, f"{name}{_REVOKED}", public.encode("ascii") + b"\n")
            move_private(self._folder, name, None)
        self.reload()

    def revoked(self) -> tuple[str, ...]:
        """Return the public names of the keys that were revoked."""
        names = sorted(path.name for path in self._folder.glob(f"*{_REVOKED}"))
        ours = [name for name in names if self._is_ours(name.removesuffix(_REVOKED))]
        return tuple(read_private(self._folder, name).decode("ascii", "replace").strip() for name in ours)

    def _named(self, public: str) -> list[str]:
        """Return the files that hold the key of a name."""
        names = [path.name for path in self._folder.iterdir() if self._is_ours(path.name)]
        keys = {name: self._read(read_private(self._folder, name), name) for name in names}
        return [name for name, key in keys.items() if self._public(key) == public]

    def _is_ours(self, name: str) -> bool:
        return name == self._first or self._dated.fullmatch(name) is not None
