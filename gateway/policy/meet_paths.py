"""Where several permits to proxy match one request, their paths meet at the strictest too.

A path is open if all open it. What they say of a number meets at the smallest; a parameter that they
bind to different things is not bound. Fixed values are what a steward relies on: where they, or the
place of the rows, differ, there is no path. ``meet_paths`` is commutative, associative and idempotent
(``tests/policy/test_meet.py``).
"""

from collections.abc import Mapping

from gateway.terms.upstream import Binding, Fixed, Order, Position, Size, UpstreamPath


def meet_paths(one: tuple[UpstreamPath, ...], other: tuple[UpstreamPath, ...]) -> tuple[UpstreamPath, ...]:
    """Return the paths that both open, by name, as far as both open them."""
    others = {path.path: path for path in other}
    met = (_path(path, others[path.path]) for path in one if path.path in others)
    return tuple(sorted((path for path in met if path is not None), key=lambda path: path.path))


def _path(one: UpstreamPath, other: UpstreamPath) -> UpstreamPath | None:
    mine, theirs = dict(one.parameters), dict(other.parameters)
    if one.rows_pointer != other.rows_pointer or _fixed(mine) != _fixed(theirs):
        return None
    bound = ((name, _binding(mine[name], theirs[name])) for name in sorted(mine.keys() & theirs.keys()))
    parameters = tuple((name, binding) for name, binding in bound if binding is not None)
    return UpstreamPath(path=one.path, rows_pointer=one.rows_pointer, parameters=parameters)


def _fixed(parameters: Mapping[str, Binding]) -> dict[str, Fixed]:
    return {name: binding for name, binding in parameters.items() if isinstance(binding, Fixed)}


def _binding(one: Binding, other: Binding) -> Binding | None:
    match one, other:
        case Size(), Size():
            return Size(min(one.at_most, other.at_most))
        case Position(), Position():
            return Position(min(one.at_most, other.at_most))
        case Order(), Order():
            common = tuple(sorted(set(one.columns) & set(other.columns)))
            return Order(common) if common else None
        case _:
            return one if one == other else None
