"""A log made by the real ledger, and the verifiers that others wrote, each ready to read many logs.

The Go compiler and Node come as wheels; Go's checksum-database code lies inside the compiler's own tree.
npm packages are installed from the lock file beside this page into ``.cache`` of the repository. What
cannot be built or installed fails; nothing is skipped.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign_log import ORIGIN, Signer, made_log
from foreign_verifier import Verifier

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "foreign"
TOOLS = Path(sys.executable).parent
BUILD_S = 240


@pytest.fixture(scope="session")
def go_verifier(tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    folder = tmp_path_factory.mktemp("go")
    vendored = Path(sysconfig.get_path("purelib")) / "go/src/cmd/vendor/golang.org/x/mod/sumdb"
    for package in ("note", "tlog"):
        shutil.copytree(vendored / package, folder / "sumdb" / package)
    (folder / "go.mod").write_text("module golang.org/x/mod\n\ngo 1.24\n", encoding="ascii")
    shutil.copy(HERE / "driver.go", folder / "main.go")
    environment = {
        **os.environ,
        "GOCACHE": str(CACHE / "go"),
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    _run([str(TOOLS / "go"), "build", "-o", "driver", "."], folder, environment)
    reads = frozenset({"name", "note", "tiles", "entries", "inclusion", "consistency"})
    return Verifier("go", (str(folder / "driver"),), folder, reads)


@pytest.fixture(scope="session")
def npm_verifier() -> Verifier:
    folder = _npm_folder()
    shutil.copy(HERE / "driver.cjs", folder / "driver.cjs")
    return Verifier("npm", (str(TOOLS / "node"), "driver.cjs"), folder, frozenset({"note", "inclusion"}))


@pytest.fixture(scope="session")
def oauth_verifier() -> Verifier:
    folder = _npm_folder()
    for name in ("driver_oauth.mjs", "driver_oauth_client.mjs"):
        shutil.copy(HERE / name, folder / name)
    return Verifier("oauth", (str(TOOLS / "node"), "driver_oauth.mjs"), folder)


@pytest.fixture(scope="session")
def jose_firm() -> Verifier:
    folder = _npm_folder()
    shutil.copy(HERE / "driver_jose.mjs", folder / "driver_jose.mjs")
    return Verifier("jose", (str(TOOLS / "node"), "driver_jose.mjs"), folder)


def _npm_folder() -> Path:
    """Return where npm's packages are installed as the lock file says."""
    folder = CACHE / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "package-lock.json").read_bytes()
    done = folder / "installed"
    if not done.exists() or done.read_bytes() != lock:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder / name)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved=true"]
        _run([str(TOOLS / "npm"), "ci", *options], folder, dict(os.environ))
        done.write_bytes(lock)
    return folder


@pytest.fixture(scope="session")
def pypi_verifier() -> Verifier:
    command = (sys.executable, "-W", "ignore", str(HERE / "driver_sigstore.py"))
    return Verifier("pypi", command, HERE, frozenset({"note", "inclusion"}))


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=BUILD_S, check=False
    )
    assert ran.returncode == 0, f"{command[0]} failed: {ran.stderr[-2000:]}"


@pytest.fixture(scope="session")
def a_log(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Return a log of a size, signed by a key, as the drivers read it; made once for the same arguments."""
    made: dict[tuple[Any, ...], dict[str, Any]] = {}

    def build(
        size: int, *, seed: str = "log", words: str = "", former: tuple[Signer, ...] = ()
    ) -> dict[str, Any]:
        arguments = (Signer(seed, ORIGIN), size, words, former)
        name = (seed, *arguments[1:])
        if name not in made:
            made[name] = asyncio.run(made_log(tmp_path_factory.mktemp("log"), *arguments))
        return dict(made[name])

    return build
