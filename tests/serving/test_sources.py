"""What a start makes of the sources that its documents name."""

import os
from pathlib import Path

from house import make_house
from lookup_scene import DATASET, REGISTER, RULES

from gateway import wiring
from gateway.serving.renew import begun


async def test_p2_a_start_serves_one_file_under_one_lineage_only(tmp_path: Path) -> None:
    """Promise P2: a hard link beside the register would give every firm its keys a second time."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "register.csv").write_text(REGISTER, encoding="utf-8")
    os.link(data / "register.csv", data / "other.csv")
    again = RULES.replace(DATASET, "vn.test.second").replace("register.csv", "other.csv")
    again = again.replace("lineage: vn.test.registry", "lineage: vn.test.second")
    house = make_house(tmp_path / "home", data=data, rules={DATASET: RULES, "vn.test.second": again})

    async with wiring.opened(house.home) as gateway:
        faults = await begun(gateway)

        assert list(gateway.current.rules) == [DATASET]
        assert [(fault.file, fault.message) for fault in faults] == [
            (
                "vn.test.second.yaml",
                f"this source belongs to lineage `vn.test.registry` already (`{DATASET}`)",
            )
        ]
