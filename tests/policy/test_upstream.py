"""A document over an HTTP interface: what it opens is a closed list, and an oracle does not load."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RulesInvalid
from gateway.policy.load import load_rules
from gateway.policy.meet_paths import meet_paths
from gateway.terms.dataset import SourceFormat
from gateway.terms.identifiers import ColumnName
from gateway.terms.query import Action
from gateway.terms.upstream import Cursor, Equals, Fixed, Order, Position, Size, UpstreamPath

DOCUMENT = """\
policy: 1
id: vn.example
revision: 1
valid: {from: 2026-01-01, until: 2026-12-31}
title: {vi: Ví dụ, en: Example}
publisher: {org: nso, name: {vi: Cục, en: Office}}
steward: Chief
classification: {sharing: shared, importance: none, personal: basic}
source: {url: "https://api.example/v1", format: http, lineage: vn.example}
columns:
  sex: {type: text, meaning: Sex, personal: basic}
  age: {type: integer, meaning: Age, personal: basic}
  name: {type: text, meaning: Name, personal: basic}
purposes: {research: {vi: Nghiên cứu, en: Research}}
permits:
  - id: proxy
    to: {org_class: [bank]}
    purposes: [research]
    may: [proxy]
    assurance: {acr: aal2}
    columns: {sex: keep, age: {generalise: {band: 10}}}
    paths:
      - path: /people
        rows: /data/items
        parameters:
          limit: {is: size, at_most: 50}
          after: {is: cursor, found_at: /data/next}
          sort: {is: order, columns: [sex]}
          sex: {is: equals, column: sex}
          shape: {is: fixed, value: "objects"}
    limits: {rows: 100}
"""


def faults_of(text: str) -> list[str]:
    try:
        load_rules(text.encode(), file="f")
    except RulesInvalid as invalid:
        return [fault.message for fault in invalid.faults]
    return []


def test_paths_load_in_one_spelling() -> None:
    rules = load_rules(DOCUMENT.encode(), file="f")

    source = rules.dataset.source
    assert (source.path, source.format, source.internal) == (
        "https://api.example/v1",
        SourceFormat.HTTP,
        False,
    )
    assert rules.permits[0].actions == {Action.PROXY}
    assert rules.permits[0].paths == (
        UpstreamPath(
            path="/people",
            rows_pointer="/data/items",
            parameters=(
                ("after", Cursor("/data/next")),
                ("limit", Size(50)),
                ("sex", Equals(ColumnName("sex"))),
                ("shape", Fixed("objects")),
                ("sort", Order((ColumnName("sex"),))),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # oracles
        ("columns: [sex]}", "columns: [age]}", "not kept as it is"),
        ("columns: [sex]}", "columns: [name]}", "the permit has no column `name`"),
        ("columns: [sex]}", "columns: [sex, agee]}", "the permit has no column `agee`"),
        ("column: sex}", "column: age}", "not kept as it is"),
        ("column: sex}", "column: name}", "the permit has no column `name`"),
        # parameters
        ("{is: equals, column: sex}", "{is: filter, column: sex}", "a binding is wanted"),
        ("{is: equals, column: sex}", "equals", "a binding is wanted"),
        ("{is: equals, column: sex}", "{is: equals, column: sex, at_most: 5}", "unknown word `at_most`"),
        ("{is: size, at_most: 50}", "{is: size}", "`at_most` is missing"),
        ("at_most: 50", "at_most: 101", "more than the `rows` of the permit's limits"),
        ("shape: {", "page: {is: page, at_most: 5}\n          shape: {", "says already which rows"),
        ("sex: {is", "n: {is: size, at_most: 5}\n          sex: {is", "says already which rows"),
        ("shape: {is", '"sha&pe": {is', "not spelled as such a name"),
        ('"objects"', '"a\\nb"', "not spelled as such a name"),
        ("found_at: /data/next", "found_at: data/next", "not spelled as such a name"),
        ("rows: /data/items", "rows: data", "not spelled as such a name"),
        # paths
        ("path: /people", "path: /../people", "not spelled as such a name"),
        ("path: /people", "path: /people?sql=x", "not spelled as such a name"),
        ("path: /people", "path: /people//x", "not spelled as such a name"),
        ("path: /people", "path: /people/{id}", "not spelled as such a name"),
        ("path: /people", "path: /people/%2e%2e", "not spelled as such a name"),
        ("limits: {rows: 100}", "limits: {groups: 5}", "a permit to proxy needs `rows`"),
        ("may: [proxy]", "may: [proxy, extract]", "a permit is for proxy only"),
        ("may: [proxy]", "may: [extract]", "paths are for permits to proxy only"),
        # the source
        ("format: http", "format: csv", "a permit to proxy needs a source of the format http"),
        ("format: http", "format: csv", "needs `path`"),
        ("https://api.example/v1", "http://api.example/v1", "http:// is for this machine"),
        ("https://api.example/v1", "https://user@api.example", "not spelled as such a name"),
        ("https://api.example/v1", "https://api.example/v1/", "not spelled as such a name"),
        ("https://api.example/v1", "https://api.example/v1?key=x", "not spelled as such a name"),
        ("https://api.example/v1", "https://api.example:99999", "the host or the port"),
        ("https://api.example/v1", "https://1.2.3", "is no address"),
        ("https://api.example/v1", "https://0x7f000001", "is no address"),
        ("https://api.example/v1", "ftp://api.example", "not spelled as such a name"),
        ("https://api.example/v1", "file:///etc/passwd", "not spelled as such a name"),
    ],
)  # fmt: skip
def test_what_does_not_fit_stops_the_document(old: str, new: str, said: str) -> None:
    """Promise P3."""
    assert DOCUMENT.count(old) == 1
    assert any(said in message for message in faults_of(DOCUMENT.replace(old, new)))


SETTABLE = DOCUMENT[DOCUMENT.index("          limit: {") : DOCUMENT.index("          shape: {")]
TOKENISED = DOCUMENT.replace("columns: {sex: keep,", "columns: {name: tokenise, sex: keep,")


@pytest.mark.parametrize("parameter", SETTABLE.splitlines(keepends=True), ids=str.strip)
@pytest.mark.parametrize("treatment", ["tokenise", "{tokenise: {domain: people}}"])
def test_pseudonyms_and_what_a_firm_may_set_do_not_go_together(parameter: str, treatment: str) -> None:
    """Promise P8: whoever cuts an upstream's list knows the place of each row, as every firm does."""
    text = TOKENISED.replace(SETTABLE, parameter).replace("name: tokenise", f"name: {treatment}")
    name = parameter.partition(":")[0].strip()

    (said,) = faults_of(text)
    assert said.startswith(f"two firms that set `{name}` alike could line up the pseudonyms of `name`")
    assert said.endswith("let the owner write `acknowledged: {linkable: why it is accepted}`")


@pytest.mark.parametrize(
    "text",
    [
        TOKENISED.replace(SETTABLE, ""),
        TOKENISED.replace("name: tokenise", "name: redact"),
        TOKENISED.replace("columns:\n  sex", "acknowledged: {linkable: one firm asks}\ncolumns:\n  sex"),
    ],
    ids=["fixed parameters only", "no pseudonyms", "acknowledged"],
)
def test_what_cannot_be_lined_up_or_is_accepted_loads(text: str) -> None:
    assert text.count("shape: {is: fixed") == 1
    assert faults_of(text) == []


def test_a_path_twice_and_no_path_at_all_are_faults() -> None:
    twice = DOCUMENT.replace("    limits:", "      - {path: /people, rows: ''}\n    limits:")
    start, end = DOCUMENT.index("    paths:"), DOCUMENT.index("    limits:")

    assert faults_of(twice) == ["`/people` is in the list already"]
    assert faults_of(DOCUMENT[:start] + DOCUMENT[end:]) == [
        "a permit to proxy needs `paths`: which ones of the upstream may be asked for"
    ]


def test_the_example_of_the_documentation_loads() -> None:
    page = (Path(__file__).parents[2] / "docs" / "proxy.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]

    assert faults_of(example) == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8001", "http://localhost:8001/v1", "http://[::1]:8001", "https://10.1.2.3"]
)
def test_this_machine_needs_no_tls_and_an_address_names_itself(url: str) -> None:
    assert faults_of(DOCUMENT.replace("https://api.example/v1", url)) == []


def test_the_agencys_own_network_may_be_named_as_such() -> None:
    internal = DOCUMENT.replace("format: http", "format: http, internal: true")

    assert faults_of(internal.replace("https://", "http://")) == []
    assert load_rules(internal.encode(), file="f").dataset.source.internal


NAMES = st.sampled_from(["a", "b", "c"])
COLUMNS = st.lists(st.sampled_from("xyz"), min_size=1, unique=True).map(
    lambda names: tuple(ColumnName(name) for name in sorted(names))
)
BINDINGS = st.one_of(
    st.builds(Size, st.integers(1, 3)),
    st.builds(Position, st.integers(1, 3)),
    st.builds(Cursor, st.sampled_from(["/n", "/m"])),
    st.builds(Order, COLUMNS),
    st.builds(Equals, st.sampled_from("xy").map(ColumnName)),
    st.builds(Fixed, st.sampled_from(["1", "2"])),
)


@st.composite
def paths(draw: st.DrawFn) -> tuple[UpstreamPath, ...]:
    opened = draw(
        st.dictionaries(
            st.sampled_from(["/p", "/q"]), st.dictionaries(NAMES, BINDINGS, max_size=3), max_size=2
        )
    )
    pointer = draw(st.sampled_from(["", "", "/rows"]))
    return tuple(
        UpstreamPath(path=path, rows_pointer=pointer, parameters=tuple(sorted(opened[path].items())))
        for path in sorted(opened)
    )


@given(paths(), paths(), paths())
def test_paths_meet_in_any_order_and_however_often(
    a: tuple[UpstreamPath, ...], b: tuple[UpstreamPath, ...], c: tuple[UpstreamPath, ...]
) -> None:
    assert meet_paths(a, b) == meet_paths(b, a)
    assert meet_paths(a, a) == a
    assert meet_paths(meet_paths(a, b), b) == meet_paths(a, b)
    assert meet_paths(meet_paths(a, b), c) == meet_paths(a, meet_paths(b, c))


@given(paths(), paths())
def test_what_is_met_opens_no_more_than_either(
    a: tuple[UpstreamPath, ...], b: tuple[UpstreamPath, ...]
) -> None:
    for met in meet_paths(a, b):
        for side in (a, b):
            own = dict(next(each for each in side if each.path == met.path).parameters)
            assert {name for name, binding in met.parameters} <= own.keys()
            fixed = {name: each for name, each in own.items() if isinstance(each, Fixed)}
            assert fixed.items() <= dict(met.parameters).items()
            for name, binding in met.parameters:
                if isinstance(binding, Size | Position):
                    bound = own[name]
                    assert isinstance(bound, type(binding))
                    assert binding.at_most <= bound.at_most
