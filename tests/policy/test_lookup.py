"""Permits to look up: what must fit together, what only the owner can accept, and how two of them meet."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_domain import requests

from gateway.errors import RulesInvalid
from gateway.policy.advise import advise
from gateway.policy.decide import Ask, decide
from gateway.policy.load import load_rules
from gateway.policy.meet_lookup import meet_lookups
from gateway.policy.risks import across, between
from gateway.policy.rules import ForbidRule, Risk, Rules
from gateway.terms.identifiers import ColumnName, RuleId
from gateway.terms.loss import Loss, PicoDelta, PicoRho
from gateway.terms.permit import Lookup, Permit, Reason, Refusal
from gateway.terms.query import Action

POLICIES = Path(__file__).parents[2] / "policies"
DOCUMENT = """\
policy: 1
id: vn.example.register
revision: 1
valid: {from: 2026-01-01, until: 2026-12-31}
title: {vi: Hộ tịch, en: Register}
publisher: {org: moj, name: {vi: Bộ Tư pháp, en: Ministry of Justice}}
steward: Head
classification: {sharing: private, importance: none, personal: basic}
source: {path: x.csv, format: csv, lineage: vn.example}
unit: {column: citizen_id, rows_max: 2, units_max: 9000}
columns:
  citizen_id: {type: text, personal: basic}
  ticket: {type: text, personal: none}
  phone: {type: integer, personal: basic, bounds: [0, 9999999999]}
  birth_date: {type: date, personal: basic}
  sex: {type: text, personal: basic, values: [f, m]}
  married: {type: boolean, personal: basic}
  age: {type: integer, personal: basic, bounds: [0, 120]}
  paid: {type: decimal, decimals: 2, personal: basic, bounds: [0, 100]}
purposes: {check: {vi: Kiểm tra, en: Check}}
budgets: {lineage: {keys: 900}, organisation: {keys: 90}, client: {keys: 9}}
permits:
  - id: one
    to: {org_class: [notary]}
    purposes: [check]
    may: [lookup]
    assurance: {acr: aal2}
    lookup: {key: citizen_id, matching: [birth_date]}
    columns: {sex: keep}
    limits: {keys_per_request: 5, rows_per_key: 2}
"""
RULES = load_rules(DOCUMENT.encode(), file="x.yaml")
EXTRACT = """\
  - id: rows
    to: {org_class: [notary]}
    purposes: [check]
    may: [extract]
    assurance: {acr: aal2}
    columns: {citizen_id: tokenise}
    limits: {rows: 5}
"""
COUNT = """\
  - id: counts
    to: {org_class: [notary]}
    purposes: [check]
    may: [aggregate]
    assurance: {acr: aal2}
    columns: {sex: keep}
    functions: [count]
    limits: {groups: 5, rho_per_query: "0.01"}
"""


def changed(*pairs: tuple[str, str]) -> str:
    text = DOCUMENT
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def faults(text: str) -> str:
    try:
        load_rules(text.encode(), file="x.yaml")
    except RulesInvalid as error:
        return error.detail
    return ""


LOOKUP = "lookup: {key: citizen_id, matching: [birth_date]}"
LIMITS = "limits: {keys_per_request: 5, rows_per_key: 2}"
GUESSED = "can be guessed, or written down one after the other"
WRONG: list[tuple[tuple[str, str], str]] = [
    ((LOOKUP, "lookup: {key: citizen_id}"), f"28:13: `citizen_id` {GUESSED}"),
    ((LOOKUP, "lookup: {key: citizen_id, matching: [sex]}"), f"`citizen_id` {GUESSED}"),
    ((LOOKUP, "lookup: {key: citizen_id, matching: [sex, married, age]}"), f"`citizen_id` {GUESSED}"),
    ((LOOKUP, "lookup: {key: phone}"), f"`phone` {GUESSED}"),
    ((LOOKUP, "lookup: {key: age, matching: [birth_date]}"), "`age` may have less than 1,000 values"),
    (("unit: {column: citizen_id, rows_max: 2, units_max: 9000}\n", ""), "needs `unit` in the document"),
    (
        (LOOKUP, "lookup: {key: birth_date, matching: [citizen_id]}"),
        "a key is a column of type text or integer",
    ),
    ((LOOKUP, "lookup: {key: sex, matching: [birth_date]}"), "`sex` has a public list of values"),
    ((LOOKUP, "lookup: {key: citizen_id, matching: [citizen_id]}"), "are different columns"),
    ((LOOKUP, "lookup: {key: citizen_id, matching: [birth_date, birth_date]}"), "are different columns"),
    (
        (LOOKUP, "lookup: {key: citizn_id, matching: [birth_date]}"),
        "no column `citizn_id`; did you mean `citizen_id`",
    ),
    ((LOOKUP, "lookup: {key: citizen_id, matching: [birthdate]}"), "there is no column `birthdate`"),
    ((f"    {LOOKUP}\n", ""), "a permit to lookup needs `lookup`"),
    ((LIMITS, "limits: {keys_per_request: 5}"), "a permit to lookup needs `rows_per_key`"),
    ((LIMITS, "limits: {rows_per_key: 5}"), "a permit to lookup needs `keys_per_request`"),
    ((LIMITS, "limits: {keys_per_request: 10, rows_per_key: 2}"), "more than the budget of a client"),
    (("may: [lookup]", "may: [extract]"), "`lookup` is for permits to lookup only"),
    (("may: [lookup]", "may: [extract]"), "`rows_per_key` is for permits to lookup only"),
    (("client: {keys: 9}", 'client: {rho: "0.1"}'), "`keys` is limited at every step or at none"),
    (("client: {keys: 9}", "client: {keys: 91}"), "more than the budget of the organisation"),
    (("client: {keys: 9}", "client: {}"), "a budget limits `rho`, `keys` or both"),
    (("client: {keys: 9}", "client: {keys: 0}"), "at least 1 is wanted"),
    (("assurance: {acr: aal2}", "assurance: {acr: aal2, unattended: 3d}"), "while nobody is there"),
]


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_p3_what_does_not_fit_is_told_and_does_not_load(change: tuple[str, str], said: str) -> None:
    """Promise P3."""
    assert said in faults(changed(change))


NUMBER = "basic, bounds: [0, 9999999999]}"


@pytest.mark.parametrize(
    "lookup", ["{key: phone, matching: [birth_date]}", "{key: citizen_id, matching: [phone]}"]
)
def test_p3_a_number_tells_one_person_only_with_bounds_that_are_wide(lookup: str) -> None:
    """Promise P3: nothing said is not the same as many values."""
    by_number = (LOOKUP, f"lookup: {lookup}")

    assert faults(changed(by_number)) == ""
    assert faults(changed(by_number, (NUMBER, "basic}"))) != ""
    assert faults(changed(by_number, (NUMBER, "basic, bounds: [0, 998]}"))) != ""


@pytest.mark.parametrize("name", ["citizen_id", "ticket"])
@pytest.mark.parametrize("stored", ["ID", "UUID", "serial", "Số định danh", "phone", "hộ chiếu"])
def test_p3_neither_name_of_a_key_hides_what_the_other_says(name: str, stored: str) -> None:
    """Promise P3: `citizen_id` is guessed whatever it is called in the source, and the other way round."""
    renamed = (f"  {name}: {{", f"  {name}: {{stored_as: {stored}, ")
    word = ("purposes: {check", "acknowledged: {random_key: 128 random bits each}\npurposes: {check")
    said = faults(changed((LOOKUP, f"lookup: {{key: {name}}}"), renamed, word))

    assert (GUESSED in said) is not (name == "ticket" and stored in {"ID", "UUID", "serial"})


FEW = ["Sex", "gender_code", "Age", "patient_age", "ward", "province_code", "ethnicity", "Giới tính"]


@pytest.mark.parametrize("name", FEW)
def test_p3_what_is_named_as_a_trait_or_a_place_identifies_nobody_without_the_owners_word(name: str) -> None:
    """Promise P3: as key, or as all that must match; also if only the source calls it so."""
    few = f"  few: {{stored_as: {name}, type: text, personal: basic}}\n  married: {{"
    column = ("  married: {", few)
    word = ("purposes: {check", "acknowledged: {many_values: codes of nine digits}\npurposes: {check")
    for lookup in ("{key: few, matching: [birth_date]}", "{key: citizen_id, matching: [few]}"):
        text = changed(column, (LOOKUP, f"lookup: {lookup}"))
        said = faults(text)

        assert "`few` is named as what has few values" in said
        assert "write `acknowledged: {many_values: why it is accepted}`" in said
        assert faults(text.replace(*word)) == ""
    beside = changed(column, (LOOKUP, "lookup: {key: citizen_id, matching: [birth_date, few]}"))
    assert faults(beside) == ""


@pytest.mark.parametrize("name", ["Họ và tên", "family_name", "Ngày sinh", "Số điện thoại", "insurance_no"])
def test_names_numbers_and_birthdays_are_not_few(name: str) -> None:
    other = ("  married: {", f"  many: {{stored_as: {name}, type: text, personal: basic}}\n  married: {{")

    assert faults(changed(other, (LOOKUP, "lookup: {key: citizen_id, matching: [many]}"))) == ""


def test_p3_without_keys_in_the_budgets_nobody_looks_up() -> None:
    """Promise P3: what is not metered is not allowed."""
    line = "budgets: {lineage: {keys: 900}, organisation: {keys: 90}, client: {keys: 9}}\n"
    rho = 'budgets: {lineage: {rho: "1"}, organisation: {rho: "1"}, client: {rho: "1"}}\n'

    assert "needs `keys` in the budgets" in faults(changed((line, "")))
    assert "needs `keys` in the budgets" in faults(changed((line, rho)))


def test_the_column_that_says_which_key_found_a_row_is_ours() -> None:
    named = changed(
        ("  age: {type", "  _key: {type: text, personal: none}\n  age: {type"),
        ("{sex: keep}", "{_key: keep}"),
    )

    assert "in a lookup's rows `_key` is which key found them" in faults(named)


def test_a_key_that_nothing_says_is_guessable_stands_alone_only_with_the_owners_word() -> None:
    alone = (LOOKUP, "lookup: {key: ticket}")
    word = ("purposes: {check", "acknowledged: {random_key: 128 random bits each}\npurposes: {check")

    assert "who holds a `ticket` is shown its rows" in faults(changed(alone))
    assert "write `acknowledged: {random_key: why it is accepted}`" in faults(changed(alone))
    assert faults(changed(alone, word)) == ""


def test_a_raw_key_beside_a_pseudonym_of_it_needs_the_owners_word() -> None:
    document = DOCUMENT + EXTRACT
    word = document.replace("purposes: {check", "acknowledged: {relinkable: one firm only}\npurposes: {check")

    assert "look up by `citizen_id` itself (`one`) and gets pseudonyms of `citizen_id` (`rows`)" in faults(
        document
    )
    assert faults(word) == ""
    assert faults(document.replace("{citizen_id: tokenise}", "{citizen_id: redact}")) == ""
    assert (
        faults(
            document.replace(
                "[notary]}\n    purposes: [check]\n    may: [e", "[bank]}\n    purposes: [check]\n    may: [e"
            )
        )
        == ""
    )


def test_p3_pseudonyms_of_any_column_lead_back_to_the_key_by_what_stands_beside_them() -> None:
    """Promise P3: the lookup's own rows too."""
    extract = (DOCUMENT + EXTRACT).replace("{citizen_id: tokenise}", "{ticket: tokenise}")
    itself = DOCUMENT.replace("columns: {sex: keep}", "columns: {sex: keep, ticket: tokenise}")

    assert "itself (`one`) and gets pseudonyms of `ticket` (`rows`)" in faults(extract)
    assert "itself (`one`) and gets pseudonyms of `ticket` (`one`)" in faults(itself)
    assert faults(extract.replace("{ticket: tokenise}", "{ticket: keep}")) == ""


WORD = "acknowledged: {relinkable: one firm only}\npurposes: {check"
JOINED = "{ticket: {tokenise: {domain: vn.example/ticket}}}"


def a_document(permits: str, *, lineage: str = "vn.example", accepts: bool = True) -> Rules:
    head = DOCUMENT.partition("permits:\n")[0].replace("lineage: vn.example}", f"lineage: {lineage}}}")
    text = f"{head}permits:\n{permits}".replace("purposes: {check", WORD if accepts else "purposes: {check")
    return load_rules(text.encode(), file="x.yaml")


ASKING = DOCUMENT.partition("permits:\n")[2]
ELSEWHERE = EXTRACT.replace("{citizen_id: tokenise}", JOINED)


@pytest.mark.parametrize(
    "here",
    [
        (a_document(ASKING.replace("{sex: keep}", "{ticket: tokenise}")),),
        (a_document(ASKING + EXTRACT.replace("{citizen_id: tokenise}", "{ticket: tokenise}")),),
        (a_document(ASKING), a_document(EXTRACT.replace("{citizen_id: tokenise}", "{ticket: tokenise}"))),
    ],
)
def test_p3_pseudonyms_of_one_domain_lead_on_into_another_lineage(here: tuple[Rules, ...]) -> None:
    """Promise P3: a domain is written by name, so whoever shows it elsewhere must accept it too."""
    there = a_document(ELSEWHERE, lineage="vn.other", accepts=False)
    own = a_document(EXTRACT, lineage="vn.other", accepts=False)
    bank = a_document(ELSEWHERE.replace("notary", "bank"), lineage="vn.other", accepts=False)
    (found,) = across(here, (there,))

    assert found[1] == there
    assert found[2] == (
        f"`one` looks up beside pseudonyms of `vn.example/ticket` (`{found[0].permits[-1].id}`), "
        "which `rows` gives the same organisation"
    )
    assert list(across(here, (a_document(ELSEWHERE, lineage="vn.other"),))) == []
    assert list(across(here, (own, bank))) == []
    assert list(across((a_document(ASKING),), (there,))) == []


def test_the_same_is_seen_across_two_documents_of_one_lineage() -> None:
    rows = DOCUMENT.partition("permits:\n")[0] + "permits:\n" + EXTRACT
    other = load_rules(rows.encode(), file="y.yaml")

    assert [risk for risk, _ in between(RULES, other)] == [Risk.RELINKABLE]


def test_lookups_are_rows_beside_statistics() -> None:
    text = (
        (DOCUMENT + COUNT)
        .replace("keys: 900", 'rho: "1", keys: 900')
        .replace("keys: 90}", 'rho: "1", keys: 90}')
    )
    text = text.replace("client: {keys: 9}", 'client: {rho: "1", keys: 9}')

    assert "one organisation may get rows (`one`) and statistics (`counts`)" in faults(text)


def test_a_budget_that_covers_everybody_is_doubted() -> None:
    text = changed(("keys: 900", "keys: 90000"), ("organisation: {keys: 90}", "organisation: {keys: 9000}"))
    said = [advice.message for advice in advise(text.encode(), file="x.yaml")]

    assert "one organisation may try 9,000 keys on 9,000 people at most: it could look up everybody" in said


def test_a_budget_that_covers_every_row_is_doubted() -> None:
    text = changed((LIMITS, "limits: {keys_per_request: 5, rows_per_key: 100}"), ("keys: 900", "keys: 9000"))
    text = text.replace("organisation: {keys: 90}", "organisation: {keys: KEYS}")
    said = "180 keys of 100 rows are no fewer than the rows of all people"

    for keys, is_doubted in ((180, True), (179, False)):
        advice = advise(text.replace("KEYS", str(keys)).encode(), file="x.yaml")
        assert any(said in each.message for each in advice) == is_doubted


def an_ask(rules: Rules) -> Ask:
    for ask in requests(rules):
        if (ask.caller.org_class, ask.caller.purpose, ask.action) == ("notary", "check", Action.LOOKUP):
            return Ask(caller=activated(ask.caller, ask.now), action=ask.action, now=ask.now)
    raise AssertionError("the domain has such a request")


def activated(caller: Any, now: Any) -> Any:
    return replace(caller, assurance=RULES.permits[0].assurance, authenticated_at=now)


def test_a_permit_to_look_up_says_by_what_how_many_and_what_may_ever_be_tried() -> None:
    permit = decide(an_ask(RULES), RULES)

    assert isinstance(permit, Permit)
    assert permit.lookup == Lookup(
        key=ColumnName("citizen_id"), matching=(ColumnName("birth_date"),), keys_max=5, rows_max=2
    )
    assert permit.caps is not None
    assert permit.caps.client == Loss(PicoRho(0), PicoDelta(0), 9)
    assert (permit.rows_max, permit.functions) == (0, frozenset())


@pytest.mark.parametrize("column", ["citizen_id", "birth_date", "sex"])
def test_p3_a_forbidden_column_is_neither_shown_nor_compared(column: str) -> None:
    """Promise P3: that a row is found would tell of the column that is forbidden."""
    forbid = ForbidRule(id=RuleId("no"), columns=frozenset({ColumnName(column)}))

    assert decide(an_ask(RULES), replace(RULES, forbids=(forbid,))) == Refusal(
        reason=Reason.RULE_FORBIDS, rules=frozenset({RuleId("no")})
    )


LOOKUPS = st.builds(
    Lookup,
    key=st.sampled_from([ColumnName("a"), ColumnName("b")]),
    matching=st.sets(st.sampled_from([ColumnName("c"), ColumnName("d")])).map(
        lambda names: tuple(sorted(names))
    ),
    keys_max=st.integers(1, 3),
    rows_max=st.integers(1, 3),
)


@given(LOOKUPS, LOOKUPS, LOOKUPS)
def test_p3_lookups_meet_in_any_order_and_never_weaker_than_either(
    one: Lookup, other: Lookup, third: Lookup
) -> None:
    """Promise P3."""
    met = meet_lookups(one, other)

    assert meet_lookups(one, one) == one
    assert met == meet_lookups(other, one)
    assert meet_lookups(met, third) == meet_lookups(one, meet_lookups(other, third))
    if one.key != other.key:
        assert met is None
    else:
        assert met is not None
        assert {*met.matching} == {*one.matching, *other.matching}
        assert (met.keys_max, met.rows_max) <= (one.keys_max, max(one.rows_max, other.rows_max))
        assert met.keys_max == min(one.keys_max, other.keys_max)
        assert met.rows_max == min(one.rows_max, other.rows_max)


def shipped() -> Iterator[tuple[str, Any]]:
    for file in sorted(POLICIES.glob("*.yaml")):
        for permit in load_rules(file.read_bytes(), file=file.name).permits:
            if permit.lookup is not None:
                yield permit.id, permit.lookup


def test_the_shipped_registry_is_looked_up_by_number_and_birth_date() -> None:
    assert dict(shipped()) == {
        "notary-marital-status": Lookup(
            key=ColumnName("citizen_id"), matching=(ColumnName("birth_date"),), keys_max=2, rows_max=8
        )
    }


def test_advice_reads_both_names_of_a_column_too() -> None:
    text = (DOCUMENT + EXTRACT).replace("citizen_id: {type", "citizen_id: {stored_as: ID, type")
    text = text.replace("{citizen_id: tokenise}", "{citizen_id: keep}")
    said = [advice.message for advice in advise(text.encode(), file="x.yaml")]

    assert any(each.startswith("`citizen_id` looks like an identification number") for each in said)
