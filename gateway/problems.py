"""Errors as RFC 9457 problem documents, from one closed table; only this file knows HTTP statuses.

An exception outside the tree is a bug: it becomes ``internal`` and not one word of it leaves the
gateway. Every slug is described in docs/problems.md (a test keeps it so).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway import errors
from gateway.terms.entry import EntryKind
from gateway.terms.identifiers import RequestId
from gateway.terms.reply import Reply, Unrecorded

CONTENT_TYPE: Final = "application/problem+json"
TYPE_URI: Final = "urn:problem:gateway:"
SERVER_FAULT: Final = 500
RETRY_AFTER_S: Final = 2


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem; ``slug`` is public and permanent."""

    slug: str
    status: int
    title: str


PROBLEM_TYPES: Final[Mapping[type[Exception], ProblemType]] = {
    errors.MalformedRequest: ProblemType("malformed-request", 400, "The request cannot be read"),
    errors.QuestionRefused: ProblemType("question-refused", 422, "This cannot be asked"),
    errors.BodyTooLarge: ProblemType("body-too-large", 413, "The body is too large"),
    errors.NotAcceptable: ProblemType("not-acceptable", 406, "No format that you accept"),
    errors.EncryptionKeyRequired: ProblemType("encryption-key-required", 403, "No key to encrypt to"),
    errors.UnsupportedContent: ProblemType("unsupported-content", 415, "Content type not taken here"),
    errors.PathUnknown: ProblemType("path-unknown", 404, "Nothing at this path"),
    errors.MethodNotAllowed: ProblemType("method-not-allowed", 405, "Method not allowed here"),
    errors.NotAuthenticated: ProblemType("not-authenticated", 401, "Credentials not accepted"),
    errors.ProofNonceRequired: ProblemType("proof-nonce-required", 401, "The proof needs a fresh nonce"),
    errors.ProofRefused: ProblemType("proof-refused", 401, "The proof does not prove this request"),
    errors.RequestNotSaved: ProblemType("request-not-saved", 403, "This token is for another request"),
    errors.StepUpRequired: ProblemType("step-up", 401, "Stronger authentication required"),
    errors.NotPermitted: ProblemType("not-permitted", 403, "No sharing rule permits this"),
    errors.Frozen: ProblemType("frozen", 403, "Stopped for now"),
    errors.DatasetUnknown: ProblemType("dataset-unknown", 404, "No dataset of that name"),
    errors.BudgetExhausted: ProblemType("budget-exhausted", 429, "Privacy budget exhausted"),
    errors.KeysExhausted: ProblemType("keys-exhausted", 429, "No keys left to try"),
    errors.AnswerGone: ProblemType("answer-gone", 410, "The answer is kept no longer"),
    errors.IdempotencyMismatch: ProblemType("idempotency-mismatch", 422, "Idempotency key used otherwise"),
    errors.IdempotencyInProgress: ProblemType("idempotency-in-progress", 409, "Still being answered"),
    errors.DataChanged: ProblemType("data-changed", 409, "The data changed between two pages"),
    errors.TooManyAttempts: ProblemType("too-many-attempts", 429, "Too many attempts"),
    errors.TooBusy: ProblemType("too-busy", 503, "Too many requests at once"),
    errors.ChargedFailure: ProblemType("charged-failure", 500, "The request failed"),
    errors.LedgerUnavailable: ProblemType("ledger-unavailable", 503, "Reply not recordable"),
}
INTERNAL: Final = ProblemType("internal", 500, "The gateway failed")

CHALLENGES: Final[Mapping[type[Exception], str]] = {
    errors.NotAuthenticated: "invalid_token",
    errors.ProofNonceRequired: "use_dpop_nonce",
    errors.ProofRefused: "invalid_dpop_proof",
    errors.RequestNotSaved: "insufficient_scope",
    errors.StepUpRequired: "insufficient_user_authentication",
}


def kind_of(error: Exception) -> ProblemType:
    """Return the row of the table for an error; anything unknown is ``internal``."""
    return PROBLEM_TYPES.get(type(error), INTERNAL)


def problem(error: Exception, request_id: RequestId) -> Reply:
    """Return the problem response for ``error``; the standard members win over an error's own."""
    kind = kind_of(error)
    known = isinstance(error, errors.GatewayError) and kind is not INTERNAL
    public = {**error.members(), "detail": error.detail} if known else {}  # type: ignore[attr-defined]
    content = public | {
        "type": TYPE_URI + kind.slug,
        "title": kind.title,
        "status": kind.status,
        "instance": f"urn:uuid:{request_id}",
    }
    return Reply(
        status=kind.status,
        content_type=CONTENT_TYPE,
        body=json.dumps(content, sort_keys=True, ensure_ascii=False).encode(),
        headers=_headers(error),
        kind=EntryKind.ERROR if kind.status >= SERVER_FAULT else EntryKind.DENY,
        facts={"why": kind.slug},
    )


def unrecorded(_error: Exception, request_id: RequestId) -> Unrecorded:
    """Return the 503 for a reply that could not be recorded; the cause stays inside."""
    return Unrecorded(problem(errors.LedgerUnavailable("try again later"), request_id))


def _headers(error: Exception) -> tuple[tuple[str, str], ...]:
    """Return the headers that go with an error (RFC 9110, 6750, 9449, 9470)."""
    match error:
        case errors.NotAuthenticated():
            return (("WWW-Authenticate", _challenge(error)),)
        case errors.MethodNotAllowed():
            return (("Allow", ", ".join(error.allowed)),)
        case errors.TooManyAttempts():
            return (("Retry-After", str(error.retry_after_s)),)
        case errors.LedgerUnavailable() | errors.IdempotencyInProgress() | errors.TooBusy():
            return (("Retry-After", str(RETRY_AFTER_S)),)
        case _:
            return ()


def _challenge(error: errors.NotAuthenticated) -> str:
    """Return the DPoP challenge (RFC 9449 section 7.1; RFC 9470 section 3 for step-up)."""
    parts = [f'error="{CHALLENGES.get(type(error), "invalid_token")}"', 'algs="ES256 EdDSA"']
    if isinstance(error, errors.StepUpRequired):
        parts.append(f'acr_values="{error.needed.acr}"')
        if error.age_max_s is not None:
            parts.append(f'max_age="{error.age_max_s}"')
    return "DPoP " + ", ".join(parts)
