"""The documents that ship: they load, and the three firms of the demo get what the agencies meant."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.engines.rehearsal import ArrowRehearsal
from gateway.policy.cases import load_cases
from gateway.policy.decide import Ask, decide
from gateway.policy.document import schema
from gateway.policy.load import load_rules
from gateway.policy.rules import Rules
from gateway.policy.trial import trial
from gateway.terms.caller import Assurance, Caller
from gateway.terms.dataset import Personal, Sharing
from gateway.terms.format import Delivery
from gateway.terms.identifiers import AgreementId, ClientId, OperatorId, OrgId, PurposeId, Thumbprint
from gateway.terms.permit import Permit, Reason, Refusal
from gateway.terms.predicate import EVERY_ROW
from gateway.terms.query import Action
from gateway.terms.treatment import Band, DatePrecision, Keep, Partial, Precision, Prefix, Redact, Tokenise

POLICIES = Path(__file__).parents[2] / "policies"
DOCUMENTS = sorted(POLICIES.glob("*.yaml"))
NAMES = [file.stem for file in DOCUMENTS]
NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOUSEHOLD, OUTPATIENT = "vn.nso.household-2026", "vn.moh.outpatient-2026"


def a_caller(org: str, org_class: str, agreement: str, purpose: str) -> Caller:
    return Caller(
        org=OrgId(org),
        org_class=org_class,
        country="VN",
        client=ClientId(f"{org}-1"),
        operator=OperatorId("lan"),
        agreement=AgreementId(agreement),
        purpose=PurposeId(purpose),
        assurance=Assurance.AAL2,
        authenticated_at=NOW - timedelta(hours=1),
        key=Thumbprint("t"),
        token_id="j",
        client_key=Thumbprint("c"),
        activated_by=OperatorId("lan"),
        vouched_for=None,
    )


BANK = a_caller("bank-a", "bank", "AGR-2026-014", "credit-risk-statistics")
RELIEF = a_caller("relief-b", "relief", "AGR-2026-020", "flood-relief-planning")
INSURER = a_caller("insurer-c", "insurer", "AGR-2026-031", "actuarial-statistics")


def rules_of(name: str) -> Rules:
    file = POLICIES / f"{name}.yaml"
    return load_rules(file.read_bytes(), file=file.name)


def decision(caller: Caller, action: Action, name: str) -> Permit | Refusal:
    return decide(Ask(caller=caller, action=action, now=NOW), rules_of(name))


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_a_shipped_document_loads_and_is_named_after_its_dataset(file: Path) -> None:
    assert rules_of(file.stem).dataset.id == file.stem


def test_the_published_schema_is_the_one_of_the_model() -> None:
    command = "print(json.dumps(schema(), indent=2, ensure_ascii=False))"

    assert json.loads((POLICIES / "schema.json").read_text(encoding="utf-8")) == schema(), (
        f"write the output of `{command}` to policies/schema.json"
    )


def test_both_datasets_know_the_34_provinces() -> None:
    codes = [rules_of(name).dataset.column("province") for name in (HOUSEHOLD, OUTPATIENT)]

    assert codes[0] is not None
    assert codes[1] is not None
    assert len(set(codes[0].values)) == 34
    assert codes[0].values == codes[1].values


def test_a_bank_may_count_and_sum_households() -> None:
    permit = decision(BANK, Action.AGGREGATE, HOUSEHOLD)

    assert isinstance(permit, Permit)
    assert permit.rules == {"bank-statistics"}
    assert [name for name, _ in permit.columns] == [
        "sex", "province", "education", "occupation", "household_size", "income_vnd",
    ]  # fmt: skip
    assert {how for _, how in permit.columns} == {Keep()}
    assert permit.functions == {"count", "sum", "avg"}
    assert (permit.rows, permit.rows_max, permit.groups_max) == (EVERY_ROW, 0, 500)
    assert permit.loss_max.rho == 10**10
    assert permit.caps is not None
    assert permit.caps.client.rho == 5 * 10**10


def test_a_bank_gets_no_rows() -> None:
    assert decision(BANK, Action.EXTRACT, HOUSEHOLD) == Refusal(
        reason=Reason.NO_RULE_PERMITS, rules=frozenset()
    )


def test_a_relief_organisation_gets_masked_rows() -> None:
    permit = decision(RELIEF, Action.EXTRACT, HOUSEHOLD)

    assert isinstance(permit, Permit)
    assert dict(permit.columns) == {
        "citizen_id": Tokenise("vn.nso.household/citizen_id"),
        "household_id": Tokenise("vn.nso.household/household_id"),
        "full_name": Redact(),
        "birth_date": Precision(DatePrecision.YEAR),
        "province": Keep(),
        "ward": Prefix(3),
        "phone": Partial(0, 3),
        "household_size": Keep(),
        "income_vnd": Band(5_000_000),
    }
    assert permit.rows_max == 1000
    assert permit.delivery == Delivery(encrypted=True)


def test_rows_of_sensitive_data_leave_encrypted_only_and_all_else_as_the_firm_likes() -> None:
    """One row is somebody's life there; a statistic has noise, and a bank's dashboard must stay simple."""
    giving_rows = {Action.EXTRACT, Action.LOOKUP, Action.PROXY}
    every = [(rules.dataset, permit) for rules in map(rules_of, NAMES) for permit in rules.permits]
    encrypted = {(dataset.id, permit.id) for dataset, permit in every if permit.delivery.encrypted}

    assert encrypted == {
        (dataset.id, permit.id)
        for dataset, permit in every
        if dataset.personal is Personal.SENSITIVE and permit.actions & giving_rows
    }
    assert encrypted == {
        (HOUSEHOLD, "relief-rows"),
        ("vn.moj.civil-registry-2026", "school-planning-rows"),
        ("vn.moj.civil-registry-2026", "notary-marital-status"),
    }


def test_an_insurer_may_ask_statistics_of_visits_and_never_rows() -> None:
    assert isinstance(decision(INSURER, Action.AGGREGATE, OUTPATIENT), Permit)
    assert decision(INSURER, Action.EXTRACT, OUTPATIENT) == Refusal(
        reason=Reason.RULE_FORBIDS, rules=frozenset({"no-rows"})
    )


@pytest.mark.parametrize(
    ("caller", "action", "name"),
    [
        (BANK, Action.AGGREGATE, OUTPATIENT),
        (RELIEF, Action.AGGREGATE, OUTPATIENT),
        (RELIEF, Action.AGGREGATE, HOUSEHOLD),
        (INSURER, Action.AGGREGATE, HOUSEHOLD),
        (replace(BANK, country="SG"), Action.AGGREGATE, HOUSEHOLD),
        (replace(BANK, purpose=PurposeId("market-research")), Action.AGGREGATE, HOUSEHOLD),
        (replace(RELIEF, agreement=AgreementId("AGR-2026-014")), Action.EXTRACT, HOUSEHOLD),
    ],
)
def test_nobody_gets_what_is_not_written(caller: Caller, action: Action, name: str) -> None:
    """Promise P3."""
    assert decision(caller, action, name) == Refusal(reason=Reason.NO_RULE_PERMITS, rules=frozenset())


@pytest.mark.parametrize(
    "caller",
    [
        replace(BANK, assurance=Assurance.AAL1, authenticated_at=None),
        replace(BANK, authenticated_at=NOW - timedelta(hours=9)),
    ],
)
def test_a_bank_without_a_fresh_person_behind_it_is_told_what_would_help(caller: Caller) -> None:
    refusal = decision(caller, Action.AGGREGATE, HOUSEHOLD)

    assert isinstance(refusal, Refusal)
    assert (refusal.assurance_needed, refusal.age_max_s) == (Assurance.AAL2, 8 * 3600)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.stem)
def test_the_cases_beside_a_document_come_out_and_try_every_clause(file: Path) -> None:
    """Promise P3: the tests that ship with a document pass, and none of its clauses is without one."""
    rules = rules_of(file.stem)
    cases = file.parent / "tests" / file.name

    found = trial(*load_cases(cases.read_bytes(), rules, file=cases.name), rules, ArrowRehearsal())

    assert [outcome.fault for outcome in found.outcomes if outcome.fault] == []
    assert (found.untested, found.uncovered) == ((), ())


def test_what_ships_is_six_kinds_of_data_and_every_action() -> None:
    every = [rules_of(file.stem) for file in DOCUMENTS]

    assert len(every) == 6
    assert {rules.dataset.sharing for rules in every} == set(Sharing)
    assert {action for rules in every for permit in rules.permits for action in permit.actions} == set(Action)
