"""One spelling for every address, and none for what is not plainly one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.address import normalised


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("https://gateway.example/a", "https://gateway.example/a"),
        ("HTTPS://Gateway.Example/a", "https://gateway.example/a"),
        ("https://gateway.example:443/a", "https://gateway.example/a"),
        ("http://gateway.example:80/a", "http://gateway.example/a"),
        ("http://gateway.example:443/a", "http://gateway.example:443/a"),
        ("https://gateway.example:8443/a", "https://gateway.example:8443/a"),
        ("https://gateway.example", "https://gateway.example/"),
        ("https://gateway.example?q", "https://gateway.example/"),
        ("https://gateway.example/a?q=1#f", "https://gateway.example/a"),
        ("https://gateway.example/a#f?q", "https://gateway.example/a"),
        # RFC 3986 section 6.2.2.1 and 6.2.2.2
        ("https://gateway.example/%7ea%2F%2fb", "https://gateway.example/~a%2F%2Fb"),
        ("https://gateway.example/%e1%ba%af", "https://gateway.example/%E1%BA%AF"),
        # RFC 3986 section 5.2.4
        ("https://gateway.example/a/b/c/./../../g", "https://gateway.example/a/g"),
        ("https://gateway.example/../../g", "https://gateway.example/g"),
        ("https://gateway.example/a/..", "https://gateway.example/"),
        ("https://gateway.example/a/.", "https://gateway.example/a/"),
        ("https://gateway.example/a/%2e%2E/b", "https://gateway.example/b"),
        ("https://gateway.example//a//", "https://gateway.example//a//"),
        ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("http://localhost:8080/a", "http://localhost:8080/a"),
    ],
)
def test_an_address_has_one_normal_form(address: str, normal: str) -> None:
    assert normalised(address) == normal
    assert normalised(normal) == normal


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/a",
        "gateway.example/a",
        "ftp://gateway.example/a",
        "https:///a",
        "https:/gateway.example/a",
        "https://lan@gateway.example/a",
        "https://gateway.example:port/a",
        "https://gateway.example:/a",
        "https://gateway.example:123456/a",
        "https://gateway.example\\a",
        "https://gateway.example/a b",
        "https://gateway.example/a\n",
        "https://gateway.example/\t",
        "https://gateway.example/%zz",
        "https://gateway.example/%2",
        "https://gatewаy.example/a",  # noqa: RUF001  a Cyrillic letter
        "https://gateway.example/\u1eaf",
        "https://-gateway.example/a",
        "https://gateway.example/" + "a" * 2048,
    ],
)
def test_what_is_not_plainly_an_address_has_none(address: str) -> None:
    with pytest.raises(ValueError, match="not an http"):
        normalised(address)


@given(st.text("aA%2e7E./~:@", max_size=30))
def test_a_normal_form_is_its_own_normal_form(path: str) -> None:
    try:
        normal = normalised(f"https://gateway.example/{path}")
    except ValueError:
        return

    assert normalised(normal) == normal
    assert "/../" not in normal
    assert "/./" not in normal
