"""Who plays in the demo: three firms, three people, and the two agencies whom they ask; all invented.

What each firm may do stands in the sharing rules (``policies/``), not here.
"""

import base64
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from gateway.client import ClientKey, DecryptionKey
from gateway.services.registration import (
    changes_of,
    new_agreement,
    new_client,
    new_operator,
    new_organisation,
)
from gateway.terms.entry import Change
from gateway.wiring import Gateway

HOUSEHOLDS: Final = "vn.nso.household-2026"
LINEAGE: Final = "vn.nso.household"
VISITS: Final = "vn.moh.outpatient-2026"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firm:
    """A firm with one client and one person who may activate it."""

    org: str
    org_class: str
    vi: str
    en: str
    agreement: str
    purpose: str
    operator: str
    person: str
    client: str
    key: ClientKey = field(default_factory=ClientKey.create, repr=False)
    decryption_keys: tuple[DecryptionKey, ...] = ()
    """What replies are encrypted to; without one they come in clear, where the rules let them."""
    password: str = field(default="", repr=False)
    totp_secret: bytes = field(default=b"", repr=False)

    @property
    def totp_base32(self) -> str:
        """The secret as an authenticator app takes it."""
        return base64.b32encode(self.totp_secret).decode("ascii")


def firms(gateway: Gateway) -> tuple[Firm, Firm, Firm]:
    """Return the bank, the relief organisation and the insurer, each with secrets of its own."""

    def firm(*keys: DecryptionKey, **given: str) -> Firm:
        secret, password = gateway.random_bytes(20), gateway.random_bytes(12).hex()
        return Firm(**given, password=password, totp_secret=secret, decryption_keys=keys)  # type: ignore[arg-type]

    return (
        firm(
            org="bank-a",
            org_class="bank",
            vi="Ngân hàng A",
            en="Bank A",
            agreement="AGR-2026-014",
            purpose="credit-risk-statistics",
            operator="op-1.bank-a",
            person="Minh",
            client="bank-a.etl",
        ),
        firm(
            DecryptionKey.create(),  # the rows that it pulls leave encrypted only
            org="relief-b",
            org_class="relief",
            vi="Cứu trợ B",
            en="Relief B",
            agreement="AGR-2026-020",
            purpose="flood-relief-planning",
            operator="op-1.relief-b",
            person="Lan",
            client="relief-b.planner",
        ),
        firm(
            org="insurer-c",
            org_class="insurer",
            vi="Bảo hiểm C",
            en="Insurer C",
            agreement="AGR-2026-031",
            purpose="actuarial-statistics",
            operator="op-1.insurer-c",
            person="Hoa",
            client="insurer-c.actuary",
        ),
    )


def records_of(firm: Firm, gateway: Gateway) -> tuple[Change, ...]:
    """Return the registry's records of one firm: organisation, agreement, client, operator."""
    organisation = new_organisation(firm.org, vi=firm.vi, en=firm.en, org_class=firm.org_class, country="VN")
    agreement = new_agreement(
        firm.agreement,
        org=organisation,
        purposes=(firm.purpose,),
        valid_from=date(2026, 1, 1),
        valid_until=date(2027, 12, 31),
    )
    client = new_client(
        firm.client,
        agreement=agreement,
        purposes=(firm.purpose,),
        keys=(firm.key.jwk, *(key.jwk for key in firm.decryption_keys)),
    )
    operator = new_operator(
        firm.operator,
        organisation,
        firm.person,
        firm.password,
        salt=gateway.random_bytes(16),
        totp_secret=firm.totp_secret,
        sealer=gateway.keyring.sealer,
        now=gateway.clock.now(),
    )
    return changes_of(organisation, agreement, client, operator)
