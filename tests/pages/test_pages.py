"""People at their pages in a real Chromium, with an authenticator that its WebAuthn takes for real."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyotp
import pytest
from browser import Tab

from gateway.cli.demo.cast import Firm
from gateway.client import Gateway, GatewayProblem
from gateway.services.acts import AddOperator
from gateway.serving.admin import perform

Street = Any
"""What conftest.py builds; test modules cannot import its type."""

PICTURES = Path("var/pages")
WIDTHS = (360, 1280)


def code_of(firm: Firm, *, steps: int = 0) -> str:
    """The code of the firm's authenticator app; each serves once, so a second sign-in takes the next."""
    return pyotp.TOTP(firm.totp_base32).at(datetime.fromtimestamp(time.time() + 30 * steps, UTC))


@dataclass(slots=True)
class Asked:
    """What the machine's screen shows while it waits."""

    code: str
    phrase: str
    outcome: asyncio.Task[str]


@asynccontextmanager
async def asking(street: Street, firm: Firm) -> AsyncIterator[Asked]:
    """A firm's machine that asks for a person; its outcome is the level reached."""
    shown: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def prompt(code: str, _page: str, phrase: str) -> None:
        shown.put_nowait((code, phrase))

    async with Gateway(street.origin, client=firm.client, key=firm.key) as gateway:
        task = asyncio.create_task(gateway.login(firm.purpose, prompt))
        try:
            code, phrase = await asyncio.wait_for(shown.get(), 20)
            yield Asked(code, phrase, task)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def pictures(tab: Tab, name: str) -> None:
    """Keep what a page looks like, narrow and wide, light and dark, to be looked at."""
    for width in WIDTHS:
        for dark in (False, True):
            await tab.width(width, dark=dark)
            assert await tab.js("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"
            await tab.picture(PICTURES / f"{name}-{width}{'-dark' if dark else ''}.png")
    await tab.width(1280)


async def sign_in_by_password(tab: Tab, firm: Firm, *, steps: int = 0, **fields: str) -> None:
    await tab.type(operator=firm.operator, password=firm.password, code=code_of(firm, steps=steps), **fields)
    await tab.click("button[type=submit]")


async def at_the_account(street: Street, tab: Tab, firm: Firm) -> None:
    await tab.open(f"{street.origin}/account")
    await sign_in_by_password(tab, firm)
    await tab.until("document.querySelector('h2')")


async def add_passkey(tab: Tab) -> None:
    await tab.click("button[data-passkey=make]")
    await tab.until("document.querySelector('.keys li')")


async def test_a_passkey_is_registered_and_approves_at_the_highest_level(
    street: Street, tab: Tab, firm: Firm
) -> None:
    await tab.authenticator()
    await tab.open(f"{street.origin}/account")
    await pictures(tab, "account-sign-in")
    await sign_in_by_password(tab, firm)
    await tab.until("document.querySelector('h2')")
    await pictures(tab, "account-empty")
    await add_passkey(tab)
    assert "Passkey added." in await tab.text()
    await pictures(tab, "account-passkey")
    async with asking(street, firm) as asked:
        await tab.open(f"{street.origin}/activate")
        await pictures(tab, "activate-sign-in")
        await tab.type(user_code=asked.code)
        await tab.click("button[data-passkey=sign]")
        await tab.until("document.querySelector('.phrase')")
        consent = await tab.text()
        await pictures(tab, "consent")
        await tab.click("button[value=approve]")
        await tab.until("document.querySelector('.notice')")
        await pictures(tab, "approved")

        assert await asyncio.wait_for(asked.outcome, 20) == "aal3"
    for word in (
        asked.phrase,
        firm.client,
        "Nghiên cứu chi phí khám chữa bệnh",
        "Research on the cost of care",
        "Lượt khám tại phòng khám: thống kê có nhiễu",
        "Visits to the clinic: statistics with noise",
        "8 giờ",
    ):
        assert word in consent
    assert tab.log == []


async def test_a_person_refuses_and_the_machine_gets_nothing(street: Street, tab: Tab, firm: Firm) -> None:
    async with asking(street, firm) as asked:
        await tab.open(f"{street.origin}/activate")
        await sign_in_by_password(tab, firm, user_code=asked.code)
        await tab.until("document.querySelector('.phrase')")
        await tab.click("button[value=refuse]")
        await tab.until("document.querySelector('.notice')")

        assert "Refused." in await tab.text()
        with pytest.raises(GatewayProblem, match="access_denied"):
            await asyncio.wait_for(asked.outcome, 20)


async def test_an_authenticator_that_does_not_verify_its_user_is_not_added(
    street: Street, tab: Tab, firm: Firm
) -> None:
    await tab.authenticator(verifies=False)
    await at_the_account(street, tab, firm)

    await tab.click("button[data-passkey=make]")
    await tab.until("!document.querySelector('.failure').hidden")

    assert "None yet." in await tab.text()
    await pictures(tab, "account-not-made")


async def test_an_authenticator_that_stops_verifying_its_user_signs_nobody_in(
    street: Street, tab: Tab, firm: Firm
) -> None:
    authenticator = await tab.authenticator()
    await at_the_account(street, tab, firm)
    await add_passkey(tab)
    await tab.call("WebAuthn.setUserVerified", authenticatorId=authenticator, isUserVerified=False)
    await tab.open(f"{street.origin}/account")
    # The page asks for verification; an attacker's would not.
    await tab.js(
        "(() => { const get = navigator.credentials.get.bind(navigator.credentials);"
        "navigator.credentials.get = (asked) => { asked.publicKey.userVerification = 'discouraged';"
        "return get(asked); }; })()"
    )

    await tab.click("button[data-passkey=sign]")
    await tab.until("document.querySelector('.notice')")

    assert "Sign-in failed." in await tab.text()


async def test_a_synced_passkey_needs_a_code_as_well_and_stays_below_the_highest_level(
    street: Street, tab: Tab, firm: Firm
) -> None:
    await tab.authenticator(synced=True)
    await at_the_account(street, tab, firm)
    await add_passkey(tab)
    assert "synced, needs a one-time code as well" in await tab.text()
    async with asking(street, firm) as asked:
        await tab.open(f"{street.origin}/activate")
        await tab.type(user_code=asked.code)
        await tab.click("button[data-passkey=sign]")
        await tab.until("document.querySelector('.notice')")
        assert "Enter a one-time code as well" in await tab.text()
        await pictures(tab, "activate-code-needed")
        await tab.type(user_code=asked.code, code=code_of(firm, steps=1))
        await tab.click("button[data-passkey=sign]")
        await tab.until("document.querySelector('.phrase')")
        await tab.click("button[value=approve]")

        assert await asyncio.wait_for(asked.outcome, 20) == "aal2"


async def test_a_page_of_another_origin_gets_no_signature_for_ours(
    street: Street, tab: Tab, firm: Firm
) -> None:
    """The phisher's page: the browser itself refuses our RP id to it."""
    await tab.authenticator()
    await at_the_account(street, tab, firm)
    await add_passkey(tab)
    await tab.open(f"{street.origin.replace('localhost', '127.0.0.1')}/livez")

    said = await tab.js(
        "navigator.credentials.get({publicKey: {challenge: new Uint8Array(32), rpId: 'localhost'}})"
        ".then(() => 'signed', (error) => error.name)"
    )

    assert said == "SecurityError"


async def test_recovery_codes_are_shown_once_and_counted_down(street: Street, tab: Tab, firm: Firm) -> None:
    await at_the_account(street, tab, firm)
    await tab.click("form button.second")
    await tab.until("document.querySelector('.codes')")
    codes = await tab.js("[...document.querySelectorAll('.codes li')].map((each) => each.textContent)")
    await pictures(tab, "account-codes")
    await tab.open(f"{street.origin}/account")
    await tab.click("summary")
    await tab.type(operator=firm.operator, password=firm.password, recovery=codes[0].upper())
    await tab.click("button[type=submit]")
    await tab.until("document.querySelector('h2')")

    assert (len(codes), len(set(codes))) == (10, 10)
    assert "9 left." in await tab.text()
    assert codes[1] not in await tab.text()


async def test_without_script_password_and_code_suffice_and_nothing_else_is_offered(
    street: Street, tab: Tab, firm: Firm
) -> None:
    await tab.call("Emulation.setScriptExecutionDisabled", value=True)
    await tab.open(f"{street.origin}/account")
    await pictures(tab, "account-sign-in-without-script")
    assert "passkey" not in await tab.text()
    await sign_in_by_password(tab, firm)
    await tab.until("document.querySelector('h2')")

    assert "Add a passkey" not in await tab.text()


async def test_an_injected_script_or_style_does_not_run(street: Street, tab: Tab) -> None:
    """What a flaw in escaping would give an attacker: the policy stops it."""
    await tab.open(f"{street.origin}/activate")

    await tab.js(
        "(() => { try { const made = document.createElement('script'); made.textContent = 'window.ran = 1';"
        "document.body.append(made); } catch {} })()"
    )
    assert await tab.js("window.ran === undefined")
    assert await tab.js("fetch('/livez').then(() => 'fetched', () => 'stopped')") == "stopped"


async def test_a_wrong_password_is_told_in_both_languages(street: Street, tab: Tab, firm: Firm) -> None:
    await tab.open(f"{street.origin}/activate")
    await tab.type(user_code="BBBB-BBBB", operator=firm.operator, password="not the password", code="000000")
    await tab.click("button[type=submit]")
    await tab.until("document.querySelector('.notice')")
    await pictures(tab, "activate-failed")

    assert "Không đăng nhập được." in await tab.text()
    assert "Sign-in failed." in await tab.text()


async def test_a_saved_request_is_read_on_the_page_as_it_is_and_approved(
    street: Street, tab: Tab, firm: Firm
) -> None:
    """What a client would have read otherwise than it is (order, lines, markup, blanks) shows as it is."""
    sql = (
        "SELECT tinh, COUNT(*) AS n, SUM(chi_phi) AS tong FROM data\n"
        "WHERE tinh <> '</pre><h1>An toàn</h1> \u202e10\u2066\u200b \u3164' GROUP BY tinh"
    )
    shown: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def prompt(code: str, _page: str, phrase: str) -> None:
        shown.put_nowait((code, phrase))

    async with Gateway(street.origin, client=firm.client, key=firm.key) as gateway:
        saving = asyncio.create_task(
            gateway.save(firm.purpose, "clinic", prompt, days=30, sql=sql, epsilon="0.05")
        )
        try:
            code, phrase = await asyncio.wait_for(shown.get(), 20)
            await tab.open(f"{street.origin}/activate")
            await sign_in_by_password(tab, firm, user_code=code)
            await tab.until("document.querySelector('.phrase')")
            consent = await tab.text()
            await pictures(tab, "consent-saved")
            one_line = await tab.js("document.querySelectorAll('h1').length === 1")
            await tab.click("button[value=approve]")
            await tab.until("document.querySelector('.notice')")
            saved = await asyncio.wait_for(saving, 20)
            answer = await gateway.run(saved)
            await tab.open(f"{street.origin}/account")
            await sign_in_by_password(tab, firm, steps=1)
            await tab.until("document.querySelector('h2')")
            account = await tab.text()
            await pictures(tab, "account-approved")
            await tab.click("input[value=end-activation] ~ button")
            await tab.until("document.querySelector('.notice')")
            ended = await tab.text()
            with pytest.raises(GatewayProblem, match="invalid_grant"):
                await gateway.run(saved)
        finally:
            saving.cancel()
            await asyncio.gather(saving, return_exceptions=True)

    for word in (
        phrase,
        "POST /v1/datasets/clinic/query",
        "FROM data↵",
        "'</pre><h1>An toàn</h1> \\u{202E}10\\u{2066}\\u{200B} \\u{3164}'",
        "30 ngày",
        "30 days",
        "Visits to the clinic: statistics with noise",
        "Once a day, each for a privacy budget of epsilon\u00a00.050",
    ):
        assert word in consent, word
    assert one_line
    assert "one request, every day:" in account
    assert "Nothing at present." in ended
    assert [row["tinh"] for row in answer.document["rows"]] == ["01", "48", "79"]
    assert tab.log == []


async def test_a_person_enrols_with_a_code_and_signs_in_with_what_only_they_know(
    street: Street, tab: Tab, firm: Firm
) -> None:
    hoa = AddOperator(id=f"hoa.{firm.org}", org=firm.org, name="Hoa")
    code = (await asyncio.to_thread(perform, street.home, hoa)).once
    await tab.open(f"{street.origin}/enrol")
    await pictures(tab, "enrol")
    await tab.type(operator=hoa.id, code=code)
    await tab.click("button[type=submit]")
    await tab.until("document.querySelector('input[name=again]')")
    await pictures(tab, "enrol-factors")
    secret = str(await tab.js("document.querySelector('.codes').innerText")).replace(" ", "")
    password = "mười hai con giáp"
    await tab.type(password=password, again=password, code="000000")
    await tab.click("button[type=submit]")
    await tab.until("document.querySelector('.alert')")
    assert "The code does not fit." in await tab.text()
    app = pyotp.TOTP(secret)
    first = app.at(datetime.fromtimestamp(time.time() - 30, UTC))
    await tab.type(password=password, again=password, code=first)
    await tab.click("button[type=submit]")
    await tab.until("document.querySelector('.notice') && !document.querySelector('form')")
    assert "Enrolled." in await tab.text()
    await pictures(tab, "enrolled")
    await tab.open(f"{street.origin}/account")
    await tab.type(operator=hoa.id, password=password, code=app.now())
    await tab.click("button[type=submit]")
    await tab.until("document.querySelector('h2')")
    assert "How Hoa signs in" in await tab.text()
    assert [line for line in tab.log if "403" not in line] == []
