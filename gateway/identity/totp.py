"""Time-based one-time codes (RFC 6238 with SHA-1, 30 s, six digits: what authenticator apps speak).

A code serves once: the caller stores the step that is returned, durably and per operator, and refuses
one that is not later than the last (RFC 6238 section 5.2). Does not throttle.
"""

import hashlib
import hmac
import re
from datetime import datetime
from typing import Final

STEP_S: Final = 30
WINDOW: Final = 1
"""Steps accepted before and after the current one."""
SECRET_BYTES: Final = 20
_CODE: Final = re.compile(r"[0-9]{6}")  # not \d, which takes other scripts' digits


def code_at(secret: bytes, step: int) -> str:
    """Return the code of one step (RFC 4226 section 5.3)."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), hashlib.sha1)
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**6:06d}"


def step_at(now: datetime) -> int:
    """Return the number of the current step."""
    return int(now.timestamp()) // STEP_S


def accepted_step(secret: bytes, code: str, now: datetime) -> int | None:
    """Return the latest step within the window whose code this is, or None."""
    if _CODE.fullmatch(code) is None:
        return None
    current = step_at(now)
    steps = range(max(0, current - WINDOW), current + WINDOW + 1)
    # All are compared, whichever fits: the time taken tells nothing of the clock's offset.
    fitting = [step for step in steps if hmac.compare_digest(code_at(secret, step), code)]
    return max(fitting, default=None)
