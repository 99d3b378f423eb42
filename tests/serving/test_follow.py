"""What a worker keeps of the main process's registry and rules."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gateway.errors import HomeInvalid
from gateway.policy.signature import digest_of
from gateway.registry.codec import change_of
from gateway.registry.records import Organisation, State
from gateway.services.current import Current
from gateway.serving.follow import Following
from gateway.serving.worker import keep_renewing
from gateway.terms.dataset import Dataset, Title
from gateway.terms.entry import Change
from gateway.terms.frame import UnprotectedFrame
from gateway.terms.identifiers import DatasetId, OrgId
from gateway.terms.plan import Plan

POLICIES = Path(__file__).parents[2] / "policies"
DOCUMENTS = {path.stem: path.read_bytes() for path in sorted(POLICIES.glob("*.yaml"))}
ORGANISATION = Organisation(
    id=OrgId("bank-a"), name=Title(vi="A", en="A"), org_class="bank", country="VN", state=State.ACTIVE
)


@dataclass
class Shelf:
    """An engine whose sources are as declared, but for the named ones."""

    missing: set[str] = field(default_factory=set)
    checked: list[str] = field(default_factory=list)

    async def check(self, dataset: Dataset) -> tuple[str, ...]:
        self.checked.append(dataset.id)
        return ("there is no such source",) if dataset.id in self.missing else ()

    async def execute(self, plan: Plan) -> UnprotectedFrame:
        raise AssertionError(f"nothing is asked here, not {plan}")

    async def reads(self, dataset: Dataset) -> frozenset[tuple[int, int]]:
        raise AssertionError(f"a worker serves what is in force: {dataset.id}")

    async def retain(self, datasets: Collection[DatasetId]) -> None:
        raise AssertionError(f"a worker removes no snapshot but {datasets}")

    async def close(self) -> None: ...


def rules(name: str, text: bytes | None = None) -> Change:
    return Change(kind="rules", id=name, document=DOCUMENTS[name] if text is None else text)


def of(name: str, text: bytes | None = None) -> tuple[str, str]:
    """How a document in force is told of."""
    return name, digest_of(DOCUMENTS[name] if text is None else text)


def later(name: str) -> bytes:
    return DOCUMENTS[name].replace(b"revision: ", b"revision: 1", 1)


async def test_a_suspension_that_is_told_counts_at_once() -> None:
    following = Following((change_of(ORGANISATION),), Shelf())
    before = following.current.registry

    following.changed((change_of(replace(ORGANISATION, state=State.SUSPENDED)),))

    assert before.organisations[OrgId("bank-a")].state is State.ACTIVE
    assert following.current.registry.organisations[OrgId("bank-a")].state is State.SUSPENDED


async def test_the_datasets_in_force_are_served_and_no_other() -> None:
    """Promise P3."""
    one, other = sorted(DOCUMENTS)[:2]
    following = Following((rules(one), rules(other)), shelf := Shelf())

    following.in_force((of(one),))
    await following.renew()

    assert set(following.current.rules) == {one}
    assert shelf.checked == [one]


async def test_a_new_document_replaces_the_old_one_and_others_are_not_read_again() -> None:
    one, other = sorted(DOCUMENTS)[:2]
    following = Following((rules(one), rules(other)), shelf := Shelf())
    following.in_force((of(one), of(other)))
    await following.renew()
    kept, before = following.current.rules[DatasetId(other)], following.current.rules
    text = later(one)

    following.changed((rules(one, text),))
    following.in_force((of(one, text), of(other)))
    await following.renew()

    assert following.current.rules is not before
    assert following.current.rules[DatasetId(one)].dataset.revision > before[DatasetId(one)].dataset.revision
    assert following.current.rules[DatasetId(other)] is kept
    assert shelf.checked == [one, other, one]


@pytest.mark.parametrize("text", [b"policy: 2", None])
async def test_a_document_that_cannot_be_used_is_not_served(text: bytes | None) -> None:
    """Promise P3: neither one that does not load nor one whose source is not as it declares."""
    one, other = sorted(DOCUMENTS)[:2]
    following = Following((rules(one, text), rules(other)), Shelf(missing={one}))

    following.in_force((of(one, text), of(other)))
    await following.renew()

    assert set(following.current.rules) == {other}


async def test_p3_what_is_recorded_and_not_in_force_yet_is_not_served() -> None:
    """Promise P3: who starts in between has no other document of it, and waits for the next word."""
    one, other = sorted(DOCUMENTS)[:2]
    following = Following((rules(one, revised := later(one)), rules(other)), Shelf())

    following.in_force((of(one), of(other)))
    await following.renew()
    assert set(following.current.rules) == {other}

    following.in_force((of(one, revised), of(other)))
    await following.renew()
    assert set(following.current.rules) == {one, other}


async def test_p3_what_is_in_force_goes_on_while_the_next_revision_is_recorded() -> None:
    """Promise P3: also where the word of it is heard only when the next one is there already."""
    (one,) = sorted(DOCUMENTS)[:1]
    following = Following((rules(one),), Shelf())
    following.in_force((of(one),))
    following.changed((rules(one, later(one)),))
    await following.renew()
    before = following.current.rules[DatasetId(one)]

    following.in_force((of(one),))
    await following.renew()

    assert following.current.rules[DatasetId(one)] is before
    assert before.dataset.digest == digest_of(DOCUMENTS[one])


async def test_what_was_withdrawn_meanwhile_is_not_served_first() -> None:
    one, other = sorted(DOCUMENTS)[:2]
    following = Following((rules(one), rules(other)), shelf := Shelf())

    following.in_force((of(one), of(other)))
    following.in_force((of(other),))
    await following.renew()

    assert (set(following.current.rules), shelf.checked) == ({other}, [other])


async def test_a_worker_that_cannot_take_over_rules_does_not_go_on_with_old_ones() -> None:
    """Whatever it is, it is loud."""

    class Broken(Shelf):
        async def check(self, dataset: Dataset) -> tuple[str, ...]:
            raise OSError(dataset.id)

    one = min(DOCUMENTS)
    following = Following((rules(one),), Broken())
    broken: list[str] = []
    following.in_force((of(one),))

    await keep_renewing(following, on_broken=broken.append)

    assert broken == ["OSError"]


def test_one_follower_that_fails_does_not_keep_a_stop_from_the_others() -> None:
    """A key file that cannot be read here is no reason why workers should not hear of a suspension."""
    current, told = Current.of((change_of(ORGANISATION),), {}), []

    def broken(_: tuple[Change, ...]) -> None:
        raise HomeInvalid("the folder cannot be read")

    current.followers += [broken, told.append]
    suspended = change_of(replace(ORGANISATION, state=State.SUSPENDED))

    with pytest.raises(HomeInvalid):
        current.apply((suspended,))

    assert told == [(suspended,)]
    assert current.registry.organisations[OrgId("bank-a")].state is State.SUSPENDED
