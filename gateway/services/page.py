"""What every page that people use answers with: a screen, and an entry that tells what happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gateway.registry.records import Operator
from gateway.services.asking import Event
from gateway.services.forms import private_of
from gateway.services.ports import EnrolmentPorts
from gateway.services.screens import Done, Notice, PageName, Screen, SignIn
from gateway.services.sign_in import Failed, passkey_offer
from gateway.terms.entry import Change, EntryKind, Fact
from gateway.terms.identifiers import OperatorId
from gateway.terms.query import Query
from gateway.terms.reply import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one request: the screen to show, and what its entry says or commits to."""

    screen: Screen
    facts: Mapping[str, Fact]
    status: int = 200
    operator: OperatorId | None = None
    """A record's: what was typed as a name may be a password."""
    refused: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    changes: tuple[Change, ...] = field(default=(), repr=False)
    saved: str = field(default="", repr=False)
    """The saved request that the person saw."""

    @property
    def kind(self) -> EntryKind:
        """What the entry is."""
        if self.refused:
            return EntryKind.DENY
        return EntryKind.CONFIG if self.changes else EntryKind.SINGLE


def reply_of(query: Query, outcome: Outcome, ports: EnrolmentPorts) -> Reply:
    """Return the reply that shows an outcome.

    SECURITY: the entry goes to the caller with the receipt, so it has the same members whoever it was.
    """
    page = ports.render(outcome.screen)
    return Reply(
        status=outcome.status,
        content_type="text/html; charset=utf-8",
        body=page.body,
        headers=(*page.headers, *outcome.headers),
        kind=outcome.kind,
        facts=outcome.facts,
        private=private_of(query, operator=outcome.operator or "", **_saved(outcome)),
        changes=outcome.changes,
    )


def _saved(outcome: Outcome) -> dict[str, str]:
    return {"saved": outcome.saved} if outcome.saved else {}


def sign_in_page(page: PageName, event: Event, ports: EnrolmentPorts, now: datetime) -> Outcome:
    """Return the empty form."""
    screen = SignIn(page=page, passkey=passkey_offer(page, ports, now))
    return Outcome(screen=screen, facts={"event": event.value})


def not_signed_in(
    page: PageName, notice: Notice, ports: EnrolmentPorts, now: datetime, *, status: int = 403
) -> Outcome:
    """Return the form again, with what is to be told."""
    screen = SignIn(page=page, passkey=passkey_offer(page, ports, now), notice=notice)
    facts = {"event": Event.SIGN_IN.value, "why": notice.value}
    return Outcome(screen=screen, facts=facts, status=status, refused=True)


def failed(page: PageName, failure: Failed, ports: EnrolmentPorts, now: datetime) -> Outcome:
    """Return the form again after a failed sign-in."""
    wait = failure.notice is Notice.TOO_MANY_ATTEMPTS
    again = not_signed_in(page, failure.notice, ports, now, status=429 if wait else 403)
    return Outcome(
        screen=again.screen,
        facts=again.facts,
        status=again.status,
        operator=failure.operator,
        refused=True,
        headers=(("Retry-After", str(failure.wait_s)),) if wait else (),
    )


def over(notice: Notice, event: Event, *, status: int = 403, operator: Operator | None = None) -> Outcome:
    """Return the end of a way that leads nowhere."""
    return Outcome(
        screen=Done(notice=notice),
        facts={"event": event.value, "why": notice.value},
        status=status,
        operator=None if operator is None else operator.id,
        refused=True,
    )
