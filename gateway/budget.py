"""Integer arithmetic of what answers cost, and the budget tree: lineage, organisation, client.

Approximate zCDP adds up: the sum of rho and the sum of delta of all answers bound what they tell
together, also when later questions depend on earlier answers (Whitehouse, Ramdas, Rogers and Wu,
"Fully-Adaptive Composition in Differential Privacy", ICML 2023). So a node of the tree is two
integers, and its cap holds for whoever asks in whatever order. All rounding is against the caller. The
keys that lookups try are counted in the same tree (docs/decisions/0017).
"""

import math
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from gateway.terms.identifiers import ClientId, LineageId, OrgId
from gateway.terms.loss import BudgetNode, Caps, Debit, Loss, PicoDelta, PicoRho

PICO = 10**12
NOTHING = Loss(PicoRho(0), PicoDelta(0))


def pico_rho_down(rho: Decimal) -> PicoRho:
    """Return a limit in pico-rho, rounded down."""
    return PicoRho(math.floor(Fraction(rho) * PICO))


def shown(pico: int) -> str:
    """Return a loss as people read it: a decimal without exponent or trailing zeros."""
    return f"{(Decimal(pico) / PICO).normalize():f}"


def headline_delta(units_max: int) -> Decimal:
    """Return the fixed delta at which epsilon is quoted: the power of ten at or below 1/(10 n)."""
    return Decimal(10) ** -(len(str(10 * units_max - 1)))


def epsilon_of(rho: PicoRho, delta: Decimal) -> Decimal:
    """Return the epsilon that ``rho`` amounts to at ``delta``, rounded up to three digits.

    ``rho + 2 sqrt(rho ln(1/delta))``: Bun and Steinke 2016, Proposition 1.3. An upper bound, 11 to
    34 per cent above the exact value, and free of numerical search.
    """
    exact_rho = Decimal(rho) / PICO
    return (exact_rho + 2 * (exact_rho * -delta.ln()).sqrt()).quantize(Decimal("0.001"), ROUND_CEILING)


def rho_of(epsilon: Decimal, delta: Decimal) -> PicoRho:
    """Return the largest rho whose epsilon, before it is rounded for show, is at most ``epsilon``.

    Solves the same formula: ``sqrt(rho) = sqrt(L + epsilon) - sqrt(L)`` with ``L = ln(1/delta)``.
    """
    length = -delta.ln()
    root = (length + epsilon).sqrt() - length.sqrt()
    return pico_rho_down(root * root)


def debits(lineage: LineageId, org: OrgId, client: ClientId, loss: Loss, caps: Caps) -> tuple[Debit, ...]:
    """Return what a charge takes from each node above and including the client."""
    return (
        Debit(BudgetNode(lineage), loss, caps.lineage),
        Debit(BudgetNode(lineage, org), loss, caps.organisation),
        Debit(BudgetNode(lineage, org, client), loss, caps.client),
    )


def fits(spent: Loss, debit: Debit) -> bool:
    """Return whether a debit leaves its node within the caps: of keys, if it takes some, or of loss."""
    loss, cap = debit.loss, debit.cap
    if loss.keys and spent.keys + loss.keys > cap.keys:
        return False
    if loss.keys and not loss.rho and not loss.delta:
        return True
    return spent.rho + loss.rho <= cap.rho and spent.delta + loss.delta <= cap.delta


def left(spent: Loss, cap: Loss) -> Loss:
    """Return what remains, never below zero."""
    return Loss(
        PicoRho(max(0, cap.rho - spent.rho)),
        PicoDelta(max(0, cap.delta - spent.delta)),
        max(0, cap.keys - spent.keys),
    )


def total(losses: tuple[Loss, ...]) -> Loss:
    """Return the sum of losses."""
    return Loss(
        PicoRho(sum(loss.rho for loss in losses)),
        PicoDelta(sum(loss.delta for loss in losses)),
        sum(loss.keys for loss in losses),
    )
