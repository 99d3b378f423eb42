"""What administrators do to the log itself: give it another key, retire the former one, erase what it sealed.

Each is told of in the log before it takes effect, and may be repeated after a crash
(``keyring/log_keys.py``, ``ledger/vault.py``). Every process of the gateway learns of it in the order of the
log's changes.
"""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.errors import ActRefused
from gateway.keyring.log_keys import LogKeys, make_next, retire_former, take_next
from gateway.ledger.port import EntryRefused
from gateway.services.acts import Done, Erase
from gateway.terms.charge import Receipt
from gateway.terms.entry import Erasure
from gateway.terms.identifiers import RequestId

Forget = Callable[[str], None]


class TellOfKey(Protocol):
    """Puts a change of the log's key into the log."""

    def __call__(self, event: str, *, old: str, new: str) -> Awaitable[Receipt]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDesk:
    """The ports over the log of one open installation."""

    folder: Path
    """Of the keys."""
    signing: Callable[[], LogKeys]
    tell: TellOfKey
    take_over: Callable[[], Awaitable[None]]
    """Has the log signed by the keys that the folder has now, and everybody told of them."""
    erase: Callable[[Erasure, RequestId], Awaitable[Receipt]]
    forget: Forget
    """Has every process drop what it knows of a person."""

    async def rotate(self) -> Done:
        """Have another key sign, the former one beside it.

        Raises:
            ActRefused: A former key signs still.

        """
        await self._settle()
        keys = self.signing()
        if keys.former:
            raise ActRefused("a former key of the log still signs; first `gateway keys retire --kind log`")
        new = await asyncio.to_thread(make_next, self.folder, log_name=keys.newest.name)
        receipt = await self.tell("rotate", old=keys.newest.vkey, new=new.vkey)
        await asyncio.to_thread(take_next, self.folder)
        await self.take_over()
        says = f"the log's checkpoints carry two signatures from now on; publish the new key:\n{new.vkey}"
        row: dict[str, object] = {"kind": "log", "state": "signs", "public": new.vkey}
        return Done(
            says=says, rows=(row,), recorded_as=receipt.index, entry=receipt.entry, proof=receipt.proof
        )

    async def retire(self) -> Done:
        """Have the former key sign no more.

        Raises:
            ActRefused: There is none.

        """
        await self._settle()
        keys = self.signing()
        if not keys.former:
            raise ActRefused("no former key of the log signs")
        former = keys.former[0].vkey
        receipt = await self.tell("retire", old=former, new=keys.newest.vkey)
        await asyncio.to_thread(retire_former, self.folder, log_name=keys.newest.name)
        await self.take_over()
        row: dict[str, object] = {"kind": "log", "state": "retired", "public": former}
        return Done(says=f"retired: {former}", rows=(row,), recorded_as=receipt.index)

    async def _settle(self) -> None:
        """Take over what the folder has, where a step before was told of and did not come to its end."""
        keys = self.signing()
        there = await asyncio.to_thread(LogKeys.open, self.folder, log_name=keys.newest.name)
        if there.vkeys != keys.vkeys:
            await self.take_over()

    async def erased(self, act: Erase) -> Done:
        """Destroy openings for good; a person's records leave every process too.

        Raises:
            ActRefused: There is nothing of that to erase, or not exactly one thing is named.

        """
        try:
            erasure = Erasure(basis=act.basis, subject=act.subject, before=act.before, entries=act.entries)
        except ValueError as error:
            raise ActRefused(f"{error}: --subject, --before or --entry") from error
        try:
            receipt = await self.erase(erasure, RequestId(str(uuid.uuid4())))
        except EntryRefused as error:
            raise ActRefused(str(error)) from error
        finally:
            # SECURITY: also where keys could not be destroyed yet: the erasure may be recorded already.
            if erasure.subject is not None:
                self.forget(erasure.subject)
        facts = json.loads(receipt.entry)["facts"]
        says = (
            f"erased {facts['openings']} openings and {facts['records']} records; "
            f"recorded as entry {receipt.index}"
        )
        return Done(says=says, rows=(facts,), recorded_as=receipt.index)
