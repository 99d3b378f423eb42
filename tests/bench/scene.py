"""A home with invented tables, one firm that may ask, and the credentials it asks with.

The person's sign-in is put into the registry instead of being acted out, so that a run begins at once;
tokens are signed by the home's own key. Everything else is a real installation.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gateway import wiring
from gateway.cli.demo.cast import Firm
from gateway.identity.factors import amr_of, assurance_at
from gateway.identity.token import TOKEN_TYPE, AccessClaims, claims_document
from gateway.keyring.keyring import Keyring
from gateway.registry.records import Activation, State
from gateway.services.registration import changes_of
from gateway.serving.renew import begun
from gateway.settings import Settings
from gateway.terms.identifiers import AgreementId, ClientId, OperatorId, OrgId, PurposeId
from tests.support.house import LOG, House, a_firm, free_port, put_rules

SMALL_ROWS = 100
LARGE_ROWS = 7_700
"""Of seven columns as below: 13 kB and 1 MB of JSON once masked."""
WIDE_ROWS = 10_000_000
AREAS = tuple(f"{number:02}" for number in range(34))
NAMES = ("Nguyen Van An", "Tran Thi Binh", "Le Minh", "Pham Lan")
PERSON_METHODS = ("otp", "pwd")

HEAD = """\
policy: 1
id: bench.{name}
revision: 1
valid: {{from: 2026-01-01, until: 2030-12-31}}
title: {{vi: Bảng thử {name}, en: Bench table {name}}}
publisher: {{org: nso, name: {{vi: Cục Thống kê, en: Statistics Office}}}}
steward: Chief of Population Statistics
classification: {{sharing: shared, importance: none, personal: basic}}
columns:
  id: {{type: text, meaning: Number of the person, personal: basic}}
  name: {{type: text, meaning: Full name, personal: basic}}
  area: {{type: text, meaning: Area, personal: basic, values: [{areas}]}}
  sex: {{type: text, meaning: Sex, personal: basic, values: [female, male]}}
  born: {{type: date, meaning: Date of birth, personal: basic}}
  income: {{type: integer, meaning: Income, personal: basic, bounds: [0, 100000]}}
  persons: {{type: integer, meaning: Persons, personal: basic, bounds: [0, 20]}}
purposes:
  research: {{vi: Nghiên cứu, en: Research}}
"""
TREATMENTS = """\
      id: tokenise
      name: {{partial: {{first: 1, last: 0}}}}
      area: keep
      sex: keep
      born: {{generalise: {{date: month}}}}
      income: {{generalise: {{band: 5000}}}}
      persons: keep
    limits: {{rows: 10000}}
"""
FILE_RULES = (
    HEAD
    + """\
source: {{path: {name}.parquet, format: parquet, lineage: bench.{name}}}
unit: {{column: id, rows_max: 1, units_max: 20000000}}
budgets: {{lineage: {{rho: "1000"}}, organisation: {{rho: "1000"}}, client: {{rho: "1000"}}}}
acknowledged: {{rows_and_statistics: a bench asks both}}
permits:
  - id: research-rows
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [extract]
    assurance: {{acr: aal2, max_age: 8h}}
    columns:
"""
    + TREATMENTS
    + """\
  - id: research-statistics
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [aggregate]
    assurance: {{acr: aal2, max_age: 8h}}
    columns: {{area: keep, sex: keep, income: keep, persons: keep}}
    functions: [count, sum, avg]
    limits: {{groups: 100, rho_per_query: "0.05"}}
"""
)
PROXY_RULES = (
    HEAD
    + """\
source: {{url: "{url}", format: http, lineage: bench.upstream}}
permits:
  - id: research-proxy
    to: {{org_class: [bank]}}
    purposes: [research]
    may: [proxy]
    assurance: {{acr: aal2, max_age: 8h}}
    paths: [{{path: /{name}, rows: ""}}]
    columns:
"""
    + TREATMENTS
)


def people(rows: int) -> pa.Table:
    """Return invented people, the same at every call."""
    chance = np.random.default_rng(20261122)
    numbers = np.arange(rows, dtype=np.int64)
    return pa.table(
        {
            "id": pa.array(numbers * 7 + 100_000_000_000).cast(pa.string()),
            "name": _texts(NAMES, numbers % len(NAMES)),
            "area": _texts(AREAS, chance.integers(0, len(AREAS), rows)),
            "sex": _texts(("female", "male"), chance.integers(0, 2, rows)),
            "born": pa.array(chance.integers(-10_000, 18_000, rows).astype("int32")).cast(pa.date32()),
            "income": pa.array(chance.integers(0, 100_000, rows)),
            "persons": pa.array(chance.integers(1, 9, rows)),
        }
    )


def _texts(words: tuple[str, ...], places: np.ndarray) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), pa.array(words)).cast(pa.string())


@dataclass(frozen=True, slots=True)
class Scene:
    """A home over bench tables."""

    house: House
    firm: Firm
    key_file: Path

    def token(self) -> str:
        """Return a fresh access token of the firm."""
        now = datetime.now(UTC).replace(microsecond=0)
        signed_in, methods = now - timedelta(minutes=1), amr_of(PERSON_METHODS)
        claims = AccessClaims(
            issuer=self.house.origin,
            audience=self.house.origin,
            client=ClientId(self.firm.client),
            subject=self.firm.operator,
            org=OrgId(self.firm.org),
            purpose=PurposeId(self.firm.purpose),
            agreement=AgreementId(self.firm.agreement),
            client_key=self.firm.key.thumbprint,
            key=self.firm.key.thumbprint,
            token_id="bench-" + "0" * 16,
            issued_at=now,
            expires_at=now + timedelta(minutes=15),
            assurance=assurance_at(methods, authenticated_at=signed_in, at=now),
            methods=methods,
            authenticated_at=signed_in,
            operator=OperatorId(self.firm.operator),
        )
        keyring = Keyring.open(self.house.home / "keys", log_name=LOG)
        return keyring.tokens.sign(claims_document(claims), TOKEN_TYPE)


def make_scene(
    folder: Path, tables: dict[str, int], upstreams: dict[str, str] | None = None, **settings: float
) -> Scene:
    """Make a home that serves tables of so many rows, with one firm whose operator has signed in.

    ``upstreams`` are datasets behind HTTP interfaces: name to origin.
    """
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        pq.write_table(people(rows), data / f"{name}.parquet", row_group_size=1_000_000)
    port = free_port()
    home = folder / "home"
    wiring.create_home(
        home,
        Settings(
            origin=f"http://127.0.0.1:{port}",
            log_origin=LOG,
            port=port,
            metrics_port=0,
            data=str(data),
            refusals_max=1_000_000,
            **settings,  # type: ignore[arg-type]
        ),
    )
    areas = ", ".join(f'"{area}"' for area in AREAS)
    rules = {name: FILE_RULES.format(name=name, areas=areas) for name in tables}
    rules |= {
        name: PROXY_RULES.format(name=name, areas=areas, url=url) for name, url in (upstreams or {}).items()
    }
    for name, text in rules.items():
        put_rules(home, f"bench.{name}", text)
    house, firm, key_file = House(home, port), a_firm(), folder / "firm.pem"
    house.register(firm)
    _sign_in(house, firm)
    firm.key.save(key_file)
    return Scene(house, firm, key_file)


@asynccontextmanager
async def in_force(scene: Scene) -> AsyncIterator[wiring.Gateway]:
    """Open the installation in this process, with its rules in force and its sources prepared."""
    async with wiring.opened(scene.house.home) as gateway:
        faults = await begun(gateway)
        assert not faults, faults
        yield gateway


def rows_json(rows: int) -> bytes:
    """Return the raw rows as an upstream would say them."""
    return json.dumps(people(rows).to_pylist(), default=str, separators=(",", ":")).encode()


def _sign_in(house: House, firm: Firm) -> None:
    """Put the operator's activation of the client into the registry."""
    now = datetime.now(UTC)
    activation = Activation(
        id="act-bench",
        client=ClientId(firm.client),
        operator=OperatorId(firm.operator),
        purpose=PurposeId(firm.purpose),
        key=firm.key.thumbprint,
        methods=PERSON_METHODS,
        authenticated_at=now - timedelta(minutes=5),
        until=now + timedelta(hours=7),
        state=State.ACTIVE,
    )

    async def put() -> None:
        async with wiring.opened(house.home) as gateway:
            await gateway.register(changes_of(activation))

    asyncio.run(put())
