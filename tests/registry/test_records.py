"""What a record is before anything is decided from it."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gateway import jose
from gateway.registry.public_keys import frozen_keys
from gateway.registry.records import (
    Activation,
    Agreement,
    Client,
    Operator,
    Organisation,
    State,
)
from gateway.registry.saved_request import SavedRequest
from gateway.terms.dataset import Title
from gateway.terms.loss import PicoRho


def a_jwk() -> jose.Jwk:
    return jose.jwk_of(ed25519.Ed25519PrivateKey.generate().public_key())


def a_client(**changes: Any) -> Client:
    values = {
        "id": "bank-a.etl-1",
        "org": "bank-a",
        "agreement": "AGR-1",
        "purposes": ("credit-risk",),
        "keys": (),
        "state": State.ACTIVE,
    }
    return Client(**(values | changes))


def test_keys_are_kept_by_their_required_members_only() -> None:
    jwk = jose.jwk_of(ec.generate_private_key(ec.SECP256R1()).public_key())

    client = a_client(keys=frozen_keys([{**jwk, "kid": "mine", "use": "sig"}]))

    assert client.jwks == (jwk,)
    assert client.thumbprints == {jose.thumbprint(jwk)}
    assert [jose.jwk_of(key) for key in client.public_keys] == [jwk]


def test_a_private_key_is_never_registered() -> None:
    with pytest.raises(ValueError, match="no member `d`"):
        frozen_keys([{**a_jwk(), "d": "AAAA"}])


def test_a_client_has_at_most_two_keys() -> None:
    with pytest.raises(ValueError, match="at most 2 keys"):
        a_client(keys=frozen_keys([a_jwk(), a_jwk(), a_jwk()]))


def test_a_client_has_no_key_twice() -> None:
    with pytest.raises(ValueError, match="all different"):
        a_client(keys=frozen_keys([a_jwk()]) * 2)


def test_keys_that_are_encrypted_to_are_two_of_p_256_and_none_signs() -> None:
    signing, *encryption = frozen_keys(
        jose.jwk_of(ec.generate_private_key(ec.SECP256R1()).public_key()) for _ in range(4)
    )
    ed25519_key = frozen_keys([jose.jwk_of(ed25519.Ed25519PrivateKey.generate().public_key())])

    assert a_client(keys=(signing,), encryption_keys=tuple(encryption[:2])).encryption_jwks == tuple(
        map(dict, encryption[:2])
    )
    for keys, says in (
        (tuple(encryption), "at most 2 encryption keys, all different"),
        ((encryption[0], encryption[0]), "at most 2 encryption keys, all different"),
        ((signing,), "never both"),
        (ed25519_key, "only P-256 keys are encrypted to"),
    ):
        with pytest.raises(ValueError, match=says):
            a_client(keys=(signing,), encryption_keys=keys)


def test_a_key_that_is_not_frozen_is_refused() -> None:
    shuffled = tuple(reversed(frozen_keys([a_jwk()])[0]))

    with pytest.raises(ValueError, match="frozen"):
        a_client(keys=(shuffled,))


@pytest.mark.parametrize("id_", ["", "a/b", "a|b", "op:1", "a b", "ă", "a\n", "x" * 101, "..", "\u0661"])
def test_an_id_that_could_be_misread_elsewhere_is_refused(id_: str) -> None:
    with pytest.raises(ValueError, match="an id is"):
        a_client(id=id_)


@pytest.mark.parametrize("country", ["", "vn", "VNM", "V1"])
def test_a_country_is_an_iso_code(country: str) -> None:
    with pytest.raises(ValueError, match="ISO 3166-1"):
        Organisation(
            id="bank-a", name=Title(vi="A", en="A"), org_class="bank", country=country, state=State.ACTIVE
        )


def test_an_agreement_does_not_end_before_it_begins() -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        Agreement(
            id="AGR-1",
            org="bank-a",
            purposes=(),
            valid_from=date(2026, 2, 1),
            valid_until=date(2026, 1, 31),
            state=State.ACTIVE,
        )


@pytest.mark.parametrize(
    "moment",
    [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=7)))],  # noqa: DTZ001
)
def test_a_moment_outside_utc_is_refused(moment: datetime) -> None:
    with pytest.raises(ValueError, match="UTC"):
        Activation(
            id="act-1",
            client="bank-a.etl-1",
            operator="lan",
            purpose="credit-risk",
            key="k",
            methods=(),
            authenticated_at=moment,
            until=datetime(2026, 1, 2, tzinfo=UTC),
            state=State.ACTIVE,
        )


def test_an_operators_secrets_are_not_in_its_repr() -> None:
    operator = Operator(
        id="lan",
        org="bank-a",
        name="Lan",
        password_hash="$argon2id$hash-of-hers",
        totp_sealed=b"sealed-secret",
        state=State.ACTIVE,
    )

    assert "hash-of-hers" not in repr(operator)
    assert "sealed-secret" not in repr(operator)


@pytest.mark.parametrize(("days", "seconds", "taken"), [(30, 0, True), (30, 1, False), (365, 0, False)])
def test_a_request_is_saved_for_thirty_days_at_most(days: int, seconds: int, *, taken: bool) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def made() -> Activation:
        return Activation(
            id="act-1",
            client="bank-a.etl-1",
            operator="lan",
            purpose="credit-risk",
            key="k",
            methods=(),
            authenticated_at=at,
            until=at + timedelta(days=days, seconds=seconds),
            state=State.ACTIVE,
            saved=SavedRequest(
                digest="d",
                method="POST",
                path="/",
                sealed=b"s",
                effect="e",
                pico_rho_max=PicoRho(0),
                vnd_max=0,
            ),
        )

    if taken:
        assert made().saved is not None
    else:
        with pytest.raises(ValueError, match="30 days at most"):
            made()
