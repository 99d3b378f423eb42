"""A real installation for end-to-end tests: its own home, a real ``gateway serve``, real clients."""

import asyncio
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import wiring
from gateway.cli.demo.cast import Firm
from gateway.cli.demo.person import approve
from gateway.client import DecryptionKey, Gateway
from gateway.keyring.keyring import Keyring
from gateway.keyring.stewards import StewardKey, trust_steward
from gateway.policy.signature import NO_CASES, Statement, digest_of, signature
from gateway.services.registration import (
    changes_of,
    new_agreement,
    new_client,
    new_operator,
    new_organisation,
)
from gateway.settings import Settings

START_S = 60.0
LOG = "gateway.test/log/2026"
STEWARD = Ed25519PrivateKey.generate()
"""Of every agency: signs all documents, broken ones too."""


def a_firm(
    org: str = "bank-a",
    org_class: str = "bank",
    purpose: str = "research",
    number: int = 1,
    *decryption_keys: DecryptionKey,
) -> Firm:
    return Firm(
        decryption_keys=decryption_keys,
        org=org,
        org_class=org_class,
        vi=f"Hãng {org}",
        en=f"Firm {org}",
        agreement=f"AGR-2026-{number:03}",
        purpose=purpose,
        operator=f"op-1.{org}",
        person="Minh",
        client=f"{org}.etl",
        password=secrets.token_hex(8),
        totp_secret=secrets.token_bytes(20),
    )


@dataclass(slots=True)
class House:
    """A home folder with an address."""

    home: Path
    port: int
    activated: set[str] = field(default_factory=set)
    """Clients that a person activated already: one activation lasts for hours, one code serves once."""
    starting: tuple[tuple[str, ...], str] = ((), "")
    """What every start is given more: arguments, and what is typed."""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def vkey(self) -> str:
        return Keyring.open(self.home / "keys", log_name=LOG).log.vkey

    @property
    def store(self) -> Path:
        return self.home / "ledger" / "log.sqlite"

    def register(self, *firms: Firm) -> None:
        """Put firms into the registry while the gateway is stopped."""

        async def put() -> None:
            async with wiring.opened(self.home) as gateway:
                for firm in firms:
                    organisation = new_organisation(
                        firm.org, vi=firm.vi, en=firm.en, org_class=firm.org_class, country="VN"
                    )
                    agreement = new_agreement(
                        firm.agreement,
                        org=organisation,
                        purposes=(firm.purpose,),
                        valid_from=date(2026, 1, 1),
                        valid_until=date(2030, 12, 31),
                    )
                    client = new_client(
                        firm.client,
                        agreement=agreement,
                        purposes=(firm.purpose,),
                        keys=(firm.key.jwk, *(key.jwk for key in firm.decryption_keys)),
                    )
                    operator = new_operator(
                        firm.operator,
                        organisation,
                        firm.person,
                        firm.password,
                        salt=secrets.token_bytes(16),
                        totp_secret=firm.totp_secret,
                        sealer=gateway.keyring.sealer,
                        now=gateway.clock.now(),
                    )
                    await gateway.register(changes_of(organisation, agreement, client, operator))

        asyncio.run(put())

    @property
    def _command(self) -> tuple[str, ...]:
        return (sys.executable, "-m", "gateway", "--home", str(self.home), "serve")

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run ``gateway serve`` as a process of its own until the block ends."""
        log = self.home / "serve.err"
        with log.open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [*self._command, *self.starting[0], *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONWARNINGS": "default"},
            )
            try:
                assert process.stdin is not None
                process.stdin.write(self.starting[1])
                process.stdin.close()
                self._wait(process, log)
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                assert process.stdout is not None
                process.stdout.close()

    def _wait(self, process: subprocess.Popen[str], log: Path) -> None:
        give_up_at = time.monotonic() + START_S
        while time.monotonic() < give_up_at:
            if process.poll() is not None:
                raise AssertionError(f"the gateway did not start: {log.read_text(encoding='utf-8')}")
            try:
                with urlopen(f"{self.origin}/readyz", timeout=1) as answer:  # noqa: S310  our own origin
                    if answer.status == 200:
                        return
            except (URLError, OSError):
                time.sleep(0.05)
        raise AssertionError("the gateway did not become ready")

    @asynccontextmanager
    async def session(self, firm: Firm) -> AsyncIterator[Gateway]:
        """A client of the firm, activated by its operator."""
        keys = firm.decryption_keys
        async with Gateway(self.origin, client=firm.client, key=firm.key, decryption_keys=keys) as gateway:
            if firm.client in self.activated:
                await gateway.resume(firm.purpose)
            else:
                await gateway.login(
                    firm.purpose, lambda code, page, phrase: approve(firm, code, page, phrase)
                )
                self.activated.add(firm.client)
            yield gateway


def make_house(home: Path, *, data: Path, rules: dict[str, str], refusals_max: int = 100_000) -> House:
    """Make a home over a data folder with documents of sharing rules, id -> text."""
    port = free_port()
    wiring.create_home(
        home,
        Settings(
            origin=f"http://127.0.0.1:{port}",
            log_origin=LOG,
            port=port,
            metrics_port=0,
            data=str(data),
            device_interval_s=1,
            refusals_max=refusals_max,
        ),
    )
    for name, text in rules.items():
        put_rules(home, name, text)
    return House(home, port)


def steward_of(publisher: str) -> StewardKey:
    return StewardKey(publisher, STEWARD)


def statement(text: str, **changed: str | int) -> Statement:
    """Return what a document says of itself, as far as it can be read."""

    def said(pattern: str, otherwise: str) -> str:
        found = re.search(pattern, text, flags=re.MULTILINE)
        return found[1] if found else otherwise

    members: dict[str, str | int] = {
        "publisher": said(r"\borg: ([a-z0-9-]+)", "nobody"),
        "dataset": said(r"^id: (\S+)", "nothing"),
        "revision": int(said(r"^revision: ([1-9][0-9]*)", "1")),
        "lineage": said(r"\blineage: ([^,}\s]+)", "nothing"),
        "document": digest_of(text.encode()),
        "cases": NO_CASES,
    }
    return Statement(**{**members, **changed})  # type: ignore[arg-type]  # of their types


def signed(text: str, **changed: str | int) -> bytes:
    """Return the signature of the document's own steward."""
    said = statement(text, **changed)
    return signature(said, steward_of(said.publisher))


def put_rules(home: Path, name: str, text: str) -> Path:
    """Write a document and its signature into a home that trusts its steward from now on."""
    publisher = statement(text).publisher
    (home / "keys").mkdir(mode=0o700, exist_ok=True)
    trust_steward(home, steward_of(publisher).vkey, name=publisher)
    document = home / "policies" / f"{name}.yaml"
    document.parent.mkdir(exist_ok=True)
    document.with_name(f"{name}.yaml.sig").write_bytes(signed(text))
    document.write_text(text, encoding="utf-8")
    return document


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
