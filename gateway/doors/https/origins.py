"""Pages of other origins that may call the API from a browser (CORS): nobody, unless the operator names them.

A change must keep these:
1. An origin is compared as it is, byte for byte; there is no wildcard, and no credential of the browser's is asked for: the
   caller's token stands in a header that a page has to set itself.
2. Only what is below `/v1/` and `/files/` is opened; what a preflight is answered is the same for every address there.

Source: the Fetch standard, section "HTTP CORS protocol" (https://fetch.spec.whatwg.org/#http-cors-protocol).
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from gateway.core.errors import Unusable

OPENED: Final = ("/v1/", "/files/")
METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
SENT: Final = (
    "Authorization, Content-Type, Accept-Language, Idempotency-Key, Content-Digest, Repr-Digest, Tus-Resumable, "
    "Upload-Length, Upload-Defer-Length, Upload-Offset, Upload-Metadata, Upload-Checksum, Upload-Concat, "
    "X-HTTP-Method-Override, X-Request-Id, X-Requested-With"
)
SHOWN: Final = (
    "Location, Repr-Digest, Retry-After, WWW-Authenticate, X-Request-Id, Tus-Resumable, Tus-Version, Tus-Extension, "
    "Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, Upload-Length, Upload-Defer-Length, Upload-Metadata, "
    "Upload-Expires, Upload-Concat"
)
REMEMBERED: Final = "600"  # seconds a browser keeps the answer
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")


def parse_origins(text: str) -> frozenset[str]:
    """Origins apart by white space, as browsers write them (RFC 6454 section 6.2); raises Unusable."""
    origins = frozenset(text.split())
    if not all(_ORIGIN.fullmatch(each) for each in origins):
        raise Unusable(
            "https.origins lists origins like https://portal.example:8444, in lower case and without a path",
            code="bad-settings",
        )
    return origins


class Origins:
    """Who is named, and what that changes in answers."""

    def __init__(self, named: frozenset[str] = frozenset()) -> None:
        self._named = named

    def preflight(self, request: web.Request) -> web.Response | None:
        """The answer to a browser's question before the request itself, which has no credential; None for all else."""
        asked = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not asked or not self._may(request):
            return None
        headers = {
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": SENT,
            "Access-Control-Max-Age": REMEMBERED,
        }
        return web.Response(status=204, headers=headers)

    def dress(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let the page of a named origin read an answer."""
        if not self._named or not request.path.startswith(OPENED):
            return
        varies = response.headers.get("Vary")
        response.headers["Vary"] = f"{varies}, Origin" if varies else "Origin"
        if self._may(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = SHOWN

    def _may(self, request: web.Request) -> bool:
        given = request.headers.getall("Origin", [])
        return len(given) == 1 and given[0] in self._named and request.path.startswith(OPENED)
