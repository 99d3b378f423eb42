"""The demo's installation: a fresh home, invented people, the rules of all six documents that ship.

A home is only ever replaced if a demo made it (it holds the marker file).
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gateway import wiring
from gateway.errors import HomeInvalid
from gateway.keyring.stewards import own_steward_key, trust_steward
from gateway.policy.load import load_rules
from gateway.policy.signature import signature, statement_of
from gateway.services.documents import FOLDER, SUFFIX, read_cases, read_document, stage_document
from gateway.settings import Settings
from gateway.synthetic.write import write_households, write_registers, write_visits

SENSORS: Final = "https://sensors.example/v2"
"""The upstream of a document that ships; the demo has one of its own in its place."""
MARKER: Final = ".gateway-demo"
RULES: Final = Path(__file__).parents[3] / "policies"


class Held:
    """What the agency holds on one person; the demo may show it because nobody in it exists."""

    def __init__(self, households: Any) -> None:  # noqa: ANN401  an Arrow table, seen as rows only
        self._households = households

    def person(self, citizen_id: str) -> dict[str, object]:
        """Return the raw row of one person."""
        at = self._households.column("citizen_id").to_pylist().index(citizen_id)
        row: dict[str, object] = self._households.slice(at, 1).to_pylist()[0]
        return row


def make_home(
    home: Path, *, people: int, seed: int, port: int, sensors: str, told: Callable[[str], None]
) -> Held:
    """Make the demo's home anew: keys, settings, data and sharing rules; ``sensors`` is the upstream's URL.

    Raises:
        HomeInvalid: The folder exists and no demo made it.
    """
    if home.exists():
        if not (home / MARKER).exists() and any(home.iterdir()):
            raise HomeInvalid(f"`{home}` exists and no demo made it; choose another with --folder")
        shutil.rmtree(home)
    home.mkdir(parents=True)
    (home / MARKER).write_text("made by `gateway demo`, replaced by the next one\n", encoding="utf-8")
    told("keys and settings")
    wiring.create_home(
        home,
        Settings(
            origin=f"http://127.0.0.1:{port}",
            log_origin="gateway.demo.example/log/2026",
            port=port,
            metrics_port=0,
            device_interval_s=1,
        ),
    )
    for path in sorted(RULES.glob(f"*{SUFFIX}")):
        text = path.read_text(encoding="utf-8").replace(SENSORS, sensors)
        (home / FOLDER / path.name).write_text(text, encoding="utf-8")
    _sign(home)
    told(f"{people:,} invented people and their households")
    households = write_households(home / "data" / "households.parquet", people=people, seed=seed)
    told("their visits to hospitals")
    write_visits(home / "data" / "visits.csv", households, seed=seed)
    told("their taxes, land and civil status")
    write_registers(home / "data", households, seed=seed)
    return Held(households)


def _sign(home: Path) -> None:
    """Sign the documents as the agencies' stewards would; one key beside the home plays all of them."""
    for path in sorted((home / FOLDER).glob(f"*{SUFFIX}")):
        document = replace(read_document(path), cases=read_cases(RULES / path.name))
        rules = load_rules(document.text, file=path.name)
        steward = own_steward_key(home, rules.dataset.publisher, ask=str)
        trust_steward(home, steward.vkey, name=rules.dataset.publisher)
        note = signature(statement_of(rules, document.cases), steward)
        stage_document(home / FOLDER, replace(document, note=note)).put()
