"""Which form a caller gets, by RFC 9110 section 12.5.1."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.formats import ACCEPT_CHARS_MAX, negotiate
from gateway.errors import NotAcceptable
from gateway.terms.format import Delivery, Form, Format

REFUSAL = "accept one of `application/json`, `application/x-ndjson`, `text/csv`, in at most 1000 characters"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Format.JSON),
        (" , ", Format.JSON),
        ("*/*", Format.JSON),
        ("application/json", Format.JSON),
        ("APPLICATION/X-NDJSON", Format.NDJSON),
        ("text/csv", Format.CSV),
        ("text/csv; charset=UTF-8", Format.CSV),
        ('text/csv;charset="utf-8"', Format.CSV),
        ("text/csv;;q=0.1", Format.CSV),
        ("text/*", Format.CSV),
        ("application/*", Format.JSON),
        ("text/html, application/xhtml+xml, */*;q=0.8", Format.JSON),
        ("application/json;q=0.5, text/csv;q=0.9", Format.CSV),
        ("application/json;q=0.5,\ttext/csv ; Q=0.501", Format.CSV),
        ("*/*, application/json;q=0", Format.NDJSON),
        ("application/*;q=0, */*;q=0.001", Format.CSV),
        ("*/*;q=0.1, application/*;q=0.3, application/x-ndjson;q=0.2", Format.JSON),
        ("text/csv;q=0.1, text/csv;charset=utf-8;q=0.9, */*;q=0.5", Format.CSV),
        ("text/csv;q=2, application/x-ndjson", Format.NDJSON),
        ('image/png;title="a,text/csv,b", application/x-ndjson', Format.NDJSON),
    ],
)
def test_the_caller_gets_what_it_prefers(accept: str, form: Format) -> None:
    assert negotiate(accept) == Form(form)


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/json;q=0",
        "*/*;q=0",
        "application/json;q=0.0000",
        "application/json;q=-1",
        "application/json;q=\u0660.\u0665",
        "application/json;profile=x",
        "text/csv;charset=utf-16",
        "*/json",
        "json",
        "application/",
        "application/json extra",
        '"text/csv',
        "application/json\r\n",
        "text/html," * (ACCEPT_CHARS_MAX // 10) + "*/*",
    ],
)
def test_a_caller_that_accepts_none_is_told_what_there_is(accept: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        negotiate(accept)

    assert refused.value.detail == REFUSAL


@given(st.text(max_size=200) | st.text('*/;=q"\\,.01 acntv', max_size=200))
def test_any_field_is_answered_or_refused(accept: str) -> None:
    with suppress(NotAcceptable):
        assert negotiate(accept).format in Format


@given(st.permutations(["text/csv;q=0.9", "application/json;q=0.8", "*/*;q=0.1"]))
def test_the_order_of_the_elements_is_nothing(elements: list[str]) -> None:
    assert negotiate(", ".join(elements)) == Form(Format.CSV)


ENCRYPTED_CSV = Delivery(formats=frozenset({Format.CSV}), encrypted=True)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("application/jose", Format.JSON),
        ('application/jose; cty="text/csv"', Format.CSV),
        ('application/jose; cty="text/csv; charset=utf-8"', Format.CSV),
        ("application/jose; cty=json", Format.JSON),
        ("application/jose; cty=x-ndjson", Format.NDJSON),
        ('Application/JOSE;CTY="application/X-NDJSON"', Format.NDJSON),
        ('application/jose;cty="text/csv";q=0.5, application/jose;q=0.4', Format.CSV),
        ("application/json;q=0.5, application/jose;q=0.6", Format.JSON),
    ],
)
def test_who_accepts_jose_gets_it_encrypted(accept: str, form: Format) -> None:
    assert negotiate(accept) == Form(form, encrypted=True)


@pytest.mark.parametrize(
    "accept", ["application/jose, application/json", "*/*", "application/*", "", "application/jose;q=0, */*"]
)
def test_what_could_be_either_is_in_clear(accept: str) -> None:
    assert negotiate(accept) == Form(Format.JSON)


@pytest.mark.parametrize(
    "accept", ["*/*", "", "application/jose", 'text/csv, application/jose;cty="text/csv";q=0.1']
)
def test_p3_what_leaves_encrypted_only_is_never_in_clear(accept: str) -> None:
    """Promise P3: whatever is accepted beside it."""
    assert negotiate(accept, ENCRYPTED_CSV) == Form(Format.CSV, encrypted=True)


@pytest.mark.parametrize(
    "accept", ["text/csv", "application/json", 'application/jose;cty="application/json"']
)
def test_who_accepts_no_form_that_may_leave_is_told_which_may(accept: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        negotiate(accept, ENCRYPTED_CSV)

    offered = '`application/jose; cty="text/csv"`'
    assert refused.value.detail == f"accept one of {offered}, in at most 1000 characters"


@given(st.text(max_size=200) | st.text('*/;=q"\\,.01 acntvjose', max_size=200), st.booleans())
def test_p3_no_field_gets_another_form_than_may_leave(accept: str, encrypted: bool) -> None:
    """Promise P3."""
    with suppress(NotAcceptable):
        form = negotiate(accept, Delivery(formats=frozenset({Format.CSV}), encrypted=encrypted))
        assert (form.format, form.encrypted >= encrypted) == (Format.CSV, True)
