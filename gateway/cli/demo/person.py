"""The person in front of a browser: signs in at ``/activate``, compares the key phrase, approves.

Plays what a human does with the real pages over HTTP: nothing is called behind the gateway's back.
"""

import asyncio
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from html import unescape

import pyotp

from gateway.cli.demo.cast import Firm

TIMEOUT_S = 10


class PageUnexpected(Exception):
    """The activation page did not show what a person expects."""


async def approve(firm: Firm, user_code: str, page: str, key_phrase: str) -> None:
    """Activate the firm's client as its operator would.

    Raises:
        PageUnexpected: Sign-in failed, or the key phrase differs from the one on the client's screen.
    """
    await asyncio.to_thread(_approve, firm, user_code, page, key_phrase)


def _approve(firm: Firm, user_code: str, page: str, key_phrase: str) -> None:
    _fetched(page, None)
    code = pyotp.TOTP(firm.totp_base32).at(datetime.fromtimestamp(time.time(), UTC))
    consent = _fetched(
        page,
        {
            "step": "sign-in",
            "user_code": user_code,
            "operator": firm.operator,
            "password": firm.password,
            "code": code,
        },
    )
    ticket = re.search(r'name="ticket" value="([^"]+)"', consent)
    if ticket is None:
        raise PageUnexpected("the activation page did not accept the sign-in")
    if key_phrase not in unescape(consent):
        raise PageUnexpected("the key phrase on the page is not the one on the client's screen")
    _fetched(page, {"step": "decide", "ticket": unescape(ticket[1]), "decision": "approve"})


def _fetched(page: str, form: dict[str, str] | None) -> str:
    """Return a page's text, whatever its status."""
    data = None if form is None else urllib.parse.urlencode(form).encode("ascii")
    request = urllib.request.Request(page, data=data, headers={"Accept": "text/html"})  # noqa: S310  our own origin
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310  our own origin
            return str(response.read().decode("utf-8"))
    except urllib.error.HTTPError as error:
        return error.read().decode("utf-8", errors="replace")
