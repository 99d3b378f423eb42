"""The bench runs and says what it promises; what the figures are is not a matter of a test."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMES = ["mask_rows_per_s", "ledger_entries_per_s", "auth_policy_ms_p50"]


def test_a_quick_bench_writes_a_figure_and_its_floor_for_each_measure_asked_for(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"

    subprocess.run(
        [sys.executable, "-m", "tests.bench", "--quick", "--output", str(output), "--only", *NAMES],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    figures = json.loads(output.read_text(encoding="utf-8"))

    assert sorted(figure["name"] for figure in figures) == sorted(NAMES)
    for figure in figures:
        assert figure.keys() == {"name", "value", "unit", "floor"}
        assert figure["value"] > 0
        assert figure["floor"] > 0
