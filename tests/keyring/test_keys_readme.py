"""``keys/README.md`` is held to the code: kinds, files, days and states."""

import re
from pathlib import Path

from gateway.keyring.ages import DAYS, WARNED_AT, key_rows
from gateway.keyring.custody import EPOCHS_MAX, PASSPHRASE_LENGTH_MIN
from gateway.keyring.dated import KeyState
from gateway.keyring.keyring import Keyring
from gateway.keyring.token_keys import BELIEVED_S
from gateway.services.acts import KeyKind
from gateway.services.installation_keys import AT_ONCE_S, NOTICE_S

TEXT = (Path(__file__).parents[2] / "keys" / "README.md").read_text(encoding="utf-8")


def table(first: str) -> list[list[str]]:
    """The cells of the table whose heading begins with a word."""
    lines = TEXT[TEXT.index(f"| {first} |") :].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_every_file_of_a_fresh_keyring_is_described_with_its_days(tmp_path: Path) -> None:
    Keyring.create(tmp_path / "keys", log_name="gateway.test/log")
    kinds = {row[0]: row for row in table("kind")}
    named = {name for row in kinds.values() for name in re.findall(r"`([a-z.]+)`", row[1])}

    assert named == {path.name for path in (tmp_path / "keys").iterdir()}
    listed = {row.kind for row in key_rows(tmp_path / "keys", log_name="gateway.test/log")}
    assert set(kinds) == {*DAYS, *listed}
    assert {kind: kinds[kind][2] for kind in DAYS} == {kind: f"{days} days" for kind, days in DAYS.items()}
    for kind in KeyKind:
        assert re.search(rf"`{kind}-SECOND\.\w+`", kinds[kind][1])


def test_every_state_is_described_in_its_order() -> None:
    assert [row[0] for row in table("state")] == [*(state.value for state in KeyState), "revoked"]


def test_the_figures_are_those_of_the_code() -> None:
    assert f"believed for {BELIEVED_S // 60} more minutes" in TEXT
    assert (NOTICE_S, AT_ONCE_S < 60) == (86_400, True)
    assert f"{EPOCHS_MAX} at most" in TEXT
    assert f"({PASSPHRASE_LENGTH_MIN} characters or more" in TEXT
    *early, last = (str(days) for days in WARNED_AT)
    assert f"At {', '.join(early)} and {last} days left" in TEXT
