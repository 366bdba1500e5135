"""The upload page on a real socket before a whole flow over fakes; and a browser that keeps cookies and follows nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

from aiohttp import ClientSession, DummyCookieJar

from gateway.core.facts import local_day
from gateway.core.identity import SENDER_SCOPES
from gateway.core.records import password_digest
from gateway.doors.https import serving
from gateway.doors.page import make_page_app
from gateway.doors.page.session import COOKIE
from gateway.flow.defender import Defender
from gateway.identity.jwk import TokenKey
from gateway.identity.sessions import PageSessions
from tests.doors.site import Site
from tests.flow.rig import policies
from tests.identity.parties import ISSUER

PASSWORDS = {"lin-page": "hap_" + "q2" * 16, "lin-reader": "hap_" + "r3" * 16, "li-page": "hap_" + "s4" * 16}


class Sheet(HTMLParser):
    """What a page holds: its elements, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.inline: list[str] = []
        self._within = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in {"script", "style"} and data.strip():
            self.inline.append(data)
        elif data.strip():
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [
            found for name, found in self.elements if name == tag and attributes.items() <= found.items()
        ]  # of these attributes at least


@dataclass
class Seen:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: list[str]

    @property
    def sheet(self) -> Sheet:
        return Sheet(self.body.decode())


@dataclass
class Browser:
    """A client with cookies of its own, which says what browsers say of a request of the page itself."""

    site: PageSite
    client: ClientSession
    language: str = "en"
    cookies: dict[str, str] = field(default_factory=dict)
    fetch_site: str | None = "same-origin"

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, data: Any = None, **about: Any
    ) -> Seen:
        said = {"Accept-Language": self.language, **(headers or {})}
        if self.cookies:
            said["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if self.fetch_site is not None:
            said["Sec-Fetch-Site"] = self.fetch_site
        async with self.client.request(
            method, target, headers=said, data=data, allow_redirects=False, **about
        ) as answer:
            given = answer.headers.getall("Set-Cookie", [])
            for each in given:
                name, _, value = each.partition(";")[0].partition("=")
                self.cookies[name] = value.strip('"')
                if not self.cookies[name]:
                    del self.cookies[name]
            return Seen(answer.status, answer.headers, await answer.read(), given)

    async def get(self, target: str, **about: Any) -> Seen:
        return await self.ask("GET", target, **about)

    async def post(self, address: str, **fields: str) -> Seen:
        return await self.ask("POST", address, data=fields or {"nothing": ""})

    async def sign_in(self, user: str = "lin-page", password: str = "") -> Seen:
        return await self.post("/sign-in", user=user, password=password or PASSWORDS[user])

    async def token(self) -> str:
        sheet = (await self.get("/transfers")).sheet
        return sheet.all("input", name="form_token")[0]["value"]

    async def submit(self, address: str, **fields: str) -> Seen:
        """Send a form with its token."""
        return await self.post(address, form_token=await self.token(), **fields)


class PageSite(Site):
    """Passwords of one institution that may send (`lin-page`) or read (`lin-reader`), and of another (`li-page`)."""

    async def found(self) -> PageSite:
        await super().found()
        await self.rig.register(*(self.password(name) for name in PASSWORDS))
        self.key = TokenKey(self.folder / "tokens.pem")  # the one that signs access tokens, as at the gateway
        return self

    def password(self, name: str, **changes: Any) -> tuple[str, dict[str, Any]]:
        today = local_day(self.rig.clock.now())
        institution, person = ("gz-lab", "li-si") if name == "li-page" else ("sz-lab", "lin")
        table = {
            "id": name,
            "institution": institution,
            "person": person,
            "digest": password_digest(name, PASSWORDS[name]),
            "valid_from": today,
            "valid_to": today + timedelta(days=30),
            "scopes": ["transfers:read"] if name == "lin-reader" else list(SENDER_SCOPES),
        }
        return "password", table | changes

    def sessions(self) -> PageSessions:
        """As another process makes them: they share nothing but the database and the key."""
        rig = self.rig
        return PageSessions(
            passwords=self.passwords,
            records=rig.records,
            clock=rig.clock,
            entropy=rig.entropy,
            issuer=ISSUER,
            key=self.key,
        )

    def page_app(self, defender: Defender | None = None):
        return make_page_app(
            intake=self.rig.intake,
            uploads=self.rig.uploads,
            enquiry=self.rig.enquiry,
            sessions=self.sessions(),
            rulebook=policies().rulebook,
            catalogue=self.catalogue,
            observer=self.rig.observer,
            defender=defender or self.rig.defender,
        )

    @asynccontextmanager
    async def paged(self, defender: Defender | None = None) -> AsyncIterator[Browser]:
        about: dict[str, Any] = {"tls": None, "shutdown_seconds": 1.0}
        async with (
            serving(self.page_app(defender), host="127.0.0.1", port=0, **about) as self.port,
            ClientSession(f"http://127.0.0.1:{self.port}", cookie_jar=DummyCookieJar()) as client,
        ):
            yield Browser(self, client)

    def signed_in(self, browser: Browser) -> bool:
        return COOKIE in browser.cookies
