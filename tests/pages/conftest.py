"""A real gateway under a name that can have passkeys, and a real Chromium in front of its pages."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from browser import Tab, browser
from house import LOG, House, a_firm, free_port, put_rules

from gateway import wiring
from gateway.cli.demo.cast import Firm
from gateway.settings import Settings

CSV = "id,tinh,chi_phi\n001085012345,01,350000\n001190023456,79,1200000\n"
RULES = """
policy: 1
id: clinic
revision: 1
valid: {from: 2026-01-01, until: 2030-12-31}
title: {vi: Lượt khám tại phòng khám, en: Visits to the clinic}
publisher: {org: moh, name: {vi: Bộ Y tế, en: Ministry of Health}}
steward: Head of the Information Centre
classification: {sharing: shared, importance: none, personal: sensitive}
source: {path: clinic.csv, format: csv, lineage: clinic}
unit: {column: id, rows_max: 4, units_max: 5000}
columns:
  id: {type: text, personal: basic}
  tinh: {type: text, personal: basic, values: ["01", "48", "79"]}
  chi_phi: {type: integer, personal: basic, bounds: [0, 2000000]}
purposes:
  research: {vi: Nghiên cứu chi phí khám chữa bệnh, en: Research on the cost of care}
budgets: {lineage: {rho: "0.5"}, organisation: {rho: "0.5"}, client: {rho: "0.5"}}
permits:
  - id: research-statistics
    to: {org_class: [bank]}
    purposes: [research]
    may: [aggregate]
    assurance: {acr: aal2, max_age: 8h, unattended: 30d}
    columns: {tinh: keep, chi_phi: keep}
    functions: [count, sum, avg]
    limits: {groups: 100, rho_per_query: "0.05"}
"""


@dataclass(frozen=True, slots=True)
class Street:
    """A served gateway, and firms whose operators have not signed in yet: one a test."""

    origin: str
    home: Path
    firms: Iterator[Firm]


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    folder, port = tmp_path_factory.mktemp("street"), free_port()
    (folder / "data").mkdir()
    (folder / "data" / "clinic.csv").write_text(CSV, encoding="utf-8")
    settings = Settings(
        origin=f"http://localhost:{port}",
        log_origin=LOG,
        port=port,
        metrics_port=0,
        data=str(folder / "data"),
        device_interval_s=1,
        refusals_max=100_000,
    )
    wiring.create_home(folder / "home", settings)
    put_rules(folder / "home", "clinic", RULES)
    house = House(folder / "home", port)
    firms = [a_firm(f"bank-{number}", number=number) for number in range(1, 13)]
    house.register(*firms)
    with house.serving():
        yield Street(settings.origin, house.home, iter(firms))


@pytest.fixture
def firm(street: Street) -> Firm:
    return next(street.firms)


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    async with browser(tmp_path) as opened:
        yield opened
