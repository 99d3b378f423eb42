"""Rules are replaced while requests are answered: whole, recorded, and never by something broken."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builders import a_caller
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from house import put_rules, signed, statement, steward_of
from real_data import PUMS, PUMS_RULES

from gateway.errors import ActRefused, Fault, HomeInvalid, LedgerUnavailable
from gateway.keyring.stewards import StewardKey, trust_steward
from gateway.policy.decide import Ask, decide
from gateway.policy.rules import Rules
from gateway.policy.signature import NO_CASES, digest_of, signature
from gateway.services.documents import SignedDocument
from gateway.services.renewal import Renewal
from gateway.services.stewardship import RULES
from gateway.terms.charge import Receipt
from gateway.terms.dataset import Dataset
from gateway.terms.entry import Change, Fact
from gateway.terms.identifiers import DatasetId, PurposeId
from gateway.terms.permit import Permit
from gateway.terms.query import Action

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ASK = Ask(
    caller=a_caller(org_class="bank", purpose=PurposeId("research"), authenticated_at=NOW),
    action=Action.EXTRACT,
    now=NOW,
)


def revision(number: int) -> str:
    """A document whose limit tells its revision."""
    text = PUMS_RULES.replace("revision: 1", f"revision: {number}")
    return text.replace("rows: 1000", f"rows: {number}")


class House:
    """A home, a registry and the rules that are active."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.registry: dict[tuple[str, str], Change] = {}
        self.rules: Mapping[DatasetId, Rules] = {}
        self.recorded: list[tuple[Mapping[str, Fact], Mapping[str, bytes]]] = []
        self.wrong: tuple[str, ...] = ()
        self.wrong_of = ""
        """The one dataset; empty: each."""
        self.refuses = ""
        """The dataset that the ledger does not take."""
        self.files: dict[str, frozenset[tuple[int, int]]] = {}
        self.ready = True
        self.told: list[tuple[Fault, ...]] = []
        self.renew = Renewal(
            home=home,
            known=self._known,
            check=self._check,
            reads=self._reads,
            record=self._record,
            active=lambda: self.rules,
            take_over=self._take_over,
            tell=lambda _rules, faults: self.told.append(faults),
        )

    def write(self, text: str, name: str = PUMS) -> None:
        put_rules(self.home, name, text)

    @property
    def recorded_text(self) -> str:
        return self.registry[RULES, PUMS].document.decode()

    @property
    def revisions(self) -> list[int]:
        return [rules.dataset.revision for rules in self.rules.values()]

    async def _known(self) -> tuple[Change, ...]:
        return tuple(self.registry.values())

    async def _check(self, dataset: Dataset) -> tuple[str, ...]:
        await asyncio.sleep(0)
        if self.wrong_of:
            return self.wrong if dataset.id == self.wrong_of else ()
        return self.wrong if dataset.revision > 1 else ()

    async def _reads(self, dataset: Dataset) -> frozenset[tuple[int, int]]:
        return self.files.get(dataset.id, frozenset())

    async def _record(
        self,
        changes: tuple[Change, ...],
        facts: Mapping[str, Fact],
        private: Mapping[str, bytes],
        subject: str | None,
    ) -> Receipt:
        await asyncio.sleep(0)
        if not self.ready or facts["dataset"] == self.refuses:
            raise LedgerUnavailable("try again later")
        assert subject is None
        self.registry |= {(change.kind, change.id): change for change in changes}
        self.recorded.append((facts, private))
        return Receipt(index=len(self.recorded), entry=b"", proof=b"", salt=b"")

    def _take_over(self, rules: Mapping[DatasetId, Rules]) -> None:
        self.rules = rules


@pytest.fixture
async def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.write(revision(1))
    assert await house.renew() == ()
    return house


async def test_p3_the_next_revision_is_recorded_and_then_serves(house: House) -> None:
    """Promise P3."""
    house.write(revision(2))

    assert await house.renew() == ()
    assert house.revisions == [2]
    assert house.recorded_text == revision(2)


@pytest.mark.parametrize(
    "broken",
    [
        revision(2).replace("permits:", "permitz:"),
        revision(3),
        revision(2)[:200],
        "",
        revision(2).replace(f"lineage: {PUMS}", "lineage: other"),
    ],
)
async def test_p3_a_broken_revision_leaves_the_last_good_one_active_and_is_told(
    house: House, broken: str
) -> None:
    """Promise P3."""
    house.write(broken)

    faults = await house.renew()

    assert house.told[-1] == faults
    assert {fault.file for fault in faults} == {f"{PUMS}.yaml"}
    assert house.revisions == [1]
    assert house.recorded_text == revision(1)


async def test_p3_a_revision_that_its_source_does_not_fit_leaves_the_last_good_one_active(
    house: House,
) -> None:
    """Promise P3."""
    house.wrong = ("the source has no column `age`",)
    house.write(revision(2))

    faults = await house.renew()

    assert [fault.message for fault in faults] == ["the source has no column `age`"]
    assert (house.revisions, house.recorded_text) == ([1], revision(1))


async def test_p1_a_revision_that_cannot_be_recorded_does_not_serve(house: House) -> None:
    """Promise P1: every entry's revision stands in the ledger before it decides."""
    house.write(revision(2))
    house.ready = False

    with pytest.raises(LedgerUnavailable):
        await house.renew()

    assert house.revisions == [1]
    house.ready = True
    assert await house.renew() == ()
    assert house.revisions == [2]


async def test_p3_a_file_that_is_gone_takes_its_dataset_out_of_service(house: House) -> None:
    """Promise P3."""
    (house.home / "policies" / f"{PUMS}.yaml").unlink()

    assert await house.renew() == ()
    assert house.revisions == []


def a_document(text: str, name: str = PUMS, **signed_as: str | int) -> SignedDocument:
    return SignedDocument(name=name, text=text.encode(), note=signed(text, **signed_as))


async def test_p3_a_revision_that_is_sent_is_put_into_the_home_recorded_and_serves(house: House) -> None:
    """Promise P3: and the entry names dataset, revision, digest and the steward's key."""
    document = replace(a_document(revision(2), cases=digest_of(b"cases")), cases=b"cases")

    assert await house.renew.activate((document,), by="lan") == ()

    folder = house.home / "policies"
    assert (house.revisions, house.recorded_text) == ([2], revision(2))
    assert (folder / f"{PUMS}.yaml").read_bytes() == document.text
    assert (folder / f"{PUMS}.yaml.sig").read_bytes() == document.note
    assert (folder / "tests" / f"{PUMS}.yaml").read_bytes() == b"cases"
    assert house.recorded[-1] == (
        {
            "event": "activate",
            "dataset": PUMS,
            "revision": 2,
            "rules_sha256": digest_of(document.text),
            "steward": steward_of("census").vkey,
        },
        {"user": b"lan"},
    )
    assert await house.renew() == ()
    assert (house.revisions, len(house.recorded)) == ([2], 2)


def changed_after(text: str) -> SignedDocument:
    return replace(a_document(text), text=text.encode() + b"\n")


REFUSED = {
    "nobody signed it": (
        SignedDocument(name=PUMS, text=revision(2).encode()),
        "not signed: a steward runs `gateway policy sign FILE --key KEY`",
    ),
    "a blank line was added": (changed_after(revision(2)), "the signature is over other bytes"),
    "the signature is of another revision": (
        replace(a_document(revision(2)), note=signed(revision(1))),
        f"the signature is over other bytes, of `{PUMS}` revision 1: sign again what shall count",
    ),
    "the signature is of another dataset": (
        replace(a_document(revision(2)), note=signed(revision(2).replace(f"id: {PUMS}", "id: other", 1))),
        "the signature is over other bytes, of `other` revision 2",
    ),
    "the signature names another dataset": (
        a_document(revision(2), dataset="other"),
        "the signature tells of another document",
    ),
    "the signature names another revision": (
        a_document(revision(2), revision=3),
        "the signature tells of another document",
    ),
    "the signature names another lineage": (
        a_document(revision(2), lineage="other"),
        "the signature tells of another document",
    ),
    "the steward is another agency's": (
        a_document(revision(2), publisher="nso"),
        "`keys/stewards` of the home has no steward of `nso`",
    ),
    "an older revision is put back": (
        a_document(revision(1).replace("Chief", "Head")),
        "revision 1 is active: what differs from it is revision 2",
    ),
    "a revision is left out": (a_document(revision(3)), "revision 1 is active"),
    "the cases are others": (
        replace(a_document(revision(2), cases=digest_of(b"cases")), cases=b"cases that come out"),
        "the cases are not those that were signed",
    ),
    "the cases were taken away": (
        a_document(revision(2), cases=digest_of(b"cases")),
        "the cases are not those that were signed",
    ),
    "cases were added": (
        replace(a_document(revision(2)), cases=b"cases"),
        "the cases are not those that were signed",
    ),
    "it is named after another": (
        a_document(revision(2), name="other"),
        f"the file must be named `{PUMS}.yaml`",
    ),
    "its name leads out of the folder": (
        a_document(revision(2), name="../gateway"),
        f"the file must be named `{PUMS}.yaml`",
    ),
    "it does not load": (
        a_document(revision(2).replace("permits:", "permitz:")),
        "did you mean `permits`",
    ),
}


@pytest.mark.parametrize("why", REFUSED)
async def test_p3_what_is_sent_and_cannot_serve_changes_nothing(house: House, why: str) -> None:
    """Promise P3: neither what decides, nor the home, nor the log; the next in the same act too."""
    document, said = REFUSED[why]
    other = revision(1).replace(f"id: {PUMS}", "id: us.census.zz", 1)
    before = files_of(house.home)

    with pytest.raises(ActRefused) as refused:
        await house.renew.activate((a_document(other, "us.census.zz"), document), by="lan")

    assert said in refused.value.detail
    assert (house.revisions, len(house.recorded), files_of(house.home)) == ([1], 1, before)


def files_of(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}


async def test_p3_a_sent_revision_that_its_source_does_not_fit_changes_nothing(house: House) -> None:
    """Promise P3."""
    house.wrong = ("the source has no column `age`",)
    before = files_of(house.home)

    with pytest.raises(ActRefused, match="the source has no column `age`"):
        await house.renew.activate((a_document(revision(2)),), by="lan")

    assert (house.revisions, files_of(house.home)) == ([1], before)


async def test_p3_where_a_source_fails_what_serves_instead_is_trusted(house: House) -> None:
    """Promise P3: whose steward is trusted no longer does not come back for another's missing source."""
    lan = StewardKey("census", Ed25519PrivateKey.generate())
    house.write(revision(2))
    (house.home / "policies" / f"{PUMS}.yaml.sig").write_bytes(signature(statement(revision(2)), lan))
    trust_steward(house.home, lan.vkey, name="census")
    house.wrong = ("the source has no column `age`",)

    faults = await house.renew()

    assert house.revisions == []
    assert [fault.file for fault in faults] == [f"{PUMS}.yaml", f"{PUMS}.yaml (last good revision)"]


def of_lineage(name: str, number: int, rho: str) -> str:
    """A document with a source of its own, of the one lineage."""
    text = revision(number).replace(f"id: {PUMS}", f"id: {name}", 1).replace("PUMS_pid", name)
    return text.replace('client: {rho: "1000"}', f'client: {{rho: "{rho}"}}')


async def test_p2_where_a_source_fails_a_lineage_still_has_one_budget(house: House) -> None:
    """Promise P2: two documents get other budgets together; one source fails, so neither changes."""
    other = "us.census.zz"
    house.write(of_lineage(PUMS, 2, "1000"))
    house.write(of_lineage(other, 1, "1000"), other)
    assert await house.renew() == ()
    house.write(of_lineage(PUMS, 3, "999"))
    house.write(of_lineage(other, 2, "999"), other)
    house.wrong, house.wrong_of = ("the source has no column `age`",), other

    faults = await house.renew()

    assert {str(name): rules.dataset.revision for name, rules in house.rules.items()} == {PUMS: 2, other: 1}
    assert len({rules.caps for rules in house.rules.values()}) == 1
    assert [fault.message[:40] for fault in faults] == [
        "the source has no column `age`",
        f"lineage `{PUMS}` has another unit or other budgets"[:40],
    ]
    assert len(house.recorded) == 3


async def test_p3_a_start_records_nothing_whose_source_is_not_as_declared(house: House) -> None:
    """Promise P3: or revision 1 could never come back."""
    house.write(revision(2))
    house.rules, house.wrong = {}, ("the source has no column `age`",)

    (fault,) = await house.renew()

    assert (fault.file, house.revisions, len(house.recorded)) == (f"{PUMS}.yaml", [1], 1)
    house.write(revision(1))
    house.rules = {}
    assert await house.renew() == ()
    assert (house.revisions, len(house.recorded)) == ([1], 1)


async def test_p3_at_a_start_the_last_good_revision_serves_only_what_it_declares_too(house: House) -> None:
    """Promise P3."""
    house.write(revision(2))
    assert await house.renew() == ()
    house.write(revision(3))
    house.rules, house.wrong = {}, ("there is no such source",)

    faults = await house.renew()

    assert [fault.file for fault in faults] == [f"{PUMS}.yaml", f"{PUMS}.yaml (last good revision)"]
    assert house.revisions == []
    house.wrong = ()
    assert await house.renew() == ()
    assert house.revisions == [3]


@pytest.mark.parametrize("what", ["gone", "a file", "a broken link"])
async def test_p3_a_folder_that_cannot_be_listed_takes_nothing_out_of_service(
    house: House, what: str
) -> None:
    """Promise P3: an empty folder says that all documents are gone; one that nobody can list says nothing."""
    folder = house.home / "policies"
    folder.rename(house.home / "elsewhere")
    if what == "a file":
        folder.touch()
    elif what == "a broken link":
        folder.symlink_to("nowhere")

    with pytest.raises(HomeInvalid, match="`policies` of the home cannot be listed"):
        await house.renew()
    assert house.revisions == [1]


OTHER = "us.census.zz"


def two_documents(cases: bytes | None = None) -> tuple[SignedDocument, SignedDocument]:
    """The next revision of the one, and a new one, which may have cases."""
    text = of_lineage(OTHER, 1, "1000")
    second = a_document(text, OTHER, cases=NO_CASES if cases is None else digest_of(cases))
    return a_document(revision(2)), replace(second, cases=cases)


async def test_p3_where_the_disk_refuses_one_of_what_is_sent_nothing_changes(house: House) -> None:
    """Promise P3: at the next renewal neither."""
    (house.home / "policies" / "tests").touch()
    before = files_of(house.home)

    with pytest.raises(HomeInvalid, match=rf"`{OTHER}\.yaml` cannot be written: File exists"):
        await house.renew.activate(two_documents(cases=b"cases"), by="lan")

    assert (house.revisions, len(house.recorded), files_of(house.home)) == ([1], 1, before)
    assert await house.renew() == ()
    assert house.revisions == [1]


async def test_p3_where_the_ledger_refuses_what_is_sent_nothing_changes(house: House) -> None:
    """Promise P3: at the next renewal neither."""
    before = files_of(house.home)
    house.ready = False

    with pytest.raises(LedgerUnavailable, match=r"^try again later$"):
        await house.renew.activate(two_documents(), by="lan")

    assert files_of(house.home) == before
    house.ready = True
    assert await house.renew() == ()
    assert (house.revisions, len(house.recorded)) == ([1], 1)


async def test_p1_where_the_ledger_took_a_part_the_home_has_that_part_and_it_is_said(house: House) -> None:
    """Promise P1: what stands in the log serves from the next renewal on, and the rest is as it was."""
    house.refuses = OTHER

    with pytest.raises(LedgerUnavailable, match=f"recorded, to serve from the next renewal on: {PUMS}$"):
        await house.renew.activate(two_documents(), by="lan")

    assert house.revisions == [1]
    assert sorted(path.name for path in (house.home / "policies").iterdir()) == [
        f"{PUMS}.yaml",
        f"{PUMS}.yaml.sig",
    ]
    assert await house.renew() == ()
    assert house.revisions == [2]


async def test_p1_what_is_recorded_serves_though_the_disk_refuses_the_file(house: House) -> None:
    """Promise P1: and it is said what comes at the next renewal."""
    (house.home / "policies" / f"{OTHER}.yaml" / "full").mkdir(parents=True)

    with pytest.raises(HomeInvalid, match=f"`{OTHER}` is recorded, but `policies` could not take it"):
        await house.renew.activate(two_documents(), by="lan")

    assert (house.revisions, len(house.recorded)) == ([2, 1], 3)
    (fault,) = await house.renew()
    assert (fault.file, house.revisions) == (f"{OTHER}.yaml", [2, 1])


async def test_two_documents_that_belong_together_come_into_force_together(house: House) -> None:
    """One lineage has one budget, so neither could change it alone."""
    await twins(house)
    both = []
    for name in (PUMS, "us.census.zz"):
        text = revision(2).replace(f"id: {PUMS}", f"id: {name}", 1)
        both.append(a_document(text.replace('client: {rho: "1000"}', 'client: {rho: "9"}'), name))

    with pytest.raises(ActRefused, match="another unit or other budgets"):
        await house.renew.activate((both[0],), by="lan")
    assert await house.renew.activate(tuple(both), by="lan") == ()
    assert house.revisions == [2, 2]


@pytest.mark.parametrize("shared", [frozenset({(1, 7)}), frozenset()])
async def test_p2_one_file_has_one_lineage_whatever_it_is_called(
    house: House, shared: frozenset[tuple[int, int]]
) -> None:
    """Promise P2: a link to a file, or a link that is laid later, is seen by the file itself."""
    other = revision(1).replace(PUMS, "us.census.other").replace("pums/PUMS_pid.csv", "link.csv")
    house.files = {PUMS: frozenset({(1, 6), (1, 7)}), "us.census.other": shared | {(1, 8)}}
    house.write(other, "us.census.other")

    faults = await house.renew()

    assert set(house.rules) == ({PUMS} if shared else {PUMS, "us.census.other"})
    assert [fault.message for fault in faults] == (
        [f"this source belongs to lineage `{PUMS}` already (`{PUMS}`)"] if shared else []
    )
    house.files["us.census.other"] = frozenset({(1, 6)})
    assert len(await house.renew()) == 1
    assert set(house.rules) in ({PUMS}, {"us.census.other"})


async def test_an_activation_waits_its_turn_but_not_behind_a_source_for_minutes(house: House) -> None:
    hasty = replace(house.renew, patience_s=0)
    first = asyncio.create_task(house.renew.activate((a_document(revision(2)),), by="lan"))
    await asyncio.sleep(0)
    second = asyncio.create_task(house.renew.activate((a_document(revision(3)),), by="lan"))

    with pytest.raises(ActRefused, match="being renewed at this moment"):
        await hasty.activate((a_document(revision(2)),), by="minh")
    assert (await first, await second) == ((), ())
    assert house.revisions == [3]
    assert await hasty.activate((a_document(revision(4)),), by="minh") == ()


async def test_p3_whom_the_home_trusts_counts_from_the_next_renewal_on(house: House) -> None:
    """Promise P3: with the steward their documents go, the last good one too; another may sign these."""
    (row,) = await house.renew.shown()
    assert row["steward"] == steward_of("census").vkey
    (house.home / "keys" / "stewards" / "census.vkey").unlink()
    assert house.revisions == [1]

    faults = await house.renew()

    assert house.revisions == []
    assert {fault.message for fault in faults} == {"`keys/stewards` of the home has no steward of `census`"}
    lan = StewardKey("census", Ed25519PrivateKey.generate())
    trust_steward(house.home, lan.vkey, name="lan")
    assert "no trusted steward of `census` signed this" in (await house.renew())[0].message
    (house.home / "policies" / f"{PUMS}.yaml.sig").write_bytes(signature(statement(revision(1)), lan))
    assert await house.renew() == ()
    assert (house.revisions, house.recorded[-1][0]["steward"]) == ([1], lan.vkey)


async def test_p3_a_new_steward_rolls_nothing_back(house: House) -> None:
    """Promise P3: the numbers go on from what the log has, whoever is trusted now."""
    house.write(revision(2))
    assert await house.renew() == ()
    (house.home / "keys" / "stewards" / "census.vkey").unlink()
    lan = StewardKey("census", Ed25519PrivateKey.generate())
    trust_steward(house.home, lan.vkey, name="lan")
    document = house.home / "policies" / f"{PUMS}.yaml"
    document.write_text(revision(1), encoding="utf-8")
    document.with_name(f"{PUMS}.yaml.sig").write_bytes(signature(statement(revision(1)), lan))

    (fault,) = [fault for fault in await house.renew() if fault.line > 1]
    assert fault.message == "revision 2 is active: what differs from it is revision 3"
    assert house.revisions == []


async def test_a_home_that_does_not_say_whom_it_trusts_renews_nothing(house: House) -> None:
    house.write(revision(2))
    (house.home / "keys" / "stewards" / "minh.vkey").write_text("census+00000000+AQ==\n")

    with pytest.raises(HomeInvalid, match=r"steward's key `minh\.vkey` is no verifier key"):
        await house.renew()
    assert (house.revisions, len(house.recorded)) == ([1], 1)


SHORT_S = 0.0002
"""How long an asker rests. A loop that never waits for anything keeps the interpreter's lock from its threads
for seconds, as no loop with sockets does (tests/e2e/test_renewal.py renews under a flood of requests)."""


async def reloaded(house: House, times: int) -> int:
    """Renew so often under two datasets that change together; return how many requests were decided."""
    seen = 0
    done = False

    async def ask() -> None:
        nonlocal seen
        while not done:
            rules = house.rules
            permit: Any = decide(ASK, rules[DatasetId(PUMS)])
            assert isinstance(permit, Permit)
            # One revision throughout: what is allowed, and what the entry will name.
            assert permit.rows_max == permit.dataset.revision
            # One mapping throughout: both datasets were renewed together, or neither.
            assert {each.dataset.revision for each in rules.values()} == {permit.dataset.revision}
            seen += 1
            await asyncio.sleep(SHORT_S)

    askers = [asyncio.create_task(ask()) for _ in range(8)]
    for number in range(2, times + 2):
        for name in (PUMS, "us.census.zz"):
            house.write(revision(number).replace(f"id: {PUMS}", f"id: {name}", 1), name)
        assert await house.renew() == ()
    done = True
    await asyncio.gather(*askers)
    assert house.revisions == [times + 1] * 2
    return seen


async def twins(house: House) -> None:
    house.write(revision(1).replace(f"id: {PUMS}", "id: us.census.zz", 1), "us.census.zz")
    assert await house.renew() == ()


async def test_p3_no_request_sees_a_mixture_while_rules_are_renewed(house: House) -> None:
    """Promise P3: a share of a thousand."""
    await twins(house)

    assert await reloaded(house, 30) > 30


@pytest.mark.long
async def test_p3_no_request_sees_a_mixture_in_a_thousand_renewals(house: House) -> None:
    """Promise P3."""
    await twins(house)

    seen = await reloaded(house, 1_000)

    print(f"\n1000 renewals of two documents under 8 askers: {seen} requests decided, 0 mixtures")  # noqa: T201
