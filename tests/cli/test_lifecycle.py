"""`gateway policy key, sign, activate, list`: from a steward's desk into a home, step by step."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import wiring
from gateway.cli.root import gateway
from gateway.errors import GatewayError
from gateway.keyring.stewards import trusted_stewards
from gateway.policy.signature import digest_of
from gateway.settings import Settings
from gateway.transparency.note import verify

ROOT = Path(__file__).parents[2]
NAME = "vn.nso.household-2026"


def invoked(home: Path, *arguments: str, given: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(
        gateway, ["--home", str(home), "policy", *arguments], input=given, catch_exceptions=False
    )
    return result.exit_code, result.output


def refused(home: Path, *arguments: str) -> str:
    with pytest.raises(GatewayError) as found:
        invoked(home, *arguments)
    return found.value.detail


@pytest.fixture
def home(tmp_path: Path) -> Path:
    wiring.create_home(
        tmp_path / "home", Settings(origin="http://127.0.0.1:1", log_origin="gateway.test/log")
    )
    return tmp_path / "home"


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A shipped document and its cases, on a steward's desk."""
    for name in (f"{NAME}.yaml", f"tests/{NAME}.yaml"):
        (tmp_path / "desk" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "desk" / name).write_bytes((ROOT / "policies" / name).read_bytes())
    return tmp_path / "desk" / f"{NAME}.yaml"


@pytest.fixture
def key(home: Path, tmp_path: Path) -> Path:
    file = tmp_path / "lan.pem"
    assert invoked(home, "key", str(file), "--publisher", "nso", "--trust")[0] == 0
    return file


def test_a_key_is_made_and_its_public_half_is_said_and_trusted(home: Path, key: Path) -> None:
    vkey = key.with_suffix(".vkey").read_text(encoding="ascii").strip()

    assert [(each.name, each.id.hex()) for each in trusted_stewards(home)] == [("nso", vkey.split("+")[1])]
    assert invoked(home, "key", str(home.parent / "lan.vkey"), "--publisher", "nso")[0] == 2


def test_what_a_steward_signs_is_the_document_and_its_cases(home: Path, document: Path, key: Path) -> None:
    code, output = invoked(home, "sign", str(document), "--key", str(key))

    vkey = key.with_suffix(".vkey").read_text(encoding="ascii").strip()
    note = document.with_name(f"{NAME}.yaml.sig").read_bytes()
    assert (code, output) == (0, f"{document}.sig: {NAME} revision 1, signed by {vkey}\n")
    assert verify(note, vkey).splitlines()[-2:] == [
        f"document {digest_of(document.read_bytes())}",
        f"cases {digest_of((document.parent / 'tests' / document.name).read_bytes())}",
    ]


def test_a_passphrase_is_asked_for(home: Path, document: Path, tmp_path: Path) -> None:
    file, words = tmp_path / "minh.pem", "một hai ba bốn"
    arguments = ("key", str(file), "--publisher", "nso", "--passphrase")
    assert invoked(home, *arguments, given=f"{words}\n{words}\n")[0] == 0

    code, output = invoked(home, "sign", str(document), "--key", str(file), given=f"{words}\n")

    assert (code, words in output) == (0, False)


def test_nothing_is_signed_that_does_not_load_or_whose_cases_come_out_otherwise(
    home: Path, document: Path, key: Path
) -> None:
    good = document.read_text(encoding="utf-8")
    cases = document.parent / "tests" / document.name

    document.write_text(good.replace("permits:", "permitz:"), encoding="utf-8")
    assert "did you mean `permits`" in refused(home, "sign", str(document), "--key", str(key))
    document.write_text(good, encoding="utf-8")
    cases.write_text(
        cases.read_text(encoding="utf-8").replace("refused: no-rule-permits", "refused: rule-forbids", 1),
        encoding="utf-8",
    )
    assert "no-rule-permits" in refused(home, "sign", str(document), "--key", str(key))
    document.rename(document.with_name("other.yaml"))
    assert f"must be named `{NAME}.yaml`" in refused(
        home, "sign", str(document.with_name("other.yaml")), "--key", str(key)
    )
    assert list(document.parent.glob("*.sig")) == []


def test_a_document_without_cases_is_signed_as_such_and_the_steward_is_told(
    home: Path, document: Path, key: Path
) -> None:
    (document.parent / "tests" / document.name).unlink()

    code, output = invoked(home, "sign", str(document), "--key", str(key))

    assert (code, "nothing tests these rules" in output) == (0, True)
    assert b"\ncases none\n" in document.with_name(f"{NAME}.yaml.sig").read_bytes()


def test_a_document_that_its_source_does_not_fit_is_not_put_into_the_home(
    home: Path, document: Path, key: Path
) -> None:
    """The data is not there: everything else holds."""
    invoked(home, "sign", str(document), "--key", str(key))

    assert f"{NAME}.yaml:1:1:" in refused(home, "activate", str(document))
    assert list((home / "policies").iterdir()) == []


def test_cases_that_changed_after_the_signature_activate_nothing(
    home: Path, document: Path, key: Path
) -> None:
    invoked(home, "sign", str(document), "--key", str(key))
    with (document.parent / "tests" / document.name).open("a", encoding="utf-8") as file:
        file.write("# and a remark\n")

    assert "the cases are not those that were signed" in refused(home, "activate", str(document))
    assert list((home / "policies").iterdir()) == []


def test_what_is_active_is_listed(home: Path) -> None:
    code, output = invoked(home, "list", "--json")

    assert (code, [json.loads(line) for line in output.splitlines()]) == (0, [])
