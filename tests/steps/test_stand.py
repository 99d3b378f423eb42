"""What a caller hangs on is looked at twice, and a freeze of anything in it stops the request."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from builders import NOON, a_caller, a_permit

from gateway.client.keys import ClientKey
from gateway.errors import Frozen, NotAuthenticated
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
    State,
    freeze_id,
    revocation_id,
)
from gateway.registry.registry import Registry
from gateway.steps.stand import Stand
from gateway.terms.caller import Caller
from gateway.terms.dataset import Title

KEY = ClientKey.create()
ACTIVE = State.ACTIVE


class FixedClock:
    """Noon, always."""

    def now(self) -> datetime:
        return NOON

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002
        raise AssertionError("nobody waits here")


def the_caller(**changes: Any) -> Caller:
    return a_caller(client_key=KEY.thumbprint, **changes)


def a_stand(*instead: Record) -> Callable[..., None]:
    """Return the step over the chain of ``the_caller``."""
    caller = the_caller()
    org, agreement, purpose = caller.org, caller.agreement, caller.purpose
    records: list[Record] = [
        Organisation(id=org, name=Title(vi="A", en="A"), org_class="bank", country="VN", state=ACTIVE),
        Agreement(
            id=agreement,
            org=org,
            purposes=(purpose,),
            valid_from=date(2026, 1, 1),
            valid_until=date(2026, 12, 31),
            state=ACTIVE,
        ),
        Client(
            id=caller.client,
            org=org,
            agreement=agreement,
            purposes=(purpose,),
            keys=frozen_keys([KEY.jwk]),
            state=ACTIVE,
        ),
        Operator(id="op-1.bank-a", org=org, name="Minh", password_hash="h", totp_sealed=b"s", state=ACTIVE),  # type: ignore[arg-type]
        Activation(
            id="act-1",
            client=caller.client,
            operator="op-1.bank-a",  # type: ignore[arg-type]
            purpose=purpose,
            key=caller.client_key,
            methods=("otp", "pwd"),
            authenticated_at=NOON,
            until=NOON.replace(hour=20),
            state=ACTIVE,
        ),
    ]
    registry = Registry.of(change_of(record) for record in (*records, *instead))
    return Stand(lambda: registry, FixedClock())


def a_freeze(what: Freezable, target: str = "") -> Freeze:
    return Freeze(
        id=freeze_id(what, target),
        what=what,
        target=target,
        frozen_at=NOON,
        overseers=(),
        lifted_by=(),
        state=ACTIVE,
    )


def test_a_whole_chain_with_nothing_frozen_stands() -> None:
    a_stand()(the_caller(), a_permit())
    a_stand(a_freeze(Freezable.DATASET, "another"))(the_caller(), a_permit())


@pytest.mark.parametrize(
    ("what", "target", "cause"),
    [
        (Freezable.CLIENT, the_caller().client, "client-frozen"),
        (Freezable.ORGANISATION, the_caller().org, "organisation-frozen"),
        (Freezable.AGREEMENT, the_caller().agreement, "agreement-frozen"),
        (Freezable.OPERATOR, "op-1.bank-a", "activation-not-active"),
        (Freezable.KEY, KEY.thumbprint, "key-frozen"),
        (Freezable.KEY, the_caller().key, "key-frozen"),
        (Freezable.TOKEN, revocation_id(the_caller().client, the_caller().token_id), "token-frozen"),
    ],
)
def test_what_the_caller_hangs_on_is_named_for_the_log_only(what: Freezable, target: str, cause: str) -> None:
    with pytest.raises(NotAuthenticated, match="credentials not accepted") as refused:
        a_stand(a_freeze(what, target))(the_caller(), a_permit())

    assert refused.value.cause == cause


@pytest.mark.parametrize("freeze", [a_freeze(Freezable.DATASET, "people"), a_freeze(Freezable.EVERYTHING)])
def test_a_frozen_dataset_is_told(freeze: Freeze) -> None:
    with pytest.raises(Frozen):
        a_stand(freeze)(the_caller(), a_permit())


def test_a_person_of_another_issuer_has_no_activation_here_but_must_be_active() -> None:
    vouched = the_caller(activated_by=None, vouched_for="op-1.bank-a")

    a_stand()(vouched, a_permit())
    with pytest.raises(NotAuthenticated) as refused:
        a_stand(a_freeze(Freezable.OPERATOR, "op-1.bank-a"))(vouched, a_permit())
    assert refused.value.cause == "operator-not-active"


def test_what_a_person_below_aal2_activated_ends_with_them_too() -> None:
    """The person does not count for the rules, and still stands behind the token."""
    with pytest.raises(NotAuthenticated):
        a_stand(a_freeze(Freezable.OPERATOR, "op-1.bank-a"))(the_caller(operator=None), a_permit())
