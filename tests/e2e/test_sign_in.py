"""Sign-ins over several workers of one gateway: what serves once, serves once for all of them."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from html import unescape
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pyotp
import pytest
from house import House, a_firm, make_house

from gateway.cli.demo.cast import Firm

AT_ONCE = 16


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Firm, Firm]]:
    folder = tmp_path_factory.mktemp("signing")
    (folder / "data").mkdir()
    built = make_house(folder / "home", data=folder / "data", rules={})
    one, other = a_firm("bank-a", number=1), a_firm("bank-b", number=2)
    built.register(one, other)
    with built.serving("--workers", "3"):
        yield built, one, other


def code_of(firm: Firm) -> str:
    return pyotp.TOTP(firm.totp_base32).at(datetime.fromtimestamp(time.time(), UTC))


def posted(house: House, **form: str) -> tuple[int, str]:
    """Post to the account page on a connection of its own, so that any worker may get it."""
    request = Request(f"{house.origin}/account", data=urlencode(form).encode())  # noqa: S310  our own origin
    try:
        with urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, unescape(answer.read().decode())
    except HTTPError as error:
        return error.code, unescape(error.read().decode())


def at_once(house: House, form: dict[str, str]) -> list[tuple[int, str]]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(lambda _: posted(house, **form), range(AT_ONCE)))


def test_a_one_time_code_posted_to_all_workers_at_once_signs_in_once(house: tuple[House, Firm, Firm]) -> None:
    gateway, firm, _ = house
    form = {"operator": firm.operator, "password": firm.password, "code": code_of(firm)}

    replies = at_once(gateway, form)

    assert Counter(status == 200 for status, _ in replies) == {True: 1, False: AT_ONCE - 1}


def test_a_recovery_code_posted_to_all_workers_at_once_signs_in_once(
    house: tuple[House, Firm, Firm],
) -> None:
    gateway, _, firm = house
    status, page = posted(gateway, operator=firm.operator, password=firm.password, code=code_of(firm))
    assert status == 200
    ticket = re.findall(r'name="ticket" value="([^"]+)"', page)[0]
    status, page = posted(gateway, step="make-codes", ticket=ticket)
    assert status == 200
    code = re.findall(r"<li>([0-9a-z-]{19})</li>", page)[0]
    form = {"operator": firm.operator, "password": firm.password, "recovery": code}
    time.sleep(1.5)  # every worker knows the codes by then

    replies = at_once(gateway, form)

    assert Counter(status == 200 for status, _ in replies) == {True: 1, False: AT_ONCE - 1}
    (shown,) = [text for status, text in replies if status == 200]
    assert "9 left." in shown
