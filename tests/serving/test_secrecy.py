"""What a process with keys in its memory leaves behind when it breaks: nothing."""

import subprocess
import sys

LOOKS_AT_ITSELF = """
import ctypes, resource
from gateway.serving.secrecy import keep_memory_private
keep_memory_private()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_no_core_is_written_and_nobody_attaches() -> None:
    command = [sys.executable, "-c", LOOKS_AT_ITSELF]

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)

    assert done.stdout.split() == ["(0,", "0)", "0"]
