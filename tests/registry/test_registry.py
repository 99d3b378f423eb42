"""The chain behind a purpose: every link is needed, and a change in any of them counts at once."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from gateway import jose
from gateway.errors import NotAuthenticated
from gateway.registry.codec import change_of
from gateway.registry.public_keys import frozen_keys
from gateway.registry.records import (
    Activation,
    Agreement,
    Client,
    Freezable,
    Freeze,
    Operator,
    Organisation,
    Record,
    Revocation,
    State,
    freeze_id,
    revocation_id,
)
from gateway.registry.registry import Registry, Standing, activation_for, standing
from gateway.registry.saved_request import SavedRequest
from gateway.terms.dataset import Title
from gateway.terms.loss import PicoRho

NOW = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
JWK = jose.jwk_of(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).public_key())
SPARE = jose.jwk_of(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x02" * 32).public_key())
KEY = jose.thumbprint(JWK)

ORGANISATION = Organisation(
    id="bank-a", name=Title(vi="Ngân hàng A", en="Bank A"), org_class="bank", country="VN", state=State.ACTIVE
)
AGREEMENT = Agreement(
    id="AGR-1",
    org="bank-a",
    purposes=("credit-risk", "fraud"),
    valid_from=date(2026, 1, 1),
    valid_until=date(2026, 12, 31),
    state=State.ACTIVE,
)
CLIENT = Client(
    id="bank-a.etl-1",
    org="bank-a",
    agreement="AGR-1",
    purposes=("credit-risk",),
    keys=frozen_keys([JWK, SPARE]),
    state=State.ACTIVE,
)
OPERATOR = Operator(
    id="lan", org="bank-a", name="Lan", password_hash="h", totp_sealed=b"s", state=State.ACTIVE
)
ACTIVATION = Activation(
    id="act-1",
    client="bank-a.etl-1",
    operator="lan",
    purpose="credit-risk",
    key=KEY,
    methods=("otp", "pwd"),
    authenticated_at=NOW - timedelta(hours=1),
    until=NOW + timedelta(hours=7),
    state=State.ACTIVE,
)


def a_registry(*instead: Record) -> Registry:
    records: list[Record] = [ORGANISATION, AGREEMENT, CLIENT, OPERATOR, ACTIVATION, *instead]
    return Registry.of(change_of(record) for record in records)


def judged(registry: Registry, **changes: Any) -> Standing:
    asked = {"client": "bank-a.etl-1", "purpose": "credit-risk", "key": KEY, "now": NOW}
    return standing(registry, **(asked | changes))


def test_a_whole_chain_stands() -> None:
    assert judged(a_registry()) == Standing(ORGANISATION, AGREEMENT, CLIENT)


def test_either_of_a_clients_keys_stands() -> None:
    assert judged(a_registry(), key=jose.thumbprint(SPARE)).client == CLIENT


BROKEN = {
    "client suspended": (replace(CLIENT, state=State.SUSPENDED), "client-not-active"),
    "client ended": (replace(CLIENT, state=State.ENDED), "client-not-active"),
    "organisation suspended": (replace(ORGANISATION, state=State.SUSPENDED), "organisation-not-active"),
    "organisation ended": (replace(ORGANISATION, state=State.ENDED), "organisation-not-active"),
    "client of no organisation": (replace(CLIENT, org="bank-b"), "organisation-not-active"),
    "agreement suspended": (replace(AGREEMENT, state=State.SUSPENDED), "agreement-not-active"),
    "agreement ended": (replace(AGREEMENT, state=State.ENDED), "agreement-not-active"),
    "agreement of another organisation": (replace(AGREEMENT, org="bank-b"), "agreement-not-active"),
    "agreement unknown": (replace(CLIENT, agreement="AGR-2"), "agreement-not-active"),
    "agreement over": (replace(AGREEMENT, valid_until=date(2026, 6, 14)), "agreement-not-in-its-dates"),
    "agreement not begun": (
        replace(AGREEMENT, valid_from=date(2026, 6, 16)),
        "agreement-not-in-its-dates",
    ),
    "purpose struck from the agreement": (
        replace(AGREEMENT, purposes=("fraud",)),
        "purpose-not-in-agreement",
    ),
    "purpose struck from the client": (replace(CLIENT, purposes=("fraud",)), "purpose-not-bound-to-client"),
    "key removed": (replace(CLIENT, keys=frozen_keys([SPARE])), "key-not-bound-to-client"),
    "all keys removed": (replace(CLIENT, keys=()), "key-not-bound-to-client"),
}


@pytest.mark.parametrize(("record", "cause"), BROKEN.values(), ids=BROKEN)
def test_one_broken_link_ends_the_chain(record: Record, cause: str) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        judged(a_registry().with_change(change_of(record)))

    assert (refused.value.cause, refused.value.detail) == (cause, "credentials not accepted")


def test_a_client_that_nobody_registered_does_not_stand() -> None:
    with pytest.raises(NotAuthenticated):
        judged(Registry())


@pytest.mark.parametrize("day", [date(2026, 1, 1), date(2026, 12, 31)])
def test_an_agreement_holds_on_its_first_and_last_day(day: date) -> None:
    assert judged(a_registry(), now=datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC))


def test_a_token_ends_when_its_client_moves_to_another_agreement() -> None:
    moved = replace(CLIENT, agreement="AGR-2")
    registry = a_registry(moved, replace(AGREEMENT, id="AGR-2"))

    assert judged(registry).agreement.id == "AGR-2"
    with pytest.raises(NotAuthenticated) as refused:
        judged(registry, agreement="AGR-1")

    assert refused.value.cause == "agreement-not-the-clients"


def test_a_snapshot_does_not_change_under_its_reader() -> None:
    before = a_registry()

    after = before.with_change(change_of(replace(CLIENT, state=State.ENDED)))

    assert before.clients["bank-a.etl-1"].state is State.ACTIVE
    assert after.clients["bank-a.etl-1"].state is State.ENDED
    assert before == a_registry()


def test_one_change_at_a_time_leads_to_the_same_snapshot() -> None:
    records: list[Record] = [ORGANISATION, AGREEMENT, CLIENT, OPERATOR, ACTIVATION]
    snapshot = Registry()
    for record in records:
        snapshot = snapshot.with_change(change_of(record))

    assert snapshot == a_registry()


def found(registry: Registry, **changes: Any) -> Activation | None:
    asked = {"client": "bank-a.etl-1", "purpose": "credit-risk", "key": KEY, "now": NOW}
    return activation_for(registry, **(asked | changes))


def test_an_activation_in_force_is_found() -> None:
    assert found(a_registry()) == ACTIVATION


def test_the_newest_activation_counts() -> None:
    newer = replace(ACTIVATION, id="act-2", authenticated_at=NOW - timedelta(minutes=5))
    older = replace(ACTIVATION, id="act-3", authenticated_at=NOW - timedelta(hours=2))

    assert found(a_registry(newer, older)) == newer


STOPPED: dict[str, Record] = {
    "over": replace(ACTIVATION, until=NOW),
    "not begun": replace(ACTIVATION, authenticated_at=NOW + timedelta(seconds=1)),
    "activation suspended": replace(ACTIVATION, state=State.SUSPENDED),
    "activation ended": replace(ACTIVATION, state=State.ENDED),
    "operator suspended": replace(OPERATOR, state=State.SUSPENDED),
    "operator ended": replace(OPERATOR, state=State.ENDED),
    "operator moved to another organisation": replace(OPERATOR, org="bank-b"),
    "operator unknown": replace(ACTIVATION, operator="minh"),
    "for another purpose": replace(ACTIVATION, purpose="fraud"),
    "for another client": replace(ACTIVATION, client="bank-a.etl-2"),
    "for another key": replace(ACTIVATION, key=jose.thumbprint(SPARE)),
}


@pytest.mark.parametrize("record", STOPPED.values(), ids=STOPPED)
def test_an_activation_out_of_force_is_not_found(record: Record) -> None:
    assert found(a_registry(record)) is None


@pytest.mark.parametrize("record", STOPPED.values(), ids=STOPPED)
def test_what_a_person_stood_behind_stops_with_the_activation(record: Record) -> None:
    assert judged(a_registry(), operator="lan")

    with pytest.raises(NotAuthenticated) as refused:
        judged(a_registry(record), operator="lan")

    assert refused.value.cause == "activation-not-active"


def test_another_persons_activation_does_not_carry_a_token() -> None:
    other = replace(OPERATOR, id="minh")

    with pytest.raises(NotAuthenticated):
        judged(a_registry(other), operator="minh")


def test_an_unknown_client_has_no_activation() -> None:
    assert found(Registry()) is None


def a_revocation(token_id: str, *, minutes: int = 0) -> Revocation:
    revoked_at = NOW + timedelta(minutes=minutes)
    return Revocation(
        id=revocation_id(CLIENT.id, token_id),
        client=CLIENT.id,
        revoked_at=revoked_at,
        until=revoked_at + timedelta(minutes=10),
        state=State.ACTIVE,
    )


def a_freeze(what: Freezable, target: str, *lifted_by: str) -> Freeze:
    return Freeze(
        id=freeze_id(what, target),
        what=what,
        target=target,
        frozen_at=NOW,
        overseers=(),
        lifted_by=lifted_by,
        state=State.ENDED if len(lifted_by) == 2 else State.ACTIVE,
    )


FROZEN = {
    "client": (Freezable.CLIENT, CLIENT.id, "client-frozen"),
    "organisation": (Freezable.ORGANISATION, ORGANISATION.id, "organisation-frozen"),
    "agreement": (Freezable.AGREEMENT, AGREEMENT.id, "agreement-frozen"),
    "key": (Freezable.KEY, KEY, "key-frozen"),
    "operator": (Freezable.OPERATOR, "lan", "activation-not-active"),
    "token": (Freezable.TOKEN, revocation_id(CLIENT.id, "t" * 22), "token-frozen"),
}


@pytest.mark.parametrize(("what", "target", "cause"), FROZEN.values(), ids=FROZEN)
def test_what_one_person_froze_stands_again_when_two_have_lifted_it(
    what: Freezable, target: str, cause: str
) -> None:
    """Promise P7."""
    token = {"operator": "lan", "token_id": "t" * 22}
    for lifted_by in ((), ("hoa",)):
        with pytest.raises(NotAuthenticated) as refused:
            judged(a_registry(a_freeze(what, target, *lifted_by)), **token)
        assert refused.value.cause == cause
    assert judged(a_registry(a_freeze(what, target, "hoa", "tam")), **token).client == CLIENT
    assert judged(a_registry(a_freeze(what, "another")), **token).client == CLIENT


def test_a_frozen_operator_is_vouched_for_by_nobody() -> None:
    with pytest.raises(NotAuthenticated) as refused:
        judged(a_registry(a_freeze(Freezable.OPERATOR, "lan")), vouched="lan")
    assert refused.value.cause == "operator-not-active"


def test_a_revoked_token_ends_and_no_other_does() -> None:
    """Promise P7."""
    registry = a_registry(a_revocation("t" * 22))

    with pytest.raises(NotAuthenticated) as refused:
        judged(registry, token_id="t" * 22)
    assert refused.value.cause == "token-revoked"
    assert judged(registry, token_id="u" * 22) == judged(registry)


def test_a_token_of_the_same_name_of_another_client_is_another_token() -> None:
    assert revocation_id("bank-a.etl-1", "t" * 22) != revocation_id("bank-a.etl-2", "t" * 22)  # type: ignore[arg-type]


def test_revocations_go_when_their_time_is_over_in_whatever_order_they_are_read() -> None:
    changes = [change_of(a_revocation(f"token-{number}", minutes=4 * number)) for number in range(5)]
    one_by_one = Registry()
    for change in changes:
        one_by_one = one_by_one.with_change(change)

    kept = {revocation_id(CLIENT.id, f"token-{number}") for number in (2, 3, 4)}
    assert set(one_by_one.revocations) == kept
    assert Registry.of(changes) == Registry.of(reversed(changes)) == one_by_one


SAVED = SavedRequest(
    digest="d", method="POST", path="/", sealed=b"s", effect="e", pico_rho_max=PicoRho(0), vnd_max=0
)


@given(
    st.lists(
        st.builds(
            replace,
            st.just(ACTIVATION),
            id=st.sampled_from(["act-1", "act-2", "act-3"]),
            client=st.sampled_from(["bank-a.etl-1", "bank-a.etl-2"]),
            authenticated_at=st.sampled_from([NOW - timedelta(minutes=n) for n in (1, 2)]),
            state=st.sampled_from(State),
            saved=st.sampled_from([None, SAVED]),
        ),
        max_size=12,
    )
)
def test_logins_stand_by_client_and_age_however_the_records_came(activations: list[Activation]) -> None:
    changes = [change_of(activation) for activation in activations]
    one_by_one = reduce(Registry.with_change, changes, Registry())

    last = {activation.id: activation for activation in activations}.values()
    expected = {
        client: tuple(sorted(found, key=lambda each: (each.authenticated_at, each.id), reverse=True))
        for client in ("bank-a.etl-1", "bank-a.etl-2")
        if (found := [each for each in last if each.client == client and each.saved is None])
    }
    assert one_by_one.logins == Registry.of(changes).logins == expected
    assert one_by_one.without("lan").logins == {}


@pytest.mark.parametrize(
    "operator",
    [None, replace(OPERATOR, state=State.SUSPENDED), replace(OPERATOR, org="bank-b")],
    ids=["unknown", "suspended", "of another organisation"],
)
def test_who_is_vouched_for_is_an_active_operator_of_the_clients_organisation(
    operator: Operator | None,
) -> None:
    """No activation is demanded: the other issuer tells of the sign-in."""
    without = a_registry(replace(ACTIVATION, state=State.ENDED))
    assert judged(without, vouched="lan") == judged(without)
    registry = Registry.of(
        map(change_of, (ORGANISATION, AGREEMENT, CLIENT, *([operator] if operator else [])))
    )

    with pytest.raises(NotAuthenticated) as refused:
        judged(registry, vouched="lan")
    assert refused.value.cause == "operator-not-active"
