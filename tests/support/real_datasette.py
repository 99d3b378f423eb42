"""A real datasette over a SQLite file, as an upstream."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen


@contextmanager
def datasette(path: Path, port: int) -> Iterator[None]:
    """Run a real datasette until the block ends."""
    command = [
        sys.executable,
        "-m",
        "datasette",
        "serve",
        str(path),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        give_up_at = time.monotonic() + 30
        while True:
            assert process.poll() is None
            assert time.monotonic() < give_up_at
            try:
                with urlopen(f"http://127.0.0.1:{port}/-/versions.json", timeout=1):
                    break
            except (URLError, OSError):
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)
