"""The firm's side as a firm meets it: real commands, a real gateway, real curl through the signer."""

import asyncio
import csv
import io
import json
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from firm_scene import CLIENT, DATASET, PEOPLE, Desk, connected, curl

from gateway.client import StoredReceipt
from gateway.transparency.note import format_vkey

STATISTIC = "SELECT province, COUNT(*) AS n FROM data GROUP BY province"


@pytest.fixture(scope="module")
def url(desk: Desk) -> Iterator[str]:
    with connected(desk) as address:
        yield address


def spent(desk: Desk) -> str:
    """What the client has spent, in rho."""
    shown = json.loads(desk.run("budget", "--json").stdout)
    return str(shown["budgets"][0]["client"]["rho_spent"])


def test_from_an_empty_machine_to_a_first_answer_takes_six_commands_at_most(desk: Desk) -> None:
    answer = desk.run("query", DATASET, STATISTIC, "--epsilon", "0.2")

    assert answer.returncode == 0, answer.stderr
    assert "±" in answer.stdout
    assert "paid: epsilon 0.200" in answer.stderr
    commands = ["pip install data-sharing-gateway", *desk.transcript, "gateway query"]
    assert len(commands) <= 6


def test_the_profile_is_for_its_owner_only_and_holds_no_token(desk: Desk) -> None:
    files = {path.name: path for path in desk.profile.iterdir()}

    assert {"profile.json", "client.pem", "client.jwk"} <= set(files)
    assert stat.S_IMODE(desk.profile.stat().st_mode) == 0o700
    assert stat.S_IMODE(files["profile.json"].stat().st_mode) == 0o600
    assert stat.S_IMODE(files["client.pem"].stat().st_mode) == 0o600
    assert set(json.loads(files["profile.json"].read_text())) == {
        "gateway", "client", "purpose", "key", "log_key", "ca", "certificate", "encryption_keys",
    }  # fmt: skip
    assert b"eyJ" not in b"".join(path.read_bytes() for path in files.values())


def test_the_catalogue_says_what_there_is_and_what_may_be_done(desk: Desk) -> None:
    listed = desk.run("catalog")
    described = desk.run("catalog", DATASET)
    as_json = json.loads(desk.run("catalog", DATASET, "--json").stdout)

    assert DATASET in listed.stdout
    assert "Age in years" in described.stdout
    assert "tokenise" in described.stdout
    assert as_json["may"]["extract"]["rows_max"] == 250


def test_rows_come_as_a_table_as_csv_and_as_json(desk: Desk, tmp_path: Path) -> None:
    asked = ("records", DATASET, "--where", "province=01", "--where", "age>=18", "--limit", "5")
    shown = desk.run(*asked)
    as_csv = desk.run(*asked, "--format", "csv", "--output", str(tmp_path / "rows.csv"))
    as_json = json.loads(desk.run(*asked, "--json", "--select", "province,age").stdout)

    assert (shown.returncode, as_csv.returncode) == (0, 0), shown.stderr + as_csv.stderr
    assert "\x1b" not in shown.stdout  # what a cell holds never acts on the terminal
    rows = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 5
    assert {row["province"] for row in rows} == {"01"}
    assert not any(row["remark"].startswith("=") for row in rows)  # nor on a spreadsheet
    assert [set(row) for row in as_json["rows"]] == [{"province", "age"}] * 5
    assert all(row["age"] >= 18 for row in as_json["rows"])


@pytest.mark.parametrize("form", ["csv", "json", "ndjson"])
def test_all_pages_come_as_one_answer_with_a_proof_each(desk: Desk, tmp_path: Path, form: str) -> None:
    receipt = tmp_path / "all.receipt"
    every = ("records", DATASET, "--all", "--limit", "250")
    pulled = desk.run(*every, "--format", form, "--save-receipt", str(receipt))

    assert pulled.returncode == 0, pulled.stderr
    match form:
        case "csv":
            rows = list(csv.DictReader(io.StringIO(pulled.stdout)))
        case "json":
            rows = json.loads(pulled.stdout)["rows"]
        case _:
            rows = [json.loads(line) for line in pulled.stdout.splitlines()]
    assert len(rows) == PEOPLE
    assert len({row["id"] for row in rows}) == PEOPLE
    kept = sorted(tmp_path.glob("all.*.receipt"))
    assert len(kept) == 3
    for file in kept:
        assert desk.run("receipt", "verify", str(file)).returncode == 0


def test_a_kept_receipt_verifies_against_the_profile_and_a_changed_one_does_not(
    desk: Desk, tmp_path: Path
) -> None:
    receipt = tmp_path / "answer.receipt"
    desk.run("query", DATASET, STATISTIC, "--epsilon", "0.1", "--save-receipt", str(receipt), "--json")
    good = desk.run("receipt", "verify", str(receipt), "--json")
    stored = StoredReceipt.load(receipt)
    StoredReceipt(proof=stored.proof, entry=stored.entry, body=stored.body + b" ").save(receipt)
    bad = desk.run("receipt", "verify", str(receipt))

    assert json.loads(good.stdout)["verified"] is True
    assert (bad.returncode, bad.stdout[:13]) == (1, "NOT verified:")


def test_a_plan_costs_nothing_and_says_the_price(desk: Desk) -> None:
    before = spent(desk)
    statistic = desk.run("plan", DATASET, STATISTIC, "--margin", "50")
    rows = desk.run("plan", DATASET, "--select", "age")

    assert (statistic.returncode, rows.returncode) == (0, 0), statistic.stderr + rows.stderr
    assert "price: epsilon" in statistic.stderr
    assert "± 50" in statistic.stdout or "± 4" in statistic.stdout
    assert "keep" in rows.stdout
    assert spent(desk) == before


def test_the_same_question_under_the_same_key_is_paid_once(desk: Desk) -> None:
    asked = ("query", DATASET, STATISTIC, "--epsilon", "0.1", "--idempotency-key", "k-1", "--json")
    first, between = desk.run(*asked), spent(desk)
    second = desk.run(*asked)

    assert first.stdout == second.stdout
    assert spent(desk) == between


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("query", DATASET, "SELECT agee FROM data", "--epsilon", "0.1"), 1, "hint: "),
        (("query", DATASET, STATISTIC, "--epsilon", "1000"), 1, "hint: "),
        (("catalog", "no.such.dataset"), 1, "`gateway catalog` lists what there is"),
        (("records", DATASET, "--where", "agee=18"), 1, "agee"),
        (("records", DATASET, "--where", "gibberish"), 2, "province=01"),
        (("records", DATASET, "--limit", "0"), 2, "--limit"),
        (("plan", DATASET, "--epsilon", "1"), 2, "go with SQL"),
        (("login", "--gateway", "http://gateway.example"), 2, "plain http"),
        (("login", "--key", "nowhere.pem"), 2, "--new-key"),
        (("connect", "--allow", "/oauth"), 2, "/v1"),
    ],
)  # fmt: skip
def test_what_goes_wrong_says_what_to_do(
    desk: Desk, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended = desk.run(*arguments)

    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_problem_as_json_is_for_programs(desk: Desk) -> None:
    ended = desk.run("catalog", "no.such.dataset", "--json")

    assert ended.returncode == 1
    assert json.loads(ended.stdout)["problem"]["type"] == "urn:problem:gateway:dataset-unknown"


def test_a_gateway_that_does_not_run_is_one_sentence(desk: Desk, tmp_path: Path) -> None:
    profile = json.loads((desk.profile / "profile.json").read_text())
    (tmp_path / "profile.json").write_text(json.dumps(profile | {"gateway": "http://127.0.0.1:9"}))
    (tmp_path / "profile.json").chmod(0o600)
    ended = desk.run("catalog", GATEWAY_PROFILE=str(tmp_path))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1
    assert "http://127.0.0.1:9 cannot be reached: nothing listens there" in ended.stderr


def test_an_answer_whose_receipt_is_of_another_log_is_not_shown(desk: Desk, tmp_path: Path) -> None:
    """Promise P1, held by the firm: what nothing proves is not used."""
    profile = json.loads((desk.profile / "profile.json").read_text())
    other = format_vkey("gateway.test/log/2026", Ed25519PrivateKey.generate().public_key())
    (tmp_path / "profile.json").write_text(json.dumps(profile | {"log_key": other}))
    (tmp_path / "profile.json").chmod(0o600)
    ended = desk.run("records", DATASET, "--limit", "1", "--json", GATEWAY_PROFILE=str(tmp_path))

    assert ended.returncode == 1
    assert "receipt does not verify" in json.loads(ended.stdout)["problem"]["detail"]
    assert "province" not in ended.stdout


def test_a_gateway_with_another_log_key_is_refused_in_clear_words(desk: Desk, tmp_path: Path) -> None:
    profile = json.loads((desk.profile / "profile.json").read_text())
    for name in ("profile.json", "client.pem"):
        shutil.copy(desk.profile / name, tmp_path / name)
    changed = profile | {"log_key": profile["log_key"].replace("gateway.test", "gateway.tost")}
    (tmp_path / "profile.json").write_text(json.dumps(changed))
    ended = desk.run("login", GATEWAY_PROFILE=str(tmp_path))

    assert ended.returncode == 1
    assert "is not the one you trust" in ended.stderr
    assert json.loads((tmp_path / "profile.json").read_text()) == changed


def test_curl_asks_through_the_signer(desk: Desk, url: str) -> None:
    listed = curl(f"{url}/v1/datasets")
    rows = curl(f"{url}/v1/datasets/{DATASET}/records", method="POST", body='{"limit": 3}')

    assert (listed.status, rows.status) == (200, 200)
    assert json.loads(listed.body)["datasets"][0]["id"] == DATASET
    assert len(json.loads(rows.body)["rows"]) == 3
    assert {"gateway-receipt", "gateway-entry", "gateway-next"} <= set(rows.headers)
    assert not {"dpop-nonce", "set-cookie"} & set(rows.headers)
    assert CLIENT not in url
    assert spent(desk)


def test_a_spreadsheet_gets_csv_by_address_and_its_refreshes_are_free(desk: Desk, url: str) -> None:
    address = f"{url}/query/{DATASET}.csv?sql={quote(STATISTIC)}&epsilon=0.1"
    first, between = curl(address), spent(desk)
    second = curl(address)
    rows = curl(f"{url}/records/{DATASET}.csv?limit=4&where=province=79&where=age%3E=18&select=province,age")

    assert (first.status, second.status) == (200, 200), first.body
    assert first.headers["content-type"].startswith("text/csv")
    assert first.body == second.body
    assert first.body.startswith(b"province,n,n.margin\r\n")
    assert spent(desk) == between
    assert [row["province"] for row in csv.DictReader(io.StringIO(rows.body.decode()))] == ["79"] * 4


def test_a_refusal_of_the_gateway_comes_through_as_it_is(url: str) -> None:
    question = '{"sql": "SELECT", "rho": "0.1"}'
    refused = curl(f"{url}/v1/datasets/{DATASET}/query", method="POST", body=question)

    assert refused.status == 422
    assert json.loads(refused.body)["type"] == "urn:problem:gateway:question-refused"
    assert "gateway-receipt" in refused.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:8765"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Host": "0.0.0.0:8765"}, 421),
    ],
)  # fmt: skip
def test_a_web_page_cannot_ask(url: str, headers: dict[str, str], status: int) -> None:
    refused = curl(f"{url}/v1/datasets", headers=headers)

    assert refused.status == status
    assert DATASET.encode() not in refused.body
    assert "access-control-allow-origin" not in refused.headers


def test_without_the_secret_there_is_nothing(url: str) -> None:
    origin, secret = url.rsplit("/", 1)
    near = [f"/{secret[:-1]}", f"/{secret}x", f"/%2f{secret}", f"/x/{secret}", f"//{secret}"]
    for path in ("/", "/v1/datasets", "//v1/datasets", *(f"{wrong}/v1/datasets" for wrong in near)):
        assert curl(f"{origin}{path}").status == 404, path


def test_only_the_paths_for_data_are_signed(url: str) -> None:
    for path, status in {
        "/oauth/token": 404, "/": 404, "/v1": 404, "/v2/datasets": 404, "/v1/%2e%2e/oauth/token": 400,
        "/v1//datasets": 400, "/v1/x%5c..%5cy": 400, "/query/x.xlsx?sql=1": 404,
        f"/query/{DATASET}.csv": 400, f"/query/{DATASET}.csv?sql=1&evil=1": 400,
        f"/query/{DATASET}.csv?sql=1&sql=2": 400, f"/records/{DATASET}.csv?limit=many": 400,
    }.items():  # fmt: skip
        assert curl(f"{url}{path}").status == status, path


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_not_signed(url: str, method: str) -> None:
    assert curl(f"{url}/v1/datasets", method=method).status == 405


def test_what_is_too_large_is_not_taken(url: str) -> None:
    assert curl(f"{url}/v1/datasets/{DATASET}/query", method="POST", body="x" * 70_000).status == 413


async def test_the_target_in_another_form_is_refused(url: str) -> None:
    parts = urlsplit(url)
    for line in (
        f"GET {url}/v1/datasets HTTP/1.1",
        "CONNECT gateway.example:443 HTTP/1.1",
        "GET http://gateway.example/v1/datasets HTTP/1.1",
        f"GET {parts.path}/v1/datasets HTTP/1.1\r\nHost: a",
    ):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(f"{line}\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert b" 200 " not in answer.partition(b"\r\n")[0], line
        assert DATASET.encode() not in answer


async def test_many_at_once_are_all_answered_and_one_question_is_paid_once(desk: Desk, url: str) -> None:
    before = await asyncio.to_thread(spent, desk)
    address = f"{url}/query/{DATASET}.json?sql={quote(STATISTIC)}&epsilon=0.05"
    same = [asyncio.to_thread(curl, address) for _ in range(6)]
    others = [asyncio.to_thread(curl, f"{url}/v1/datasets") for _ in range(20)]
    answers = await asyncio.gather(*same, *others)

    assert [answer.status for answer in answers] == [200] * 26
    assert len({answer.body for answer in answers[:6]}) == 1
    charge = json.loads(answers[0].body)["charge"]["rho"]
    after = await asyncio.to_thread(spent, desk)
    assert float(after) - float(before) == pytest.approx(float(charge), abs=1e-9)


def test_the_signer_may_be_kept_to_some_paths(desk: Desk) -> None:
    with connected(desk, "--allow", f"/v1/datasets/{DATASET}/records") as address:
        assert curl(f"{address}/records/{DATASET}.csv?limit=1").status == 200
        assert curl(f"{address}/v1/budgets").status == 403
        assert curl(f"{address}/v1/datasets/{DATASET}/recordsx").status == 403
        assert curl(f"{address}/query/{DATASET}.csv?sql=x&rho=0.1").status == 403


def test_the_address_stays_the_same_until_a_new_one_is_asked_for(desk: Desk) -> None:
    def secret(*arguments: str) -> str:
        with connected(desk, *arguments) as address:
            return address.rsplit("/", 1)[1]

    first = secret()
    assert secret() == first
    assert len(first) >= 32
    assert secret("--new-secret") != first
    assert stat.S_IMODE((desk.profile / "connect.secret").stat().st_mode) == 0o600


def test_the_programs_of_the_guide_run(desk: Desk, tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL)

    whole = [program for program in programs if "profile" in program]  # a function: test_lookup.py runs it
    assert (len(whole), len(programs)) == (2, 3)
    for program in whole:
        ended = subprocess.run(
            [sys.executable, "-c", program.replace("vn.nso.household-2026", DATASET)],
            capture_output=True, text=True, check=False, cwd=tmp_path, env=desk.environment,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout
    assert desk.run("receipt", "verify", str(tmp_path / "answer.receipt")).returncode == 0


def test_the_addresses_and_commands_of_the_guide_work(url: str) -> None:
    root = Path(__file__).parents[2]
    guide = "".join((root / page).read_text(encoding="utf-8") for page in ("docs/client.md", "README.md"))
    guide = re.sub(r"(?<=[/ ])(vn\.nso\.household-2026|clinic)(?=[/.])", DATASET, guide)
    addresses = re.findall(r"^    (http://127\.0\.0\.1:8765/SECRET/\S+)$", guide, flags=re.MULTILINE)
    fetched = re.findall(r"^    (curl .+)$", guide, flags=re.MULTILINE)

    assert len(addresses) >= 2
    assert len(fetched) >= 2
    for address in addresses:
        answer = curl(address.replace("http://127.0.0.1:8765/SECRET", url))
        assert answer.status == 200, answer.body
    if shutil.which("curl"):
        for line in fetched:
            words = shlex.split(line.replace("http://127.0.0.1:8765/SECRET", url))
            ended = subprocess.run([*words, "-sS", "--fail"], capture_output=True, check=False)
            assert ended.returncode == 0, ended.stderr
