"""Evidence for somebody who has nothing but a file: entries, proofs, what was opened, and a verifier.

    entries/N.json          an entry, byte for byte         proofs/N.tlog-proof  that it is the log's entry N
    openings/N.json         chosen fields: salt and value   rules/DIGEST.yaml    documents that entries name
    checkpoint              the log's signed head           log.vkey             keys, one a line
    verify.py, README.txt   how to check                    SHA256SUMS           every other member

One bundle has one spelling (``verifier.packed``), so a byte that was changed anywhere is found. What
leaves here has passed its own verifier. The salt of a field opens that field alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.jose import base64url
from gateway.ledger import verifier
from gateway.ledger.audit_entries import read_entry
from gateway.ledger.audit_store import entry_at, snapshot, stored_nodes
from gateway.transparency.canonical import canonical
from gateway.transparency.proof import InclusionProof, format_proof, verify_checkpoint
from gateway.transparency.tree import inclusion_path, right_edge

ENTRIES_MAX: Final = 5000
_README: Final = """\
BẰNG CHỨNG TỪ NHẬT KÝ CỦA CỔNG CHIA SẺ DỮ LIỆU
EVIDENCE FROM THE LOG OF A DATA SHARING GATEWAY

Kiểm tra (chỉ cần Python 3.11 và gói cryptography, không cần mạng):
To check (needs only Python 3.11 and the package cryptography, no network):

    python -m zipfile -e BUNDLE.zip evidence
    python evidence/verify.py BUNDLE.zip LOG.vkey

LOG.vkey là khóa của nhật ký, lấy từ nơi khác, không phải từ tệp này. Hãy so verify.py với bản trong
kho mã nguồn (gateway/ledger/verifier.py): ai sửa được bằng chứng cũng sửa được chương trình đi kèm.
LOG.vkey is the log's key, got from somewhere else than this file. Compare verify.py with the one in
the source repository (gateway/ledger/verifier.py): who can forge the evidence can forge the program.

"ok": mỗi mục đứng trong nhật ký đúng tại số thứ tự của nó, khóa của nhật ký đã ký, và mỗi giá trị
được mở đúng là giá trị đã cam kết. Không chứng minh được: nhật ký này là duy nhất, hay không có mục
nào bị bỏ ra ngoài tệp này.
"ok": each entry stands in the log at its index, the log's key signed, and each opened value is the
one that was committed to. It does not show that the log is the only one, or that no entry was left
out of this file.

    entries/N.json        mục thứ N / entry N
    proofs/N.tlog-proof   chứng minh mục N đứng trong nhật ký / that it stands in the log
    openings/N.json       giá trị được mở: muối và giá trị / opened values: salt and value
    rules/DIGEST.yaml     quy tắc chia sẻ mà mục nêu tên / sharing rules that entries name
    checkpoint            đầu nhật ký có chữ ký / the log's signed head
    SHA256SUMS            sha256sum -c SHA256SUMS
"""


class EntryUnknown(ValueError):
    """The log has no entry of that index, or no value of that field to open."""


@dataclass(frozen=True, slots=True)
class Opened:
    """One field of an entry, to be shown."""

    salt: bytes = field(repr=False)
    value: bytes = field(repr=False)

    @property
    def document(self) -> dict[str, str]:
        return {"salt": base64url(self.salt), "value": base64url(self.value)}


def bundled(
    store: Path,
    indices: Iterable[int],
    *,
    note: bytes,
    vkeys: str,
    opened: Mapping[int, Mapping[str, Opened]],
    documents: Mapping[str, bytes],
) -> bytes:
    """Return the evidence for these entries against a signed head of the log.

    ``documents`` are sharing rules by SHA-256; those that an entry names go in.

    Raises:
        EntryUnknown: An entry that the signed head does not hold.
        HomeInvalid: The store cannot be read.

    """
    members = {
        "README.txt": _README.encode("utf-8"),
        "checkpoint": note,
        "log.vkey": f"{vkeys}\n".encode("ascii"),
        "verify.py": Path(verifier.__file__).read_bytes(),
    }
    for index, leaf, proof in _proved(store, sorted(set(indices)), note=note, vkeys=vkeys):
        members[f"entries/{index}.json"] = leaf
        members[f"proofs/{index}.tlog-proof"] = proof
        if fields := opened.get(index):
            texts = {name: value.document for name, value in fields.items()}
            members[f"openings/{index}.json"] = canonical(texts)
        digest = read_entry(leaf).facts.get("rules_sha256")
        if isinstance(digest, str) and digest in documents:
            members[f"rules/{digest}.yaml"] = documents[digest]
    data = verifier.packed(members | {verifier.SUMS: verifier.sums_of(members)})
    verifier.check_bundle(data, vkeys.split("\n"))
    return data


def _proved(
    store: Path, indices: list[int], *, note: bytes, vkeys: str
) -> Iterable[tuple[int, bytes, bytes]]:
    """Yield index, entry and proof of each entry."""
    size = verify_checkpoint(note, vkeys).size
    if not indices or len(indices) > ENTRIES_MAX:
        raise EntryUnknown(f"a bundle holds 1 to {ENTRIES_MAX:,} entries")
    if indices[-1] >= size:
        raise EntryUnknown(f"the log has no entry {indices[-1]}; its signed head is of {size}")
    with snapshot(store) as connection:
        node = stored_nodes(connection, size)
        edge = right_edge(size, node)
        for index in indices:
            leaf = entry_at(connection, index)
            if leaf is None:
                raise EntryUnknown(f"the store has no entry {index}")
            path = tuple(inclusion_path(index, size, node, edge))
            yield index, leaf, format_proof(InclusionProof(index=index, path=path, checkpoint=note))
