"""Every condition the gateway names, in one tree.

    GatewayError
    ├── Malformed                     the request cannot be read
    │   ├── MalformedRequest          body, parameter or header is not what the contract says
    │   ├── QuestionRefused           well-formed, but outside what can be asked (names what and why)
    │   ├── BodyTooLarge
    │   ├── NotAcceptable             no format the caller accepts
    │   ├── EncryptionKeyRequired     no key to encrypt the reply to
    │   ├── UnsupportedContent        a content type the path does not take
    │   ├── PathUnknown
    │   └── MethodNotAllowed
    ├── NotAuthenticated              credentials missing, malformed, expired, revoked or not bound
    │   ├── ProofNonceRequired        the proof carries no nonce of ours, or an old one
    │   ├── ProofRefused              the proof does not prove this request
    │   ├── RequestNotSaved           the token is for one saved request, and this is another
    │   └── StepUpRequired            a stronger or fresher activation is needed (RFC 9470)
    ├── OAuthRefused                  an OAuth endpoint says no, in OAuth's own words (RFC 6749)
    ├── NotPermitted                  no sharing rule permits this, or one forbids it
    ├── Frozen                        somebody stopped what is asked for, until two people lift it
    ├── DatasetUnknown
    ├── BudgetExhausted               it would cost more than is left somewhere
    ├── KeysExhausted                 it would try more keys than are left somewhere
    ├── AnswerGone                    kept no longer, or answered under other rules
    ├── IdempotencyMismatch           the key was used for another request
    ├── IdempotencyInProgress         the first request of that key is not finished
    ├── TooManyAttempts               sign-in or activation tried too often
    ├── TooBusy                       no place at the engine; nothing was charged
    ├── ChargedFailure                whatever went wrong after the charge (promise P5)
    ├── LedgerUnavailable             the reply cannot be recorded, so it does not leave (P1)
    ├── EngineFailed                  an engine could not answer; callers see ChargedFailure
    │   └── DataChanged               a page goes on in a state of the source that is no more
    ├── RulesInvalid                  a sharing-rules document does not load
    ├── ActRefused                    what an administrator wants cannot be done as things stand
    └── HomeInvalid                   the installation's folder is not as it must be

A disk that cannot sync is not in the tree: the ledger ends the process, because its state is unknown.
``detail`` is a sentence for the outsider: lower case, no full stop, never a cell value, token or key.
``problems.py`` alone knows HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.terms.caller import Assurance
from gateway.terms.loss import Loss


class GatewayError(Exception):
    """A named condition; ``detail`` may be shown to the caller."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def members(self) -> Mapping[str, object]:
        """Return what the problem document says beyond the standard members."""
        return {}


class Malformed(GatewayError):
    """The request cannot be read."""


class MalformedRequest(Malformed):
    """A body, parameter or header is not what the contract says."""


class QuestionRefused(Malformed):
    """The question is well formed but outside what can be asked; ``about`` names the offending word."""

    def __init__(self, detail: str, *, about: str = "", nearest: str = "") -> None:
        super().__init__(detail)
        self.about = about
        self.nearest = nearest

    def members(self) -> Mapping[str, object]:
        return {k: v for k, v in (("about", self.about), ("nearest", self.nearest)) if v}


class BodyTooLarge(Malformed):
    """The body is larger than the path takes."""


class EncryptionKeyRequired(Malformed):
    """The reply would be encrypted, and the client has no key to encrypt to."""


class NotAcceptable(Malformed):
    """The caller accepts no format that the gateway writes."""


class UnsupportedContent(Malformed):
    """The path does not take this content type."""


class PathUnknown(Malformed):
    """There is nothing at this path."""


class MethodNotAllowed(Malformed):
    """The path exists, but not for this method."""

    def __init__(self, detail: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(detail)
        self.allowed = allowed


class NotAuthenticated(GatewayError):
    """Credentials are missing, malformed, expired, revoked, or not bound to this caller.

    ``cause`` is for the ledger; the outsider learns no more than ``detail``.
    """

    def __init__(self, detail: str = "credentials not accepted", *, cause: str = "") -> None:
        super().__init__(detail)
        self.cause = cause or detail


class ProofNonceRequired(NotAuthenticated):
    """The DPoP proof must carry the server's current nonce (RFC 9449 section 9)."""


class ProofRefused(NotAuthenticated):
    """The DPoP proof does not prove this very request (RFC 9449 section 4.3)."""


class RequestNotSaved(NotAuthenticated):
    """The token is for one request that a person approved, and this is another (RFC 6750 section 3.1)."""


class StepUpRequired(NotAuthenticated):
    """A stronger or fresher activation is needed (RFC 9470)."""

    def __init__(self, detail: str, *, needed: Assurance, age_max_s: int | None) -> None:
        super().__init__(detail)
        self.needed = needed
        self.age_max_s = age_max_s

    def members(self) -> Mapping[str, object]:
        age = {} if self.age_max_s is None else {"max_age": self.age_max_s}
        return {"required": {"acr": [self.needed.acr], **age}}


class OAuthRefused(GatewayError):
    """An OAuth endpoint refuses; ``code`` is RFC 6749's, RFC 8628's or RFC 9449's word."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class NotPermitted(GatewayError):
    """No sharing rule permits this, or one forbids it."""

    def __init__(self, detail: str, *, reason: str, rules: frozenset[str] = frozenset()) -> None:
        super().__init__(detail)
        self.reason = reason
        self.rules = rules

    def members(self) -> Mapping[str, object]:
        return {"reason": self.reason}


class Frozen(GatewayError):
    """Somebody stopped the dataset, or everything; two other people can lift it."""


class DatasetUnknown(GatewayError):
    """There is no dataset of that name."""


class BudgetExhausted(GatewayError):
    """The answer would cost more privacy loss than the caller has left.

    SECURITY: ``left`` is the caller's own (organisation or client), never the lineage's, which
    would show what others ask.
    """

    def __init__(self, detail: str, *, cost: Loss, left: Loss | None) -> None:
        super().__init__(detail)
        self.cost = cost
        self.left = left

    def members(self) -> Mapping[str, object]:
        left = {} if self.left is None else {"pico_rho_left": self.left.rho}
        return {"pico_rho_cost": self.cost.rho, **left}


class KeysExhausted(GatewayError):
    """The lookup would try more keys than the caller has left.

    SECURITY: ``left`` is the caller's own (organisation or client), never the lineage's.
    """

    def __init__(self, detail: str, *, cost: Loss, left: Loss | None) -> None:
        super().__init__(detail)
        self.cost = cost
        self.left = left

    def members(self) -> Mapping[str, object]:
        left = {} if self.left is None else {"keys_left": self.left.keys}
        return {"keys_cost": self.cost.keys, **left}


class AnswerGone(GatewayError):
    """An idempotency key's answer is kept no longer, or was made under other rules; the charge stays."""


class IdempotencyMismatch(GatewayError):
    """The idempotency key was used for another request."""


class IdempotencyInProgress(GatewayError):
    """The first request of that idempotency key has not been answered yet."""


class TooManyAttempts(GatewayError):
    """Sign-in or activation was tried too often; ``retry_after_s`` says when to come back."""

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class TooBusy(GatewayError):
    """More is asked at once than can be answered; turned away before anything is charged."""


class ChargedFailure(GatewayError):
    """Something failed after the charge; the same words whatever it was (promise P5)."""

    def __init__(self, charge_index: int | None) -> None:
        super().__init__("the request failed after it was accepted; a charge stays")
        self.charge_index = charge_index


class LedgerUnavailable(GatewayError):
    """The ledger cannot record, so nothing is sent (promise P1)."""


class EngineFailed(GatewayError):
    """An engine could not answer in time or at all."""


class DataChanged(EngineFailed):
    """A cursor is of a state of the source that is no more: its pages would repeat and miss rows."""

    def __init__(self) -> None:
        super().__init__("the data changed since that cursor was given; nothing was charged, start again")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a document, with where and what would be right."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class RulesInvalid(GatewayError):
    """A sharing-rules document does not load; its last good revision stays active."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class ActRefused(GatewayError):
    """What an administrator wants done cannot be done as things stand; nothing changed."""


class HomeInvalid(GatewayError):
    """The installation's folder is missing something or holds something unreadable."""
