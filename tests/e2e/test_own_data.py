"""Data of one's own: the README's words, run; and real files from `init` to a masked answer."""

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
from asyncio.subprocess import Process
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from enrolling import enrolled
from house import House, a_firm, free_port
from real_datasette import datasette

from gateway.cli.demo.cast import Firm
from gateway.cli.demo.person import approve
from gateway.client import ClientKey
from gateway.ledger.audit import verify_store

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DATA = os.environ.get("GATEWAY_TEST_DATA")


def section() -> str:
    start = README.index("## Your own data in five minutes")
    return README[start : README.index("<!-- firm's side -->", start)]


def run(*arguments: str, cwd: Path, code: int = 0) -> str:
    command = [sys.executable, "-m", "gateway", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def quiet(home: Path) -> None:
    """Any port for figures: several tests run on one machine."""
    settings = home / "gateway.toml"
    text = settings.read_text(encoding="utf-8")
    text = text.replace("metrics_port = 9464", "metrics_port = 0").replace(
        "device_interval_s = 5", "device_interval_s = 1"
    )
    settings.write_text(text, encoding="utf-8")


def test_the_words_of_the_readme_lead_from_an_empty_home_to_the_firms_first_answer(tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", section(), flags=re.DOTALL)
    assert [block.splitlines()[0].split()[0] for block in blocks] == [
        "export",
        "gateway",
        "cat",
        "gateway",
        "gateway",
    ]
    assert blocks[-1] == "gateway serve\n"
    port = free_port()
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    exported = blocks[0].splitlines()[0]
    outputs = []
    for number, block in enumerate(blocks[:-1]):
        words = block.replace("gateway init ", f"gateway init --port {port} ")
        done = subprocess.run(
            ["bash", "-e", "-c", f"{exported}\n{words}"],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == (1 if number == 1 else 0), done.stdout + done.stderr
        outputs.append(done.stdout + done.stderr)
        if number == 0:
            quiet(tmp_path / "clinic-home")

    for word in (
        "`steward` is missing",
        "`permits` is missing",
        "`chi_phi`: a number without bounds can be counted",
    ):
        assert word in outputs[1]
    assert ": ok, clinic revision 1" in outputs[2]
    advice = [line for line in outputs[2].splitlines() if line.endswith("(advice)")]
    assert [line for line in advice if "nothing tests these rules" not in line] == []
    assert "12345" not in outputs[0]
    code = outputs[3].splitlines()[-1]

    house = House(tmp_path / "clinic-home", port)
    with house.serving():
        secret = enrolled(house.origin, "minh.lab", code, "correct horse battery staple")
        firm = a_lab(secret, ClientKey.load(tmp_path / "lab.pem"))
        statistic, listed, table, rows = asyncio.run(firms_side(firm, port, tmp_path))

    assert re.findall(r"^ *(\d\d) .*±", statistic, flags=re.MULTILINE) == ["01", "48", "79"]
    assert [each["id"] for each in json.loads(listed)["datasets"]] == ["clinic"]
    assert table.startswith("so_cccd,ho_va_ten,ngay_sinh,dien_thoai,tinh,chi_phi\r\n")
    assert table.count("\r\n") == 6
    check_masked(json.loads(rows)["rows"])


def check_masked(rows: list[dict[str, Any]]) -> None:
    assert len(rows) == 5
    assert all(row["so_cccd"].startswith("p1_") and row["ho_va_ten"] is None for row in rows)
    assert {row["ngay_sinh"] for row in rows} == {"1985-01-01", "1990-01-01", "1978-01-01", "2001-01-01"}
    assert {row["dien_thoai"] for row in rows} == {"*******678", "*******321", "*******222", "*******111"}
    assert sorted(row["chi_phi"] or 0 for row in rows) == [0, 0, 200000, 300000, 1200000]
    assert not any("ghi_chu" in row for row in rows)
    assert len({row["so_cccd"] for row in rows}) == 4


async def firms_side(firm: Firm, port: int, folder: Path) -> tuple[str, ...]:
    """Run the README's lines for firms as they stand, but for ports, and return what they print."""
    start = README.index("<!-- firm's side -->")
    lines = re.findall(r"^    (\S.+)$", README[start : README.index("\n## ", start + 50)], flags=re.MULTILINE)
    login, query, connect, *curls = (line.replace(":8080", f":{port}") for line in lines)
    assert [line.split()[:2] for line in (login, query, connect)] == [
        ["gateway", "login"],
        ["gateway", "query"],
        ["gateway", "connect"],
    ]
    assert len(curls) == 3

    entering = await started(login, folder)
    shown = await until(entering.stderr, r"page +(\S+)\n *code +(\S+)\n *key phrase +(\S+)")
    await approve(firm, shown[2], shown[1], shown[3])
    await ended(entering)
    statistic = await ended(await started(query, folder))
    signer = await started(f"exec {connect} --port 0", folder)
    address = await until(signer.stdout, r"(http://127\.0\.0\.1:\d+/\S+)/\n")
    try:
        answers = [
            await ended(
                await started(
                    line.replace("http://127.0.0.1:8765/SECRET", address[1]) + " -sS --fail", folder
                )
            )
            for line in curls
        ]
    finally:
        signer.terminate()
        await ended(signer)
    return statistic, *answers


async def started(line: str, folder: Path) -> Process:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return await asyncio.create_subprocess_exec(
        "bash", "-c", line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "GATEWAY_PROFILE": str(folder / "firm")},
    )  # fmt: skip


async def ended(process: Process) -> str:
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def until(stream: asyncio.StreamReader | None, pattern: str) -> re.Match[str]:
    """Return what a program shows, as soon as it does."""
    assert stream is not None
    shown = ""
    while not (found := re.search(pattern, shown)):
        line = (await asyncio.wait_for(stream.readline(), 30)).decode()
        assert line, shown
        shown += line
    return found


def a_lab(secret: bytes, key: ClientKey) -> Firm:
    firm = a_firm("lab", org_class="research")
    return replace(
        firm,
        agreement="AGR-2026-001",
        operator="minh.lab",
        client="lab.notebook",
        password="correct horse battery staple",
        totp_secret=secret,
        key=key,
    )


PERMIT = """permits:
  - id: rows
    to: {org_class: [bank]}
    purposes: [research]
    may: [extract]
    assurance: {acr: aal2, max_age: 8h}
    columns:
"""


def finished(draft: str, columns: str) -> str:
    """The least that a steward writes, on the draft itself."""
    for gap, value in {
        "    vi:  # fill in\n": "    vi: Cục\n",
        "    en:  # fill in\n": "    en: Bureau\n",
        "steward:  #": "steward: Chief of Division  #",
        "  importance:  #": "  importance: none  #",
        "purposes:  # fill in, for example:\n#   research": "purposes:\n   research",
        "permits:  #": PERMIT + columns + "    limits: {rows: 1000}\n#",
    }.items():
        assert gap in draft, gap
        draft = draft.replace(gap, value)
    return draft


async def pulled(house: House, firm: Firm, dataset: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    async with house.session(firm) as session:
        async for page in session.all_records(dataset, limit=1000):
            rows += page.document["rows"]
            if len(rows) >= 2000:
                break
    return rows


def sign(document: Path, *, cwd: Path) -> None:
    home = document.parents[1]
    run("policy", "sign", str(document), "--key", f"{home}-steward.pem", cwd=cwd)


def served(house: House, dataset: str, columns: str, folder: Path) -> tuple[list[dict[str, object]], str]:
    quiet(house.home)
    document = house.home / "policies" / f"{dataset}.yaml"
    document.write_text(finished(document.read_text(encoding="utf-8"), columns), encoding="utf-8")
    run("policy", "check", str(document), cwd=folder)
    sign(document, cwd=folder)
    firm = a_firm()
    house.register(firm)
    with house.serving() as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        rows = asyncio.run(pulled(house, firm, dataset))
    return rows, line


@pytest.mark.skipif(DATA is None, reason="GATEWAY_TEST_DATA is unset")
@pytest.mark.parametrize(
    ("file", "rows", "kept"),
    [
        ("adult/adult.csv", 2000, "age"),
        ("pums/PUMS.csv", 1000, "age"),
        ("pums/PUMS_pid.csv", 1000, "pid"),
        ("pums/PUMS_null.csv", 1948, "pid"),
        ("pums/PUMS_dup.csv", 1948, "pid"),
    ],
)
def test_a_real_file_goes_from_init_to_masked_rows(tmp_path: Path, file: str, rows: int, kept: str) -> None:
    path, port = Path(str(DATA)) / file, free_port()
    home = tmp_path / "home"
    told = json.loads(
        run("--home", str(home), "init", "--data", str(path), "--publisher", "census", "--port", str(port),
            "--json", cwd=tmp_path)
    )  # fmt: skip
    (treatment,) = [column["proposed"] for column in told["columns"] if column["name"] == kept]
    said = run("policy", "check", str(home / "policies"), cwd=tmp_path, code=1)
    assert "`permits` is missing" in said

    got, line = served(House(home, port), told["dataset"], f"      {kept}: {treatment}\n", tmp_path)

    assert "datasets 1" in line
    assert len(got) == rows
    values = [row[kept] for row in got if row[kept] is not None]
    if kept == "pid":
        assert all(str(value).startswith("p1_") for value in values)
        assert len(set(values)) <= 1000
    else:
        assert all(int(str(value)) % 10 == 0 for value in values)
    assert verify_store(home / "ledger" / "log.sqlite", own_key(home), checkpoints=[]).verified


def own_key(home: Path) -> str:
    from gateway.keyring.keyring import Keyring  # noqa: PLC0415
    from gateway.settings import load_settings  # noqa: PLC0415

    return Keyring.open(home / "keys", log_name=load_settings(home).log_origin).log.vkey


def test_a_folder_of_parquet_is_served_as_one_source(tmp_path: Path) -> None:
    folder, port, home = tmp_path / "data" / "people", free_port(), tmp_path / "home"
    folder.mkdir(parents=True)
    for number in range(3):
        table = pa.table(
            {"Họ tên": [f"Người {number}"] * 100, "tuổi": list(range(100 * number, 100 * number + 100))}
        )
        pq.write_table(table, folder / f"part-{number}.parquet")
    run(
        "--home",
        str(home),
        "init",
        "--data",
        str(folder),
        "--publisher",
        "census",
        "--port",
        str(port),
        cwd=tmp_path,
    )

    rows, line = served(House(home, port), "people", "      ho_ten: redact\n      tuoi: keep\n", tmp_path)

    assert "datasets 1" in line
    assert sorted(int(str(row["tuoi"])) for row in rows) == list(range(300))
    assert {row["ho_ten"] for row in rows} == {None}


def people(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute('CREATE TABLE people ("Số CCCD" TEXT, province TEXT, age INTEGER, note TEXT)')
        database.executemany(
            "INSERT INTO people VALUES (?, ?, ?, ?)",
            [(f"0010850{n:05}", "Cà Mau" if n % 2 else "Bến Tre", n % 90, f"geheim {n}") for n in range(250)],
        )
    database.close()


def test_an_api_goes_from_the_guides_words_to_masked_rows(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "proxy.md").read_text(encoding="utf-8")
    words, *rest = re.findall(r"```sh\n(.*?)```", guide, flags=re.DOTALL)
    upstream, port, home = free_port(), free_port(), tmp_path / "var"
    people(tmp_path / "db.db")
    assert rest == []
    words = words.replace(":8001/", f":{upstream}/").replace("gateway init", f"gateway init --port {port}")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with datasette(tmp_path / "db.db", upstream):
        done = subprocess.run(
            ["bash", "-c", words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        told = done.stdout + done.stderr
        document = home / "policies" / "people.yaml"
        draft = document.read_text(encoding="utf-8")

        assert done.returncode == 1
        for word in ("`steward` is missing", "`permits` is missing", "it serves nothing yet", "so_cccd"):
            assert word in told, told
        assert not any(word in told for word in ("without `unit`", "bounds", "grouped by"))
        assert not re.search("geheim|00108500|Mau|Tre", told + draft)
        assert 'stored_as: "Số CCCD"' in draft

        document.write_text(filled_in(draft), encoding="utf-8")
        said = run("policy", "check", str(document), cwd=tmp_path)
        assert "two firms" not in said
        sign(document, cwd=tmp_path)
        quiet(home)
        house, firm = House(home, port), a_firm(org_class="research")
        house.register(firm)
        with house.serving():
            rows = asyncio.run(pages(house, firm))

    assert len(rows) == 250
    assert len({row["so_cccd"] for row in rows}) == 250
    assert all(str(row["so_cccd"]).startswith("p1_") for row in rows)
    assert sorted({row["age"] for row in rows}) == list(range(0, 90, 10))
    assert all(set(row) == {"so_cccd", "province", "age"} for row in rows)


def filled_in(draft: str) -> str:
    """What a steward does: the gaps filled, the example uncommented, its question marks answered."""
    draft = re.sub(r"^#( {2,}[^ ?].*)$", r" \1", draft, flags=re.MULTILINE)
    for gap, value in {
        "    vi:  # fill in\n": "    vi: Cục\n",
        "    en:  # fill in\n": "    en: Bureau\n",
        "steward:  #": "steward: Chief of Division  #",
        "  importance:  #": "  importance: none  #",
        "# ?: {is: size, at_most: 100}": "_size: {is: size, at_most: 100}",
        "# ?: {is: cursor, found_at: /?}": "_next: {is: cursor, found_at: /next}",
        "province: drop": "province: keep",
        "source:\n": "acknowledged: {linkable: one institute asks}\nsource:\n",
    }.items():
        assert gap in draft, gap
        draft = draft.replace(gap, value)
    return draft


async def pages(house: House, firm: Firm) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    more: dict[str, str | int] = {}
    async with house.session(firm) as session:
        for _ in range(5):
            page = (await session.proxy("people", "db/people.json", more)).document
            rows += page["rows"]
            if page.get("next_cursor") is None:
                break
            more = {"_next": page["next_cursor"]}
    return rows


def test_a_file_that_broke_after_init_is_not_served_and_the_line_is_named(tmp_path: Path) -> None:
    data, port, home = tmp_path / "data", free_port(), tmp_path / "home"
    data.mkdir()
    (data / "people.csv").write_text("id,name\n1,x\n2,y\n", encoding="utf-8")
    run(
        "--home",
        str(home),
        "init",
        "--data",
        str(data / "people.csv"),
        "--publisher",
        "p",
        "--port",
        str(port),
        cwd=tmp_path,
    )
    with (data / "people.csv").open("a", encoding="utf-8") as file:
        file.write("3,geheim,zu viel\n")
    house = House(home, port)
    quiet(home)
    document = home / "policies" / "people.yaml"
    document.write_text(
        finished(document.read_text(encoding="utf-8"), "      id: tokenise\n"), encoding="utf-8"
    )
    sign(document, cwd=tmp_path)

    with house.serving() as process:
        assert process.stdout is not None
        line = process.stdout.readline()

    errors = (home / "serve.err").read_text(encoding="utf-8")
    assert "datasets 0" in line
    assert "not active: people.yaml:1:1: line 4 of `people.csv` has 3 fields, the header has 2" in errors
    assert "geheim" not in errors
