"""What a person sees at ``/activate`` and ``/account``, as data; ``gateway.web.pages`` makes HTML of it.

A screen holds texts as they are: whoever renders one must escape all of them. No screen holds a
password, a code from an authenticator, or a secret other than its one-time ticket; recovery codes and an
authenticator's new secret are shown once, where they are made.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from gateway.terms.dataset import Title
from gateway.terms.query import Action
from gateway.terms.treatment import Treatment


class PageName(StrEnum):
    """The pages that people sign in at, by their paths."""

    ACTIVATE = "/activate"
    ACCOUNT = "/account"


class Notice(StrEnum):
    """What a screen tells beside its own subject; the words are the renderer's."""

    SIGN_IN_FAILED = "sign-in-failed"
    """One notice for unknown operator, wrong password, wrong or used code, other organisation."""
    CODE_NEEDED = "code-needed"
    """The passkey is right, but may lie on other devices too."""
    TOO_MANY_ATTEMPTS = "too-many-attempts"
    NO_LONGER_WAITING = "no-longer-waiting"
    """The ticket or the request is used, too old, or unknown."""
    FORM_UNREADABLE = "form-unreadable"
    APPROVED = "approved"
    REFUSED = "refused"
    SIGNED_OUT = "signed-out"
    """The account's ticket is used, too old, or unknown."""
    PASSKEY_ADDED = "passkey-added"
    PASSKEY_NOT_ADDED = "passkey-not-added"
    PASSKEY_REMOVED = "passkey-removed"
    CODES_MADE = "codes-made"
    ACTIVATION_ENDED = "activation-ended"
    ENROLMENT_FAILED = "enrolment-failed"
    """One notice for unknown operator, wrong, used or expired code, and a ticket that is over."""
    PASSWORD_UNFIT = "password-unfit"  # noqa: S105  a word
    PASSWORDS_DIFFER = "passwords-differ"
    CODE_UNFIT = "code-unfit"
    ENROLLED = "enrolled"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyOffer:
    """What a page's script needs to ask for a passkey."""

    rp_id: str
    challenge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """The form that asks for passkey, or name, password and code; all fields empty.

    At ``/activate`` it asks for the code of the waiting request too.
    """

    page: PageName
    passkey: PasskeyOffer | None
    """None where the gateway's address can have no passkeys."""
    notice: Notice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A dataset that a purpose opens, by the rules in force, and for what."""

    id: str
    title: Title
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedShown:
    """One request that is to be run without the person; its texts are spelt out by ``saved.visible``."""

    request: str
    """Method and path."""
    dataset: Opened
    question: tuple[tuple[str, str], ...]
    """All that the request says, by name, as the gateway understands it."""
    days: int
    columns: tuple[tuple[str, Treatment], ...]
    """What leaves of each row, and how; empty for a statistic, whose question names it."""
    rows_max: int
    """Rows of one run; 0 for a statistic."""
    costs: tuple[str, str] | None
    """Privacy budget of one run, and of all of them; None where there is no cost."""
    vnd: tuple[int, int] | None
    """The most of one run, and of all of them, in dong; None where nothing is paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a signed-in operator is asked to decide on."""

    client: str
    organisation: Title
    purpose: str
    purpose_words: Title | None
    """What the rules call the purpose; None where none in force knows it."""
    agreement: str
    datasets: tuple[Opened, ...]
    hours: int
    until: datetime
    """When the activation would end, if approved now."""
    key_phrase: str
    ticket: str = field(repr=False)
    saved: SavedShown | None = None
    """Set where one request only is asked for; then nothing else is opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyCreation:
    """What a page's script needs to have a passkey made."""

    rp_id: str
    challenge: str
    user_handle: str
    exclude: tuple[str, ...]
    """Credentials that the operator has already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyShown:
    """One passkey of the operator."""

    id: str
    added_on: date
    synced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationShown:
    """What somebody of the organisation approved, and is not over."""

    id: str
    client: str
    operator: str
    """Who approved it."""
    saved: str | None
    """The one request, spelt out by ``saved.visible``; None: whatever is asked."""
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How an operator signs in, and the buttons that change it."""

    operator: str
    name: str
    passkeys: tuple[PasskeyShown, ...]
    creation: PasskeyCreation | None
    codes_left: int
    activations: tuple[ActivationShown, ...]
    activations_more: int
    """Of the organisation's, beyond those that are shown."""
    ticket: str = field(repr=False)
    new_codes: tuple[str, ...] = field(default=(), repr=False)
    notice: Notice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The end of the way: approved, refused, or no longer possible."""

    notice: Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """The form that asks for a name and the enrolment code; both empty."""

    notice: Notice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """The form that shows a person their authenticator's secret, and asks for its code and a password."""

    operator: str
    name: str
    uri: str = field(repr=False)
    """Holds the secret."""
    ticket: str = field(repr=False)
    notice: Notice | None = None

    @property
    def secret(self) -> str:
        """The secret in groups of four, to be typed."""
        text = self.uri.partition("secret=")[2].partition("&")[0]
        return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


Screen = SignIn | Consent | Account | Enrolment | Factors | Done


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A rendered screen: HTML, and the headers that keep it from being framed, cached or scripted."""

    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...]


Renderer = Callable[[Screen], Page]
