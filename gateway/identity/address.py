"""Addresses of requests in one spelling, so that ``htu`` can be compared (RFC 9449 section 4.3).

Normal form by RFC 3986 sections 6.2.2 and 6.2.3: scheme and host in lower case, no default port,
escapes of unreserved characters undone and the others in capitals, dot segments removed, the empty
path ``/``. Query and fragment are left out. What is not a plain http(s) address (user names,
backslashes, unescaped letters beyond ASCII) has no normal form. Own parser: ``urllib`` drops tabs
and newlines and accepts much else.
"""

import re
from functools import lru_cache
from typing import Final

ADDRESS_CHARACTERS_MAX: Final = 2048
ADDRESSES_MAX: Final = 1024
"""Addresses whose normal form is kept: each is asked for many times, and said in every proof."""
_ADDRESS: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*)"
    r"(?:\?[!-\"$-~]*)?(?:#[!-~]*)?",
    re.IGNORECASE | re.ASCII,
)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@lru_cache(maxsize=ADDRESSES_MAX)
def normalised(address: str) -> str:
    """Return the normal form of an http(s) address without query and fragment.

    Raises:
        ValueError: It has none.

    """
    found = _ADDRESS.fullmatch(address) if len(address) <= ADDRESS_CHARACTERS_MAX else None
    if found is None:
        raise ValueError("not an http or https address")
    scheme, host = found["scheme"].lower(), found["host"].lower()
    port = "" if found["port"] in {None, _DEFAULT_PORTS[scheme]} else f":{found['port']}"
    return f"{scheme}://{host}{port}{_path(found['path'])}"


def _path(path: str) -> str:
    kept: list[str] = []
    segments = _ESCAPE.sub(_plain, path).split("/")[1:] or [""]
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _plain(escape: re.Match[str]) -> str:
    character = chr(int(escape[0][1:], 16))
    return character if character in _UNRESERVED else escape[0].upper()
