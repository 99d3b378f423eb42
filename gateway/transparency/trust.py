"""Whom to believe about a log: the file format of c2sp.org/tlog-policy, which other software reads too.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>...
    quorum <name>|none

The operator's file says whom the log asks for cosignatures; a firm's or an auditor's says without whose
cosignatures a checkpoint is not believed. Pure: a text in, a judgement out.
"""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from gateway.transparency.cosignature import cosignatures, parse_witness_vkey
from gateway.transparency.note import parse_vkey
from gateway.transparency.proof import Checkpoint, verify_checkpoint
from gateway.transparency.tree import ProofInvalid

FILE_BYTES_MAX: Final = 64 * 1024
LINES_MAX: Final = 256
NONE: Final = "none"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class TrustInvalid(ValueError):
    """A policy file does not say whom to believe; the message names the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Somebody outside who remembers the log's head. ``url`` is empty where nobody has to ask."""

    name: str
    vkey: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """One policy file."""

    logs: str
    """The vkeys of the logs, one a line; empty where the log is known from elsewhere."""
    witnesses: tuple[Witness, ...]
    quorum: str
    groups: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    """Name -> how many of which members; never changed once made."""

    def is_quorum(self, names: AbstractSet[str]) -> bool:
        """Return whether these witnesses together are enough."""
        return self.quorum == NONE or self._counts(self.quorum, names)

    def _counts(self, name: str, names: AbstractSet[str]) -> bool:
        if name not in self.groups:
            return name in names
        enough, members = self.groups[name]
        return sum(self._counts(member, names) for member in members) >= enough

    def require(self, note: bytes, vkeys: str) -> Checkpoint:
        """Return the checkpoint that the log signed and a quorum cosigned.

        Raises:
            ProofInvalid: Not signed by the log, or not cosigned by enough of the witnesses.

        """
        checkpoint = verify_checkpoint(note, vkeys)
        made = cosignatures(note, [witness.vkey for witness in self.witnesses])
        if not self.is_quorum({witness.name for witness in self.witnesses if witness.vkey in made}):
            raise ProofInvalid("too few witnesses cosigned the checkpoint")
        return checkpoint


def parse_trust(text: str) -> Trust:
    """Return what a policy file says.

    Raises:
        TrustInvalid: A line of another form, a name twice or unknown, a key twice, no quorum or two.

    """
    if len(text) > FILE_BYTES_MAX or text.count("\n") > LINES_MAX:
        raise TrustInvalid("the policy file is too large")
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), 1):
        words = re.split(r"[ \t]+", line.strip(" \t"))
        if _CONTROL.search(line):
            raise TrustInvalid(f"line {number} of the policy file: a control character")
        if words == [""] or words[0].startswith("#"):
            continue
        try:
            reader.read(words)
        except (TrustInvalid, ProofInvalid) as error:
            raise TrustInvalid(f"line {number} of the policy file: {error}") from error
    if reader.quorum is None:
        raise TrustInvalid("the policy file names no quorum")
    return Trust(
        logs="\n".join(reader.logs),
        witnesses=tuple(reader.witnesses),
        quorum=reader.quorum,
        groups=reader.groups,
    )


@dataclass(slots=True)
class _Reader:
    """What the lines so far said; owned by one call of ``parse_trust``."""

    logs: list[str] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    groups: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    quorum: str | None = None
    keys: set[bytes] = field(default_factory=set)
    names: set[str] = field(default_factory=lambda: {NONE})
    members: set[str] = field(default_factory=set)

    def read(self, words: list[str]) -> None:
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self._key(parse_vkey(vkey).key.public_bytes_raw())
                self.logs.append(vkey)
            case ["witness", name, vkey, *rest] if len(rest) <= 1:
                self._name(name)
                self._key(parse_witness_vkey(vkey).key.public_bytes_raw())
                self.witnesses.append(Witness(name=name, vkey=vkey, url="".join(rest).rstrip("/")))
            case ["group", name, count, *members] if members:
                for member in members:
                    self._known(member)
                    if member == NONE or member in self.members:
                        raise TrustInvalid(f"`{member}` cannot be a member here")
                    self.members.add(member)
                self._name(name)
                self.groups[name] = (_enough(count, len(members)), tuple(members))
            case ["quorum", name] if self.quorum is None:
                self._known(name)
                self.quorum = name
            case _:
                raise TrustInvalid("not a log, a witness, a group or the one quorum")

    def _name(self, name: str) -> None:
        if name in self.names:
            raise TrustInvalid(f"`{name}` is there already")
        self.names.add(name)

    def _known(self, name: str) -> None:
        if name not in self.names:
            raise TrustInvalid(f"`{name}` is not known yet")

    def _key(self, raw: bytes) -> None:
        if raw in self.keys:
            raise TrustInvalid("this key is there already")
        self.keys.add(raw)


def _enough(count: str, members: int) -> int:
    """Return how many members make the group."""
    named = {"all": members, "any": 1, **{str(number): number for number in range(1, members + 1)}}
    if count not in named:
        raise TrustInvalid(f"`{count[:20]}` is not how many of {members} members")
    return named[count]
