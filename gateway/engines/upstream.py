"""The reverse proxy's engine: one GET to an upstream's own path, and its rows typed, or a failure.

* Only the origin that the document names is reached (``address.py``); redirects are not followed.
* Nothing of the caller passes: no header, no cookie, no credential; parameters are the plan's.
* Nothing of the upstream passes but declared columns of the rows, typed (``cells.py``), and its
  next cursor, which the gateway seals. Undeclared members are dropped and counted.
* Bytes, rows and seconds are bounded; whatever is wrong is ``EngineFailed`` in constant words.

Rows are in an order of the recipient's own, and another one as soon as the reply has other bytes; where
the firm ordered by a column, in the upstream's, but for rows whose typed value is the same: the upstream's
order among them may come from what no mask shows, and would let two firms align their replies.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from types import MappingProxyType
from typing import Final, cast

import aiohttp
import numpy as np
import numpy.typing as npt
from aiohttp.abc import AbstractResolver
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from gateway import telemetry
from gateway.engines.address import NamedHost
from gateway.engines.cells import table_of
from gateway.engines.document import at
from gateway.engines.reply import typed_reply
from gateway.engines.selection import selected
from gateway.engines.unnamed import Unnamed
from gateway.errors import EngineFailed
from gateway.order import key_of, order_of_reply
from gateway.terms.dataset import Dataset, Source
from gateway.terms.frame import Columns, UnprotectedFrame, UnprotectedRows, Values
from gateway.terms.identifiers import ColumnName, DatasetId
from gateway.terms.plan import Plan, ProxyPlan
from gateway.terms.predicate import EVERY_ROW, Literal, columns_of
from gateway.terms.upstream import CURSOR_BYTES_MAX

BYTES_MAX: Final = 8 << 20
INLINE_BYTES_MAX: Final = 32 << 10
"""A body of up to this many bytes is read and typed faster than a thread is woken."""
CONNECTIONS_MAX: Final = 16
"""Of one source; further requests wait, within their deadline."""
CONNECT_S: Final = 3.0
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {"User-Agent": "gateway", "Accept": "application/json", "Accept-Encoding": "identity"}
)
_JSON: Final = re.compile(
    r'application/(?:[a-z0-9.-]+\+)?json(?:\s*;\s*charset="?utf-8"?)?\s*', re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class UpstreamEngine:
    """The port over HTTP interfaces."""

    deadline_s: float
    bytes_max: int
    resolver: Callable[[], AbstractResolver] | None
    sessions: dict[tuple[DatasetId, Source], aiohttp.ClientSession]
    """Owned by the event loop: one a dataset and source, until ``retain`` or ``close``."""
    unnamed: Unnamed = field(default_factory=Unnamed)

    @classmethod
    def create(
        cls,
        *,
        deadline_s: float,
        bytes_max: int = BYTES_MAX,
        resolver: Callable[[], AbstractResolver] | None = None,
    ) -> "UpstreamEngine":
        """Return an engine that has no connection yet; ``resolver`` stands in for the system's."""
        return cls(deadline_s, bytes_max, resolver, {})

    async def execute(self, plan: Plan) -> UnprotectedFrame:
        if not isinstance(plan, ProxyPlan):
            raise AssertionError("an upstream answers for its own paths only")  # noqa: TRY004  a bug of ours
        try:
            async with asyncio.timeout(self.deadline_s):
                body = await self._body(plan)
                if len(body) <= INLINE_BYTES_MAX:
                    return _rows(plan, body, self.unnamed)
                return await asyncio.to_thread(_rows, plan, body, self.unnamed)
        except EngineFailed:
            telemetry.upstream_failed(plan.dataset.id)
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            # SECURITY: not chained, an HTTP error may quote what the upstream sent.
            failed = EngineFailed("the upstream did not answer as HTTP says, or not in time")
            failed.add_note(type(error).__name__)
            telemetry.upstream_failed(plan.dataset.id)
            raise failed from None

    async def check(self, dataset: Dataset) -> tuple[str, ...]:
        """Return nothing: the address was judged when the document loaded, and a host may start later."""
        del dataset
        return ()

    async def reads(self, dataset: Dataset) -> frozenset[tuple[int, int]]:
        """Return nothing: what stands behind an address, nobody here can see."""
        del dataset
        return frozenset()

    async def retain(self, datasets: Collection[DatasetId]) -> None:
        """Close the connections to sources of other datasets; no upstream's rows are kept."""
        await self._let_go({name for name, _ in self.sessions} - set(datasets))

    async def close(self) -> None:
        await self._let_go({name for name, _ in self.sessions})

    async def _let_go(self, datasets: Collection[DatasetId]) -> None:
        gone = [key for key in self.sessions if key[0] in datasets]
        for session in [self.sessions.pop(key) for key in gone]:
            await session.close()

    async def _body(self, plan: ProxyPlan) -> bytes:
        """Return the complete body of a good answer."""
        source = plan.dataset.source
        session, url = self._session(plan.dataset), source.path + plan.path
        async with session.get(url, params=plan.parameters, allow_redirects=False) as answer:
            if answer.status != 200:  # noqa: PLR2004  nothing else has rows
                raise EngineFailed("the upstream did not answer with 200")
            return await body_of(answer, bytes_max=self.bytes_max)

    def _session(self, dataset: Dataset) -> aiohttp.ClientSession:
        """Return the connection pool of a dataset's source; no two share one."""
        key = (dataset.id, dataset.source)
        if key not in self.sessions:
            inner = None if self.resolver is None else self.resolver()
            self.sessions[key] = session_to(dataset.source, deadline_s=self.deadline_s, resolver=inner)
        return self.sessions[key]


async def body_of(answer: aiohttp.ClientResponse, *, bytes_max: int) -> bytes:
    """Return the body of an answer, called JSON, in no encoding and within the bound.

    Raises:
        EngineFailed: It is not.

    """
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise EngineFailed("the upstream's reply is in an encoding that was not asked for")
    if not _JSON.fullmatch(answer.headers.get("Content-Type", "")):
        raise EngineFailed("the upstream's reply is not called JSON in UTF-8")
    if (answer.content_length or 0) > bytes_max:
        raise EngineFailed("the upstream's reply is too large")
    received = bytearray()
    async for chunk in answer.content.iter_any():
        received += chunk
        if len(received) > bytes_max:
            raise EngineFailed("the upstream's reply is too large")
    return bytes(received)


def session_to(
    source: Source, *, deadline_s: float, resolver: AbstractResolver | None = None
) -> aiohttp.ClientSession:
    """Return a pool of connections to one source's host, and to no other."""
    return aiohttp.ClientSession(
        connector=QuietConnector(
            limit=CONNECTIONS_MAX,
            resolver=NamedHost(source.path, internal=source.internal, resolver=resolver),
            use_dns_cache=True,
            ttl_dns_cache=10,
            keepalive_timeout=15.0,
            ssl=True,
        ),
        timeout=aiohttp.ClientTimeout(total=deadline_s, sock_connect=CONNECT_S),
        headers=HEADERS,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # an answer in an encoding is refused: bombs stay packed
        trust_env=False,
        raise_for_status=False,
    )


class QuietConnector(aiohttp.TCPConnector):
    """A pool that takes no connection on which bytes came that nobody asked for.

    SECURITY: aiohttp would take them for the answer to the next question of that connection.
    """

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's signature
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()


def _rows(plan: ProxyPlan, body: bytes, unnamed: Unnamed) -> UnprotectedRows:
    """Return the planned columns of the selected rows of a body."""
    leaving = [name for name, _ in plan.columns]
    needed = {*leaving, *columns_of(plan.predicate)}
    declared = plan.dataset.columns
    reply = typed_reply(body, plan.rows_pointer, declared, needed, rows_max=plan.rows_max)
    if reply.unknown:
        telemetry.unknown_fields(plan.dataset.id, reply.unknown.total())
        unnamed.replied(plan.dataset.id, reply.unknown)
    typed, columns = reply.columns, [column for column in declared if column.name in needed]
    key = key_of(plan.order_key, of="reply", digest=plan.digest, state=hashlib.sha256(body).digest())
    by = next((column.name for column in columns if column.source_name == plan.ordered_by), None)
    order = _order(order_of_reply(reply.count, key), None if by is None else typed[by])
    if plan.predicate != EVERY_ROW:
        truths = selected(table_of(typed, columns), plan.predicate, plan.dataset).to_pylist()
        order = [place for place in order if truths[place]]
    cursor = None if plan.cursor_pointer is None else at(reply.document, plan.cursor_pointer)
    return UnprotectedRows(
        columns=_picked(typed, leaving, order),
        ended_at=None,
        upstream_cursor=_cursor(cursor),
    )


def _picked(columns: Columns, names: Sequence[ColumnName], places: Sequence[int]) -> Columns:
    """Return the values at these places, in their order."""
    if len(places) < 2:  # noqa: PLR2004  of one place, an itemgetter gives the bare value
        return {name: [columns[name][place] for place in places] for name in names}
    pick = itemgetter(*places)
    return {name: list(pick(columns[name])) for name in names}


def _order(numbers: npt.NDArray[np.uint64], ordered_by: Values | None) -> list[int]:
    """Return the rows' places in the order of the reply: by number, or by value as it came and then number.

    SECURITY: equal values stand together, where the first of them came, so that a column that is kept says
    all that there is to see in the order.
    """
    if ordered_by is None:
        return cast("list[int]", np.argsort(numbers, kind="stable").tolist())
    ranks: dict[Literal | None, int] = {}
    values = [ranks.setdefault(value, len(ranks)) for value in ordered_by]
    return cast("list[int]", np.lexsort((numbers, np.array(values))).tolist())


def _cursor(value: object) -> str | None:
    """Return an upstream's cursor as the text that a query string takes; null and nothing end the list."""
    if value is None or value == "":
        return None
    text = str(value) if type(value) in (int, str) else ""
    if not text.isprintable() or not 0 < len(text.encode("utf-8", "replace")) <= CURSOR_BYTES_MAX:
        raise EngineFailed("the upstream's cursor is none that can be sent back")
    return text
