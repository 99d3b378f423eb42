"""Settings are closed, typed and bounded; what is written reads back the same."""

from pathlib import Path
from typing import Any

import pytest

from gateway.errors import HomeInvalid
from gateway.settings import FILE_NAME, Settings, load_settings, settings_text


def some(**changes: Any) -> Settings:
    return Settings(origin="https://gateway.example", log_origin="gateway.example/log/2026", **changes)


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    settings = some(witness_policy="witnesses.policy", witness_start="alone", witness_interval_s=2.5)
    (tmp_path / FILE_NAME).write_text(settings_text(settings), encoding="utf-8")

    assert load_settings(tmp_path) == settings


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"witness_start": "never"}, "`witness_start` is one of quorum, alone"),
        ({"witness_interval_s": 0.0}, "`witness_interval_s` must be more than 0"),
        ({"witness_interval_s": -1.0}, "`witness_interval_s` must be more than 0"),
    ],
)
def test_a_setting_out_of_its_range_is_named(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(HomeInvalid, match=why):
        some(**changes)
