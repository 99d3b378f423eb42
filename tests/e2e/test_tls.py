"""TLS ends in the gateway: real handshakes of curl, openssl and Python, and certificates."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from authority import DAY, Authority, Issued
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from firm_scene import DATASET, Desk
from house import a_firm
from tls_house import TlsHouse, make_tls_house

from gateway.cli.demo.cast import Firm
from gateway.client import Gateway
from gateway.client.failures import ClientFailure
from gateway.client.problem import GatewayProblem
from gateway.client.session import NONCE_HEADER
from gateway.ledger.audit import verify_store
from gateway.registry.records import Freezable
from gateway.services.acts import RemoveCertificate, SetFrozen
from gateway.serving.admin import perform

WORKERS = 2
LIST = "/v1/datasets"
EFFECTIVE_S = 1.0
"""Longest time from the answer of an administrator's act to its effect at every worker."""
HANDSHAKE_S = 5.0
FRONTS = (
    *("X-Client-Cert", "X-SSL-Client-Cert", "SSL-Client-Cert", "X-Forwarded-Client-Cert", "X-ARR-ClientCert"),
    *("X-Amzn-Mtls-Clientcert", "Client-Cert", "Client-Cert-Chain", "X-SSL-Client-Verify", "X-Client-Verify"),
    *("X-SSL-Client-S-DN", "X-SSL-Client-SHA1", "X-Client-Cert-Dn", "Cf-Client-Cert-Der-Base64", "Forwarded"),
    *("X-Forwarded-Tls-Client-Cert", "X-Forwarded-Proto", "X-Apigee-Tls-Client-Raw-Cert"),
)
"""Headers that fronts tell of certificates with; ours reads none (RFC 9440 is one of them)."""


@dataclass(slots=True)
class Scene:
    """A served house, a firm with a certificate, and a rival with another of the same authority."""

    house: TlsHouse
    tls: ssl.SSLContext
    issued: Issued
    rival: Firm
    rival_tls: ssl.SSLContext
    metrics: str

    def failed_handshakes(self) -> int:
        with urllib.request.urlopen(self.metrics) as answer:  # noqa: S310  our own
            found = re.search(rb'closed_total\{cause="handshake"\} ([0-9.]+)', answer.read())
        return 0 if found is None else int(float(found[1]))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    house = make_tls_house(tmp_path_factory.mktemp("tls"))
    rival = a_firm("bank-b", number=2)
    house.register(rival)
    mine, theirs = house.authority.issue("bank-a"), house.authority.issue("bank-b")
    house.register_certificate(mine)
    house.register_certificate(theirs, rival.client)
    tls, rival_tls = house.put("bank-a", mine), house.put("bank-b", theirs)
    with trusting(house), house.serving("--workers", str(WORKERS), *house.options) as gateway:
        assert gateway.stdout is not None
        _, _, metrics = gateway.stdout.readline().partition("metrics ")
        yield Scene(house, tls, mine, rival, rival_tls, metrics.split()[0])


@contextlib.contextmanager
def trusting(house: TlsHouse) -> Iterator[None]:
    """Have this process trust the house's authority."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(house.files / "ca.pem"))
        yield


def fetched(scene: Scene, path: str) -> tuple[int, dict[str, str], bytes]:
    with urllib.request.urlopen(scene.house.origin + path) as answer:  # noqa: S310  our own origin
        return answer.status, dict(answer.headers), answer.read()


def run(*command: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command], input=text, capture_output=True, text=True, check=False, timeout=60
    )


def handshake(house: TlsHouse, tls: ssl.SSLContext) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", house.port), timeout=20)
    try:
        return tls.wrap_socket(raw, server_hostname="127.0.0.1")
    except BaseException:
        raw.close()
        raise


def serves_over(house: TlsHouse, tls: ssl.SSLContext) -> bool:
    """Return whether a connection with what this context shows is answered."""
    try:
        with handshake(house, tls) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            return connection.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False


async def refused(scene: Scene, tls: ssl.SSLContext, client: str) -> str:
    """Return what somebody is told who asks for a token with this certificate; `no connection` if nothing."""
    async with Gateway(scene.house.origin, client=client, key=None, tls=tls) as thief:
        try:
            await thief.resume(scene.house.firm.purpose)
        except GatewayProblem as problem:
            return str(problem.members["error"])
        except ClientFailure:
            return "no connection"
    return "a token"


# What a connection is


def test_curl_gets_tls_1_3_and_hsts_and_nothing_older(scene: Scene) -> None:
    trusted = ("curl", "-sS", "--cacert", scene.house.files / "ca.pem", scene.house.origin + "/livez")

    assert (
        run(*trusted, "--tlsv1.3", "-o", os.devnull, "-w", "%{http_code} %{ssl_verify_result}").stdout
        == "200 0"
    )
    assert "Strict-Transport-Security: max-age=31536000\n" in run(*trusted, "-D", "-").stdout
    assert run(*trusted, "--tls-max", "1.2").returncode == 35
    assert run("curl", "-sS", scene.house.origin.replace("https", "http") + "/livez").returncode == 52


def test_openssl_sees_http_1_1_alone_no_ticket_and_a_full_handshake_each_time(scene: Scene) -> None:
    shown = run(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{scene.house.port}", "-alpn", "h2,http/1.1"),
        *("-CAfile", scene.house.files / "ca.pem", "-reconnect", "-verify_return_error"),
    ).stdout

    assert set(re.findall(r"ALPN protocol: (\S+)", shown)) == {"http/1.1"}
    assert set(re.findall(r"^(New|Reused), (\S+), Cipher", shown, flags=re.MULTILINE)) == {("New", "TLSv1.3")}
    assert "NewSessionTicket" not in shown
    assert "New Session Ticket" not in shown


def test_a_session_is_not_resumed_so_every_connection_proves_its_certificate(scene: Scene) -> None:
    with handshake(scene.house, scene.tls) as first:
        first.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        first.recv(4096)
        session = first.session
    raw = socket.create_connection(("127.0.0.1", scene.house.port), timeout=20)
    with scene.tls.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as again:
        assert (session is None or not session.has_ticket, again.session_reused) == (True, False)


def test_the_documents_say_what_is_there(scene: Scene) -> None:
    server = json.loads(fetched(scene, "/.well-known/oauth-authorization-server")[2])
    resource = json.loads(fetched(scene, "/.well-known/oauth-protected-resource")[2])

    assert server["token_endpoint_auth_methods_supported"] == ["private_key_jwt", "tls_client_auth"]
    assert server["tls_client_certificate_bound_access_tokens"] is True
    assert resource["tls_client_certificate_bound_access_tokens"] is True
    assert resource["dpop_bound_access_tokens_required"] is True
    assert server["token_endpoint"].startswith("https://")


async def test_slow_and_garbage_handshakes_hold_up_nobody_and_are_counted(scene: Scene) -> None:
    """A connection that says nothing has five seconds; what is no TLS ends at once; all stand in the log."""
    before = scene.failed_handshakes()
    silent = [socket.create_connection(("127.0.0.1", scene.house.port)) for _ in range(300)]
    for half in silent[:100]:
        half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")  # of a hello
    garbage = (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" * 5000,
        b"\x16\x03\x01\xff\xff" + b"\x01" * 400,
        b"\x80\x2e\x01\x00\x02",
    )
    began = time.monotonic()
    for noise in garbage:
        with socket.create_connection(("127.0.0.1", scene.house.port), timeout=20) as sender:
            sender.sendall(noise)
            sender.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while sender.recv(4096):
                    pass
    ended_s = time.monotonic() - began
    answered = [fetched(scene, "/livez")[0] for _ in range(20)]
    answered_s = time.monotonic() - began - ended_s
    for connection in silent:
        connection.settimeout(20)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        connection.close()

    assert (answered, ended_s < 3, answered_s < 3) == ([200] * 20, True, True)
    assert HANDSHAKE_S - 1 < time.monotonic() - began < HANDSHAKE_S + 5
    assert scene.failed_handshakes() - before == len(silent) + len(garbage)


# Who somebody is


async def test_a_client_gets_a_token_by_its_certificate_and_rows_with_it(scene: Scene) -> None:
    """RFC 8705 sections 2 and 3: the token is bound to the proof's key and to the certificate."""
    thumbprint = scene.issued.known_as.thumbprint
    async with scene.house.shown_by(scene.tls, activated=True) as session:
        rows = await session.records(DATASET, limit=3)
        token = session._token
        assert token is not None
        told = await session._login._post("/oauth/introspect", token=token.text)

    assert (rows.status, len(rows.document["rows"]), token.acr) == (200, 3, "aal2")
    assert told["cnf"] == {"jkt": session._proof_key.thumbprint, "x5t#S256": thumbprint}
    assert (told["active"], told["client_id"]) == (True, scene.house.firm.client)


async def test_a_client_with_a_key_asks_over_tls_too_and_its_token_hangs_on_no_certificate(
    scene: Scene,
) -> None:
    firm, bare = scene.house.firm, scene.house.authority.trusted()
    async with Gateway(scene.house.origin, client=firm.client, key=firm.key, tls=bare) as session:
        await session.resume(firm.purpose)
        listed = await session.datasets()
        token = session._token
        assert token is not None
        told = await session._login._post("/oauth/introspect", token=token.text)

    assert (listed.status, told["cnf"]) == (200, {"jkt": session._proof_key.thumbprint})


async def test_who_is_not_shown_by_a_registered_certificate_gets_no_token(scene: Scene) -> None:
    """The authority's word alone lets nobody in, nor does the right name by anybody else."""
    house, other = scene.house, Authority("Other Authority")
    twin = Authority(house.authority.name)  # the same name, another key
    odd = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bank-a\x00.evil"),
                     x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'a/CN=bank-a, O="b"\r\n=')])  # fmt: skip
    server_only = house.authority.issue("bank-a", uses=(ExtendedKeyUsageOID.SERVER_AUTH,))
    shown = {
        "the rival's": house.authority.issue("bank-b"),
        "the same name, not registered": house.authority.issue("bank-a"),
        "an odd name": house.authority.issue(odd),
        "a long name": house.authority.issue("a" * 64),
        "another authority's": other.issue("bank-a"),
        "an authority of the same name": twin.issue("bank-a"),
        "an authority's own": Issued(other.certificate, other.key),
        "ended": house.authority.issue("bank-a", begins=-2 * DAY, ends=-timedelta(seconds=5)),
        "not yet": house.authority.issue("bank-a", begins=DAY),
        "for servers": server_only,
        "with a huge chain": replace(house.authority.issue("bank-a"), chain=(other.certificate,) * 400),
    }
    outcomes = {
        what: await refused(scene, house.put(f"thief-{number}", issued), house.firm.client)
        for number, (what, issued) in enumerate(shown.items())
    }
    outcomes["none"] = await refused(scene, house.authority.trusted(), house.firm.client)
    outcomes["the rival's, registered"] = await refused(scene, scene.rival_tls, house.firm.client)
    outcomes["a client that is not"] = await refused(scene, scene.tls, "nobody.etl")

    assert outcomes == {
        "the rival's": "invalid_client",
        "the same name, not registered": "invalid_client",
        "an odd name": "invalid_client",
        "a long name": "invalid_client",
        "another authority's": "no connection",
        "an authority of the same name": "no connection",
        "an authority's own": "no connection",
        "ended": "no connection",
        "not yet": "no connection",
        "for servers": "no connection",
        "with a huge chain": "no connection",
        "none": "invalid_client",
        "the rival's, registered": "invalid_client",
        "a client that is not": "invalid_client",
    }
    assert await refused(scene, scene.tls, house.firm.client) == "a token"


async def shown_elsewhere(
    scene: Scene, victim: Gateway, tls: ssl.SSLContext, **headers: str
) -> tuple[int, str]:
    """Return what a thief gets who has the token and even the proof key, over a connection of his own."""
    token, nonce, answer = victim._token, victim._nonce, None
    assert token is not None
    for _ in range(2):
        proof = victim._proof_key.proof(
            method="GET",
            url=scene.house.origin + LIST,
            now=datetime.now(UTC),
            nonce=nonce,
            access_token=token.text,
        )
        connection = http.client.HTTPSConnection("127.0.0.1", scene.house.port, context=tls, timeout=20)
        all_headers = {"Authorization": f"DPoP {token.text}", "DPoP": proof, **headers}
        await asyncio.to_thread(connection.request, "GET", LIST, headers=all_headers)
        response = connection.getresponse()
        answer, nonce = (response.status, response.read().decode()), response.headers[NONCE_HEADER]
        connection.close()
    assert answer is not None
    return answer[0], "" if answer[0] == 200 else json.loads(answer[1])["type"].rpartition(":")[2]


async def test_a_stolen_token_is_worth_nothing_without_its_certificate(scene: Scene) -> None:
    """RFC 8705 section 3: with the proof key too; over no certificate, another's, or the client's second."""
    house = scene.house
    second = house.authority.issue("bank-a again")
    house.register_certificate(second)
    pem = scene.issued.pem.decode("ascii")
    told = {name: pem.replace("\n", "") for name in FRONTS}
    as_fronts_write = {
        "X-Forwarded-Client-Cert": f'Hash=aa;Cert="{pem.encode().hex()}"',
        "Client-Cert": f":{pem[28:-27]}:".replace("\n", ""),
    }
    async with house.shown_by(scene.tls) as victim:
        await victim.datasets()
        outcomes = {
            "its own": await shown_elsewhere(scene, victim, scene.tls),
            "none": await shown_elsewhere(scene, victim, house.authority.trusted()),
            "the rival's": await shown_elsewhere(scene, victim, scene.rival_tls),
            "the client's second": await shown_elsewhere(scene, victim, house.put("second", second)),
            "every front's header": await shown_elsewhere(scene, victim, house.authority.trusted(), **told),
            "as fronts write": await shown_elsewhere(
                scene, victim, house.authority.trusted(), **as_fronts_write
            ),
        }
    perform(house.home, RemoveCertificate(client=house.firm.client, thumbprint=second.known_as.thumbprint))

    assert outcomes.pop("its own") == (200, "")
    assert set(outcomes.values()) == {(401, "not-authenticated")}


async def test_no_header_of_a_front_says_who_asks_for_a_token(scene: Scene) -> None:
    pem = scene.issued.pem.decode("ascii").replace("\n", "")
    form = f"grant_type=client_credentials&purpose=research&client_id={scene.house.firm.client}"
    asked = run(
        *("curl", "-sS", "--cacert", scene.house.files / "ca.pem", scene.house.origin + "/oauth/token"),
        *(word for name in FRONTS for word in ("-H", f"{name}: {pem}")),
        *("-H", "X-SSL-Client-Verify: SUCCESS", "-d", form),
    )
    shown = run(
        *("curl", "-sS", "--cacert", scene.house.files / "ca.pem", scene.house.origin + "/oauth/token"),
        *("--cert", scene.house.files / "bank-a.crt", "--key", scene.house.files / "bank-a.pem", "-d", form),
    )
    assert json.loads(asked.stdout)["error"] == "invalid_client"
    assert json.loads(shown.stdout)["error"] == "invalid_dpop_proof"  # known by now, and it has to prove more


async def test_a_certificate_that_is_taken_away_ends_its_tokens_within_a_second_on_live_connections(
    scene: Scene,
) -> None:
    house = scene.house
    gone = house.authority.issue("bank-a for a day")
    house.register_certificate(gone)
    async with contextlib.AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(house.shown_by(house.put("gone", gone)))]
        for _ in range(5):  # connections of their own, at either worker
            follower = Gateway(house.origin, client=house.firm.client, key=None, tls=house.put("gone", gone))
            sessions.append(await stack.enter_async_context(follower))
            await follower.resume(house.firm.purpose)
        before = [(await session.datasets()).status for session in sessions]
        act = RemoveCertificate(client=house.firm.client, thumbprint=gone.known_as.thumbprint)
        await asyncio.to_thread(perform, house.home, act)
        await asyncio.sleep(EFFECTIVE_S)
        after = await asyncio.gather(*(session.datasets() for session in sessions), return_exceptions=True)

    assert before == [200] * 6
    assert {getattr(problem, "type", "answered") for problem in after} == {"oauth:invalid_client"}


async def test_a_frozen_certificate_counts_for_nothing_though_it_is_registered(scene: Scene) -> None:
    house = scene.house
    cold = house.authority.issue("bank-a to be frozen")
    house.register_certificate(cold)
    await asyncio.to_thread(
        perform, house.home, SetFrozen(what=Freezable.KEY, target=cold.known_as.thumbprint, reason="a test")
    )
    told = await refused(scene, house.put("cold", cold), house.firm.client)
    await asyncio.to_thread(
        perform, house.home, RemoveCertificate(client=house.firm.client, thumbprint=cold.known_as.thumbprint)
    )
    assert told == "unauthorized_client"


# A firm's commands


def test_a_firm_logs_in_with_a_certificate_and_connects_curl_over_tls(scene: Scene, tmp_path: Path) -> None:
    house, rival, ca = scene.house, scene.rival, str(scene.house.files / "ca.pem")
    desk = Desk(house, rival, tmp_path / "profile")
    who = ("--gateway", house.origin, "--client", rival.client, "--purpose", rival.purpose)

    def shows(name: str) -> tuple[str, ...]:
        files = (str(house.files / f"{name}.crt"), str(house.files / f"{name}.pem"))
        return ("--certificate", files[0], "--key", files[1])

    house.authority.issue("not registered").put(house.files, "unknown")
    untrusted = desk.run("login", *who, *shows("bank-b"), SSL_CERT_FILE=os.devnull)
    stranger = desk.run("login", *who, *shows("unknown"), "--ca", ca, SSL_CERT_FILE=os.devnull)
    code, output, errors = desk.log_in(*who, *shows("bank-b"), "--ca", ca)
    rows = desk.run("records", DATASET, "--limit", "2", "--json", SSL_CERT_FILE=os.devnull)

    assert (untrusted.returncode, "--ca FILE" in untrusted.stderr) == (1, True)
    assert (stranger.returncode, "gateway client certificate add" in stranger.stderr) == (1, True)
    assert (code, "aal2" in output) == (0, True), errors
    assert (rows.returncode, len(json.loads(rows.stdout)["rows"])) == (0, 2), rows.stderr
    assert curl_through(desk) == (200, 2)


def curl_through(desk: Desk) -> tuple[int, int]:
    connect = subprocess.Popen(
        desk.command("connect", "--port", "0", "--json"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env={**desk.environment, "SSL_CERT_FILE": os.devnull},
    )  # fmt: skip
    try:
        assert connect.stdout is not None
        url = json.loads(connect.stdout.readline())["url"]
        answer = run("curl", "-sS", f"{url}/records/{DATASET}.json?limit=2", "-w", "\n%{http_code}").stdout
        body, _, status = answer.rpartition("\n")
        return int(status), len(json.loads(body)["rows"])
    finally:
        connect.terminate()
        connect.wait(timeout=20)
        assert connect.stdout is not None
        connect.stdout.close()


# The gateway's own certificate


@pytest.fixture
def house(tmp_path: Path) -> Iterator[TlsHouse]:
    made = make_tls_house(tmp_path)
    with trusting(made):
        yield made


def serial_of(house: TlsHouse) -> int:
    with handshake(house, house.authority.trusted()) as connection:
        der = connection.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der).serial_number


def serials_of(house: TlsHouse) -> set[int]:
    return {serial_of(house) for _ in range(12)}


def until(seen: Any, wanted: object) -> None:
    give_up_at = time.monotonic() + 10
    while (found := seen()) != wanted:
        assert time.monotonic() < give_up_at, found
        time.sleep(0.05)


def told(house: TlsHouse, event: str) -> list[dict[str, Any]]:
    lines = (house.home / "serve.err").read_text(encoding="utf-8").splitlines()
    found = (json.loads(line) for line in lines if line.startswith("{"))
    return [each for each in found if each.get("event") == event]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_renewed_certificate_is_taken_over_without_a_connection_lost(house: TlsHouse, workers: int) -> None:
    """One that cannot be used is not: the old one goes on in every worker, even a new one, and it is told."""
    files, renewed = house.files, house.authority.issue("gateway renewed")
    with house.serving("--workers", str(workers), *house.options) as process:
        first = serials_of(house)
        kept = http.client.HTTPSConnection(
            "127.0.0.1", house.port, context=house.authority.trusted(), timeout=20
        )
        kept.request("GET", "/livez")
        assert kept.getresponse().read() is not None

        renewed.put(files, "gateway")
        process.send_signal(signal.SIGHUP)
        until(lambda: serials_of(house), {renewed.certificate.serial_number})
        kept.request("GET", "/livez")
        again = kept.getresponse()
        outcome = (again.status, again.read() is not None)
        kept.close()

        (files / "gateway.pem").write_bytes(house.authority.issue("other").key_pem)
        process.send_signal(signal.SIGHUP)
        until(lambda: len(told(house, "tls_not_renewed")), 1)
        if workers > 1:
            kill_a_worker(process.pid)
        after = serials_of(house)

    assert first != {renewed.certificate.serial_number}
    assert (outcome, after) == ((200, True), {renewed.certificate.serial_number})
    assert "is not the one of the certificate" in told(house, "tls_not_renewed")[0]["cause"]
    assert not (house.home / "run" / "tls").exists()


def test_an_authority_that_is_taken_out_vouches_for_no_connection_that_is_open(house: TlsHouse) -> None:
    """Idle ones are closed at every worker; who shows its certificate anew makes no connection."""
    tls = house.put("bank-a", house.authority.issue("bank-a"))
    with house.serving("--workers", "2", *house.options) as process:
        kept = [handshake(house, tls) for _ in range(8)]
        for each in kept:
            each.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            assert each.recv(12) == b"HTTP/1.1 200"
            each.settimeout(10)
        (house.files / "ca.pem").write_bytes(Authority("Other").pem)
        process.send_signal(signal.SIGHUP)
        ends = [rest_of(each) for each in kept]
        until(lambda: serves_over(house, tls), False)
        nobody = serves_over(house, house.authority.trusted())

    assert (ends, nobody) == (["closed"] * 8, True)


def rest_of(connection: ssl.SSLSocket) -> str:
    """Read until the other end closes."""
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return "open"
    except OSError:
        pass
    connection.close()
    return "closed"


def kill_a_worker(main: int) -> None:
    def workers() -> set[str]:
        listed = run("ps", "-o", "pid=,args=", "--ppid", str(main)).stdout.splitlines()
        return {line.split()[0] for line in listed if "gateway.serving.worker" in line}

    before = workers()
    killed = min(before)
    os.kill(int(killed), signal.SIGKILL)
    until(lambda: len(workers() - {killed}), len(before))
    time.sleep(2)  # it loads its libraries, then it answers


def test_a_start_without_a_certificate_that_can_be_used_says_why_and_serves_nobody(house: TlsHouse) -> None:
    (house.files / "gateway.crt").unlink()
    ended = run(sys.executable, "-m", "gateway", "--home", house.home, "serve", *house.options)

    assert ended.returncode == 1
    assert f"`{house.files / 'gateway.crt'}` cannot be read (No such file or directory)" in ended.stderr
    assert "--tls-certificate" in ended.stderr
    assert not (house.home / "run" / "tls").exists()


def test_keys_list_tells_the_days_of_the_certificate_and_a_start_warns(house: TlsHouse) -> None:
    soon = house.authority.issue("gateway", ends=timedelta(days=6, hours=12))
    soon.put(house.files, "gateway")
    with house.serving(*house.options):
        listed = run(sys.executable, "-m", "gateway", "--home", house.home, "keys", "list", "--json").stdout
        until(lambda: [due["kind"] for due in told(house, "key_due")], ["tls"])
    rows = [json.loads(line) for line in listed.splitlines()]

    (row,) = [row for row in rows if row["kind"] == "tls"]
    assert row == {"kind": "tls", "state": "serves", "public": soon.known_as.thumbprint, "days_left": 6}


def test_the_log_of_all_this_verifies(scene: Scene, tmp_path: Path) -> None:
    store = tmp_path / "log.sqlite"
    shutil.copy(scene.house.store, store)
    assert verify_store(store, scene.house.vkey).faults == ()
