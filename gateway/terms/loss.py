"""What answers cost: privacy loss in approximate zCDP (Bun and Steinke 2016), and keys tried; integers."""

from dataclasses import dataclass
from typing import NewType

from gateway.terms.identifiers import ClientId, LineageId, OrgId

PicoRho = NewType("PicoRho", int)
"""10^-12 of zCDP's rho, rounded up."""
PicoDelta = NewType("PicoDelta", int)
"""10^-12 of delta, rounded up."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What an answer costs, or what may be spent at most."""

    rho: PicoRho
    delta: PicoDelta
    keys: int = 0
    """Keys tried by lookups, hit or miss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most that may ever be spent on a lineage: in all, by one organisation, by one client.

    There is no period: what is spent on a person's data stays spent, and a key that was tried stays tried.
    """

    lineage: Loss
    organisation: Loss
    client: Loss


@dataclass(frozen=True, slots=True)
class BudgetNode:
    """A place in the budget tree: a lineage, an organisation at it, a client of that organisation."""

    lineage: LineageId
    org: OrgId | None = None
    client: ClientId | None = None

    @property
    def path(self) -> str:
        """The name of the node in the ledger, for example ``vn.nso.household/bank-a/etl-1``."""
        return "/".join(part for part in (self.lineage, self.org, self.client) if part is not None)


@dataclass(frozen=True, slots=True)
class Debit:
    """One node's part of a charge: refused if ``spent + loss`` would pass ``cap`` in what it takes."""

    node: BudgetNode
    loss: Loss
    cap: Loss
