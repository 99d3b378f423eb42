"""Which sharing rules are active, also when a document is broken (promise P3)."""

from pathlib import Path

import pytest
from house import signed, steward_of
from real_data import PUMS, PUMS_RULES

from gateway.services import stewardship
from gateway.services.documents import read_documents
from gateway.services.stewardship import RULES, SIGNATURE, Activation, LoadedRules
from gateway.terms.entry import Change
from gateway.transparency.note import parse_vkey

BROKEN = PUMS_RULES.replace("revision: 1", "revision: 2\nrevison: 2")
STEWARD = steward_of("census")


def known_as(name: str, text: str) -> tuple[Change, ...]:
    """What the ledger has of a document that was activated."""
    return (
        Change(kind=RULES, id=name, document=text.encode()),
        Change(kind=SIGNATURE, id=name, document=signed(text)),
    )


KNOWN = known_as(PUMS, PUMS_RULES)


def folder_with(tmp_path: Path, text: str, name: str = f"{PUMS}.yaml") -> Path:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / f"{name}.sig").write_bytes(signed(text))
    return tmp_path


def activated(folder: Path, known: tuple[Change, ...], *, loaded: LoadedRules | None = None) -> Activation:
    stewards = (parse_vkey(STEWARD.vkey),)
    return stewardship.activated(read_documents(folder), stewards, known, loaded=loaded)


def changes_of(found: Activation) -> tuple[Change, ...]:
    """What is to be recorded, in order."""
    return tuple(change for taken in found.taken.values() for change in taken.changes)


def test_a_new_document_is_served_and_told_to_the_ledger(tmp_path: Path) -> None:
    found = activated(folder_with(tmp_path, PUMS_RULES), ())

    assert (list(found.rules), changes_of(found), found.faults) == ([PUMS], KNOWN, ())


def test_a_document_that_the_ledger_knows_is_served_without_another_entry(tmp_path: Path) -> None:
    found = activated(folder_with(tmp_path, PUMS_RULES), KNOWN)

    assert (list(found.rules), changes_of(found)) == ([PUMS], ())


def test_p3_a_broken_document_stops_as_a_whole(tmp_path: Path) -> None:
    """Promise P3: nothing of it is served, and where it is wrong is said."""
    found = activated(folder_with(tmp_path, BROKEN), ())

    assert (dict(found.rules), changes_of(found)) == ({}, ())
    assert [(fault.file, fault.line) for fault in found.faults] == [(f"{PUMS}.yaml", 4)]


def test_p3_a_broken_document_leaves_its_last_good_revision_active(tmp_path: Path) -> None:
    """Promise P3: across a restart too, because the ledger keeps the bytes."""
    found = activated(folder_with(tmp_path, BROKEN), KNOWN)

    assert found.rules == activated(folder_with(tmp_path, PUMS_RULES), KNOWN).rules
    assert len(found.faults) == 1


@pytest.mark.parametrize("number", [1, 3, 7])
def test_p3_another_document_is_the_next_revision_or_it_does_not_serve(tmp_path: Path, number: int) -> None:
    """Promise P3: an older document does not come back, and none goes by unseen."""
    other = PUMS_RULES.replace("rows: 1000", "rows: 999").replace("revision: 1", f"revision: {number}")

    found = activated(folder_with(tmp_path, other), KNOWN)

    assert [rules.dataset.revision for rules in found.rules.values()] == [1]
    assert (changes_of(found), [str(fault) for fault in found.faults]) == (
        (),
        [f"{PUMS}.yaml:3:11: revision 1 is active: what differs from it is revision 2"],
    )


def test_p2_a_revision_cannot_start_a_new_budget_under_another_lineage(tmp_path: Path) -> None:
    """Promise P2: a slip in the lineage's name would forget all that was spent."""
    other = PUMS_RULES.replace("revision: 1", "revision: 2").replace(f"lineage: {PUMS}", "lineage: us.cenzus")

    found = activated(folder_with(tmp_path, other), KNOWN)

    assert [rules.dataset.revision for rules in found.rules.values()] == [1]
    assert [fault.message for fault in found.faults] == [
        f"the lineage is `{PUMS}` and stays so: budgets belong to it"
    ]


@pytest.mark.parametrize(
    ("number", "lineage", "served"), [(5, PUMS, [5]), (1, PUMS, []), (4, PUMS, []), (5, "us.cenzus", [])]
)
def test_p3_numbers_go_on_where_a_newer_release_does_not_load_what_was_active(
    tmp_path: Path, number: int, lineage: str, served: list[int]
) -> None:
    """Promise P3: the signature still says which revision it was, and of which lineage."""
    old = PUMS_RULES.replace("revision: 1", "revision: 4").replace("permits:", "rights:")
    text = PUMS_RULES.replace("revision: 1", f"revision: {number}").replace(
        f"lineage: {PUMS}", f"lineage: {lineage}"
    )

    found = activated(folder_with(tmp_path, text), known_as(PUMS, old))

    assert [rules.dataset.revision for rules in found.rules.values()] == served
    said = f"revision 4 of lineage `{PUMS}` was active: next is revision 5 of the same"
    assert [said in str(fault) for fault in found.faults[:1]] == ([] if served else [True])


@pytest.mark.parametrize(
    ("old", "number", "lineage", "served"),
    [
        ("rights:", 5, PUMS, [5]),
        ("rights:", 1, PUMS, []),
        ("rights:", 5, "us.cenzus", []),
        ("permits: [", 5, PUMS, []),
    ],
)
def test_p3_numbers_go_on_from_what_nobody_signed_and_does_not_load(
    tmp_path: Path, old: str, number: int, lineage: str, served: list[int]
) -> None:
    """Promise P3: from before signatures; where number and lineage cannot be read, nothing follows."""
    before = PUMS_RULES.replace("revision: 1", "revision: 4").replace("permits:", old)
    text = PUMS_RULES.replace("revision: 1", f"revision: {number}").replace(
        f"lineage: {PUMS}", f"lineage: {lineage}"
    )

    found = activated(folder_with(tmp_path, text), known_as(PUMS, before)[:1])

    assert [rules.dataset.revision for rules in found.rules.values()] == served
    said = f"revision 4 of lineage `{PUMS}` was active" if old == "rights:" else "cannot be read any more"
    assert [said in str(fault) for fault in found.faults[:1]] == ([] if served else [True])


def test_p3_the_next_revision_serves_and_is_told_to_the_ledger(tmp_path: Path) -> None:
    """Promise P3."""
    text = PUMS_RULES.replace("rows: 1000", "rows: 999").replace("revision: 1", "revision: 2")

    found = activated(folder_with(tmp_path, text), KNOWN)

    assert [rules.dataset.revision for rules in found.rules.values()] == [2]
    assert changes_of(found) == known_as(PUMS, text)


def test_a_document_at_hand_is_not_read_again(tmp_path: Path) -> None:
    first = activated(folder_with(tmp_path, PUMS_RULES), KNOWN)
    again = activated(tmp_path, KNOWN, loaded=LoadedRules(first.rules.values()))

    assert again.rules[PUMS] is first.rules[PUMS]


def test_a_revision_is_read_once_however_often_it_is_judged(tmp_path: Path) -> None:
    loaded = LoadedRules()
    folder = folder_with(tmp_path, PUMS_RULES.replace("revision: 1", "revision: 2"))
    first, again = [activated(folder, KNOWN, loaded=loaded) for _ in range(2)]

    assert again.rules[PUMS] is first.rules[PUMS]


def test_p3_a_document_at_hand_may_still_not_follow_what_is_active(tmp_path: Path) -> None:
    """Promise P3: that it was read before says nothing of what it may replace."""
    older = activated(folder_with(tmp_path, PUMS_RULES), KNOWN)
    newer = known_as(PUMS, PUMS_RULES.replace("revision: 1", "revision: 2"))

    found = activated(tmp_path, newer, loaded=LoadedRules(older.rules.values()))

    assert found.rules[PUMS].dataset.revision == 2
    assert [fault.message for fault in found.faults] == [
        "revision 2 is active: what differs from it is revision 3"
    ]


def test_p3_a_revision_that_cannot_serve_beside_the_others_leaves_the_last_good_one_active(
    tmp_path: Path,
) -> None:
    """Promise P3: not nothing, and not the new one."""
    beside = PUMS_RULES.replace(f"id: {PUMS}", "id: us.census.zz", 1)
    known = (*KNOWN, *known_as("us.census.zz", beside))
    folder_with(tmp_path, PUMS_RULES)
    wider = beside.replace("revision: 1", "revision: 2").replace(
        'client: {rho: "1000"}', 'client: {rho: "9"}'
    )
    folder_with(tmp_path, wider, "us.census.zz.yaml")

    found = activated(tmp_path, known)

    assert {name: rules.dataset.revision for name, rules in found.rules.items()} == {
        PUMS: 1,
        "us.census.zz": 1,
    }
    assert (changes_of(found), len(found.faults)) == ((), 1)


def test_p3_what_two_documents_of_a_lineage_open_together_both_owners_acknowledge(tmp_path: Path) -> None:
    """Promise P3: rows in one, statistics in the other."""
    word = "acknowledged: {rows_and_statistics: a test asks both}\n"
    head, first, second = PUMS_RULES.replace(word, "").split("  - id: research-")
    folder_with(tmp_path, f"{head}  - id: research-{first}")
    rows = f"{head}  - id: research-{second}".replace(f"id: {PUMS}", "id: us.census.zz", 1)
    folder_with(tmp_path, rows, "us.census.zz.yaml")

    refused = activated(tmp_path, ())

    assert list(refused.rules) == [PUMS]
    assert "both owners must acknowledge `rows_and_statistics`" in str(refused.faults[0])
    for name in (PUMS, "us.census.zz"):
        text = (tmp_path / f"{name}.yaml").read_text()
        folder_with(tmp_path, text.replace("permits:\n", f"{word}permits:\n"), f"{name}.yaml")
    assert list(activated(tmp_path, ()).rules) == [PUMS, "us.census.zz"]


def test_p3_a_file_that_is_gone_takes_its_dataset_out_of_service(tmp_path: Path) -> None:
    """Promise P3: no rule, no data."""
    assert dict(activated(tmp_path, KNOWN).rules) == {}


@pytest.mark.parametrize("known", [(), (Change(kind=RULES, id="other", document=b"{"),)])
def test_a_file_must_be_named_after_its_dataset(tmp_path: Path, known: tuple[Change, ...]) -> None:
    found = activated(folder_with(tmp_path, PUMS_RULES, "other.yaml"), known)

    assert dict(found.rules) == {}
    assert str(found.faults[0]) == f"other.yaml:1:1: the file must be named `{PUMS}.yaml`"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('client: {rho: "1000"}', 'client: {rho: "999"}', "other budgets in `us.census.pums`"),
        ("units_max: 2000", "units_max: 2001", "other budgets in `us.census.pums`"),
        (f"lineage: {PUMS}}}", "lineage: us.census.other}", f"belongs to lineage `{PUMS}` already"),
    ],
)
def test_p2_one_source_is_one_budget_whatever_document_shows_it(
    tmp_path: Path, before: str, after: str, says: str
) -> None:
    """Promise P2: a second document neither raises a cap nor starts a new budget."""
    other = PUMS_RULES.replace(f"id: {PUMS}", "id: us.census.zz", 1)
    assert before in other
    folder_with(tmp_path, PUMS_RULES)
    folder_with(tmp_path, other.replace(before, after), "us.census.zz.yaml")

    found = activated(tmp_path, ())

    assert list(found.rules) == [PUMS]
    assert says in str(found.faults[0])
    assert list(found.taken) == [PUMS]


PLACE = "path: pums/PUMS_pid.csv, format: csv"
PEOPLE = """\
  - id: people
    to: {org_class: [bank]}
    purposes: [research]
    may: [proxy]
    assurance: {acr: aal2, max_age: 8h}
    columns: {age: keep}
    paths: [{path: /people, rows: /items, parameters: {}}]
    limits: {rows: 10}
"""


def sources(folder: Path, *places: str) -> tuple[list[str], str]:
    """Return what serves of documents over these sources, each a lineage of its own, and what is said."""
    for number, place in enumerate(places):
        text = PUMS_RULES.replace(PLACE, place).replace(f"lineage: {PUMS}", f"lineage: us.l{number}")
        if "url: " in place:
            text = text.partition("permits:\n")[0] + "permits:\n" + PEOPLE
        name = f"us.census.d{number}"
        folder_with(folder, text.replace(f"id: {PUMS}", f"id: {name}", 1), f"{name}.yaml")
    found = activated(folder, ())
    return list(found.rules), str([fault.message for fault in found.faults])


FIRST = ["us.census.d0"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("path: reg, format: parquet", "path: reg/p0.parquet, format: parquet"),
        ("path: reg/p0.parquet, format: parquet", "path: reg, format: parquet"),
        ("path: reg, format: parquet", "path: REG/old/p0.parquet, format: parquet"),
        ("path: x.csv, format: csv", "path: X.csv, format: csv"),
        ('url: "https://a.example/v2", format: http', 'url: "https://A.example:443/V2/eu", format: http'),
        ('url: "https://a.example", format: http', 'url: "https://a.example/v2", format: http'),
    ],
)
def test_p2_one_source_has_one_lineage_however_its_path_is_written(
    tmp_path: Path, one: str, other: str
) -> None:
    """Promise P2: a folder and a file in it are one source, and so are `x.csv` and `X.csv`."""
    served, said = sources(tmp_path, one, other)

    assert (served, "this source belongs to lineage `us.l0` already" in said) == (FIRST, True)


def test_sources_beside_each_other_have_lineages_of_their_own(tmp_path: Path) -> None:
    places = [
        "path: reg/p0.parquet, format: parquet",
        "path: reg/p1.parquet, format: parquet",
        "path: regs, format: parquet",
        'url: "https://a.example/v1", format: http',
        'url: "https://a.example/v10", format: http',
        'url: "https://a.example:8443/v1", format: http',
        'url: "https://b.example/v1", format: http',
    ]

    assert sources(tmp_path, *places) == ([f"us.census.d{number}" for number in range(7)], "[]")


LOOKUP = """\
  - id: people
    to: {org_class: [bank]}
    purposes: [research]
    may: [lookup]
    assurance: {acr: aal2, max_age: 8h}
    lookup: {key: pid, matching: [income]}
    columns: {pid: {tokenise: {domain: us/person}}}
    limits: {keys_per_request: 1, rows_per_key: 1}
"""


def test_p3_pseudonyms_that_two_lineages_share_both_owners_acknowledge(tmp_path: Path) -> None:
    """Promise P3: a raw key in one, the same pseudonyms in the other."""
    word = "acknowledged: {rows_and_statistics: a test asks both"
    head = PUMS_RULES.partition("permits:\n")[0].replace('rho: "1000"', 'rho: "1000", keys: 9')
    looks = head.replace(word, f"{word}, many_values: a test, relinkable: a test") + "permits:\n" + LOOKUP
    shows = (
        PUMS_RULES.replace(f"id: {PUMS}", "id: us.census.zz", 1)
        .replace(f"lineage: {PUMS}", "lineage: us.other")
        .replace("pums/PUMS_pid.csv", "other.csv")
        .replace("pid: tokenise", "pid: {tokenise: {domain: us/person}}")
    )
    folder_with(tmp_path, looks)
    folder_with(tmp_path, shows, "us.census.zz.yaml")

    refused = activated(tmp_path, ())

    assert list(refused.rules) == [PUMS]
    assert refused.faults[0].message == (
        "`people` looks up beside pseudonyms of `us/person` (`people`), which `research-rows` gives the same "
        f"organisation; the owners of `{PUMS}` and `us.census.zz` must acknowledge `relinkable`"
    )
    folder_with(tmp_path, shows.replace(word, f"{word}, relinkable: a test"), "us.census.zz.yaml")
    assert list(activated(tmp_path, ()).rules) == [PUMS, "us.census.zz"]


def test_two_documents_may_show_one_lineage_under_the_same_budgets(tmp_path: Path) -> None:
    folder_with(tmp_path, PUMS_RULES)
    folder_with(tmp_path, PUMS_RULES.replace(f"id: {PUMS}", "id: us.census.zz", 1), "us.census.zz.yaml")

    assert list(activated(tmp_path, ()).rules) == [PUMS, "us.census.zz"]


def test_p2_a_new_document_does_not_displace_the_one_that_served(tmp_path: Path) -> None:
    """Promise P2: nor raise its caps by coming first in the alphabet."""
    other = PUMS_RULES.replace(f"id: {PUMS}", "id: us.aaa", 1).replace('rho: "1000"', 'rho: "9000"')
    folder_with(tmp_path, PUMS_RULES)
    folder_with(tmp_path, other, "us.aaa.yaml")

    assert list(activated(tmp_path, KNOWN).rules) == [PUMS]
