"""What a purpose opens to one client by the rules in force, for the person who is to approve it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.policy.decide import Ask, judged
from gateway.policy.rules import Rules
from gateway.registry.registry import Standing
from gateway.services.screens import Opened
from gateway.terms.caller import Assurance
from gateway.terms.dataset import Title
from gateway.terms.identifiers import DatasetId, PurposeId
from gateway.terms.permit import Refusal
from gateway.terms.query import Action


@dataclass(frozen=True, slots=True)
class AsClient:
    """What a judgement reads of the client that asks; how well its person signed in is not asked yet."""

    chain: Standing
    purpose: PurposeId
    assurance: Assurance = Assurance.AAL1
    authenticated_at: datetime | None = None
    unattended: bool = False

    @property
    def org_class(self) -> str:
        return self.chain.organisation.org_class

    @property
    def country(self) -> str:
        return self.chain.organisation.country

    @property
    def agreement(self) -> str:
        return self.chain.agreement.id


def opened_by(
    rules: Mapping[DatasetId, Rules], chain: Standing, purpose: PurposeId, now: datetime
) -> tuple[Opened, ...]:
    """Return the datasets that a purpose opens to a client today, and for what."""
    client, found = AsClient(chain, purpose), []
    for name in sorted(rules):
        document = rules[name]
        if not document.valid_from <= now.astimezone(UTC).date() <= document.valid_until:
            continue
        asks = ((action, Ask(caller=client, action=action, now=now)) for action in Action)
        may = tuple(action for action, ask in asks if not isinstance(judged(ask, document), Refusal))
        if may:
            found.append(Opened(id=name, title=document.offer.title, actions=may))
    return tuple(found)


def words_of(
    rules: Mapping[DatasetId, Rules], purpose: PurposeId, datasets: tuple[Opened, ...]
) -> Title | None:
    """Return what the documents of these datasets call a purpose; the first that has words for it."""
    for dataset in datasets:
        words = dict(rules[DatasetId(dataset.id)].offer.purposes)
        if purpose in words:
            return words[purpose]
    return None
