"""The discrete Gaussian mechanism on vectors of integers: the only file that knows OpenDP.

Only OpenDP's plain integer noise is used, whose privacy map and sampler hold for integers; its
query planner, its thresholds and its floating-point paths are not (opendp/opendp#2922, #2949).
A cost is always read off OpenDP's own map, never off a formula, and rounded up. Source:
Canonne, Kamath and Steinke 2020; Bun and Steinke 2016, Proposition 1.6. Timing of the sampler is
not hidden here (opendp/opendp#303): the reply waits for its slot.
"""

import math
from fractions import Fraction

import opendp.prelude as dp

from gateway.budget import PICO
from gateway.terms.loss import PicoRho

dp.enable_features("contrib")

VALUE_MAX = 2**62
"""Exact integers are held within this, so that no sum of value and noise meets a wrap or an error."""
SCALE_MAX = 2.0**56
"""Noise beyond this says nothing about any number below ``VALUE_MAX``; planning refuses it."""

_INTEGERS = dp.vector_domain(dp.atom_domain(T="i64"))
_EUCLIDEAN = dp.l2_distance(T="i64")
_ZCDP = dp.zero_concentrated_divergence()
_STEP = 2.0**-50


def cost_of(scale: float, sensitivity: int) -> PicoRho:
    """Return the rho that OpenDP's map gives for noise of ``scale`` on a vector, rounded up."""
    rho: float = _noise(scale).map(sensitivity)  # type: ignore[no-untyped-call]
    return PicoRho(math.ceil(Fraction(rho) * PICO))


def scale_for(rho: PicoRho, sensitivity: int) -> float:
    """Return a sigma that costs at most ``rho``, within a few parts in 10^12 of the smallest.

    ``rho = sensitivity^2 / (2 sigma^2)`` solved for sigma, then enlarged until OpenDP's map agrees.
    """
    scale = sensitivity / math.sqrt(2 * rho / PICO)
    step = _STEP
    while cost_of(scale, sensitivity) > rho:
        scale *= 1 + step
        step *= 2
    return scale


def draw(values: list[int], scale: float) -> list[int]:
    """Return the values with independent discrete Gaussian noise of sigma ``scale`` added.

    Values are first held within ``VALUE_MAX``. Doing so brings no two vectors further apart, so the
    sensitivity stays; raising instead would make a failure depend on the data (promise P5).
    """
    held = [max(-VALUE_MAX, min(VALUE_MAX, value)) for value in values]
    noisy: list[int] = _noise(scale)(held)
    return noisy


def _noise(scale: float) -> dp.Measurement:
    return dp.m.make_noise(_INTEGERS, _EUCLIDEAN, _ZCDP, scale=scale)
