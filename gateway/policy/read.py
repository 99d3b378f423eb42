"""Read one YAML 1.2 document into plain values and remember where each of them stood.

What comes back consists of dict, list, str, int, Decimal and bool only. Refused is everything that
two readers could understand differently: duplicate keys, anchors, aliases, tags, directives, tabs,
invisible characters, empty values, numbers in disguise, keys that are not text. Whatever can be
reported together is. Source: YAML 1.2.2 sections 10.3 (core schema) and 6.8 to 6.9.

Of the parser (libyaml) only the events are used: what a scalar means is decided here. It does not know
what a rule is: ``document.py`` does.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import yaml
from yaml import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    MarkedYAMLError,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    YAMLError,
)

from gateway.errors import Fault, RulesInvalid

Scalar = str | int | Decimal | bool
Plain = Scalar | list["Plain"] | dict[str, "Plain"]
Path = tuple[str | int, ...]
Place = tuple[int, int]
"""Line and column, counted from 1."""

BYTES_MAX: Final = 1024 * 1024
LEVELS_MAX: Final = 20
DIGITS_MAX: Final = 30
MISSING: Final = "a value is missing; write one or take the name away"
GAP: Final = "nothing stands between the last comma and this bracket"
CHARACTER_FAULTS_MAX: Final = 20

_COMMENT = re.compile(r"#[^\n]*")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]{1,2})?")
_DISGUISED = re.compile(r"[-+]?0[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A document's content, and the places of its keys and values."""

    file: str
    content: Mapping[str, Plain]
    keys: Mapping[Path, Place]
    values: Mapping[Path, Place]

    def fault(self, path: Path, message: str, *, at_key: bool = False) -> Fault:
        """Return a fault at the value (or its key) of ``path``, or at the nearest parent that exists."""
        places = (self.keys, self.values) if at_key else (self.values, self.keys)
        for length in range(len(path), -1, -1):
            for known in places:
                if place := known.get(path[:length]):
                    line, column = place
                    return Fault(self.file, line, column, message)
        return Fault(self.file, 1, 1, message)


def read(text: bytes, *, file: str) -> tuple[Tree, tuple[Fault, ...]]:
    """Return a document's tree and what is wrong in it so far; any fault means: do not use it.

    Raises:
        RulesInvalid: The bytes are not one readable YAML mapping, so that there is no tree.

    """
    characters = _characters(text, file)
    builder = _Builder(file, characters, yaml.parse(characters, Loader=yaml.CSafeLoader))
    try:
        content = builder.document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        said = error.problem or error.context or "syntax error"
        raise RulesInvalid((Fault(file, line, column, f"not readable as YAML: {said}"),)) from error
    except (YAMLError, ValueError) as error:  # a character or an escape that no YAML may contain
        raise RulesInvalid((Fault(file, 1, 1, "not readable as YAML"),)) from error
    tree = Tree(file=file, content=content, keys=builder.keys, values=builder.values)
    return tree, tuple(builder.faults)


def _characters(text: bytes, file: str) -> str:
    """Return the text of the bytes, free of what an eye does not see."""
    if len(text) > BYTES_MAX:
        raise RulesInvalid((Fault(file, 1, 1, f"the document is larger than {BYTES_MAX} bytes"),))
    try:
        characters = text.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _place_of(text[: error.start].decode("utf-8"))
        raise RulesInvalid((Fault(file, *place, "the document is not UTF-8"),)) from error
    # SECURITY: an invisible or direction-changing character shows a reviewer another rule than applies.
    if faults := tuple(_unseen(characters, file)):
        raise RulesInvalid(faults)
    return characters


def _unseen(characters: str, file: str) -> Iterator[Fault]:
    if all(line.isprintable() for line in characters.split("\n")):
        return  # the usual case, and quick; what follows is exact
    reported = 0
    for at, character in enumerate(characters):
        if character == "\n" or unicodedata.category(character) not in _UNSEEN:
            continue
        if character == "\r" and characters[at + 1 : at + 2] == "\n":
            continue
        reported += 1
        if reported > CHARACTER_FAULTS_MAX:
            return
        yield Fault(file, *_place_of(characters[:at]), _unseen_message(at, character))


def _unseen_message(at: int, character: str) -> str:
    if character == "\t":
        return "a tab: indent and separate with spaces (inside quotes write `\\t`)"
    if character == "\ufeff" and at == 0:
        return "the document starts with a byte order mark; save it as UTF-8 without one"
    return f"invisible character U+{ord(character):04X}"


def _place_of(before: str) -> Place:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


class _Builder:
    """Turns parse events into plain values. Owner of its state: one call of ``read``."""

    def __init__(self, file: str, characters: str, events: Iterator[Event]) -> None:
        self.file = file
        self.characters = characters
        self.events = self._without_gaps(events)
        self.faults: list[Fault] = []
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}

    def document(self) -> dict[str, Plain]:
        """Return the one mapping that the stream consists of."""
        next(self.events)  # the stream starts
        first = next(self.events)
        if isinstance(first, StreamEndEvent):
            raise RulesInvalid((self._at(first, "the document is empty"),))
        if isinstance(first, DocumentStartEvent) and (first.version or first.tags):
            self.faults.append(self._at(first, "a directive (`%`): the document is YAML 1.2 and has no tags"))
        top = next(self.events)
        if not isinstance(top, MappingStartEvent):
            raise RulesInvalid((self._at(top, "the document is not a mapping of names to values"),))
        content = self._node(top, ())
        next(self.events)  # the document ends
        if not isinstance(after := next(self.events), StreamEndEvent):
            raise RulesInvalid((self._at(after, "a second document: one file holds one document"),))
        assert isinstance(content, dict)  # noqa: S101 - it began with MappingStartEvent
        return content

    def _without_gaps(self, events: Iterator[Event]) -> Iterator[Event]:
        """Pass events on, and note a comma before a closing bracket: YAML drops what may be missing there."""
        end = 0
        for event in events:
            if isinstance(event, SequenceEndEvent | MappingEndEvent):
                gap = _COMMENT.sub("", self.characters[end : event.start_mark.index])
                if "," in gap:
                    self.faults.append(self._at(event, GAP))
            end = event.end_mark.index
            yield event

    def _at(self, event: Event, message: str) -> Fault:
        return Fault(self.file, *_start(event), message)

    def _node(self, event: Event, path: Path) -> Plain:
        if len(path) > LEVELS_MAX:
            raise RulesInvalid((*self.faults, self._at(event, f"more than {LEVELS_MAX} levels")))
        nothing = isinstance(event, ScalarEvent) and not event.style and not event.value
        # YAML places an empty value where the next word stands; its key is where people look.
        self.values[path] = self.keys.get(path, _start(event)) if nothing else _start(event)
        self._refuse_indirection(event)
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        if isinstance(event, ScalarEvent):
            return self._scalar(event, path)
        return ""  # an alias, refused just above

    def _refuse_indirection(self, event: Event) -> None:
        """Note what makes a value depend on something that is written elsewhere."""
        if isinstance(event, AliasEvent):
            self.faults.append(self._at(event, "an alias (`*`): write the value out"))
        elif isinstance(event, NodeEvent) and event.anchor:
            self.faults.append(self._at(event, "an anchor (`&`): write the value out where it applies"))
        elif getattr(event, "tag", None):
            self.faults.append(self._at(event, "a tag (`!`): types follow from the document's model"))

    def _sequence(self, path: Path) -> list[Plain]:
        items: list[Plain] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> dict[str, Plain]:
        pairs: dict[str, Plain] = {}
        while isinstance(event := next(self.events), NodeEvent):
            name = self._key(event, path)
            place = _start(event)
            if isinstance(name, str) and name not in pairs:
                self.keys[*path, name] = place
                pairs[name] = self._node(next(self.events), (*path, name))
                continue
            if isinstance(name, str):
                first = self.keys[*path, name][0]
                self.faults.append(self._at(event, f"`{_clipped(name)}` is already given in line {first}"))
            self._node(next(self.events), (*path, -1))  # read past it; nothing in a tree is numbered -1
        return pairs

    def _key(self, event: NodeEvent, path: Path) -> str | None:
        """Return a key's text, or None with a fault noted."""
        if not isinstance(event, ScalarEvent):
            self._node(event, (*path, -1))
            self.faults.append(self._at(event, "a key that is not a text"))
            return None
        self._refuse_indirection(event)
        text = str(event.value)
        if event.style:
            return text
        if text in _NULLS or text in _BOOLEANS or _DISGUISED.fullmatch(text) or _DECIMAL.fullmatch(text):
            self.faults.append(self._at(event, "a key that is not a text; put it in quotes if it is one"))
            return None
        return text

    def _scalar(self, event: ScalarEvent, path: Path) -> Scalar:
        """Return what a scalar means in YAML 1.2; ``no``, ``1_000`` and ``12:30`` are texts there."""
        text = str(event.value)
        if event.style:
            return text
        if text in _NULLS:
            line, column = self.values[path]
            self.faults.append(Fault(self.file, line, column, MISSING))
        elif text in _BOOLEANS:
            return _BOOLEANS[text]
        elif _DISGUISED.fullmatch(text):
            self.faults.append(
                self._at(event, f"`{_clipped(text)}` is a text or a number; put a text in quotes")
            )
        elif _DECIMAL.fullmatch(text):
            if sum(character.isdigit() for character in text) > DIGITS_MAX:
                self.faults.append(self._at(event, f"a number of more than {DIGITS_MAX} digits"))
                return 0
            return int(text) if _INTEGER.fullmatch(text) else Decimal(text)
        return text


def _start(event: Event) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _clipped(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - a width on screen
