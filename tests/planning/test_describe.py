"""What is said of a plan before it is asked equals what asking will cost and give."""

import json

from gateway.planning.describe import describe
from gateway.planning.rows import plan_rows
from gateway.planning.statistic import plan_statistic
from gateway.terms.permit import Permit


def test_a_statistic_is_described_with_its_price_and_its_margins(permit: Permit) -> None:
    """Promise P5: from the plan alone, so from public facts alone."""
    sql = "SELECT sex, COUNT(*), SUM(income) AS s, AVG(age) AS a FROM data GROUP BY sex"
    plan = plan_statistic(json.dumps({"sql": sql, "rho": "0.004"}).encode(), permit)

    described = describe(plan)

    assert described == {
        "kind": "statistic",
        "dataset": "vn.nso.people",
        "groups": 2,
        "keys": ["sex"],
        "values": [
            {"name": "count", "kind": "count", "margin": 176},
            {"name": "s", "kind": "sum", "margin": 175395.39},
            {"name": "a", "kind": "avg", "margin": None, "margin_depends_on": "the noisy count"},
        ],
        "price": {"rho": "0.004", "epsilon": "0.475", "delta": "0.000001"},
        "person": {"column": "id", "rows_max": 4},
        "confidence": 0.95,
        "mechanism": "discrete gaussian",
        "release_after_s": 1.0,
        "digest": plan.digest,
    }
    json.dumps(described, allow_nan=False)


def test_rows_are_described_with_their_treatments(rows_permit: Permit) -> None:
    plan = plan_rows(
        b'{"select": ["id", "province"], "limit": 3}', rows_permit, order_key=bytes(32), unseal=bytes
    )

    assert describe(plan) == {
        "kind": "rows",
        "dataset": "vn.nso.people",
        "columns": [{"name": "id", "treatment": "tokenise"}, {"name": "province", "treatment": "keep"}],
        "rows_max": 3,
        "price": {"rho": "0"},
        "digest": plan.digest,
    }
