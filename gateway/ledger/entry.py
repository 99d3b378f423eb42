"""What stands in the log: one small canonical JSON object an entry, and the opening beside it.

    v, kind, id, ts         version, kind, request id, Unix milliseconds
    facts                   public facts: no personal data, no client text
    commitments             field -> commitment; ``body`` is what was sent, ``plain`` what it encrypts
    charge                  RELEASE, RECOVER, a charged ERROR: the index of the charge it closes
    debits                  CHARGE: node, rho, delta, where keys were tried keys; and the sums after it
    changes                 kind/id of each registry record put with it; ``change.N`` commits to the record

docs/ledger.md specifies all of it. The opening (``openings.py``) lies apart, so it can be destroyed (P9).
A draft is made in the caller's task and holds its bytes already; what only the transaction knows, time,
debits and the names of persons' records, goes into the gaps. Members stand in their order (RFC 8785).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gateway.ledger.openings import SEED_BYTES, Salts, packed
from gateway.ledger.port import EntryRefused
from gateway.terms.entry import Change, ChargeRequest, EntryKind, Fact, ReleaseRequest
from gateway.terms.identifiers import RequestId
from gateway.terms.loss import Debit, Loss
from gateway.transparency.canonical import INTEGER_MAX
from gateway.transparency.commitment import commitment
from gateway.transparency.proof import BODY_FIELD, ENTRY_BYTES_MAX, PLAIN_FIELD

VERSION: Final = 1
TEXT_MAX: Final = 200
NAME_MAX: Final = 64
_CHANGE: Final = "change."
_END: Final = b',"v":%d}' % VERSION
_ENCODER: Final = msgspec.json.Encoder(order="sorted", enc_hook=dict)  # of a mapping that is no dict
"""Of checked documents, RFC 8785's bytes: texts are printable ASCII, numbers are integers below 2^53."""

_Text = Annotated[str, Meta(max_length=TEXT_MAX)]
_Number = Annotated[int, Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]
_FACTS: Final = msgspec.json.Decoder(
    dict[str, _Text | _Number | bool | tuple[_Text, ...] | dict[_Text, _Number]]
)

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A registry record on its way into the store."""

    kind: str
    id: str
    subject: str | None = field(repr=False)
    opening: bytes = field(repr=False)
    """Its commitment's salt, then ``id``, ``subject`` where there is one, and ``document``."""
    replaces: bytes | None = field(default=None, repr=False)
    """As in ``Change``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry before its time and index are known. Everything in it has been checked."""

    kind: EntryKind
    request_id: RequestId
    head: bytes = field(repr=False)
    """From ``charge`` or ``commitments`` to where ``debits`` may stand."""
    tail: bytes = field(repr=False)
    """From ``facts`` to where the time stands."""
    opening: bytes = field(default=b"", repr=False)
    """Not sealed yet; empty for an entry that commits to nothing."""
    subject: str | None = field(default=None, repr=False)
    records: tuple[Record, ...] = ()
    body_salt: bytes = field(default=b"", repr=False)

    def leaf(
        self, *, ts: int, debits: list[dict[str, object]] | None = None, names: tuple[str, ...] = ()
    ) -> bytes:
        """Return the bytes of the entry; ``names`` are the shown ids of its records.

        Raises:
            EntryRefused: They are more than 4 KiB.

        """
        changes = shown_debits = b""
        if names:
            shown = [f"{record.kind}/{name}" for record, name in zip(self.records, names, strict=True)]
            changes = b'"changes":%b,' % _ENCODER.encode(shown)
        if debits:
            shown_debits = b'"debits":%b,' % _ENCODER.encode(debits)
        leaf = b"{%b%b%b%b%d%b" % (changes, self.head, shown_debits, self.tail, ts, _END)
        if len(leaf) > ENTRY_BYTES_MAX:
            raise EntryRefused(f"the entry is larger than {ENTRY_BYTES_MAX} bytes")
        return leaf


def draft_of_charge(request: ChargeRequest, random_bytes: RandomBytes) -> Draft:
    """Return the CHARGE entry of a request, its debits left open."""
    for debit in request.debits:
        _check_debit(debit)
    seed = random_bytes(SEED_BYTES)
    commitments = _committed(request.private, Salts(seed))
    return _draft(EntryKind.CHARGE, request, commitments, opening=packed(seed, request.private))


def draft_of_release(request: ReleaseRequest, random_bytes: RandomBytes) -> Draft:
    """Return the entry of a reply."""
    if request.kind in {EntryKind.CHARGE, EntryKind.RECOVER}:
        raise EntryRefused(f"a reply is no `{request.kind}`")
    if (request.kind is EntryKind.RELEASE) > (request.charge_index is not None):
        raise EntryRefused("a release names its charge")
    if request.at_ms is not None and not 0 <= request.at_ms <= INTEGER_MAX:
        raise EntryRefused("the entry's time is no time")
    if request.answer is not None and request.kind is not EntryKind.RELEASE:
        raise EntryRefused("only a release stores an answer")
    seed = random_bytes(SEED_BYTES)
    salts = Salts(seed)
    commitments = _committed(request.private, salts)
    body_salt = salts.of(BODY_FIELD)
    commitments[BODY_FIELD] = commitment(BODY_FIELD, body_salt, request.body)
    if request.plain is not None:
        commitments[PLAIN_FIELD] = commitment(PLAIN_FIELD, body_salt, request.plain)
    records = tuple([_record(change, random_bytes(SEED_BYTES)) for change in request.changes])
    for number, (change, record) in enumerate(zip(request.changes, records, strict=True)):
        name = change_field(number)
        commitments[name] = commitment(name, record.opening[:SEED_BYTES], change.document)
    return _draft(
        request.kind,
        request,
        commitments,
        charge_index=request.charge_index,
        opening=packed(seed, request.private),
        records=records,
        body_salt=body_salt,
    )


def draft_of_recover(charge_index: int, request_id: RequestId) -> Draft:
    """Return the entry that closes a charge whose release never came."""
    request = ReleaseRequest(request_id=request_id, kind=EntryKind.RECOVER, facts={}, private={}, body=b"")
    return _draft(EntryKind.RECOVER, request, {}, charge_index=charge_index)


def change_field(number: int) -> str:
    """Return the field that commits to the record put as the n-th of an entry."""
    return f"{_CHANGE}{number}"


def debit_shown(debit: Debit, after: Loss) -> dict[str, object]:
    """Return how an entry tells of one debit; of keys only where one was ever tried at the node."""
    keys = {"keys": debit.loss.keys, "keys_after": after.keys} if after.keys else {}
    return {
        "node": debit.node.path,
        "rho": debit.loss.rho,
        "delta": debit.loss.delta,
        "rho_after": after.rho,
        "delta_after": after.delta,
        **keys,
    }


def _draft(
    kind: EntryKind,
    request: ChargeRequest | ReleaseRequest,
    commitments: dict[str, str],
    *,
    charge_index: int | None = None,
    opening: bytes = b"",
    records: tuple[Record, ...] = (),
    body_salt: bytes = b"",
) -> Draft:
    request_id = request.request_id
    if not _is_text(request_id) or not request_id or " " in request_id:
        raise EntryRefused("a request id is printable ASCII without blanks")
    facts = _encoded_facts(request.facts)
    charge = b"" if charge_index is None else b'"charge":%d,' % charge_index
    encode = _ENCODER.encode
    return Draft(
        kind=kind,
        request_id=request_id,
        head=b'%b"commitments":%b,' % (charge, encode(commitments)),
        tail=b'"facts":%b,"id":%b,"kind":%b,"ts":' % (facts, encode(request_id), encode(kind)),
        opening=opening,
        subject=request.subject,
        records=records,
        body_salt=body_salt,
    )


def _committed(private: Mapping[str, bytes], salts: Salts) -> dict[str, str]:
    for name in private:
        if name in {BODY_FIELD, PLAIN_FIELD} or name.startswith(_CHANGE):
            raise EntryRefused(f"`{name}` is what the ledger itself commits to")
    try:
        return {name: commitment(name, salts.of(name), value) for name, value in private.items()}
    except ValueError as error:
        raise EntryRefused(f"not committed: {error}") from error


def _record(change: Change, salt: bytes) -> Record:
    """SECURITY: the salt is the record's own, so that who can open the entry cannot guess the record."""
    _part(change.kind)
    _part(change.id)
    values = {"id": change.id.encode("ascii"), "document": change.document}
    if change.subject is not None:
        values["subject"] = change.subject.encode("utf-8", "surrogatepass")
    return Record(
        kind=change.kind,
        id=change.id,
        subject=change.subject,
        opening=packed(salt, values),
        replaces=change.replaces,
    )


def _encoded_facts(facts: Mapping[str, Fact]) -> bytes:
    """Return the facts' bytes; raise unless every fact is one.

    Read back by types that say what a fact is, and compared: the quickest way to look at all of them.
    What fails there is looked at fact by fact, which says what is wrong.
    """
    try:
        encoded = _ENCODER.encode(facts)
    except (TypeError, ValueError, OverflowError) as error:
        raise EntryRefused("a fact is of no type that a fact has") from error
    if encoded.isascii() and b"\\" not in encoded and b"\x7f" not in encoded and _are_names(tuple(facts)):
        try:
            if _FACTS.decode(encoded) == facts:
                return encoded
        except msgspec.ValidationError:
            pass
    for name, fact in facts.items():
        _check_fact(name, fact)
    return encoded


@lru_cache(256)
def _are_names(names: tuple[str, ...]) -> bool:
    return all(map(_is_name, names))


def _check_fact(name: str, fact: object) -> None:
    """SECURITY: the message names the fact, never its value."""
    if not _is_name(name):
        raise EntryRefused("a fact's name is printable ASCII without blanks")
    texts: tuple[object, ...] = ()
    numbers: tuple[object, ...] = ()
    if isinstance(fact, str):
        texts = (fact,)
    elif isinstance(fact, int):
        numbers = (fact,)
    elif isinstance(fact, tuple):
        texts = fact
    elif isinstance(fact, Mapping):
        texts, numbers = tuple(fact), tuple(fact.values())
    else:
        raise EntryRefused(f"fact `{name}` is of no type that a fact has")
    for text in texts:
        if not _is_text(text):
            raise EntryRefused(f"fact `{name}` is not printable ASCII of at most {TEXT_MAX}")
    for number in numbers:
        if not isinstance(number, int) or not -INTEGER_MAX <= number <= INTEGER_MAX:
            raise EntryRefused(f"fact `{name}` counts something that is no number below 2^53")


def _is_text(text: object) -> bool:
    return isinstance(text, str) and len(text) <= TEXT_MAX and text.isascii() and text.isprintable()


@lru_cache(256)
def _is_name(name: str) -> bool:
    return 0 < len(name) <= NAME_MAX and _is_text(name) and " " not in name


def _check_debit(debit: Debit) -> None:
    """Raise unless the node's path is unambiguous and the numbers are losses."""
    parts = (debit.node.lineage, debit.node.org, debit.node.client)
    if debit.node.client is not None and debit.node.org is None:
        raise EntryRefused("a client's budget belongs to an organisation")
    for part in parts:
        if part is not None:
            _part(part)
    loss, cap = debit.loss, debit.cap
    numbers = (loss.rho, loss.delta, loss.keys, cap.rho, cap.delta, cap.keys)
    if not all(0 <= number <= INTEGER_MAX for number in numbers):
        raise EntryRefused("a loss is neither negative nor 2^53 or larger")


def _part(text: str) -> str:
    if not _is_text(text) or not text or " " in text or "/" in text:
        raise EntryRefused("a name that stands in a path is printable ASCII without blanks or slashes")
    return text
