"""Documents are held to the code: every setting, problem, reason and room is described, and no other."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.problems import INTERNAL, PROBLEM_TYPES
from gateway.settings import Settings
from gateway.terms.permit import Reason
from gateway.terms.treatment import Band, Drop, Keep, Partial, Redact, Tokenise, name_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def first_cells(text: str) -> list[str]:
    """The first cell of each table row, without its heading."""
    cells = re.findall(r"^\| ([^|]+?) \|", text, flags=re.MULTILINE)
    return [cell.strip("`") for cell in cells if not set(cell) <= {"-", " "}]


def section(name: str, heading: str) -> str:
    """The part of a page from a heading's words to its end."""
    text = (DOCS / name).read_text(encoding="utf-8")
    return text[text.index(heading) :]


def test_every_problem_is_described_with_its_status() -> None:
    text = (DOCS / "problems.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z-]+) \| (\d{3}) \|", text, flags=re.MULTILINE)
    kinds = (*PROBLEM_TYPES.values(), INTERNAL)

    assert sorted(rows) == sorted((kind.slug, str(kind.status)) for kind in kinds)


def test_every_reason_is_described() -> None:
    assert first_cells(section("problems.md", "Reasons of"))[1:] == [reason.value for reason in Reason]


def test_every_setting_is_described_with_its_default() -> None:
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", text, flags=re.MULTILINE)
    required = {"origin", "log_origin"}

    assert rows == [
        (setting.name, "must be set" if setting.name in required else str(setting.default))
        for setting in fields(Settings)
    ]


def test_every_treatment_is_in_the_glossary() -> None:
    words = {name_of(t) for t in (Keep(), Drop(), Redact(), Partial(0, 1), Tokenise("d"), Band(1))}
    line = next(line for line in section("glossary.md", "| treatment").splitlines())

    assert all(word in line for word in words)


def test_the_glossary_is_in_order_and_says_each_word_once() -> None:
    words = first_cells((DOCS / "glossary.md").read_text(encoding="utf-8"))[1:]

    assert words == sorted(words)
    assert len(words) == len(set(words))


def test_every_decision_is_listed() -> None:
    listed = re.findall(
        r"\]\((\d{4}-[a-z-]+\.md)\)", (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    )

    assert listed == sorted(path.name for path in (DOCS / "decisions").glob("0*.md"))


def test_the_shelves_of_the_architecture_are_the_ones_that_are_tested() -> None:
    house = (ROOT / "tests" / "test_house.py").read_text(encoding="utf-8")
    tested = re.findall(r"^    \{(\"[^}]+)\},$", house, flags=re.MULTILINE)
    drawn = re.findall(
        r"^    ([a-z_ |]+?)(?:  .*)?$", section("architecture.md", "## Shelves"), flags=re.MULTILINE
    )

    assert [sorted(re.findall(r"\w+", line)) for line in drawn] == [
        sorted(re.findall(r"\w+", line)) for line in tested
    ]


def test_the_readme_has_no_figure_of_speed_but_the_last_ones() -> None:
    """Rows are copied whole, and the words around them hold no number that could grow old."""
    _, _, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Speed\n")
    speed, _, _ = rest.partition("\n## ")
    is_row = re.compile(r"^\| `\w+` \|.*\|$", flags=re.MULTILINE)
    last, _, _ = section("performance.md", "## Last figures").partition("\n## ")
    rows = is_row.findall(speed)

    assert rows
    assert set(rows) <= set(is_row.findall(last))
    assert re.findall(r"[0-9]+", is_row.sub("", speed)) == []


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")]), ids=lambda p: p.name)
def test_a_page_refers_only_to_files_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"\]\(([^)#:]+)\)", text)
    named_plainly = re.findall(
        r"(?<![\w/.])((?:docs|tests|gateway|policies|keys|deploy)/[\w./-]+\.\w+)", text
    )

    missing = [name for name in named if not (page.parent / name).exists()]
    missing += [name for name in named_plainly if not (ROOT / name).exists()]
    assert missing == []
