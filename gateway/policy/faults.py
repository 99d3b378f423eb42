"""Say in an officer's words, with line and column, where a document leaves the model.

One fault for every place that pydantic reports, with the nearest name that would be right. The texts
are ours: pydantic's names and links mean nothing to the reader.
"""

import difflib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.errors import Fault
from gateway.policy.document import Document
from gateway.policy.entry import Entry
from gateway.policy.fields import OURS
from gateway.policy.read import MISSING, Path, Tree

SHOWN_MAX: Final = 60

_WANTED: Final = {
    "string_type": "a text is wanted; put it in quotes",
    "int_type": "a whole number is wanted",
    "int_from_float": "a whole number is wanted",
    "list_type": "a list is wanted: [...]",
    "dict_type": "a mapping is wanted: {{name: value}}",
    "model_type": "a mapping is wanted: {{name: value}}",
    "model_attributes_type": "a mapping is wanted: {{name: value}}",
    "string_pattern_mismatch": "this is not spelled as such a name or path may be: {pattern}",
    "string_too_long": "at most {max_length} characters",
    "greater_than_equal": "at least {ge} is wanted",
    "less_than_equal": "at most {le} is allowed",
    "too_short": "at least {min_length} wanted, {actual_length} given",
    "too_long": "at most {max_length} allowed",
}


_GAPS: Final[Mapping[Path, str]] = {
    ("publisher", "org"): "the agency's short name, for example `nso`",
    ("publisher", "name", "vi"): "the agency's name in Vietnamese",
    ("publisher", "name", "en"): "the agency's name in English",
    ("steward",): "the office that answers for this dataset",
    ("classification", "importance"): "none, important or core (Decision 20/2025/QD-TTg)",
    ("purposes",): "what data may be used for, each with its words: {research: {vi: ..., en: ...}}",
    ("permits",): "nobody may do anything yet; write who may do what, for which purpose",
}


def shape_faults(tree: Tree, model: type[Entry] = Document) -> tuple[tuple[Fault, ...], frozenset[Path]]:
    """Return what does not fit the model, and the paths at which it does not."""
    try:
        model.model_validate(dict(tree.content))
    except ValidationError as error:
        found = [(_path(tree, details["loc"]), details) for details in error.errors(include_url=False)]
        faults = tuple(_fault(tree, path, details, model) for path, details in found)
        return faults, frozenset(path for path, _ in found)
    return (), frozenset()


def gap_named(tree: Tree, fault: Fault) -> Fault:
    """Return a fault in words for the value it misses, where it is one that every document needs."""
    if fault.message != MISSING:
        return fault
    for path, wanted in _GAPS.items():
        if tree.fault(path, MISSING) == fault and path in tree.values:
            return tree.fault(path, f"`{'.'.join(map(str, path))}` is missing: {wanted}")
    return fault


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the end of a sentence that points to the valid name meant, if one is near."""
    names = sorted(valid)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"; did you mean `{close[0]}`"
    return f"; known here: {', '.join(f'`{each}`' for each in names[:20])}" if names else ""


def shown(value: object) -> str:
    """Return a value as a message quotes it: as YAML spells it."""
    text = str(value) if isinstance(value, str | int | Decimal) else "this"
    text = text.lower() if isinstance(value, bool) else text
    return f"`{text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 3] + '...'}`"


def _path(tree: Tree, location: tuple[int | str, ...]) -> Path:
    """Return the part of an error's location that stands in the document, without pydantic's marks."""
    path: Path = ()
    for step in location:
        if (*path, step) in tree.values:
            path = (*path, step)
    return path


def _fault(tree: Tree, path: Path, details: ErrorDetails, model: type[Entry]) -> Fault:
    last = details["loc"][-1]
    given: Any = details["input"]
    match details["type"]:
        case "missing":
            return tree.fault(path, f"`{last}` is missing", at_key=True)
        case "extra_forbidden":
            message = f"unknown word {shown(last)}{nearest(str(last), _names_at(path[:-1], model))}"
            return tree.fault(path, message, at_key=True)
        case "literal_error" | "enum":
            expected = details["ctx"]["expected"].replace(" or ", ", ").replace("True", "true")
            options = [part.strip("'") for part in expected.split(", ")]
            return tree.fault(path, f"{shown(given)} is not known here{nearest(str(given), options)}")
        case kind if kind == OURS:
            return tree.fault(path, details["msg"] + _nearest_form(given, path, model))
        case kind if kind in _WANTED:
            message = _WANTED[kind].format_map(details.get("ctx", {}))
            return tree.fault(path, message, at_key=last == "[key]")
        case _:
            return tree.fault(path, details["msg"][:1].lower() + details["msg"][1:])


def _nearest_form(given: object, path: Path, model: type[Entry]) -> str:
    """Return a pointer to the form meant, where a mapping's only name is misspelled."""
    if isinstance(given, dict) and len(given) == 1:
        name = str(next(iter(given)))
        if close := difflib.get_close_matches(name, _names_at(path, model), n=1):
            return f"; did you mean `{close[0]}`"
    return ""


@cache
def _schema(model: type[Entry]) -> Mapping[str, Any]:
    return model.model_json_schema(by_alias=True)


def _names_at(path: Path, model: type[Entry]) -> frozenset[str]:
    """Return the names that the model knows in the mapping at ``path``."""
    whole = _schema(model)
    schemas = _expanded(whole, whole)
    for step in path:
        inner = [each["items"] for each in schemas if "items" in each] if isinstance(step, int) else []
        for each in schemas if isinstance(step, str) else []:
            named = each.get("properties", {}).get(step)
            inner += [named] if named else list(each.get("patternProperties", {}).values())
        schemas = [leaf for each in inner for leaf in _expanded(each, whole)]
    return frozenset(name for each in schemas for name in each.get("properties", {}))


def _expanded(node: Mapping[str, Any], whole: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the schemas that a node may stand for: itself, or what it refers to and chooses from."""
    if reference := node.get("$ref"):
        return _expanded(whole["$defs"][str(reference).rsplit("/", 1)[-1]], whole)
    choices = node.get("oneOf") or node.get("anyOf")
    return [leaf for each in choices for leaf in _expanded(each, whole)] if choices else [node]
