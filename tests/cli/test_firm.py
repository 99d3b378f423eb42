"""The firm's commands: the base distribution is enough, and what comes from outside is only ever shown."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.firm.screen import HINTS, cell, plain
from gateway.cli.root import COMMANDS, gateway
from gateway.client.keys import ClientKey
from gateway.problems import INTERNAL, PROBLEM_TYPES

FIRM = ("login", "catalog", "records", "query", "lookup", "plan", "budget", "connect")
SERVER = [
    *("pyarrow", "duckdb", "opendp", "apsw", "pydantic", "sqlglot", "argon2"),
    *("jinja2", "orjson", "pyotp", "rfc8785", "yaml", "structlog", "prometheus_client", "uvloop"),
]
PROGRAM = """
import importlib.abc, json, sys

class Refuse(importlib.abc.MetaPathFinder):
    # As on a firm's machine: what is not installed must not be found.
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in SERVER:
            raise ModuleNotFoundError(name=name)

SERVER = set(json.loads(sys.argv.pop(1)))
sys.meta_path.insert(0, Refuse())
from gateway.cli.root import main
main()
"""


def on_a_firms_machine(profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(SERVER), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"GATEWAY_PROFILE": str(profile), "PATH": "/usr/bin"},
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("catalog",), 1, "run: gateway login --gateway URL"),
        (("records", "x", "--all"), 1, "run: gateway login --gateway URL"),
        (("connect",), 1, "run: gateway login --gateway URL"),
        (("login",), 2, "name --gateway, --client and --purpose"),
        (("receipt", "verify", "FILE"), 2, "--log-key"),
        (("serve",), 1, "pip install 'data-sharing-gateway[server]'"),
    ],
)
def test_the_base_distribution_is_enough(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    (tmp_path / "a.receipt").write_text("{}", encoding="ascii")
    named = [str(tmp_path / "a.receipt") if part == "FILE" else part for part in arguments]
    ended = on_a_firms_machine(tmp_path / "profile", *named)

    assert (ended.returncode, said in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("name", FIRM)
def test_every_command_has_help_with_an_example_and_json(name: str) -> None:
    output = CliRunner().invoke(gateway, [name, "--help"]).output

    assert f"Example:  gateway {name}" in output
    assert "--json" in output
    assert COMMANDS[name].help


def test_a_new_key_is_for_its_owner_and_its_public_half_for_the_operator(tmp_path: Path) -> None:
    file = tmp_path / "etl.pem"
    made = CliRunner().invoke(gateway, ["login", "--new-key", str(file)])
    again = CliRunner().invoke(gateway, ["login", "--new-key", str(file)])

    jwk = json.loads((tmp_path / "etl.jwk").read_text(encoding="ascii"))
    assert made.exit_code == 0
    assert jwk == ClientKey.load(file).jwk
    assert "d" not in jwk
    assert json.dumps(jwk) in made.output
    assert again.exit_code == 2


def test_what_a_gateway_sends_never_acts_on_the_terminal() -> None:
    assert plain("a\x1b[31m\r\n\x9b\u202eb") == "a�[31m����b"
    assert cell("\x1b]0;x\x07") == "�]0;x�"
    assert cell("Nguyễn Văn Á") == "Nguyễn Văn Á"
    assert cell("[bold]x[/]") == "[bold]x[/]"


def test_a_noisy_cell_shows_its_margin_and_a_suppressed_one_a_dash() -> None:
    assert cell({"value": 1234, "margin": 5.5}) == "1,234 ± 5.5"
    assert cell({"value": None, "margin": 5.5}) == "- ± 5.5"
    assert cell(None) == "-"


def test_every_hint_is_for_a_problem_that_exists() -> None:
    slugs = {kind.slug for kind in (*PROBLEM_TYPES.values(), INTERNAL)}

    assert {name for name in HINTS if not name.startswith("oauth:")} <= slugs
