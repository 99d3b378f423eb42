"""All records at one moment, and the chain that must hold before a purpose enters a token.

    organisation active -> agreement active, in its dates -> purpose in it
        -> client active and bound to the purpose -> key bound to the client

The chain is walked anew for every request, so that a change anywhere in it stops every token that
hangs on it. Pure: a snapshot never changes, ``with_change`` returns the next.
What a ``cause`` says is for the ledger; the outsider learns only that credentials are not accepted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TypeVar

from gateway.errors import NotAuthenticated
from gateway.registry.codec import record_of
from gateway.registry.records import Activation, Agreement, Client, Operator, Organisation, State
from gateway.terms.entry import Change
from gateway.terms.identifiers import AgreementId, ClientId, OperatorId, OrgId, PurposeId, Thumbprint

_Id = TypeVar("_Id", bound=str)
_Record = TypeVar("_Record")


def _empty() -> MappingProxyType[_Id, _Record]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """An immutable snapshot of every record."""

    organisations: Mapping[OrgId, Organisation] = field(default_factory=_empty)
    agreements: Mapping[AgreementId, Agreement] = field(default_factory=_empty)
    clients: Mapping[ClientId, Client] = field(default_factory=_empty)
    operators: Mapping[OperatorId, Operator] = field(default_factory=_empty)
    activations: Mapping[str, Activation] = field(default_factory=_empty)

    @classmethod
    def of(cls, changes: Iterable[Change]) -> "Registry":
        """Return the snapshot that a sequence of changes leads to; later ones replace earlier ones.

        Raises:
            ValueError: A change does not hold a record.

        """
        kinds: dict[str, dict[str, object]] = {}
        for change in changes:
            kinds.setdefault(change.kind, {})[change.id] = record_of(change)
        named = {_PLURALS[kind]: MappingProxyType(records) for kind, records in kinds.items()}
        return replace(cls(), **named)  # type: ignore[arg-type]  # record_of ties kind to type

    def has(self, change: Change) -> bool:
        """Return whether there is a record of that kind and id already."""
        records: Mapping[str, object] = getattr(self, _PLURALS[change.kind])
        return change.id in records

    def with_change(self, change: Change) -> "Registry":
        """Return the snapshot after one change.

        Raises:
            ValueError: The change does not hold a record.

        """
        match record_of(change):
            case Organisation() as organisation:
                return replace(self, organisations=_put(self.organisations, organisation.id, organisation))
            case Agreement() as agreement:
                return replace(self, agreements=_put(self.agreements, agreement.id, agreement))
            case Client() as client:
                return replace(self, clients=_put(self.clients, client.id, client))
            case Operator() as operator:
                return replace(self, operators=_put(self.operators, operator.id, operator))
            case Activation() as activation:
                return replace(self, activations=_put(self.activations, activation.id, activation))


_PLURALS = {
    "organisation": "organisations",
    "agreement": "agreements",
    "client": "clients",
    "operator": "operators",
    "activation": "activations",
}


def _put(records: Mapping[_Id, _Record], id_: _Id, record: _Record) -> Mapping[_Id, _Record]:
    return MappingProxyType({**records, id_: record})


@dataclass(frozen=True, slots=True)
class Standing:
    """The chain behind one client and purpose, all of it in force. Only ``standing`` makes one."""

    organisation: Organisation
    agreement: Agreement
    client: Client


def standing(
    registry: Registry,
    client: ClientId,
    purpose: PurposeId,
    key: Thumbprint,
    now: datetime,
    *,
    agreement: AgreementId | None = None,
    operator: OperatorId | None = None,
) -> Standing:
    """Return the records behind a client acting for a purpose with one of its keys.

    The rest is for tokens already issued, and comes from their claims. ``agreement`` must still be
    the client's, so that moving a client stops what it got under the old one. With ``operator`` a
    live activation by that person is demanded as well, so that ending it, or suspending the person,
    stops the tokens made from it.

    Raises:
        NotAuthenticated: A link of the chain is missing or not in force; ``cause`` names the first.

    """
    machine = registry.clients.get(client)
    if machine is None or machine.state is not State.ACTIVE:
        raise NotAuthenticated(cause="client-not-active")
    organisation = registry.organisations.get(machine.org)
    if organisation is None or organisation.state is not State.ACTIVE:
        raise NotAuthenticated(cause="organisation-not-active")
    contract = registry.agreements.get(machine.agreement)
    if contract is None or contract.state is not State.ACTIVE or contract.org != organisation.id:
        raise NotAuthenticated(cause="agreement-not-active")
    if agreement is not None and agreement != contract.id:
        raise NotAuthenticated(cause="agreement-not-the-clients")
    if not contract.valid_from <= now.astimezone(UTC).date() <= contract.valid_until:
        raise NotAuthenticated(cause="agreement-not-in-its-dates")
    if purpose not in contract.purposes:
        raise NotAuthenticated(cause="purpose-not-in-agreement")
    if purpose not in machine.purposes:
        raise NotAuthenticated(cause="purpose-not-bound-to-client")
    if key not in machine.thumbprints:
        raise NotAuthenticated(cause="key-not-bound-to-client")
    if operator is not None and not any(
        activation.operator == operator for activation in _live(registry, machine, purpose, key, now)
    ):
        raise NotAuthenticated(cause="activation-not-active")
    return Standing(organisation, contract, machine)


def activation_for(
    registry: Registry, client: ClientId, purpose: PurposeId, key: Thumbprint, now: datetime
) -> Activation | None:
    """Return the newest activation in force for a client, purpose and registered key, if any.

    It counts only while its operator is active and of the client's own organisation; whether the
    client itself is in force is ``standing``'s question.
    """
    machine = registry.clients.get(client)
    if machine is None:
        return None
    live = _live(registry, machine, purpose, key, now)
    return max(live, key=lambda activation: (activation.authenticated_at, activation.id), default=None)


def _live(
    registry: Registry, client: Client, purpose: PurposeId, key: Thumbprint, now: datetime
) -> list[Activation]:
    return [
        activation
        for activation in registry.activations.values()
        if activation.client == client.id
        and activation.purpose == purpose
        and activation.key == key
        and activation.state is State.ACTIVE
        and activation.authenticated_at <= now < activation.until
        and _may_activate(registry.operators.get(activation.operator), client)
    ]


def _may_activate(operator: Operator | None, client: Client) -> bool:
    return operator is not None and operator.state is State.ACTIVE and operator.org == client.org
