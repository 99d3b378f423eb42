"""What a person at a terminal meets: help with examples, exit codes, errors that say what to do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from real_data import PUMS_RULES

from gateway.cli.root import COMMANDS, gateway
from gateway.client import ClientKey
from gateway.errors import GatewayError

ROOT = Path(__file__).parents[2]


def invoked(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(gateway, arguments, catch_exceptions=False)
    return result.exit_code, result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    code, output = invoked(name, "--help")

    assert code == 0
    assert "Usage:" in output


@pytest.mark.parametrize(
    "path",
    [
        ("demo",), ("init",), ("serve",), ("policy", "check"), ("policy", "test"), ("org", "add"), ("agreement", "add"),
        ("client", "add"), ("operator", "add"), ("receipt", "verify"), ("audit", "verify"),
        ("audit", "bundle"), ("audit", "erase"), ("receipt", "redact"),
        ("receipt", "compare"), ("keys", "list"), ("keys", "rotate"), ("keys", "retire"),
    ],
)  # fmt: skip
def test_every_command_that_does_something_shows_an_example(path: tuple[str, ...]) -> None:
    _, output = invoked(*path, "--help")

    assert "Example:  gateway" in output


def test_the_list_of_commands_says_what_the_commands_say_of_themselves() -> None:
    _, output = invoked("--help")

    for name, command in COMMANDS.items():
        assert name in output
        assert command.help in output


def test_an_unknown_command_is_wrong_use() -> None:
    assert invoked("explode")[0] == 2


def test_the_shipped_rules_are_good() -> None:
    code, output = invoked("policy", "check", str(ROOT / "policies"))

    assert code == 0
    assert output.count(": ok, ") == 6
    assert "(advice)" not in output


def test_faults_are_shown_with_file_line_and_column(tmp_path: Path) -> None:
    document = tmp_path / "a.yaml"
    document.write_text(PUMS_RULES.replace("steward:", "stewart:"), encoding="utf-8")

    code, output = invoked("policy", "check", str(document))
    as_json = json.loads(invoked("policy", "check", str(document), "--json")[1])

    assert code == 1
    assert f"{document}:7:1: " in output
    assert "steward" in output
    assert as_json["documents"] == 1
    assert 7 in [fault["line"] for fault in as_json["faults"]]


def test_a_folder_without_documents_is_not_good(tmp_path: Path) -> None:
    assert invoked("policy", "check", str(tmp_path))[0] == 1


def test_a_home_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gateway", "--home", str(tmp_path), "serve"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 1
    assert (
        run.stderr
        == "gateway: there is no `gateway.toml` in this home; `gateway demo` makes one to look at\n"
    )


def test_a_file_that_is_no_receipt_is_not_verified(tmp_path: Path) -> None:
    receipt, key = tmp_path / "a.receipt", tmp_path / "log.vkey"
    receipt.write_text("{}", encoding="ascii")
    key.write_text("log+00000000+AAAA\n", encoding="ascii")

    code, output = invoked("receipt", "verify", str(receipt), "--log-key", str(key))
    as_json = json.loads(invoked("receipt", "verify", str(receipt), "--log-key", str(key), "--json")[1])

    assert (code, output.startswith("NOT verified: ")) == (1, True)
    assert as_json["verified"] is False


def test_the_chain_is_registered_link_by_link(tmp_path: Path) -> None:
    from gateway import wiring  # noqa: PLC0415  the server side of this test only
    from gateway.settings import Settings  # noqa: PLC0415

    home = tmp_path / "home"
    wiring.create_home(home, Settings(origin="http://127.0.0.1:8080", log_origin="gateway.test/log"))
    key = tmp_path / "etl.jwk"
    key.write_text(json.dumps(ClientKey.create().jwk), encoding="ascii")
    at_home = ("--home", str(home))
    dates = ("--from", "2026-01-01", "--until", "2027-12-31")
    client = (
        "client",
        "add",
        "etl",
        "--agreement",
        "AGR-2026-001",
        "--purpose",
        "research",
        "--key",
        str(key),
    )

    assert invoked(*at_home, *client)[0] == 2
    assert invoked(*at_home, "org", "add", "bank-a", "--vi", "A", "--en", "A", "--class", "bank")[0] == 0
    agreement = ("agreement", "add", "AGR-2026-001", "--org", "bank-a", "--purpose", "research", *dates)
    assert invoked(*at_home, *agreement) == (0, "registered agreement AGR-2026-001\n")
    assert invoked(*at_home, *client) == (0, "registered client etl\n")
    operator = ("operator", "add", "op-1", "--org", "bank-a", "--name", "Minh", "--password", "correct horse")
    code, output = invoked(*at_home, *operator)
    assert code == 0
    assert output.splitlines()[1].startswith("otpauth://totp/data%20sharing%20gateway:op-1?secret=")
    again, said = invoked(*at_home, "org", "add", "bank-a", "--vi", "B", "--en", "B", "--class", "shop")
    assert (again, "records are never overwritten" in said) == (2, True)
    with pytest.raises(GatewayError, match="an organisation's id must match"):
        invoked(*at_home, "org", "add", "Bank A", "--vi", "A", "--en", "A", "--class", "bank")
