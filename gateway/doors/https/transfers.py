"""The pages of transfers: JSON and files in, the flow's verbs, JSON out.

A change must keep these:
1. A file's path is parsed from the raw request target: a decoder in between would turn `%2F` into a separator and
   `%2e%2e` into a parent folder. A query on it is refused: it was part of a name that somebody forgot to encode.
2. Unknown members and query parameters are refused: a misspelt filter must not show everything.
3. Where the secrecy rule fired, a sender learns nothing of the rules: not from the transfer, its ledger entries or a filter.

Sources: RFC 9110, RFC 9530 (Repr-Digest), RFC 8187 is not needed: no name ever stands in a header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from gateway.core.catalogue import LANGUAGES, Catalogue
from gateway.core.errors import NotFound, Unusable
from gateway.core.names import parse_path, parse_raw_url_path
from gateway.core.transfer import State, Transfer
from gateway.doors.https.bodies import BodyLimits, announced, fields, has_body, read_json, stream
from gateway.doors.https.guard import LANGUAGE, PRINCIPAL
from gateway.flow.enquiry import SECRECY_RULE, Enquiry, sender_decision, sender_view
from gateway.flow.intake import Intake
from gateway.ports import StoredFile, TransferFilter
from gateway.wire.digests import format_digest

MAX_PAGE: Final = 1000
SIGNATURE_TYPE: Final = "application/x-ssh-signature"
_ID: Final = re.compile(r"t[a-z2-7]{24}")
_AUTHORITY: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_FILE_TARGET: Final = re.compile(r"/v1/transfers/[^/?#]+/files/([^?#]*)")
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
_QUOTED_KEY: Final = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')  # RFC 9651 section 3.3.3
_WORDS: Final = ("endpoint", "project", "dataset", "verdict", "rule", "digest", "text")
_QUERY: Final = frozenset({*_WORDS, "state", "since", "until", "limit", "after"})


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
        document = await read_json(request, self._limits.json, self._limits)
        about = fields(document, {"endpoint": str, "project": str, "dataset": str}, {"declaration": dict})
        opened = await self._intake.open_transfer(request[PRINCIPAL], idempotency_key=idempotency_key(request), **about)
        return self._shown(request, opened, status=201, headers={"Location": f"/v1/transfers/{opened.id}"})

    async def list_transfers(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/transfers."""
        wanted, limit, after = parse_query(request)
        page = await self._enquiry.transfers(request[PRINCIPAL], wanted, limit=limit, after=after)
        shown = [each for each in page if not (wanted.rule and is_secret(each))]
        body: dict[str, Any] = {"transfers": [self._view(request, each) for each in shown]}
        if len(page) == limit:
            body["next"] = page[-1].id
        return web.json_response(body, headers=_VARIES)

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
            listed = parse_listing(fields(document, {}, {"files": dict}).get("files"))
        submitted = await self._intake.submit(request[PRINCIPAL], transfer_id(request), listed=listed)
        return self._shown(request, submitted, status=202)

    async def withdraw(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/transfers/{id}/withdraw."""
        return self._shown(request, await self._intake.withdraw(request[PRINCIPAL], transfer_id(request)))

    # --- files -------------------------------------------------------------------------------------------------------

    async def list_files(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/transfers/{id}/files: what was received, and where there is something, what is not whole yet."""
        principal, transfer = request[PRINCIPAL], transfer_id(request)
        shown: dict[str, Any] = {"files": await self._enquiry.files(principal, transfer)}
        if unfinished := await self._enquiry.unfinished(principal, transfer):
            shown["unfinished"] = [_with_address(each) for each in unfinished]
        return web.json_response(shown)

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
        entries = await self._enquiry.history(request[PRINCIPAL], transfer_id(request))
        return web.json_response({"entries": [shown_entry(entry) for entry in entries]})

    # --- views -------------------------------------------------------------------------------------------------------

    def _shown(
        self, request: web.Request, transfer: Transfer, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        return web.json_response(self._view(request, transfer), status=status, headers={**_VARIES, **(headers or {})})

    def _view(self, request: web.Request, transfer: Transfer) -> dict[str, Any]:
        """The sender's view, with the state in the caller's words and texts for what only has a code."""
        shown = sender_view(transfer)
        shown["says"] = self._catalogue.text(f"state.{transfer.state}", request[LANGUAGE])
        if shown["decision"]:
            shown["decision"]["remedies"] = [self._with_text(each) for each in shown["decision"]["remedies"]]
        return shown

    def _with_text(self, remedy: Mapping[str, Any]) -> dict[str, Any]:
        if "code" not in remedy or any(language in remedy for language in LANGUAGES):
            return dict(remedy)
        return {**remedy, **self._catalogue.all(f"remedy.{remedy['code']}")}


_VARIES: Final = {"Vary": "Accept-Language"}


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


def idempotency_key(request: web.Request) -> str:
    """The Idempotency-Key, as the draft writes it (a quoted string) or bare, as most clients do; empty where absent.

    Source: draft-ietf-httpapi-idempotency-key-header.
    """
    given = request.headers.getall("Idempotency-Key", [])
    if not given:
        return ""
    quoted = _QUOTED_KEY.fullmatch(given[0].strip())
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else given[0].strip()
    if len(given) > 1 or not _KEY.fullmatch(key):
        raise Unusable("Idempotency-Key is one string of 1 to 200 printable characters", code="bad-header")
    return key


def parse_listing(listed: Mapping[str, Any] | None) -> dict[str, int] | None:
    """Path to size, as a submission lists them; raises Unusable."""
    if listed is None:
        return None
    for path, size in listed.items():
        parse_path(path)
        if type(size) is not int or size < 0:
            raise Unusable("files lists paths with their sizes in bytes", code="bad-json")
    return dict(listed)


def parse_query(request: web.Request) -> tuple[TransferFilter, int, str]:
    """What a list is asked for: filter, page size and the id after which it continues.

    Raises:
        Unusable: An unknown or repeated parameter, or a value that cannot be.
    """
    query = request.query
    unknown = sorted(set(query) - _QUERY)
    repeated = sorted(name for name in set(query) - {"state"} if len(query.getall(name)) > 1)
    if unknown or repeated:
        raise Unusable(f"use each of {', '.join(sorted(_QUERY))} once; state may come again", code="bad-query")
    try:
        states = tuple(State(each) for each in query.getall("state", []))
        limit = int(query.get("limit", "100"))
        since, until = (datetime.fromisoformat(query[name]) if name in query else None for name in ("since", "until"))
    except ValueError as wrong:
        raise Unusable(f"a query parameter cannot be read: {wrong}", code="bad-query") from wrong
    if not 1 <= limit <= MAX_PAGE or any(each is not None and each.tzinfo is None for each in (since, until)):
        raise Unusable(f"limit is 1 to {MAX_PAGE}, times are RFC 3339 with an offset", code="bad-query")
    after = query.get("after", "")
    if after and not _ID.fullmatch(after):
        raise Unusable("after is the id of a transfer", code="bad-query")
    wanted = TransferFilter(states=states, since=since, until=until)
    words: dict[str, Any] = {name: query.get(name, "") for name in _WORDS}
    return replace(wanted, **words), limit, after


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
