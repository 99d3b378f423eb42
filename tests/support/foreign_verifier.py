"""A verifier that somebody else wrote, behind a driver that reads many logs in one process."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ANSWERS_S = 60.0
"""For a whole batch; a verifier that has not answered by then has not verified."""


@dataclass(frozen=True)
class Verifier:
    """A driver around somebody else's code, and which parts of a log it reads."""

    name: str
    command: tuple[str, ...]
    folder: Path
    reads: frozenset[str] = field(default_factory=frozenset)

    def verdicts(self, logs: list[dict[str, Any]]) -> list[str]:
        """Return a verdict a log, all from one process."""
        lines = "".join(json.dumps(log) + "\n" for log in logs)
        answered = subprocess.run(
            self.command,
            input=lines,
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=ANSWERS_S,
            check=False,
        )
        assert (answered.returncode, answered.stderr) == (0, "")
        verdicts = answered.stdout.splitlines()
        assert len(verdicts) == len(logs)
        return verdicts
