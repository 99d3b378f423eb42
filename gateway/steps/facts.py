"""What a request's entry says in clear, and what it only commits to (promise P9).

In clear: organisations, clients, agreements, purposes, datasets, counts, prices: names that agencies
gave. Committed: what a person or a firm wrote or what points to a person (the question, its digest,
the operator, the token's id, the address), and what an agency keeps to itself (which rules decided):
the entry goes to the caller with the receipt. No client text is ever in clear.
"""

from collections.abc import Mapping

from gateway.errors import (
    ChargedFailure,
    Frozen,
    GatewayError,
    NotAuthenticated,
    NotPermitted,
    QuestionRefused,
)
from gateway.problems import kind_of
from gateway.terms.entry import Fact
from gateway.terms.plan import LookupPlan, ProxyPlan, RowsPlan, StatisticPlan
from gateway.terms.query import Action, Query
from gateway.terms.seen import Seen
from gateway.terms.treatment import name_of


def facts_of(query: Query, seen: Seen) -> Mapping[str, Fact]:
    """Return the facts known so far, for a CHARGE or a RELEASE."""
    facts: dict[str, Fact] = {}
    if caller := seen.caller:
        facts |= {"org": caller.org, "client": caller.client, "agreement": caller.agreement}
        facts |= {"purpose": caller.purpose, "acr": caller.assurance.acr, "key": caller.key}
        if caller.saved is not None:
            facts |= {"activation": caller.saved.activation, "run": caller.saved.number}
    if permit := seen.permit:
        facts |= {"dataset": permit.dataset.id, "revision": permit.dataset.revision}
        facts |= {"rules_sha256": permit.dataset.digest}
        facts |= {"action": permit.action, "dry_run": query.dry_run}
        if permit.inspection_ppm:
            facts |= {"inspection_ppm": permit.inspection_ppm}
    if isinstance(seen.plan, LookupPlan):
        facts |= {"keys": seen.plan.loss.keys}
    match seen.plan:
        case RowsPlan(columns=columns) | LookupPlan(columns=columns) | ProxyPlan(columns=columns):
            facts |= {"treatments": _counted([name_of(treatment) for _, treatment in columns])}
        case StatisticPlan() as plan:
            facts |= {"price_pico_rho": str(plan.loss.rho), "groups": plan.groups}
            facts |= {"price_pico_delta": str(plan.loss.delta)}
        case None:
            pass
    return facts | _refusal(seen.error)


def private_of(query: Query, seen: Seen) -> Mapping[str, bytes]:
    """Return the values that the entry commits to and whose openings can be destroyed."""
    private = {"peer": query.peer.encode(), "question": _question(query, seen)}
    if caller := seen.caller:
        private["token"] = caller.token_id.encode()
        if caller.operator is not None:
            private["operator"] = caller.operator.encode()
    if isinstance(seen.plan, StatisticPlan | LookupPlan):
        # SECURITY: a bare digest of a question can be guessed; the commitment is salted.
        private["plan"] = seen.plan.digest.encode()
    if rules := _deciding(seen):
        private["by"] = " ".join(sorted(rules)).encode()
    if query.traceparent:
        private["trace"] = query.traceparent.encode()
    if isinstance(error := _told(seen.error), GatewayError):
        cause = error.cause if isinstance(error, NotAuthenticated) else error.detail
        private["cause"] = cause.encode(errors="replace")
    return private


def _told(error: Exception | None) -> BaseException | None:
    """Return what to name as the cause; of what was stopped in flight, why, which the outside is not told."""
    inner = error.__cause__ if isinstance(error, ChargedFailure) else None
    return inner if isinstance(inner, NotAuthenticated | Frozen) else error


def _deciding(seen: Seen) -> frozenset[str]:
    if isinstance(seen.error, NotPermitted):
        return seen.error.rules
    return frozenset() if seen.permit is None else seen.permit.rules


def _question(query: Query, seen: Seen) -> bytes:
    """Return what was asked. SECURITY: a body that is no question may hold a password, so it stays out.

    A firm's keys are personal data of others: which lookup it was says the plan's digest, which is keyed. A
    firm may send them to another path by mistake: what was not read as that path's question stays out too.
    """
    is_read = seen.plan is not None or isinstance(seen.error, QuestionRefused)
    if query.action is Action.LOOKUP or not (is_read or query.action is None):
        return f"{query.method} {query.path}\n".encode(errors="replace")
    line = f"{query.method} {query.path}?{query.query_string}\n"
    return line.encode(errors="replace") + (query.body if query.action is not None else b"")


def _refusal(error: Exception | None) -> dict[str, Fact]:
    if error is None:
        return {}
    if isinstance(error, NotPermitted):
        return {"why": kind_of(error).slug, "reason": error.reason}
    return {"why": kind_of(error).slug}


def _counted(names: list[str]) -> dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}
