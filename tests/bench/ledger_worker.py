"""A worker of the ledger's measure: asks for entries over a connection, as ``serve --workers`` does.

``python -m tests.bench.ledger_worker DESCRIPTOR KEYS ENTRIES CALLERS`` writes when it began and ended.
"""

import os
import socket
import sys
import time
from pathlib import Path

import uvloop

from gateway.keyring.keyring import Keyring
from gateway.ledger.remote import RemoteLedger
from tests.bench.ledger import NAME, entries_per_s


async def _work(descriptor: int, keys: Path, entries: int, callers: int) -> None:
    keyring = Keyring.open(keys, log_name=NAME)
    ledger = await RemoteLedger.join(
        socket.socket(fileno=descriptor),
        seal=lambda data: keyring.sealer.seal("ledger", data),
        unseal=lambda sealed: keyring.sealer.unseal("ledger", sealed),
    )
    await entries_per_s(ledger, callers, callers)  # warm
    began = time.monotonic()
    await entries_per_s(ledger, entries, callers)
    os.write(sys.stdout.fileno(), f"{began} {time.monotonic()}\n".encode())
    await ledger.close()


if __name__ == "__main__":
    _, given, folder, count, together = sys.argv
    uvloop.run(_work(int(given), Path(folder), int(count), int(together)))
