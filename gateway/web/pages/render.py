"""Screens as HTML, each with headers under which only its own inline style and its own form work.

The style is named by its hash (CSP Level 3, section 6.7.3.3), so no other inline style runs, an injected one
neither; there is no script at all. Templates are read once, at import.
"""

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final, assert_never

from jinja2 import DictLoader, Environment, StrictUndefined

from gateway.services.screens import Consent, Done, Notice, Page, Screen, SignIn

_FOLDER: Final = files("gateway.web.pages")
_STYLE: Final = _FOLDER.joinpath("style.css").read_text(encoding="utf-8").strip()
_TEMPLATES: Final = ("layout.html", "sign_in.html", "consent.html", "done.html")
_ENVIRONMENT: Final = Environment(
    loader=DictLoader({name: _FOLDER.joinpath(name).read_text(encoding="utf-8") for name in _TEMPLATES}),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")

_NO_OTHERS: Final = "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

HEADERS: Final = (
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; {_NO_OTHERS}",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)

WORDS: Final[Mapping[Notice, tuple[str, str]]] = {
    Notice.SIGN_IN_FAILED: (
        "Không đăng nhập được. Kiểm tra mã trên máy, tên và mật khẩu; mỗi mã xác thực chỉ dùng một lần.",
        "Sign-in failed. Check the machine's code, your name and password; each one-time code works once.",
    ),
    Notice.TOO_MANY_ATTEMPTS: (
        "Bạn đã thử quá nhiều lần. Hãy đợi 15 phút.",
        "Too many attempts. Wait 15 minutes.",
    ),
    Notice.NO_LONGER_WAITING: (
        "Yêu cầu này đã được quyết định hoặc đã hết hạn. Hãy yêu cầu lại từ máy của bạn.",
        "This request has been decided or has expired. Ask again from your machine.",
    ),
    Notice.FORM_UNREADABLE: (
        "Không đọc được biểu mẫu. Hãy mở lại trang này.",
        "The form cannot be read. Open this page again.",
    ),
    Notice.APPROVED: (
        "Đã phê duyệt. Bạn có thể đóng trang này; máy sẽ tự tiếp tục.",
        "Approved. You may close this page; the machine goes on by itself.",
    ),
    Notice.REFUSED: (
        "Đã từ chối. Máy sẽ không nhận được dữ liệu.",
        "Refused. The machine will not receive data.",
    ),
}


def render(screen: Screen) -> Page:
    """Return a screen as a page."""
    match screen:
        case SignIn(notice=notice):
            body = _html("sign_in.html", notice=_words(notice), alert=True)
        case Consent():
            body = _html("consent.html", asked=screen, notice=None, alert=False)
        case Done(notice=notice):
            good = notice in {Notice.APPROVED, Notice.REFUSED}
            body = _html("done.html", notice=_words(notice), alert=not good)
        case _:
            assert_never(screen)
    return Page(body=body, headers=HEADERS)


def _html(template: str, **members: object) -> bytes:
    return _ENVIRONMENT.get_template(template).render(style=_STYLE, **members).encode("utf-8")


def _words(notice: Notice | None) -> tuple[str, str] | None:
    return None if notice is None else WORDS[notice]
