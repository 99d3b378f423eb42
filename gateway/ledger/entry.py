"""What stands in the log: one small canonical JSON object an entry, and the openings beside it.

    v, kind, id, ts         version, kind, request id, Unix milliseconds
    facts                   public facts: no personal data, no client text
    commitments             field -> commitment; ``body`` is what was sent
    charge                  RELEASE, RECOVER, a charged ERROR: the index of the charge it closes
    debits                  CHARGE: node, rho, delta, and both sums at the node after it
    changes                 kind/id of each registry record put with it; ``change.N`` commits to the record

The salt and value of each commitment are sealed and lie apart, so they can be destroyed (P9). A draft
is made in the caller's task; only time and debits, known inside the transaction, are added later.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.ledger.port import EntryRefused
from gateway.terms.entry import ChargeRequest, EntryKind, Fact, ReleaseRequest
from gateway.terms.identifiers import RequestId
from gateway.terms.loss import Debit, Loss
from gateway.transparency.canonical import INTEGER_MAX, NotCanonical, check, encoded
from gateway.transparency.commitment import SALT_BYTES, commitment
from gateway.transparency.proof import BODY_FIELD, ENTRY_BYTES_MAX

VERSION: Final = 1
FACT_CHARACTERS_MAX: Final = 200
_FACT: Final = re.compile(rf"[\x20-\x7e]{{0,{FACT_CHARACTERS_MAX}}}")
_NAME: Final = re.compile(r"[\x21-\x7e]{1,64}")
_ID: Final = re.compile(rf"[\x21-\x7e]{{1,{FACT_CHARACTERS_MAX}}}")
_PART: Final = re.compile(r"[\x21-\x2e\x30-\x7e]{1,200}")

RandomBytes = Callable[[int], bytes]
Seal = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A registry record on its way into the store: sealed opening of its commitment."""

    kind: str
    id: str
    field_name: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry before its time and index are known. Everything in it has been checked."""

    kind: EntryKind
    request_id: RequestId
    document: Mapping[str, object]
    openings: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    """(field, sealed salt and value); of the body the salt only: the bytes themselves are sent."""
    records: tuple[Record, ...] = ()
    body_salt: bytes = field(default=b"", repr=False)

    def leaf(self, *, ts: int, debits: tuple[Mapping[str, object], ...] = ()) -> bytes:
        """Return the bytes of the entry.

        Raises:
            EntryRefused: They are more than 4 KiB.

        """
        late: dict[str, object] = {"ts": ts}
        if debits:
            late["debits"] = debits
        leaf = encoded({**self.document, **late})
        if len(leaf) > ENTRY_BYTES_MAX:
            raise EntryRefused(f"the entry is larger than {ENTRY_BYTES_MAX} bytes")
        return leaf


def draft_of_charge(request: ChargeRequest, random_bytes: RandomBytes, seal: Seal) -> Draft:
    """Return the CHARGE entry of a request, its debits left open."""
    for debit in request.debits:
        _check_debit(debit)
    commitments, openings = _committed(request.private, random_bytes, seal)
    document = _document(EntryKind.CHARGE, request.request_id, request.facts, commitments)
    return Draft(kind=EntryKind.CHARGE, request_id=request.request_id, document=document, openings=openings)


def draft_of_release(request: ReleaseRequest, random_bytes: RandomBytes, seal: Seal) -> Draft:
    """Return the entry of a reply."""
    if request.kind in {EntryKind.CHARGE, EntryKind.RECOVER}:
        raise EntryRefused(f"a reply is no `{request.kind}`")
    if (request.kind is EntryKind.RELEASE) > (request.charge_index is not None):
        raise EntryRefused("a release names its charge")
    if BODY_FIELD in request.private:
        raise EntryRefused(f"`{BODY_FIELD}` is what is sent")
    if request.at_ms is not None and not 0 <= request.at_ms <= INTEGER_MAX:
        raise EntryRefused("the entry's time is no time")
    if request.answer is not None and request.kind is not EntryKind.RELEASE:
        raise EntryRefused("only a release stores an answer")
    commitments, openings = _committed(request.private, random_bytes, seal)
    salt = random_bytes(SALT_BYTES)
    commitments[BODY_FIELD] = commitment(BODY_FIELD, salt, request.body)
    records = []
    for number, change in enumerate(request.changes):
        name, change_salt = f"change.{number}", random_bytes(SALT_BYTES)
        commitments[name] = commitment(name, change_salt, change.document)
        sealed = seal(change_salt + change.document)
        records.append(Record(kind=change.kind, id=change.id, field_name=name, sealed=sealed))
    document = _document(request.kind, request.request_id, request.facts, commitments)
    if request.charge_index is not None:
        document["charge"] = request.charge_index
    if records:
        document["changes"] = [f"{_part(record.kind)}/{_part(record.id)}" for record in records]
    return Draft(
        kind=request.kind,
        request_id=request.request_id,
        document=document,
        openings=(*openings, (BODY_FIELD, seal(salt))),
        records=tuple(records),
        body_salt=salt,
    )


def draft_of_recover(charge_index: int, request_id: RequestId) -> Draft:
    """Return the entry that closes a charge which a crash left open."""
    document = _document(EntryKind.RECOVER, request_id, {}, {})
    document["charge"] = charge_index
    return Draft(kind=EntryKind.RECOVER, request_id=request_id, document=document)


def debit_shown(debit: Debit, after: Loss) -> dict[str, object]:
    """Return how an entry tells of one debit."""
    return {
        "node": debit.node.path,
        "rho": debit.loss.rho,
        "delta": debit.loss.delta,
        "rho_after": after.rho,
        "delta_after": after.delta,
    }


def opened(sealed: bytes, field_name: str, stated: object, unseal: Seal) -> bytes:
    """Return the value of a sealed opening that opens the commitment an entry states.

    Raises:
        ValueError: The seal is not ours, or the opening is not of this commitment.

    """
    plain = unseal(sealed)
    salt, value = plain[:SALT_BYTES], plain[SALT_BYTES:]
    if commitment(field_name, salt, value) != stated:
        raise ValueError("the opening does not fit the entry")
    return value


def _document(
    kind: EntryKind, request_id: RequestId, facts: Mapping[str, Fact], commitments: Mapping[str, str]
) -> dict[str, object]:
    if _ID.fullmatch(request_id) is None:
        raise EntryRefused("a request id is printable ASCII without blanks")
    for name, fact in facts.items():
        _check_fact(name, fact)
    document: dict[str, object] = {
        "v": VERSION,
        "kind": kind.value,
        "id": request_id,
        "facts": dict(facts),
        "commitments": dict(commitments),
    }
    try:
        check(document)
    except NotCanonical as error:
        raise EntryRefused(f"the entry is not canonical: {error}") from error
    return document


def _committed(
    private: Mapping[str, bytes], random_bytes: RandomBytes, seal: Seal
) -> tuple[dict[str, str], tuple[tuple[str, bytes], ...]]:
    commitments, openings = {}, []
    # All salts in one draw: each call of the system's random source lets another thread cut in.
    salts = random_bytes(SALT_BYTES * len(private))
    for place, (name, value) in enumerate(private.items()):
        salt = salts[SALT_BYTES * place : SALT_BYTES * (place + 1)]
        try:
            commitments[name] = commitment(name, salt, value)
        except ValueError as error:
            raise EntryRefused(f"not committed: {error}") from error
        openings.append((name, seal(salt + value)))
    return commitments, tuple(openings)


def _check_fact(name: str, fact: object) -> None:
    """SECURITY: the message names the fact, never its value."""
    texts: tuple[object, ...] = ()
    if isinstance(fact, str):
        texts = (fact,)
    elif isinstance(fact, tuple):
        texts = fact
    elif isinstance(fact, Mapping):
        texts = tuple(fact)
        if not all(isinstance(number, int) for number in fact.values()):
            raise EntryRefused(f"fact `{name}` counts something that is no number")
    elif not isinstance(fact, int):
        raise EntryRefused(f"fact `{name}` is of no type that a fact has")
    if _NAME.fullmatch(name) is None:
        raise EntryRefused("a fact's name is printable ASCII without blanks")
    if not all([isinstance(text, str) and _FACT.fullmatch(text) for text in texts]):  # noqa: C419 -- faster
        raise EntryRefused(f"fact `{name}` is not printable ASCII of at most {FACT_CHARACTERS_MAX}")


def _check_debit(debit: Debit) -> None:
    """Raise unless the node's path is unambiguous and the numbers are losses."""
    parts = (debit.node.lineage, debit.node.org, debit.node.client)
    if debit.node.client is not None and debit.node.org is None:
        raise EntryRefused("a client's budget belongs to an organisation")
    for part in parts:
        if part is not None:
            _part(part)
    numbers = (debit.loss.rho, debit.loss.delta, debit.cap.rho, debit.cap.delta)
    if not all(0 <= number <= INTEGER_MAX for number in numbers):
        raise EntryRefused("a loss is neither negative nor 2^53 or larger")


def _part(text: str) -> str:
    if _PART.fullmatch(text) is None:
        raise EntryRefused("a name that stands in a path is printable ASCII without blanks or slashes")
    return text
