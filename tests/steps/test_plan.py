"""A plan is of one recipient, question and permit, and nothing of a question outlives it."""

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from builders import a_caller, a_permit, a_query

from gateway.errors import EncryptionKeyRequired, NotAcceptable, NotPermitted, QuestionRefused
from gateway.jose import Jwk
from gateway.keyring.keyring import Keyring
from gateway.steps.plan import MakePlan
from gateway.terms.caller import Caller
from gateway.terms.controlled import Trigger
from gateway.terms.format import Delivery, Format
from gateway.terms.identifiers import OrgId
from gateway.terms.permit import Permit, Reason
from gateway.terms.plan import Plan, ProxyPlan
from gateway.terms.query import Action
from gateway.terms.treatment import Redact
from gateway.terms.upstream import Position, UpstreamPath

PAGES = UpstreamPath(path="/pages", rows_pointer="", parameters=(("page", Position(9_999)),))


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring.create(tmp_path_factory.mktemp("home") / "keys", log_name="log.example/plan")


def nobody(_caller: Caller) -> Jwk:
    raise EncryptionKeyRequired("no key")


@pytest.fixture
def step(keyring: Keyring) -> MakePlan:
    return MakePlan(keyring, ThreadPoolExecutor(max_workers=1), nobody)


def a_proxy_permit() -> Permit:
    return replace(a_permit(), action=Action.PROXY, paths=(PAGES,), rows_max=100)


async def planned(step: MakePlan, permit: Permit, *, org: str = "bank-a", query_string: str = "") -> Plan:
    query = a_query(
        method="GET", action=Action.PROXY, upstream_path="/pages", query_string=query_string, body=b""
    )
    return await step(query, replace(a_caller(), org=OrgId(org)), permit)


async def test_another_recipient_question_or_permit_has_another_plan(step: MakePlan) -> None:
    permit = a_proxy_permit()
    stricter = replace(permit, columns=tuple((name, Redact()) for name, _ in permit.columns))
    asked = [
        {"permit": permit},
        {"permit": permit, "org": "bank-b"},
        {"permit": permit, "query_string": "page=1"},
        {"permit": stricter},
    ]

    plans, again = [[await planned(step, **each) for each in asked] for _ in range(2)]  # type: ignore[arg-type]

    assert plans == again
    assert len({repr((plan, getattr(plan, "order_key", None))) for plan in plans}) == 4


async def test_nothing_of_a_question_is_kept(step: MakePlan) -> None:
    """A plan holds an opened cursor and what the firm looked for."""
    gc.collect()
    before = sum(type(thing) is ProxyPlan for thing in gc.get_objects())
    for page in range(5):
        await planned(step, a_proxy_permit(), query_string=f"page={page}")
    gc.collect()

    assert sum(type(thing) is ProxyPlan for thing in gc.get_objects()) == before


async def test_a_refusal_is_refused_each_time(step: MakePlan) -> None:
    permit = a_proxy_permit()
    for _ in range(2):
        with pytest.raises(QuestionRefused):
            await planned(step, permit, query_string="page=10000")


async def test_p3_what_needs_approval_is_refused_before_anything_is_charged_and_as_a_dry_run(
    step: MakePlan,
) -> None:
    """Promise P3."""
    permit = replace(a_proxy_permit(), triggers=(Trigger(action=Action.PROXY),))

    with pytest.raises(NotPermitted) as raised:
        await planned(step, permit)

    assert raised.value.reason is Reason.APPROVAL_NEEDED


async def test_a_format_that_the_permit_does_not_deliver_in_is_refused_with_those_that_it_does(
    step: MakePlan,
) -> None:
    permit = replace(a_proxy_permit(), delivery=Delivery(formats=frozenset({Format.CSV})))
    asked = {"method": "GET", "action": Action.PROXY, "upstream_path": "/pages", "body": b""}

    for accept in ("application/json", "application/json, text/csv;q=0"):
        with pytest.raises(NotAcceptable, match="accept one of `text/csv`"):
            await step(a_query(**asked, accept=accept), a_caller(), permit)

    for accept in ("*/*", "text/csv", "application/json, text/csv;q=0.9"):
        assert await step(a_query(**asked, accept=accept), a_caller(), permit)
    assert await step(a_query(**asked, accept="application/json", dry_run=True), a_caller(), permit), (
        "a plan is always JSON"
    )


@pytest.mark.parametrize("must", [True, False])
async def test_p2_who_has_no_key_to_encrypt_to_is_told_before_anything_is_charged(
    step: MakePlan, must: bool
) -> None:
    """Promise P2: also where the rules want it and the firm did not ask."""
    permit = replace(a_proxy_permit(), delivery=Delivery(encrypted=must))
    asked = a_query(
        method="GET",
        action=Action.PROXY,
        upstream_path="/pages",
        body=b"",
        accept="*/*" if must else "application/jose",
    )

    with pytest.raises(EncryptionKeyRequired):
        await step(asked, a_caller(), permit)
    assert await step(replace(asked, dry_run=True), a_caller(), permit)
