"""Outcomes of tests as JUnit XML, which every CI shows: one suite a document, one case a request.

What is wrong with no case in particular (a clause that is not tried) is a case named `coverage`.
"""

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from gateway.errors import Fault

Suite = tuple[str, Iterable[tuple[str, Fault | None]], Iterable[Fault]]
"""A document's file, its outcomes, and everything that is wrong."""


def junit(suites: Iterable[Suite]) -> str:
    """Return the report."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for file, outcomes, faults in suites:
        cases = list(outcomes)
        failed = {fault for _, fault in cases if fault}
        left = [fault for fault in faults if fault not in failed]
        name = quoteattr(file)
        lines.append(
            f'  <testsuite name={name} tests="{len(cases) + 1}" failures="{len(failed) + bool(left)}">'
        )
        lines += [_case(name, says, [fault] if fault else []) for says, fault in cases]
        lines += [_case(name, "coverage", left), "  </testsuite>"]
    return "\n".join([*lines, "</testsuites>", ""])


def _case(suite: str, says: str, faults: list[Fault]) -> str:
    opening = f"    <testcase classname={suite} name={quoteattr(says)}"
    if not faults:
        return f"{opening}/>"
    text = escape("\n".join(map(str, faults)))
    return f"{opening}><failure message={quoteattr(faults[0].message)}>{text}</failure></testcase>"
