"""Records as canonical bytes and back, for the ledger to keep.

Law: ``record_of(change_of(record)) == record``, and equal records have equal bytes. The bytes are
RFC 8785 JSON (members sorted, no spaces, UTF-8; only texts and lists, so no number can vary);
moments are ISO 8601 in UTC. What does not read back as exactly one record is refused.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Final, assert_never

from gateway import jose
from gateway.registry.records import (
    Activation,
    Agreement,
    Client,
    Operator,
    Organisation,
    Record,
    State,
    frozen_keys,
)
from gateway.terms.dataset import Title
from gateway.terms.entry import Change
from gateway.terms.identifiers import AgreementId, ClientId, OperatorId, OrgId, PurposeId, Thumbprint

Document = Mapping[str, object]


def change_of(record: Record) -> Change:
    """Return the change that puts a record, new or instead of the one with its id."""
    kind = type(record).__name__.lower()
    text = json.dumps(_document(record), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Change(kind=kind, id=record.id, document=text.encode("utf-8"))


def record_of(change: Change) -> Record:
    """Return the record a change holds.

    Raises:
        ValueError: The bytes are not the one spelling of a record of that kind and id.

    """
    reader = _READERS.get(change.kind)
    if reader is None:
        raise ValueError(f"there is no record of kind `{change.kind}`")
    try:
        document = json.loads(change.document.decode("utf-8"))
        record = reader(document)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        # SECURITY: the cause is cut off; its message could quote a member's value.
        raise ValueError(f"not a record of kind `{change.kind}`: {type(error).__name__}") from None
    if change_of(record) != change:
        raise ValueError(f"not the canonical bytes of that {change.kind}")
    return record


def _document(record: Record) -> Document:
    match record:
        case Organisation():
            name = {"en": record.name.en, "vi": record.name.vi}
            special: Document = {"name": name, "org_class": record.org_class, "country": record.country}
        case Agreement():
            special = {
                "org": record.org,
                "purposes": list(record.purposes),
                "valid_from": record.valid_from.isoformat(),
                "valid_until": record.valid_until.isoformat(),
            }
        case Client():
            special = {
                "org": record.org,
                "agreement": record.agreement,
                "purposes": list(record.purposes),
                "keys": list(record.jwks),
            }
        case Operator():
            special = {
                "org": record.org,
                "name": record.name,
                "password_hash": record.password_hash,
                "totp_sealed": jose.base64url(record.totp_sealed),
            }
        case Activation():
            special = {
                "client": record.client,
                "operator": record.operator,
                "purpose": record.purpose,
                "key": record.key,
                "methods": list(record.methods),
                "authenticated_at": record.authenticated_at.isoformat(),
                "until": record.until.isoformat(),
            }
        case _:
            assert_never(record)
    return {"id": record.id, "state": record.state.value, **special}


def _organisation(document: Document) -> Organisation:
    name = document["name"]
    if not isinstance(name, dict):
        raise TypeError
    return Organisation(
        id=OrgId(_text(document, "id")),
        name=Title(vi=_text(name, "vi"), en=_text(name, "en")),
        org_class=_text(document, "org_class"),
        country=_text(document, "country"),
        state=State(_text(document, "state")),
    )


def _agreement(document: Document) -> Agreement:
    return Agreement(
        id=AgreementId(_text(document, "id")),
        org=OrgId(_text(document, "org")),
        purposes=tuple(PurposeId(each) for each in _texts(document, "purposes")),
        valid_from=date.fromisoformat(_text(document, "valid_from")),
        valid_until=date.fromisoformat(_text(document, "valid_until")),
        state=State(_text(document, "state")),
    )


def _client(document: Document) -> Client:
    keys = document["keys"]
    if not isinstance(keys, list):
        raise TypeError
    return Client(
        id=ClientId(_text(document, "id")),
        org=OrgId(_text(document, "org")),
        agreement=AgreementId(_text(document, "agreement")),
        purposes=tuple(PurposeId(each) for each in _texts(document, "purposes")),
        keys=frozen_keys(keys),
        state=State(_text(document, "state")),
    )


def _operator(document: Document) -> Operator:
    return Operator(
        id=OperatorId(_text(document, "id")),
        org=OrgId(_text(document, "org")),
        name=_text(document, "name"),
        password_hash=_text(document, "password_hash"),
        totp_sealed=jose.base64url_decoded(_text(document, "totp_sealed")),
        state=State(_text(document, "state")),
    )


def _activation(document: Document) -> Activation:
    return Activation(
        id=_text(document, "id"),
        client=ClientId(_text(document, "client")),
        operator=OperatorId(_text(document, "operator")),
        purpose=PurposeId(_text(document, "purpose")),
        key=Thumbprint(_text(document, "key")),
        methods=_texts(document, "methods"),
        authenticated_at=_moment(document, "authenticated_at"),
        until=_moment(document, "until"),
        state=State(_text(document, "state")),
    )


_READERS: Final[Mapping[str, Callable[[Document], Record]]] = MappingProxyType(
    {
        "organisation": _organisation,
        "agreement": _agreement,
        "client": _client,
        "operator": _operator,
        "activation": _activation,
    }
)


def _text(document: Document, name: str) -> str:
    value = document[name]
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(document: Document, name: str) -> tuple[str, ...]:
    values = document[name]
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError
    return tuple(values)


def _moment(document: Document, name: str) -> datetime:
    return datetime.fromisoformat(_text(document, name)).astimezone(UTC)
