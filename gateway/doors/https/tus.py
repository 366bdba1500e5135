"""tus 1.0.0 at `/files/`: uploads that break off and go on. Header fields in, the flow's verbs out.

What it is not: the rules of the protocol (`gateway.wire.tus`), or what is kept (`gateway.flow.uploads`).

A change must keep these:
1. `Upload-Metadata` names the transfer and the path; an upload whose file nobody could place is not begun.
2. Every answer below `/files/` says `Tus-Resumable`; a request that does not, or says another version, is not processed.
3. A body with `Upload-Checksum` counts when it has it, and not before: none of it is kept where it breaks off.
4. Addresses hold a token and nothing else: no name stands in one.

Source: https://tus.io/protocols/resumable-upload, version 1.0.0.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from gateway.core.errors import CallerError, Conflict, GatewayError, NotFound, TooLarge, Unusable
from gateway.core.identity import Principal
from gateway.core.names import parse_path
from gateway.doors.https.bodies import BodyLimits, has_body, refuse_codings, stream
from gateway.doors.https.guard import PRINCIPAL
from gateway.flow.incoming import Announced
from gateway.flow.uploads import Addition, Kept, Uploads, Wanted
from gateway.ports import Upload
from gateway.wire import Malformed, tus
from gateway.wire.crypt4gh import Buffer

PREFIX: Final = "/files/"
_TOKEN: Final = re.compile(r"[0-9a-f]{48}")
_ADDRESS: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*)?/files/([0-9a-f]{48})")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_SECONDS: Final = re.compile(r"[0-9]{1,11}(?:\.[0-9]{1,9})?", re.ASCII)
_SIZED: Final = ("Upload-Length", "Upload-Defer-Length")


class TusPages:
    """Everything under `/files/`."""

    def __init__(self, *, uploads: Uploads, limits: BodyLimits) -> None:
        self._uploads = uploads
        self._limits = limits

    async def tus_options(self, _request: web.Request) -> web.StreamResponse:
        """OPTIONS /files/: what this server does; `Tus-Resumable` is not asked for here."""
        return web.Response(status=204, headers=tus.capabilities(self._uploads.max_size))

    async def create_upload(self, request: web.Request) -> web.StreamResponse:
        """POST /files/: a new upload, with its first bytes if they come along; or a file made of pieces."""
        _speaks(request)
        if _method(request) != "POST":
            raise CallerError("an upload is made by POST", code="method-not-allowed")
        principal, concat = request[PRINCIPAL], _concat(request)
        wanted = parse_wanted(
            _one(request, "Upload-Metadata"), _length(request, concat), _one(request, "Upload-Concat")
        )
        if concat is not None and concat.final:
            if has_body(request):
                raise Unusable("a file made of pieces has no bytes of its own", code="bad-header")
            joined = await self._uploads.join(principal, wanted, [_piece(each) for each in concat.pieces])
            return _made(request, Kept(joined, joined.length or 0))
        brings = has_body(request)
        if brings:
            _refuse_other_media(request)
        checksum = _checksum(request)
        upload = await self._uploads.make(principal, wanted)
        if not brings and wanted.length != 0:
            return _made(request, Kept(upload, 0))
        try:
            kept = await self._append(request, upload.id, 0, None, checksum)
        except GatewayError:
            await self._uploads.end(principal, upload.id)  # nobody was told its address
            raise
        return _made(request, kept, brought=True)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """HEAD, PATCH and DELETE of an upload; POST with X-HTTP-Method-Override for those that can send no other."""
        _speaks(request)
        upload_id = request.match_info["upload"]
        if not _TOKEN.fullmatch(upload_id):
            raise NotFound("there is no such upload: make a new one", code="no-such-upload")
        method = _method(request)
        if method == "HEAD":
            return web.Response(headers=tus.said(state_of(await self._uploads.look(request[PRINCIPAL], upload_id))))
        if method == "DELETE":
            await self._uploads.end(request[PRINCIPAL], upload_id)
            return web.Response(status=204)
        if method != "PATCH":
            raise CallerError("an upload takes HEAD, PATCH and DELETE only", code="method-not-allowed")
        _refuse_other_media(request)
        offset = _count(request, "Upload-Offset")
        if offset is None:
            raise Unusable("a PATCH says its Upload-Offset", code="bad-header")
        length, checksum = _count(request, "Upload-Length"), _checksum(request)
        kept = await self._append(request, upload_id, offset, length, checksum)
        return web.Response(status=204, headers=_progress(kept))

    async def _append(
        self, request: web.Request, upload_id: str, offset: int, length: int | None, checksum: tus.Checksum | None
    ) -> Kept:
        principal: Principal = request[PRINCIPAL]
        async with aclosing(_checked(request, self._limits, checksum)) as body:
            size = request.content_length if "Transfer-Encoding" not in request.headers else None
            added = Addition(
                offset=offset,
                body=body,
                hang_up=lambda: _hang_up(request),
                size=size,
                length=length,
                whole=checksum is not None,
            )
            return await self._uploads.append(principal, upload_id, added, _judge)


def dress(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer below `/files/` says."""
    if request.path.startswith(PREFIX):
        response.headers["Tus-Resumable"] = tus.VERSION
        if response.status == 412:
            response.headers["Tus-Version"] = tus.VERSION


# --- the request -----------------------------------------------------------------------------------------------------


def _speaks(request: web.Request) -> None:
    if _one(request, "Tus-Resumable") != tus.VERSION:
        raise CallerError(f"this speaks tus {tus.VERSION}: say Tus-Resumable: {tus.VERSION}", code="tus-version")


def _method(request: web.Request) -> str:
    """The method that is meant: X-HTTP-Method-Override goes before the request's own."""
    return _one(request, "X-HTTP-Method-Override").upper() or request.method


def _one(request: web.Request, name: str) -> str:
    given = request.headers.getall(name, [])
    if len(given) > 1:
        raise Unusable(f"{name} stands there twice", code="bad-header")
    return given[0].strip() if given else ""


def _count(request: web.Request, name: str) -> int | None:
    given = _one(request, name)
    if not given:
        return None
    try:
        return tus.parse_count(given)
    except Malformed as wrong:
        raise Unusable(f"{name}: {wrong}", code="bad-header") from wrong


def _length(request: web.Request, concat: tus.Concat | None) -> int | None:
    """Bytes of the whole; None where that is said later, or follows from pieces."""
    said = [name for name in _SIZED if _one(request, name)]
    if concat is not None and concat.final:
        if said:
            raise Unusable("a file made of pieces has their length: send none", code="bad-header")
        return None
    deferred = _one(request, "Upload-Defer-Length")
    if len(said) != 1 or deferred not in {"", "1"}:
        raise Unusable("say Upload-Length in bytes, or Upload-Defer-Length: 1", code="bad-header")
    return _count(request, "Upload-Length")


def _concat(request: web.Request) -> tus.Concat | None:
    given = _one(request, "Upload-Concat")
    try:
        return tus.parse_concat(given) if given else None
    except Malformed as wrong:
        raise Unusable(str(wrong), code="bad-header") from wrong


def _checksum(request: web.Request) -> tus.Checksum | None:
    given = _one(request, "Upload-Checksum")
    try:
        return tus.parse_checksum(given) if given else None
    except Malformed as wrong:
        raise Unusable(str(wrong), code="bad-header") from wrong


def _piece(url: str) -> str:
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise NotFound("a piece is named by the URL it was given: name those", code="no-such-upload")
    return found[1]


def _refuse_other_media(request: web.Request) -> None:
    refuse_codings(request)
    if request.content_type != tus.MEDIA_TYPE:
        raise CallerError(f"send {tus.MEDIA_TYPE}", code="unsupported-media")


async def _checked(request: web.Request, limits: BodyLimits, checksum: tus.Checksum | None) -> AsyncGenerator[Buffer]:
    """The body, piece by piece; at its end it has the checksum, or Conflict is raised."""
    digest = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
    async with aclosing(stream(request, Announced(), limits, rest=True)) as body:
        async for piece in body:
            if digest is not None:
                digest.update(piece)  # at most 512 KiB: about a millisecond of the loop's time
            yield piece
    if checksum and digest and not hmac.compare_digest(digest.digest(), checksum.digest):
        raise Conflict("the bytes do not have the checksum: send them again", code="checksum-mismatch")


def _hang_up(request: web.Request) -> None:
    """End a connection whose upload another request has; what it still brings is cut off."""
    if request.transport is not None:
        request.transport.abort()


def _judge(kept: Kept, added: Addition) -> None:
    match tus.judge(state_of(kept), added.offset, size=added.size, length=added.length):
        case tus.Refusal.FINAL:
            raise Conflict("a file made of pieces takes no bytes", code="upload-final")
        case tus.Refusal.OFFSET:
            raise Conflict(
                f"{kept.offset} bytes are kept, and Upload-Offset is {added.offset}: go on from there",
                code="offset-mismatch",
            )
        case tus.Refusal.LENGTH:
            raise Unusable("Upload-Length is said once, and is not less than what is kept", code="bad-header")
        case tus.Refusal.TOO_LONG:
            raise TooLarge("more bytes come than belong to this upload: send what is missing")


# --- metadata --------------------------------------------------------------------------------------------------------


def parse_wanted(metadata: str, length: int | None, concat: str) -> Wanted:
    """What `Upload-Metadata` says of an upload: `transfer`, `path`, and where they are there `sha256` and `mtime`.

    A piece needs no path. Other keys are kept and mean nothing here.

    Raises:
        Unusable: Something is missing, or cannot be read.
        NotFound: The transfer is none of ours.
    """
    try:
        said = {key: value.decode() for key, value in tus.parse_metadata(metadata).items() if key in _KEYS}
    except (Malformed, UnicodeDecodeError) as wrong:
        raise Unusable(f"Upload-Metadata cannot be read: {wrong}", code="bad-metadata") from wrong
    piece = concat == "partial"
    missing = [key for key in (("transfer",) if piece else ("transfer", "path")) if not said.get(key)]
    if missing:
        raise Unusable(
            f"Upload-Metadata lacks {' and '.join(missing)}: name the transfer you opened with POST /v1/transfers, "
            "and the file's path in the dataset",
            code="bad-metadata",
        )
    sha256 = said.get("sha256", "")
    if sha256 and not _SHA256.fullmatch(sha256):
        raise Unusable("sha256 in Upload-Metadata is 64 hexadecimal digits", code="bad-metadata")
    return Wanted(
        transfer_id=said["transfer"],
        path="" if piece else parse_path(said["path"]),
        length=length,
        metadata=metadata,
        concat=concat,
        sha256="" if piece else sha256.lower(),
        modified=_mtime(said["mtime"]) if said.get("mtime") else None,
    )


_KEYS: Final = frozenset({"transfer", "path", "sha256", "mtime"})


def _mtime(text: str) -> datetime:
    try:
        at = datetime.fromtimestamp(float(text), UTC) if _SECONDS.fullmatch(text) else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        at = None
    if at is None or at.tzinfo is None:
        raise Unusable(
            "mtime in Upload-Metadata is seconds since 1970, or RFC 3339 with an offset", code="bad-metadata"
        )
    return at.astimezone(UTC)


# --- answers ---------------------------------------------------------------------------------------------------------


def state_of(kept: Kept) -> tus.State:
    """An upload in the protocol's words; one that is done expires, too, but its file does not."""
    upload = kept.upload
    return tus.State(
        offset=kept.offset,
        length=upload.length,
        metadata=upload.metadata,
        concat=upload.concat,
        expires=None if upload.done else upload.expires,
    )


def _progress(kept: Kept) -> Mapping[str, str]:
    return {"Upload-Offset": str(kept.offset), **tus.expiry(state_of(kept))}


def _made(request: web.Request, kept: Kept, *, brought: bool = False) -> web.Response:
    said = _progress(kept)
    if not brought:
        said = {name: value for name, value in said.items() if name != "Upload-Offset"}
    return web.Response(status=201, headers={"Location": _address(request, kept.upload), **said})


def _address(request: web.Request, upload: Upload) -> str:
    """Where the upload is: absolute, as some clients need it, as the caller itself named this host.

    Without TLS of our own something in front ended it, and only the caller knows how it got here: relative then.
    """
    named = request.secure and _HOST.fullmatch(request.host)
    return f"https://{request.host}{PREFIX}{upload.id}" if named else f"{PREFIX}{upload.id}"
