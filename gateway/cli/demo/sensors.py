"""The demo's upstream: the motorways' sensors, a small HTTP interface on loopback, with invented counts.

It is no part of the gateway: it stands for what an agency has already. It stops with the demo.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from gateway.synthetic.traffic import draw_counts

PATH: Final = "/v2"
PAGE_ROWS: Final = 100


@contextmanager
def sensors(seed: int) -> Iterator[str]:
    """Serve the interface until the block ends; what is given is its address."""
    counts = draw_counts(seed)
    places = {
        str(row["sensor"]): {name: row[name] for name in ("sensor", "road", "kilometre")} for row in counts
    }
    rows: dict[str, list[dict[str, object]]] = {"/counts": counts, "/sensors": list(places.values())}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            found = rows.get(parts.path.removeprefix(PATH))
            asked = dict(parse_qsl(parts.query))
            body = json.dumps(None if found is None else _page(found, asked)).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing on the demo's screen."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{PATH}"
        finally:
            server.shutdown()
            thread.join()


def _page(rows: list[dict[str, object]], asked: dict[str, str]) -> dict[str, object]:
    """Return the rows of a page, and the cursor of the next one; a number that is none is the default's."""
    matching = [
        row for row in rows if all(asked.get(name) in {None, row.get(name)} for name in ("road", "day"))
    ]
    if (by := asked.get("order")) in {"day", "kilometre"}:
        matching.sort(key=lambda row: str(row[by]) if by == "day" else float(str(row[by])))
    size = _number(asked.get("limit"), PAGE_ROWS)
    start = _number(asked.get("after"), 0) or max(0, _number(asked.get("page"), 1) - 1) * size
    end = start + size
    return {"items": matching[start:end], "next": str(end) if end < len(matching) else None}


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else otherwise
