"""The WebDAV tree on a real socket before a whole flow over fakes: requests as clients send them, answers as they read them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from urllib.parse import quote, unquote

from aiohttp import ClientSession
from multidict import CIMultiDict
from yarl import URL

from gateway.core.identity import SENDER_SCOPES
from gateway.core.names import DatasetName
from tests.doors.site import Site
from tests.identity.parties import jwk_of, p256

BASE = "/dav/outbox/hku/trial"
DAV = "{DAV:}"
LOCKINFO = (
    b'<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    b"<D:locktype><D:write/></D:locktype><D:owner><D:href>lin &amp; co</D:href></D:owner></D:lockinfo>"
)


@dataclass
class Told:
    """An answer."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    def responses(self) -> dict[str, dict[str, tuple[int, str | ET.Element]]]:
        """Of a multistatus: by decoded href, property by name with its status and its text, or its element."""
        found = {}
        for each in ET.fromstring(self.body).iter(f"{DAV}response"):
            properties: dict[str, tuple[int, str | ET.Element]] = {}
            for group in each.iter(f"{DAV}propstat"):
                status = int(group.findtext(f"{DAV}status", "").split(" ")[1])
                for one in group.find(f"{DAV}prop"):
                    properties[one.tag.removeprefix(DAV)] = status, one if len(one) else (one.text or "")
            found[unquote(each.findtext(f"{DAV}href", ""))] = properties
        return found

    def listing(self) -> dict[str, int | None]:
        """Of a listing: names below the asked folder with their sizes, None for folders."""
        hrefs = list(self.responses().items())
        folder = hrefs[0][0]
        return {
            href.removeprefix(folder).rstrip("/"): int(about["getcontentlength"][1])
            if "getcontentlength" in about
            else None
            for href, about in hrefs[1:]
        }

    @property
    def token(self) -> str:
        return self.headers["Lock-Token"]

    def condition(self) -> str:
        return next(iter(ET.fromstring(self.body))).tag.removeprefix(DAV)


class DavSite(Site):
    """A site with the verbs of a WebDAV client, and `sz-two`, another client of the same institution."""

    async def found(self) -> DavSite:
        self.keys["sz-two"] = p256()
        await super().found()
        about = {"id": "sz-two", "institution": "sz-lab", "person": "lin", "jwk": jwk_of(self.keys["sz-two"])}
        await self.rig.register(("client", {**about, "scopes": list(SENDER_SCOPES)}))
        return self

    async def dav(
        self, method: str, path: str, body: object = None, *, client: str = "sz", port: int = 0, **headers: str
    ) -> Told:
        """One request; `path` is plain, below the project's folder unless it begins with a slash."""
        target = path if path.startswith("/") else f"{BASE}/{path}"
        url = URL(f"http://127.0.0.1:{port or self.port}{quote(target)}", encoded=True)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with (
            ClientSession(headers=await self.bearer(client)) as session,
            session.request(method, url, data=body, headers=given, allow_redirects=False) as answer,
        ):
            return Told(answer.status, CIMultiDict(answer.headers), await answer.read())

    async def find(self, path: str, depth: str = "0", body: bytes = b"", **about: str) -> Told:
        return await self.dav("PROPFIND", path, body, Depth=depth, **about)

    async def listing(self, path: str, **about: str) -> dict[str, int | None]:
        found = await self.find(path, "1", **about)
        assert found.status == 207, found.body
        return found.listing()

    async def lock(self, path: str, *, client: str = "sz", depth: str = "0", **headers: str) -> Told:
        return await self.dav("LOCK", path, LOCKINFO, client=client, Depth=depth, **headers)

    async def files(self, dataset: str = "d") -> dict[str, int]:
        """What the dataset really holds."""
        name = DatasetName("sz-lab", "hku", "trial", dataset)
        found = await self.rig.folders.files(self.rig.sender, name)
        return {path: each.size for path, each in found.items()}

    async def newest(self, dataset: str = "d"):
        name = DatasetName("sz-lab", "hku", "trial", dataset)
        return (await self.rig.folders.versions(self.rig.sender, name))[0]
