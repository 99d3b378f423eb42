"""One request that a person approves to be run without them: read, held against the rules, and priced.

    form -> the request to its last byte -> what the rules make of it -> what the person is shown

The gateway holds the very bytes whose digest the approval binds, and the person sees what it understood
of them: the members of the question, the dataset's own title, the price of its plan. No word of the
screen is of the client's choosing but the question itself, and of that every character shows.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NoReturn
from urllib.parse import parse_qsl

from gateway.budget import epsilon_of, headline_delta, shown
from gateway.errors import Malformed, MalformedRequest, NotPermitted, OAuthRefused
from gateway.planning.approved import effect_of
from gateway.planning.body import members_of
from gateway.planning.controlled import require_uncontrolled
from gateway.planning.describe import most_vnd
from gateway.planning.price import WAYS
from gateway.planning.proxy import plan_proxy
from gateway.planning.rows import plan_rows
from gateway.planning.sql import has_comment
from gateway.planning.statistic import plan_statistic
from gateway.policy.decide import Ask, Judged, judged
from gateway.policy.rules import Rules
from gateway.registry.registry import Standing
from gateway.registry.saved_request import SAVED_MAX, SAVED_PULLS
from gateway.services.devices import SavedAsk
from gateway.services.forms import Form, field_of
from gateway.services.offers import AsClient
from gateway.services.ports import Routed
from gateway.services.screens import Opened, SavedShown
from gateway.terms.identifiers import DatasetId, PurposeId
from gateway.terms.loss import PicoRho
from gateway.terms.permit import Permit, Refusal
from gateway.terms.plan import Plan, ProxyPlan, RowsPlan, StatisticPlan
from gateway.terms.query import Action

SEALED: Final = "saved-request"
"""What the seal of an approved request's text is for."""
REFUSED: Final = "invalid_authorization_details"
"""The code of a saved request that nobody can approve (RFC 9396 section 5)."""
BODY_BYTES_MAX: Final = 4096
LINES_MAX: Final = 60
DAY_S: Final = 86_400
_FIELDS: Final = ("saved_method", "saved_path", "saved_query", "saved_body", "saved_days")
_MEMBERS: Final = ("sql", *WAYS, "select", "where", "limit")
"""Of all questions; the plan of one has refused those that are not its own."""
_METHOD: Final = re.compile(r"[A-Z]{3,8}")
_TARGET: Final = re.compile(r"[\x21-\x7e]*")
_DAYS: Final = re.compile(r"[1-9]|[12][0-9]|30")
_SHOWN: Final = frozenset("LNPS")
"""Kinds of character that are seen, by themselves: letters, numbers, punctuation, symbols."""
_UNSEEN: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0\U00013441\U00013442\U0001d159")
"""Letters and symbols that no screen shows."""
_MARKS: Final = frozenset("↵·\\")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What no run goes beyond: what the person was shown, by the rules in force at that moment."""

    effect: str
    """``planning.approved.effect_of`` the request."""
    pico_rho_max: PicoRho
    vnd_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedOffer:
    """A saved request that a person may approve."""

    shown: SavedShown
    bounds: Bounds


def saved_of(form: Form) -> SavedAsk | None:
    """Return the request that a form wants saved; None where it wants none.

    Raises:
        MalformedRequest: It is not well formed.

    """
    if not any(name in form for name in _FIELDS):
        return None
    days, body = field_of(form, "saved_days"), form.get("saved_body", "")
    asked = SavedAsk(
        method=field_of(form, "saved_method"),
        path=field_of(form, "saved_path"),
        query_string=form.get("saved_query", ""),
        body=body,
        days=int(days) if _DAYS.fullmatch(days) else 0,
    )
    if "hours" in form or not asked.days:
        raise MalformedRequest(f"field `saved_days` is a number from 1 to {SAVED_MAX.days}, without `hours`")
    if _METHOD.fullmatch(asked.method) is None or "?" in asked.path:
        raise MalformedRequest("fields `saved_method` and `saved_path` name no request")
    if _TARGET.fullmatch(asked.path) is None or _TARGET.fullmatch(asked.query_string) is None:
        raise MalformedRequest("fields `saved_path` and `saved_query` are visible ASCII")
    if len(body.encode("utf-8")) > BODY_BYTES_MAX:
        raise MalformedRequest(f"field `saved_body` has at most {BODY_BYTES_MAX} bytes")
    return asked


def offered(
    asked: SavedAsk,
    route: Routed | None,
    *,
    chain: Standing,
    purpose: PurposeId,
    rules: Mapping[DatasetId, Rules],
    now: datetime,
) -> SavedOffer:
    """Return what a person is asked to approve; reads SQL, so it takes milliseconds.

    Raises:
        OAuthRefused: Nobody could approve it: the rules do not allow it, or it cannot be asked.

    """
    document = None if route is None else rules.get(route.dataset)
    if route is None or document is None:
        _refuse("a saved request is one for rows or for a statistic of a dataset")
    if not document.valid_from <= now.astimezone(UTC).date() <= document.valid_until:
        _refuse("the sharing rules of the dataset are not in force today")
    found = judged(Ask(caller=AsClient(chain, purpose), action=route.action, now=now), document)
    permit = _allowed(found, asked.days)
    try:
        plan, question = _read(asked, route, permit)
        require_uncontrolled(plan, permit)
    except (Malformed, NotPermitted) as error:
        raise OAuthRefused(REFUSED, error.detail) from error
    if sum(text.count("\n") + 1 for _, text in question) > LINES_MAX:
        _refuse(f"a saved request has at most {LINES_MAX} lines, so that a person can read it")
    title, of_rows = document.offer.title, isinstance(plan, RowsPlan | ProxyPlan)
    vnd = most_vnd(permit.price, plan)
    return SavedOffer(
        shown=SavedShown(
            request=f"{asked.method} {asked.path}",
            dataset=Opened(id=route.dataset, title=title, actions=(route.action,)),
            question=tuple((visible(name), visible(text)) for name, text in question),
            days=asked.days,
            columns=plan.columns if isinstance(plan, RowsPlan | ProxyPlan) else (),
            rows_max=plan.rows_max if isinstance(plan, RowsPlan | ProxyPlan) else 0,
            costs=_costs(plan, asked.days),
            vnd=(vnd, vnd * asked.days * (SAVED_PULLS if of_rows else 1)) if vnd else None,
        ),
        bounds=Bounds(
            effect=effect_of(plan),
            pico_rho_max=plan.loss.rho if isinstance(plan, StatisticPlan) else PicoRho(0),
            vnd_max=vnd,
        ),
    )


def _allowed(found: Judged | Refusal, days: int) -> Permit:
    """Return the permit, if it lets this be run without a person for so many days."""
    if isinstance(found, Refusal):
        _refuse("no sharing rule of the dataset permits this purpose to do this")
    if found.unattended_s is None:
        _refuse("no sharing rule of the dataset permits this while nobody is there")
    if days * DAY_S > found.unattended_s:
        _refuse(f"the sharing rules permit this without a person for {found.unattended_s // DAY_S} days")
    return found.permit


def _read(asked: SavedAsk, route: Routed, permit: Permit) -> tuple[Plan, list[tuple[str, str]]]:
    """Return the plan of a request, and all that it says, as the gateway understands it."""
    body = asked.body.encode("utf-8")
    if route.action is Action.PROXY:
        if body:
            raise MalformedRequest("a request to an upstream's path has no body")
        path = route.upstream_path or "/"
        plan: Plan = plan_proxy(path, asked.query_string, permit, order_key=bytes(32), unseal=_no_cursor)
        return plan, [("path", path), *parse_qsl(asked.query_string, keep_blank_values=True)]
    if asked.query_string:  # nothing reads it, so a person would be told what does not count
        raise MalformedRequest("a saved question has no query string")
    if route.action is Action.AGGREGATE:
        plan = plan_statistic(body, permit)
    elif route.action is Action.EXTRACT:
        plan = plan_rows(body, permit, order_key=bytes(32), unseal=_no_cursor)
    else:
        raise MalformedRequest("rows and statistics can be saved, nothing else")
    members = members_of(body, allowed=_MEMBERS)
    if has_comment(str(members.get("sql", ""))):  # a person would read what does not count
        raise MalformedRequest("a saved question has no comments")
    return plan, [(name, _text_of(value)) for name, value in members.items()]


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _no_cursor(_sealed: bytes) -> NoReturn:
    raise MalformedRequest("a saved request has no cursor: it begins at the first row each time")


def _costs(plan: Plan, days: int) -> tuple[str, str] | None:
    """Return the epsilon of one run, and of one a day until the end; None where rows cost none."""
    if not isinstance(plan, StatisticPlan):
        return None
    assert plan.dataset.unit is not None, "a statistic has a privacy unit"  # noqa: S101
    delta = headline_delta(plan.dataset.unit.units_max)
    each, all_of_them = plan.loss.rho, PicoRho(plan.loss.rho * days)
    return (
        f"epsilon\u00a0{epsilon_of(each, delta)} (rho\u00a0{shown(each)})",
        f"epsilon\u00a0{epsilon_of(all_of_them, delta)} (rho\u00a0{shown(all_of_them)})",
    )


def visible(text: str) -> str:
    """Return a text in which every character is seen, in the order in which the gateway reads them.

    SECURITY: what directs, hides or covers other characters (bidi controls, zero widths, combining
    marks, blanks of all kinds) is spelt out; a line's end shows its mark, and so does a blank that does
    not stand alone between others. No two texts look the same: what is a mark here is spelt out itself.
    """
    return "".join(map(_visible, text, f" {text}"))


def _visible(letter: str, before: str) -> str:
    if letter == "\n":
        return "↵\n"
    if letter == " ":
        return "·" if before in " \n" else " "
    if unicodedata.category(letter)[0] in _SHOWN and letter not in _UNSEEN and letter not in _MARKS:
        return letter
    return f"\\u{{{ord(letter):X}}}"


def _refuse(detail: str) -> NoReturn:
    raise OAuthRefused(REFUSED, detail)
