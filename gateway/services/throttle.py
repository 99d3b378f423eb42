"""How often sign-ins may fail, so that guessing stops and strangers lock nobody out.

    source and account   5 failures in 15 minutes, then this source waits for this account
    account              50 in 15 minutes from anywhere, then only sources that it signed in from may try
    factor               5, 10, 20 wrong one-time codes in 15 minutes, 2 hours, a day, all after the right
                         password: then the authenticator's codes are refused, from anywhere

Only who has the password can lock a factor; passkeys and recovery codes, which nobody guesses, stay open.
A source is an IPv4 address or an IPv6 network of 64 bits, which one subscriber has whole. State: in the
volatile store, owned here; a restart forgets it. NIST SP 800-63B-4 section 3.2.2.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from gateway.clock import unix_ms
from gateway.ledger.volatile import Volatile

Ladder = tuple[tuple[int, int], ...]
"""Windows in seconds, each with the failures after which it is shut until its end."""

SOURCE: Final[Ladder] = ((900, 5),)
ACCOUNT: Final[Ladder] = ((900, 50),)
FACTOR: Final[Ladder] = ((900, 5), (7200, 10), (86_400, 20))
REMEMBERED_S: Final = 30 * 86_400
"""How long a source stays one that an account signed in from."""
_IPV6_PREFIX: Final = 64
_SHUT: Final = "sign-in-shut"
_KNOWN: Final = "sign-in-known"


@dataclass(frozen=True, slots=True)
class Throttle:
    """Failures of one account, as seen from one source, at one moment."""

    volatile: Volatile
    account: str
    """What was typed as a name; only its hash is kept."""
    peer: str
    now: datetime

    def wait_s(self) -> int:
        """Return for how many seconds this source may not try this account; 0: it may."""
        waits = self._wait_s(self._pair, SOURCE)
        if waits == 0 and self.volatile.get(_KNOWN, self._pair, now_ms=self._now_ms) is None:
            waits = self._wait_s(self._whole, ACCOUNT)
        return waits

    def failed(self) -> None:
        """Note a failure."""
        self._count(self._pair, SOURCE)
        self._count(self._whole, ACCOUNT)

    def succeeded(self) -> None:
        """Remember where the account signed in from."""
        until_ms = self._now_ms + REMEMBERED_S * 1000
        self.volatile.put(_KNOWN, self._pair, b"", until_ms, now_ms=self._now_ms)

    def codes_shut(self) -> bool:
        """Return whether the authenticator's codes are refused at the moment."""
        return self._wait_s(self._factor, FACTOR) > 0

    def code_wrong(self) -> None:
        """Note a wrong one-time code of somebody who proved another factor; not while none would be right."""
        if not self.codes_shut():
            self._count(self._factor, FACTOR)

    @property
    def _now_ms(self) -> int:
        return unix_ms(self.now)

    @property
    def _whole(self) -> str:
        return hashlib.sha256(self.account.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def _pair(self) -> str:
        return f"{self._whole}|{source_of(self.peer)}"

    @property
    def _factor(self) -> str:
        return f"{self._whole}|codes"

    def _wait_s(self, what: str, ladder: Ladder) -> int:
        shut = [
            _window_left_s(window_s, self.now)
            for window_s, _ in ladder
            if self.volatile.get(_SHUT, f"{what}|{window_s}", now_ms=self._now_ms) is not None
        ]
        return max(shut, default=0)

    def _count(self, what: str, ladder: Ladder) -> None:
        for window_s, most in ladder:
            if self.volatile.count(f"sign-in|{what}", window_s, now_ms=self._now_ms) >= most:
                until_ms = self._now_ms + _window_left_s(window_s, self.now) * 1000
                self.volatile.put(_SHUT, f"{what}|{window_s}", b"", until_ms, now_ms=self._now_ms)


def source_of(peer: str) -> str:
    """Return the network that is counted as one: an IPv4 address, or 64 bits of an IPv6 one."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, _IPV6_PREFIX), strict=False))


def _window_left_s(window_s: int, now: datetime) -> int:
    return window_s - int(now.timestamp()) % window_s
