"""Check evidence of a data sharing gateway's log: a bundle (zip), or one receipt file.

    python verify.py FILE LOG-KEY-FILE...

Needs Python 3.11 or newer and the package `cryptography`; no network, nothing of the gateway. The log's
key must come from somewhere else than FILE, and so should this file: who can forge one can forge both.
Says "ok" only if every byte of FILE is as the gateway writes it and every proof holds; else the first
thing that is wrong. Exit code: 0 ok, 1 not ok, 2 wrong use.

Formats: signed notes, checkpoints and proofs of c2sp.org, the Merkle tree of RFC 6962, canonical JSON
of RFC 8785. What it cannot show: that the log is the only one, or that nothing was left out of FILE.
"""

import base64
import hashlib
import json
import re
import struct
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FILE_BYTES_MAX = 256 * 1024 * 1024
MEMBERS_MAX = 20_000
ENTRY_BYTES_MAX = 4096
NOTE_BYTES_MAX = 16 * 1024
PROOF_BYTES_MAX = 20 * 1024
KEY_BYTES_MAX = 4096
SIGNATURES_MAX = 32
PATH_MAX = 63
INTEGER_MAX = 2**53 - 1
DEPTH_MAX = 16
HASH_BYTES = 32
KEY_ID_BYTES = 4
SUMS = "SHA256SUMS"
FIXED = ("README.txt", SUMS, "checkpoint", "log.vkey", "verify.py")
NUMBERED = re.compile(
    r"(?:entries|openings)/(?:0|[1-9][0-9]{0,15})\.json|proofs/(?:0|[1-9][0-9]{0,15})\.tlog-proof"
)
RULES = re.compile(r"rules/[0-9a-f]{64}\.yaml")
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
HEAD = struct.Struct("<HHHHHLLLHH")


class Wrong(ValueError):
    """The evidence does not hold; the message names the first thing wrong."""


def main(arguments: list[str]) -> int:
    """Check one file, print the verdict, and return the exit code."""
    if len(arguments) < 2 or arguments[0].startswith("-"):  # noqa: PLR2004  the file and a key
        sys.stderr.write("usage: python verify.py FILE LOG-KEY-FILE...\n")
        return 2
    try:
        texts = [read(name, KEY_BYTES_MAX).decode("ascii").strip() for name in arguments[1:]]
        keys = "\n".join(texts).split("\n")
        data = read(arguments[0], FILE_BYTES_MAX)
        lines = check_receipt(data, keys) if data[:1] == b"{" else check_bundle(data, keys)
    except (Wrong, UnicodeDecodeError) as error:
        sys.stdout.write(f"NOT ok: {error}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def read(name: str, most: int) -> bytes:
    """Return a file's bytes, or say why not."""
    path = Path(name)
    if not path.is_file():
        raise Wrong(f"`{name}` is no file")
    with path.open("rb") as file:
        data = file.read(most + 1)
    if not 0 < len(data) <= most:
        raise Wrong(f"`{name}` is empty, or larger than {most:,} bytes")
    return data


def check_receipt(data: bytes, keys: list[str]) -> list[str]:
    """Check a receipt file: its entry stands in the log, and its body is what was recorded."""
    document = json_object(data, "the receipt")
    if not {"receipt", "entry"} <= document.keys() <= {"receipt", "entry", "body", "plain"}:
        raise Wrong("the receipt is no object of receipt, entry, body and plain")
    parts = {name: base64url(value, f"`{name}` of the receipt") for name, value in document.items()}
    index, size, origin, salt = check_proof(parts["receipt"], parts["entry"], keys)
    entry = check_entry(parts["entry"], index)
    answers = [name for name in ("body", "plain") if name in parts]
    if not answers:
        place = f"{shown(index, entry)} stands in {origin} of {size}"
        return [f"ok, its place only: {place}; the file has no answer"]
    for name in answers:
        if entry["commitments"].get(name) != commitment(name, salt, parts[name]):
            raise Wrong(f"entry {index} does not commit to this {name}")
    return [f"ok: {shown(index, entry)} stands in {origin} of {size}, and the answer is the one recorded"]


def check_bundle(data: bytes, keys: list[str]) -> list[str]:
    """Check every member of a bundle and every proof in it."""
    members = unpacked(data)
    if members[SUMS] != sums_of(members):
        raise Wrong(f"the members of the bundle are not those that `{SUMS}` lists")
    if not set(members["log.vkey"].decode("ascii", "replace").split("\n")) & set(keys):
        raise Wrong("the bundle is of a log with another key than the one given")
    size, _, origin = check_checkpoint(members["checkpoint"], keys)
    entries, lines = check_entries(members, keys)
    named = {entry["facts"].get("rules_sha256") for entry in entries.values()}
    for name, content in members.items():
        kind, _, rest = name.partition("/")
        if kind in {"proofs", "openings"} and int(rest.partition(".")[0]) not in entries:
            raise Wrong(f"`{name}` is of no entry of the bundle")
        if kind == "rules":
            digest = hashlib.sha256(content).hexdigest()
            if rest != f"{digest}.yaml" or digest not in named:
                raise Wrong(f"`{name}` is no document that an entry of the bundle names")
            lines.append(f"sharing rules {digest[:16]}: the document that the entries name")
    return [*lines, f"ok: {len(entries)} of the {size} entries of {origin}, signed by the log's key"]


def check_entries(members: dict[str, bytes], keys: list[str]) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """Return the bundle's entries, each in the log at its index, and words about each."""
    entries = {}
    lines = []
    for name in sorted(members, key=lambda name: (len(name), name)):
        if not name.startswith("entries/"):
            continue
        index = int(name[len("entries/") : -len(".json")])
        proof, leaf = members.get(f"proofs/{index}.tlog-proof", b""), members[name]
        if check_proof(proof, leaf, keys)[0] != index:
            raise Wrong(f"the proof of entry {index} is of another index")
        if proof.partition(b"\n\n")[2] != members["checkpoint"]:
            raise Wrong(f"the proof of entry {index} is of another checkpoint")
        entries[index] = check_entry(leaf, index)
        opened = check_openings(members.get(f"openings/{index}.json"), index, entries[index])
        lines.append(f"{shown(index, entries[index])}: stands in the log{opened}")
    if not entries:
        raise Wrong("the bundle holds no entry")
    return entries, lines


def packed(members: dict[str, bytes]) -> bytes:
    """Return members as a zip, in its one spelling."""
    body, directory, at = [], [], 0
    for name in sorted(members):
        data, spelt = members[name], name.encode("ascii")
        size = len(data)
        head = HEAD.pack(20, 0, 0, 0, 0x21, zlib.crc32(data), size, size, len(spelt), 0)
        body += [LOCAL, head, spelt, data]
        directory += [CENTRAL, struct.pack("<H", 0x0314), head]
        directory += [struct.pack("<HHHLL", 0, 0, 0, 0o100644 << 16, at), spelt]
        at += len(LOCAL) + HEAD.size + len(spelt) + size
    count, tail = len(members), b"".join(directory)
    return b"".join([*body, tail, END, struct.pack("<HHHHLLH", 0, 0, count, count, len(tail), at, 0)])


def unpacked(data: bytes) -> dict[str, bytes]:
    """Return the members of a bundle, or say which is damaged."""
    members: dict[str, bytes] = {}
    at = 0
    while data[at : at + 4] == LOCAL:
        if len(members) >= MEMBERS_MAX or len(data) < at + 4 + HEAD.size:
            raise Wrong("the bundle is cut off, or has too many members")
        _, _, _, _, _, crc, size, _, length, extra = HEAD.unpack_from(data, at + 4)
        at += 4 + HEAD.size
        name = data[at : at + length].decode("ascii", "replace")
        content = data[at + length + extra : at + length + extra + size]
        at += length + extra + size
        if name not in FIXED and not NUMBERED.fullmatch(name) and not RULES.fullmatch(name):
            raise Wrong("the bundle holds a member that does not belong in it, or its directory is damaged")
        if name in members:
            raise Wrong(f"the bundle holds `{name}` twice")
        if len(content) != size or zlib.crc32(content) != crc:
            raise Wrong(f"`{name}` of the bundle is damaged or cut off")
        members[name] = content
    if missing := [name for name in FIXED if name not in members]:
        raise Wrong(f"not an evidence bundle, or cut off: it has no `{missing[0]}`")
    if packed(members) != data:
        raise Wrong("the bundle is damaged, or was packed anew: it is not as the gateway writes it")
    return members


def sums_of(members: dict[str, bytes]) -> bytes:
    """Return the list of digests, as `sha256sum -c` reads it."""
    names = sorted(name for name in members if name != SUMS)
    return "".join(f"{hashlib.sha256(members[name]).hexdigest()}  {name}\n" for name in names).encode("ascii")


def check_entry(leaf: bytes, index: int) -> dict[str, Any]:
    """Return an entry's document, if its bytes are the one spelling of it."""
    if len(leaf) > ENTRY_BYTES_MAX:
        raise Wrong(f"entry {index} is too large")
    document = json_object(leaf, f"entry {index}")
    if not fits(document, DEPTH_MAX) or spelt(document) != leaf:
        raise Wrong(f"entry {index} is not canonical JSON")
    forms = {"facts": dict, "commitments": dict, "kind": str, "id": str, "ts": int, "v": int}
    if not all(type(document.get(name)) is form for name, form in forms.items()) or document["v"] != 1:
        raise Wrong(f"entry {index} is not of an entry's form")
    return document


def check_openings(text: bytes | None, index: int, entry: dict[str, Any]) -> str:
    """Check that opened values are those that the entry committed to; return words about them."""
    if text is None:
        return ""
    document = json_object(text, f"the openings of entry {index}")
    for field, opening in document.items():
        what = f"the opening of `{field}` of entry {index}"
        if not isinstance(opening, dict) or opening.keys() != {"salt", "value"}:
            raise Wrong(f"{what} is no salt and value")
        salt, value = (base64url(opening[name], what) for name in ("salt", "value"))
        if entry["commitments"].get(field) != commitment(field, salt, value):
            raise Wrong(f"{what} is not what the entry committed to")
    return f"; opened as committed: {', '.join(sorted(document))}"


def commitment(field: str, salt: bytes, value: bytes) -> str:
    """Return the commitment to a value."""
    if len(salt) != HASH_BYTES:
        raise Wrong("a salt is not 32 bytes")
    digest = hashlib.sha256(b"gwc1\x00" + field.encode("utf-8") + b"\x00" + salt + value).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def shown(index: int, entry: dict[str, Any]) -> str:
    """Return an entry in words; control characters cannot stand in canonical facts of the gateway."""
    at = datetime.fromtimestamp(min(entry["ts"], 253402300799999) / 1000, UTC)
    facts = (
        f"{name} {entry['facts'][name]!s}"
        for name in ("client", "dataset", "status")
        if name in entry["facts"]
    )
    words = ", ".join([entry["kind"], f"{at:%Y-%m-%d %H:%M:%S} UTC", *facts])
    return f"entry {index} ({''.join(c if c.isprintable() else '?' for c in words)})"


def json_object(text: bytes, what: str) -> dict[str, Any]:
    """Return a JSON object of texts, integers, booleans, lists and objects, each name once."""

    def refused(_: str) -> NoReturn:
        raise Wrong(f"{what} holds a number that is no integer")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise Wrong(f"{what} holds a name twice")
        return dict(pairs)

    try:
        document = json.loads(
            text.decode("utf-8"), parse_float=refused, parse_constant=refused, object_pairs_hook=once
        )
    except Wrong:
        raise
    except (ValueError, RecursionError) as error:
        raise Wrong(f"{what} is not JSON") from error
    if not isinstance(document, dict):
        raise Wrong(f"{what} is no JSON object")
    return document


def spelt(document: dict[str, Any]) -> bytes:
    """Return the canonical bytes of a document that fits."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def fits(value: object, left: int) -> bool:
    """Return whether a document has only what canonical entries have, and not too deep."""
    if isinstance(value, dict):
        names = all(name.isascii() for name in value)
        return names and left > 0 and all(fits(each, left - 1) for each in value.values())
    if isinstance(value, list):
        return left > 0 and all(fits(each, left - 1) for each in value)
    return isinstance(value, str | bool) or (isinstance(value, int) and abs(value) <= INTEGER_MAX)


def check_checkpoint(note: bytes, keys: list[str]) -> tuple[int, bytes, str]:
    """Return size, root and origin of a checkpoint that one of the keys signed."""
    text, origin = check_note(note, keys)
    lines = text.split("\n")
    if len(lines) != 3 or lines[0] != origin:  # noqa: PLR2004  origin, size, root
        raise Wrong("the checkpoint is not origin, size and root of its signer's log")
    root = plain_base64(lines[2], "the root of the checkpoint")
    if len(root) != HASH_BYTES:
        raise Wrong("the root of the checkpoint is not 32 bytes")
    return number(lines[1], "the size of the checkpoint"), root, origin


def check_note(note: bytes, keys: list[str]) -> tuple[str, str]:
    """Return the text of a note, and the name of the first trusted key that signed it."""
    text, separator, tail = note.decode("utf-8", "replace").rpartition("\n\n")
    lines = tail.split("\n")
    if not separator or len(note) > NOTE_BYTES_MAX or "\ufffd" in tail:
        raise Wrong("the checkpoint is no signed note, too large, or not UTF-8")
    if lines.pop() or not 0 < len(lines) <= SIGNATURES_MAX:
        raise Wrong("the checkpoint has no signature, or too many, or is cut off")
    signers, seen, trusted = list[str](), set[tuple[str, bytes]](), [trusted_key(key) for key in keys]
    for line in lines:
        name, _, data = line.removeprefix("\u2014 ").partition(" ")
        signature = plain_base64(data, "a signature of the checkpoint")
        if not line.startswith("\u2014 ") or len(signature) <= KEY_ID_BYTES or (name, signature[:4]) in seen:
            raise Wrong("a signature line of the checkpoint is malformed, or a key signed twice")
        seen.add((name, signature[:4]))
        for key_name, key_id, key in trusted:
            if (key_name, key_id) == (name, signature[:4]):
                try:
                    key.verify(signature[4:], f"{text}\n".encode())
                except InvalidSignature as error:
                    raise Wrong("the log's signature on the checkpoint does not hold") from error
                signers.append(name)
    if not signers:
        raise Wrong("the checkpoint is not signed by the log's key")
    return text, signers[0]


def trusted_key(vkey: str) -> tuple[str, bytes, Ed25519PublicKey]:
    """Return name, id and key of a verifier key."""
    name, _, rest = vkey.partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = plain_base64(encoded, "the log's key")
    expected = hashlib.sha256(name.encode("utf-8") + b"\n" + raw).digest()[:4]
    if not name or raw[:1] != b"\x01" or len(raw) != 1 + HASH_BYTES or key_id != expected.hex():
        raise Wrong("a key file holds no verifier key of a log (name+hash+key)")
    return name, expected, Ed25519PublicKey.from_public_bytes(raw[1:])


def check_proof(proof: bytes, leaf: bytes, keys: list[str]) -> tuple[int, int, str, bytes]:
    """Return index, tree size, origin and salt of a proof that an entry stands in the log."""
    head, separator, note = proof.partition(b"\n\n")
    if not separator or len(proof) > PROOF_BYTES_MAX:
        raise Wrong("a proof is missing, too large or cut off")
    lines = head.decode("ascii", "replace").split("\n")
    if lines.pop(0) != "c2sp.org/tlog-proof@v1":
        raise Wrong("a proof is not of c2sp.org/tlog-proof@v1")
    extra = lines.pop(0)[len("extra ") :] if lines and lines[0].startswith("extra ") else None
    salt = b"" if extra is None else plain_base64(extra, "the extra line of a proof")
    if extra == "":
        raise Wrong("the extra line of a proof is empty")
    if not lines or not lines[0].startswith("index ") or len(lines) > PATH_MAX + 1:
        raise Wrong("a proof names no index, or its path is too long")
    index = number(lines[0][len("index ") :], "the index of a proof")
    path = [plain_base64(line, "the path of a proof") for line in lines[1:]]
    size, root, origin = check_checkpoint(note, keys)
    if root_of(leaf, index, size, path) != root:
        raise Wrong(f"entry {index} does not stand in the log: its proof does not lead to the signed root")
    return index, size, origin, salt


def root_of(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Return the root that a path leads to (RFC 9162 section 2.1.3.2)."""
    place, last, root = index, size - 1, hashlib.sha256(b"\x00" + leaf).digest()
    if index >= size:
        raise Wrong(f"entry {index} lies outside the tree of {size}")
    for sibling in path:
        if len(sibling) != HASH_BYTES or last == 0:
            raise Wrong(f"the path of entry {index} is malformed or too long")
        if place & 1 or place == last:
            root = hashlib.sha256(b"\x01" + sibling + root).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            root = hashlib.sha256(b"\x01" + root + sibling).digest()
        place, last = place >> 1, last >> 1
    if last:
        raise Wrong(f"the path of entry {index} is too short")
    return root


def number(text: str, what: str) -> int:
    """Return a decimal number in its one spelling."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text) or int(text) >= 2**63:
        raise Wrong(f"{what} is no number")
    return int(text)


def plain_base64(text: str, what: str) -> bytes:
    """Return the bytes of standard base64 in its one spelling."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError as error:
        raise Wrong(f"{what} is not base64") from error
    if base64.b64encode(data).decode("ascii") != text:
        raise Wrong(f"{what} is not canonical base64")
    return data


def base64url(text: object, what: str) -> bytes:
    """Return the bytes of base64url without padding in its one spelling."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        raise Wrong(f"{what} is not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != text:
        raise Wrong(f"{what} is not canonical base64url")
    return data


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
