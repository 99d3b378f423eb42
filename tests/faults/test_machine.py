"""Any order of charges, releases, failures, repetitions, erasures, crashes and restores: as the model says.

The model is a hundred lines of dictionaries. A crash is a copy of the files as they lie there, opened
anew; a restore brings an old copy back under the newest head.
"""

import asyncio
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.clock import unix_ms
from gateway.errors import BudgetExhausted, ChargedFailure, GatewayError, HomeInvalid, IdempotencyInProgress
from gateway.ledger.audit import verify_store
from gateway.ledger.port import EntryRefused
from gateway.ledger.sqlite import SqliteLedger
from gateway.terms.charge import Charge as Charged
from gateway.terms.charge import StoredAnswer
from gateway.terms.entry import Basis, EntryKind, Erasure
from gateway.terms.identifiers import RequestId
from gateway.transparency.canonical import parsed
from tests.faults.observer import all_leaves, opened_values
from tests.faults.run import SERVES_MS, charge_request, nodes, release_request
from tests.faults.script import Charge, Release, private_of, subject_of
from tests.faults.share import SEED, say
from tests.faults.world import World, a_world

CAP = 12
NAMES = st.sampled_from(["c-0", "c-1"])
KEYS = st.sampled_from(["k-0", "k-1", "k-2", "k-3"])
PEOPLE = st.sampled_from([f"op-{number}.bank-a" for number in range(1, 5)])


def copied(live: Path, folder: Path) -> None:
    """Copy the folder of a ledger that is open; its head file may be in the middle of being replaced."""
    shutil.copytree(live, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.new"))


class LedgerMachine(RuleBasedStateMachine):
    """A ledger beside its model."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folders = ExitStack()
        self.world: World = self.folders.enter_context(a_world())
        self.ledger: SqliteLedger = self.world.open()
        self.number = 0
        self.kinds: list[tuple[str, str]] = []
        """The log: kind and request of each entry."""
        self.spent = {"c-0": 0, "c-1": 0}
        self.open: dict[str, tuple[int, tuple[str, str] | None]] = {}
        self.claims: dict[tuple[str, str], tuple[int, int, bytes] | str | None] = {}
        """Answered: the stored answer; None: failed; a text: in progress."""
        self.used: set[str] = set()
        self.gone: set[int] = set()
        self.heads: list[bytes] = []
        self.backups: list[tuple[World, int]] = []

    def do(self, work: Any) -> Any:
        """Return what comes of something, an exception too."""
        type(self).steps += 1
        try:
            return self.loop.run_until_complete(work)
        except (GatewayError, EntryRefused) as error:
            return error

    def request(self) -> str:
        self.number += 1
        return f"r-{self.number}"

    @rule(client=NAMES, rho=st.integers(0, 5), key=st.none() | KEYS)
    def charge(self, client: str, rho: int, key: str | None) -> None:
        request = self.request()
        name = (client, key) if key is not None else None
        outcome = self.do(self.ledger.charge(charge_request(Charge(request, rho, client, key, CAP))))
        if name in self.claims:
            match self.claims[name]:
                case None:
                    assert isinstance(outcome, ChargedFailure)
                case str():
                    assert isinstance(outcome, IdempotencyInProgress)
                case (charge, release, answer):
                    assert outcome == StoredAnswer(answer=answer, charge_index=charge, release_index=release)
        elif self.spent[client] + rho > CAP:
            assert isinstance(outcome, BudgetExhausted)
        else:
            assert isinstance(outcome, Charged)
            assert outcome.index == len(self.kinds)
            self.kinds.append(("charge", request))
            self.spent[client] += rho
            self.open[request] = outcome.index, name
            if name is not None:
                self.claims[name] = request

    @precondition(lambda self: self.open)
    @rule(data=st.data(), kind=st.sampled_from([EntryKind.RELEASE, EntryKind.ERROR]))
    def release(self, data: st.DataObject, kind: EntryKind) -> None:
        request = data.draw(st.sampled_from(sorted(self.open)))
        index, name = self.open.pop(request)
        command = Release(request, kind, charged=True)
        receipt = self.do(self.ledger.release(release_request(command, index)))
        assert receipt.index == len(self.kinds)
        self.kinds.append((kind.value, request))
        if name is not None:
            self.claims[name] = command.answer and (index, receipt.index, command.answer)
        again = self.do(self.ledger.release(release_request(command, index)))
        assert isinstance(again, EntryRefused)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(sorted(self.open)))
        self.ledger.abandon(self.open[request][0])
        self.recovered(request)

    def recovered(self, request: str) -> None:
        _, name = self.open.pop(request)
        self.kinds.append(("recover", request))
        if name is not None:
            self.claims[name] = None

    @rule()
    def single(self) -> None:
        request = self.request()
        assert self.do(self.ledger.release(release_request(Release(request), None))).index == len(self.kinds)
        self.kinds.append(("single", request))

    @rule(id_=KEYS)
    def use_once(self, id_: str) -> None:
        expires_at_ms = unix_ms(self.world.clock.now()) + SERVES_MS
        assert self.do(self.ledger.use_once(id_, expires_at_ms)) == (id_ not in self.used)
        self.used.add(id_)

    @rule(person=PEOPLE)
    def erase(self, person: str) -> None:
        request = self.request()
        outcome = self.do(self.ledger.erase(Erasure(basis=Basis.REQUEST, subject=person), RequestId(request)))
        of_person = {
            index
            for index, (kind, by) in enumerate(self.kinds)
            if subject_of(by) == person and kind not in {"recover", "erase"}
        }
        if of_person - self.gone:
            assert outcome.index == len(self.kinds)
            self.kinds.append(("erase", request))
            self.gone |= of_person
        else:
            assert isinstance(outcome, EntryRefused)

    @rule()
    def look_at_head(self) -> None:
        self.heads.append(self.do(self.ledger.checkpoint()))

    @rule()
    def crash(self) -> None:
        survivor = self.folders.enter_context(a_world())
        copied(self.world.folder, survivor.folder)
        self.do(self.ledger.close())
        self.world, self.ledger = survivor, survivor.open()
        for request in sorted(self.open, key=self.open.__getitem__):
            self.recovered(request)

    @rule()
    def back_up(self) -> None:
        copy = self.folders.enter_context(a_world())
        copied(self.world.folder, copy.folder)
        self.backups.append((copy, len(self.kinds)))

    @precondition(lambda self: any(size < len(self.kinds) for _, size in self.backups))
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """An old copy under the newest head is refused, and the true one goes on."""
        old, _ = data.draw(st.sampled_from([b for b in self.backups if b[1] < len(self.kinds)]))
        trial = self.folders.enter_context(a_world())
        shutil.copytree(old.folder, trial.folder, dirs_exist_ok=True)
        trial.head.write_bytes(self.do(self.ledger.checkpoint()))
        with pytest.raises(HomeInvalid):
            trial.open()

    @invariant()
    def as_the_model_says(self) -> None:
        assert self.do(self.ledger.spent(nodes("c-0") + nodes("c-1")))[2::3] == tuple(
            loss_of(self.spent[client]) for client in ("c-0", "c-1")
        )

    def teardown(self) -> None:
        leaves = self.do(all_leaves(self.ledger))
        entries = [parsed(leaf) for leaf in leaves]
        assert [(entry["kind"], entry["id"]) for entry in entries] == self.kinds
        for index, (kind, request) in enumerate(self.kinds):
            if kind not in {"recover", "erase"}:
                expected = None if index in self.gone else private_of(request)
                assert self.do(opened_values(self.ledger, index)) == expected
        report = verify_store(self.world.path, self.world.signer.vkey, checkpoints=dict.fromkeys(self.heads))
        assert (report.faults, report.open_charges) == ((), len(self.open))
        self.do(self.ledger.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folders.close()


def loss_of(rho: int) -> Any:
    return charge_request(Charge("r-0", rho)).debits[0].loss


def walked(examples: int, steps: int) -> None:
    LedgerMachine.steps = 0
    check = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    machine = seed(SEED)(LedgerMachine)
    run_state_machine_as_test(machine, settings=check)
    say(f"{examples} walks of the state machine, {LedgerMachine.steps} calls: 0 faults")


def test_any_order_of_calls_crashes_and_restores_comes_to_what_the_model_says() -> None:
    """Promises P1, P2, P7 and P9."""
    walked(40, 40)


@pytest.mark.long
def test_any_order_of_calls_comes_to_what_the_model_says_in_long_walks() -> None:
    """Promises P1, P2, P7 and P9."""
    walked(400, 60)
