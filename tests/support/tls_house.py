"""A real installation that ends TLS itself, and who may show a certificate to it."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from authority import Authority, Issued
from firm_scene import DATASET, RULES, people
from house import House, a_firm, make_house

from gateway.cli.demo.cast import Firm
from gateway.cli.demo.person import approve
from gateway.client import Gateway
from gateway.services.acts import AddCertificate
from gateway.serving.admin import perform


@dataclass(slots=True)
class TlsHouse(House):
    """A house whose gateway has a certificate of ``authority`` and asks clients for theirs."""

    files: Path = field(kw_only=True)
    authority: Authority = field(kw_only=True)
    firm: Firm = field(default_factory=a_firm, kw_only=True)

    @property
    def origin(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def options(self) -> tuple[str, ...]:
        """What ``gateway serve`` needs to know."""
        return (
            *(
                "--tls-certificate",
                str(self.files / "gateway.crt"),
                "--tls-key",
                str(self.files / "gateway.pem"),
            ),
            *("--client-ca", str(self.files / "ca.pem")),
        )

    def put(self, name: str, issued: Issued) -> ssl.SSLContext:
        """Write a certificate; return what a client shows it with."""
        return self.authority.trusted(issued.put(self.files, name))

    def register_certificate(self, issued: Issued, client: str | None = None) -> None:
        pem = Issued(issued.certificate, issued.key).pem.decode("ascii")
        perform(self.home, AddCertificate(client=client or self.firm.client, certificate=pem))

    @asynccontextmanager
    async def shown_by(self, tls: ssl.SSLContext, *, activated: bool = False) -> AsyncIterator[Gateway]:
        """The firm's client, which says who it is by its certificate; once, a person activates it."""
        firm = self.firm
        async with Gateway(self.origin, client=firm.client, key=None, tls=tls) as gateway:
            if activated:
                await gateway.login(
                    firm.purpose, lambda code, page, phrase: approve(firm, code, page, phrase)
                )
            else:
                await gateway.resume(firm.purpose)
            yield gateway


def make_tls_house(folder: Path) -> TlsHouse:
    """Make a house over invented people, with a firm; not served."""
    for name in ("data", "files"):
        (folder / name).mkdir()
    (folder / "data" / "people.csv").write_text(people(), encoding="utf-8")
    plain = make_house(folder / "home", data=folder / "data", rules={DATASET: RULES})
    settings = plain.home / "gateway.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace('"http://', '"https://'), encoding="utf-8"
    )
    authority = Authority()
    (folder / "files" / "ca.pem").write_bytes(authority.pem)
    authority.issue("gateway").put(folder / "files", "gateway")
    house = TlsHouse(plain.home, plain.port, files=folder / "files", authority=authority)
    house.register(house.firm)
    return house
