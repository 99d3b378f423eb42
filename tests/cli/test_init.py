"""`gateway init`: a home and a draft, or one sentence and nothing left behind."""

import asyncio
import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from upstream import an_answer, an_upstream

from gateway.cli.root import gateway
from gateway.errors import GatewayError
from gateway.keyring.stewards import trusted_stewards

PEOPLE = "Số CCCD,Họ tên,income\n001085012345,Nguyễn Văn An,350123\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "people.csv").write_text(PEOPLE, encoding="utf-8")
    return folder / "people.csv"


def invoked(home: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(gateway, ["--home", str(home), *arguments], catch_exceptions=False)
    return result.exit_code, result.output


def test_a_home_and_a_draft_are_made_and_no_value_is_shown(tmp_path: Path, data: Path) -> None:
    home = tmp_path / "home"
    code, output = invoked(home, "init", "--data", str(data), "--port", "8181")

    settings = tomllib.loads((home / "gateway.toml").read_text(encoding="utf-8"))
    draft = (home / "policies" / "people.yaml").read_text(encoding="utf-8")
    assert code == 0
    assert (settings["origin"], settings["port"], settings["data"]) == (
        "http://127.0.0.1:8181",
        8181,
        str(data.parent),
    )
    assert 'stored_as: "Số CCCD"' in draft
    for word in ("drafted ", "it serves nothing yet", "policy check", "client add", "serve"):
        assert word in output
    for cell in ("001085012345", "Nguyễn", "350123"):
        assert cell not in output + draft


def test_the_draft_is_not_ready_and_the_check_says_why(tmp_path: Path, data: Path) -> None:
    home = tmp_path / "home"
    invoked(home, "init", "--data", str(data))

    code, output = invoked(home, "policy", "check", str(home / "policies"))

    assert code == 1
    assert "`publisher.org` is missing: the agency's short name" in output
    assert (
        "`income`: a number without bounds can be counted but not summed or averaged; "
        "give bounds from public knowledge (advice)"
    ) in output


def test_what_was_found_can_be_had_as_json(tmp_path: Path, data: Path) -> None:
    code, output = invoked(tmp_path / "home", "init", "--data", str(data), "--id", "vn.people", "--json")

    told = json.loads(output)
    assert (code, told["dataset"], told["rows"], told["delimiter"]) == (0, "vn.people", 1, ",")
    assert [(c["name"], c["type"], c["proposed"]) for c in told["columns"]] == [
        ("so_cccd", "text", "tokenise"), ("ho_ten", "text", "redact"), ("income", "integer", "drop"),
    ]  # fmt: skip


def test_a_second_source_joins_the_home(tmp_path: Path, data: Path) -> None:
    home = tmp_path / "home"
    (data.parent / "more.csv").write_text("a,b\nx,y\n", encoding="utf-8")
    invoked(home, "init", "--data", str(data))
    keys = sorted((home / "keys").iterdir())

    assert invoked(home, "init", "--data", str(data.parent / "more.csv"))[0] == 0
    assert sorted(path.name for path in (home / "policies").iterdir()) == ["more.yaml", "people.yaml"]
    assert sorted((home / "keys").iterdir()) == keys


def test_who_is_steward_and_operator_gets_a_key_beside_the_home(tmp_path: Path, data: Path) -> None:
    """Made with the first source of a publisher; nobody else's trust is touched by the next."""
    home, key = tmp_path / "home", tmp_path / "home-steward.pem"
    (data.parent / "more.csv").write_text("a,b\nx,y\n", encoding="utf-8")

    output = invoked(home, "init", "--data", str(data), "--publisher", "nso")[1]
    private, trusted = key.read_bytes(), trusted_stewards(home)
    invoked(home, "init", "--data", str(data.parent / "more.csv"), "--publisher", "nso")

    assert f"gateway policy sign {home}/policies/people.yaml --key {key}" in output
    assert [each.name for each in trusted] == ["nso"]
    assert (key.read_bytes(), trusted_stewards(home)) == (private, trusted)
    assert not [path for path in home.rglob("*.pem") if path.read_bytes() == private]


def test_a_draft_is_never_written_over(tmp_path: Path, data: Path) -> None:
    invoked(tmp_path / "home", "init", "--data", str(data))

    with pytest.raises(GatewayError, match="exists already; choose another --id"):
        invoked(tmp_path / "home", "init", "--data", str(data))


def test_data_elsewhere_needs_a_home_of_its_own(tmp_path: Path, data: Path) -> None:
    invoked(tmp_path / "home", "init", "--data", str(data))
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_text("a,b\nx,y\n", encoding="utf-8")

    with pytest.raises(GatewayError, match="serves files below"):
        invoked(tmp_path / "home", "init", "--data", str(elsewhere))


def test_keys_never_lie_below_the_data(data: Path) -> None:
    with pytest.raises(GatewayError, match="keys and all: move the data into a folder of its own"):
        invoked(data.parent / "home", "init", "--data", str(data))

    assert not (data.parent / "home").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"a,b\n1,2,3\n", "line 2 of `a.csv` has 3 fields, the header has 2"),
        ("a.csv", b"a,b\nx,caf\xe9\n", "line 2, byte 6 of `a.csv` is not UTF-8"),
        ("a.csv", b"a,a\nx,y\n", "the source has the column `a` twice"),
        ("a.csv", b"", "`a.csv` is empty"),
        ("a.xlsx", b"PK\x03\x04", "`a.xlsx` is a workbook or an archive, not a CSV"),
        ("a.parquet", b"PAR1", "`a.parquet` is not readable as Parquet"),
        ("a b.csv", b"a,b\nx,y\n", "a source's path has letters, digits"),
        ("a[1].csv", b"a,b\nx,y\n", "a source's path has letters, digits"),
    ],
)
def test_what_cannot_be_served_leaves_nothing_behind(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / name).write_bytes(content)

    with pytest.raises(GatewayError) as refused:
        invoked(tmp_path / "home", "init", "--data", str(folder / name))

    assert message in refused.value.detail
    assert not (tmp_path / "home").exists()


async def looked_at(home: Path, body: bytes, *arguments: str, query: str = "") -> tuple[int, str]:
    async with an_upstream() as upstream:
        upstream.answers(an_answer(body))
        address = f"{upstream.url}/v1/people.json{query}"
        return await asyncio.to_thread(invoked, home, "init", "--data", address, *arguments)


BODY = json.dumps({"items": [{"Số CCCD": "001085012345", "income": 350123}]}).encode()


async def test_an_interface_is_drafted_with_its_path_and_no_value(tmp_path: Path) -> None:
    home = tmp_path / "home"
    code, output = await looked_at(home, BODY, "--publisher", "nso", query="?_shape=objects")
    draft = (home / "policies" / "people.yaml").read_text(encoding="utf-8")

    assert code == 0, output
    assert "one page of JSON; 1 rows, 2 columns" in output
    assert '#       - path: "/v1/people.json"\n#         rows: "/items"\n' in draft
    assert '"_shape": {is: fixed, value: objects}' in draft
    assert tomllib.loads((home / "gateway.toml").read_text(encoding="utf-8"))["data"] == "data"
    for word in ("001085012345", "350123", "unit:", "bounds", "internal"):
        assert word not in output + draft


async def test_what_cannot_be_drafted_leaves_nothing_behind_either(tmp_path: Path) -> None:
    for body, said in ((b"[]", "no array with rows"), (b"<html>", "not strict JSON")):
        with pytest.raises(GatewayError, match=said):
            await looked_at(tmp_path / "home", body)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://api.example/x", "http:// is for this machine"),
        ("http://10.0.0.1/x", "(here: `--internal`)"),
        ("https://user@api.example/x", "without a user"),
        ("https://api.example", "a path has letters"),
        ("https://api.example/a//b", "a path has letters"),
        ("https://api.example/%2e%2e/x", "a path has letters"),
        ("https://api.example/x?a=1&a=2", "twice"),
        ("https://api.example/x?a%5B=1", "a parameter's name"),
        ("https://api.example/x?a=%C3%A9", "visible ASCII"),
        ("https://api.example:99999/x", "the host or the port"),
    ],
)
def test_an_address_that_no_document_can_hold_is_not_asked(tmp_path: Path, address: str, said: str) -> None:
    with pytest.raises(GatewayError) as refused:
        invoked(tmp_path / "home", "init", "--data", address, "--id", "x")
    assert said in refused.value.detail


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "nowhere.csv"), "there is no file or folder `nowhere.csv`"),
        (("--data", ".", "--internal"), "are for the address of an HTTP API"),
        (("--data", ".", "--rows", "/x"), "are for the address of an HTTP API"),
    ],
)
def test_a_wrong_use_says_so(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    code, output = invoked(tmp_path / "home", "init", *arguments)
    assert (code, said in output) == (2, True)
