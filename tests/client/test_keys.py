"""What a client signs is what the gateway accepts, and the key stays where it is."""

import os
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.client.keys import ClientKey
from gateway.errors import ProofRefused
from gateway.identity.assertion import verify_assertion
from gateway.identity.nonce import nonce_at
from gateway.identity.proof import verify_proof
from gateway.jose import key_of, query_digest, thumbprint
from gateway.terms.identifiers import ClientId

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECRET = b"a secret of this boot, 32 bytes!"
URL = "https://gateway.example/v1/datasets/x/query"


def test_a_saved_key_is_its_owners_alone_and_comes_back_the_same(tmp_path: Path) -> None:
    key, path = ClientKey.create(), tmp_path / "client.pem"
    key.save(path)

    assert os.stat(path).st_mode & 0o777 == 0o600  # noqa: PTH116  the mode alone
    assert ClientKey.load(path).jwk == key.jwk


def test_saving_never_overwrites_a_key(tmp_path: Path) -> None:
    path = tmp_path / "client.pem"
    ClientKey.create().save(path)

    with pytest.raises(FileExistsError):
        ClientKey.create().save(path)


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "client.pem"
    ClientKey.create().save(path)
    path.chmod(0o644)

    with pytest.raises(ValueError, match="chmod 600"):
        ClientKey.load(path)


def test_another_curve_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "client.pem"
    private = ec.generate_private_key(ec.SECP384R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(pem)
    path.chmod(0o600)

    with pytest.raises(ValueError, match="P-256"):
        ClientKey.load(path)


def test_a_key_shows_its_name_only_and_is_not_copied() -> None:
    key = ClientKey.create()

    assert repr(key) == f"ClientKey({key.thumbprint})"
    assert key.thumbprint == thumbprint(key.jwk)
    assert set(key.jwk) == {"crv", "kty", "x", "y"}
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_an_assertion_is_what_the_gateway_accepts_and_each_is_new() -> None:
    key = ClientKey.create()
    first, second = (
        verify_assertion(
            key.assertion(client="etl-1", issuer="https://gateway.example", now=NOW),
            client=ClientId("etl-1"),
            keys=(key_of(key.jwk),),
            issuer="https://gateway.example",
            now=NOW,
        )
        for _ in range(2)
    )

    assert first.key == key.thumbprint
    assert first.single_use_id != second.single_use_id


def test_a_proof_is_over_method_address_token_query_and_body() -> None:
    """Promise P7."""
    key = ClientKey.create()
    proof = key.proof(
        method="POST",
        url=URL,
        now=NOW,
        nonce=nonce_at(SECRET, NOW),
        access_token="a.b.c",
        query_string="of=records",
        body=b'{"sql": "x"}',
    )
    right = {
        "method": "POST",
        "url": URL,
        "now": NOW,
        "nonce_secret": SECRET,
        "access_token": "a.b.c",
        "query_digest": query_digest("of=records", b'{"sql": "x"}'),
    }

    assert verify_proof(proof, **right).key == key.thumbprint  # type: ignore[arg-type]
    for wrong in (
        {"method": "GET"},
        {"url": f"{URL}/other"},
        {"access_token": "a.b.d"},
        {"query_digest": query_digest("", b'{"sql": "x"}')},
        {"query_digest": query_digest("of=records", b'{"sql": "y"}')},
    ):
        with pytest.raises(ProofRefused):
            verify_proof(proof, **right | wrong)  # type: ignore[arg-type]
