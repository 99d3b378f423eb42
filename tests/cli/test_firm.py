"""The firm's commands: the base distribution is enough, and what comes from outside is only ever shown."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.firm.screen import HINTS, cell, plain
from gateway.cli.root import COMMANDS, gateway
from gateway.client.decryption import DecryptionKey
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


def test_a_new_encryption_key_says_what_it_is_for_and_what_the_operator_runs(tmp_path: Path) -> None:
    file = tmp_path / "enc.pem"
    made = CliRunner().invoke(gateway, ["login", "--new-encryption-key", str(file)])
    told = CliRunner().invoke(gateway, ["login", "--new-encryption-key", str(tmp_path / "b.pem"), "--json"])
    again = CliRunner().invoke(gateway, ["login", "--new-encryption-key", str(file)])

    jwk = json.loads((tmp_path / "enc.jwk").read_text(encoding="ascii"))
    assert (jwk, jwk["use"]) == (DecryptionKey.load(file).jwk, "enc")
    assert "d" not in jwk
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.dumps(jwk) in made.output
    assert "gateway client key add NAME enc.jwk" in made.output
    assert f"gateway login --encryption-key {file}" in made.output
    assert json.loads(told.output) == {"key": str(tmp_path / "b.pem"), "jwk": str(tmp_path / "b.jwk")}
    assert again.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--encryption-key", "none.pem"), "gateway login --new-encryption-key none.pem"),
        (("--encryption-key", "a.pem", "--no-encryption"), "opposite things"),
        (("--encryption-key", "a.pem") * 3, "at most 2"),
        (("--encryption-key", "a.pem") * 2, "all different"),
    ],
)
def test_encryption_keys_that_cannot_be_used_are_named_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEWAY_PROFILE", str(tmp_path / "profile"))
    DecryptionKey.create().save(tmp_path / "a.pem")
    who = ("--gateway", "http://127.0.0.1:9", "--client", "c", "--purpose", "p")
    ended = CliRunner().invoke(gateway, ["login", *who, *arguments])

    assert (ended.exit_code in {1, 2}, said in ended.output) == (True, True), ended.output


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
