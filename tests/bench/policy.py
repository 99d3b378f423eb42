"""Sharing rules: one judgement among many documents, and how long many documents take to load and check."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import cycle

from gateway.policy.advise import advise
from gateway.policy.decide import Ask, decide
from gateway.policy.load import load_rules
from gateway.policy.rules import Rules
from gateway.terms.caller import Assurance
from gateway.terms.identifiers import DatasetId
from gateway.terms.permit import Permit, Refusal
from gateway.terms.query import Action
from tests.bench.measure import Family, Measure, Plan, middle

DATASETS, PERMITS = 200, 10
ROUNDS, JUDGEMENTS = 5, 2_000
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DECISION_US, LOAD_S = 30.0, 3.0
"""The first targets."""

HEAD = """\
policy: 1
id: bench.d{number}
revision: 1
valid: {{from: 2026-01-01, until: 2030-12-31}}
title: {{vi: Người, en: People}}
publisher: {{org: bench, name: {{vi: Cục, en: Bureau}}}}
steward: Chief
classification: {{sharing: shared, importance: none, personal: basic}}
source: {{path: d{number}.parquet, format: parquet, lineage: bench.d{number}}}
unit: {{column: id, rows_max: 1, units_max: 1000000}}
columns:
  id: {{type: text, meaning: Person, personal: basic}}
  area: {{type: text, meaning: Area, personal: basic, values: ["01", "04", "08", "79"]}}
  sex: {{type: text, meaning: Sex, personal: basic, values: [female, male]}}
  born: {{type: date, meaning: Born, personal: basic}}
  phone: {{type: text, meaning: Phone, personal: basic}}
  income: {{type: integer, meaning: Income, personal: basic, bounds: [0, 1000000000]}}
purposes:
"""
PERMIT = """\
  - id: permit-{number}
    to: {{org_class: [bank], agreements: [AGR-{number}], countries: [VN]}}
    purposes: [purpose-{number}]
    may: [extract]
    assurance: {{acr: aal2, max_age: 8h}}
    rows: [{{column: area, in: ["01", "79"]}}]
    columns: {{id: tokenise, area: keep, sex: keep, born: {{generalise: {{date: year}}}}, income: keep}}
    limits: {{rows: 1000}}
"""


def document(number: int) -> bytes:
    """Return one document with ten permits."""
    purposes = "".join(f"  purpose-{each}: {{vi: Nghiên cứu, en: Research}}\n" for each in range(PERMITS))
    permits = "permits:\n" + "".join(PERMIT.format(number=each) for each in range(PERMITS))
    return (HEAD.format(number=number) + purposes + permits).encode()


class Somebody:
    """Who asks; as good as a caller, to a judgement."""

    org_class = "bank"
    country = "VN"
    assurance = Assurance.AAL2
    authenticated_at = NOW
    unattended = False

    def __init__(self, number: int) -> None:
        self.agreement, self.purpose = f"AGR-{number}", f"purpose-{number}"


def loaded(documents: list[bytes]) -> dict[DatasetId, Rules]:
    """Load and check, as `gateway policy check` does."""
    found = {}
    for text in documents:
        advise(text, file="x.yaml")
        rules = load_rules(text, file="x.yaml")
        found[rules.dataset.id] = rules
    return found


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def run(plan: Plan) -> list[Measure]:
    documents = [document(number) for number in range(plan.size(DATASETS))]
    loads = [cpu_seconds(lambda: loaded(documents)) for _ in range(plan.rounds(3))]
    rules = loaded(documents)
    asks = [
        (Ask(caller=Somebody(number), action=Action.EXTRACT, now=NOW), name)
        for number, name in zip(cycle(range(PERMITS)), rules, strict=False)
    ]
    turns = plan.size(JUDGEMENTS) // len(asks) + 1

    def judge() -> None:
        decisions.clear()
        for _ in range(turns):
            for ask, name in asks:
                decisions.append(decide(ask, rules[name]))

    decisions: list[Permit | Refusal] = []
    judged = [cpu_seconds(judge) / (turns * len(asks)) for _ in range(plan.rounds(ROUNDS))]
    if any(isinstance(decision, Refusal) for decision in decisions):
        raise RuntimeError("a request of the bench is not permitted")
    scale = DATASETS / len(documents)
    return [
        Measure(name="decision_us", value=middle(judged) * 1e6, unit="us", floor=DECISION_US),
        Measure(name="rules_load_s", value=middle(loads) * scale, unit="s", floor=LOAD_S),
    ]


FAMILY = Family(names=("decision_us", "rules_load_s"), run=run)
