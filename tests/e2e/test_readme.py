"""The README's words, run."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from scene import Scene

from gateway.cli.demo.person import approve
from gateway.cli.root import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


async def test_the_firms_program_works(scene: Scene, tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    table, firm = scene.tables.tables[0], scene.firm
    firm.key.save(tmp_path / "etl.pem")
    (tmp_path / "person.py").write_text(
        "import sys\n\ndef prompt(*shown):\n    print(*shown, file=sys.stderr, flush=True)\n",
        encoding="ascii",
    )
    for shown, real in {
        "https://gateway.example": scene.house.origin,
        "bank-a.etl": firm.client,
        "credit-risk-statistics": firm.purpose,
        "vn.nso.household-2026": table.dataset,
        "province": f'\\"{table.group}\\"',
        "on_prompt=print": "on_prompt=__import__('person').prompt",
    }.items():
        assert shown in program, shown
        program = program.replace(shown, real)

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    line = (await process.stderr.readline()).decode()
    assert line.count(" ") == 2, line + (await process.stderr.read()).decode()
    code, page, phrase = line.split()
    await approve(firm, code, page, phrase)
    output, errors = await asyncio.wait_for(process.communicate(), timeout=60)

    assert process.returncode == 0, errors
    assert b"n_margin" in output
    assert (tmp_path / "answer.receipt").stat().st_size > 1000


def test_every_command_of_the_program_is_named(scene: Scene) -> None:  # noqa: ARG001  built once
    named = re.findall(r"`(?:gateway )?([a-z]+)(?: [^`]*)?`", README)

    assert set(COMMANDS) <= set(named)


def test_the_makes_that_it_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))

    assert {"demo", "test", "check", "test-long", "bench", "lock"} <= targets
    assert set(re.findall(r"make ([a-z-]+)", README)) <= targets
