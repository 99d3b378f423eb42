"""A document held against its data: what is other there, and what is suspiciously the same."""

import json
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from gateway.cli.root import gateway

CSV = """\
person;area;age;income;born;sex;phone
a;01;30;100;1990-01-01;f;0912
a;01;31;200;1990-01-01;f;0912
a;48;32;300;1990-01-01;f;0912
b;99;17;9871234;2009-13-01;m;
c;01;x;50;2001-05-05;?;
"""
DOCUMENT = """\
policy: 1
id: vn.example.2026
revision: 1
valid: {from: 2026-01-01, until: 2026-12-31}
title: {vi: Ví dụ, en: Example}
publisher: {org: nso, name: {vi: Cục, en: Office}}
steward: Head
classification: {sharing: shared, importance: none, personal: basic}
source: {path: people.csv, format: csv, lineage: vn.example, delimiter: ";"}
unit: {column: person, rows_max: 2, units_max: 2}
columns:
  person: {type: text, personal: basic}
  area: {type: text, personal: basic, values: ["01", "48"]}
  age: {type: integer, personal: basic, bounds: [17, 120]}
  income: {type: integer, personal: basic, bounds: [49, 9871300]}
  born: {type: date, personal: basic}
  sex: {type: text, personal: basic, values: [f, m]}
  tenure: {type: text, personal: basic}
purposes:
  research: {vi: Nghiên cứu, en: Research}
permits:
  - id: rows
    to: {org_class: [research]}
    purposes: [research]
    may: [extract]
    assurance: {acr: aal2}
    columns: {area: keep}
    limits: {rows: 10}
"""
WITHOUT_TENURE = DOCUMENT.replace("  tenure: {type: text, personal: basic}\n", "")


def checked(folder: Path, document: str, *options: str) -> tuple[int, list[str]]:
    file = folder / "vn.example.2026.yaml"
    file.write_text(document, encoding="utf-8")
    done = CliRunner().invoke(gateway, ["policy", "check", str(file), "--json", *options])
    advice = json.loads(done.stdout)["advice"]
    return done.exit_code, [f"{each['line']}:{each['message']}" for each in advice]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text(CSV, encoding="utf-8")
    return tmp_path


def found(folder: Path, document: str = DOCUMENT) -> tuple[int, list[str]]:
    """What is said because of the data, beyond what is said without it."""
    before = checked(folder, document)[1]
    code, after = checked(folder, document, "--data", str(folder))
    return code, sorted(said for said in after if said not in before)


WHY = "it looks read off the data and tells of one person; take a public one"
TOLD = [
    "10:the source holds 3 persons, more than units_max says there can be",
    "10:1 rows are more than rows_max of their person: no statistic counts them",
    "12:the source has `phone`, which the document does not name: it is dropped",
    "13:1 of 5 cells of `area` are not in the public list: no group has them",
    "14:1 of 5 cells of `age` are no integer and become null",
    f"14:`17` is the least value of the source: {WHY}",
    f"15:`9871300` is hardly beyond the greatest value of the source: {WHY}",
    "16:1 of 5 cells of `born` are no date and become null",
    "17:1 of 5 cells of `sex` are not in the public list: no group has them",
]


def test_everything_that_is_other_in_the_data_is_told_with_its_line(folder: Path) -> None:
    code, said = found(folder, DOCUMENT)

    assert code == 1, "a column that is not there cannot be served"
    assert said == sorted([*TOLD, "18:the source has no column `tenure`; known here: `phone`"])
    assert found(folder, WITHOUT_TENURE) == (0, sorted(TOLD))


def test_parquet_tells_the_same(folder: Path) -> None:
    types = dict.fromkeys(["person", "area", "age", "born", "sex", "phone"], "string")
    table = pyarrow.csv.read_csv(
        folder / "people.csv",
        parse_options=pyarrow.csv.ParseOptions(delimiter=";"),
        convert_options=pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True),
    )
    pq.write_table(table, folder / "people.parquet")
    source = 'path: people.csv, format: csv, lineage: vn.example, delimiter: ";"'
    document = WITHOUT_TENURE.replace(source, "path: people.parquet, format: parquet, lineage: vn.example")

    assert found(folder, document) == (0, sorted(TOLD))


@pytest.mark.parametrize("bounds", ["[0, 10000000]", "[10, 20000000]", "[-5, 9900000]"])
def test_bounds_of_public_knowledge_raise_no_doubt(folder: Path, bounds: str) -> None:
    code, said = found(
        folder, WITHOUT_TENURE.replace("[49, 9871300]", bounds).replace("[17, 120]", "[0, 120]")
    )

    assert code == 0
    assert not [each for each in said if "looks read off" in each]


def test_values_beyond_the_bounds_are_counted(folder: Path) -> None:
    document = WITHOUT_TENURE.replace("[49, 9871300]", "[100, 200]")

    assert (
        "15:3 of 5 cells of `income` lie beyond the bounds and count as the nearest one"
        in found(folder, document)[1]
    )


def test_without_the_data_nothing_of_it_is_told_and_a_source_that_is_not_there_is_a_reason_to_stop(
    folder: Path,
) -> None:
    code, said = checked(folder, WITHOUT_TENURE)
    (folder / "people.csv").unlink()

    assert code == 0
    assert not [each for each in said for told in TOLD if each == told]
    assert found(folder, WITHOUT_TENURE) == (1, ["9:the source `people.csv` does not exist"])


LOOKUP = """\
    lookup: {key: person, matching: [born]}
    columns: {area: keep}
    limits: {keys_per_request: 1, rows_per_key: 2}
"""
LOOKED_UP = (
    WITHOUT_TENURE.replace("may: [extract]", "may: [lookup]")
    .replace("    columns: {area: keep}\n    limits: {rows: 10}\n", LOOKUP)
    .replace(
        "permits:", "budgets: {lineage: {keys: 9}, organisation: {keys: 1}, client: {keys: 1}}\npermits:"
    )
)


def test_what_a_lookup_finds_people_by_is_counted(folder: Path) -> None:
    """Rows of one key with what matches; different values, of which an empty cell and a misfit are none."""
    by = sorted(set(found(folder, LOOKED_UP)[1]) - set(TOLD))
    soon = "of `{}`, and so few are soon tried"

    finds = "one `person` finds up to 3 rows of the source"
    assert by == [
        f"27:{finds}, more than rows_max of a person: it is not one person's",
        f"27:the source has 2 values {soon.format('born')}",
        f"27:the source has 3 values {soon.format('person')}",
        f"29:{finds}: more than are shown",
    ]


def test_a_key_of_many_values_that_finds_one_row_is_not_doubted(folder: Path) -> None:
    rows = "".join(f"p{n};01;30;100;{1000 + n}-01-01;f;0912\n" for n in range(1000))
    (folder / "people.csv").write_text(CSV.splitlines()[0] + "\n" + rows, encoding="utf-8")

    assert not [each for each in found(folder, LOOKED_UP)[1] if each.startswith(("27:", "29:"))]


def test_an_upstream_is_not_surveyed() -> None:
    shipped = Path(__file__).parents[2] / "policies" / "vn.moc.traffic-sensors-2026.yaml"

    done = CliRunner().invoke(gateway, ["policy", "check", str(shipped), "--data", str(shipped.parent)])

    assert done.exit_code == 0
    assert "an upstream is not surveyed" in done.stderr
