"""Signing in: an access token for an assertion signed with the client's key, or for its certificate.

A change must keep these:
1. A refused sign-in is not tried again: the gateway bans addresses whose sign-ins fail.
2. Neither assertion nor token is ever written anywhere.

Sources: RFC 6749 section 4.4, RFC 7523 section 2.2 (private_key_jwt), RFC 8705 section 2 (certificates).
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.cli.send.answers import Answer
from gateway.cli.send.keys import Signing
from gateway.core.errors import NotAuthenticated

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PATH: Final = "/oauth2/token"
_LIFE: Final = 60  # seconds an assertion is good for
_MARGIN: Final = 30  # a token that ends this soon is not begun with

Post = Callable[[Mapping[str, str]], Awaitable[Answer]]


@dataclass(frozen=True)
class Token:
    """An access token and when it ends, monotonic seconds."""

    value: str
    ends: float

    def good(self, now: float) -> bool:
        """Whether a request may begin with it."""
        return now < self.ends - _MARGIN


class SignIn:
    """Gets tokens.

    Args:
        client: The registered client's id.
        audience: URL of the token endpoint, as the gateway knows it.
        key: What signs; None where a certificate is the proof.
    """

    def __init__(self, client: str, audience: str, key: Signing | None) -> None:
        self._client = client
        self._audience = audience
        self._key = key

    async def token(self, post: Post) -> Token:
        """A fresh token.

        Args:
            post: Sends a form to the token endpoint.

        Raises:
            NotAuthenticated: The gateway refuses, with what to look at.
        """
        form = {"grant_type": "client_credentials", "client_id": self._client}
        if self._key is not None:
            assertion = await make_assertion(self._client, self._audience, self._key, int(time.time()))
            form |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        began = time.monotonic()
        answer = await post(form)
        token, lasts = answer.body.get("access_token"), answer.body.get("expires_in", 60)
        if not answer.fine or not isinstance(token, str) or type(lasts) is not int:
            raise NotAuthenticated(
                f"signing in as {self._client} was refused: {answer.says}; look at --client, --key, --audience "
                f"({self._audience}) and this machine's clock"
            )
        return Token(token, began + lasts)


async def make_assertion(client: str, audience: str, key: Signing, now: int) -> str:
    """A client assertion, a compact JWS.

    Args:
        client: Who says so.
        audience: To whom.
        key: What signs.
        now: Seconds since 1970.
    """
    claims = {"iss": client, "sub": client, "aud": audience, "iat": now, "exp": now + _LIFE}
    claims["jti"] = secrets.token_urlsafe(16)
    signed = f"{_part({'typ': 'JWT', 'alg': key.algorithm})}.{_part(claims)}"
    return f"{signed}.{_base64url(await key.sign(signed.encode()))}"


def _part(table: Mapping[str, object]) -> str:
    return _base64url(json.dumps(table, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
