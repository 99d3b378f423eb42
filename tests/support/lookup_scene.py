"""A register of people behind a gateway, and a notary who may look them up; every row is known here."""

from typing import Final

from gateway.client import Gateway
from gateway.client.answer import Answer

DATASET: Final = "vn.test.registry-2026"
CLIENT_KEYS: Final = 40
REGISTER: Final = """\
citizen_id,full_name,birth_date,status,province
001085012345,Nguyễn Văn An,1985-03-14,married,01
001085012345,Nguyễn Văn An,1985-03-14,divorced,79
001190023456,Trần Thị Bình,1990-11-02,married,01
079078034567,Lê Hoàng Cường,1978-07-30,adopted,79
048201045678,Phạm Thu Dung,,married,01
"""
"""An's two events; Bình's one; Cường's, which the notary's filter hides; Dung's, without a date of birth."""

AN: Final = {"key": "001085012345", "matching": {"birth_date": "1985-03-14"}}
BINH: Final = {"key": "001190023456", "matching": {"birth_date": "1990-11-02"}}
MISSES: Final = {
    "a number that nobody has": {"key": "001085099999", "matching": {"birth_date": "1985-03-14"}},
    "another date of birth": {"key": "001190023456", "matching": {"birth_date": "1990-11-03"}},
    "a row that the filter hides": {"key": "079078034567", "matching": {"birth_date": "1978-07-30"}},
    "a row without a date of birth": {"key": "048201045678", "matching": {"birth_date": "2001-01-19"}},
    "no number at all": {"key": "x", "matching": {"birth_date": "1985-03-14"}},
}
RULES: Final = f"""\
policy: 1
id: {DATASET}
revision: 1
valid: {{from: 2026-01-01, until: 2030-12-31}}
title: {{vi: Hộ tịch, en: Register}}
publisher: {{org: moj, name: {{vi: Bộ Tư pháp, en: Ministry of Justice}}}}
steward: Head of the register
classification: {{sharing: private, importance: none, personal: basic}}
source: {{path: register.csv, format: csv, lineage: vn.test.registry}}
unit: {{column: citizen_id, rows_max: 4, units_max: 1000}}
columns:
  citizen_id: {{type: text, personal: basic}}
  full_name: {{type: text, personal: basic}}
  birth_date: {{type: date, personal: basic}}
  status: {{type: text, personal: basic, values: [married, divorced, adopted]}}
  province: {{type: text, personal: basic, values: ["01", "79"]}}
purposes:
  marital-status: {{vi: Tình trạng hôn nhân, en: Marital status}}
budgets: {{lineage: {{keys: 500}}, organisation: {{keys: 60}}, client: {{keys: {CLIENT_KEYS}}}}}
permits:
  - id: notary
    to: {{org_class: [notary]}}
    purposes: [marital-status]
    may: [lookup]
    assurance: {{acr: aal2, max_age: 8h}}
    rows: [{{column: status, in: [married, divorced]}}]
    lookup: {{key: citizen_id, matching: [birth_date]}}
    columns: {{full_name: {{partial: {{first: 1, last: 0}}}}, status: keep, province: keep}}
    limits: {{keys_per_request: 5, rows_per_key: 3}}
"""


async def left(gateway: Gateway) -> dict[str, int]:
    """Return the keys that the organisation and the client have left."""
    (shown,) = (await gateway.budgets()).document["budgets"]
    return {whose: shown[whose]["keys_left"] for whose in ("organisation", "client")}


def rows(answer: Answer) -> list[dict[str, object]]:
    found: list[dict[str, object]] = answer.document["rows"]
    return found
