"""Every page is inert: nothing in it runs, nothing is fetched, nothing a person gave is HTML."""

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.screens import Consent, Done, Notice, Screen, SignIn
from gateway.terms.dataset import Title
from gateway.web.pages.render import WORDS, render


def a_consent(text: str = "x") -> Consent:
    return Consent(
        client=text,
        organisation=Title(vi=text, en=text),
        purpose=text,
        agreement=text,
        hours=8,
        until=datetime(2026, 3, 2, 20, 0, tzinfo=UTC),
        key_phrase=text,
        ticket=text,
    )


SCREENS: list[Screen] = [
    SignIn(),
    *(SignIn(notice=notice) for notice in Notice),
    a_consent(),
    *(Done(notice=notice) for notice in Notice),
]


@pytest.mark.parametrize("screen", SCREENS)
def test_a_page_allows_its_own_style_and_form_and_nothing_else(screen: Screen) -> None:
    page = render(screen)
    headers, html = dict(page.headers), page.body.decode("utf-8")

    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert headers == {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    assert not re.search(r"<script|<img|<link|<iframe|\son\w+=|\sstyle=|https?:|url\(", html)


@pytest.mark.parametrize("screen", SCREENS)
def test_a_page_speaks_both_languages_and_names_every_field(screen: Screen) -> None:
    html = render(screen).body.decode("utf-8")

    assert html.count('<span lang="vi">') == html.count('<span lang="en">') > 0
    fields = re.findall(r'<input[^>]* id="(\w+)"', html)
    assert re.findall(r'<label for="(\w+)"', html) == fields


@given(st.text(alphabet=st.sampled_from("<>\"'&{}%#=/ aă\n\u202e"), max_size=40))
def test_no_text_of_a_record_becomes_markup(text: str) -> None:
    tags = re.compile(r"<[^>]*>")
    plain = [tag.partition(" ")[0] for tag in tags.findall(render(a_consent()).body.decode("utf-8"))]

    found = [tag.partition(" ")[0] for tag in tags.findall(render(a_consent(text)).body.decode("utf-8"))]

    assert found == plain


def test_every_notice_has_words_in_both_languages() -> None:
    assert set(WORDS) == set(Notice)
    assert all(vi and en and vi != en for vi, en in WORDS.values())


def test_a_ticket_is_not_in_the_repr_of_its_screen() -> None:
    assert "a-secret-ticket" not in repr(replace(a_consent(), ticket="a-secret-ticket"))
