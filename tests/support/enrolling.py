"""A person at /enrol, over HTTP: sets password and authenticator with the code that they were given."""

import base64
import re
from datetime import UTC, datetime
from html import unescape
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from gateway.identity.totp import code_at, step_at


def enrolled(origin: str, operator: str, code: str, password: str) -> bytes:
    """Return the authenticator's secret; the current time step's code is left for a sign-in."""
    page = posted(origin, {"step": "join", "operator": operator, "code": code})
    for _ in range(3):  # a time step may end between two lines
        secret, ticket = secret_in(page), ticket_in(page)
        first = code_at(secret, step_at(datetime.now(UTC)) - 1)
        form = {"step": "finish", "ticket": ticket, "password": password, "again": password, "code": first}
        page = posted(origin, form)
        if "Enrolled." in page:
            return secret
    raise AssertionError(page)


def posted(origin: str, form: dict[str, str]) -> str:
    """Return the page that answers a form, whatever its status."""
    request = Request(f"{origin}/enrol", data=urlencode(form).encode())  # noqa: S310  our own address
    try:
        with urlopen(request, timeout=20) as answer:  # noqa: S310
            return unescape(answer.read().decode())
    except HTTPError as error:
        return unescape(error.read().decode())


def secret_in(page: str) -> bytes:
    found = re.search(r"\?secret=([A-Z2-7]+)", page)
    assert found, page
    return base64.b32decode(found[1] + "=" * (-len(found[1]) % 8))


def ticket_in(page: str) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', page)
    assert found, page
    return found[1]
