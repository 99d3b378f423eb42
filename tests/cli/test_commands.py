"""What a person at a terminal meets: help with examples, exit codes, errors that say what to do."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from real_data import PUMS_RULES

from gateway.cli.root import COMMANDS, gateway
from gateway.client import ClientKey
from gateway.errors import ActRefused, GatewayError

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
        ("demo",), ("init",), ("serve",), ("policy", "check"), ("policy", "test"), ("org", "add"),
        ("agreement", "add"),
        ("client", "add"), ("operator", "add"), ("org", "list"), ("agreement", "show"), ("client", "suspend"),
        ("operator", "resume"), ("client", "end"), ("client", "key", "add"), ("client", "key", "remove"),
        ("freeze",), ("unfreeze",), ("keys", "revoke"), ("receipt", "verify"), ("audit", "verify"),
        ("audit", "bundle"), ("audit", "erase"), ("receipt", "redact"),
        ("receipt", "compare"), ("keys", "list"), ("keys", "rotate"), ("keys", "retire"), ("log", "close"),
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

    with pytest.raises(ActRefused, match="there is no `AGR-2026-001`"):
        invoked(*at_home, *client)
    assert invoked(*at_home, "org", "add", "bank-a", "--vi", "A", "--en", "A", "--class", "bank")[0] == 0
    agreement = ("agreement", "add", "AGR-2026-001", "--org", "bank-a", "--purpose", "research", *dates)
    assert invoked(*at_home, *agreement) == (0, "registered agreement AGR-2026-001\n")
    assert invoked(*at_home, *client) == (0, "registered client etl\n")
    operator = ("operator", "add", "op-1", "--org", "bank-a", "--name", "Minh")
    code, output = invoked(*at_home, *operator)
    assert code == 0
    assert "http://127.0.0.1:8080/enrol" in output.splitlines()[0]
    assert re.fullmatch(r"([0-9a-z]{4}-){3}[0-9a-z]{4}", output.splitlines()[1])
    with pytest.raises(ActRefused, match="records are never overwritten"):
        invoked(*at_home, "org", "add", "bank-a", "--vi", "B", "--en", "B", "--class", "shop")
    with pytest.raises(GatewayError, match="an organisation's id must match"):
        invoked(*at_home, "org", "add", "Bank A", "--vi", "A", "--en", "A", "--class", "bank")


@pytest.fixture
def registered(tmp_path: Path) -> tuple[str, ...]:
    """Return the options of a home with one organisation."""
    from gateway import wiring  # noqa: PLC0415  the server side of this test only
    from gateway.settings import Settings  # noqa: PLC0415

    home = tmp_path / "home"
    wiring.create_home(home, Settings(origin="http://127.0.0.1:8080", log_origin="gateway.test/log"))
    at_home = ("--home", str(home))
    invoked(*at_home, "org", "add", "bank-a", "--vi", "Ngân hàng A", "--en", "Bank A", "--class", "bank")
    return at_home


def test_a_record_is_listed_shown_changed_and_frozen(registered: tuple[str, ...]) -> None:
    row = {
        "id": "bank-a",
        "state": "suspended",
        "name": {"en": "Bank A", "vi": "Ngân hàng A"},
        "org_class": "bank",
        "country": "VN",
        "frozen": True,
    }

    assert invoked(*registered, "org", "suspend", "bank-a", "--reason", "audit") == (0, "suspended bank-a\n")
    code, output = invoked(*registered, "freeze", "organisation", "bank-a", "--json")
    assert (code, json.loads(output)["record"]["id"]) == (0, "organisation.bank-a")
    assert json.loads(invoked(*registered, "org", "show", "bank-a", "--json")[1]) == row
    assert json.loads(invoked(*registered, "org", "list", "--json")[1]) == row
    assert invoked(*registered, "org", "list")[1].splitlines() == [
        "id      state      frozen  org_class  country  name",
        "bank-a  suspended  yes     bank       VN       Bank A / Ngân hàng A",
    ]
    assert "organisation.bank-a  active" in invoked(*registered, "freeze", "--list")[1]
    assert invoked(*registered, "freeze")[0] == 2
    assert invoked(*registered, "freeze", "planet", "earth")[0] == 2


def test_keys_are_listed_with_days_left_and_a_dry_run_changes_nothing(registered: tuple[str, ...]) -> None:
    def listed() -> list[dict[str, object]]:
        _, output = invoked(*registered, "keys", "list", "--json")
        return [json.loads(line) for line in output.splitlines()]

    before = listed()
    assert [(row["kind"], row["state"]) for row in before] == [
        ("log", "signs"),
        ("tokens", "active"),
        ("sealing", "active"),
        ("pseudonyms", "undivided"),
        ("openings", "active"),
        ("nonces", "active"),
    ]
    assert [row.get("days_left") for row in before] == [364, 89, 364, None, None, None]
    for kind in ("tokens", "sealing", "log", "pseudonyms"):
        code, output = invoked(*registered, "keys", "rotate", "--kind", kind, "--dry-run")
        assert (code, output.startswith("would give")) == (0, True)
    assert listed() == before
    code, output = invoked(*registered, "keys", "rotate", "--kind", "tokens")
    assert (code, output.startswith("made a key: ")) == (0, True)
    assert [(row["kind"], row["state"]) for row in listed()][1:3] == [
        ("tokens", "announced"),
        ("tokens", "active"),
    ]
    assert invoked(*registered, "keys", "rotate", "--kind", "tokens", "--receipt", "x")[0] == 2
