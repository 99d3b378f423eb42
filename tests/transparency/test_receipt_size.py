"""A receipt fits a response header of two kilobytes: in a log of ten million, with a cosignature, and while
the log changes its key. (The header carries no cosignature today: it comes later, at ``/checkpoint``.)
"""

from collections.abc import Callable
from itertools import pairwise

import pytest
from witness_server import WitnessServer

from gateway.jose import base64url
from gateway.transparency.cosignature import with_cosignature
from gateway.transparency.note import NoteSigner
from gateway.transparency.proof import Checkpoint, InclusionProof, format_proof, sign_checkpoint

HEADER_BYTES_MAX = 2048


def header(size: int, *signers: NoteSigner, cosigned: bool) -> int:
    """Return the bytes of the longest receipt's header value in a log of a size."""
    origin = signers[0].name
    note = sign_checkpoint(Checkpoint(origin=origin, size=size, root=bytes(32)), *signers)
    if cosigned:
        witness = WitnessServer("witness.gateway.example/w1")
        text = note.decode().partition("\n\n")[0] + "\n"
        note = with_cosignature(note, witness.line(text).encode(), witness.vkey)
    path = tuple(bytes(32) for _ in range((size - 1).bit_length()))
    return len(
        base64url(format_proof(InclusionProof(index=size - 1, path=path, checkpoint=note, extra=bytes(32))))
    )


@pytest.mark.parametrize("origin", ["gateway.example/log/2026", "data-gateway.agency.gov.vn/log/2026"])
def test_a_receipt_of_ten_million_entries_fits_two_kilobytes(
    a_signer: Callable[..., NoteSigner], origin: str
) -> None:
    old, new = a_signer("log", origin), a_signer("next", origin)

    assert header(10**7, old, cosigned=False) <= 1900
    assert header(10**7, old, cosigned=True) <= HEADER_BYTES_MAX
    assert header(10**7, new, old, cosigned=False) <= HEADER_BYTES_MAX


def test_the_header_grows_with_the_logarithm_of_the_log(a_signer: Callable[..., NoteSigner]) -> None:
    """Sixty bytes a doubling: the next limit is met beyond forty million entries, so a year has an origin."""
    sizes = [header(2**height, a_signer("log"), cosigned=False) for height in range(10, 30)]

    assert all(55 <= after - before <= 65 for before, after in pairwise(sizes))
    assert header(4 * 10**7, a_signer("log"), cosigned=False) <= HEADER_BYTES_MAX
