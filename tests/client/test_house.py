"""A firm installs the base distribution only, so the client pulls in nothing of the server."""

import json
import subprocess
import sys

SERVER = [
    *("pyarrow", "duckdb", "opendp", "apsw", "pydantic", "sqlglot", "argon2"),
    *("jinja2", "orjson", "pyotp", "rfc8785", "yaml", "structlog", "prometheus_client"),
]
PROGRAM = """
import importlib.abc, json, sys

class Refuse(importlib.abc.MetaPathFinder):
    # As on a firm's machine: pandas takes what it finds, so what is not installed must not be found.
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in SERVER:
            tried.append(name)
            raise ModuleNotFoundError(name=name)

SERVER, tried = set(json.loads(sys.argv[1])), []
sys.meta_path.insert(0, Refuse())
import gateway.client
rooms = sorted({name.split(".")[1] for name in sys.modules if name.startswith("gateway.")})
print(json.dumps({"rooms": rooms, "server": sorted(SERVER & sys.modules.keys())}))
"""


def test_importing_the_client_needs_no_server_package_and_enters_four_rooms() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(SERVER)], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == {"rooms": ["client", "jose", "terms", "transparency"], "server": []}
