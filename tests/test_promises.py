"""Each promise has a test that fails when the promise is broken; here each is broken on purpose.

A copy of the program gets one line changed, the named test runs on the copy, and must fail by itself
(a test that cannot be collected does not count). Run against the unbroken copy it must pass.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Break:
    """One promise broken at one place, and the tests that must notice."""

    promise: str
    file: str
    line: str
    instead: str
    tests: str


BREAKS = [
    Break(
        "P1 a reply leaves although it could not be recorded",
        "gateway/flow.py",
        "        return unrecorded(error, query.request_id)  # no data in it",
        "        return Released(reply, None)",
        "tests/test_flow.py -k p1",
    ),
    Break(
        "P1 a refusal is not recorded",
        "gateway/flow.py",
        "        receipt = await steps.record(query, seen, reply)  # (7)",
        "        receipt = await steps.record(query, seen, reply) if reply.status == 200 else None",
        "tests/test_flow.py -k p1",
    ),
    Break(
        "P1 one more endpoint is exempt",
        "gateway/web/routes.py",
        '    "/livez": "the process runs",',
        '    "/livez": "the process runs",\n    "/v1/catalog": "what there is",',
        "tests/web/test_routes.py -k p1",
    ),
    Break(
        "P2 data is read before the charge",
        "gateway/flow.py",
        "        seen.charge = charge = await steps.charge(query, caller, permit, plan)  # (4) durable",
        "        await steps.execute(plan)\n"
        "        seen.charge = charge = await steps.charge(query, caller, permit, plan)",
        "tests/test_flow.py -k p2",
    ),
    Break(
        "P2 a cap is not looked at",
        "gateway/budget.py",
        "    return spent.rho + loss.rho <= cap.rho and spent.delta + loss.delta <= cap.delta",
        "    return True",
        "tests/test_flow.py -k p2",
    ),
    Break(
        "P2 only the client's node is debited",
        "gateway/budget.py",
        "        Debit(BudgetNode(lineage), loss, caps.lineage),",
        "",
        "tests/test_flow.py -k p2",
    ),
    Break(
        "P3 without a permit there is leave",
        "gateway/policy/decide.py",
        "        return Refusal(reason=Reason.NO_RULE_PERMITS, rules=frozenset())\n\n    permit =",
        "        permits = list(rules.permits)\n\n    permit =",
        "tests/policy/test_decide.py",
    ),
    Break(
        "P3 a forbid does not outweigh a permit",
        "gateway/policy/decide.py",
        "    if whole := [rule for rule in forbids if not rule.columns]:",
        "    if whole := [rule for rule in forbids if not rule.columns and not rules.permits]:",
        "tests/policy/test_decide.py",
    ),
    Break(
        "P3 a broken document takes its last good revision along",
        "gateway/services/stewardship.py",
        "            found.served[last.rules.dataset.id] = found.active[last.rules.dataset.id] = last.rules",
        "            found.served[last.rules.dataset.id] = last.rules",
        "tests/services/test_stewardship.py -k p3",
    ),
    Break(
        "P3 a document changes after the signature",
        "gateway/policy/signature.py",
        "    if statement.document != digest_of(document):",
        "    if False:",
        "tests/policy/test_signature.py -k p3",
    ),
    Break(
        "P3 a steward vouches for another agency",
        "gateway/policy/signature.py",
        "    own = tuple(key for key in stewards if key.name == statement.publisher)",
        "    own = stewards",
        "tests/policy/test_signature.py -k p3",
    ),
    Break(
        "P3 a steward who is trusted no longer keeps a document in force",
        "gateway/services/stewardship.py",
        "        if last.rules and not last.faults:",
        "        if last.rules:",
        "tests/services/test_renewal.py -k trusts",
    ),
    Break(
        "P3 an older revision comes back",
        "gateway/policy/load.py",
        '    if tree.content.get("revision") != active + 1:',
        '    if tree.content.get("revision") == active:',
        "tests/services/test_stewardship.py -k p3",
    ),
    Break(
        "P3 two permits may match one request",
        "gateway/policy/risks.py",
        "        if request := one_request(first, second):",
        "        if (request := one_request(first, second)) and not rules.permits:",
        "tests/policy/test_load.py -k told_with_its_place",
    ),
    Break(
        "P5 the cause of a failure shows",
        "gateway/flow.py",
        "        raise ChargedFailure(seen.charge_index) from error",
        "        raise",
        "tests/test_flow.py -k p5",
    ),
    Break(
        "P5 a failure does not wait for its slot",
        "gateway/steps/slot.py",
        "            await self.clock.sleep(ends_at - asyncio.get_running_loop().time())",
        "            pass",
        "tests/steps/test_slot.py -k p5",
    ),
    Break(
        "P6 two factors of one kind count as two kinds",
        "gateway/identity/factors.py",
        "    if age_s is None or not 0 <= age_s <= WINDOW_MAX_S or len(kinds_of(person)) < KINDS_NEEDED:",
        "    if age_s is None or not 0 <= age_s <= WINDOW_MAX_S or len(person) < KINDS_NEEDED:",
        "tests/identity/test_factors.py",
    ),
    Break(
        "P3 a saved request runs although no permit says so",
        "gateway/policy/decide.py",
        "    if ask.caller.unattended and age_max_s is None:",
        "    if False:",
        "tests/policy/test_unattended.py -k p3",
    ),
    Break(
        "P7 a token for one saved request asks another",
        "gateway/identity/request.py",
        "    if not hmac.compare_digest(saved.request, asked):",
        "    if False:",
        "tests/identity/test_saved_claim.py -k p7",
    ),
    Break(
        "P7 a proof holds for another body",
        "gateway/identity/proof.py",
        '    if query_digest is not None and not _same(claims.get("qd"), query_digest):',
        "    if False:",
        "tests/identity/test_proof_attacks.py",
    ),
    Break(
        "P7 a proof holds for another token",
        "gateway/identity/proof.py",
        '    if access_token is not None and not _same(claims.get("ath"), jose.token_hash(access_token)):',
        "    if False:",
        "tests/identity/test_proof_attacks.py",
    ),
    Break(
        "P7 a proof's id is not used up",
        "gateway/steps/authenticate.py",
        '            raise ProofRefused(cause="proof used before")',
        "            pass",
        "tests/steps/test_authenticate.py -k p7",
    ),
    Break(
        "P7 a token outlives the activation behind it",
        "gateway/steps/authenticate.py",
        "            operator=claims.operator if ours else None,\n",
        "",
        "tests/steps/test_authenticate.py -k chain",
    ),
    Break(
        "P7 a revoked token goes on",
        "gateway/registry/registry.py",
        '            raise NotAuthenticated(cause="token-revoked")',
        "            pass",
        "tests/steps/test_authenticate.py -k revoked",
    ),
    Break(
        "P7 a token holds before its time",
        "gateway/identity/claims.py",
        '    return max(issued, seconds_of(claims, "nbf")) if "nbf" in claims else issued',
        "    return issued",
        "tests/identity/test_token_attacks.py",
    ),
    Break(
        "P7 a trusted issuer's client is whom it says, listed or not",
        "gateway/identity/trusted.py",
        "        here = self.clients.get(named)",
        "        here = next(iter(self.clients.values()))",
        "tests/identity/test_trusted.py",
    ),
    Break(
        "P6 an unlisted word of another issuer counts",
        "gateway/identity/trusted.py",
        "self.acr.get(word, ())",
        'self.acr.get(word, ("pwd", "otp"))',
        "tests/identity/test_trusted.py",
    ),
    Break(
        "P7 a proof serves twice",
        "gateway/ledger/volatile.py",
        "        return self._connection.execute(sql, (id, expires_at_ms)).fetchone() is not None",
        "        return self._connection.execute(sql, (id, expires_at_ms)).fetchone() is not None or True",
        "tests/ledger/test_volatile.py",
    ),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for name in ("gateway", "tests", "policies"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "e2e"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def outcome(folder: Path, tests: str) -> str:
    """Return pytest's last line; the copy's program is the one imported."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests.split()],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return run.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.promise)
def test_a_broken_promise_is_noticed(copy: Path, broken: Break) -> None:
    path = copy / broken.file
    whole = path.read_text(encoding="utf-8")
    assert whole.count(broken.line) == 1, "the line to break has moved"
    path.write_text(whole.replace(broken.line, broken.instead), encoding="utf-8")
    try:
        assert re.fullmatch(r"\d+ failed.*", outcome(copy, broken.tests))
    finally:
        path.write_text(whole, encoding="utf-8")


@pytest.mark.parametrize("tests", sorted({broken.tests for broken in BREAKS}))
def test_unbroken_the_same_tests_pass(copy: Path, tests: str) -> None:
    assert re.fullmatch(r"\d+ passed.*", outcome(copy, tests))
