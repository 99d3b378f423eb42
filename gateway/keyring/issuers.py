"""Issuers that an installation trusts beside its own: one JSON file each in ``keys/issuers`` of the home.

keys/README.md describes the members; what is not one of them, or is there twice, stops the start with
the place and the reason. An issuer is pinned: its name is written here, its keys come from the one
address or file that is written here, and an address sends nobody elsewhere (redirects are refused).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import ClientError, ClientSession

from gateway.errors import HomeInvalid
from gateway.identity.trusted import ActsFor, TrustedIssuer
from gateway.keyring.key_sets import DOCUMENT_BYTES_MAX, Fetch, KeySet
from gateway.terms.identifiers import AgreementId, ClientId, OperatorId, OrgId, PurposeId

FOLDER: Final = "keys/issuers"
LAST_GOOD: Final = "run/issuer-{name}.jwks"
"""What was fetched last, by the name of the issuer's file."""
LOOPBACK: Final = ("127.0.0.1", "localhost")


class _Keys(msgspec.Struct, forbid_unknown_fields=True):
    url: str | None = None
    file: str | None = None


class _ActsFor(msgspec.Struct, forbid_unknown_fields=True):
    client: str
    org: str
    agreement: str
    purpose: str


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    issuer: str
    keys: _Keys
    clients: dict[str, _ActsFor]
    people: dict[str, str] = {}
    acr: dict[str, tuple[str, ...]] = {}
    amr: dict[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class TrustedIssuers:
    """All of them, and their keys, which are fetched in a process that answers requests only."""

    by_name: Mapping[str, TrustedIssuer]
    key_sets: tuple[KeySet, ...]

    @asynccontextmanager
    async def kept_fresh(self) -> AsyncIterator[None]:
        """Have the keys, and have them anew from time to time, until the block ends."""
        async with AsyncExitStack() as stack:
            await asyncio.gather(*(stack.enter_async_context(each.kept_fresh()) for each in self.key_sets))
            yield


def trusted_issuers(home: Path, *, own: str) -> TrustedIssuers:
    """Return the issuers that an installation trusts; ``own`` is the gateway's own issuer name.

    Raises:
        HomeInvalid: A file is not as it must be, or two speak of one issuer.

    """
    by_name: dict[str, TrustedIssuer] = {}
    key_sets: list[KeySet] = []
    for path in sorted((home / FOLDER).glob("*.json")):
        try:
            document = _read(path)
            if document.issuer == own or document.issuer in by_name:
                raise ValueError(f"issuer `{document.issuer}` is known already")  # noqa: TRY301  one place to name the file
            last_good = home / LAST_GOOD.format(name=path.stem)
            key_set = KeySet(document.issuer, _fetch_of(document.keys, path.parent), last_good=last_good)
            by_name[document.issuer] = _issuer_of(document, key_set)
        except (OSError, ValueError) as error:
            raise HomeInvalid(f"`{FOLDER}/{path.name}`: {error}") from error
        key_sets.append(key_set)
    return TrustedIssuers(MappingProxyType(by_name), tuple(key_sets))


def _read(path: Path) -> _Document:
    content = json.loads(path.read_bytes(), object_pairs_hook=_unique)
    return msgspec.convert(content, _Document)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"`{twice[0]}` is there twice")
    return dict(pairs)


def _issuer_of(document: _Document, key_set: KeySet) -> TrustedIssuer:
    clients = {
        name: ActsFor(
            client=ClientId(here.client),
            org=OrgId(here.org),
            agreement=AgreementId(here.agreement),
            purpose=PurposeId(here.purpose),
        )
        for name, here in document.clients.items()
    }
    return TrustedIssuer(
        name=document.issuer,
        keys=key_set,
        clients=MappingProxyType(clients),
        people=MappingProxyType({name: OperatorId(here) for name, here in document.people.items()}),
        acr=MappingProxyType(document.acr),
        amr=MappingProxyType(document.amr),
    )


def _fetch_of(keys: _Keys, folder: Path) -> Fetch:
    """Return how the key set is fetched, from exactly one place."""
    match keys:
        case _Keys(url=None, file=str(name)) if Path(name).name == name:
            return lambda: asyncio.to_thread((folder / name).read_bytes)
        case _Keys(url=str(url), file=None) if _is_safe(url):
            return lambda: _fetched(url)
        case _:
            raise ValueError("`keys` has one of `url` (https) and `file` (a name in this folder)")


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


async def _fetched(url: str) -> bytes:
    """Return what stands at an address.

    Raises:
        ClientError: The other machine does not answer as it must.

    """
    document = b""
    async with ClientSession() as session, session.get(url, allow_redirects=False) as answer:
        if answer.status != 200:  # noqa: PLR2004  the one status that carries a key set
            raise ClientError(f"status {answer.status}")
        async for chunk in answer.content.iter_chunked(DOCUMENT_BYTES_MAX):
            document += chunk
            if len(document) > DOCUMENT_BYTES_MAX:
                break
    return document
