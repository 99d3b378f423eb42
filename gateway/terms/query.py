"""A request as it came in, translated from HTTP and believed in nothing."""

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.terms.identifiers import DatasetId, RequestId


class Action(StrEnum):
    """What a caller wants to do with a dataset; the words of a rule's ``may``."""

    EXTRACT = "extract"
    """Rows with personal data treated: ``POST .../records``."""
    AGGREGATE = "aggregate"
    """Statistics with noise: ``POST .../query``."""
    LOOKUP = "lookup"
    """Few rows, found by keys that the firm holds already: ``POST .../lookup``."""
    PROXY = "proxy"
    """Rows of an upstream's own path with personal data treated: ``GET .../proxy/{path}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One request. Header values are as received; nothing in here has been checked."""

    request_id: RequestId
    method: str
    path: str
    query_string: str
    action: Action | None = None
    """None where the request is not for a dataset's content (catalogue, budgets, pages)."""
    dataset: DatasetId | None = None
    upstream_path: str | None = None
    """The upstream's own path, from its first slash; None unless the action is proxy."""
    dry_run: bool = False
    """True for ``POST .../plan``: name the price, touch no data."""
    authorizations: tuple[str, ...] = field(default=(), repr=False)
    """Every ``Authorization`` header line."""
    proofs: tuple[str, ...] = field(default=(), repr=False)
    """Every ``DPoP`` header line."""
    certificate: bytes = field(default=b"", repr=False)
    """The certificate (DER) that the client proved in the connection's handshake; empty: none. Where TLS
    ends in front of the gateway there is never one: no header is believed."""
    idempotency_keys: tuple[str, ...] = field(default=(), repr=False)
    accept: str = "*/*"
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    peer: str = ""
    """The address of the other end of the connection."""
    traceparent: str = ""
    """W3C trace context if well formed, else empty."""
