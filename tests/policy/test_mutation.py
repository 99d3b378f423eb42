"""A slip of the pen never widens: a shipped document with one token wrong is rejected, or opens no more.

Tokens are words, numbers, quoted texts and punctuation, as YAML reads them; comments are none. Each is
deleted, misspelt (names), written as another type, written twice, and put behind its neighbour and behind
the next word; lines too are written twice and put behind the next. A number, a date or an amount is never
turned into another: that is a decision, and no reader of the document can tell it from a slip. Nor can it
know what an upstream makes of a `fixed` value: the words of such a line are only deleted.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rule_domain import domain
from wideness import no_wider

from gateway.errors import RulesInvalid
from gateway.policy.decide import decide
from gateway.policy.load import load_rules
from gateway.policy.rules import Rules
from gateway.terms.identifiers import RuleId
from tests.faults.share import chance_of, say, share_of

DOCUMENTS = sorted((Path(__file__).parents[2] / "policies").glob("*.yaml"))
TOKEN = re.compile(r"""#[^\n]*|"[^"\n]*"|'[^'\n]*'|[{}\[\],:]|-(?=\s)|[^\s{}\[\],:"'#]+""")
NUMBER = re.compile(r"[-+0-9.]+|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]+(?:[smh]|mo|y)|\"[-+0-9.]+\"")
PUNCTUATION = frozenset("{}[],:-")
SHARE = 240
ALL = 1_500
"""Of each document, in `make test-long`; there are about ten thousand."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One slip, and the document with it."""

    kind: str
    where: str
    text: str


def tokens(text: str) -> list[re.Match[str]]:
    return [token for token in TOKEN.finditer(text) if not token[0].startswith("#")]


def misspelt(word: str) -> Iterator[str]:
    """A letter left out, written twice, or behind its neighbour; the other case."""
    if NUMBER.fullmatch(word) or not any(character.isalpha() for character in word):
        return
    middle = len(word) // 2
    yield word[:middle] + word[middle + 1 :]
    yield word[:middle] + word[middle] + word[middle:]
    yield word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]
    yield word.swapcase()


def retyped(word: str) -> Iterator[str]:
    yield f"[{word}]"
    yield f"{{{word}: {word}}}"
    yield word[1:-1] if word[0] in "\"'" else f'"{word}"'
    yield "true"
    yield "~"


def mutants(text: str) -> Iterator[Mutant]:
    found = tokens(text)
    for at, token in enumerate(found):
        start, end = token.span()
        where = f"line {text.count(chr(10), 0, start) + 1}, {token[0]}"

        def changed(kind: str, new: str, where: str = where, start: int = start, end: int = end) -> Mutant:
            return Mutant(kind, f"{where} -> {new}", text[:start] + new + text[end:])

        yield changed("delete", "")
        if "is: fixed" in text[text.rfind("\n", 0, start) : text.find("\n", end)]:
            continue
        yield changed("duplicate", f"{token[0]} {token[0]}")
        yield changed("duplicate", f"{token[0]}, {token[0]}")
        if token[0] not in PUNCTUATION:
            yield from (changed("rename", word) for word in misspelt(token[0]))
            yield from (changed("retype", word) for word in retyped(token[0]))
        word = next((later for later in found[at + 1 :] if later[0] not in PUNCTUATION), None)
        for later in [*found[at + 1 : at + 2], *([word] if word and word is not found[at + 1] else [])]:
            between = text[end : later.start()]
            new = later[0] + between + token[0]
            yield Mutant("reorder", f"{where} <-> {later[0]}", text[:start] + new + text[later.end() :])
    lines = text.splitlines(keepends=True)
    for at, line in enumerate(lines[:-1]):
        if line.strip() and not line.lstrip().startswith("#"):
            where = f"line {at + 1}"
            yield Mutant("duplicate", where, "".join([*lines[: at + 1], *lines[at:]]))
            swapped = [*lines[:at], lines[at + 1], line, *lines[at + 2 :]]
            yield Mutant("reorder", where, "".join(swapped))


class Original:
    """A document as it is, and what it answers to every request of its domain."""

    def __init__(self, file: Path) -> None:
        self.name = file.stem
        self.text = file.read_text(encoding="utf-8")
        self.rules = load_rules(self.text.encode(), file=file.name)
        dataset = replace(self.rules.dataset, revision=self.rules.dataset.revision - 1)
        self.before = replace(self.rules, dataset=dataset)
        self.answers = [(ask, decide(ask, self.rules)) for ask in domain(self.rules)]

    def fate(self, mutant: Mutant) -> str:
        """What becomes of a slip in the next revision."""
        try:
            rules = load_rules(mutant.text.encode(), file="x.yaml", after=self.before)
        except RulesInvalid:
            return "rejected"
        if judged_by(rules) == judged_by(self.rules):
            return "the same"
        wider = (ask for ask, answer in self.answers if not no_wider(decide(ask, rules), answer))
        return f"wider: {ask}" if (ask := next(wider, None)) else "not wider"


def judged_by(rules: Rules) -> object:
    """The part of rules that decides: without digest, words for people and names of rules."""
    return (
        rules.valid_from,
        rules.valid_until,
        rules.caps,
        rules.acknowledged,
        frozenset(
            replace(each, id=RuleId(""), columns=tuple(sorted(each.columns))) for each in rules.permits
        ),
        frozenset(replace(each, id=RuleId("")) for each in rules.forbids),
        [column.name for column in rules.dataset.columns],
        rules.dataset.unit,
        frozenset(rules.triggers),
    )


def fates(original: Original, tried: list[Mutant]) -> Counter[str]:
    found = Counter[str]()
    for mutant in tried:
        fate = original.fate(mutant)
        assert not fate.startswith("wider"), f"{original.name}, {mutant.kind}, {mutant.where}: {fate}"
        found[fate] += 1
    return found


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.stem)
def test_p3_a_share_of_the_slips_in_a_shipped_document_widens_nothing(file: Path) -> None:
    """Promise P3."""
    original = Original(file)
    tried = share_of(list(mutants(original.text)), SHARE // len(DOCUMENTS), chance_of(file.name))

    assert fates(original, tried)["rejected"] > 0


@pytest.mark.long
def test_p3_no_slip_in_a_shipped_document_widens_anything() -> None:
    """Promise P3."""
    found = Counter[str]()
    for file in DOCUMENTS:
        original = Original(file)
        tried = share_of(list(mutants(original.text)), ALL, chance_of(file.name))
        found += fates(original, tried)

    told = ", ".join(f"{count} {fate}" for fate, count in sorted(found.items()))
    say(f"{found.total()} slips in {len(DOCUMENTS)} documents: {told}, 0 wider")
    assert found.total() >= 5_000


def test_the_search_can_fail() -> None:
    """A document without its forbids, or with a column more, is found to be wider."""
    original = Original(DOCUMENTS[0])
    wider = [
        original.text.replace("may: [extract, proxy]", "may: [proxy]").replace(
            "may: [aggregate]", "may: [extract]"
        ),
        original.text.replace("industry: keep, revenue_vnd", "tax_code: keep, industry: keep, revenue_vnd"),
        original.text.replace('rho_per_query: "0.005"', 'rho_per_query: "0.006"'),
        original.text.replace("in: [O, T, U]", "in: [O, T]"),
        original.text.replace("until: 2027-06-30", "until: 2027-07-01"),
        original.text.replace('client: {rho: "0.04"}', 'client: {rho: "0.05"}'),
    ]

    fates_found = [original.fate(Mutant("decision", "", text)).partition(":")[0] for text in wider]

    assert fates_found == ["rejected", *["wider"] * 5]
