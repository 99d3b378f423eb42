"""Copies of a log with one thing changed, and which part of it that touches.

``name`` is the key name in a signature line, which only Go's verifier reads; the others find the key by its
id. A change that another spelling of the same thing would be (blanks in base64) is not among them: that
those are refused is asked of our own reader, in tests/transparency.
"""

import base64
from collections.abc import Iterator
from random import Random
from typing import Any

Log = dict[str, Any]
Mutant = tuple[str, str, Log]


def mutants_of(log: Log, fork: Log, thief: Log, random: Random) -> Iterator[Mutant]:
    """Return (part, what was changed, the copy)."""
    yield from _of_note(log, fork, thief, random)
    yield from _of_map(log, fork, random)
    yield from _of_entries(log, fork, random)
    yield from _of_proof("inclusion", "Path", log, fork, random)
    yield from _of_proof("consistency", "Consistency", log, fork, random)
    for change in (-300, -7, -1, 1, 2, 8, 300):
        yield "inclusion", f"index {change:+}", {**log, "Index": log["Index"] + change}
    for number in range(8):
        yield "inclusion", f"entry, bit {number}", {**log, "Entry": _flipped(log["Entry"], random)}
    yield "inclusion", "no entry", {**log, "Entry": ""}
    yield "inclusion", "entry before", {**log, "Entry": log["Entries"][log["Index"] - 1]}


def _of_note(log: Log, fork: Log, thief: Log, random: Random) -> Iterator[Mutant]:
    note: str = log["Checkpoint"]
    text, _, line = note.partition("\n\n")
    origin, size, root = text.split("\n")
    name, signature = line.removeprefix("\u2014 ").rstrip("\n").split(" ")

    def changed(part: str, what: str, new: str) -> Mutant:
        return part, what, {**log, "Checkpoint": new}

    def signed(by: str) -> str:
        return f"{text}\n\n\u2014 {name} {by}\n"

    for place in range(0, len(origin), 2):
        other = origin[:place] + chr(ord(origin[place]) ^ 1) + origin[place + 1 :]
        yield changed("note", f"origin, character {place}", f"{other}\n{size}\n{root}\n\n{line}")
    for other in (0, 1, int(size) - 1, int(size) + 1, int(size) * 2, 2**63 - 1):
        yield changed("note", f"size {other}", f"{origin}\n{other}\n{root}\n\n{line}")
    for number in range(16):
        yield changed("note", f"root, bit {number}", f"{origin}\n{size}\n{_flipped(root, random)}\n\n{line}")
    for number in range(32):
        yield changed("note", f"signature, bit {number}", signed(_flipped(signature, random)))
    for place in range(4):
        raw = bytearray(base64.b64decode(signature))
        raw[place] ^= 0x80
        yield changed("note", f"key id, byte {place}", signed(base64.b64encode(raw).decode()))
    yield changed("note", "no signature", f"{text}\n\n")
    yield changed("note", "no end", note[:-40])
    yield changed("note", "nothing", "")
    yield changed("note", "extension line", f"{text}\nmore\n\n{line}")
    yield changed("note", "the head of another story", fork["Checkpoint"])
    yield changed("note", "an older head", log["Older"])
    yield changed("note", "another key of that name", thief["Checkpoint"])
    thiefs = thief["Checkpoint"].rstrip("\n").rpartition(" ")[2]
    key_id, stolen = base64.b64decode(signature)[:4], base64.b64decode(thiefs)[4:]
    yield changed("note", "another key with our id", signed(base64.b64encode(key_id + stolen).decode()))
    yield changed("name", "another name", f"{text}\n\n\u2014 {name}x {signature}\n")
    yield "consistency", "an older head of another story", {**log, "Older": fork["Older"]}
    yield "consistency", "an older head of a thief", {**log, "Older": thief["Older"]}


def _of_map(log: Log, fork: Log, random: Random) -> Iterator[Mutant]:
    tiles: dict[str, str] = log["Tiles"]

    def changed(what: str, more: dict[str, str], without: str = "") -> Mutant:
        left = {name: data for name, data in tiles.items() if name != without}
        return "tiles", what, {**log, "Tiles": left | more}

    for name, data in tiles.items():
        for number in range(10):
            yield changed(f"{name}, bit {number}", {name: _flipped(data, random)})
        raw = base64.b64decode(data)
        yield changed(f"{name}, a hash less", {name: base64.b64encode(raw[:-32]).decode()})
        yield changed(f"{name}, a hash more", {name: base64.b64encode(raw + raw[:32]).decode()})
        yield changed(f"{name}, a byte less", {name: base64.b64encode(raw[:-1]).decode()})
        yield changed(f"{name}, missing", {}, name)
        yield changed(f"{name}, of another story", {name: fork["Tiles"][name]})
        yield changed(f"{name}, at another place", {f"{name}9": data}, name)


def _of_entries(log: Log, fork: Log, random: Random) -> Iterator[Mutant]:
    entries: list[str] = log["Entries"]
    last = len(entries) - 1
    for place in [0, 1, 127, 128, 255, 256, last, *random.sample(range(last), 13)]:
        other = [*entries]
        other[place] = _flipped(other[place], random)
        yield "entries", f"entry {place}", {**log, "Entries": other}
        other = [*entries]
        other[place] = fork["Entries"][place]
        yield "entries", f"entry {place} of another story", {**log, "Entries": other}
        yield "entries", f"without entry {place}", {**log, "Entries": entries[:place] + entries[place + 1 :]}
    yield "entries", "one more", {**log, "Entries": [*entries, entries[0]]}
    yield "entries", "the newest missing", {**log, "Entries": entries[:-1]}
    yield "entries", "two exchanged", {**log, "Entries": [entries[1], entries[0], *entries[2:]]}
    yield "entries", "none", {**log, "Entries": []}


def _of_proof(part: str, member: str, log: Log, fork: Log, random: Random) -> Iterator[Mutant]:
    path: list[str] = log[member]
    for place, node in enumerate(path):
        for number in range(3):
            other = [*path[:place], _flipped(node, random), *path[place + 1 :]]
            yield part, f"node {place}, bit {number}", {**log, member: other}
        yield part, f"without node {place}", {**log, member: path[:place] + path[place + 1 :]}
        yield part, f"node {place} twice", {**log, member: [*path[: place + 1], *path[place:]]}
    yield part, "reversed", {**log, member: path[::-1]}
    yield part, "empty", {**log, member: []}
    yield part, "one more", {**log, member: [*path, base64.b64encode(bytes(32)).decode()]}
    yield part, "of another story", {**log, member: fork[member]}


def _flipped(data: str, random: Random) -> str:
    raw = bytearray(base64.b64decode(data))
    raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
    return base64.b64encode(raw).decode("ascii")
