"""Where several permits to look up match one request: the strictest of their lookups, as in ``meet.py``."""

from gateway.terms.permit import Lookup


def meet_lookups(one: Lookup | None, other: Lookup | None) -> Lookup | None:
    """Return what both give: all that either asks for must match. None: they have no key in common."""
    if one is None or other is None or one.key != other.key:
        return None
    return Lookup(
        key=one.key,
        matching=tuple(sorted({*one.matching, *other.matching})),
        keys_max=min(one.keys_max, other.keys_max),
        rows_max=min(one.rows_max, other.rows_max),
    )
