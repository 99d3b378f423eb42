"""What operators see while it runs, and what becomes of it where nobody can be told."""

import io

import pytest
import structlog

from gateway import telemetry


def test_a_log_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise P1: a reply depends on the ledger, not on who reads standard error."""
    closed = io.StringIO()
    closed.close()
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", closed)
        telemetry.configure_log()
    try:
        telemetry.log("request_failed", request_id="r-1")
    finally:
        structlog.reset_defaults()

    with pytest.raises(ValueError, match="closed"):
        closed.write("it is")
