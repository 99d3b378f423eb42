"""What the gateway says when it says no: RFC 9457 problems and OAuth's errors as one exception.

A refusal stands in the log like any other answer, so it carries its receipt too.
"""

import json
from collections.abc import Mapping
from typing import Final

from gateway.client.failures import ClientFailure
from gateway.client.receipt import StoredReceipt

STANDARD_MEMBERS: Final = frozenset({"type", "title", "status", "detail", "instance"})
DETAIL_MAX: Final = 2_000


class GatewayProblem(ClientFailure):
    """A refusal or failure, in the gateway's own words; ``members`` is what it says beyond them."""

    def __init__(
        self,
        *,
        status: int,
        type: str,  # noqa: A002  the member's name in RFC 9457
        title: str,
        detail: str = "",
        members: Mapping[str, object] | None = None,
        receipt: StoredReceipt | None = None,
    ) -> None:
        super().__init__(f"{status} {title}: {detail}" if detail else f"{status} {title}")
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.members: Mapping[str, object] = dict(members or {})
        self.receipt = receipt


def problem_of(status: int, content_type: str, body: bytes, receipt: StoredReceipt | None) -> GatewayProblem:
    """Return the problem that an answer of 400 or more tells of, whatever its form."""
    document = _document(content_type, body)
    if isinstance(document.get("error"), str):  # RFC 6749 section 5.2
        return GatewayProblem(
            status=status,
            type=f"oauth:{document['error']}",
            title=_text(document, "error", ""),
            detail=_text(document, "error_description", ""),
            members={k: v for k, v in document.items() if k != "error_description"},
            receipt=receipt,
        )
    return GatewayProblem(
        status=status,
        type=_text(document, "type", "about:blank"),
        title=_text(document, "title", "The gateway did not answer as expected"),
        detail=_text(document, "detail", ""),
        members={k: v for k, v in document.items() if k not in STANDARD_MEMBERS},
        receipt=receipt,
    )


def _document(content_type: str, body: bytes) -> dict[str, object]:
    """Return the JSON object of a body; empty where a proxy or a fault answered something else."""
    if "json" not in content_type:
        return {}
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _text(document: Mapping[str, object], name: str, default: str) -> str:
    value = document.get(name)
    return value[:DETAIL_MAX] if isinstance(value, str) else default
