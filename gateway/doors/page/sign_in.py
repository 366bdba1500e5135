"""Signing in and out, and the language of the page.

A change must keep these:
1. Whatever is wrong with a sign-in has one answer. It is counted, and a banned address is answered before its form is read.
2. What was typed for a password is never shown again.
3. Nobody is sent anywhere but to pages of this door.
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from gateway.core.catalogue import LANGUAGES
from gateway.core.errors import NotAuthenticated, Unusable
from gateway.core.identity import Door
from gateway.doors.https.bodies import BodyLimits
from gateway.doors.https.guard import LANGUAGE
from gateway.doors.https.sign_in import refuse_banned
from gateway.doors.page.forms import read_form
from gateway.doors.page.session import SESSION, Sessions, give, take
from gateway.doors.page.sheets import LANGUAGE_COOKIE, Sheets
from gateway.flow.defender import Defender

HOME: Final = "/transfers"
MAX_TYPED: Final = 256
_YEAR: Final = 365 * 24 * 3600
_BACK: Final = re.compile(r"/(?:sign-in|transfers(?:/new|/t[a-z2-7]{24})?)(?:\?after=t[a-z2-7]{24})?")


class SignInPages:
    """`/`, `/sign-in`, `/sign-out` and `/language`."""

    def __init__(self, *, sessions: Sessions, defender: Defender, sheets: Sheets, limits: BodyLimits) -> None:
        self._sessions = sessions
        self._defender = defender
        self._sheets = sheets
        self._limits = limits

    async def home(self, request: web.Request) -> web.StreamResponse:
        """GET /."""
        return see(HOME if SESSION in request else "/sign-in")

    async def show_sign_in(self, request: web.Request) -> web.StreamResponse:
        """GET /sign-in."""
        back = parse_back(request.query.get("back", ""))
        if SESSION in request:
            return see(back)
        return self._sheets.page(request, "sign_in", user="", back=back, wrong=None)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """POST /sign-in."""
        remote = request.remote or ""
        refuse_banned(self._defender, remote)
        form = await read_form(request, self._limits, bound=self._limits.form)
        user, secret = form.get("user", "").strip(), form.get("password", "").strip()
        back = parse_back(form.get("back", ""))
        try:
            if max(len(user), len(secret)) > MAX_TYPED:
                raise NotAuthenticated("user name or password does not hold", code="invalid-password")
            session = await self._sessions.begin(user, secret)
        except NotAuthenticated as refused:
            self._defender.failed(remote, Door.PAGE.value)
            wrong = self._sheets.complaint(refused, request[LANGUAGE])
            return self._sheets.page(request, "sign_in", status=401, user=user[:MAX_TYPED], back=back, wrong=wrong)
        self._defender.succeeded(remote)
        response = see(back)
        give(response, session)
        return response

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """POST /sign-out."""
        session = request.get(SESSION)
        if session is not None:
            await read_form(request, self._limits, bound=self._limits.form, token=session.form_token)
            await self._sessions.end(session.user, session.id)
        response = see("/sign-in")
        take(response)
        return response

    async def language(self, request: web.Request) -> web.StreamResponse:
        """POST /language: nothing but a cookie that anybody may have."""
        form = await read_form(request, self._limits, bound=self._limits.form)
        chosen = form.get("language", "")
        if chosen not in LANGUAGES:
            raise Unusable(f"the languages here are {', '.join(LANGUAGES)}")
        response = see(parse_back(form.get("back", "")))
        response.set_cookie(
            LANGUAGE_COOKIE, chosen, path="/", max_age=_YEAR, secure=True, httponly=True, samesite="Strict"
        )
        return response


def parse_back(given: str) -> str:
    """Where somebody was: a page of this door, or the first one."""
    return given if _BACK.fullmatch(given) else HOME


def see(address: str) -> web.Response:
    """Send the browser on (RFC 9110 section 15.4.4)."""
    return web.Response(status=303, headers={"Location": address})
