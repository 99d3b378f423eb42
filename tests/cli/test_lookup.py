"""How keys come in from a command line or a file; what is wrong with them is said without repeating one."""

import io
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.firm.lookup import CHARACTERS_READ_MAX, KEYS_READ_MAX, _read, lookup

SECRET = "001085012345"


def run(*arguments: str, keys: str = "", profile: Path) -> tuple[int, str]:
    """Run the command on a machine that knows no gateway: what is well typed fails there, with code 1."""
    result = CliRunner().invoke(lookup, ["x", *arguments], input=keys, env={"GATEWAY_PROFILE": str(profile)})
    return result.exit_code, result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("--key", SECRET),
        ("--key", SECRET, "--with", "birth_date=1985-03-14", "--with", "name = a=b"),
        ("--keys", "-"),
    ],
)
def test_what_is_well_typed_goes_on_to_the_gateway(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, output = run(*arguments, keys=f"citizen_id,birth_date\n{SECRET},1985-03-14\n", profile=tmp_path)

    assert (code, "gateway login --gateway URL" in output) == (1, True)


@pytest.mark.parametrize("mark", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_one_key_stays_one_key_whatever_stands_in_it(mark: str) -> None:
    """Each key is charged: a mark that some programs take for a line's end makes no two of one."""
    keys = _read(io.StringIO(f'id,name\n1,An{mark}Binh\n2,"a\nb"\r\n', newline=""))

    assert keys == [
        {"key": "1", "matching": {"name": f"An{mark}Binh"}},
        {"key": "2", "matching": {"name": "a\nb"}},
    ]


@pytest.mark.parametrize(
    ("arguments", "keys", "said"),
    [
        ((), "", "give one key as --key, or keys as --keys FILE"),
        (("--key", SECRET, "--keys", "-"), "id\n1\n", "give one key as --key, or keys as --keys FILE"),
        (("--keys", "-", "--with", f"id={SECRET}"), "id\n1\n", "--with goes with --key"),
        (("--key", "1", "--with", SECRET), "", "--with COLUMN=VALUE"),
        (("--key", "1", "--with", f"a={SECRET}", "--with", "a=2"), "", "a column is given twice in --with"),
        (("--keys", "-"), "", "--keys is a CSV whose first line names the columns"),
        (("--keys", "-"), "id,born\n", "has a line of names, then 1 to 1,000 keys"),
        (("--keys", "-"), "id\n" + f"{SECRET}\n" * (KEYS_READ_MAX + 1), "1 to 1,000 keys"),
        (("--keys", "-"), f"id,born\n1,2\n{SECRET}\n", "key 2 of --keys has not as many fields"),
        (("--keys", "-"), f'id,born\n"{SECRET}"x,2\n', "--keys is a CSV"),
        (("--keys", "-"), f"id,born,born\n{SECRET},2,3\n", "names a column twice"),
        (("--keys", "-"), "id\n" + SECRET * CHARACTERS_READ_MAX, "at most 65,536 characters"),
    ],
)
def test_what_is_wrong_is_said_without_repeating_a_key(
    tmp_path: Path, arguments: tuple[str, ...], keys: str, said: str
) -> None:
    code, output = run(*arguments, keys=keys, profile=tmp_path)

    assert code == 2
    assert said in " ".join(output.split())
    assert SECRET not in output
