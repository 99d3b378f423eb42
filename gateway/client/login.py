"""Getting a token: the device grant with a person, and silent renewal while the activation lasts.

Client authentication is ``private_key_jwt`` (RFC 7523) or the connection's certificate (RFC 8705), and every
request carries a DPoP proof (RFC 9449); the device grant is RFC 8628. A person approves at the gateway's own
page and compares the key phrase there with the one shown here; nothing is prefilled, nothing is sent by us.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from gateway.client.failures import AnswerRefused
from gateway.client.keys import ClientKey
from gateway.client.problem import GatewayProblem, problem_of
from gateway.client.receipt import receipt_of
from gateway.client.wire import Response, Wire

Prompt = Callable[[str, str, str], Awaitable[None] | None]
"""Shows a person the user code, where to type it, and the key phrase to compare."""

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
NONCE_HEADER: Final = "DPoP-Nonce"
SLOW_DOWN_S: Final = 5
WAIT_MAX_S: Final = 900
RENEW_BEFORE_S: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token and until when it is worth sending."""

    text: str = field(repr=False)
    acr: str
    fresh_until: float
    """Moment of the monotonic clock after which a new one is fetched first."""
    activation: str = ""
    """Of a saved request: the gateway's name of the approval, and its end as ISO 8601."""
    activation_until: str = ""


class Login:
    """What the gateway's OAuth side wants of one client."""

    def __init__(
        self, wire: Wire, *, client: str, key: ClientKey | None, proof_key: ClientKey, issuer: str
    ) -> None:
        """Say who we are with ``key``, else the connection's certificate; bind tokens to ``proof_key``."""
        self._wire = wire
        self._client = client
        self._key = key
        self._proof_key = proof_key
        self._issuer = issuer
        self._nonce: str | None = None  # state: the authorization server's last nonce, owned here

    async def renewed(self, purpose: str, *, activation: str = "") -> Token:
        """Return a token for a purpose; ``aal2`` while a person's activation lasts, else ``aal1``.

        With the activation of a saved request, it is for that request only.
        """
        named = {"activation": activation} if activation else {}
        fields = {"grant_type": "client_credentials", "purpose": purpose, **named}
        return _token_of(await self._post("/oauth/token", **fields))

    async def activated(self, purpose: str, prompt: Prompt, **asked: str) -> Token:
        """Return a token that a person approved; waits until they did.

        ``asked`` says for what: ``hours``, or the fields of one request to save.

        Raises:
            GatewayProblem: They refused, or nobody answered in time.

        """
        device = await self._post("/oauth/device_authorization", purpose=purpose, **asked)
        code, page, phrase, device_code = (
            _text(device, name) for name in ("user_code", "verification_uri", "key_phrase", "device_code")
        )
        shown = prompt(code, page, phrase)
        if shown is not None:
            await shown
        return await self._polled(
            device_code,
            interval_s=_seconds(device, "interval", default=5),
            wait_s=_seconds(device, "expires_in", default=300),
        )

    async def _polled(self, device_code: str, *, interval_s: int, wait_s: int) -> Token:
        """Ask until there is an answer; the gateway says how often (RFC 8628 section 3.5)."""
        give_up_at = time.monotonic() + wait_s
        while True:
            await asyncio.sleep(interval_s)
            try:
                return _token_of(
                    await self._post("/oauth/token", grant_type=DEVICE_GRANT, device_code=device_code)
                )
            except GatewayProblem as problem:
                match problem.members.get("error"):
                    case "authorization_pending":
                        pass
                    case "slow_down":
                        interval_s += SLOW_DOWN_S
                    case _:
                        raise
                if time.monotonic() > give_up_at:
                    raise

    async def _post(self, path: str, **fields: str) -> Mapping[str, object]:
        """Return the JSON answer to a form that says who we are; learns the nonce, once."""
        response = await self._sent(path, fields)
        if _wants_nonce(response):
            response = await self._sent(path, fields)
        if response.status >= 400:  # noqa: PLR2004  the first status that is a refusal
            receipt = receipt_of(response.headers, response.body)
            raise problem_of(response.status, response.content_type, response.body, receipt)
        try:
            document = json.loads(response.body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise AnswerRefused(f"`{path}` did not answer a JSON object")
        return document

    async def _sent(self, path: str, fields: Mapping[str, str]) -> Response:
        def message() -> tuple[dict[str, str], bytes]:
            now = datetime.now(UTC)
            form = {**fields, "client_id": self._client}
            if self._key is not None:
                form["client_assertion_type"] = ASSERTION_TYPE
                form["client_assertion"] = self._key.assertion(
                    client=self._client, issuer=self._issuer, now=now
                )
            proof = self._proof_key.proof(
                method="POST", url=self._wire.origin + path, now=now, nonce=self._nonce
            )
            headers = {"DPoP": proof, "Content-Type": "application/x-www-form-urlencoded"}
            return headers, urlencode(form).encode("ascii")

        response = await self._wire.send("POST", path, message=message)
        self._nonce = response.headers.get(NONCE_HEADER, self._nonce)
        return response


def _wants_nonce(response: Response) -> bool:
    """Return whether the authorization server asks for its nonce (RFC 9449 section 8)."""
    if response.status != 400 or NONCE_HEADER not in response.headers:  # noqa: PLR2004  as the RFC says
        return False
    problem = problem_of(response.status, response.content_type, response.body, None)
    return problem.members.get("error") == "use_dpop_nonce"


def _token_of(document: Mapping[str, object]) -> Token:
    """Return the token of an answer; only DPoP tokens are taken, a thief could use any other."""
    text = document.get("access_token")
    if not isinstance(text, str) or str(document.get("token_type", "")).lower() != "dpop":
        raise AnswerRefused("the token endpoint did not give a DPoP-bound token")
    life_s = _seconds(document, "expires_in", default=0)
    return Token(
        text=text,
        acr=str(document.get("acr", "")),
        fresh_until=time.monotonic() + life_s - min(RENEW_BEFORE_S, life_s // 2),
        activation=str(document.get("activation", "")),
        activation_until=str(document.get("activation_until", "")),
    )


def _seconds(document: Mapping[str, object], name: str, *, default: int) -> int:
    value = document.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= WAIT_MAX_S:
        raise AnswerRefused(f"`{name}` is not a number of seconds up to {WAIT_MAX_S}")
    return value


def _text(document: Mapping[str, object], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise AnswerRefused(f"the answer to the login has no `{name}`")
    return value
