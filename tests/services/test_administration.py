"""What an administrator can have done, by whom it is told, and what nobody can do alone."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from authority import Authority, Issued
from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway import jose
from gateway.client.keys import ClientKey
from gateway.client.receipt import salt_of
from gateway.clock import unix_ms
from gateway.errors import ActRefused, HomeInvalid, LedgerUnavailable, MalformedRequest
from gateway.identity.recovery import enrolment_hash
from gateway.identity.totp import code_at, step_at
from gateway.keyring.custody import Rotation, known_epochs, rotation, split
from gateway.keyring.keyring import Keyring
from gateway.keyring.log_keys import LogKeys
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.volatile import Volatile
from gateway.registry.codec import change_of
from gateway.registry.records import Freezable, Freeze, InstallationKey, State
from gateway.registry.registry import Registry
from gateway.services import acts
from gateway.services.acts import (
    AddAgreement,
    AddCertificate,
    AddClient,
    AddKey,
    AddOperator,
    AddOrganisation,
    Erase,
    Invite,
    KeyKind,
    Kind,
    Lift,
    Look,
    LookAtFreezes,
    RemoveCertificate,
    RemoveKey,
    RetireLogKey,
    RevokeTokenKey,
    RotateKey,
    RotateLogKey,
    SetFrozen,
    SetState,
)
from gateway.services.administration import DOERS, Administration
from gateway.services.custody import ENROLLED_FOR, new_epoch
from gateway.services.desk import Desk
from gateway.services.installation_keys import InstallationKeys
from gateway.services.log_desk import LogDesk
from gateway.services.overseers import Word
from gateway.services.ports import EnrolmentPorts
from gateway.services.registration import with_factors
from gateway.services.renewal import Renewal
from gateway.services.shown import ROWS_MAX
from gateway.terms.charge import Receipt
from gateway.terms.dataset import Dataset
from gateway.terms.entry import Basis, Change, EntryKind, Fact, ReleaseRequest
from gateway.terms.identifiers import OperatorId, RequestId
from gateway.transparency.proof import verify_checkpoint, verify_receipt
from gateway.transparency.tree import ProofInvalid
from gateway.web.pages.render import render
from tests.faults.disk import FlawedDisk

LOG = "gateway.test/log"
PASSWORD = "correct horse battery"
KEY, SPARE, THIRD, FOURTH = (ClientKey.create() for _ in range(4))


@dataclass
class HandClock:
    """The time of day, until a test moves it."""

    moment: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody waits here, not for {seconds}")


@dataclass
class Office:
    """An administrator's desk over a real ledger on a disk that may be full."""

    ledger: SqliteLedger
    keyring: Keyring
    clock: HandClock
    disk: FlawedDisk
    folder: Path
    registry: Registry = field(default_factory=Registry)
    do: Administration = field(init=False)
    told: list[Mapping[str, Any]] = field(default_factory=list)
    """Private values of each entry."""

    async def put(
        self,
        changes: tuple[Change, ...],
        facts: Mapping[str, Fact],
        private: Mapping[str, bytes],
        subject: str | None,
    ) -> Receipt:
        receipt = await self.ledger.release(
            ReleaseRequest(
                request_id=RequestId("r"), kind=EntryKind.CONFIG, facts=facts, private=private, body=b"",
                changes=changes, subject=subject,
            )
        )  # fmt: skip
        self.told.append(dict(private))
        for change in changes:
            self.registry = self.registry.with_change(change)
            if change.kind == "installationkey":
                self.keyring.reload(self.registry.revoked_keys)
        return receipt

    async def tell_of_key(self, event: str, *, old: str, new: str) -> Receipt:
        facts = {"event": event, "key": "log", "old": old, "new": new}
        return await self.ledger.release(
            ReleaseRequest(request_id=RequestId("r"), kind=EntryKind.KEY, facts=facts, private={}, body=b"")
        )

    async def take_log_keys(self) -> None:
        self.keyring.log_keys = LogKeys.open(self.folder, log_name=LOG)
        await self.ledger.sign_with((self.keyring.log, *self.keyring.log_keys.former))

    def forget(self, person: str) -> None:
        self.registry = self.registry.without(person)

    async def act(self, act: acts.Act, by: str = "anh") -> acts.Done:
        return await self.do(act, by)

    async def furnish(self) -> None:
        """Register the chain of one firm."""
        await self.act(AddOrganisation(id="bank-a", vi="A", en="A", org_class="bank", country="VN"))
        await self.act(
            AddAgreement(
                id="AGR-2026-001", org="bank-a", purposes=("research",), valid_from=date(2026, 1, 1),
                valid_until=date(2027, 12, 31),
            )
        )  # fmt: skip
        await self.act(a_client())

    async def overseers(self, *names: str) -> dict[str, bytes]:
        """Register people who may lift a freeze; return their apps' secrets."""
        if "watch" not in self.registry.organisations:
            await self.act(AddOrganisation(id="watch", vi="W", en="W", org_class="overseer", country="VN"))
        return {name: await self.person(name, "watch") for name in names}

    async def person(self, name: str, org: str) -> bytes:
        """Register somebody, and have them enrol."""
        await self.act(AddOperator(id=name, org=org, name=name))
        invited, secret = self.registry.operators[OperatorId(name)], os.urandom(20)
        enrolled = with_factors(
            invited, PASSWORD, salt=bytes(16), totp_secret=secret, sealer=self.keyring.sealer,
            now=self.clock.now(),
        )  # fmt: skip
        await self.put((change_of(enrolled),), {"event": "enrol"}, {}, None)
        self.clock.moment += timedelta(seconds=1)
        return secret

    def lift(self, name: str, secret: bytes, **changes: Any) -> Lift:
        code = code_at(secret, step_at(self.clock.now()))
        members = {
            "what": Freezable.CLIENT,
            "target": "etl",
            "operator": name,
            "password": PASSWORD,
            "code": code,
        }
        return Lift(**(members | changes))

    async def kinds(self) -> list[str]:
        return [json.loads(entry)["facts"]["event"] for entry in await self.ledger.entries(0, 256)]


def a_client(name: str = "etl") -> AddClient:
    return AddClient(id=name, agreement="AGR-2026-001", purposes=("research",), keys=(dict(KEY.jwk),))


@pytest.fixture
def disk() -> Iterator[FlawedDisk]:
    made = FlawedDisk()
    yield made
    made.is_full = False


@pytest.fixture
async def office(tmp_path: Path, disk: FlawedDisk) -> AsyncIterator[Office]:
    clock = HandClock()
    keyring = Keyring.create(tmp_path / "keys", log_name=LOG)
    keyring = Keyring.open(tmp_path / "keys", log_name=LOG, now=lambda: unix_ms(clock.now()) / 1000)
    ledger = SqliteLedger.open(
        tmp_path / "log.sqlite",
        signer=keyring.log,
        origin=LOG,
        clock=clock,
        seal=lambda data: keyring.sealer.seal("ledger", data),
        unseal=lambda data: keyring.sealer.unseal("ledger", data),
        wrap=lambda data: keyring.sealer.seal("opening-key", data),
        unwrap=lambda data: keyring.sealer.unseal("opening-key", data),
        vfs=disk.name,
    )
    ledger.start()
    volatile = Volatile.create(None)
    built = Office(ledger=ledger, keyring=keyring, clock=clock, disk=disk, folder=tmp_path / "keys")
    ports = EnrolmentPorts(
        ledger=ledger,
        volatile=volatile,
        tokens=keyring.tokens,
        sealer=keyring.sealer,
        registry=lambda: built.registry,
        clock=clock,
        nonce_secret=bytes(32),
        origin="https://gateway.example",
        issuer="https://gateway.example",
        audience="https://gateway.example",
        random_bytes=os.urandom,
        render=render,
        rules=dict,
        routed=lambda _method, _path: None,
    )
    keys = InstallationKeys(keyring, lambda: built.registry, clock)
    log = LogDesk(
        folder=tmp_path / "keys",
        signing=lambda: keyring.log_keys,
        tell=built.tell_of_key,
        take_over=built.take_log_keys,
        erase=ledger.erase,
        forget=built.forget,
    )
    renewal = Renewal(
        home=tmp_path, known=ledger.registry, check=as_declared, reads=no_files, record=built.put,
        active=dict, take_over=lambda _rules: None, tell=lambda _rules, _faults: None,
    )  # fmt: skip
    built.do = Administration(
        Desk(
            registry=lambda: built.registry, put=built.put, enrolment=ports, keys=keys, log=log, clock=clock,
            renewal=renewal,
        )
    )  # fmt: skip
    yield built
    volatile.close()
    disk.is_full = False
    await ledger.close()


async def as_declared(_dataset: Dataset) -> tuple[str, ...]:
    return ()


async def no_files(_dataset: Dataset) -> frozenset[tuple[int, int]]:
    return frozenset()


def test_every_act_is_done_by_something() -> None:
    assert set(DOERS) == set(acts.ACTS.values())


async def test_a_chain_is_added_looked_at_and_told_of(office: Office) -> None:
    await office.furnish()

    (row,) = (await office.act(Look(kind=Kind.CLIENT, id="etl"))).rows
    assert row == {
        "id": "etl",
        "state": "active",
        "org": "bank-a",
        "agreement": "AGR-2026-001",
        "purposes": ["research"],
        "keys": [KEY.thumbprint],
        "frozen": False,
    }
    assert await office.kinds() == ["add", "add", "add"]
    assert {private["user"] for private in office.told} == {b"anh"}
    with pytest.raises(ActRefused, match="never overwritten"):
        await office.act(a_client())
    with pytest.raises(ActRefused, match="there is no `AGR-9`"):
        await office.act(AddClient(id="b", agreement="AGR-9", purposes=("research",), keys=()))
    with pytest.raises(MalformedRequest):
        await office.act(a_client("Not Lower"))
    assert len(await office.kinds()) == 3


async def test_nothing_that_is_shown_is_secret(office: Office) -> None:
    await office.furnish()
    await office.person("minh", "bank-a")

    (row,) = (await office.act(Look(kind=Kind.OPERATOR, id="minh"))).rows

    assert row == {
        "id": "minh",
        "state": "active",
        "org": "bank-a",
        "name": "minh",
        "frozen": False,
        "enrolled": True,
        "enrolled_at": (office.clock.moment - timedelta(seconds=1)).isoformat(),
    }
    assert PASSWORD not in repr(office.lift("lan", b"x" * 20))


async def test_a_state_changes_as_told_and_ended_is_for_good(office: Office) -> None:
    await office.furnish()
    client = office.registry.clients["etl"]  # type: ignore[index]

    def to(state: State) -> SetState:
        return SetState(kind=Kind.CLIENT, id="etl", state=state, reason="lost laptop")

    await office.act(to(State.SUSPENDED))
    with pytest.raises(ActRefused, match="suspended already"):
        await office.act(to(State.SUSPENDED))
    await office.act(to(State.ACTIVE))
    assert office.registry.clients["etl"] == client  # type: ignore[index]
    await office.act(to(State.ENDED))
    for state in (State.ACTIVE, State.SUSPENDED):
        with pytest.raises(ActRefused, match="for good"):
            await office.act(to(state))
    assert (await office.kinds())[3:] == ["suspend", "resume", "end"]
    assert office.told[-1] == {"user": b"anh", "reason": b"lost laptop"}
    with pytest.raises(ActRefused, match="at most 1000"):
        await office.act(SetState(kind=Kind.ORG, id="bank-a", state=State.ENDED, reason="x" * 1001))


async def test_a_client_has_two_keys_while_one_is_replaced(office: Office) -> None:
    await office.furnish()

    await office.act(AddKey(client="etl", key=dict(SPARE.jwk)))
    for again in (SPARE, THIRD):
        with pytest.raises(ActRefused):
            await office.act(AddKey(client="etl", key=dict(again.jwk)))
    await office.act(RemoveKey(client="etl", thumbprint=KEY.thumbprint))
    with pytest.raises(ActRefused, match="no key of that thumbprint"):
        await office.act(RemoveKey(client="etl", thumbprint=KEY.thumbprint))
    with pytest.raises(MalformedRequest):
        await office.act(AddKey(client="etl", key={"kty": "EC", "d": "private"}))
    assert office.registry.clients["etl"].thumbprints == {SPARE.thumbprint}  # type: ignore[index]


async def test_a_client_has_two_keys_to_encrypt_to_beside_those_that_it_signs_with(office: Office) -> None:
    await office.furnish()

    def encryption(key: ClientKey) -> AddKey:
        return AddKey(client="etl", key={**key.jwk, "use": "enc", "alg": "ECDH-ES+A256KW"})

    await office.act(encryption(SPARE))
    await office.act(encryption(THIRD))
    for key, why in ((SPARE, "already"), (KEY, "already"), (FOURTH, "at most 2 encryption keys")):
        with pytest.raises(ActRefused, match=why):
            await office.act(encryption(key))
    client = office.registry.clients["etl"]  # type: ignore[index]
    assert client.encryption_jwks == (SPARE.jwk, THIRD.jwk)
    assert client.thumbprints == {KEY.thumbprint}, "nobody proves who they are by such a key"
    with pytest.raises(ActRefused, match="already"):
        await office.act(AddKey(client="etl", key=dict(THIRD.jwk)))
    await office.act(RemoveKey(client="etl", thumbprint=SPARE.thumbprint))
    (row,) = (await office.act(Look(kind=Kind.CLIENT, id="etl"))).rows
    assert (row["keys"], row["encryption_keys"]) == ([KEY.thumbprint], [THIRD.thumbprint])
    signs_only = {**jose.jwk_of(ed25519.Ed25519PrivateKey.generate().public_key()), "use": "enc"}
    odd: list[tuple[dict[str, Any], str]] = [
        (signs_only, "only P-256 keys are encrypted to"),
        ({"use": "both"}, '`use` is "sig", or "enc"'),
        ({"use": ["enc"]}, '`use` is "sig", or "enc"'),
        ({"use": None}, '`use` is "sig", or "enc"'),
        ({"alg": "ECDH-ES"}, "ES256 or EdDSA or Ed25519"),
        ({"alg": "ECDH-ES+A256KW"}, "ES256 or EdDSA or Ed25519"),
        ({"alg": None}, "ES256 or EdDSA or Ed25519"),
        ({"use": "enc", "alg": "ES256"}, 'an `alg` for `use` "enc" is ECDH-ES'),
        ({"use": "enc", "key_ops": ["verify"]}, "are of deriveKey, deriveBits, wrapKey"),
        ({"key_ops": ["deriveKey"]}, "are of verify"),
        ({"key_ops": "verify"}, "are of verify"),
        ({"use": "enc", "key_ops": ["sign"]}, "are of deriveKey"),
        ({"use": "enc", "d": "AQ"}, "no member `d`"),
        ({"oth": []}, "no member `oth`"),
    ]
    for said, why in odd:
        with pytest.raises(MalformedRequest, match=f"a client's key is not usable: .*{why}"):
            await office.act(AddKey(client="etl", key={**FOURTH.jwk, **said}))
    exported = {**FOURTH.jwk, "use": "enc", "key_ops": ["deriveKey"], "ext": True, "x5c": [], "iat": 1}
    await office.act(AddKey(client="etl", key=exported))  # as WebCrypto and others write it
    assert office.registry.clients["etl"].encryption_jwks == (THIRD.jwk, FOURTH.jwk)  # type: ignore[index]


async def test_a_client_is_registered_with_both_kinds_of_keys_and_none_is_both(office: Office) -> None:
    await office.furnish()
    keys = (dict(SPARE.jwk), {**THIRD.jwk, "use": "enc"})

    def register(name: str, *keys: dict[str, object]) -> AddClient:
        return AddClient(id=name, agreement="AGR-2026-001", purposes=("research",), keys=keys)

    await office.act(register("both", *keys))
    client = office.registry.clients["both"]  # type: ignore[index]
    assert (client.jwks, client.encryption_jwks) == ((SPARE.jwk,), (THIRD.jwk,))
    with pytest.raises(MalformedRequest, match="a key that it signs with, or a certificate"):
        await office.act(register("mute", {**THIRD.jwk, "use": "enc"}))
    with pytest.raises(MalformedRequest, match="never both"):
        await office.act(register("twofold", dict(SPARE.jwk), {**SPARE.jwk, "use": "enc"}))


async def test_a_client_has_two_certificates_while_one_is_replaced(office: Office) -> None:
    await office.furnish()
    first, second, third = (Authority().issue("etl") for _ in range(3))

    async def add(issued: Issued) -> None:
        await office.act(AddCertificate(client="etl", certificate=issued.pem.decode("ascii")))

    await add(first)
    await add(second)
    for again, why in ((first, "already"), (third, "at most 2")):
        with pytest.raises(ActRefused, match=why):
            await add(again)
    removal = RemoveCertificate(client="etl", thumbprint=first.known_as.thumbprint, reason="renewed")
    await office.act(removal)
    with pytest.raises(ActRefused, match="no certificate of that thumbprint"):
        await office.act(removal)
    (shown,) = (await office.act(Look(kind=Kind.CLIENT, id="etl"))).rows
    assert shown["certificates"] == [
        {"thumbprint": second.known_as.thumbprint, "ends_at": second.known_as.ends_at.isoformat()}
    ]
    assert (await office.kinds())[-3:] == ["add-certificate", "add-certificate", "remove-certificate"]
    assert office.told[-1] == {"user": b"anh", "reason": b"renewed"}


async def test_a_long_list_comes_in_parts(office: Office) -> None:
    await office.furnish()
    change = office.registry.organisations["bank-a"]  # type: ignore[index]
    from dataclasses import replace  # noqa: PLC0415

    many = {f"org-{number:04}": replace(change, id=f"org-{number:04}") for number in range(ROWS_MAX + 3)}
    office.registry = replace(office.registry, organisations=many)

    first = await office.act(Look(kind=Kind.ORG))
    rest = await office.act(Look(kind=Kind.ORG, after=str(first.rows[-1]["id"])))

    assert (len(first.rows), first.more, len(rest.rows), rest.more) == (ROWS_MAX, True, 3, False)


async def test_two_different_overseers_lift_what_one_person_froze(office: Office) -> None:
    await office.furnish()
    secrets = await office.overseers("lan", "hoa", "tam")
    outsider = await office.person("minh", "bank-a")
    await office.act(SetFrozen(what=Freezable.CLIENT, target="etl", reason="key on a public page"))
    late = (await office.overseers("late"))["late"]

    async def refused(act: Lift, why: str) -> None:
        with pytest.raises(ActRefused, match=why):
            await office.act(act)
        assert office.registry.is_frozen(Freezable.CLIENT, "etl")

    await refused(office.lift("minh", outsider), "not accepted")
    await refused(office.lift("late", late), "not accepted")
    await refused(office.lift("lan", secrets["lan"], password="wrong horse battery"), "not accepted")
    await refused(office.lift("lan", secrets["hoa"]), "not accepted")
    done = await office.act(office.lift("lan", secrets["lan"]))
    assert done.says == "noted; another person must say so, too"
    office.clock.moment += timedelta(minutes=20)
    await refused(office.lift("lan", secrets["lan"]), "you have said so already")
    await office.act(office.lift("hoa", secrets["hoa"]))

    assert not office.registry.is_frozen(Freezable.CLIENT, "etl")
    (freeze,) = office.registry.freezes.values()
    assert (freeze.state, freeze.lifted_by) == (State.ENDED, ("lan", "hoa"))
    assert office.told[-1]["operator"] == b"hoa"
    with pytest.raises(ActRefused, match="not frozen"):
        await office.act(office.lift("tam", secrets["tam"]))


async def test_a_name_that_is_given_again_does_not_lift_what_was_frozen_before(office: Office) -> None:
    """Or one person could erase two overseers, register them anew, enrol as both, and lift a freeze alone."""
    await office.furnish()
    await office.overseers("lan", "hoa")
    await office.act(SetFrozen(what=Freezable.CLIENT, target="etl"))
    for name in ("lan", "hoa"):
        await office.act(Erase(basis=Basis.MISTAKE, subject=name))
    taken = await office.overseers("lan", "hoa")

    for name, secret in taken.items():
        with pytest.raises(ActRefused, match="not accepted"):
            await office.act(office.lift(name, secret))
    assert office.registry.is_frozen(Freezable.CLIENT, "etl")


@pytest.mark.parametrize("what", ["suspended", "frozen", "organisation suspended"])
async def test_an_overseer_who_does_not_count_any_more_lifts_nothing(office: Office, what: str) -> None:
    await office.furnish()
    secrets = await office.overseers("lan", "hoa")
    await office.act(SetFrozen(what=Freezable.CLIENT, target="etl"))
    match what:
        case "suspended":
            await office.act(SetState(kind=Kind.OPERATOR, id="lan", state=State.SUSPENDED))
        case "frozen":
            await office.act(SetFrozen(what=Freezable.OPERATOR, target="lan"))
        case _:
            await office.act(SetState(kind=Kind.ORG, id="watch", state=State.SUSPENDED))

    with pytest.raises(ActRefused, match="not accepted"):
        await office.act(office.lift("lan", secrets["lan"]))


async def test_where_there_were_not_two_overseers_later_ones_count_and_it_is_said(office: Office) -> None:
    await office.furnish()
    early = await office.overseers("lan")
    done = await office.act(SetFrozen(what=Freezable.CLIENT, target="etl"))
    later = await office.overseers("hoa")

    assert "nobody can lift it before there are two overseers" in done.says
    await office.act(office.lift("lan", early["lan"]))
    await office.act(office.lift("hoa", later["hoa"]))
    assert not office.registry.is_frozen(Freezable.CLIENT, "etl")


async def test_what_is_not_there_is_not_frozen(office: Office) -> None:
    await office.furnish()

    for what, target in (
        (Freezable.CLIENT, "nobody"),
        (Freezable.ORGANISATION, ""),
        (Freezable.TOKEN, "nobody/token"),
        (Freezable.DATASET, ""),
        (Freezable.DATASET, "two words"),
        (Freezable.EVERYTHING, "something"),
        (Freezable.KEY, "x" * 129),
    ):
        with pytest.raises(ActRefused):
            await office.act(SetFrozen(what=what, target=target))
    assert office.registry.freezes == {}
    await office.act(SetFrozen(what=Freezable.DATASET, target="vn.gso.people-2026"))
    await office.act(SetFrozen(what=Freezable.EVERYTHING))
    rows = (await office.act(LookAtFreezes())).rows
    assert [row["id"] for row in rows] == ["dataset.vn.gso.people-2026", "everything"]


async def test_a_full_disk_makes_no_half_a_client_and_no_half_a_key(office: Office) -> None:
    """The command fails as a whole, and works as a whole once there is room."""
    await office.furnish()
    files = {path.name for path in office.folder.iterdir()}
    office.disk.is_full = True

    for act in (
        a_client("etl-2"),
        AddKey(client="etl", key=dict(SPARE.jwk)),
        AddOperator(id="minh", org="bank-a", name="Minh"),
        RotateKey(kind=KeyKind.TOKENS, now=True),
        RotateKey(kind=KeyKind.SEALING),
    ):
        before = office.registry
        with pytest.raises(LedgerUnavailable):
            await office.act(act)
        assert office.registry is before
    assert {path.name for path in office.folder.iterdir()} == files
    office.disk.is_full = False
    await office.ledger.ready()
    assert {change.id for change in await office.ledger.registry()} == {"bank-a", "AGR-2026-001", "etl"}
    await office.act(a_client("etl-2"))
    assert await office.kinds() == ["add"] * 4


async def test_a_key_is_announced_a_day_before_it_works(office: Office) -> None:
    old = office.keyring.tokens.kid

    done = await office.act(RotateKey(kind=KeyKind.TOKENS))
    (new,) = office.registry.installation_keys
    with pytest.raises(ActRefused, match="announced already"):
        await office.act(RotateKey(kind=KeyKind.TOKENS))

    assert done.rows[0]["kind"] == "tokens"
    assert set(office.keyring.tokens.public_keys) == {old, new}
    office.clock.moment += timedelta(hours=23, minutes=59)
    assert office.keyring.tokens.kid == old
    office.clock.moment += timedelta(minutes=2)
    assert office.keyring.tokens.kid == new
    assert set(office.keyring.tokens.public_keys) == {old, new}
    office.clock.moment += timedelta(minutes=16)
    assert set(office.keyring.tokens.public_keys) == {new}
    await office.act(RotateKey(kind=KeyKind.TOKENS))  # and what is not believed any more is destroyed
    assert not (office.folder / "tokens.pem").exists()


async def test_a_revoked_key_counts_no_more_whatever_is_in_the_folder(office: Office) -> None:
    old = office.keyring.tokens.kid
    content = (office.folder / "tokens.pem").read_bytes()
    with pytest.raises(ActRefused, match="no other key works"):
        await office.act(RevokeTokenKey(id=old))
    await office.act(RotateKey(kind=KeyKind.TOKENS, now=True))
    with pytest.raises(ActRefused, match="no other key works"):
        await office.act(RevokeTokenKey(id=old))  # not yet
    office.clock.moment += timedelta(seconds=4)
    await office.act(RevokeTokenKey(id=old, reason="copied"))

    assert old not in office.keyring.tokens.public_keys
    assert not (office.folder / "tokens.pem").exists()
    (office.folder / "tokens.pem").write_bytes(content)  # as a copy that is put back
    (office.folder / "tokens.pem").chmod(0o600)
    office.keyring.reload(office.registry.revoked_keys)
    assert old not in office.keyring.tokens.public_keys
    with pytest.raises(ActRefused, match="no key for tokens"):
        await office.act(RevokeTokenKey(id=old))


async def test_acts_at_the_same_time_are_done_one_after_the_other(office: Office) -> None:
    await office.furnish()

    outcomes = await asyncio.gather(
        *(office.act(a_client("etl-2")) for _ in range(5)), return_exceptions=True
    )

    assert sum(isinstance(outcome, ActRefused) for outcome in outcomes) == 4
    assert await office.kinds() == ["add"] * 4


def test_records_of_freezes_and_keys_are_well_formed() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    good: dict[str, Any] = {
        "id": "client.etl", "what": Freezable.CLIENT, "target": "etl", "frozen_at": moment, "overseers": (),
        "lifted_by": (), "state": State.ACTIVE,
    }  # fmt: skip
    Freeze(**good)
    for wrong in (
        {"id": "client.other"},
        {"lifted_by": ("a", "a"), "state": State.ENDED},
        {"lifted_by": ("a", "b")},
        {"state": State.ENDED},
        {"frozen_at": moment.replace(tzinfo=None)},
        {"overseers": ("a b",)},
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            Freeze(**(good | wrong))
    with pytest.raises(ValueError, match="UTC"):
        InstallationKey(id="k", kind="tokens", works_from=moment.replace(tzinfo=None), state=State.ACTIVE)


async def test_a_registered_person_gets_a_code_and_another_until_they_enrol(office: Office) -> None:
    await office.furnish()
    first = await office.act(AddOperator(id="lan", org="bank-a", name="Lan"))
    again = await office.act(Invite(operator="lan"))

    assert re.fullmatch(r"([0-9a-z]{4}-){3}[0-9a-z]{4}", first.once)
    assert first.once != again.once
    assert "https://gateway.example/enrol" in first.says
    invited = office.registry.operators[OperatorId("lan")].invitation
    assert invited is not None
    assert invited.code_hash == enrolment_hash("lan", again.once) != enrolment_hash("lan", first.once)
    assert again.rows[0]["enrolled"] is False
    assert "invitation" not in again.rows[0]
    assert again.once not in repr(again)
    await office.person("minh", "bank-a")
    with pytest.raises(ActRefused, match="has set their factors"):
        await office.act(Invite(operator="minh"))
    with pytest.raises(ActRefused, match="there is no `nobody`"):
        await office.act(Invite(operator="nobody"))


async def test_who_has_not_enrolled_oversees_nothing(office: Office) -> None:
    """Or who registers people could freeze alone, enrol as two of them, and lift it."""
    await office.furnish()
    secrets = await office.overseers("lan", "hoa")
    await office.act(AddOperator(id="late", org="watch", name="Late"))
    await office.act(SetFrozen(what=Freezable.CLIENT, target="etl"))

    assert office.registry.freezes["client.etl"].overseers == ("hoa", "lan")
    assert set(secrets) == {"lan", "hoa"}


async def test_the_logs_key_is_replaced_while_entries_go_on(office: Office) -> None:
    await office.furnish()
    old = office.keyring.log.vkey
    with pytest.raises(ActRefused, match="no former key"):
        await office.act(RetireLogKey())

    done = await office.act(RotateLogKey())

    new = office.keyring.log.vkey
    assert (done.rows[0]["public"], new != old) == (new, True)
    head = await office.ledger.checkpoint()
    assert {verify_checkpoint(head, vkey).size for vkey in (old, new)} == {done.recorded_as + 1}  # type: ignore[operator]
    verify_receipt(proof=done.proof, entry=done.entry, body=b"", salt=salt_of(done.proof), vkey=old)
    with pytest.raises(ActRefused, match="a former key of the log still signs"):
        await office.act(RotateLogKey())
    await office.act(a_client("etl-2"))
    head = await office.ledger.checkpoint()
    assert {verify_checkpoint(head, vkey).size for vkey in (old, new)} == {done.recorded_as + 2}  # type: ignore[operator]
    assert (await office.act(RetireLogKey())).rows[0]["public"] == old
    head = await office.ledger.checkpoint()
    assert verify_checkpoint(head, new).origin == LOG
    with pytest.raises(ProofInvalid):
        verify_checkpoint(head, old)
    assert (await office.kinds())[-3:] == ["rotate", "add", "retire"]


async def test_a_full_disk_leaves_the_logs_key_as_it_is(office: Office) -> None:
    await office.furnish()
    old = office.keyring.log_keys.vkeys
    office.disk.is_full = True
    with pytest.raises(LedgerUnavailable):
        await office.act(RotateLogKey())
    assert LogKeys.open(office.folder, log_name=LOG).vkeys == office.keyring.log_keys.vkeys == old

    office.disk.is_full = False
    await office.ledger.ready()
    assert (await office.act(RotateLogKey())).rows[0]["public"] == office.keyring.log.vkey


async def test_who_is_erased_is_forgotten_at_once_and_nobody_else(office: Office) -> None:
    await office.furnish()
    await office.person("lan", "bank-a")
    await office.act(AddOperator(id="minh", org="bank-a", name="Minh"))

    done = await office.act(Erase(basis=Basis.REQUEST, subject="lan"))

    assert set(office.registry.operators) == {"minh"}
    assert set(office.registry.clients) == {"etl"}
    assert done.rows == ({"basis": "request", "openings": 0, "records": 1},)
    assert "lan" not in {change.id for change in await office.ledger.registry()}
    for act, why in (
        (Erase(basis=Basis.REQUEST, subject="lan"), "nothing of that to erase"),
        (Erase(basis=Basis.REQUEST), "an erasure names a person, a month, or entries"),
        (Erase(basis=Basis.REQUEST, subject="minh", before="2026-01"), "an erasure names"),
    ):
        with pytest.raises(ActRefused, match=why):
            await office.act(act)


async def test_a_new_epoch_of_pseudonyms_takes_two_custodians_and_two_overseers(
    office: Office, tmp_path_factory: pytest.TempPathFactory
) -> None:
    apart = tmp_path_factory.mktemp("shares")
    files, passphrases = (apart / "a", apart / "b"), ("lan has a long one", "hoa has a longer one")
    split(office.folder, files, passphrases)
    await office.furnish()
    secrets = await office.overseers("lan", "hoa", "third")
    await office.act(SetFrozen(what=Freezable.OPERATOR, target="third"))
    clerk, minh = await office.person("clerk", "watch"), await office.person("minh", "bank-a")
    await office.act(SetState(kind=Kind.OPERATOR, id="clerk", state=State.SUSPENDED))
    before = known_epochs(office.folder)
    office.clock.moment += ENROLLED_FOR
    late = await office.person("late", "watch")
    office.clock.moment += ENROLLED_FOR - timedelta(minutes=20)

    def word(name: str, secret: bytes, password: str = PASSWORD, *, steps: int = 0) -> Word:
        code = code_at(secret, step_at(office.clock.now()) + steps)
        return Word(operator=name, password=password, code=code)

    made = rotation(office.folder, files, passphrases)  # once: passphrases are slow on purpose

    async def rotate(*words: Callable[[], Word]) -> acts.Done:
        office.clock.moment += timedelta(seconds=90)
        return await new_epoch(office.do.desk, lambda _: made, tuple(say() for say in words), "anh")  # type: ignore[arg-type]

    def lan() -> Word:
        return word("lan", secrets["lan"])

    wrong: dict[str, Callable[[], Word]] = {
        "two different people": lambda: word("lan", secrets["lan"], steps=1),
        "not accepted: name": lambda: word("hoa", secrets["hoa"], "wrong horse battery"),
        "not accepted: name, p": lambda: word("third", secrets["third"]),
        "not accepted: name, pa": lambda: word("clerk", clerk),
        "not accepted: name, pas": lambda: word("minh", minh),
        "not accepted: name, pass": lambda: word("late", late),
    }
    for why, second in wrong.items():
        with pytest.raises(ActRefused, match=why):
            await rotate(lan, second)
        assert known_epochs(office.folder) == before
    done = await rotate(lan, lambda: word("hoa", secrets["hoa"]))

    assert [named.key for named in known_epochs(office.folder)] == [before[0].key, done.rows[0]["id"]]
    assert (await office.kinds())[-2:] == ["rotate-agreed", "rotate"]
    assert [told["operator"] for told in office.told[-2:]] == [b"lan", b"hoa"]


async def test_an_act_on_a_record_that_a_worker_changed_meanwhile_is_refused(office: Office) -> None:
    """This process has not heard yet what was put: suspending a person must not wipe their factors."""
    await office.furnish()
    await office.act(AddOperator(id="minh", org="bank-a", name="Minh"))
    stale = office.registry
    await office.act(Invite(operator="minh"))
    newest, office.registry = office.registry, stale

    with pytest.raises(LedgerUnavailable, match="changed at this moment"):
        await office.act(SetState(kind=Kind.OPERATOR, id="minh", state=State.SUSPENDED))

    assert change_of(newest.operators[OperatorId("minh")]) in await office.ledger.registry()


async def test_an_enrolment_of_somebody_erased_meanwhile_brings_nobody_back(office: Office) -> None:
    await office.furnish()
    await office.act(AddOperator(id="minh", org="bank-a", name="Minh"))
    invited = office.registry.operators[OperatorId("minh")]
    await office.act(Erase(basis=Basis.REQUEST, subject="minh"))
    enrolled = replace(change_of(invited), replaces=change_of(invited).document)

    with pytest.raises(LedgerUnavailable):
        await office.put((enrolled,), {"event": "enrol"}, {}, None)

    assert "operator" not in {change.kind for change in await office.ledger.registry()}


async def test_words_are_checked_before_the_custodians_files_are_touched(office: Office) -> None:
    await office.furnish()
    secrets = await office.overseers("lan", "hoa")

    def untouched(_newest: str | None) -> Rotation:
        raise AssertionError("two people who enrolled a minute ago")

    words = [
        Word(operator=name, password=PASSWORD, code=code_at(secret, step_at(office.clock.now())))
        for name, secret in secrets.items()
    ]
    with pytest.raises(ActRefused, match="not accepted"):
        await new_epoch(office.do.desk, untouched, (words[0], words[1]), "anh")


@pytest.mark.parametrize("act", [RetireLogKey(), RotateLogKey()])
async def test_a_log_key_that_was_not_taken_over_is_at_the_next_act(office: Office, act: acts.Act) -> None:
    """The folder has the next key, the running log signs with the old one alone: no restart is needed."""
    await office.furnish()
    log = office.do.desk.log

    async def broken() -> None:
        raise LedgerUnavailable("the disk is full")

    with pytest.raises(LedgerUnavailable):
        await replace(log, take_over=broken).rotate()
    assert office.keyring.log_keys.former == ()

    if isinstance(act, RetireLogKey):
        await office.act(act)
        assert office.keyring.log_keys.former == ()
    else:
        with pytest.raises(ActRefused, match="still signs"):
            await office.act(act)
        assert len(office.keyring.log_keys.former) == 1
    head = await office.ledger.checkpoint()
    assert verify_checkpoint(head, office.keyring.log.vkey).origin == LOG


async def test_a_key_that_was_told_of_stays_whatever_breaks_afterwards(office: Office) -> None:
    async def put_and_break(*entry: Any) -> Receipt:
        await office.put(*entry)
        raise HomeInvalid("a folder cannot be read")

    broken = Administration(replace(office.do.desk, put=put_and_break))
    with pytest.raises(HomeInvalid):
        await broken(RotateKey(kind=KeyKind.TOKENS), "anh")

    (told,) = office.registry.installation_keys
    assert told in {dated.key.kid for dated in office.keyring.tokens.files.keys}
