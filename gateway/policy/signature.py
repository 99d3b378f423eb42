"""Who vouches for a revision: a steward's signature, kept beside the document, over what it is.

A signed note (c2sp.org/signed-note) over this text, an ASCII line each:

    data-sharing-gateway/rules/v1
    publisher moh
    dataset clinic
    revision 2
    lineage clinic
    document SHA-256 of its bytes, in hexadecimal
    cases SHA-256 of the bytes of its cases, or `none`

No log's head begins with that line, so a signature made here says nothing there. A key's name is its
publisher's, so the key of one agency's steward vouches for no document of another. Pure: whom to
believe is an argument.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Final

from gateway.errors import Fault, RulesInvalid
from gateway.policy.rules import Rules
from gateway.transparency.note import NoteSigner, VerifierKey, format_vkey, sign, split, verified
from gateway.transparency.tree import ProofInvalid

NO_CASES: Final = "none"
_FIRST: Final = "data-sharing-gateway/rules/v1"
_TEXT: Final = re.compile(
    rf"{re.escape(_FIRST)}\npublisher (?P<publisher>[!-~]{{1,64}})\ndataset (?P<dataset>[!-~]{{1,64}})\n"
    r"revision (?P<revision>[1-9][0-9]{0,15})\nlineage (?P<lineage>[!-~]{1,64})\n"
    r"document (?P<document>[0-9a-f]{64})\ncases (?P<cases>[0-9a-f]{64}|none)\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a steward signs of one revision."""

    publisher: str
    dataset: str
    revision: int
    lineage: str
    document: str
    """SHA-256 of the document, lower-case hex."""
    cases: str
    """SHA-256 of the cases that came out as they say, or ``NO_CASES``."""

    @property
    def text(self) -> str:
        """The text to sign."""
        return (
            f"{_FIRST}\npublisher {self.publisher}\ndataset {self.dataset}\nrevision {self.revision}\n"
            f"lineage {self.lineage}\ndocument {self.document}\ncases {self.cases}\n"
        )


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a trusted steward said, and who it was."""

    statement: Statement
    steward: VerifierKey

    @property
    def vkey(self) -> str:
        """The steward's key, as entries name it."""
        return format_vkey(self.steward.name, self.steward.key)


def digest_of(content: bytes) -> str:
    """Return the digest by which a statement names a document or its cases."""
    return hashlib.sha256(content).hexdigest()


def statement_of(rules: Rules, cases: bytes | None) -> Statement:
    """Return what there is to sign of a loaded document; None: it has no cases."""
    dataset = rules.dataset
    return Statement(
        publisher=dataset.publisher,
        dataset=dataset.id,
        revision=dataset.revision,
        lineage=dataset.source.lineage,
        document=dataset.digest,
        cases=NO_CASES if cases is None else digest_of(cases),
    )


def signature(statement: Statement, steward: NoteSigner) -> bytes:
    """Return the note in which a steward vouches for a revision."""
    return sign(statement.text, steward)


def vouched(document: bytes, note: bytes | None, stewards: tuple[VerifierKey, ...], *, file: str) -> Vouched:
    """Return who vouches for these bytes; nothing of a document is looked at before.

    Raises:
        RulesInvalid: Nobody does whom the home trusts.

    """
    try:
        return _vouched(document, note, stewards)
    except ProofInvalid as error:
        raise RulesInvalid((Fault(file, 1, 1, str(error)),)) from error


def require_said(found: Vouched, rules: Rules, *, file: str) -> None:
    """Raise unless the document says of itself what the steward signed.

    Raises:
        RulesInvalid: It does not.

    """
    if replace(statement_of(rules, None), cases=found.statement.cases) != found.statement:
        raise RulesInvalid((Fault(file, 1, 1, "the signature tells of another document"),))


def signed_as(note: bytes) -> tuple[int, str]:
    """Return revision and lineage that a signature tells of, which was verified when it was kept."""
    statement = _statement(split(note)[0])
    return statement.revision, statement.lineage


def require_next(found: Vouched, last: tuple[int, str] | None, *, file: str) -> None:
    """Raise unless the revision follows ``last``, a number and a lineage; None: nobody can say.

    For a last good document that a newer release does not load.

    Raises:
        RulesInvalid: It does not.

    """
    if last is None:
        said = "what was active cannot be read any more, so nothing can follow it under this id"
        raise RulesInvalid((Fault(file, 1, 1, said),))
    revision, lineage = last
    if (found.statement.revision, found.statement.lineage) != (revision + 1, lineage):
        wanted = f"revision {revision} of lineage `{lineage}` was active: next is"
        raise RulesInvalid((Fault(file, 1, 1, f"{wanted} revision {revision + 1} of the same"),))


def require_cases(found: Vouched, cases: bytes | None, *, file: str) -> None:
    """Raise unless these are the cases that came out when the steward signed.

    Raises:
        RulesInvalid: They are not.

    """
    if found.statement.cases != (NO_CASES if cases is None else digest_of(cases)):
        raise RulesInvalid((Fault(file, 1, 1, "the cases are not those that were signed: sign again"),))


def _vouched(document: bytes, note: bytes | None, stewards: tuple[VerifierKey, ...]) -> Vouched:
    if note is None:
        raise ProofInvalid("not signed: a steward runs `gateway policy sign FILE --key KEY`")
    statement = _statement(split(note)[0])
    # SECURITY: not verified yet, so it only says whose keys to try; it counts once one of them made it.
    own = tuple(key for key in stewards if key.name == statement.publisher)
    if not own:
        raise ProofInvalid(f"`keys/stewards` of the home has no steward of `{statement.publisher}`")
    try:
        _, steward = verified(note, own)
    except ProofInvalid as error:
        raise ProofInvalid(f"no trusted steward of `{statement.publisher}` signed this: {error}") from error
    if statement.document != digest_of(document):
        raise ProofInvalid(
            f"the signature is over other bytes, of `{statement.dataset}` revision {statement.revision}: "
            "sign again what shall count"
        )
    return Vouched(statement, steward)


def _statement(text: str) -> Statement:
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ProofInvalid("the signature is not over sharing rules")
    return Statement(
        publisher=found["publisher"],
        dataset=found["dataset"],
        revision=int(found["revision"]),
        lineage=found["lineage"],
        document=found["document"],
        cases=found["cases"],
    )
