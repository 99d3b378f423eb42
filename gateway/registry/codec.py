"""Records as canonical bytes and back, for the ledger to keep.

Law: ``record_of(change_of(record)) == record``, and equal records have equal bytes. The bytes are
RFC 8785 JSON (members sorted, no spaces, UTF-8; only texts and lists, so no number can vary);
moments are ISO 8601 in UTC. What does not read back as exactly one record is refused.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Final, assert_never

from gateway import jose
from gateway.registry.public_keys import frozen_encryption_keys, frozen_keys
from gateway.registry.records import (
    Activation,
    Agreement,
    Client,
    ClientCertificate,
    Freezable,
    Freeze,
    InstallationKey,
    Invitation,
    Operator,
    Organisation,
    Passkey,
    Record,
    RecoveryCodes,
    Revocation,
    State,
    UseCount,
)
from gateway.registry.saved_request import SavedRequest
from gateway.terms.dataset import Title
from gateway.terms.entry import Change
from gateway.terms.identifiers import AgreementId, ClientId, OperatorId, OrgId, PurposeId, Thumbprint
from gateway.terms.loss import PicoRho

Document = Mapping[str, object]


def change_of(record: Record) -> Change:
    """Return the change that puts a record, new or instead of the one with its id."""
    kind = type(record).__name__.lower()
    text = json.dumps(document_of(record), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Change(kind=kind, id=record.id, document=text.encode("utf-8"), subject=person_of(record))


def person_of(record: Record) -> str | None:
    """Return whom a record tells of; it goes when that person is erased."""
    match record:
        case Operator(id=person) | RecoveryCodes(id=person):
            return person
        case Activation(operator=person) | Passkey(operator=person) | UseCount(operator=person):
            return person
        case _:
            return None


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


def document_of(record: Record) -> Document:
    """Return a record's members, secrets too."""
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
                **({"encryption_keys": list(record.encryption_jwks)} if record.encryption_keys else {}),
                **({"certificates": _of_certificates(record)} if record.certificates else {}),
            }
        case Operator():
            special = {
                "org": record.org,
                "name": record.name,
                "password_hash": record.password_hash,
                "totp_sealed": jose.base64url(record.totp_sealed),
                **({} if record.invitation is None else {"invitation": _of_an_invitation(record.invitation)}),
                **({} if record.enrolled_at is None else {"enrolled_at": record.enrolled_at.isoformat()}),
            }
        case Activation() | Passkey() | RecoveryCodes() | UseCount():
            special = _of_a_sign_in(record)
        case Freeze():
            special = {
                "what": record.what.value,
                "target": record.target,
                "frozen_at": record.frozen_at.isoformat(),
                "overseers": list(record.overseers),
                "lifted_by": list(record.lifted_by),
            }
        case InstallationKey():
            special = {"kind": record.kind, "works_from": record.works_from.isoformat()}
        case Revocation():
            special = {
                "client": record.client,
                "revoked_at": record.revoked_at.isoformat(),
                "until": record.until.isoformat(),
            }
        case _:
            assert_never(record)
    return {"id": record.id, "state": record.state.value, **special}


def _of_a_sign_in(record: Activation | Passkey | RecoveryCodes | UseCount) -> Document:
    match record:
        case Activation():
            return {
                "client": record.client,
                "operator": record.operator,
                "purpose": record.purpose,
                "key": record.key,
                "methods": list(record.methods),
                **({"passkey": record.passkey} if record.passkey else {}),
                "authenticated_at": record.authenticated_at.isoformat(),
                "until": record.until.isoformat(),
                **({} if record.saved is None else {"saved": _of_a_saved_request(record.saved)}),
            }
        case Passkey():
            return {
                "operator": record.operator,
                "credential": jose.base64url(record.credential),
                "public_key": jose.base64url(record.public_key),
                "synced": str(record.synced),
                "added_at": record.added_at.isoformat(),
            }
        case RecoveryCodes():
            return {"hashes": list(record.hashes), "made_at": record.made_at.isoformat()}
        case UseCount():
            return {"operator": record.operator, "count": str(record.count)}


def _of_certificates(client: Client) -> list[Document]:
    return [
        {"thumbprint": each.thumbprint, "ends_at": each.ends_at.isoformat()} for each in client.certificates
    ]


def _of_an_invitation(invitation: Invitation) -> Document:
    return {"code_hash": invitation.code_hash, "until": invitation.until.isoformat()}


def _of_a_saved_request(saved: SavedRequest) -> Document:
    return {
        "digest": saved.digest,
        "method": saved.method,
        "path": saved.path,
        "sealed": jose.base64url(saved.sealed),
        "effect": saved.effect,
        "pico_rho_max": str(saved.pico_rho_max),
        "vnd_max": str(saved.vnd_max),
    }


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
    keys, encryption_keys = document["keys"], document.get("encryption_keys", [])
    if not isinstance(keys, list) or not isinstance(encryption_keys, list):
        raise TypeError
    return Client(
        id=ClientId(_text(document, "id")),
        org=OrgId(_text(document, "org")),
        agreement=AgreementId(_text(document, "agreement")),
        purposes=tuple(PurposeId(each) for each in _texts(document, "purposes")),
        keys=frozen_keys(keys),
        encryption_keys=frozen_encryption_keys(encryption_keys),
        certificates=tuple(_certificates(document)),
        state=State(_text(document, "state")),
    )


def _certificates(document: Document) -> Iterator[ClientCertificate]:
    listed = document.get("certificates", [])
    if not isinstance(listed, list):
        raise TypeError
    for each in listed:
        if not isinstance(each, dict):
            raise TypeError
        yield ClientCertificate(
            thumbprint=Thumbprint(_text(each, "thumbprint")), ends_at=_moment(each, "ends_at")
        )


def _operator(document: Document) -> Operator:
    return Operator(
        id=OperatorId(_text(document, "id")),
        org=OrgId(_text(document, "org")),
        name=_text(document, "name"),
        password_hash=_text(document, "password_hash"),
        totp_sealed=jose.base64url_decoded(_text(document, "totp_sealed")),
        state=State(_text(document, "state")),
        invitation=_invitation(document["invitation"]) if "invitation" in document else None,
        enrolled_at=_moment(document, "enrolled_at") if "enrolled_at" in document else None,
    )


def _invitation(document: object) -> Invitation:
    if not isinstance(document, dict):
        raise TypeError
    return Invitation(code_hash=_text(document, "code_hash"), until=_moment(document, "until"))


def _activation(document: Document) -> Activation:
    return Activation(
        id=_text(document, "id"),
        client=ClientId(_text(document, "client")),
        operator=OperatorId(_text(document, "operator")),
        purpose=PurposeId(_text(document, "purpose")),
        key=Thumbprint(_text(document, "key")),
        methods=_texts(document, "methods"),
        passkey=_text(document, "passkey") if "passkey" in document else "",
        authenticated_at=_moment(document, "authenticated_at"),
        until=_moment(document, "until"),
        state=State(_text(document, "state")),
        saved=_saved_request(document["saved"]) if "saved" in document else None,
    )


def _saved_request(document: object) -> SavedRequest:
    if not isinstance(document, dict):
        raise TypeError
    return SavedRequest(
        digest=_text(document, "digest"),
        method=_text(document, "method"),
        path=_text(document, "path"),
        sealed=jose.base64url_decoded(_text(document, "sealed")),
        effect=_text(document, "effect"),
        pico_rho_max=PicoRho(int(_text(document, "pico_rho_max"))),
        vnd_max=int(_text(document, "vnd_max")),
    )


def _freeze(document: Document) -> Freeze:
    return Freeze(
        id=_text(document, "id"),
        what=Freezable(_text(document, "what")),
        target=_text(document, "target"),
        frozen_at=_moment(document, "frozen_at"),
        overseers=tuple(OperatorId(each) for each in _texts(document, "overseers")),
        lifted_by=tuple(OperatorId(each) for each in _texts(document, "lifted_by")),
        state=State(_text(document, "state")),
    )


def _installation_key(document: Document) -> InstallationKey:
    return InstallationKey(
        id=_text(document, "id"),
        kind=_text(document, "kind"),
        works_from=_moment(document, "works_from"),
        state=State(_text(document, "state")),
    )


def _revocation(document: Document) -> Revocation:
    return Revocation(
        id=_text(document, "id"),
        client=ClientId(_text(document, "client")),
        revoked_at=_moment(document, "revoked_at"),
        until=_moment(document, "until"),
        state=State(_text(document, "state")),
    )


def _passkey(document: Document) -> Passkey:
    return Passkey(
        id=_text(document, "id"),
        operator=OperatorId(_text(document, "operator")),
        credential=jose.base64url_decoded(_text(document, "credential")),
        public_key=jose.base64url_decoded(_text(document, "public_key")),
        synced=_text(document, "synced") == str(True),
        added_at=_moment(document, "added_at"),
        state=State(_text(document, "state")),
    )


def _use_count(document: Document) -> UseCount:
    return UseCount(
        id=_text(document, "id"),
        operator=OperatorId(_text(document, "operator")),
        count=int(_text(document, "count")),
        state=State(_text(document, "state")),
    )


def _recovery_codes(document: Document) -> RecoveryCodes:
    return RecoveryCodes(
        id=OperatorId(_text(document, "id")),
        hashes=_texts(document, "hashes"),
        made_at=_moment(document, "made_at"),
        state=State(_text(document, "state")),
    )


_READERS: Final[Mapping[str, Callable[[Document], Record]]] = MappingProxyType(
    {
        "organisation": _organisation,
        "agreement": _agreement,
        "client": _client,
        "operator": _operator,
        "activation": _activation,
        "revocation": _revocation,
        "freeze": _freeze,
        "installationkey": _installation_key,
        "passkey": _passkey,
        "recoverycodes": _recovery_codes,
        "usecount": _use_count,
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
