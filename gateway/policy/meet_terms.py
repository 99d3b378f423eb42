"""Where several permits match one request, a reply leaves on the strictest terms of them.

The formats are those that all allow, encrypted if one says so; the price is the highest of each part.
Commutative, associative and idempotent (``tests/policy/test_meet.py``).
"""

from collections.abc import Sequence

from gateway.policy.rules import PermitRule
from gateway.terms.controlled import Price
from gateway.terms.format import Delivery


def meet_terms(permits: Sequence[PermitRule]) -> tuple[Delivery, Price]:
    """Return the delivery and the price of what several permits (at least one) give together."""
    first, *others = permits
    delivery, price = first.delivery, first.price
    for rule in others:
        delivery = Delivery(
            formats=delivery.formats & rule.delivery.formats,
            encrypted=delivery.encrypted or rule.delivery.encrypted,
        )
        price = Price(
            per_request=max(price.per_request, rule.price.per_request),
            per_row=max(price.per_row, rule.price.per_row),
            per_key=max(price.per_key, rule.price.per_key),
        )
    return delivery, price
