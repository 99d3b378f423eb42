"""The walk through the gateway's job, as facts; ``screen.py`` shows them.

Four things happen over real HTTP: a pull of masked rows, a noisy statistic, a refusal, and an offline
check of the receipts, which must also say no to a forged one.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from gateway.cli.demo.cast import HOUSEHOLDS, VISITS, Firm
from gateway.cli.demo.person import approve
from gateway.client import Answer, Gateway, GatewayProblem, StoredReceipt
from gateway.transparency.tree import ProofInvalid

STATISTIC = "SELECT education, COUNT(*) AS people, AVG(income_vnd) AS income FROM data GROUP BY education"
VISITS_STATISTIC = (
    "SELECT department, COUNT(*) AS visits, SUM(cost_vnd) AS cost FROM data GROUP BY department"
)
EPSILON = "0.2"
ROWS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How a client got its token."""

    firm: Firm
    user_code: str
    key_phrase: str
    acr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """All that came back."""

    logins: tuple[Login, ...]
    rights: tuple[tuple[str, dict[str, list[str]]], ...]
    """For each firm, dataset -> what it may do."""
    records: Answer
    price: Answer
    statistic: Answer
    visits: Answer
    budgets: Answer
    refusal: GatewayProblem
    receipts: tuple[tuple[str, StoredReceipt], ...]
    verified_index: int
    forged: str
    """What the offline check said of a receipt whose answer was changed by one byte."""

    @property
    def fullest_row(self) -> dict[str, object]:
        """The pulled row with the fewest gaps, to be shown."""
        rows: list[dict[str, object]] = self.records.document["rows"]
        return max(rows, key=lambda row: sum(value is not None for value in row.values()))


Told = Callable[[str], None]


async def walk(origin: str, vkey: str, cast: tuple[Firm, Firm, Firm], told: Told) -> Walk:
    """Do the walk as the three firms; ``told`` hears what is going on."""
    bank, relief, insurer = cast
    async with AsyncExitStack() as stack:
        sessions, logins = {}, []
        for firm in cast:
            told(f"{firm.person} of {firm.en} activates the client with password and one-time code")
            session = await stack.enter_async_context(_session(origin, firm))
            logins.append(await _login(session, firm))
            sessions[firm.org] = session
        told("the firms ask what they may do")
        rights = tuple([(firm.en, await _rights(sessions[firm.org])) for firm in cast])
        told("Relief B pulls rows, which are encrypted to it")
        records = await sessions[relief.org].records(HOUSEHOLDS, limit=ROWS)
        told("Bank A asks what a statistic would cost, then asks the statistic")
        price = await sessions[bank.org].plan(HOUSEHOLDS, sql=STATISTIC, epsilon=EPSILON)
        statistic = await sessions[bank.org].query(HOUSEHOLDS, STATISTIC, epsilon=EPSILON)
        budgets = await sessions[bank.org].budgets()
        told("Insurer C asks the hospitals' dataset")
        visits = await sessions[insurer.org].query(VISITS, VISITS_STATISTIC, epsilon=EPSILON)
        told("Bank A tries to pull rows")
        refusal = await _refused(sessions[bank.org].records(HOUSEHOLDS, limit=ROWS))
    told("the receipts are checked, offline")
    receipts = _receipts(records, statistic, visits, refusal)
    indexes = [receipt.verify(vkey).index for _, receipt in receipts]
    return Walk(
        logins=tuple(logins),
        rights=rights,
        records=records,
        price=price,
        statistic=statistic,
        visits=visits,
        budgets=budgets,
        refusal=refusal,
        receipts=receipts,
        verified_index=indexes[1],
        forged=_forged(receipts[1][1], vkey),
    )


def _session(origin: str, firm: Firm) -> Gateway:
    return Gateway(origin, client=firm.client, key=firm.key, decryption_keys=firm.decryption_keys)


async def _login(session: Gateway, firm: Firm) -> Login:
    shown: dict[str, str] = {}

    async def prompt(user_code: str, page: str, key_phrase: str) -> None:
        shown.update(user_code=user_code, key_phrase=key_phrase)
        await approve(firm, user_code, page, key_phrase)

    acr = await session.login(firm.purpose, prompt)
    return Login(firm=firm, user_code=shown["user_code"], key_phrase=shown["key_phrase"], acr=acr)


async def _rights(session: Gateway) -> dict[str, list[str]]:
    listed: list[dict[str, Any]] = (await session.datasets()).document["datasets"]
    return {dataset["id"]: dataset["may"] for dataset in listed}


async def _refused(asking: Awaitable[Answer]) -> GatewayProblem:
    try:
        await asking
    except GatewayProblem as problem:
        return problem
    raise AssertionError("the sharing rules of the demo permit what they must refuse")


def _receipts(
    records: Answer, statistic: Answer, visits: Answer, refusal: GatewayProblem
) -> tuple[tuple[str, StoredReceipt], ...]:
    found = {
        "records": records.receipt,
        "statistic": statistic.receipt,
        "visits": visits.receipt,
        "refusal": refusal.receipt,
    }
    return tuple((name, receipt) for name, receipt in found.items() if receipt is not None)


def _forged(receipt: StoredReceipt, vkey: str) -> str:
    """Return what the check says when one byte of the answer is another."""
    assert receipt.body, "an answer has a body"  # noqa: S101
    changed = bytearray(receipt.body)
    changed[len(changed) // 2] ^= 1
    try:
        replace(receipt, body=bytes(changed)).verify(vkey)
    except ProofInvalid as error:
        return str(error)
    raise AssertionError("a forged answer was accepted")
