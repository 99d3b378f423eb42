"""Every page is inert but for one script of ours: nothing else runs, nothing a person gave is HTML."""

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.screens import (
    Account,
    ActivationShown,
    Consent,
    Done,
    Enrolment,
    Factors,
    Notice,
    Opened,
    PageName,
    PasskeyCreation,
    PasskeyOffer,
    PasskeyShown,
    SavedShown,
    Screen,
    SignIn,
)
from gateway.terms.dataset import Title
from gateway.terms.query import Action
from gateway.terms.treatment import Band, DatePrecision, Keep, Partial, Precision, Prefix, Redact, Tokenise
from gateway.web.pages.render import ACTIONS, WORDS, render

TREATMENTS = (
    Keep(),
    Redact(),
    Tokenise("person"),
    Partial(1, 2),
    Band(10),
    Precision(DatePrecision.MONTH),
    Prefix(2),
)


def a_consent(text: str = "x") -> Consent:
    return Consent(
        client=text,
        organisation=Title(vi=text, en=text),
        purpose=text,
        purpose_words=Title(vi=text, en=text),
        agreement=text,
        datasets=(Opened(id=text, title=Title(vi=text, en=text), actions=tuple(Action)),),
        hours=8,
        until=datetime(2026, 3, 2, 20, 0, tzinfo=UTC),
        key_phrase=text,
        ticket=text,
    )


def a_saved_consent(text: str = "x") -> Consent:
    saved = SavedShown(
        request=text,
        dataset=Opened(id=text, title=Title(vi=text, en=text), actions=(Action.AGGREGATE,)),
        question=((text, text), (text, text)),
        days=30,
        columns=tuple((text, how) for how in TREATMENTS),
        rows_max=0,
        costs=(text, text),
        vnd=(900, 27_000),
    )
    return replace(a_consent(text), saved=saved)


def an_account(text: str = "x") -> Account:
    return Account(
        operator=text,
        name=text,
        passkeys=tuple(
            PasskeyShown(id=text, added_on=date(2026, 3, 2), synced=each) for each in (True, False)
        ),
        creation=PasskeyCreation(rp_id=text, challenge=text, user_handle=text, exclude=(text, text)),
        codes_left=3,
        activations_more=2,
        ticket=text,
        new_codes=(text,),
        activations=tuple(
            ActivationShown(
                id=text,
                client=text,
                operator=text,
                saved=saved,
                until=datetime(2026, 3, 2, 20, 0, tzinfo=UTC),
            )
            for saved in (None, text or "x")
        ),
    )


def some_factors(text: str = "x") -> Factors:
    return Factors(operator=text, name=text, uri=f"otpauth://totp/x?secret={text}&issuer=x", ticket=text)


OFFER = PasskeyOffer(rp_id="gateway.example", challenge="x")
SCREENS: list[Screen] = [
    *(SignIn(page=page, passkey=offer) for page in PageName for offer in (None, OFFER)),
    *(SignIn(page=PageName.ACTIVATE, passkey=OFFER, notice=notice) for notice in Notice),
    a_consent(),
    replace(a_consent(), datasets=(), purpose_words=None),
    a_saved_consent(),
    replace(a_saved_consent(), saved=replace(a_saved_consent().saved, costs=None, rows_max=5)),  # type: ignore[type-var]
    an_account(),
    replace(
        an_account(), passkeys=(), creation=None, new_codes=(), activations=(), notice=Notice.PASSKEY_REMOVED
    ),
    *(Enrolment(notice=notice) for notice in (None, *Notice)),
    some_factors(),
    replace(some_factors(), notice=Notice.CODE_UNFIT),
    *(Done(notice=notice) for notice in Notice),
]


@pytest.mark.parametrize("screen", SCREENS)
def test_a_page_allows_its_own_style_script_and_form_and_nothing_else(screen: Screen) -> None:
    page = render(screen)
    headers, html = dict(page.headers), page.body.decode("utf-8")

    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    takes_passkeys = bool(getattr(screen, "passkey", None) or getattr(screen, "creation", None))
    scripts = "; script-src 'self'; require-trusted-types-for 'script'" if takes_passkeys else ""
    assert headers == {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
            f"frame-ancestors 'none'; base-uri 'none'{scripts}"
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    ours = '<script src="/passkey.js" defer></script>\n'
    assert html.count(ours) == takes_passkeys
    assert not re.search(
        r"<script|<img|<link|<iframe|\son\w+=|\sstyle=|https?:|url\(", html.replace(ours, "")
    )


@pytest.mark.parametrize("screen", SCREENS)
def test_a_page_speaks_both_languages_and_names_every_field(screen: Screen) -> None:
    html = render(screen).body.decode("utf-8")

    assert html.count('<span lang="vi">') == html.count('<span lang="en">') > 0
    fields = re.findall(r'<input[^>]* id="(\w+)"', html)
    assert re.findall(r'<label for="(\w+)"', html) == fields


@given(st.text(alphabet=st.sampled_from("<>\"'&{}%#=/ aă\n\u202e"), max_size=40))
def test_no_text_of_a_record_becomes_markup(text: str) -> None:
    tags = re.compile(r"<[^>]*>")
    for made in (a_consent, a_saved_consent, an_account, some_factors):
        plain = [tag.partition(" ")[0] for tag in tags.findall(render(made()).body.decode("utf-8"))]

        found = [tag.partition(" ")[0] for tag in tags.findall(render(made(text)).body.decode("utf-8"))]

        assert found == plain


def test_every_notice_has_words_in_both_languages() -> None:
    assert set(WORDS) == set(Notice)
    assert all(vi and en and vi != en for vi, en in WORDS.values())


def test_every_action_has_words_in_both_languages() -> None:
    assert set(ACTIONS) == set(Action)


@pytest.mark.parametrize("screen", [a_consent(), an_account()])
def test_a_ticket_is_not_in_the_repr_of_its_screen(screen: Screen) -> None:
    assert "a-secret-ticket" not in repr(replace(screen, ticket="a-secret-ticket"))  # type: ignore[type-var]
    assert "a-secret-code" not in repr(replace(an_account(), new_codes=("a-secret-code",)))
