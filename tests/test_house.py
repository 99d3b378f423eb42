"""How the house is built: who imports whom, who constructs what, and where third parties live."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GATEWAY = ROOT / "gateway"
FILES = sorted(GATEWAY.rglob("*.py"))

# Top shelf first. Rooms that share a shelf do not know of each other.
SHELVES: list[set[str]] = [
    {"__main__"},
    {"cli"},
    {"serving"},
    {"wiring"},
    {"web"},
    {"flow", "services", "steps"},
    {"engines", "ledger", "keyring"},
    {"planning", "problems"},
    {"policy", "masking", "privacy", "delivery", "synthetic"},
    {"identity", "registry", "pseudonym", "order", "budget", "client"},
    {"settings", "telemetry"},
    {"errors"},
    {"jose", "transparency"},
    {"terms", "clock"},
]
HEIGHT = {room: len(SHELVES) - number for number, rooms in enumerate(SHELVES) for room in rooms}

# Default deny: a package that is not named here has no home anywhere.
HOMES: dict[str, set[str]] = {
    "aiohttp": {"web", "serving", "client", "engines", "ledger", "keyring"},
    "apsw": {"ledger"},
    "argon2": {"identity"},
    "click": {"cli"},
    "cryptography": {"identity", "keyring", "ledger", "pseudonym", "order", "jose", "transparency", "client"},
    "duckdb": {"engines"},
    "jinja2": {"web"},
    "joserfc": {"delivery", "client"},
    "jwt": {"identity", "keyring", "client"},
    "msgspec": {"delivery", "engines", "ledger", "serving", "keyring"},
    "numpy": {"engines", "pseudonym", "order", "synthetic"},
    "opendp": {"privacy"},
    "orjson": {"delivery", "steps", "services"},
    "pandas": {"client"},
    "prometheus_client": {"telemetry"},
    "pyarrow": {"engines", "order", "delivery", "synthetic"},
    "pydantic": {"policy"},
    "pydantic_core": {"policy"},
    "pyotp": {"cli"},
    "rich": {"cli"},
    "sqlglot": {"planning"},
    "structlog": {"telemetry"},
    "uvloop": {"wiring"},
    "webauthn": {"identity"},
    "yaml": {"policy"},
    "yarl": {"client"},
}

# Types that grant something, and the one room that may construct them.
CONSTRUCTORS: dict[str, str] = {
    "Caller": "identity",
    "Permit": "policy",
    "Refusal": "policy",
    "RowsPlan": "planning",
    "ProxyPlan": "planning",
    "StatisticPlan": "planning",
    "Charge": "ledger",
    "StoredAnswer": "ledger",
    "Receipt": "ledger",
    "Released": "flow",
    "Unrecorded": "problems",
    "UnprotectedRows": "engines",
    "UnprotectedIntegers": "engines",
}

IMPURE = {"time", "random", "secrets", "uuid", "os", "socket", "subprocess", "threading", "asyncio"}
PURE_ROOMS = {
    room
    for rooms in SHELVES[7:]
    for room in rooms
    if room not in {"telemetry", "clock", "settings", "client"}
}


def room_of(path: Path) -> str:
    return path.relative_to(GATEWAY).parts[0].removesuffix(".py")


def imports_of(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the shelf"
            assert node.module is not None
            if node.module == "gateway":
                names += [f"gateway.{alias.name}" for alias in node.names]
            else:
                names.append(node.module)
    return names


def third_party(names: list[str]) -> set[str]:
    tops = {name.partition(".")[0] for name in names}
    return {top for top in tops if top not in sys.stdlib_module_names and top != "gateway"}


def faults_of_imports(room: str, names: list[str]) -> list[str]:
    faults = []
    for name in names:
        package, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if package == "gateway" and other not in {"", room} and HEIGHT[other] >= HEIGHT[room]:
            faults.append(f"{room} may not import {other}")
    faults += [
        f"{top} has no home in {room}" for top in third_party(names) if room not in HOMES.get(top, set())
    ]
    return faults


def constructed_in(path: Path) -> set[str]:
    calls = (
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    )
    return {call.func.id for call in calls if isinstance(call.func, ast.Name)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(GATEWAY)))
def test_a_room_imports_only_from_shelves_below_and_a_third_party_only_at_home(path: Path) -> None:
    if path == GATEWAY / "__init__.py":
        assert imports_of(path) == []
        return
    assert faults_of_imports(room_of(path), imports_of(path)) == []


@pytest.mark.parametrize(
    ("room", "name"),
    [("policy", "gateway.flow"), ("policy", "aiohttp"), ("masking", "gateway.privacy.release"),
     ("terms", "gateway.errors"), ("ledger", "requests"), ("planning", "gateway.engines.port")],
)  # fmt: skip
def test_a_planted_violation_is_caught(room: str, name: str) -> None:
    assert len(faults_of_imports(room, [name])) == 1


def test_every_room_stands_on_a_shelf() -> None:
    assert {room_of(path) for path in FILES} - {"__init__"} == set(HEIGHT)


def test_every_third_party_home_is_lived_in() -> None:
    lived_in = {(top, room_of(path)) for path in FILES for top in third_party(imports_of(path))}
    assert {(top, room) for top, rooms in HOMES.items() for room in rooms} - lived_in == set()


def test_every_imported_package_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    names = {re.split(r"[<>=;\[ ]", line)[0].lower().replace("_", "-") for line in declared}
    distributions = packages_distributions()
    used = {distributions[top][0].lower().replace("_", "-") for top in HOMES} - {
        "pydantic-core"
    }  # of pydantic
    assert used == names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(GATEWAY)))
def test_only_the_owning_room_constructs_what_grants_something(path: Path) -> None:
    if path == GATEWAY / "__init__.py":
        return
    strangers = {
        name for name in constructed_in(path) if CONSTRUCTORS.get(name, room_of(path)) != room_of(path)
    }
    assert strangers == set()


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if room_of(path) in PURE_ROOMS],
    ids=lambda path: str(path.relative_to(GATEWAY)),
)
def test_below_the_rooms_that_do_io_nothing_reads_a_clock_the_environment_or_chance(path: Path) -> None:
    assert set(imports_of(path)) & IMPURE == set()
    text = path.read_text(encoding="utf-8")
    assert re.search(r"\.now\(|\.today\(|utcnow\(|\basync def\b|open\(|os\.environ|token_bytes", text) is None


def test_the_lock_file_is_hashed_and_names_no_index() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^\S+==\S+", lock, flags=re.MULTILINE)
    assert len(pins) > 40
    for block in re.split(r"\n(?=\S)", lock):
        if re.match(r"\S+==", block):
            assert "--hash=sha256:" in block, block.splitlines()[0]
    assert re.search(r"https?://|file:|--(extra-)?index|find-links", lock) is None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(GATEWAY)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    tree = ast.parse(text)
    if text.strip():
        assert ast.get_docstring(tree), "a module says what it promises"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, node.name
