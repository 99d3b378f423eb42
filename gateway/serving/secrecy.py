"""Keeps what a process holds in memory out of files: keys and passphrases lie there in clear.

No core file is written when it ends badly, and no other process of the same user may look into it. Root still
may. What is started from it begins anew, and calls this itself.
"""

import ctypes
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4
"""prctl(2)."""


def keep_memory_private() -> None:
    """Have no core written, and nobody attach; called before the first key is read.

    Raises:
        OSError: The system refuses.

    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "the memory cannot be kept private")
