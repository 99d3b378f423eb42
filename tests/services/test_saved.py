"""A saved request: one exact request that a person saw, approved for so many days, and nothing else."""

import html
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import jose
from gateway.identity.factors import amr_of
from gateway.policy.load import load_rules
from gateway.registry.records import Activation, State
from gateway.registry.saved_request import SavedRequest
from gateway.services.saved import visible
from gateway.terms.caller import Assurance
from gateway.terms.identifiers import AgreementId, ClientId, OperatorId, OrgId, PurposeId
from gateway.terms.loss import PicoRho
from gateway.terms.reply import Reply

Town = Any
"""What conftest.py builds; test modules cannot import its type."""

NOON = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)
DATASET = "vn.test.people-2026"
PASSWORD = "mười hai con giáp"
PATH = f"/v1/datasets/{DATASET}/query"
SQL = "SELECT province, COUNT(*) AS n FROM data GROUP BY province"
BODY = json.dumps({"sql": SQL, "rho": "0.001"})
RULES = f"""\
policy: 1
id: {DATASET}
revision: 1
valid: {{from: 2026-01-01, until: 2030-12-31}}
title: {{vi: Người dân, en: People}}
publisher: {{org: nso, name: {{vi: Cục Thống kê, en: Statistics Office}}}}
steward: Chief of People
classification: {{sharing: shared, importance: none, personal: basic}}
source: {{path: people.csv, format: csv, lineage: vn.test.people}}
unit: {{column: id, rows_max: 1, units_max: 5000}}
columns:
  id: {{type: text, meaning: Person, personal: basic}}
  province: {{type: text, meaning: Province, personal: basic, values: ["01", "79"]}}
  age: {{type: integer, meaning: Age in years, personal: basic, bounds: [0, 120]}}
purposes:
  credit-risk: {{vi: Rủi ro tín dụng, en: Credit risk}}
budgets: {{lineage: {{rho: "10"}}, organisation: {{rho: "1"}}, client: {{rho: "1"}}}}
acknowledged: {{rows_and_statistics: a test asks both}}
permits:
  - id: statistics
    to: {{org_class: [bank]}}
    purposes: [credit-risk]
    may: [aggregate]
    assurance: {{acr: aal2, max_age: 8h, unattended: 30d}}
    columns: {{province: keep, age: keep}}
    functions: [count, sum, avg]
    limits: {{groups: 100, rho_per_query: "0.5"}}
  - id: rows
    to: {{org_class: [bank]}}
    purposes: [credit-risk]
    may: [extract]
    assurance: {{acr: aal2, max_age: 8h}}
    columns: {{id: tokenise, province: keep, age: keep}}
    limits: {{rows: 250}}
"""


def rules_of(text: str = RULES) -> dict[str, Any]:
    loaded = load_rules(text.encode(), file="people.yaml")
    return {loaded.dataset.id: loaded}


@pytest.fixture
def town(town: Town) -> Town:
    town.rules = rules_of()
    return town


def fields(**changes: str) -> dict[str, str]:
    asked = {"saved_method": "POST", "saved_path": PATH, "saved_body": BODY, "saved_days": "30", **changes}
    return {name: value for name, value in asked.items() if value}


async def asked(town: Town, **changes: str) -> Reply:
    reply = await town.ask("/oauth/device_authorization", purpose="credit-risk", **fields(**changes))
    assert isinstance(reply, Reply)
    return reply


def text_of(reply: Reply) -> str:
    return html.unescape(reply.body.decode("utf-8"))


async def saved(town: Town, **changes: str) -> Activation:
    """Have a request approved, and take it up."""
    device = town.document(await asked(town, **changes))
    await town.approved(device)
    town.clock.pass_by(seconds=6)
    assert (await town.poll(device)).status == 200
    (activation,) = town.registry.activations.values()
    assert isinstance(activation, Activation)
    return activation


async def test_an_approval_binds_the_digest_of_the_bytes_that_were_shown(town: Town) -> None:
    activation = await saved(town)
    assert activation.saved is not None

    assert activation == Activation(
        id=activation.id,
        client=ClientId("etl-1"),
        operator=OperatorId("lan"),
        purpose=PurposeId("credit-risk"),
        key=town.keys["etl-1"].thumbprint,
        methods=("pwd", "otp"),
        authenticated_at=NOON,
        until=NOON + timedelta(days=30),
        state=State.ACTIVE,
        saved=SavedRequest(
            digest=jose.request_digest("POST", PATH, "", BODY.encode()),
            method="POST",
            path=PATH,
            sealed=activation.saved.sealed,
            effect=activation.saved.effect,
            pico_rho_max=PicoRho(10**9),
            vnd_max=0,
        ),
    )
    kept = town.keyring.sealer.unseal("saved-request", activation.saved.sealed)
    assert kept.decode() == f"POST {PATH}?\n{BODY}"


async def test_a_token_of_it_names_the_request_and_what_was_proved_then(town: Town) -> None:
    """Promise P6: the level and the time are of the approval, whenever the token is made."""
    activation = await saved(town)
    town.clock.pass_by(days=20)
    town.nonce = None

    reply = await town.credentials(activation=activation.id)
    claims = town.claims(reply)

    assert (claims.assurance, claims.authenticated_at) == (Assurance.AAL2, NOON.replace(microsecond=0))
    assert activation.saved is not None
    assert (claims.saved.activation, claims.saved.request) == (activation.id, activation.saved.digest)
    assert claims.operator == "lan"
    assert (claims.expires_at - claims.issued_at).total_seconds() == 300
    document = town.document(reply)
    assert document["activation"] == activation.id
    assert document["activation_until"] == activation.until.isoformat()


async def test_no_token_of_it_is_ever_of_the_highest_level_however_fresh(town: Town) -> None:
    """Promise P6: aal3 says that somebody is there."""
    activation = await saved(town)
    hardware = replace(activation, methods=tuple(amr_of(("hwk", "pin", "user"))))
    town.change(hardware)

    assert town.claims(await town.credentials(activation=activation.id)).assurance is Assurance.AAL2


async def test_it_opens_nothing_to_an_ordinary_token(town: Town) -> None:
    """Promise P6: whoever saved one request did not log the machine in."""
    await saved(town)

    claims = town.claims(await town.credentials())

    assert (claims.assurance, claims.operator, claims.saved) == (Assurance.AAL1, None, None)


async def test_a_login_gives_no_token_for_a_saved_request(town: Town) -> None:
    device = await town.device(hours="8")
    await town.approved(device)
    (activation,) = town.registry.activations.values()

    reply = await town.credentials(activation=activation.id)

    assert (reply.status, town.document(reply)["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("left", [timedelta(), timedelta(milliseconds=100)])
async def test_no_token_outlives_the_approval_and_none_is_made_after_it(town: Town, left: timedelta) -> None:
    activation = await saved(town, saved_days="1")
    town.clock.moment = activation.until - timedelta(seconds=90)
    town.nonce = None
    last = town.claims(await town.credentials(activation=activation.id))
    town.clock.moment = activation.until - left
    town.nonce = None

    over = await town.credentials(activation=activation.id)

    assert last.expires_at <= activation.until
    assert (over.status, town.document(over)["error"]) == (400, "invalid_grant")


async def test_the_approval_of_another_client_of_the_same_firm_serves_nobody_else(town: Town) -> None:
    activation = await saved(town)

    reply = await town.ask(
        "/oauth/token",
        client="etl-2",
        grant_type="client_credentials",
        purpose="credit-risk",
        activation=activation.id,
    )

    assert (reply.status, town.document(reply)["error"]) == (400, "invalid_grant")


ENDS = {
    "the activation is ended": lambda town, made: town.change(replace(made, state=State.ENDED)),
    "the activation is suspended": lambda town, made: town.change(replace(made, state=State.SUSPENDED)),
    "the person is suspended": lambda town, _made: town.change(
        replace(town.registry.operators[OperatorId("lan")], state=State.SUSPENDED)
    ),
    "the person changes the firm": lambda town, _made: town.change(
        replace(town.registry.operators[OperatorId("lan")], org=OrgId("relief-b"))
    ),
    "the client is suspended": lambda town, _made: town.change(
        replace(town.registry.clients[ClientId("etl-1")], state=State.SUSPENDED)
    ),
    "the key is taken away": lambda town, _made: town.change(
        replace(town.registry.clients[ClientId("etl-1")], keys=())
    ),
    "the firm is suspended": lambda town, _made: town.change(
        replace(town.registry.organisations[OrgId("bank-a")], state=State.SUSPENDED)
    ),
    "the purpose is struck from the agreement": lambda town, _made: town.change(
        replace(town.registry.agreements[AgreementId("AGR-2026-014")], purposes=("audit",))
    ),
    "the agreement is over": lambda town, _made: town.change(
        replace(
            town.registry.agreements[AgreementId("AGR-2026-014")], valid_until=NOON.date() - timedelta(days=1)
        )
    ),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_whatever_ends_in_the_chain_ends_it(town: Town, end: Any) -> None:
    activation = await saved(town)
    end(town, activation)
    town.nonce = None

    assert (await town.credentials(activation=activation.id)).status in {400, 401}


async def test_an_operator_of_another_firm_approves_nothing(town: Town) -> None:
    device = town.document(await asked(town))

    assert (await town.sign_in(device, operator="minh")).status == 403
    assert not town.registry.activations


async def test_the_person_sees_the_question_the_dataset_the_price_and_the_end(town: Town) -> None:
    device = town.document(await asked(town))

    shown = text_of(await town.sign_in(device))

    for words in (
        SQL,
        f"POST {PATH}",
        "People: statistics with noise",
        "Người dân: thống kê có nhiễu",
        "rho\u00a00.001)",
        "rho\u00a00.03)",
        "30 ngày",
        "30 days",
        "2026-04-01",
        str(device["key_phrase"]),
    ):
        assert words in shown, words
    assert "8 giờ" not in shown


async def test_what_the_entries_commit_to_is_the_request_itself(town: Town) -> None:
    requested = await asked(town)
    signed_in = await town.sign_in(town.document(requested))
    decided = await town.decide(town.ticket_in(signed_in), "approve")

    text = f"POST {PATH}?\n{BODY}".encode()
    assert [reply.private["saved"] for reply in (requested, signed_in, decided)] == [text] * 3
    assert (requested.facts["days"], decided.facts["days"]) == (30, 30)
    assert decided.facts["activation"] in town.registry.activations


REFUSED = {
    "a permit that does not say so": {"saved_path": f"/v1/datasets/{DATASET}/records", "saved_body": "{}"},
    "another dataset": {"saved_path": "/v1/datasets/vn.other/query"},
    "a price alone": {"saved_path": f"/v1/datasets/{DATASET}/plan"},
    "no request for data": {"saved_method": "GET", "saved_path": "/v1/budgets", "saved_body": ""},
    "the catalogue": {"saved_method": "GET", "saved_path": f"/v1/datasets/{DATASET}", "saved_body": ""},
    "a query string that nothing reads": {"saved_query": "note=only-harmless-counts"},
    "what a comment hides": {"saved_body": json.dumps({"sql": SQL + " -- WHERE province = '01'"})},
    "a comment of no words": {"saved_body": json.dumps({"sql": SQL.replace(" AS n", "/**/ AS n")})},
    "a hint": {"saved_body": json.dumps({"sql": SQL.replace("SELECT", "SELECT /*+ x */")})},
    "no SQL": {"saved_body": '{"sql": "DROP TABLE data"}'},
    "a member twice": {"saved_body": '{"sql": "SELECT COUNT(*) FROM data", "sql": "x"}'},
    "a member of no meaning": {"saved_body": '{"sql": "SELECT COUNT(*) FROM data", "note": "harmless"}'},
    "lines that push it out of sight": {
        "saved_body": json.dumps({"sql": "SELECT COUNT(*) FROM data" + "\n" * 100 + "WHERE province = '01'"})
    },
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
async def test_what_nobody_could_approve_is_not_asked_of_a_person(town: Town, change: dict[str, str]) -> None:
    reply = await asked(town, **change)

    assert (reply.status, town.document(reply)["error"]) == (400, "invalid_authorization_details")


MALFORMED = {
    "31 days": {"saved_days": "31"},
    "no days": {"saved_days": "0"},
    "days in other digits": {"saved_days": "٣"},
    "days and hours": {"hours": "8"},
    "no method": {"saved_method": ""},
    "a method in small letters": {"saved_method": "post"},
    "no path": {"saved_path": ""},
    "a path with a query": {"saved_path": PATH + "?x=1"},
    "a path with a line's end": {"saved_path": PATH + "\n"},
    "a path that is not ASCII": {"saved_path": PATH + "é"},
    "a long body": {"saved_body": json.dumps({"sql": "SELECT COUNT(*) FROM data -- " + "x" * 4096})},
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED)
async def test_a_request_that_is_not_well_formed_is_refused(town: Town, change: dict[str, str]) -> None:
    reply = await asked(town, **change)

    assert (reply.status, town.document(reply)["error"]) == (400, "invalid_request")


async def test_the_rules_may_allow_fewer_days(town: Town) -> None:
    town.rules = rules_of(RULES.replace("unattended: 30d", "unattended: 7d"))

    assert (await asked(town, saved_days="8")).status == 400
    assert (await asked(town, saved_days="7")).status == 200


async def test_rules_that_change_while_it_waits_are_those_that_count(town: Town) -> None:
    device = town.document(await asked(town))
    town.rules = rules_of(RULES.replace(", unattended: 30d", ""))

    reply = await town.sign_in(device)

    assert (reply.status, reply.facts["why"]) == (403, "no-longer-waiting")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Nguyễn Văn An, 25 %", "Nguyễn Văn An, 25 %"),
        ("a\nb", "a↵\nb"),
        ("a\u202eb\u2066", "a\\u{202E}b\\u{2066}"),
        ("a\u200b\u200d\ufeffb", "a\\u{200B}\\u{200D}\\u{FEFF}b"),
        ("e\u0301", "e\\u{301}"),
        ("\u3164\u2800\u00a0\u3000", "\\u{3164}\\u{2800}\\u{A0}\\u{3000}"),
        ("\x00\x1b[2J\t\r", "\\u{0}\\u{1B}[2J\\u{9}\\u{D}"),
        ("\U000e0041", "\\u{E0041}"),
        ("a \u21b5  b", "a \\u{21B5} \u00b7b"),
        ("  a\n b", "\u00b7\u00b7a\u21b5\n\u00b7b"),
        ("a\u00b7b", "a\\u{B7}b"),
        ("\\u{41}", "\\u{5C}u{41}"),
        ("\U00013441\U00013442\U0001d159", "\\u{13441}\\u{13442}\\u{1D159}"),
    ],
)
def test_every_character_shows(text: str, seen: str) -> None:
    assert visible(text) == seen


LOOKALIKES = st.text(alphabet="a \n\\u{}B7↵·1\u200b", max_size=12)


@given(LOOKALIKES, LOOKALIKES)
def test_no_two_texts_look_the_same(one: str, other: str) -> None:
    assert (visible(one) == visible(other)) == (one == other)


ROWS = RULES.replace("max_age: 8h}", "max_age: 8h, unattended: 30d}").replace(
    "    columns: {id: tokenise,", "    price: {per_request: 1000, per_row: 5}\n    columns: {id: tokenise,"
)
RECORDS = {"saved_path": f"/v1/datasets/{DATASET}/records", "saved_body": '{"limit": 20}'}


async def test_of_rows_the_person_sees_every_column_with_its_treatment_how_many_and_the_money(
    town: Town,
) -> None:
    town.rules = rules_of(ROWS)
    device = town.document(await asked(town, **RECORDS))

    shown = text_of(await town.sign_in(device))

    for words in (
        "a pseudonym, your organisation's own",
        "as it is",
        "20 rows a run",
        "VND 1100 a run; VND 99000 in all",
        "1100 đồng mỗi lần; tất cả 99000 đồng",
    ):
        assert words in shown, words
    assert re.findall(r'<li><span class="name">(\w+)</span>', shown)[-3:] == ["id", "province", "age"]


async def test_what_the_person_saw_of_rows_is_what_is_bound(town: Town) -> None:
    town.rules = rules_of(ROWS)
    activation = await saved(town, **RECORDS)

    assert activation.saved is not None
    assert activation.saved.vnd_max == 1100
    assert len(activation.saved.effect) == 64


async def test_what_would_need_approval_each_time_is_not_saved(town: Town) -> None:
    town.rules = rules_of(ROWS + "triggers: [{may: extract}]\n")

    reply = await asked(town, **RECORDS)

    assert town.document(reply)["error"] == "invalid_authorization_details"


async def test_a_question_cannot_write_on_the_page(town: Town) -> None:
    trick = "</pre><h1>Safe</h1><script>x</script> \u202e01"
    body = json.dumps({"sql": SQL.replace("GROUP", f"WHERE province = '{trick}' GROUP")}, ensure_ascii=False)

    reply = await asked(town, saved_body=body)
    page = (await town.sign_in(town.document(reply))).body.decode()

    assert "<script>x" not in page
    assert "<h1>Safe" not in page
    assert "\u202e" not in page
    assert "\\u{202E}01" in page


async def at_the_account(town: Town, **fields: str) -> Reply:
    town.clock.pass_by(seconds=30)
    form = {"operator": "lan", "password": PASSWORD, "code": town.code(), **fields}
    reply = await town.send(town.query("/account", body=urlencode(form).encode()))
    assert isinstance(reply, Reply)
    return reply


async def end(town: Town, page: Reply, activation: str) -> Reply:
    form = {"step": "end-activation", "ticket": town.ticket_in(page), "id": activation}
    reply = await town.send(town.query("/account", body=urlencode(form).encode()))
    assert isinstance(reply, Reply)
    return reply


async def test_the_firm_sees_what_it_approved_and_ends_it(town: Town) -> None:
    activation = await saved(town)
    page = await at_the_account(town)

    ended = await end(town, page, activation.id)

    for words in (f"POST {PATH}?", SQL, "etl-1", "2026-04-01 12:00", "lan"):
        assert words in text_of(page)
    assert (ended.status, ended.facts["outcome"]) == (200, "activation-ended")
    assert town.registry.activations[activation.id] == replace(activation, state=State.ENDED)
    assert f"POST {PATH}" not in text_of(ended)
    assert (await town.credentials(activation=activation.id)).status == 400


async def test_nobody_sees_or_ends_what_another_firm_approved(town: Town) -> None:
    activation = await saved(town)
    page = await at_the_account(town, operator="minh")

    refused = await end(town, page, activation.id)

    assert PATH not in text_of(page)
    assert refused.status == 403
    assert town.registry.activations[activation.id] == activation


async def test_a_person_ends_all_that_they_approved_however_many_and_nobody_elses(town: Town) -> None:
    first = await saved(town)
    others = [replace(first, id=f"act-{number:03}") for number in range(150)]
    colleague = replace(first, id="act-colleague", operator=OperatorId("hoa"))
    town.change(*others, colleague)
    page = await at_the_account(town)

    for _ in range(7):
        form = {"step": "end-mine", "ticket": town.ticket_in(page)}
        page = await town.send(town.query("/account", body=urlencode(form).encode()))

    active = [each.id for each in town.registry.activations.values() if each.state is State.ACTIVE]
    assert (page.status, page.facts["outcome"], active) == (200, "activation-ended", ["act-colleague"])


async def test_what_is_over_or_ended_is_not_ended_again(town: Town) -> None:
    activation = await saved(town, saved_days="1")
    town.clock.pass_by(days=1)

    assert (await end(town, await at_the_account(town), activation.id)).status == 403
