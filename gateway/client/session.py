"""A firm's session with the gateway: log in once, then ask.

Every request carries a token bound to a key, and a fresh proof over this very request: method, URL,
query string and body. Tokens are renewed before they expire; the server's nonce is learnt from
its answers. A question that charges carries an idempotency key, so that asking again after a lost
answer costs nothing. With the log's key, no answer is given out whose receipt does not verify; with
decryption keys, none that came in clear.
Nothing is kept on disk: tokens and proof key live as long as the session.
"""

import asyncio
import json
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, urlencode

from gateway.client.answer import Answer
from gateway.client.decryption import Decryption, DecryptionKey
from gateway.client.failures import ProfileInvalid
from gateway.client.keys import ClientKey
from gateway.client.login import NONCE_HEADER, Login, Prompt, Token
from gateway.client.problem import problem_of
from gateway.client.proved import Proved, proved
from gateway.client.question import Amount, given, path_of, text_of
from gateway.client.receipt import REFUSAL
from gateway.client.saved import SavedRequest
from gateway.client.wire import Response, Wire
from gateway.jose import JOSE_TYPE

RESOURCE_METADATA: Final = "/.well-known/oauth-protected-resource"
CURSOR_HEADER: Final = "Gateway-Next"
JSON: Final = "application/json"
ATTEMPTS: Final = 3
"""The request itself, once more with a nonce, once more with a new token."""


class Gateway:
    """The gateway as one client of one firm sees it.

    ``key`` is the key registered for the client; None where it is the certificate in ``tls`` that is
    registered, and the gateway ends TLS itself. ``proof_key`` binds the tokens; a new one is made
    for each session unless one is given (from another custody, for example). ``log_key`` is the log's
    verifier key, got from somewhere else than the answers; with it every receipt is verified on arrival.
    With ``decryption_keys`` (one, or two while one replaces the other) rows and statistics are asked for
    encrypted, and refused when they come otherwise; give ``log_key`` with them, for anybody can encrypt to
    a public key, and only the receipt says who did.
    """

    def __init__(
        self,
        origin: str,
        *,
        client: str,
        key: ClientKey | None,
        proof_key: ClientKey | None = None,
        issuer: str | None = None,
        log_key: str | None = None,
        decryption_keys: Sequence[DecryptionKey] = (),
        tls: ssl.SSLContext | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        """Remember who we are; nothing is sent before the first call.

        Raises:
            ValueError: More than two decryption keys, or the same twice.

        """
        self.client = client
        self._origin = origin
        self._key = key
        self._proof_key = proof_key or ClientKey.create()
        self._issuer = issuer
        self._log_key = log_key
        self._decryption = Decryption(decryption_keys)
        self._tls = tls
        self._timeout_s = timeout_s
        self._purpose: str | None = None
        self._activation = ""
        self._token: Token | None = None
        self._nonce: str | None = None
        self._renewing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._wire = Wire(self._origin, tls=self._tls, timeout_s=self._timeout_s)
        self._login = Login(
            self._wire,
            client=self.client,
            key=self._key,
            proof_key=self._proof_key,
            issuer=self._issuer or self._wire.origin,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._wire.close()

    async def published_log_key(self) -> str:
        """Return the verifier key that the gateway says its log has; needs no login.

        Compare it with the one that the operator published: what speaks for itself proves nothing.

        Raises:
            ProfileInvalid: This address is no gateway, or one that calls itself otherwise.

        """
        response = await self._wire.send("GET", RESOURCE_METADATA, message=lambda: ({"Accept": JSON}, b""))
        try:
            document = json.loads(response.body)
            resource, vkey = str(document["resource"]), str(document["gateway_log_key"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ProfileInvalid(f"there is no data sharing gateway at {self._wire.origin}") from error
        if resource != self._wire.origin:
            raise ProfileInvalid(
                f"the gateway at {self._wire.origin} calls itself {resource}; use that address"
            )
        return vkey

    async def login(self, purpose: str, on_prompt: Prompt, *, hours: int | None = None) -> str:
        """Have a person activate this client for a purpose, and return the assurance reached.

        ``on_prompt`` shows the user code, the page to type it in, and the key phrase to compare.

        Raises:
            GatewayProblem: Refused, or not answered in time.

        """
        asked = {} if hours is None else {"hours": str(hours)}
        self._token = await self._login.activated(purpose, on_prompt, **asked)
        self._purpose, self._activation = purpose, ""
        return self._token.acr

    async def resume(self, purpose: str) -> str:
        """Take up a purpose without asking a person, and return the assurance that is left of it.

        ``aal2`` while an earlier activation of this client lasts, ``aal1`` otherwise.
        """
        self._token = await self._login.renewed(purpose)
        self._purpose, self._activation = purpose, ""
        return self._token.acr

    async def save(
        self, purpose: str, dataset: str, on_prompt: Prompt, *, days: int = 30, **question: object
    ) -> SavedRequest:
        """Have a person approve one question, to be run once a day without them; ``run`` runs it.

        Takes what ``query`` takes (``sql``, ``epsilon`` ...) or what ``records`` takes.

        Raises:
            GatewayProblem: Refused, not answered in time, or nothing that the rules let anybody approve.

        """
        path = path_of(dataset, "query" if question.get("sql") is not None else "records")
        body = text_of(given(**question))
        asked = {"saved_method": "POST", "saved_path": path, "saved_body": body, "saved_days": str(days)}
        token = await self._login.activated(purpose, on_prompt, **asked)
        return SavedRequest(
            purpose=purpose,
            path=path,
            body=body,
            activation=token.activation,
            until=token.activation_until,
        )

    async def run(self, saved: SavedRequest, *, accept: str = JSON) -> Answer:
        """Return the answer to a saved request, without a person; until the next login it is all there is.

        A statistic is paid once a day of the approval; again on that day it is the same answer, unpaid.
        """
        self._token = await self._login.renewed(saved.purpose, activation=saved.activation)
        self._purpose, self._activation = saved.purpose, saved.activation
        return await self._answered("POST", saved.path, "", saved.body.encode(), {"Accept": accept})

    async def datasets(self) -> Answer:
        """Return what there is, and what this client may do with it."""
        return await self._ask("GET", "/v1/datasets")

    async def dataset(self, dataset: str) -> Answer:
        """Return one dataset's description: columns, meanings, treatments, limits."""
        return await self._ask("GET", f"/v1/datasets/{quote(dataset, safe='')}")

    async def budgets(self) -> Answer:
        """Return what this client and its organisation have spent and have left."""
        return await self._ask("GET", "/v1/budgets")

    async def records(
        self,
        dataset: str,
        *,
        select: list[str] | None = None,
        where: object = None,
        limit: int | None = None,
        cursor: str | None = None,
        accept: str = JSON,
    ) -> Answer:
        """Return rows with personal data treated; ``where`` speaks of what you see, not of raw values.

        ``accept`` picks the media type of the body: JSON (which ``frame`` needs), NDJSON or CSV.
        """
        question = given(select=select, where=where, limit=limit, cursor=cursor)
        return await self._ask("POST", path_of(dataset, "records"), question, {"Accept": accept})

    async def proxy(self, dataset: str, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """Return the rows of an upstream's own path with personal data treated.

        ``path`` and ``params`` are the upstream's, as far as the dataset's description opens them; the
        value for a cursor's parameter is ``next_cursor`` of an earlier answer.
        """
        query_string = urlencode(params or {}, quote_via=quote)
        target = path_of(dataset, "proxy") + "/" + path.removeprefix("/")
        return await self._ask("GET", target, query_string=query_string)

    async def all_records(
        self,
        dataset: str,
        *,
        select: list[str] | None = None,
        where: object = None,
        limit: int | None = None,
        accept: str = JSON,
    ) -> AsyncIterator[Answer]:
        """Yield page after page of rows; ``limit`` is the size of a page."""
        cursor: str | None = None
        while True:
            answer = await self.records(
                dataset, select=select, where=where, limit=limit, cursor=cursor, accept=accept
            )
            yield answer
            if answer.next_cursor is None or answer.next_cursor == cursor:
                return
            cursor = answer.next_cursor

    async def query(
        self,
        dataset: str,
        sql: str,
        *,
        epsilon: Amount | None = None,
        rho: Amount | None = None,
        margin: Amount | None = None,
        idempotency_key: str | None = None,
        accept: str = JSON,
    ) -> Answer:
        """Return a statistic with noise: pay ``epsilon`` or ``rho``, or ask for a ``margin`` at 95 %.

        Asking again with the same ``idempotency_key`` gives the same answer and costs nothing; one
        is made up for each call unless given.
        """
        question = given(sql=sql, epsilon=epsilon, rho=rho, margin=margin)
        key = idempotency_key or str(uuid.uuid4())
        headers = {"Idempotency-Key": key, "Accept": accept}
        return await self._ask("POST", path_of(dataset, "query"), question, headers)

    async def lookup(
        self,
        dataset: str,
        keys: Sequence[Mapping[str, object]],
        *,
        select: list[str] | None = None,
        idempotency_key: str | None = None,
        accept: str = JSON,
    ) -> Answer:
        """Return the rows that keys find, which you hold already; each key is charged, hit or miss.

        A key is ``{"key": ..., "matching": {column: ...}}``; in the rows ``_key`` counts keys from 1. Asking
        again with the same ``idempotency_key`` costs nothing for ten minutes.
        """
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4()), "Accept": accept}
        question = given(keys=list(keys), select=select)
        return await self._ask("POST", path_of(dataset, "lookup"), question, headers)

    async def plan(self, dataset: str, **question: object) -> Answer:
        """Return what a question would cost and how well it would be answered; touches no data.

        Takes what ``query`` takes (``sql``, ``epsilon`` ...), or ``lookup`` (``keys``), or ``records``.
        """
        rows = "of=lookup" if "keys" in question else "of=records"
        of = "" if "sql" in question else rows
        return await self._ask("POST", path_of(dataset, "plan"), given(**question), query_string=of)

    async def _ask(
        self,
        method: str,
        path: str,
        question: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        query_string: str = "",
    ) -> Answer:
        """Return the answer to one signed request.

        Raises:
            GatewayProblem: The gateway refuses or fails, in its own words.

        """
        body = b"" if question is None else text_of(question).encode()
        return await self._answered(method, path, query_string, body, headers or {})

    async def _answered(
        self, method: str, path: str, query_string: str, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        """Return the answer to these very bytes, unless it is a refusal."""
        found = await self._proved(method, path, query_string, body, headers)
        response = found.response
        if response.status >= REFUSAL:
            raise problem_of(response.status, response.content_type, response.body, found.receipt)
        return Answer(
            status=response.status,
            content_type=response.content_type,
            body=response.body,
            receipt=found.receipt,
            next_cursor=response.headers.get(CURSOR_HEADER),
            encrypted_to=found.encrypted_to,
        )

    async def forward(
        self, method: str, path: str, *, query_string: str, body: bytes, headers: Mapping[str, str]
    ) -> Response:
        """Return the gateway's answer, whatever its status, to a request that some other program made.

        A request that charges must carry an ``Idempotency-Key``: a lost connection is tried again.

        Raises:
            GatewayProblem: The gateway gives no token.
            AnswerRefused: The answer's receipt does not verify, or it is not encrypted as it has to be.

        """
        return (await self._proved(method, path, query_string, body, headers)).response

    async def _proved(
        self, method: str, path: str, query_string: str, body: bytes, headers: Mapping[str, str]
    ) -> Proved:
        """Return the answer to one signed request, as it may be used."""
        decryption = self._decryption if self._decryption.is_wanted(path) else None
        headers = {**headers, "Accept": self._decryption.asked(path, headers.get("Accept", JSON))}
        response = await self._signed(method, path, query_string, body, headers)
        return await proved(
            response, method=method, client=self.client, log_key=self._log_key, decryption=decryption
        )

    async def _signed(
        self, method: str, path: str, query_string: str, body: bytes, extra: Mapping[str, str]
    ) -> Response:
        """Send with token and proof; once more where the gateway wants its nonce or a newer token."""
        accept = extra.get("Accept", "")
        target = f"{path}?{query_string}" if query_string else path
        for attempt in range(ATTEMPTS):
            token = await self._fresh_token()

            def message(token: Token = token) -> tuple[dict[str, str], bytes]:
                proof = self._proof_key.proof(
                    method=method,
                    url=self._wire.origin + path,
                    now=datetime.now(UTC),
                    nonce=self._nonce,
                    access_token=token.text,
                    query_string=query_string,
                    body=body,
                    # SECURITY: else somebody on the way could ask for it in clear instead
                    accept=accept if JOSE_TYPE in accept.lower() else None,
                )
                content = {"Content-Type": JSON} if body else {}
                own = {"Accept": JSON, "Authorization": f"DPoP {token.text}", "DPoP": proof}
                return own | content | dict(extra), body

            response = await self._wire.send(method, target, message=message)
            self._nonce = response.headers.get(NONCE_HEADER, self._nonce)
            wanted = _challenge_of(response)
            if attempt == ATTEMPTS - 1 or wanted not in {"use_dpop_nonce", "invalid_token"}:
                return response
            if wanted == "invalid_token" and self._token is token:
                self._token = None
        raise AssertionError("unreachable: the last attempt returns")

    async def _fresh_token(self) -> Token:
        """Return a token with life left in it, renewed by at most one task at a time."""
        if self._purpose is None:
            raise RuntimeError("log in first: `login` with a person, or `resume`")
        async with self._renewing:
            if self._token is None or time.monotonic() >= self._token.fresh_until:
                self._token = await self._login.renewed(self._purpose, activation=self._activation)
            return self._token

    def __repr__(self) -> str:
        return f"Gateway({self._origin!r}, client={self.client!r}, purpose={self._purpose!r})"


def _challenge_of(response: Response) -> str:
    """Return the ``error`` of a DPoP challenge (RFC 9449 section 7.1); empty where there is none."""
    challenge = response.headers.get("WWW-Authenticate", "") if response.status == 401 else ""  # noqa: PLR2004
    _, _, rest = challenge.partition('error="')
    return rest.partition('"')[0]
