"""What people fill in, as browsers send it: fields by name, bounded and each once.

A change must keep these:
1. Nothing of a form is looked at before its token was compared: another site's form has none.
2. A field that stands twice, or a form of another type or encoding, is refused.

Source: the URL standard, section "application/x-www-form-urlencoded".
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from gateway.core.errors import CallerError, NotPermitted, Unusable
from gateway.doors.https.bodies import BodyLimits, read_whole

FORM: Final = "application/x-www-form-urlencoded"
TOKEN: Final = "form_token"  # noqa: S105  # the name of the field
MAX_FIELDS: Final = 64


async def read_form(request: web.Request, limits: BodyLimits, *, bound: int, token: str = "") -> Mapping[str, str]:
    """The fields of a form.

    Args:
        request: A POST.
        limits: Bounds on bodies.
        bound: Bytes it may have.
        token: What it must carry; empty where nobody is signed in yet.

    Raises:
        CallerError: Another media type.
        Unusable: No form, or a field stands twice.
        NotPermitted: `cross-site`, where the token is missing or another.
    """
    if request.content_type != FORM:
        raise CallerError(f"send {FORM}", code="unsupported-media")
    body = await read_whole(request, bound, limits)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as wrong:
        raise Unusable("this form cannot be read: load the page again") from wrong
    form = dict(pairs)
    if token:
        check_token(form.get(TOKEN, ""), token)
    if len(form) != len(pairs):
        raise Unusable("a field stands twice: load the page again")
    return form


def check_token(given: str, wanted: str) -> None:
    """Raise NotPermitted where a request does not carry its session's token."""
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise NotPermitted("this form is not of this sign-in: load the page again", code="cross-site")
