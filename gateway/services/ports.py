"""What enrolment needs from the world, in one place; ``wiring.py`` fills it in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.keyring.keyring import SealingKeys, TokenKeys
from gateway.ledger.port import Ledger
from gateway.ledger.volatile import Volatile
from gateway.policy.rules import Rules
from gateway.registry.registry import Registry
from gateway.services.passwords import PasswordDesk
from gateway.services.screens import Renderer
from gateway.terms.identifiers import DatasetId
from gateway.terms.query import Action


@dataclass(frozen=True, slots=True)
class Routed:
    """What a method and a path ask for."""

    action: Action
    dataset: DatasetId
    upstream_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentPorts:
    """The ports of the token endpoint, device authorization and the pages that people use."""

    ledger: Ledger
    """Only ``use_once`` is called; changes ride in the reply."""
    volatile: Volatile
    tokens: TokenKeys
    sealer: SealingKeys
    registry: Callable[[], Registry]
    """Returns the current snapshot; called once for each request."""
    clock: Clock
    nonce_secret: bytes = field(repr=False)
    origin: str
    """Scheme, host and port as clients see them; never taken from a request."""
    issuer: str
    audience: str
    random_bytes: Callable[[int], bytes]
    render: Renderer
    rules: Callable[[], Mapping[DatasetId, Rules]]
    """Returns the sharing rules in force."""
    routed: Callable[[str, str], Routed | None]
    """Says what a method and a path ask of a dataset's content; None: nothing, or only its price."""
    passwords: PasswordDesk = field(default_factory=PasswordDesk, repr=False)
    poll_interval_s: int = 5
