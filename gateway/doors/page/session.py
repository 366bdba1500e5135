"""The session of a request: what the door needs of sessions, and the cookie that carries one.

A change must keep these:
1. `__Host-` in its name binds the cookie to this host, TLS and every path: browsers refuse it otherwise.
2. No script reads it (HttpOnly) and no other site sends it (SameSite=Strict).

Source: RFC 6265bis section 4.1.3.2 (cookie prefixes).
"""

from __future__ import annotations

from typing import Final, Protocol

from aiohttp import web

from gateway.core.identity import Principal


class Session(Protocol):
    """A person who is signed in."""

    @property
    def principal(self) -> Principal:
        """Who."""

    @property
    def user(self) -> str:
        """The user name."""

    @property
    def id(self) -> str:
        """What it is ended by."""

    @property
    def form_token(self) -> str:
        """What every form must carry."""

    @property
    def cookie(self) -> str:
        """A new cookie's value; empty where the browser's still does."""


class Sessions(Protocol):
    """What this door needs of sessions (`gateway.identity.sessions`)."""

    async def begin(self, user: str, secret: str) -> Session:
        """Sign in; raises NotAuthenticated with `invalid-password`."""

    async def current(self, cookie: str) -> Session:
        """The session of a cookie; raises NotAuthenticated with `session-ended`."""

    async def end(self, user: str, session: str) -> None:
        """End a session by its id, everywhere."""


SESSION: Final = web.RequestKey("session", Session)
COOKIE: Final = "__Host-hetao-session"


def give(response: web.StreamResponse, session: Session) -> None:
    """Let the browser have a session's cookie, for as long as the browser runs: the gateway says when it ends."""
    response.set_cookie(COOKIE, session.cookie, path="/", secure=True, httponly=True, samesite="Strict")


def take(response: web.StreamResponse) -> None:
    """Let the browser forget it."""
    response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
