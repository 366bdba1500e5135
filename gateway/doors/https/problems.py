"""What went wrong, for people and for programs: one table from the core's errors to RFC 9457 problems.

A change must keep these:
1. `type` is `urn:hetao:problem:<code>` and a code never changes its meaning or its status.
2. What is our doing (5xx) is told without detail: messages from stores and keys are for the log, not for the caller.
3. Title and remedy are in the caller's language; the detail is the error's own sentence, in English.
4. A code that is not in the table is answered as its class is: nothing new leaks by being new.

Sources: RFC 9457, RFC 9110 (status codes, Retry-After), RFC 6585 section 4 (429), RFC 4918 section 11.3 (423), tus 1.0.0 (460),
RFC 6750 section 3 (WWW-Authenticate).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from gateway.core.catalogue import Catalogue
from gateway.core.errors import (
    BrokenPromise,
    CallerError,
    Conflict,
    EndpointError,
    GatewayError,
    Incomplete,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    StoreError,
    TooLarge,
    Unusable,
)
from gateway.wire.problem import MEDIA_TYPE, Problem

TYPE: Final = "urn:hetao:problem:"
RETRY_AFTER: Final = "5"  # seconds; a database that was busy or away is asked again no sooner

STATUS: Final[Mapping[str, int]] = {
    "bad-catalogue": 500,
    "bad-declaration": 422,
    "bad-digest": 400,
    "bad-header": 400,
    "bad-identifier": 400,
    "bad-json": 400,
    "bad-metadata": 400,
    "bad-path": 400,
    "bad-query": 400,
    "bad-request": 400,
    "body-timeout": 408,
    "broken-promise": 500,
    "checksum-mismatch": 460,
    "conflict": 409,
    "digest-mismatch": 400,
    "disk-full": 507,
    "empty-submission": 422,
    "endpoint": 502,
    "expectation": 417,
    "folding-names": 422,
    "idempotency-key-used": 422,
    "incomplete": 400,
    "internal": 500,
    "invalid-token": 401,
    "malformed-request": 400,
    "method-not-allowed": 405,
    "no-receipt": 409,
    "no-such-file": 404,
    "no-such-route": 404,
    "no-such-transfer": 404,
    "no-such-upload": 404,
    "not-authenticated": 401,
    "not-found": 404,
    "not-initialised": 503,
    "not-permitted": 403,
    "not-registered": 404,
    "offset-mismatch": 409,
    "quota-reached": 413,
    "store": 503,
    "too-large": 413,
    "too-many-failures": 429,
    "too-many-transfers": 429,
    "tus-version": 412,
    "unsupported-coding": 415,
    "unsupported-media": 415,
    "unusable": 400,
    "upload-busy": 423,
    "upload-final": 403,
    "upload-gone": 410,
    "wrong-state": 409,
}
"""Status by code; every code here has a title and a remedy in the catalogue (a test compares)."""

_CLASSES: Final[tuple[type[GatewayError], ...]] = (
    Unusable,
    NotAuthenticated,
    NotPermitted,
    NotFound,
    Conflict,
    TooLarge,
    Incomplete,
    CallerError,
    EndpointError,
    StoreError,
    BrokenPromise,
)


def known_code(failure: GatewayError) -> str:
    """The code a failure is answered under: its own where the table has it, else its class's."""
    if failure.code in STATUS:
        return failure.code
    return next((kind.code for kind in _CLASSES if isinstance(failure, kind)), GatewayError.code)


def answer_problem(
    failure: GatewayError, *, catalogue: Catalogue, language: str, request_id: str, challenge: str = ""
) -> web.Response:
    """The problem document for a failure.

    Args:
        failure: What happened.
        catalogue: The texts.
        language: One of the catalogue's languages.
        request_id: Names this occurrence, in the answer as in the log.
        challenge: What a 401 or 403 says in WWW-Authenticate.
    """
    code = known_code(failure)
    status = STATUS[code]
    problem = Problem(
        type=TYPE + code,
        title=catalogue.text(f"problem.{code}", language),
        status=status,
        detail=failure.message if status < 500 else "",
        instance=f"urn:hetao:request:{request_id}",
        extensions={
            "code": code,
            "remedy": catalogue.text(f"remedy.{code}", language),
            "retry": failure.retry or status in {503, 507},
        },
    )
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Language": language,
        "Vary": "Accept-Language",
        "Cache-Control": "no-store",
    }
    if status in {503, 507}:
        headers["Retry-After"] = RETRY_AFTER
    if failure.wait:
        headers["Retry-After"] = str(failure.wait)
    if challenge and status in {401, 403}:
        headers["WWW-Authenticate"] = challenge
    if code == "unsupported-coding":
        headers["Accept-Encoding"] = "identity"  # RFC 9110 section 12.5.3
    return web.Response(status=status, body=problem.encode(), headers=headers)
