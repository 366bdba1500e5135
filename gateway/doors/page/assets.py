"""The style sheet and the script: read once, named by their digests, with what browsers check them against.

A change must keep these:
1. An address names content, so that it may be kept for a year; another content has another address.
2. Nothing is served but the files named here.

Source: W3C Subresource Integrity.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from aiohttp import web

from gateway.core.errors import NotFound

TYPES: Final[Mapping[str, str]] = {"page.css": "text/css", "page.js": "text/javascript"}
KEPT: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """A file the page brings.

    Attributes:
        address: Where it is.
        integrity: For the element that asks for it.
        media_type: Its type.
        content: Its bytes.
    """

    address: str
    integrity: str
    media_type: str
    content: bytes


def read_assets() -> dict[str, Asset]:
    """The files of the package, by name."""
    folder = files("gateway.doors.page") / "static"
    return {name: _asset(name, media_type, (folder / name).read_bytes()) for name, media_type in TYPES.items()}


def _asset(name: str, media_type: str, content: bytes) -> Asset:
    digest = hashlib.sha384(content).digest()
    address = f"/static/{digest.hex()[:32]}/{name}"
    return Asset(address, f"sha384-{base64.b64encode(digest).decode()}", media_type, content)


class AssetPages:
    """Everything under `/static/`."""

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        self._assets = {asset.address: asset for asset in assets.values()}

    async def static(self, request: web.Request) -> web.StreamResponse:
        """GET /static/{digest}/{name}."""
        asset = self._assets.get(request.path)
        if asset is None:
            raise NotFound("there is nothing at this address", code="no-such-route")
        headers = {"Cache-Control": KEPT, "ETag": f'"{asset.integrity}"'}
        return web.Response(body=asset.content, content_type=asset.media_type, charset="utf-8", headers=headers)
