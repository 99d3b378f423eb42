"""All records at one moment, and the chain that must hold before a purpose enters a token.

    organisation active -> agreement active, in its dates -> purpose in it
        -> client active and bound to the purpose -> key bound to the client

The chain is walked anew for every request, so that a change anywhere in it stops every token that
hangs on it. Pure: a snapshot never changes, ``with_change`` returns the next.
What a ``cause`` says is for the ledger; the outsider learns only that credentials are not accepted.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TypeVar

from gateway.errors import NotAuthenticated
from gateway.registry.codec import change_of, person_of, record_of
from gateway.registry.records import (
    Activation,
    Agreement,
    Client,
    Freezable,
    Freeze,
    InstallationKey,
    Operator,
    Organisation,
    Passkey,
    Record,
    RecoveryCodes,
    Revocation,
    State,
    UseCount,
    freeze_id,
    revocation_id,
)
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
    revocations: Mapping[str, Revocation] = field(default_factory=_empty)
    """Of tokens that had not expired when the newest of them was revoked."""
    freezes: Mapping[str, Freeze] = field(default_factory=_empty)
    installation_keys: Mapping[str, InstallationKey] = field(default_factory=_empty)
    passkeys: Mapping[str, Passkey] = field(default_factory=_empty)
    recovery_codes: Mapping[OperatorId, RecoveryCodes] = field(default_factory=_empty)
    use_counts: Mapping[str, UseCount] = field(default_factory=_empty)
    logins: Mapping[ClientId, tuple[Activation, ...]] = field(default_factory=_empty, repr=False)
    """Of ``activations`` all but saved requests, by client, the newest first: each login adds one."""

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
        registry = replace(cls(), **named)  # type: ignore[arg-type]  # record_of ties kind to type
        return replace(
            registry,
            revocations=_still_needed(registry.revocations),
            logins=_by_client(registry.activations.values()),
        )

    @property
    def revoked_keys(self) -> frozenset[str]:
        """The installation's own keys that count no more, by name."""
        return frozenset(key.id for key in self.installation_keys.values() if key.state is State.ENDED)

    def is_frozen(self, what: Freezable, target: str = "") -> bool:
        """Return whether somebody stopped this; a freeze of everything is asked for by itself."""
        freeze = self.freezes.get(freeze_id(what, target)) if self.freezes else None
        return freeze is not None and freeze.state is not State.ENDED

    def may_act(self, name: OperatorId) -> bool:
        """Return whether a person is active, and stopped by nobody."""
        operator = self.operators.get(name)
        active = operator is not None and operator.state is State.ACTIVE
        return active and not self.is_frozen(Freezable.OPERATOR, name)

    def has_passkey(self, name: str) -> bool:
        """Return whether what was signed in to with a passkey may go on; empty: it was without one.

        Who removes a stolen passkey takes back what a thief opened and approved with it.
        """
        passkey = self.passkeys.get(name)
        return not name or (passkey is not None and passkey.state is State.ACTIVE)

    def has(self, change: Change) -> bool:
        """Return whether there is a record of that kind and id already."""
        records: Mapping[str, object] = getattr(self, _PLURALS[change.kind])
        return change.id in records

    def change_to(self, record: Record) -> Change:
        """Return the change that puts a record instead of the one known here, and of no other."""
        change = change_of(record)
        known: Mapping[str, Record] = getattr(self, _PLURALS[change.kind])
        before = known.get(record.id)
        return replace(change, replaces=b"" if before is None else change_of(before).document)

    def with_change(self, change: Change) -> "Registry":
        """Return the snapshot after one change.

        Raises:
            ValueError: The change does not hold a record.

        """
        record, name = record_of(change), _PLURALS[change.kind]
        known: Mapping[str, object] = MappingProxyType({**getattr(self, name), record.id: record})
        after = replace(self, **{name: known})  # type: ignore[arg-type]  # record_of ties kind to type
        if isinstance(record, Activation):
            return replace(after, logins=self._logins_with(record))
        return replace(after, revocations=_still_needed(after.revocations))

    def _logins_with(self, record: Activation) -> Mapping[ClientId, tuple[Activation, ...]]:
        before = self.activations.get(record.id)
        touched = {record.client} if before is None else {record.client, before.client}
        others = (each for name in touched for each in self.logins.get(name, ()) if each.id != record.id)
        kept = {name: each for name, each in self.logins.items() if name not in touched}
        return MappingProxyType({**kept, **_by_client((*others, record))})

    def without(self, person: str) -> "Registry":
        """Return the snapshot without any record that tells of a person."""
        kept = {
            name: MappingProxyType(
                {id_: record for id_, record in getattr(self, name).items() if person_of(record) != person}
            )
            for name in _PLURALS.values()
        }
        after = replace(self, **kept)
        return replace(after, logins=_by_client(after.activations.values()))


_PLURALS = {
    "organisation": "organisations",
    "agreement": "agreements",
    "client": "clients",
    "operator": "operators",
    "activation": "activations",
    "revocation": "revocations",
    "freeze": "freezes",
    "installationkey": "installation_keys",
    "passkey": "passkeys",
    "recoverycodes": "recovery_codes",
    "usecount": "use_counts",
}


def _by_client(activations: Iterable[Activation]) -> Mapping[ClientId, tuple[Activation, ...]]:
    found: dict[ClientId, list[Activation]] = {}
    for activation in sorted(activations, key=lambda each: (each.authenticated_at, each.id), reverse=True):
        if activation.saved is None:
            found.setdefault(activation.client, []).append(activation)
    return MappingProxyType({client: tuple(each) for client, each in found.items()})


def _still_needed(revocations: Mapping[str, Revocation]) -> Mapping[str, Revocation]:
    """Return those of tokens that had not expired at the newest revocation; whatever order they came in."""
    newest = max((each.revoked_at for each in revocations.values()), default=None)
    if newest is None:
        return revocations
    return MappingProxyType({name: each for name, each in revocations.items() if each.until > newest})


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
    vouched: OperatorId | None = None,
    token_id: str | None = None,
    saved: str | None = None,
) -> Standing:
    """Return the records behind a client acting for a purpose with one of its keys.

    The rest is for tokens already issued, and comes from their claims. ``agreement`` must still be
    the client's, so that moving a client stops what it got under the old one. With ``operator`` a
    live activation by that person is demanded as well, so that ending it, or suspending the person,
    stops the tokens made from it. ``vouched`` is a person whose sign-in another issuer tells of: no
    activation is demanded, but an active operator of the client's organisation. A ``token_id`` must
    not be revoked. With ``saved``, the activation of that id is demanded, which is for one request.

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
    _check_issued(
        registry, machine, purpose, key, now,
        operator=operator, vouched=vouched, token_id=token_id, saved=saved,
    )  # fmt: skip
    chain = Standing(organisation, contract, machine)
    _check_not_frozen(registry, chain, key)
    return chain


def _check_not_frozen(registry: Registry, chain: Standing, key: Thumbprint) -> None:
    for what, target in (
        (Freezable.CLIENT, chain.client.id),
        (Freezable.ORGANISATION, chain.organisation.id),
        (Freezable.AGREEMENT, chain.agreement.id),
        (Freezable.KEY, key),
    ):
        if registry.is_frozen(what, target):
            raise NotAuthenticated(cause=f"{what}-frozen")


def _check_issued(
    registry: Registry,
    machine: Client,
    purpose: PurposeId,
    key: Thumbprint,
    now: datetime,
    *,
    operator: OperatorId | None,
    vouched: OperatorId | None,
    token_id: str | None,
    saved: str | None,
) -> None:
    """Refuse a token that was issued rightly and counts no more."""
    if saved is not None:
        found = saved_activation(registry, saved, client=machine.id, purpose=purpose, key=key, now=now)
        if found is None or found.operator != operator:
            raise NotAuthenticated(cause="saved-request-not-active")
    elif operator is not None and not any(
        activation.operator == operator for activation in _live(registry, machine, purpose, key, now)
    ):
        raise NotAuthenticated(cause="activation-not-active")
    if vouched is not None and not _may_activate(registry, vouched, machine):
        raise NotAuthenticated(cause="operator-not-active")
    if token_id is not None:
        name = revocation_id(machine.id, token_id)
        if name in registry.revocations:
            raise NotAuthenticated(cause="token-revoked")
        if registry.is_frozen(Freezable.TOKEN, name):
            raise NotAuthenticated(cause="token-frozen")


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
    return next(_live(registry, machine, purpose, key, now), None)


def saved_activation(
    registry: Registry, name: str, *, client: ClientId, purpose: PurposeId, key: Thumbprint, now: datetime
) -> Activation | None:
    """Return the activation of that id if it is for one saved request, and in force for whoever asks."""
    machine, found = registry.clients.get(client), registry.activations.get(name)
    if machine is None or found is None or found.saved is None:
        return None
    return found if _in_force(registry, found, machine, purpose=purpose, key=key, now=now) else None


def _live(
    registry: Registry, client: Client, purpose: PurposeId, key: Thumbprint, now: datetime
) -> Iterator[Activation]:
    """Yield the logins in force, the newest first. SECURITY: one for a saved request is never among them."""
    return (
        activation
        for activation in registry.logins.get(client.id, ())
        if _in_force(registry, activation, client, purpose=purpose, key=key, now=now)
    )


def _in_force(
    registry: Registry,
    activation: Activation,
    client: Client,
    *,
    purpose: PurposeId,
    key: Thumbprint,
    now: datetime,
) -> bool:
    return (
        activation.client == client.id
        and activation.purpose == purpose
        and activation.key == key
        and activation.state is State.ACTIVE
        and activation.authenticated_at <= now < activation.until
        and registry.has_passkey(activation.passkey)
        and _may_activate(registry, activation.operator, client)
    )


def _may_activate(registry: Registry, name: OperatorId, client: Client) -> bool:
    """Return whether a person may stand behind a client; who signs in elsewhere needs no factors here."""
    operator = registry.operators.get(name)
    return operator is not None and operator.org == client.org and registry.may_act(name)
