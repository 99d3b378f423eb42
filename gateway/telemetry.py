"""What operators see while it runs: metrics for Prometheus and log lines with constant names.

No label and no field holds personal data, client text, a key or a token. Metrics are served on a
port of their own, on loopback unless the settings say otherwise.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client import start_http_server as _start_http_server

REGISTRY = CollectorRegistry()

_REQUESTS = Counter(
    "gateway_http_requests_total", "Replies by route and status.", ("route", "status"), registry=REGISTRY
)
_DURATION = Histogram(
    "gateway_http_request_duration_seconds", "From request to reply.", ("route",), registry=REGISTRY
)
_CLOSED = Counter(
    "gateway_connections_closed_total", "Connections closed unanswered.", ("cause",), registry=REGISTRY
)
_UNRECORDED = Counter(
    "gateway_unrecorded_replies_total", "503s because the ledger could not record.", registry=REGISTRY
)

_UNKNOWN_FIELDS = Counter(
    "gateway_unknown_fields_total",
    "Members of an upstream's rows that the document does not declare; dropped.",
    ("dataset",),
    registry=REGISTRY,
)
_UPSTREAM_FAILURES = Counter(
    "gateway_upstream_failures_total", "Upstreams that did not answer well.", ("dataset",), registry=REGISTRY
)


def request_answered(route: str, status: int, seconds: float) -> None:
    """Count one reply."""
    _REQUESTS.labels(route, str(status)).inc()
    _DURATION.labels(route).observe(seconds)


def reply_unrecorded() -> None:
    """Count one 503 that left without an entry, because there could be none."""
    _UNRECORDED.inc()


def connection_closed(cause: str) -> None:
    """Count one connection closed without a response."""
    _CLOSED.labels(cause).inc()


def unknown_fields(dataset: str, count: int) -> None:
    """Count members that were dropped because no column of the document has their name."""
    _UNKNOWN_FIELDS.labels(dataset).inc(count)


def upstream_failed(dataset: str) -> None:
    """Count one failure of an upstream; where it was found stands in the log's ``chain``."""
    _UPSTREAM_FAILURES.labels(dataset).inc()


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics' own little server."""

    port: int
    close: Callable[[], None]


def serve_metrics(host: str, port: int) -> Metrics:
    """Serve the metrics in a thread of their own."""
    server, thread = _start_http_server(port, addr=host, registry=REGISTRY)

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return Metrics(server.server_port, close)


def configure_log() -> None:
    """Write one JSON object a line to standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.EventRenamer("event"),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def failure(request_id: str, error: BaseException) -> None:
    """Write where a request failed: kinds of error and places in the code, never their words.

    SECURITY: a message may hold a value of somebody's record.
    """
    chain: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        frames = traceback.extract_tb(cause.__traceback__)
        at = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        chain.append(f"{type(cause).__name__}{at}")
        cause = cause.__cause__
    log("request_failed", request_id=request_id, chain=" < ".join(chain))


def log(event: str, **fields: str | float | bool) -> None:
    """Write one event; ``event`` is a constant name."""
    structlog.get_logger().info(event, **fields)
