"""What operators see while it runs: metrics for Prometheus and log lines with constant names.

No label and no field holds personal data, client text, a key or a token. Metrics are served on a
port of their own, on loopback unless the settings say otherwise. Workers count in files that the main
process sums; a file belongs to a place in the crew, so that a worker that replaces another counts on.
"""

import contextlib
import logging
import os
import sys
import time
import traceback
from collections import Counter as Counts
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import prometheus_client.values
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import start_http_server as _start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import MultiProcessValue

PLACE = "GATEWAY_WORKER"
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
if PLACE in os.environ:  # must be known before the first metric is made
    _place = os.environ[PLACE]
    prometheus_client.values.ValueClass = MultiProcessValue(lambda: _place)  # type: ignore[no-untyped-call]

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
_UNNAMED = Gauge(
    "gateway_source_columns_unnamed",
    "Columns of a source, or of an upstream's rows so far, that the document does not name; dropped.",
    ("dataset",),
    registry=REGISTRY,
)
_UPSTREAM_FAILURES = Counter(
    "gateway_upstream_failures_total", "Upstreams that did not answer well.", ("dataset",), registry=REGISTRY
)

_WITNESS_ANSWERS = Counter(
    "gateway_witness_answers_total",
    "What came of asking a witness of the log.",
    ("witness", "outcome"),
    registry=REGISTRY,
)
_WITNESS_AGE = Gauge(
    "gateway_witness_age_seconds",
    "Since a witness last cosigned the log's head; before it did, since the start.",
    ("witness",),
    registry=REGISTRY,
)


@lru_cache(maxsize=256)
def _answered(route: str, status: int) -> tuple[Counter, Histogram]:
    """Return the two series of a route and a status; looking them up by label costs more than counting."""
    return _REQUESTS.labels(route, str(status)), _DURATION.labels(route)


_RULES_REFUSED = Gauge(
    "gateway_rules_refused",
    "Documents of sharing rules that are not active as they stand in the home, or 1 where none could be "
    "renewed; 0 is well.",
    registry=REGISTRY,
)
_RULES_REVISION = Gauge(
    "gateway_rules_revision",
    "The revision of a dataset's sharing rules that decides.",
    ("dataset",),
    registry=REGISTRY,
)
_TLS_REFUSED = Gauge(
    "gateway_tls_refused",
    "1 where certificate or key could not be taken over and the last good ones serve; 0 is well.",
    registry=REGISTRY,
)
_KEY_DAYS = Gauge(
    "gateway_key_days_left",
    "Days until a key of the installation should be replaced; negative when it is late.",
    ("kind",),
    registry=REGISTRY,
)
_REPLACED = Counter(
    "gateway_workers_replaced_total", "Workers that ended by themselves.", ("place",), registry=REGISTRY
)


# Connections closed that no entry of the log tells of yet. Owned by the event loop's thread.
_UNTOLD = Counts[str]()


def request_answered(route: str, status: int, seconds: float) -> None:
    """Count one reply."""
    requests, duration = _answered(route, status)
    requests.inc()
    duration.observe(seconds)


def reply_unrecorded() -> None:
    """Count one 503 that left without an entry, because there could be none."""
    _UNRECORDED.inc()


def connection_closed(cause: str) -> None:
    """Count one connection closed without a response, for the metrics and for the log."""
    _UNTOLD[cause] += 1
    _CLOSED.labels(cause).inc()


def take_closed() -> dict[str, int]:
    """Return how many connections were closed, by cause, since the last call."""
    taken = dict(_UNTOLD)
    _UNTOLD.clear()
    return taken


def give_back_closed(closed: Mapping[str, int]) -> None:
    """Have what was taken told the next time."""
    _UNTOLD.update(closed)


def tls_renewed(*, refused: bool) -> None:
    """Tell whether the operator's newest certificate and key are the ones that serve."""
    _TLS_REFUSED.set(refused)


def unknown_fields(dataset: str, count: int) -> None:
    """Count members that were dropped because no column of the document has their name."""
    _UNKNOWN_FIELDS.labels(dataset).inc(count)


def columns_unnamed(dataset: str, count: int) -> None:
    """Show how many columns a source has beyond its document; the log line of that name says which."""
    _UNNAMED.labels(dataset).set(count)


def upstream_failed(dataset: str) -> None:
    """Count one failure of an upstream; where it was found stands in the log's ``chain``."""
    _UPSTREAM_FAILURES.labels(dataset).inc()


def witness_answered(witness: str, outcome: str) -> None:
    """Count one answer of a witness, or that there was none."""
    _WITNESS_ANSWERS.labels(witness, outcome).inc()


def witness_cosigned(witness: str) -> None:
    """Begin to count a witness's age anew: it cosigned just now, or is known from now on."""
    since = time.monotonic()
    _WITNESS_AGE.labels(witness).set_function(lambda: time.monotonic() - since)


def rules_taken_over(revisions: Mapping[str, int], refused: int) -> None:
    """Show which revision of which document decides from now on, and how many do not."""
    _RULES_REVISION.clear()
    for dataset, revision in revisions.items():
        _RULES_REVISION.labels(dataset).set(revision)
    _RULES_REFUSED.set(refused)


def rules_not_renewed() -> None:
    """Show that the rules in the home could not be looked at, or not be recorded."""
    _RULES_REFUSED.set(1)


def key_days_left(kind: str, days: int) -> None:
    """Show how long the active key of a kind may still serve."""
    _KEY_DAYS.labels(kind).set(days)


def worker_replaced(place: int) -> None:
    """Count one worker that ended without being told to."""
    _REPLACED.labels(str(place)).inc()


def counting_in(folder: Path, place: int) -> dict[str, str]:
    """Return the environment in which a worker counts where ``serve_metrics`` finds it."""
    return {FOLDER: str(folder), PLACE: str(place)}


@dataclass(frozen=True, slots=True)
class _Workers:
    """What the workers counted, in all, and what only this process counts."""

    folder: Path

    def collect(self) -> Iterator[Metric]:
        files = [str(file) for file in self.folder.glob("[!g]*.db")]  # a gauge is this process's alone
        theirs = list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]
        yield from theirs
        names = {metric.name for metric in theirs}
        yield from (metric for metric in REGISTRY.collect() if metric.samples and metric.name not in names)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics' own little server."""

    port: int
    close: Callable[[], None]


def serve_metrics(host: str, port: int, *, workers: Path | None = None) -> Metrics:
    """Serve the metrics in a thread of their own; ``workers`` is the folder that workers count in."""
    registry = REGISTRY
    if workers is not None:
        registry = CollectorRegistry()
        registry.register(_Workers(workers))
    server, thread = _start_http_server(port, addr=host, registry=registry)

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
    """Write one event; ``event`` is a constant name. A log that cannot be written stops nothing else."""
    with contextlib.suppress(OSError, ValueError):  # standard error is a broken pipe, or closed
        structlog.get_logger().info(event, **fields)
