"""Screens as HTML, each with headers under which only its own inline style and its own form work.

The style is named by its hash (CSP Level 3, section 6.7.3.3), so no other inline style runs, an injected one
neither. Pages that can take a passkey load one script, which is the only reply of ours that browsers take for
one (all carry ``nosniff``); pages that cannot, none. Templates are read once, at import.
"""

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final, assert_never

from jinja2 import DictLoader, Environment, StrictUndefined

from gateway.services.screens import (
    Account,
    Consent,
    Done,
    Enrolment,
    Factors,
    Notice,
    Opened,
    Page,
    Screen,
    SignIn,
)
from gateway.terms.query import Action
from gateway.terms.treatment import (
    Band,
    DatePrecision,
    Keep,
    Partial,
    Precision,
    Prefix,
    Redact,
    Tokenise,
    Treatment,
)

_FOLDER: Final = files("gateway.web.pages")
_STYLE: Final = _FOLDER.joinpath("style.css").read_text(encoding="utf-8").strip()
_TEMPLATES: Final = ("layout.html", "sign_in.html", "consent.html", "account.html", "enrol.html", "done.html")
_ENVIRONMENT: Final = Environment(
    loader=DictLoader({name: _FOLDER.joinpath(name).read_text(encoding="utf-8") for name in _TEMPLATES}),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
SCRIPT: Final = _FOLDER.joinpath("passkey.js").read_bytes()
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")

_NO_OTHERS: Final = "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

_INERT: Final = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; {_NO_OTHERS}"
_SCRIPTED: Final = f"{_INERT}; script-src 'self'; require-trusted-types-for 'script'"

HEADERS: Final = (
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
    Notice.CODE_NEEDED: (
        "Khóa truy cập này được đồng bộ giữa các thiết bị. Hãy nhập thêm mã dùng một lần, rồi dùng lại khóa.",
        "This passkey is synced between devices. Enter a one-time code as well, then use the passkey again.",
    ),
    Notice.SIGNED_OUT: (
        "Phiên làm việc đã kết thúc. Hãy đăng nhập lại.",
        "This session is over. Sign in again.",
    ),
    Notice.PASSKEY_ADDED: ("Đã thêm khóa truy cập.", "Passkey added."),
    Notice.PASSKEY_NOT_ADDED: (
        "Không thêm được khóa truy cập. Khóa phải kiểm tra được người dùng, và có nhiều nhất 10 khóa.",
        "Passkey not added. It must verify its user, and there are at most 10.",
    ),
    Notice.PASSKEY_REMOVED: (
        "Đã xóa khóa truy cập và chấm dứt những gì đã được duyệt bằng khóa đó.",
        "Passkey removed, and what was approved with it has ended.",
    ),
    Notice.ACTIVATION_ENDED: (
        "Đã chấm dứt. Máy không còn nhận được dữ liệu theo phê duyệt này.",
        "Ended. The machine receives no more data by this approval.",
    ),
    Notice.CODES_MADE: ("Đã tạo mã khôi phục mới.", "New recovery codes made."),
    Notice.ENROLMENT_FAILED: (
        "Không đăng ký được. Kiểm tra tên và mã; mỗi mã dùng một lần, trong một ngày. Có thể xin mã mới.",
        "Enrolment failed. Check name and code; a code works once, for a day. If need be, ask for a new one.",
    ),
    Notice.PASSWORD_UNFIT: (
        "Mật khẩu phải có từ 12 đến 256 ký tự.",
        "A password has 12 to 256 characters.",
    ),
    Notice.PASSWORDS_DIFFER: ("Hai mật khẩu không giống nhau.", "The two passwords are not the same."),
    Notice.CODE_UNFIT: (
        "Mã không khớp. Hãy nhập mã mà ứng dụng đang hiện cho khóa này.",
        "The code does not fit. Enter the one that the app shows now for this key.",
    ),
    Notice.ENROLLED: (
        "Đã đăng ký. Từ nay bạn đăng nhập bằng mật khẩu và mã của ứng dụng; thêm khóa truy cập tại /account.",
        "Enrolled. From now on you sign in with password and app code, and may add a passkey at /account.",
    ),
}
ACTIONS: Final[Mapping[Action, tuple[str, str]]] = {
    Action.EXTRACT: ("các dòng đã che dữ liệu cá nhân", "rows with personal data masked"),
    Action.AGGREGATE: ("thống kê có nhiễu", "statistics with noise"),
    Action.LOOKUP: ("tra cứu theo khóa, mỗi khóa đều được tính", "lookups by key, each key charged"),
    Action.PROXY: ("giao diện của nguồn, đã che dữ liệu cá nhân", "the source's own interface, masked"),
}
_SPANS: Final = {
    DatePrecision.YEAR: "chỉ năm",
    DatePrecision.QUARTER: "chỉ quý và năm",
    DatePrecision.MONTH: "chỉ tháng và năm",
}
_GOOD: Final = {
    Notice.APPROVED,
    Notice.REFUSED,
    Notice.PASSKEY_ADDED,
    Notice.PASSKEY_REMOVED,
    Notice.CODES_MADE,
    Notice.ACTIVATION_ENDED,
    Notice.ENROLLED,
}


def render(screen: Screen) -> Page:
    """Return a screen as a page."""
    scripted = False
    match screen:
        case SignIn():
            scripted = screen.passkey is not None
            body = _html("sign_in.html", screen.notice, asked=screen, scripted=scripted)
        case Consent():
            body = _html(
                "consent.html", None, asked=screen, words=_actions, treated=_treated, scripted=scripted
            )
        case Account():
            scripted = screen.creation is not None
            body = _html("account.html", screen.notice, asked=screen, scripted=scripted)
        case Enrolment() | Factors():
            factors = isinstance(screen, Factors)
            body = _html("enrol.html", screen.notice, asked=screen, factors=factors, scripted=scripted)
        case Done(notice=notice):
            body = _html("done.html", notice, scripted=scripted)
        case _:
            assert_never(screen)
    policy = _SCRIPTED if scripted else _INERT
    return Page(body=body, headers=(("Content-Security-Policy", policy), *HEADERS))


def _html(template: str, notice: Notice | None, **members: object) -> bytes:
    text = _ENVIRONMENT.get_template(template).render(
        style=_STYLE,
        notice=None if notice is None else WORDS[notice],
        alert=notice not in _GOOD,
        **members,
    )
    return text.encode("utf-8")


def _treated(treatment: Treatment, language: int) -> str:
    """Return what happens to a column before it leaves, settings and all."""
    match treatment:
        case Keep():
            words = ("nguyên giá trị", "as it is")
        case Redact():
            words = ("luôn trống", "always empty")
        case Tokenise():
            words = ("mã thay thế, riêng cho tổ chức của bạn", "a pseudonym, your organisation's own")
        case Partial(first, last):
            words = (
                f"chỉ {first} ký tự đầu và {last} ký tự cuối",
                f"first {first} and last {last} characters",
            )
        case Band(width):
            words = (f"theo khoảng rộng {width}", f"in bands of {width}")
        case Precision(precision):
            words = (_SPANS[precision], f"only its {precision}")
        case Prefix(length):
            words = (f"{length} ký tự đầu", f"first {length} characters")
        case _:
            raise AssertionError("what is dropped does not leave")
    return words[language]


def _actions(dataset: Opened, language: int) -> str:
    return ", ".join(ACTIONS[action][language] for action in dataset.actions)
