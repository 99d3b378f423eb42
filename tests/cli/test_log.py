"""A log ends and the next begins: nothing is forgotten, nothing is spent twice, and both can be checked."""

import asyncio
import json
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest
from aiohttp import web
from click.testing import CliRunner
from log_scene import (
    CAP,
    FAR_MS,
    LATER,
    NEXT,
    NODES,
    OLD,
    PERSON,
    RECORDS,
    Deathbed,
    a_charge,
    a_deathbed,
    a_reply,
    copied,
    made_home,
)  # fmt: skip
from witness_server import WitnessServer

from gateway import wiring
from gateway.cli.root import gateway
from gateway.client.receipt import StoredReceipt
from gateway.clock import SystemClock
from gateway.errors import BudgetExhausted, ChargedFailure, HomeInvalid
from gateway.jose import base64url_decoded
from gateway.keyring.keyring import Keyring
from gateway.ledger.carried import carried_over, carry
from gateway.ledger.succession import closed_folder
from gateway.ledger.verifier import check_bundle
from gateway.registry.codec import change_of
from gateway.settings import FILE_NAME, load_settings
from gateway.terms.charge import StoredAnswer
from gateway.terms.entry import LOG_OPENED, Basis, EntryKind, Erasure
from gateway.terms.identifiers import RequestId
from gateway.terms.loss import Loss, PicoDelta, PicoRho
from gateway.transparency.proof import verify_checkpoint

SPENT = 30
"""Of each node: three charges of ten."""
MOMENTS_MIN, MOMENTS_MAX = 30, 200


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_home(tmp_path_factory.mktemp("lived-in") / "home")


@pytest.fixture
def home(lived_in: Path, tmp_path: Path) -> Path:
    return copied(lived_in, tmp_path / "home")


@pytest.fixture(scope="module")
def deathbed() -> Iterator[Deathbed]:
    with a_deathbed() as made:
        yield made


def run(home: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(gateway, ["--home", str(home), *arguments])
    return result.exit_code, result.output or str(getattr(result.exception, "detail", ""))


def close(home: Path, origin: str = NEXT, *more: str) -> tuple[int, str]:
    return run(home, "log", "close", "--origin", origin, *more)


def key_of(home: Path, origin: str | None = None) -> str:
    return Keyring.open(home / "keys", log_name=origin or load_settings(home).log_origin).log.vkey


def verified(home: Path, *more: str, key: str = "") -> dict[str, Any]:
    file = home.parent / "KEY.vkey"
    file.write_text((key or key_of(home)) + "\n")
    report: dict[str, Any] = json.loads(
        run(home, "audit", "verify", "--log-key", str(file), "--json", *more)[1]
    )
    return report


async def require_everything(home: Path) -> None:
    """Nothing that was spent, used, answered, failed or put is forgotten."""
    async with wiring.opened(home) as opened:
        ledger = opened.ledger
        spent = Loss(PicoRho(SPENT), PicoDelta(0))
        assert await ledger.spent(NODES) == (spent, spent)
        with pytest.raises(BudgetExhausted):
            await ledger.charge(a_charge("more", CAP - SPENT + 1))
        assert await ledger.use_once("used", FAR_MS) is False
        answer = await ledger.charge(a_charge("answered"))
        assert isinstance(answer, StoredAnswer)
        assert answer.answer == b"43"
        for failed in ("failed", "open"):
            with pytest.raises(ChargedFailure):
                await ledger.charge(a_charge(failed))
        assert set(await ledger.registry()) == {change_of(record) for record in RECORDS}


def test_the_next_log_takes_over_all_that_counts_and_both_verify(home: Path) -> None:
    code, said = close(home)

    assert (code, load_settings(home).log_origin) == (0, NEXT)
    assert said.endswith(f"{key_of(home)}\n")
    wiring.run(require_everything(home))
    report = verified(home)
    assert (report["verified"], report["absent_log"]) == (True, None)
    assert [(log["log"], log["entries"]) for log in report["closed_logs"]] == [(OLD, 9)]


def test_the_stores_own_time_goes_over_whatever_the_clock_says(home: Path) -> None:
    """Else a clock that is ahead for as long as the command runs would make used ids usable again."""
    outside = apsw.Connection(str(home / STORE))
    outside.execute("UPDATE lived SET until_ms = 1000")
    outside.close()

    assert close(home)[0] == 0

    assert max(numbers(home / STORE, "SELECT until_ms FROM lived")) < 1000 * 1000


def test_a_chain_of_three_logs_still_remembers_the_first(home: Path) -> None:
    assert close(home)[0] == 0
    assert close(home, LATER)[0] == 0

    wiring.run(require_everything(home))
    report = verified(home)
    assert report["faults"] == []
    assert [log["log"] for log in report["closed_logs"]] == [NEXT, OLD]


def test_a_dry_run_changes_nothing(home: Path) -> None:
    before = {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}

    code, said = close(home, NEXT, "--dry-run", "--json")

    assert (code, json.loads(said)["key"]) == (0, key_of(home, NEXT))
    after = {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}
    assert {path.name for path in after.keys() - before.keys()} <= {"log.sqlite-wal", "log.sqlite-shm"}
    assert {path: after[path] for path in before} == before


def test_who_trusts_the_old_key_learns_the_new_one_from_the_last_receipt(home: Path) -> None:
    old, file = key_of(home), home.parent / "end.receipt"

    assert close(home, NEXT, "--receipt", str(file))[0] == 0

    facts = StoredReceipt.load(file).verify(old).entry["facts"]
    assert facts == {"event": "log_closed", "old": old, "new": key_of(home)}


def test_receipts_of_the_closed_log_keep_their_worth(home: Path) -> None:
    async def a_receipt() -> StoredReceipt:
        async with wiring.opened(home) as opened:
            receipt = await opened.ledger.release(a_reply(body=b"mine"))
            return StoredReceipt(proof=receipt.proof, entry=receipt.entry, body=b"mine")

    old, kept = key_of(home), wiring.run(a_receipt())
    folder = home.parent / "receipts"
    folder.mkdir()
    kept.save(folder / "old.receipt")
    assert close(home)[0] == 0
    wiring.run(a_receipt()).save(folder / "new.receipt")

    assert kept.verify(old).origin == OLD
    report = verified(home, "--receipts", str(folder))
    assert (report["faults"], report["receipts"]) == ([], 2)
    (folder / "new.receipt").unlink()
    assert verified(home, "--receipts", str(folder))["receipts"] == 1
    with apsw.Connection(str(closed_folder(home / "ledger", OLD) / "log.sqlite")) as outside:
        outside.execute("DROP TRIGGER entry_is_never_changed")
        outside.execute("UPDATE entry SET leaf = CAST(leaf || ' ' AS BLOB) WHERE idx > 6")
    assert f"log `{OLD}`: receipt `old.receipt`" in " ".join(
        verified(home, "--receipts", str(folder))["faults"]
    )


def test_evidence_is_taken_from_a_closed_log_until_it_is_erased(home: Path) -> None:
    old, bundle = key_of(home), home.parent / "case.zip"
    assert close(home)[0] == 0

    def taken(output: Path) -> tuple[int, str]:
        return run(home, "audit", "bundle", "--log", OLD, "--open", "5.question", "-o", str(output))

    assert taken(bundle)[0] == 0
    check_bundle(bundle.read_bytes(), [old])
    with zipfile.ZipFile(bundle) as opened:
        value = json.loads(opened.read("openings/5.json"))["question"]["value"]
        assert json.loads(opened.read("entries/5.json"))["commitments"].keys() == {"body", "question"}
    assert base64url_decoded(value) == b"planted"
    with apsw.Connection(str(home / STORE)) as outside:
        read = json.loads(outside.execute("SELECT leaf FROM entry ORDER BY idx DESC LIMIT 1").get)
    assert (read["kind"], read["facts"]["log"]) == ("read", OLD)

    run(home, "audit", "erase", "--subject", PERSON, "--basis", "request", "--yes")
    code, said = taken(home.parent / "later.zip")
    assert (code, "was erased" in said) == (2, True)
    assert run(home, "audit", "bundle", "--log", "x", "--entry", "0", "-o", str(home / "x.zip"))[0] == 1


@pytest.mark.parametrize(
    ("origin", "says"),
    [
        (OLD, "already"),
        ("", "URL without scheme"),
        ("gateway.test/log 2027", "URL without scheme"),
        ("gateway.test/log+2027", "URL without scheme"),
        ("a" * 101, "URL without scheme"),
    ],
)
def test_a_name_that_is_none_or_has_served_is_refused(home: Path, origin: str, says: str) -> None:
    code, said = close(home, origin)

    assert code != 0
    assert says in said
    assert verified(home)["closed_logs"] == []


def test_a_name_serves_once(home: Path) -> None:
    assert close(home)[0] == 0

    code, said = close(home, OLD)

    assert code == 1
    assert "a name serves once" in said


def test_settings_keep_every_other_word(home: Path) -> None:
    text = (home / FILE_NAME).read_text()
    (home / FILE_NAME).write_text(f"# ours\n{text}  # until 2030\n")

    assert close(home)[0] == 0

    assert (home / FILE_NAME).read_text() == f"# ours\n{text}  # until 2030\n".replace(OLD, NEXT)


def test_a_running_gateway_is_not_closed_under_its_feet(home: Path) -> None:
    async def closed_meanwhile() -> tuple[int, str]:
        async with wiring.opened(home):
            return await asyncio.to_thread(close, home)

    code, said = wiring.run(closed_meanwhile())

    assert code == 1
    assert "another process uses this home" in said


def test_while_somebody_reads_the_store_it_does_not_move(home: Path) -> None:
    reader = apsw.Connection(str(home / "ledger" / "log.sqlite"))
    reader.execute("BEGIN; SELECT * FROM head").fetchall()

    code, said = close(home)

    assert (code, said) == (1, "another program reads the ledger; end it, then repeat")
    reader.close()
    assert opened_as(home) == "none"
    assert close(home)[0] == 0
    assert opened_as(home) == NEXT


def test_a_key_that_was_erased_before_the_change_stays_erased(home: Path) -> None:
    run(home, "audit", "erase", "--subject", PERSON, "--basis", "request", "--yes")
    erased = numbers(home / STORE, "SELECT key FROM erased")
    assert close(home)[0] == 0

    assert (numbers(home / STORE, "SELECT key FROM erased"), len(erased)) == (erased, 2)
    with apsw.Connection(str(home / STORE)) as outside:
        outside.execute("DELETE FROM erased")
    (fault,) = verified(home)["faults"]
    assert fault == f"log `{OLD}`: the next log does not know of every key that was erased"


def numbers(file: Path, sql: str) -> set[int]:
    connection = apsw.Connection(str(file))
    try:
        return {number for (number,) in connection.execute(sql)}
    finally:
        connection.close()


def test_erasing_a_person_reaches_the_closed_log_and_erasing_an_entry_leaves_it_alone(home: Path) -> None:
    async def erased(erasure: Erasure) -> None:
        async with wiring.opened(home) as opened:
            await opened.ledger.erase(erasure, RequestId("r-erase"))

    async def replied() -> None:
        async with wiring.opened(home) as opened:
            await opened.ledger.release(a_reply(subject=PERSON, private={"question": b"new"}))

    def keys(store: Path) -> set[int]:
        return numbers(store, "SELECT key FROM opening")

    def held() -> set[int]:
        return numbers(home / "ledger" / "openings.sqlite", "SELECT id FROM opening_key")

    assert close(home)[0] == 0
    old = closed_folder(home / "ledger", OLD) / "log.sqlite"
    wiring.run(replied())
    assert keys(old).isdisjoint(keys(home / "ledger" / "log.sqlite"))
    wiring.run(erased(Erasure(basis=Basis.MISTAKE, entries=(1,))))
    assert keys(old) <= held()

    wiring.run(erased(Erasure(basis=Basis.REQUEST, subject=PERSON)))

    assert len(keys(old) - held()) == 1, "the person's key of that month"
    assert verified(home)["faults"] == []
    wiring.run(replied())
    assert close(home, LATER)[0] == 0
    assert verified(home)["faults"] == [], "what was erased stays on the list"


def test_a_key_that_was_rotated_before_and_one_after_verify(home: Path) -> None:
    assert run(home, "keys", "rotate", "--kind", "log")[0] == 0
    assert run(home, "keys", "retire", "--kind", "log")[0] == 0
    assert close(home)[0] == 0
    assert run(home, "keys", "rotate", "--kind", "log")[0] == 0
    assert run(home, "keys", "retire", "--kind", "log")[0] == 0

    assert verified(home, key=Keyring.open(home / "keys", log_name=NEXT).log_keys.history)["faults"] == []
    assert len((home / "keys" / "log-retired.vkeys").read_text().splitlines()) == 2


REOPENED = "DROP TRIGGER closed_log_stays_closed; UPDATE log SET next = NULL"
STORE = "ledger/log.sqlite"
CLOSED = "ledger/closed/gateway.test%2Flog%2F2026/log.sqlite"


@pytest.mark.parametrize(
    ("file", "sql", "says"),
    [
        (STORE, "UPDATE carried_spent SET rho = 1", "what the log began with, `spent`"),
        (STORE, "DELETE FROM carried_record WHERE kind = 'operator'", "what the log began with, `records`"),
        (STORE, "UPDATE carried_entry SET leaf = x'7b7d'", "what the log began with, `records`"),
        (STORE, "UPDATE claim SET digest = 'other'", "what the log began with, `claims`"),
        (STORE, "UPDATE claim SET answer = NULL", "what the log began with, `claims`"),
        (STORE, "DROP TRIGGER spent_is_never_deleted; DELETE FROM spent", "the budget of `vn.nso`"),
        (STORE, "DELETE FROM registry", "the registry's record"),
        (STORE, "DELETE FROM once", "1 used id(s) could be used again"),
        (STORE, "UPDATE lived SET until_ms = 0", "own time is earlier"),
        (STORE, "UPDATE log SET next = 'x'", "whether the log is closed"),
        (CLOSED, REOPENED, "whether the log is closed"),
        (CLOSED, "UPDATE spent SET rho = rho + 1", "what the next log carries over is not"),
        (CLOSED, "DELETE FROM once", "what the next log carries over is not"),
        (CLOSED, "UPDATE claim SET digest = 'other'", "what the next log carries over is not"),
        (CLOSED, "DELETE FROM registry", "what the next log carries over is not"),
    ],
)  # fmt: skip
def test_what_was_changed_at_the_link_is_found(home: Path, file: str, sql: str, says: str) -> None:
    assert close(home)[0] == 0
    with apsw.Connection(str(home / file)) as outside:
        outside.execute(sql)

    report = verified(home)

    assert report["verified"] is False
    assert says in " ".join(report["faults"])


def test_another_closed_log_a_missing_one_and_one_too_many_are_told(home: Path, lived_in: Path) -> None:
    assert close(home)[0] == 0
    folder = closed_folder(home / "ledger", OLD)
    other = copied(lived_in, home.parent / "other")
    wiring.run(require_everything(other))
    assert close(other)[0] == 0
    (folder / "log.sqlite").rename(home.parent / "true.sqlite")
    assert (verified(home)["verified"], verified(home)["absent_log"]) == (True, OLD)

    (closed_folder(other / "ledger", OLD) / "log.sqlite").rename(folder / "log.sqlite")
    assert f"log `{OLD}`: it is not the log that the next one's entry 0 names" in verified(home)["faults"]

    (folder / "log.sqlite").unlink()
    (home.parent / "true.sqlite").rename(folder / "log.sqlite")
    (folder / "head").unlink()
    assert verified(home)["faults"] == [f"log `{OLD}`: its end has no signed head"]
    copied(folder, folder.with_name("more"))
    with apsw.Connection(str(folder.with_name("more") / "log.sqlite")) as outside:
        outside.execute(REOPENED)
        outside.execute("UPDATE log SET origin = 'gateway.test/odd'")
    assert "log `gateway.test/odd`: no log says that it follows" in verified(home)["faults"]


def test_a_second_log_that_says_it_follows_is_found(home: Path) -> None:
    """The operator has every key, so he can sign it; what the closed log says he cannot change any more."""
    assert close(home)[0] == 0
    old, folder = closed_folder(home / "ledger", OLD), home / "ledger" / "forged"
    folder.mkdir()
    keyring = Keyring.open(home / "keys", log_name=LATER)
    carry(
        old / "log.sqlite",
        folder / "log.sqlite",
        origin=LATER,
        vkeys=(keyring.log.vkey,),
        seal=partial(keyring.sealer.seal, "ledger"),
        unseal=partial(keyring.sealer.unseal, "ledger"),
    )

    async def opened() -> None:
        forged = wiring.open_ledger(home, folder, keyring, SystemClock())
        forged.start()
        head = verify_checkpoint((old / "head").read_bytes(), key_of(home, OLD))
        told = {"event": LOG_OPENED, "old": key_of(home, OLD), "new": keyring.log.vkey, "entries": head.size}
        facts = told | {"root": head.root.hex(), "carried": carried_over(old / "log.sqlite")}
        await forged.release(a_reply(kind=EntryKind.MARK, facts=facts))
        await forged.close()

    wiring.run(opened())
    for name in ("log.sqlite", "head"):
        (folder / name).replace(home / "ledger" / name)

    faults = verified(home, key=keyring.log.vkey)["faults"]

    assert faults == [f"log `{OLD}`: its last entry does not say that `{LATER}` follows"]


def test_a_check_goes_on_from_a_state_over_the_change(home: Path) -> None:
    state = home.parent / "audit.state"
    assert verified(home, "--save-state", str(state))["verified"]
    assert close(home)[0] == 0

    for _ in range(2):  # from the old log's state, then from the new one's
        report = verified(home, "--since", str(state), "--save-state", str(state))
        assert report["faults"] == []


def opened_as(home: Path) -> str:
    """Return which log goes on in a home; it holds everything then."""
    named = load_settings(home).log_origin
    try:
        wiring.run(require_everything(home))
    except HomeInvalid as error:
        return "none" if "`gateway log close" in error.detail else error.detail
    return named


def test_witnesses_cosign_the_end_before_the_next_log_begins(home: Path) -> None:
    witness = WitnessServer(logs={OLD: [key_of(home)], NEXT: [key_of(home, NEXT)]})

    async def knows_but_does_not_cosign(request: web.Request) -> web.Response:
        return web.Response(status=404 if request.method == "GET" else 503)

    with witness.in_thread():
        (home / "witnesses.policy").write_text(f"witness w {witness.vkey} {witness.url}/\nquorum w\n")
        text = (home / FILE_NAME).read_text()
        (home / FILE_NAME).write_text(text.replace('policy = "none"', 'policy = "witnesses.policy"'))
        witness.instead = knows_but_does_not_cosign
        code, said = close(home)
        assert (code, "too few witnesses cosigned its end" in said) == (1, True)
        assert opened_as(home) == "none"

        witness.instead = None
        assert close(home)[0] == 0
        assert opened_as(home) == NEXT

    cosigned = closed_folder(home / "ledger", OLD) / "cosigned"
    assert cosigned.read_text() == witness.latest[OLD][2]
    assert verified(home)["faults"] == []


def test_wherever_it_dies_it_can_be_repeated_and_nothing_is_lost_or_open_twice(
    lived_in: Path, deathbed: Deathbed, tmp_path: Path
) -> None:
    told = dict.fromkeys((OLD, "none", NEXT), 0)
    moment, done = 0, False
    while not done:
        moment += 1
        assert moment < MOMENTS_MAX, "it ends"
        home = copied(lived_in, tmp_path / str(moment))
        done = deathbed.closed(home, moment)
        told[opened_as(home)] += 1

        code, said = close(home)

        assert (code == 0) is ("already" not in said), (moment, said)
        assert opened_as(home) == NEXT
        assert verified(home)["faults"] == [], moment
    assert moment > MOMENTS_MIN
    assert min(told.values()) >= 1, told
