"""A saved request in the steps: whose it is, which day it is, and that a day is paid once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import NOON, a_caller, a_permit, a_query, a_rows_plan, a_statistic_plan, rho

from gateway import jose
from gateway.client import ClientKey
from gateway.errors import (
    IdempotencyInProgress,
    MalformedRequest,
    NotAuthenticated,
    NotPermitted,
    ProofRefused,
    RequestNotSaved,
)
from gateway.identity.factors import amr_of
from gateway.identity.nonce import nonce_at
from gateway.identity.token import AccessClaims, SavedClaim, claims_document
from gateway.keyring.keyring import Keyring
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.volatile import Volatile
from gateway.planning.approved import effect_of, require_as_approved
from gateway.registry.records import (
    Activation,
    Freezable,
    Freeze,
    Operator,
    State,
    freeze_id,
)
from gateway.registry.registry import Registry
from gateway.registry.saved_request import SavedRequest
from gateway.services.registration import changes_of, new_agreement, new_client, new_organisation
from gateway.steps.authenticate import Authenticate
from gateway.steps.charge import MakeCharge
from gateway.steps.facts import facts_of
from gateway.steps.stand import Stand
from gateway.terms.caller import Assurance, Caller, SavedRun
from gateway.terms.charge import Charge
from gateway.terms.controlled import Price
from gateway.terms.identifiers import ColumnName
from gateway.terms.loss import PicoRho
from gateway.terms.permit import Permit
from gateway.terms.plan import Plan
from gateway.terms.predicate import Comparator, Comparison
from gateway.terms.query import Query
from gateway.terms.seen import Seen
from gateway.terms.treatment import Keep, Prefix, Treatment

ORIGIN = "https://gateway.example"
PATH = "/v1/datasets/people/query"
SECRET = b"s" * 32
BODY = b'{"sql": "SELECT COUNT(*) FROM data"}'
DIGEST = jose.request_digest("POST", PATH, "", BODY)
SAVED = SavedRequest(
    digest=DIGEST,
    method="POST",
    path=PATH,
    sealed=b"sealed",
    effect=effect_of(a_statistic_plan()),
    pico_rho_max=PicoRho(5 * 10**9),
    vnd_max=900,
)


@dataclass
class HandClock:
    moment: datetime = NOON

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@dataclass
class World:
    """A firm whose operator approved one request, and the steps that judge its runs."""

    keyring: Keyring
    clock: HandClock = field(default_factory=HandClock)
    registered: ClientKey = field(default_factory=ClientKey.create)
    key: ClientKey = field(default_factory=ClientKey.create)
    records: dict[str, Any] = field(default_factory=dict)
    registry: Registry = field(default_factory=Registry)

    def __post_init__(self) -> None:
        organisation = new_organisation("bank-a", vi="A", en="A", org_class="bank", country="VN")
        agreement = new_agreement(
            "AGR-2026-001", org=organisation, purposes=("research",), valid_from=NOON.date(),
            valid_until=NOON.date() + timedelta(days=365),
        )  # fmt: skip
        client = new_client(
            "bank-a.etl", agreement=agreement, purposes=("research",), keys=(self.registered.jwk,)
        )
        operator = Operator(
            id="op-1", org=organisation.id, name="Minh", password_hash="$argon2id$x", totp_sealed=b"x",
            state=State.ACTIVE,
        )  # type: ignore[arg-type]  # fmt: skip
        activation = Activation(
            id="act-1",
            client=client.id,
            operator=operator.id,
            purpose=client.purposes[0],
            key=self.registered.thumbprint,
            methods=amr_of(("pwd", "otp")),
            authenticated_at=NOON,
            until=NOON + timedelta(days=30),
            state=State.ACTIVE,
            saved=SAVED,
        )
        self.change(
            organisation=organisation,
            agreement=agreement,
            client=client,
            operator=operator,
            activation=activation,
        )
        self.step = Authenticate(
            origin=ORIGIN,
            issuer=ORIGIN,
            audience=ORIGIN,
            keys=self.keyring.tokens.public_keys,
            trusted={},
            nonce_secret=SECRET,
            volatile=Volatile.create(None),
            registry=lambda: self.registry,
            clock=self.clock,
        )

    def change(self, **records: Any) -> None:
        self.records |= records
        self.registry = Registry.of(changes_of(*self.records.values()))

    def token(self, **change: Any) -> str:
        """Return a token of this moment, as the token endpoint makes it."""
        now = self.clock.moment.replace(microsecond=0)
        claims = AccessClaims(
            issuer=ORIGIN,
            audience=ORIGIN,
            client=self.records["client"].id,
            subject="op-1",
            org=self.records["organisation"].id,
            purpose=self.records["client"].purposes[0],
            agreement=self.records["agreement"].id,
            client_key=self.registered.thumbprint,
            key=self.key.thumbprint,
            token_id="t" * 22,
            issued_at=now,
            expires_at=now + timedelta(seconds=300),
            assurance=Assurance.AAL2,
            methods=amr_of(("pwd", "otp")),
            authenticated_at=NOON,
            operator=self.records["operator"].id,
            saved=SavedClaim(activation="act-1", request=DIGEST),
        )
        return self.keyring.tokens.sign(claims_document(replace(claims, **change)), "at+jwt")

    def query(self, token: str | None = None, body: bytes = BODY) -> Query:
        token = token or self.token()
        proof = self.key.proof(
            method="POST",
            url=ORIGIN + PATH,
            now=self.clock.moment,
            nonce=nonce_at(SECRET, self.clock.moment),
            access_token=token,
            body=body,
        )
        return a_query(path=PATH, body=body, authorizations=(f"DPoP {token}",), proofs=(proof,))


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring.create(Path(tmp_path_factory.mktemp("home")) / "keys", log_name="gateway.test/log")


@pytest.fixture
def world(keyring: Keyring) -> World:
    return World(keyring)


def a_run(number: int = 0, **changes: Any) -> SavedRun:
    run = SavedRun(
        activation="act-1",
        number=number,
        over_at_ms=int((NOON + timedelta(days=number + 1)).timestamp() * 1000),
        effect=SAVED.effect,
        pico_rho_max=PicoRho(5 * 10**9),
        vnd_max=900,
    )
    return replace(run, **changes)


@pytest.mark.parametrize(
    ("later", "number"),
    [
        (timedelta(), 0),
        (timedelta(hours=23, minutes=59), 0),
        (timedelta(days=1), 1),
        (timedelta(days=29, hours=23), 29),
    ],
)
async def test_a_run_belongs_to_a_day_of_its_approval(world: World, later: timedelta, number: int) -> None:
    world.clock.moment = NOON + later

    caller = await world.step(world.query())

    assert caller.saved == a_run(number)
    assert (caller.assurance, caller.authenticated_at, caller.operator) == (Assurance.AAL2, NOON, "op-1")


ENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "activation ended": ("activation", {"state": State.ENDED}),
    "activation suspended": ("activation", {"state": State.SUSPENDED}),
    "activation over": ("activation", {"until": NOON}),
    "activation for another purpose": ("activation", {"purpose": "other"}),
    "activation of another key": ("activation", {"key": "k" * 43}),
    "activation of another client": ("activation", {"client": "bank-a.other"}),
    "activation for whatever is asked": ("activation", {"saved": None}),
    "person suspended": ("operator", {"state": State.SUSPENDED}),
    "person of another firm": ("operator", {"org": "bank-b"}),
    "client suspended": ("client", {"state": State.SUSPENDED}),
    "client has lost its key": ("client", {"keys": ()}),
    "client has lost the purpose": ("client", {"purposes": ("other",)}),
    "agreement ended": ("agreement", {"state": State.ENDED}),
    "agreement has lost the purpose": ("agreement", {"purposes": ("other",)}),
    "firm suspended": ("organisation", {"state": State.SUSPENDED}),
}


@pytest.mark.parametrize(("record", "change"), ENDS.values(), ids=ENDS)
async def test_p7_a_token_that_was_given_ends_with_every_link_behind_it(
    world: World, record: str, change: dict[str, Any]
) -> None:
    """Promise P7."""
    caller = await world.step(world.query())
    world.change(**{record: replace(world.records[record], **change)})

    with pytest.raises(NotAuthenticated):
        await world.step(world.query())
    with pytest.raises(NotAuthenticated):  # and what is in flight does not leave
        Stand(lambda: world.registry, world.clock)(caller, a_permit())


async def test_what_stands_goes_on_to_stand_while_it_is_answered(world: World) -> None:
    caller = await world.step(world.query())

    Stand(lambda: world.registry, world.clock)(caller, a_permit())


async def test_p7_the_token_names_the_person_who_approved(world: World) -> None:
    """Promise P7: another active person of the firm is not who stands behind it."""
    other = replace(world.records["operator"], id="op-2")
    world.change(other=other)

    with pytest.raises(NotAuthenticated) as refused:
        await world.step(world.query(world.token(subject="op-2", operator="op-2")))
    assert refused.value.cause == "saved-request-not-active"


async def test_p7_the_record_must_be_for_the_request_that_the_token_is_for(world: World) -> None:
    """Promise P7."""
    world.change(activation=replace(world.records["activation"], saved=replace(SAVED, digest="d" * 43)))

    with pytest.raises(NotAuthenticated) as refused:
        await world.step(world.query())
    assert refused.value.cause == "saved-request-not-active"


FROZEN = {
    "client": (Freezable.CLIENT, "bank-a.etl"),
    "organisation": (Freezable.ORGANISATION, "bank-a"),
    "agreement": (Freezable.AGREEMENT, "AGR-2026-001"),
    "person": (Freezable.OPERATOR, "op-1"),
}


@pytest.mark.parametrize(("what", "target"), FROZEN.values(), ids=FROZEN)
async def test_p7_it_stops_with_whatever_is_frozen(world: World, what: Freezable, target: str) -> None:
    """Promise P7."""
    world.change(
        freeze=Freeze(
            id=freeze_id(what, target), what=what, target=target, frozen_at=NOON, overseers=(), lifted_by=(),
            state=State.ACTIVE,
        )
    )  # fmt: skip

    with pytest.raises(NotAuthenticated):
        await world.step(world.query())


async def test_p7_a_proof_of_another_request_than_the_saved_one_is_used_up_too(world: World) -> None:
    """Promise P7: it is an authentic one, so nobody sends it twice."""
    other = world.query(body=b"{}")

    with pytest.raises(RequestNotSaved):
        await world.step(other)
    with pytest.raises(ProofRefused) as again:
        await world.step(other)
    assert again.value.cause == "proof used before"


async def test_p6_an_approval_of_one_request_is_no_login(world: World) -> None:
    """Promise P6: a token for everything, of the same person, finds no activation to stand on."""
    with pytest.raises(NotAuthenticated) as refused:
        await world.step(world.query(world.token(saved=None)))

    assert refused.value.cause == "activation-not-active"


def test_the_entry_says_which_approval_ran_and_on_which_of_its_days() -> None:
    seen = Seen(caller=a_caller(saved=a_run(3)))

    assert {name: facts_of(a_query(), seen)[name] for name in ("activation", "run")} == {
        "activation": "act-1",
        "run": 3,
    }


@pytest.fixture
async def charge(keyring: Keyring) -> AsyncIterator[MakeCharge]:
    ledger = SqliteLedger.open(
        None,
        signer=keyring.log,
        origin=keyring.log.name,
        clock=HandClock(),
        seal=lambda data: keyring.sealer.seal("opening", data),
        unseal=lambda data: keyring.sealer.unseal("opening", data),
        wrap=lambda data: keyring.sealer.seal("opening", data),
        unwrap=lambda data: keyring.sealer.unseal("opening", data),
    )
    ledger.start()
    yield MakeCharge(ledger, lambda _: bytes(32))
    await ledger.close()


def a_run_of(number: int, **changes: Any) -> Caller:
    return a_caller(saved=a_run(number, **changes))


def rows() -> tuple[Query, Permit]:
    return a_query(path="/v1/datasets/people/records"), a_permit()


async def test_p2_a_day_is_charged_once_and_the_next_again(charge: MakeCharge) -> None:
    """Promise P2: asking again waits for the first answer, or gets it; it never draws another."""
    plan = a_statistic_plan()
    first = await charge(a_query(), a_run_of(0), a_permit(), plan)
    with pytest.raises(IdempotencyInProgress):
        await charge(a_query(), a_run_of(0), a_permit(), plan)
    second = await charge(a_query(), a_run_of(1), a_permit(), plan)
    other = await charge(a_query(), a_run_of(1, activation="act-2"), a_permit(), plan)

    assert isinstance(first, Charge)
    assert isinstance(second, Charge)
    assert isinstance(other, Charge)
    assert len({first.index, second.index, other.index}) == 3


async def test_p2_a_client_cannot_name_its_runs_to_have_more_of_them(charge: MakeCharge) -> None:
    """Promise P2."""
    with pytest.raises(MalformedRequest):
        await charge(a_query(idempotency_keys=("again",)), a_run_of(0), a_permit(), a_statistic_plan())


def outcome(plan: Plan, permit: Permit, run: SavedRun) -> str:
    try:
        require_as_approved(plan, permit, run)
    except NotPermitted as refused:
        return refused.reason
    return "runs"


def test_p2_a_run_costs_no_more_than_the_person_was_told() -> None:
    """Promise P2: rules that changed since make a run dearer for nobody, in budget or in money."""
    dearer, dong = a_statistic_plan(loss=rho("0.005000000001")), Price(per_request=900)

    assert {
        "as shown": outcome(a_statistic_plan(), a_permit(price=dong), a_run()),
        "cheaper": outcome(a_statistic_plan(), a_permit(), a_run()),
        "more budget": outcome(dearer, a_permit(), a_run()),
        "more money": outcome(a_statistic_plan(), a_permit(price=Price(per_request=901)), a_run()),
    } == {
        "as shown": "runs",
        "cheaper": "runs",
        "more budget": "costs-more-than-approved",
        "more money": "costs-more-than-approved",
    }


def shown_of(name: str, how: Treatment = Keep()) -> tuple[ColumnName, Treatment]:  # noqa: B008  frozen
    return (ColumnName(name), how)


OTHERWISE: dict[str, dict[str, Any]] = {
    "a column more": {"columns": (shown_of("province"), shown_of("age"))},
    "a column less masked": {"columns": (shown_of("province", Prefix(5)),)},
    "more rows": {"rows_max": 21},
    "fewer rows": {"rows_max": 19},
    "another filter": {"predicate": Comparison(ColumnName("age"), Comparator.MORE, (18,))},
}


@pytest.mark.parametrize("change", OTHERWISE.values(), ids=OTHERWISE)
def test_p3_a_revision_makes_nothing_else_of_what_was_approved(change: dict[str, Any]) -> None:
    """Promise P3: the bytes of the request are the same; what leaves by them would not be."""
    shown = a_rows_plan(columns=(shown_of("province", Prefix(2)),), rows_max=20)
    run = a_run(effect=effect_of(shown))

    assert outcome(shown, a_permit(), run) == "runs"
    assert outcome(replace(shown, **change), a_permit(), run) == "differs-from-approved"


def test_a_revision_that_changes_nothing_of_it_leaves_it_running() -> None:
    shown = a_rows_plan()
    newer = replace(shown, dataset=replace(shown.dataset, revision=9), digest="f" * 64)

    assert outcome(newer, a_permit(), a_run(effect=effect_of(shown))) == "runs"


async def test_rows_are_pulled_three_times_a_day_at_most(charge: MakeCharge) -> None:
    query, permit = rows()
    for _ in range(3):
        assert await charge(query, a_run_of(0), permit, a_rows_plan()) is None
    with pytest.raises(NotPermitted) as refused:
        await charge(query, a_run_of(0), permit, a_rows_plan())

    assert refused.value.reason == "runs-used-up"
    assert await charge(query, a_run_of(1), permit, a_rows_plan()) is None
    assert await charge(query, a_run_of(0, activation="act-2"), permit, a_rows_plan()) is None
    assert await charge(query, a_caller(), permit, a_rows_plan()) is None
