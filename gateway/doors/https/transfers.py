"""The pages of transfers: JSON and files in, the flow's verbs, JSON out.

A change must keep these:
1. A file's path is parsed from the raw request target: a decoder in between would turn `%2F` into a separator and
   `%2e%2e` into a parent folder. A query on it is refused: it was part of a name that somebody forgot to encode.
2. Unknown members and query parameters are refused (`schema`, `queries`): a misspelt filter must not show everything.
3. Where the secrecy rule fired, a sender learns nothing of the rules: not from the transfer, its ledger entries or a filter.

Sources: RFC 9110, RFC 9530 (Repr-Digest), RFC 8187 is not needed: no name ever stands in a header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web

from gateway.core.catalogue import LANGUAGES, Catalogue
from gateway.core.errors import NotFound, Unusable
from gateway.core.names import parse_path, parse_raw_url_path
from gateway.core.transfer import Transfer
from gateway.doors.https.bodies import BodyLimits, announced, has_body, read_json, stream
from gateway.doors.https.guard import LANGUAGE, PRINCIPAL
from gateway.doors.https.models import ID, NewTransfer, Submission
from gateway.doors.https.queries import idempotency_key, link_to_next, page_of, read_filter, read_page
from gateway.doors.https.schema import check
from gateway.flow.enquiry import SECRECY_RULE, Enquiry, file_view, sender_decision, sender_view
from gateway.flow.intake import Intake
from gateway.ports import StoredFile
from gateway.wire.digests import format_digest

SIGNATURE_TYPE: Final = "application/x-ssh-signature"
_ID: Final = re.compile(ID)
_AUTHORITY: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_FILE_TARGET: Final = re.compile(r"/v1/transfers/[^/?#]+/files/([^?#]*)")


class TransferPages:
    """Everything under `/v1/`."""

    def __init__(self, *, intake: Intake, enquiry: Enquiry, catalogue: Catalogue, limits: BodyLimits) -> None:
        self._intake = intake
        self._enquiry = enquiry
        self._catalogue = catalogue
        self._limits = limits

    async def endpoints(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/endpoints."""
        return web.json_response({"endpoints": await self._enquiry.endpoints(request[PRINCIPAL])})

    # --- transfers ---------------------------------------------------------------------------------------------------

    async def open_transfer(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/transfers."""
        about = await read_json(request, self._limits.json, self._limits)
        check(NewTransfer, about)
        opened = await self._intake.open_transfer(request[PRINCIPAL], idempotency_key=idempotency_key(request), **about)
        return self._shown(request, opened, status=201, headers={"Location": f"/v1/transfers/{opened.id}"})

    async def list_transfers(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/transfers."""
        wanted, limit, after = read_filter(request)
        page = await self._enquiry.transfers(request[PRINCIPAL], wanted, limit=limit, after=after)
        shown = [each for each in page if not (wanted.rule and is_secret(each))]
        body: dict[str, Any] = {"transfers": [self._view(request, each) for each in shown]}
        if len(page) < limit:
            return web.json_response(body, headers=_VARIES)
        body["next"] = page[-1].id
        return web.json_response(body, headers={**_VARIES, **link_to_next(request, page[-1].id)})

    async def show_transfer(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/transfers/{id}."""
        return self._shown(request, await self._enquiry.transfer(request[PRINCIPAL], transfer_id(request)))

    async def declare(self, request: web.Request) -> web.StreamResponse:
        """PUT /v1/transfers/{id}/declaration."""
        document = await read_json(request, self._limits.json, self._limits)
        return self._shown(request, await self._intake.declare(request[PRINCIPAL], transfer_id(request), document))

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/transfers/{id}/submit."""
        listed = None
        if has_body(request):
            document = await read_json(request, self._limits.listing, self._limits)
            check(Submission, document)
            listed = parse_listing(document.get("files"))
        submitted = await self._intake.submit(request[PRINCIPAL], transfer_id(request), listed=listed)
        return self._shown(request, submitted, status=202)

    async def withdraw(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/transfers/{id}/withdraw."""
        return self._shown(request, await self._intake.withdraw(request[PRINCIPAL], transfer_id(request)))

    # --- files -------------------------------------------------------------------------------------------------------

    async def list_files(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/transfers/{id}/files: what was received; on the first page also what is not whole yet, where there is any."""
        principal, transfer = request[PRINCIPAL], transfer_id(request)
        limit, after = read_page(request)
        found = await self._enquiry.files_page(principal, transfer, after=after, limit=limit + 1)
        page, more = page_of(found, limit)
        body: dict[str, Any] = {"files": [file_view(each) for each in page]}
        if after < 0 and (unfinished := await self._enquiry.unfinished(principal, transfer)):
            body["unfinished"] = [_with_address(each) for each in unfinished]
        return _paged(request, body, page[-1].file.number if more else None)

    async def show_file(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/transfers/{id}/files/{path}: what was received there; never the bytes, which nobody here can read."""
        found = await self._enquiry.file(request[PRINCIPAL], transfer_id(request), file_path(request))
        if found is None:
            raise NotFound("there is no such file in this transfer", code="no-such-file")
        return web.json_response(found, headers=_digest_header(bytes.fromhex(found["sha256"])))

    async def put_file(self, request: web.Request) -> web.StreamResponse:
        """PUT /v1/transfers/{id}/files/{path}; 201 for a new file, 200 for one that replaced another."""
        principal, transfer, path = request[PRINCIPAL], transfer_id(request), file_path(request)
        about = announced(request)
        earlier = await self._enquiry.file(principal, transfer, path)
        async with aclosing(stream(request, about, self._limits)) as body:
            stored = await self._intake.receive(principal, transfer, path, body, about)
        headers = _digest_header(stored.file.sha256)
        return web.json_response(received_view(stored), status=200 if earlier else 201, headers=headers)

    async def delete_file(self, request: web.Request) -> web.StreamResponse:
        """DELETE /v1/transfers/{id}/files/{path}."""
        await self._intake.drop_file(request[PRINCIPAL], transfer_id(request), file_path(request))
        return web.Response(status=204)

    # --- evidence ----------------------------------------------------------------------------------------------------

    async def receipt(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/transfers/{id}/receipt: the receipt and its signature, or the signature alone."""
        receipt, signature = await self._enquiry.receipt(request[PRINCIPAL], transfer_id(request))
        accepts = request.headers.get("Accept", "")
        if SIGNATURE_TYPE in accepts and "json" not in accepts:
            headers = {"Content-Type": SIGNATURE_TYPE, "Vary": "Accept"}
            return web.Response(body=signature.encode(), headers=headers)
        return web.json_response({"receipt": receipt, "signature": signature}, headers={"Vary": "Accept"})

    async def history(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/transfers/{id}/ledger."""
        limit, after = read_page(request)
        found = await self._enquiry.history(request[PRINCIPAL], transfer_id(request), after=after, limit=limit + 1)
        page, more = page_of(found, limit)
        body: dict[str, Any] = {"entries": [shown_entry(entry) for entry in page]}
        return _paged(request, body, page[-1]["index"] if more else None)

    # --- views -------------------------------------------------------------------------------------------------------

    def _shown(
        self, request: web.Request, transfer: Transfer, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        return web.json_response(self._view(request, transfer), status=status, headers={**_VARIES, **(headers or {})})

    def _view(self, request: web.Request, transfer: Transfer) -> dict[str, Any]:
        return shown_transfer(transfer, self._catalogue, request[LANGUAGE])


def shown_transfer(transfer: Transfer, catalogue: Catalogue, language: str) -> dict[str, Any]:
    """The sender's view, with the state in the caller's words and texts for what only has a code."""
    shown = sender_view(transfer)
    shown["says"] = catalogue.text(f"state.{transfer.state}", language)
    if shown["decision"]:
        shown["decision"]["remedies"] = [_with_text(each, catalogue) for each in shown["decision"]["remedies"]]
    return shown


def _with_text(remedy: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    if "code" not in remedy or any(language in remedy for language in LANGUAGES):
        return dict(remedy)
    return {**remedy, **catalogue.all(f"remedy.{remedy['code']}")}


_VARIES: Final = {"Vary": "Accept-Language"}


def _paged(request: web.Request, body: dict[str, Any], after: int | None) -> web.Response:
    """A page, with the way to the next one where there is one."""
    if after is None:
        return web.json_response(body)
    return web.json_response({**body, "next": after}, headers=link_to_next(request, after))


def transfer_id(request: web.Request) -> str:
    """The transfer a route names; what has another form than our ids is no transfer."""
    given = request.match_info["id"]
    if not _ID.fullmatch(given):
        raise NotFound("there is no such transfer", code="no-such-transfer")
    return given


def file_path(request: web.Request) -> str:
    """The file a route names, from the request target as it stood on the wire.

    Raises:
        Unusable: It is no canonical path, or a query or fragment follows it.
        NotFound: The target does not spell this route plainly.
    """
    target = request.raw_path
    origin = _AUTHORITY.match(target)  # absolute-form, as sent to proxies (RFC 9112 section 3.2.2)
    target = target[origin.end() :] if origin else target
    if "?" in target or "#" in target:
        raise Unusable(
            "a '?' or '#' in a file's name is written %3F or %23; a query has no meaning here", code="bad-path"
        )
    found = _FILE_TARGET.fullmatch(target)
    if found is None:
        raise NotFound("there is nothing at this address", code="no-such-route")
    return parse_raw_url_path(found[1])


def parse_listing(listed: Mapping[str, int] | None) -> dict[str, int] | None:
    """Path to size, as a submission lists them; raises Unusable."""
    for path in listed or ():
        parse_path(path)
    return None if listed is None else dict(listed)


def is_secret(transfer: Transfer) -> bool:
    """Whether the sender may not learn which rules fired."""
    decided = bool(transfer.decision and transfer.decision["rules"])
    return decided and not sender_decision(transfer.decision)["rules"]


def shown_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A ledger entry as the sender sees it: without its body where that tells of a secrecy mark."""
    body = entry.get("body", {})
    if body.get("level") == "secret" or any(rule.split(".")[0] == SECRECY_RULE for rule in body.get("rules", [])):
        return {**{key: value for key, value in entry.items() if key != "body"}, "withheld": True}
    return dict(entry)


def received_view(stored: StoredFile) -> dict[str, Any]:
    """What a PUT answers."""
    return {
        "path": stored.file.path,
        "size": stored.file.size,
        "sha256": stored.file.sha256.hex(),
        "format": stored.findings["format"],
        "inspectable": stored.findings["inspectable"],
    }


def _with_address(unfinished: Mapping[str, Any]) -> dict[str, Any]:
    given = unfinished.get("upload")
    return {**unfinished, "upload": f"/files/{given}"} if given else dict(unfinished)


def _digest_header(sha256: bytes) -> dict[str, str]:
    return {"Repr-Digest": format_digest({"sha-256": sha256})}
