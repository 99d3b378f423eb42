"""Records as administrators see them: everything but what is secret."""

from collections.abc import Mapping
from typing import Final

from gateway import jose
from gateway.registry.codec import document_of
from gateway.registry.records import (
    Activation,
    Agreement,
    Client,
    Freezable,
    Operator,
    Organisation,
    Record,
    State,
)
from gateway.registry.registry import Registry

ROWS_MAX: Final = 500
"""Of one answer; a list goes on behind the last row."""
_SECRETS: Final = frozenset({"password_hash", "totp_sealed", "invitation"})


def shown(record: Record, registry: Registry) -> dict[str, object]:
    """Return a record as a row; whether it is frozen belongs to it, and a key goes by its thumbprint."""
    row = {name: value for name, value in document_of(record).items() if name not in _SECRETS}
    if isinstance(record, Client):
        row["keys"] = [jose.thumbprint(jwk) for jwk in record.jwks]
        if record.encryption_keys:
            row["encryption_keys"] = [jose.thumbprint(jwk) for jwk in record.encryption_jwks]
    if isinstance(record, Activation):
        if not registry.has_passkey(record.passkey):
            row["state"] = State.ENDED.value
        row["saved"] = None if record.saved is None else f"{record.saved.method} {record.saved.path}"
    if isinstance(record, Operator):
        row["enrolled"] = record.is_enrolled
    if (frozen := _frozen(record, registry)) is not None:
        row["frozen"] = frozen
    return row


def _frozen(record: Record, registry: Registry) -> bool | None:
    what: Mapping[type, Freezable] = {
        Organisation: Freezable.ORGANISATION,
        Agreement: Freezable.AGREEMENT,
        Client: Freezable.CLIENT,
        Operator: Freezable.OPERATOR,
    }
    kind = what.get(type(record))
    return None if kind is None else registry.is_frozen(kind, record.id)
