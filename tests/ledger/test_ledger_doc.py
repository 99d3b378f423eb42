"""docs/ledger.md says what the code does: every kind, member, fact, field, limit, and no other."""

import ast
import re
from pathlib import Path

import pytest

from gateway.cli.audit import audit
from gateway.ledger import entry, openings, sequencer, store, vault
from gateway.ledger.key_file import REGISTRY
from gateway.terms.entry import Basis, EntryKind
from gateway.transparency.proof import BODY_FIELD, ENTRY_BYTES_MAX, PLAIN_FIELD

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")
WRITERS = sorted(
    path
    for room in ("steps", "services", "serving", "ledger", "cli")
    for path in (ROOT / "gateway" / room).rglob("*.py")
)


def described(heading: str) -> list[str]:
    """The first cells of the tables below a heading."""
    part = TEXT[TEXT.index(f"\n## {heading}\n") :].split("\n## ")[1]
    cells = re.findall(r"^\| ([^|]+?) \|", part, flags=re.MULTILINE)
    return [cell.strip("`") for cell in cells if not set(cell) <= {"-", " "}][1:]


def keys_of(node: ast.AST) -> set[str]:
    """Every text that names a member of a dictionary written out below a node."""
    displays = (each for each in ast.walk(node) if isinstance(each, ast.Dict))
    keys = [key for display in displays for key in display.keys if isinstance(key, ast.Constant)]
    return {key.value for key in keys if isinstance(key.value, str)}


def written(path: Path, name: str) -> set[str]:
    """What a file puts into ``facts`` or ``private``: as an argument, or into a variable of that name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.keyword(arg=arg, value=value) if arg == name:
                found |= keys_of(value)
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                found |= keys_of(value)
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id=target), slice=ast.Constant(value=str(key)))]
            ):
                found |= {key} if target == name else set()
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.AST() as value) if target == name:
                found |= keys_of(value)
            case ast.AugAssign(target=ast.Name(id=target), value=value) if target == name:
                found |= keys_of(value)
            case ast.FunctionDef(name="_refusal") if name == "facts":
                found |= keys_of(node)
            case ast.Call(func=ast.Attribute(attr="_note"), args=[_, facts, *_]) if name == "facts":
                found |= keys_of(facts)
            case _:
                continue
    return found


def all_written(name: str) -> set[str]:
    paths = [*WRITERS, ROOT / "gateway" / "wiring.py"]
    return set[str]().union(*(written(path, name) for path in paths))


def test_every_kind_is_described() -> None:
    assert described("Kinds") == [kind.value for kind in (
        EntryKind.CHARGE, EntryKind.RELEASE, EntryKind.SINGLE, EntryKind.DENY, EntryKind.ERROR,
        EntryKind.RECOVER, EntryKind.CONFIG, EntryKind.KEY, EntryKind.ERASE, EntryKind.READ, EntryKind.MARK,
    )]  # fmt: skip
    assert set(described("Kinds")) == set(EntryKind)


def test_every_fact_that_is_written_is_described_and_no_other() -> None:
    assert described("Facts") == sorted(all_written("facts"))


def test_every_field_that_is_committed_to_is_described_and_no_other() -> None:
    assert described("Commitments and openings") == sorted(all_written("private") | {BODY_FIELD, PLAIN_FIELD})


def test_every_member_is_described() -> None:
    members = re.findall(
        r'"([a-z]+)":', (ROOT / "gateway" / "ledger" / "entry.py").read_text(encoding="utf-8")
    )
    debit = {"node", "rho", "delta", "keys"}
    assert set(described("An entry")) == {"v", *members} - debit - {"id", "document"} | {"id"}


def test_the_reasons_to_erase_are_described() -> None:
    row = re.search(r"^\| `basis` \| why something was erased: (.*) \|$", TEXT, flags=re.MULTILINE)
    assert row is not None
    assert row[1].split(", ") == [basis.value for basis in Basis]


BATCH_MAX = sequencer.BATCH_MAX + sequencer.GROUP_MAX - 1


@pytest.mark.parametrize(
    "words",
    [
        f"At most {ENTRY_BYTES_MAX:,} bytes",
        f"| an entry | {ENTRY_BYTES_MAX:,} bytes |",
        f"at most {entry.TEXT_MAX} characters, a name of a fact at most {entry.NAME_MAX}",
        f"one random seed of {openings.SEED_BYTES} bytes",
        f"({openings.NONCE_BYTES} bytes of nonce first",
        f"| commands that wait | {sequencer.WAITING_MAX:,};",
        f"| what waits, until there are {sequencer.BATCH_MAX}; at most {BATCH_MAX:,} |",
        f"| entries erased one by one in one call | {vault.ERASED_ENTRIES_MAX:,} |",
        f"| a used id is kept | {store.ONCE_KEPT_MS // 3_600_000} hours",
        f"`{REGISTRY}` instead of a month",
        f"| `v` | everywhere | {entry.VERSION},",
    ],
)
def test_numbers_are_those_of_the_code(words: str) -> None:
    assert words in TEXT.replace("\n", " ")


def test_the_command_of_the_page_exists() -> None:
    assert set(re.findall(r"gateway audit ([a-z]+)", TEXT)) <= set(audit.commands)
