"""Records survive the ledger unchanged, and nothing else comes out of it as a record."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from gateway import jose
from gateway.registry.codec import change_of, record_of
from gateway.registry.public_keys import frozen_keys
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
    freeze_id,
    passkey_id,
)
from gateway.registry.saved_request import SavedRequest
from gateway.terms.dataset import Title
from gateway.terms.entry import Change

JWKS = [
    jose.jwk_of(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).public_key()),
    jose.jwk_of(ec.derive_private_key(7, ec.SECP256R1()).public_key()),
]

ids = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._@#-]{0,20}", fullmatch=True)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
id_lists = st.lists(ids, max_size=3).map(tuple)
states = st.sampled_from(State)
moments = st.datetimes(timezones=st.just(UTC))
days = st.tuples(st.dates(), st.dates()).map(sorted)

records: st.SearchStrategy[Record] = st.one_of(
    st.builds(
        Organisation,
        id=ids,
        name=st.builds(Title, vi=words, en=words),
        org_class=ids,
        country=st.from_regex(r"[A-Z]{2}", fullmatch=True),
        state=states,
    ),
    days.flatmap(
        lambda pair: st.builds(
            Agreement,
            id=ids,
            org=ids,
            purposes=id_lists,
            valid_from=st.just(pair[0]),
            valid_until=st.just(pair[1]),
            state=states,
        )
    ),
    st.builds(
        Client,
        id=ids,
        org=ids,
        agreement=ids,
        purposes=id_lists,
        keys=st.lists(st.sampled_from(JWKS), unique_by=str, max_size=2).map(frozen_keys),
        certificates=st.lists(
            st.builds(
                ClientCertificate,
                thumbprint=st.binary(min_size=32, max_size=32).map(jose.base64url),
                ends_at=moments,
            ),
            unique_by=lambda each: each.thumbprint,
            max_size=2,
        ).map(tuple),
        state=states,
    ),
    st.builds(
        Operator,
        id=ids,
        org=ids,
        name=words,
        password_hash=words.filter(bool),
        totp_sealed=st.binary(min_size=1, max_size=40),
        state=states,
        enrolled_at=st.none() | moments,
    ),
    st.builds(
        Operator,
        id=ids,
        org=ids,
        name=words,
        password_hash=st.just(""),
        totp_sealed=st.just(b""),
        state=states,
        invitation=st.builds(Invitation, code_hash=ids, until=moments),
    ),
    st.builds(
        Activation,
        id=ids,
        client=ids,
        operator=ids,
        purpose=ids,
        key=words,
        methods=st.lists(words, max_size=3).map(tuple),
        authenticated_at=moments,
        until=moments,
        state=states,
    ),
    st.builds(
        Activation,
        id=ids,
        client=ids,
        operator=ids,
        purpose=ids,
        key=words,
        methods=st.lists(words, max_size=3).map(tuple),
        authenticated_at=st.just(datetime(2026, 1, 2, tzinfo=UTC)),
        until=st.just(datetime(2026, 2, 1, tzinfo=UTC)),
        state=states,
        saved=st.builds(
            SavedRequest,
            digest=words,
            method=words,
            path=words,
            sealed=st.binary(max_size=40),
            effect=words,
            pico_rho_max=st.integers(0, 10**15),
            vnd_max=st.integers(0, 10**15),
        ),
    ),
    st.tuples(st.sampled_from(Freezable), ids, st.lists(ids, unique=True, max_size=2)).flatmap(
        lambda given: st.builds(
            Freeze,
            id=st.just(freeze_id(given[0], "" if given[0] is Freezable.EVERYTHING else given[1])),
            what=st.just(given[0]),
            target=st.just("" if given[0] is Freezable.EVERYTHING else given[1]),
            frozen_at=moments,
            overseers=id_lists,
            lifted_by=st.just(tuple(given[2])),
            state=st.just(State.ENDED if len(given[2]) == 2 else State.ACTIVE),
        )
    ),
    st.builds(InstallationKey, id=ids, kind=ids, works_from=moments, state=states),
    st.builds(Revocation, id=ids, client=ids, revoked_at=moments, until=moments, state=states),
    st.binary(min_size=1, max_size=40).flatmap(
        lambda credential: st.builds(
            Passkey,
            id=st.just(passkey_id(credential)),
            operator=ids,
            credential=st.just(credential),
            public_key=st.binary(min_size=1, max_size=40),
            synced=st.booleans(),
            added_at=moments,
            state=states,
        )
    ),
    st.builds(UseCount, id=ids, operator=ids, count=st.integers(0, 2**32 - 1), state=states),
    st.builds(
        RecoveryCodes,
        id=ids,
        hashes=st.lists(ids, unique=True, max_size=3).map(lambda given: tuple(sorted(given))),
        made_at=moments,
        state=states,
    ),
)

OPERATOR = Operator(
    id="lan", org="bank-a", name="Lan", password_hash="h", totp_sealed=b"s", state=State.ACTIVE
)
AGREEMENT = Agreement(
    id="AGR-1",
    org="bank-a",
    purposes=("p",),
    valid_from=date(2026, 1, 1),
    valid_until=date(2026, 1, 2),
    state=State.ACTIVE,
)
ACTIVATION = Activation(
    id="a",
    client="c",
    operator="o",
    purpose="p",
    key="k",
    methods=("pwd",),
    authenticated_at=datetime(2026, 1, 1, tzinfo=UTC),
    until=datetime(2026, 1, 2, tzinfo=UTC),
    state=State.ACTIVE,
)
PASSKEY = Passkey(
    id=passkey_id(b"c"),
    operator="lan",
    credential=b"c",
    public_key=b"k",
    synced=False,
    added_at=datetime(2026, 1, 1, tzinfo=UTC),
    state=State.ACTIVE,
)
COUNT = UseCount(id="c", operator="lan", count=1, state=State.ACTIVE)
CODES = RecoveryCodes(
    id="lan", hashes=("a", "b"), made_at=datetime(2026, 1, 1, tzinfo=UTC), state=State.ACTIVE
)


@given(records)
def test_a_record_comes_back_as_it_was_put(record: Record) -> None:
    assert record_of(change_of(record)) == record


@given(records)
def test_the_bytes_are_canonical_json(record: Record) -> None:
    document = change_of(record).document

    assert rfc8785.dumps(json.loads(document)) == document


def edited(record: Record, **members: Any) -> Change:
    """Return the change of a record with members changed; ``None`` removes one."""
    change = change_of(record)
    document = json.loads(change.document) | members
    kept = {name: value for name, value in document.items() if value is not None}
    return replace(change, document=rfc8785.dumps(kept))


BAD: dict[str, Change] = {
    "another kind": replace(change_of(OPERATOR), kind="agreement"),
    "an unknown kind": replace(change_of(OPERATOR), kind="dataset"),
    "another id": replace(change_of(OPERATOR), id="minh"),
    "not JSON": replace(change_of(OPERATOR), document=b"{"),
    "not UTF-8": replace(change_of(OPERATOR), document=b"\xff\xfe"),
    "a list": replace(change_of(OPERATOR), document=b"[]"),
    "deep": replace(change_of(OPERATOR), document=b"[" * 100_000),
    "spaced": replace(change_of(OPERATOR), document=change_of(OPERATOR).document.replace(b",", b", ")),
    "a member too many": edited(OPERATOR, more="1"),
    "a member missing": edited(OPERATOR, org=None),
    "an unknown state": edited(OPERATOR, state="on"),
    "a number for a text": edited(OPERATOR, name=7),
    "not base64url": edited(OPERATOR, totp_sealed="=="),
    "a text for a list": edited(AGREEMENT, purposes="p"),
    "no date": edited(AGREEMENT, valid_until="soon"),
    "a moment without zone": edited(ACTIVATION, until="2026-01-02T00:00:00"),
    "a passkey under another name": replace(change_of(PASSKEY), id=passkey_id(b"d")),
    "a passkey of another credential": edited(PASSKEY, credential="ZA"),
    "a count below nothing": edited(COUNT, count="-1"),
    "a count spelt otherwise": edited(COUNT, count="01"),
    "neither synced nor not": edited(PASSKEY, synced="perhaps"),
    "codes out of order": edited(CODES, hashes=["b", "a"]),
    "a code twice": edited(CODES, hashes=["a", "a"]),
    "a moment elsewhere": edited(ACTIVATION, until="2026-01-02T07:00:00+07:00"),
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_bytes_that_are_not_one_record_are_refused(change: Change) -> None:
    with pytest.raises(ValueError, match=r"record|canonical"):
        record_of(change)


def test_a_refusal_quotes_no_value() -> None:
    with pytest.raises(ValueError, match="not a record") as refused:
        record_of(edited(OPERATOR, state="secret-of-lan"))

    assert "secret-of-lan" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_what_a_person_signs_in_with_is_erased_with_that_person() -> None:
    """The change names its subject, under whose key the ledger keeps it."""
    assert [change_of(record).subject for record in (PASSKEY, COUNT, CODES, OPERATOR, AGREEMENT)] == [
        "lan",
        "lan",
        "lan",
        "lan",
        None,
    ]
