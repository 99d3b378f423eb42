"""Step 6: nothing an engine returned goes on as it is; and the reply is written in full.

Rows are masked for this recipient (``masking``), integers get their noise (``privacy``); then the
bytes are made (``delivery``). The reply is complete before it is recorded, so that the entry can
commit to exactly the bytes that will be sent. CPU work runs in a thread, off the event loop,
unless the frame is a small page.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from gateway import budget
from gateway.delivery.formats import negotiate, write_document, write_rows
from gateway.keyring.keyring import Keyring
from gateway.masking.mask import protect_rows
from gateway.planning.proxy import proxy_cursor
from gateway.planning.rows import next_cursor
from gateway.privacy.release import document, protect_integers
from gateway.steps.kept import Kept, with_rules, without_rules
from gateway.steps.plan import CURSOR
from gateway.terms.caller import Caller
from gateway.terms.charge import Charge, StoredAnswer
from gateway.terms.entry import EntryKind
from gateway.terms.format import Format
from gateway.terms.frame import UnprotectedFrame, UnprotectedIntegers, UnprotectedRows
from gateway.terms.identifiers import ColumnName
from gateway.terms.permit import Permit
from gateway.terms.plan import LookupPlan, Plan, ProxyPlan, RowsPlan, StatisticPlan
from gateway.terms.query import Query
from gateway.terms.reply import Reply
from gateway.terms.treatment import name_of

FOUND_BY: Final = ColumnName("_key")
"""The column of a lookup's rows that says which key of the request found them, counted from 1."""
INLINE_CELLS_MAX: Final = 2048
"""Of a frame that is treated at once: less than half a millisecond, as going to a thread and back costs."""
INLINE_CHARACTERS_MAX: Final = 32 << 10
"""Of its texts together."""
INLINE_TEXT_MAX: Final = 256
"""Characters of one text: NFC takes time in their square, at worst a tenth of a millisecond for these."""


@dataclass(frozen=True, slots=True)
class Protect:
    """Unprotected frame in, complete reply out."""

    keyring: Keyring
    kept: Kept

    async def __call__(  # noqa: PLR0917  what the steps before found, in their order
        self,
        query: Query,
        caller: Caller,
        permit: Permit,
        plan: Plan,
        charge: Charge | None,
        frame: UnprotectedFrame,
    ) -> Reply:
        form = negotiate(query.accept, permit.delivery).format
        match plan, frame:
            case RowsPlan() | ProxyPlan(), UnprotectedRows():
                if _is_small(frame):
                    return self._masked(caller, plan, frame, form)
                return await asyncio.to_thread(self._masked, caller, plan, frame, form)
            case LookupPlan(), UnprotectedRows():
                assert charge is not None, "a lookup is charged before it is executed"  # noqa: S101
                reply = await asyncio.to_thread(self._found, caller, plan, charge, frame, form)
                if charge.claim is not None:
                    self.kept.put(charge.index, with_rules(plan, reply.content_type, reply.body))
                return reply
            case StatisticPlan(), UnprotectedIntegers():
                assert charge is not None, "a statistic is charged before it is executed"  # noqa: S101
                return await asyncio.to_thread(_noised, plan, charge, frame, form)
            case _:
                raise AssertionError("the frame is not of the plan's kind")

    def _masked(
        self, caller: Caller, plan: RowsPlan | ProxyPlan, frame: UnprotectedRows, form: Format
    ) -> Reply:
        masked = protect_rows(frame, plan.columns, pseudonyms=self.keyring.pseudonyms, recipient=caller.org)
        envelope: dict[str, object] = {
            "dataset": plan.dataset.id,
            "revision": plan.dataset.revision,
            "columns": [{"name": name, "treatment": name_of(how)} for name, how in plan.columns],
        }
        headers: tuple[tuple[str, str], ...] = ()
        if (cursor := self._cursor(plan, frame)) is not None:
            envelope["next_cursor"] = cursor
            headers = (("Gateway-Next", cursor),)
        content_type, body = write_rows(masked.columns, form, envelope)
        return Reply(
            status=200,
            content_type=content_type,
            body=body,
            headers=headers,
            facts={"rows": frame.count},
        )

    def _found(
        self, caller: Caller, plan: LookupPlan, charge: Charge, frame: UnprotectedRows, form: Format
    ) -> Reply:
        assert frame.found_by is not None, "a lookup's rows say which key found them"  # noqa: S101
        masked = protect_rows(frame, plan.columns, pseudonyms=self.keyring.pseudonyms, recipient=caller.org)
        shown = [(str(name), name_of(how)) for name, how in plan.columns]
        envelope = {
            "dataset": plan.dataset.id,
            "revision": plan.dataset.revision,
            "columns": [{"name": n, "treatment": how} for n, how in [(FOUND_BY, "position"), *shown]],
            "charge": {
                "keys": plan.loss.keys,
                "left": {
                    "client" if node.client else "organisation": {"keys": left.keys}
                    for node, left in charge.left
                    if node.org is not None  # SECURITY: never the lineage's, which tells of others
                },
            },
        }
        content_type, body = write_rows({FOUND_BY: frame.found_by, **masked.columns}, form, envelope)
        return Reply(
            status=200,
            content_type=content_type,
            body=body,
            kind=EntryKind.RELEASE,
            facts={"rows": len(frame.found_by)},
            answer=None if charge.claim is None else b"",
        )

    def _cursor(self, plan: RowsPlan | ProxyPlan, frame: UnprotectedRows) -> str | None:
        """Return where the next page starts, sealed; None after the last one."""

        def seal(opened: bytes) -> bytes:
            return self.keyring.sealer.seal(CURSOR, opened)

        match plan:
            case RowsPlan():
                return None if frame.ended_at is None else next_cursor(plan, frame.ended_at, seal)
            case ProxyPlan():
                upstream = frame.upstream_cursor
                return None if upstream is None else proxy_cursor(plan, upstream, seal)


def _is_small(frame: UnprotectedRows) -> bool:
    if frame.count * len(frame.columns) > INLINE_CELLS_MAX:
        return False
    texts = [value for values in frame.columns.values() for value in values if type(value) is str]
    return len("".join(texts)) <= INLINE_CHARACTERS_MAX and max(map(len, texts), default=0) <= INLINE_TEXT_MAX


def _noised(plan: StatisticPlan, charge: Charge, frame: UnprotectedIntegers, form: Format) -> Reply:
    statistic = protect_integers(frame, plan)
    content = {
        "dataset": plan.dataset.id,
        "revision": plan.dataset.revision,
        **document(statistic),
        "charge": _charge_document(plan, charge),
    }
    content_type, body = write_document(content, form)
    return Reply(
        status=200,
        content_type=content_type,
        body=body,
        kind=EntryKind.RELEASE,
        facts={"rows": plan.groups},
        answer=None if charge.claim is None else with_rules(plan, content_type, body),
    )


def _charge_document(plan: StatisticPlan, charge: Charge) -> dict[str, object]:
    """Return what the answer cost, with what the organisation and the client have left.

    SECURITY: never the lineage's remainder, which would show how much others ask.
    """
    assert plan.dataset.unit is not None, "a statistic has a privacy unit"  # noqa: S101
    delta = budget.headline_delta(plan.dataset.unit.units_max)
    return {
        "rho": budget.shown(plan.loss.rho),
        "epsilon": str(budget.epsilon_of(plan.loss.rho, delta)),
        "delta": f"{delta:f}",
        "protects": "one person" if plan.dataset.unit.column else "one row",
        "left": {
            "client" if node.client else "organisation": {"rho": budget.shown(left.rho)}
            for node, left in charge.left
            if node.org is not None
        },
    }


@dataclass(frozen=True, slots=True)
class Repeat:
    """The bytes that were answered under the same idempotency key; nothing is drawn or looked up anew.

    Of a repeat under other rules there is none: it would be answered as these rules did not decide.
    """

    kept: Kept

    def __call__(self, _query: Query, plan: Plan, stored: StoredAnswer) -> Reply:
        """Return them; raises AnswerGone."""
        assert isinstance(plan, LookupPlan | StatisticPlan), "only what is charged is repeated"  # noqa: S101
        rows = isinstance(plan, LookupPlan)
        answer = self.kept.get(stored.charge_index) if rows else stored.answer
        content_type, body = without_rules(plan, answer)
        return Reply(
            status=200,
            content_type=content_type,
            body=body,
            headers=(("Idempotency-Replayed", "true"),),
            facts={"repeats": stored.release_index},
        )
