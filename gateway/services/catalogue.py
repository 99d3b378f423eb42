"""What there is and what the caller may do with it: ``GET /v1/datasets`` and ``GET /v1/datasets/{id}``.

Public facts of the sharing rules only, judged for this caller by the same pure ``decide`` that
judges a request; nothing is read from the data.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass

import orjson

from gateway.clock import Clock
from gateway.errors import DatasetUnknown
from gateway.policy.decide import Ask, decide
from gateway.policy.rules import Rules
from gateway.terms.caller import Caller
from gateway.terms.controlled import FREE
from gateway.terms.dataset import Column, Dataset
from gateway.terms.format import EVERY_FORMAT
from gateway.terms.identifiers import DatasetId
from gateway.terms.permit import Permit, Refusal
from gateway.terms.query import Action, Query
from gateway.terms.reply import Reply
from gateway.terms.seen import Seen
from gateway.terms.treatment import name_of
from gateway.terms.upstream import Cursor, Equals, Fixed, Order, Position, Size, UpstreamPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Lists the datasets, or describes the one that the path names."""

    authenticate: Callable[[Query], Awaitable[Caller]]
    rules: Callable[[], Mapping[DatasetId, Rules]]
    clock: Clock

    async def __call__(self, query: Query, seen: Seen) -> Reply:
        seen.caller = caller = await self.authenticate(query)
        rules = self.rules()
        if query.dataset is None:
            listed = [self._listed(rules[name], caller) for name in sorted(rules)]
            return _json({"datasets": listed})
        if query.dataset not in rules:
            raise DatasetUnknown("there is no dataset of that name; `/v1/datasets` lists what there is")
        return _json(self._described(rules[query.dataset], caller))

    def _listed(self, rules: Rules, caller: Caller) -> dict[str, object]:
        dataset = rules.dataset
        return {
            "id": dataset.id,
            "title": {"vi": dataset.title.vi, "en": dataset.title.en},
            "publisher": dataset.publisher,
            "classification": _classification(dataset),
            "may": [action for action in Action if isinstance(self._judged(rules, caller, action), Permit)],
        }

    def _described(self, rules: Rules, caller: Caller) -> dict[str, object]:
        may: dict[str, object] = {}
        for action in Action:
            match self._judged(rules, caller, action):
                case Permit() as permit:
                    may[action.value] = _allowed(permit)
                case Refusal() as refusal:
                    may[action.value] = {"refused": refusal.reason}
        return {
            **self._listed(rules, caller),
            "revision": rules.dataset.revision,
            "columns": [_column(column) for column in rules.dataset.columns],
            "may": may,
            "terms": _terms(rules),
        }

    def _judged(self, rules: Rules, caller: Caller, action: Action) -> Permit | Refusal:
        return decide(Ask(caller=caller, action=action, now=self.clock.now()), rules)


def _allowed(permit: Permit) -> dict[str, object]:
    allowed: dict[str, object] = {"columns": {name: name_of(how) for name, how in permit.columns}}
    if permit.action is Action.AGGREGATE:
        allowed["functions"] = sorted(permit.functions)
        allowed["groups_max"] = permit.groups_max
        allowed["pico_rho_max"] = permit.loss_max.rho
    elif permit.lookup is not None:
        allowed["key"] = permit.lookup.key
        allowed["matching"] = permit.lookup.matching
        allowed["keys_max"] = permit.lookup.keys_max
        allowed["rows_per_key_max"] = permit.lookup.rows_max
    else:
        allowed["rows_max"] = permit.rows_max
    if permit.price != FREE:
        allowed["vnd"] = asdict(permit.price)
    if permit.delivery.formats != EVERY_FORMAT:
        allowed["formats"] = sorted(permit.delivery.formats)
    if permit.delivery.encrypted:
        allowed["encrypted"] = True
    if permit.action is Action.PROXY:
        allowed["paths"] = {path.path: _parameters(path) for path in permit.paths}
    return allowed


def _terms(rules: Rules) -> dict[str, object]:
    """Return on which terms all answers of the dataset leave."""
    triggers = (
        {"may": each.action, "column": each.column, "rows_over": each.rows_over} for each in rules.triggers
    )
    return {
        "approval_needed": [
            {part: said for part, said in each.items() if said is not None} for each in triggers
        ],
        "inspected_ppm": rules.inspection_ppm,
        "log_kept_months": rules.log_months,
    }


def _parameters(path: UpstreamPath) -> dict[str, object]:
    """Return what the caller may set, and to what; what is sent anyway is no business of his."""
    shown: dict[str, object] = {}
    for name, binding in path.parameters:
        match binding:
            case Size(at_most):
                shown[name] = {"is": "size", "at_most": at_most}
            case Position(at_most):
                shown[name] = {"is": "position", "at_most": at_most}
            case Cursor():
                shown[name] = {"is": "cursor"}
            case Order(columns):
                shown[name] = {"is": "order", "columns": columns}
            case Equals(column):
                shown[name] = {"is": "equals", "column": column}
            case Fixed():
                pass
    return shown


def _classification(dataset: Dataset) -> dict[str, str]:
    return {"sharing": dataset.sharing, "importance": dataset.importance, "personal": dataset.personal}


def _column(column: Column) -> dict[str, object]:
    described: dict[str, object] = {
        "name": column.name,
        "type": column.type,
        "meaning": column.meaning,
        "personal": column.personal,
    }
    if column.bounds is not None:
        described["bounds"] = [str(bound) for bound in column.bounds]
    if column.values:
        described["values"] = [str(value) for value in column.values]
    return described


def _json(content: object) -> Reply:
    return Reply(status=200, content_type="application/json", body=orjson.dumps(content))
