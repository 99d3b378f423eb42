"""Step 2: hold the request against the active sharing rules of its dataset.

The judgement is pure (``policy``): default deny, one forbid outweighs every permit (promise P3).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.errors import DatasetUnknown
from gateway.policy.decide import Ask, SeenJudgements, require
from gateway.policy.rules import Rules
from gateway.terms.caller import Caller
from gateway.terms.identifiers import DatasetId
from gateway.terms.permit import Permit
from gateway.terms.query import Query


@dataclass(frozen=True, slots=True)
class Decide:
    """Query and caller in, permit out; raises NotPermitted, StepUpRequired, DatasetUnknown."""

    rules: Callable[[], Mapping[DatasetId, Rules]]
    clock: Clock
    seen: SeenJudgements = field(default_factory=SeenJudgements, repr=False)
    """Owned by the event loop that calls this."""

    def __call__(self, query: Query, caller: Caller) -> Permit:
        if query.dataset is None or query.action is None:
            raise DatasetUnknown("the path names no dataset")
        rules = self.rules().get(query.dataset)
        if rules is None:
            raise DatasetUnknown("there is no dataset of that name; the catalogue lists what there is")
        return require(Ask(caller=caller, action=query.action, now=self.clock.now()), rules, self.seen)
