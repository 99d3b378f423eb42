"""What people type becomes a record only if it is right."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.client.keys import ClientKey
from gateway.errors import MalformedRequest
from gateway.keyring.keyring import Keyring
from gateway.registry.codec import record_of
from gateway.registry.records import Operator
from gateway.services.registration import (
    authenticator_uri,
    changes_of,
    new_agreement,
    new_client,
    new_operator,
    new_organisation,
    totp_seal_purpose,
)
from gateway.terms.identifiers import OperatorId

PASSWORD = "mười hai con giáp"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)

BANK = new_organisation("bank-a", vi="Ngân hàng A", en="Bank A", org_class="bank", country="VN")
DATES = {"valid_from": date(2026, 1, 1), "valid_until": date(2026, 12, 31)}
AGREEMENT = new_agreement("AGR-2026-014", org=BANK, purposes=["credit-risk"], **DATES)


@pytest.mark.parametrize("id_", ["", "Bank", "-a", ".a", "a" * 65, "a_b", "a b", "a/b", "ngân", "a\n", "a|b"])
def test_an_id_is_lower_case_and_plain(id_: str) -> None:
    with pytest.raises(MalformedRequest):
        new_organisation(id_, vi="A", en="A", org_class="bank", country="VN")


@pytest.mark.parametrize("name", ["", " A", "A\n", "A\u202eB", "A" * 201])
def test_a_name_is_printable(name: str) -> None:
    with pytest.raises(MalformedRequest):
        new_organisation("bank-a", vi=name, en="A", org_class="bank", country="VN")


@pytest.mark.parametrize(
    "id_", ["", "agr-2026-014", "AGR-26-1", "AGR-2026", "AGR-2026-0140000", "AGR-2026-1\n"]
)
def test_an_agreement_is_named_like_its_paper(id_: str) -> None:
    with pytest.raises(MalformedRequest):
        new_agreement(id_, org=BANK, purposes=["credit-risk"], **DATES)


def test_an_agreement_has_a_purpose_and_does_not_end_before_it_begins() -> None:
    with pytest.raises(MalformedRequest):
        new_agreement("AGR-2026-014", org=BANK, purposes=[], **DATES)
    with pytest.raises(MalformedRequest):
        new_agreement(
            "AGR-2026-014",
            org=BANK,
            purposes=["credit-risk"],
            valid_from=date(2026, 2, 1),
            valid_until=date(2026, 1, 31),
        )


def test_a_client_is_bound_to_purposes_of_its_agreement_only() -> None:
    """Promise P3."""
    with pytest.raises(MalformedRequest, match="`audit`"):
        new_client("etl-1", agreement=AGREEMENT, purposes=["audit"], keys=[ClientKey.create().jwk])


def keys_not_taken() -> list[list[dict[str, Any]]]:
    one, two, three = (ClientKey.create().jwk for _ in range(3))
    private = {**one, "d": one["x"]}
    return [[], [one, one], [one, two, three], [private], [{"kty": "oct", "k": "AAAA"}], [{}]]


@pytest.mark.parametrize("keys", keys_not_taken())
def test_a_client_has_one_or_two_public_keys(keys: list[dict[str, Any]]) -> None:
    with pytest.raises(MalformedRequest):
        new_client("etl-1", agreement=AGREEMENT, purposes=["credit-risk"], keys=keys)


def test_a_client_belongs_to_the_organisation_of_its_agreement() -> None:
    key = ClientKey(ec.generate_private_key(ec.SECP256R1()))
    client = new_client("etl-1", agreement=AGREEMENT, purposes=["credit-risk"], keys=[key.jwk])

    assert (client.org, client.thumbprints) == ("bank-a", frozenset({key.thumbprint}))


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_a_password_is_long_enough(password: str, keyring: Keyring) -> None:
    with pytest.raises(MalformedRequest):
        an_operator(keyring, bytes(20), password)


def an_operator(keyring: Keyring, secret: bytes, password: str = PASSWORD) -> Operator:
    return new_operator(
        "lan", BANK, "Lan", password, salt=bytes(16), totp_secret=secret, sealer=keyring.sealer, now=NOW
    )


def test_who_has_factors_has_enrolled_at_that_moment(keyring: Keyring) -> None:
    assert an_operator(keyring, bytes(20)).enrolled_at == NOW


def test_an_operators_secret_is_sealed_for_that_operator_alone(keyring: Keyring) -> None:
    secret = bytes(range(20))
    lan = an_operator(keyring, secret)

    assert secret not in lan.totp_sealed
    assert keyring.sealer.unseal(totp_seal_purpose(lan.id), lan.totp_sealed) == secret
    with pytest.raises(ValueError, match="not sealed here"):
        keyring.sealer.unseal(totp_seal_purpose(OperatorId("minh")), lan.totp_sealed)


def test_records_come_back_from_their_changes() -> None:
    assert tuple(record_of(change) for change in changes_of(BANK, AGREEMENT)) == (BANK, AGREEMENT)


def test_the_text_for_an_authenticator_is_the_key_uri_format(keyring: Keyring) -> None:
    lan = an_operator(keyring, bytes(20))

    assert authenticator_uri(lan, totp_secret=bytes(20), issuer="Data gateway") == (
        f"otpauth://totp/Data%20gateway:lan?secret={'A' * 32}&issuer=Data%20gateway"
    )
