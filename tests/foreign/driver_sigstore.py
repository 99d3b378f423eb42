"""A verifier made of PyPI's sigstore (its own modules, so the version is pinned): notes, inclusion.

Standard input: one JSON object a line, a log each. Standard output: a line each, "ok" or what is wrong.
"""

import base64
import json
import sys
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint, verify_checkpoint
from sigstore._internal.trust import Keyring
from sigstore_models.common.v1 import PublicKey, PublicKeyDetails


def verify(log: dict[str, Any]) -> None:
    _, key_id, key = log["Vkey"].split("+", 2)
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key)[1:])
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    keyring = Keyring([PublicKey(raw_bytes=base64.b64encode(der), key_details=PublicKeyDetails.PKIX_ED25519)])
    signed = SignedCheckpoint.from_text(log["Checkpoint"]).checkpoint
    proof = SimpleNamespace(
        checkpoint=SimpleNamespace(envelope=log["Checkpoint"]),
        log_index=log["Index"],
        tree_size=signed.log_size,
        root_hash=bytes.fromhex(signed.log_hash),
        hashes=[base64.b64decode(node) for node in log["Path"]],
    )
    entry = SimpleNamespace(
        _inner=SimpleNamespace(
            inclusion_proof=proof,
            canonicalized_body=base64.b64decode(log["Entry"]),
            log_id=SimpleNamespace(key_id=bytes.fromhex(key_id)),
        )
    )
    verify_checkpoint(keyring, entry)
    verify_merkle_inclusion(entry)


for line in sys.stdin:
    try:
        verify(json.loads(line))
        said = "ok"
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is not verified
        said = str(error).replace("\n", " ") or "failed"
    sys.stdout.write(said + "\n")
