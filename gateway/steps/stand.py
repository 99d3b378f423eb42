"""Beside step 2, and again right before step 7: what the caller hangs on still stands, and nothing is frozen.

The second time stops what was in flight while somebody suspended a link of the chain, revoked a token or
froze a dataset: after the wait for the public clock, so that only the recording of the reply itself comes
later. A charge then stays charged, and the outside sees the one failure of promise P5.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.errors import Frozen, NotAuthenticated
from gateway.registry.records import Freezable
from gateway.registry.registry import Registry, standing
from gateway.terms.caller import Caller
from gateway.terms.permit import Permit


@dataclass(frozen=True, slots=True)
class Stand:
    """Caller and permit in, nothing out; raises NotAuthenticated or Frozen."""

    registry: Callable[[], Registry]
    clock: Clock

    def __call__(self, caller: Caller, permit: Permit) -> None:
        registry = self.registry()
        standing(
            registry,
            caller.client,
            caller.purpose,
            caller.client_key,
            self.clock.now(),
            agreement=caller.agreement,
            operator=caller.activated_by,
            vouched=caller.vouched_for,
            token_id=caller.token_id,
            saved=None if caller.saved is None else caller.saved.activation,
        )
        if registry.is_frozen(Freezable.KEY, caller.key):
            raise NotAuthenticated(cause="key-frozen")
        if registry.is_frozen(Freezable.EVERYTHING):
            raise Frozen("all answers are stopped for now; ask who runs the gateway")
        if registry.is_frozen(Freezable.DATASET, permit.dataset.id):
            raise Frozen("this dataset is stopped for now; ask its publisher")
