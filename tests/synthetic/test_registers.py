"""The registers of the demo: small, nobody's, and as the documents that ship say."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gateway.engines.survey import surveyed
from gateway.policy.held import held
from gateway.policy.load import load_rules
from gateway.synthetic.households import draw_households
from gateway.synthetic.registers import ROWS_MAX, draw_declarations, draw_events, draw_parcels
from gateway.synthetic.traffic import draw_counts
from gateway.synthetic.write import write_households, write_registers, write_visits

POLICIES = Path(__file__).parents[2] / "policies"
FILES = sorted(file for file in POLICIES.glob("*.yaml") if "traffic" not in file.name)
PEOPLE = draw_households(20_000, 7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    people = write_households(folder / "households.parquet", people=20_000, seed=7)
    write_visits(folder / "visits.csv", people, seed=7)
    write_registers(folder, people, seed=7)
    return folder


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_demos_data_is_as_its_document_says(folder: Path, file: Path) -> None:
    """Every column, type, bound and list; only of a few people there are more rows than count."""
    rules = load_rules(file.read_bytes(), file=file.name)

    found = [each.message for each in held(rules, surveyed(folder, rules.dataset))]

    assert [said for said in found if "more than rows_max of their person" not in said] == []


@pytest.mark.parametrize("draw", [draw_declarations, draw_parcels, draw_events])
def test_the_same_seed_gives_the_same_register_and_it_stays_small(draw: object) -> None:
    one, again, other = (draw(PEOPLE, seed) for seed in (1, 1, 2))  # type: ignore[operator]

    assert one.equals(again)
    assert not one.equals(other)
    assert 500 < one.num_rows <= 2 * ROWS_MAX


def test_a_child_is_registered_with_the_mother_and_father_of_its_household() -> None:
    events = draw_events(PEOPLE, 7)
    births = events.filter(pc.equal(events.column("Loại việc"), "birth"))
    mothers = births.column("Số định danh của mẹ")
    sexes = dict(zip(PEOPLE.column("citizen_id").to_pylist(), PEOPLE.column("sex").to_pylist(), strict=True))

    assert mothers.null_count < births.num_rows / 2
    assert {sexes[mother] for mother in pc.drop_null(mothers).to_pylist()} == {"female"}
    others = events.filter(pc.not_equal(events.column("Loại việc"), "birth"))
    assert others.column("Số định danh của mẹ").null_count == others.num_rows


def test_the_sensors_count_more_at_seven_in_the_morning_than_at_night() -> None:
    counts = pa.Table.from_pylist(draw_counts(7))
    quarters = counts.column("quarter_hour")

    morning, night = (
        pc.mean(counts.filter(pc.equal(quarters, quarter)).column("vehicles")).as_py() for quarter in (30, 8)
    )

    assert morning > 3 * night
    assert draw_counts(7) == draw_counts(7) != draw_counts(8)
