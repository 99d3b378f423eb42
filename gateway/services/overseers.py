"""The people who must say so where one person is not enough: overseers, each with both factors.

They are operators of organisations of the class ``overseer``. What two of them prove, and what not:
docs/decisions/0015-two-people-unfreeze.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.errors import ActRefused
from gateway.registry.records import State
from gateway.registry.registry import Registry
from gateway.services.desk import Desk
from gateway.services.screens import PageName
from gateway.services.sign_in import Attempt, Person, signed_in
from gateway.terms.identifiers import OperatorId

OVERSEER: Final = "overseer"
"""The class of organisation whose operators oversee."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What one person typed to stand behind an act."""

    operator: str
    password: str = field(repr=False)
    code: str = field(repr=False)


async def proved(desk: Desk, word: Word, registry: Registry, may: Callable[[OperatorId], bool]) -> Person:
    """Return the person whose word it is.

    Raises:
        ActRefused: Name, password or code is wrong, or this person may not.

    """
    attempt = Attempt(
        form={"operator": word.operator, "password": word.password, "code": word.code},
        page=PageName.ACCOUNT,
        about="",
        peer="admin-socket",
        registry=registry,
        now=desk.clock.now(),
        may=lambda operator: may(operator.id),
    )
    person = await signed_in(attempt, desk.enrolment)
    if not isinstance(person, Person):
        raise ActRefused("not accepted: name, password and one-time code of an overseer are needed")
    return person


def oversees(registry: Registry, name: OperatorId, *, since: datetime | None = None) -> bool:
    """Return whether a person is an overseer now; that nobody froze them is asked for by itself.

    ``since``: and had enrolled before that moment. SECURITY: an id says nothing of that, for who was erased
    may be registered again, as somebody else.
    """
    operator = registry.operators.get(name)
    organisation = None if operator is None else registry.organisations.get(operator.org)
    return (
        operator is not None
        and organisation is not None
        and operator.state is State.ACTIVE
        and operator.enrolled_at is not None  # SECURITY: or who registers people could become one later
        and (since is None or operator.enrolled_at < since)
        and organisation.state is State.ACTIVE
        and organisation.org_class == OVERSEER
    )
