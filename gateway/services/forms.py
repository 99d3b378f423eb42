"""Forms in, OAuth answers out: the wire format that every OAuth endpoint shares.

RFC 6749 section 3.2 (a parameter comes once, or not at all) and section 5 (answers are JSON and are
never cached). The errors' codes are the RFCs' own words; no other text of the caller comes back.
"""

import json
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from gateway.errors import (
    Malformed,
    MalformedRequest,
    NotAuthenticated,
    OAuthRefused,
    ProofNonceRequired,
    ProofRefused,
)
from gateway.terms.entry import Change, EntryKind, Fact
from gateway.terms.query import Query
from gateway.terms.reply import Reply

FORM_TYPE: Final = "application/x-www-form-urlencoded"
FORM_BYTES_MAX: Final = 16_384
FIELDS_MAX: Final = 16
NO_STORE: Final = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._@#-]{0,99}")

Form = Mapping[str, str]


def form_of(query: Query) -> Form:
    """Return the fields of a posted form, each once; empty ones count as absent (RFC 6749 section 3.2).

    Raises:
        MalformedRequest: Another content type, too large, not a form, or a field twice.

    """
    if query.content_type.partition(";")[0].strip().lower() != FORM_TYPE:
        raise MalformedRequest(f"the body is a form: Content-Type `{FORM_TYPE}`")
    if len(query.body) > FORM_BYTES_MAX:
        raise MalformedRequest(f"a form has at most {FORM_BYTES_MAX} bytes")
    try:
        pairs = parse_qsl(
            query.body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=FIELDS_MAX,
        )
    except ValueError as error:
        raise MalformedRequest("the body is not a form, or has too many fields") from error
    if len({name for name, _ in pairs}) != len(pairs):
        raise MalformedRequest("a field of the form occurs more than once")
    return {name: value for name, value in pairs if value}


def field_of(form: Form, name: str) -> str:
    """Return one required field.

    Raises:
        MalformedRequest: It is missing.

    """
    value = form.get(name)
    if value is None:
        raise MalformedRequest(f"field `{name}` is missing")
    return value


def id_of(form: Form, name: str) -> str:
    """Return a required field that is an identifier.

    Raises:
        MalformedRequest: It is missing, or no identifier.

    """
    value = field_of(form, name)
    if _ID.fullmatch(value) is None:
        raise MalformedRequest(f"field `{name}` is not an identifier")
    return value


def oauth_reply(
    content: Mapping[str, object],
    *,
    facts: Mapping[str, Fact],
    private: Mapping[str, bytes],
    nonce: str,
    status: int = 200,
    kind: EntryKind = EntryKind.SINGLE,
    changes: tuple[Change, ...] = (),
) -> Reply:
    """Return an answer of an OAuth endpoint; each carries the nonce for the next proof."""
    return Reply(
        status=status,
        content_type="application/json",
        body=json.dumps(content, sort_keys=True).encode("ascii"),
        headers=(*NO_STORE, ("DPoP-Nonce", nonce)),
        kind=kind,
        facts=facts,
        private=private,
        changes=changes,
    )


def oauth_refusal(
    error: OAuthRefused | Malformed | NotAuthenticated,
    *,
    facts: Mapping[str, Fact],
    private: Mapping[str, bytes],
    nonce: str,
) -> Reply:
    """Return a refusal in OAuth's words (RFC 6749 section 5.2); its cause is only committed to."""
    cause = error.cause if isinstance(error, NotAuthenticated) else error.detail
    refused = _refused(error)
    return oauth_reply(
        {"error": refused.code, "error_description": refused.detail},
        facts={**facts, "why": refused.code},
        private={**private, "cause": cause.encode()},
        nonce=nonce,
        status=401 if refused.code == "invalid_client" else 400,
        kind=EntryKind.DENY,
    )


def private_of(query: Query, **parts: str) -> Mapping[str, bytes]:
    """Return what an enrolment's entry commits to.

    SECURITY: the question is method and path alone; its body holds passwords and assertions, which
    are not kept anywhere, sealed neither.
    """
    return {"question": f"{query.method} {query.path}".encode()} | {k: v.encode() for k, v in parts.items()}


def _refused(error: OAuthRefused | Malformed | NotAuthenticated) -> OAuthRefused:
    """Return what an error is called by OAuth; causes stay inside."""
    match error:
        case OAuthRefused():
            return error
        case Malformed():
            return OAuthRefused("invalid_request", error.detail)
        case ProofNonceRequired():  # RFC 9449 section 8
            return OAuthRefused("use_dpop_nonce", "the proof must carry the nonce of header DPoP-Nonce")
        case ProofRefused():  # RFC 9449 section 5
            return OAuthRefused("invalid_dpop_proof", "the proof does not prove this request")
        case NotAuthenticated():
            return OAuthRefused("invalid_client", "client not known, or its assertion not accepted")
