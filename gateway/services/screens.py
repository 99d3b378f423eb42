"""What a person sees at ``/activate``, as data; ``gateway.web.pages`` makes HTML of it.

A screen holds texts as they are: whoever renders one must escape all of them. No screen holds a
password, a code from an authenticator, or a secret other than its one-time ticket.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gateway.terms.dataset import Title


class Notice(StrEnum):
    """What a screen tells beside its own subject; the words are the renderer's."""

    SIGN_IN_FAILED = "sign-in-failed"
    """One notice for unknown operator, wrong password, wrong or used code, other organisation."""
    TOO_MANY_ATTEMPTS = "too-many-attempts"
    NO_LONGER_WAITING = "no-longer-waiting"
    """The ticket or the request is used, too old, or unknown."""
    FORM_UNREADABLE = "form-unreadable"
    APPROVED = "approved"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """The form that asks for user code, operator, password and one-time code; all fields empty."""

    notice: Notice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a signed-in operator is asked to decide on."""

    client: str
    organisation: Title
    purpose: str
    agreement: str
    hours: int
    until: datetime
    """When the activation would end, if approved now."""
    key_phrase: str
    ticket: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The end of the way: approved, refused, or no longer possible."""

    notice: Notice


Screen = SignIn | Consent | Done


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A rendered screen: HTML, and the headers that keep it from being framed, cached or scripted."""

    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...]


Renderer = Callable[[Screen], Page]
