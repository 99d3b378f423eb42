"""Tokens that a certificate earned: each use over a connection with that very certificate, while it holds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attack_world import World
from authority import DAY, Authority, Issued, of_version, pem_of
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import NotAuthenticated
from gateway.identity.certificate import Certificate, certificate_of, certificates_in, proved_certificate

AUTHORITY = Authority()
ISSUED, OTHER = AUTHORITY.issue("bank-a"), AUTHORITY.issue("bank-a")
"""Of one name and one authority."""


def der(issued: Issued) -> bytes:
    return issued.certificate.public_bytes(Encoding.DER)


def now_of(issued: Issued) -> World:
    """A world whose clock stands within the certificate's dates."""
    return World(now=(issued.certificate.not_valid_before_utc + DAY).replace(microsecond=0))


def bound(world: World, issued: Issued, **cnf: Any) -> str:
    name = issued.known_as.thumbprint
    return world.token(client_key=name, cnf={"jkt": world.jkt(world.proof_key), "x5t#S256": name, **cnf})


def cause(world: World, token: str, certificate: bytes) -> str:
    """Return why a request with its token, proof and proof key is refused; `accepted` if it is not."""
    try:
        world.verify_request(world.query(token, certificate=certificate))
    except NotAuthenticated as error:
        return error.cause
    return "accepted"


def test_a_bound_token_is_taken_over_its_certificate_and_no_other() -> None:
    world = now_of(ISSUED)
    token = bound(world, ISSUED)

    assert {
        "its own": cause(world, token, der(ISSUED)),
        "none": cause(world, token, b""),
        "another of that name": cause(world, token, der(OTHER)),
        "its authority's": cause(world, token, AUTHORITY.certificate.public_bytes(Encoding.DER)),
        "no certificate": cause(world, token, b"0\x82" + b"\xff" * 300),
        "one byte more": cause(world, token, der(ISSUED) + b"\0"),
        "as text": cause(world, token, ISSUED.pem),
        "of a version that is not": cause(world, token, of_version(AUTHORITY, ISSUED, 5)),
    } == {
        "its own": "accepted",
        "none": "certificate-missing",
        "another of that name": "certificate-other",
        "its authority's": "certificate-other",
        "no certificate": "certificate-unreadable",
        "one byte more": "certificate-unreadable",
        "as text": "certificate-unreadable",
        "of a version that is not": "certificate-unreadable",
    }


def test_a_token_that_no_certificate_earned_is_taken_over_any_connection() -> None:
    world = now_of(ISSUED)
    assert [cause(world, world.token(), shown) for shown in (b"", der(ISSUED))] == ["accepted"] * 2


def test_a_certificate_alone_is_not_enough_the_proof_is_wanted_too() -> None:
    """Promise P7: DPoP is never left out."""
    world = now_of(ISSUED)
    token = bound(world, ISSUED)
    query = world.query(token, world.proof(token=token, key=world.thief_key), certificate=der(ISSUED))

    with pytest.raises(NotAuthenticated) as refused:
        world.verify_request(query)
    with pytest.raises(NotAuthenticated) as bare:
        world.verify_request(world.query(token, certificate=der(ISSUED), proofs=()))
    assert (refused.value.cause, bare.value.cause) == ("proof-other-key", "proof-missing")


@pytest.mark.parametrize(
    ("cnf", "expected"),
    [
        ({"x5t#S256": OTHER.known_as.thumbprint}, "claims-inconsistent"),
        ({"x5t#S256": [ISSUED.known_as.thumbprint]}, "claim-x5t#S256"),
        ({"x5t#S256": ISSUED.known_as.thumbprint[:-1]}, "claim-x5t#S256"),
        ({"x5t#S256": None}, "claim-x5t#S256"),
        ({"jkt": None}, "claim-jkt"),
        ({"x5t": ISSUED.known_as.thumbprint}, "claim-cnf"),
        ({"jwk": {}}, "claim-cnf"),
    ],
)
def test_a_binding_is_one_key_and_the_certificate_that_earned_the_token(
    cnf: dict[str, Any], expected: str
) -> None:
    world = now_of(ISSUED)
    assert cause(world, bound(world, ISSUED, **cnf), der(ISSUED)) == expected


def test_the_dates_are_looked_at_for_each_request_to_their_last_second() -> None:
    """A connection may live longer than its certificate."""
    own = ISSUED.known_as
    second = timedelta(seconds=1)
    moments = (own.begins_at - second, own.begins_at, own.ends_at, own.ends_at + second)

    def said(now: datetime) -> str:
        try:
            return proved_certificate(der(ISSUED), now).thumbprint
        except NotAuthenticated as error:
            return error.cause

    outside = "certificate-not-in-its-dates"
    assert [said(moment) for moment in moments] == [outside, own.thumbprint, own.thumbprint, outside]


def test_a_certificate_is_known_by_all_of_its_bytes() -> None:
    assert certificates_in(ISSUED.pem + OTHER.pem) == (
        certificate_of(der(ISSUED)),
        certificate_of(der(OTHER)),
    )
    assert ISSUED.known_as == Certificate(
        thumbprint=ISSUED.known_as.thumbprint,
        begins_at=ISSUED.certificate.not_valid_before_utc.astimezone(UTC),
        ends_at=ISSUED.certificate.not_valid_after_utc.astimezone(UTC),
    )
    assert ISSUED.known_as.thumbprint != OTHER.known_as.thumbprint


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nothing",
        ISSUED.key_pem,
        ISSUED.pem.replace(b"M", b"!", 1),
        pem_of(of_version(AUTHORITY, ISSUED, 5)),
    ],
)
def test_what_is_no_certificate_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        certificates_in(text)
