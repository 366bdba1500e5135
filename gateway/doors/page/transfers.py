"""The pages of transfers: a list, a form for a new one, one that takes files, and one that tells what became of it.

What it is not: a decision or a rule. The flow's verbs answer; rules are named in the words of the pack that decided.

A change must keep these:
1. What a sender may see is `flow.enquiry`'s to say, secrecy marks and rounded counts included.
2. Nothing here needs the script but sending files: every other step is a form or a link.
3. A name of the sender's stands in pages of its institution only: in no address, header or log.
"""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from gateway.core.errors import CallerError, Conflict, GatewayError, Unusable
from gateway.core.facts import Tag
from gateway.core.rulebook import Rulebook
from gateway.core.transfer import TRANSITIONS, State, Transfer
from gateway.doors.https.bodies import BodyLimits, parse_object
from gateway.doors.https.guard import LANGUAGE, PRINCIPAL
from gateway.doors.https.problems import STATUS, known_code
from gateway.doors.https.transfers import SIGNATURE_TYPE, parse_listing, transfer_id
from gateway.doors.page import declaring
from gateway.doors.page.forms import read_form
from gateway.doors.page.session import SESSION
from gateway.doors.page.sheets import Sheets
from gateway.doors.page.sign_in import see
from gateway.flow.enquiry import Enquiry, sender_view
from gateway.flow.intake import Intake
from gateway.ports import TransferFilter

PAGE: Final = 25
SHOWN_FILES: Final = 500
_ID: Final = re.compile(r"t[a-z2-7]{24}")


class TransferPages:
    """Everything under `/transfers`."""

    def __init__(
        self, *, intake: Intake, enquiry: Enquiry, rulebook: Rulebook, sheets: Sheets, limits: BodyLimits
    ) -> None:
        self._intake = intake
        self._enquiry = enquiry
        self._rulebook = rulebook
        self._sheets = sheets
        self._limits = limits

    # --- the list ----------------------------------------------------------------------------------------------------

    async def list_transfers(self, request: web.Request) -> web.StreamResponse:
        """GET /transfers: the institution's, newest first."""
        after = request.query.get("after", "")
        if after and not _ID.fullmatch(after):
            raise Unusable("after is the id of a transfer", code="bad-query")
        page = await self._enquiry.transfers(request[PRINCIPAL], TransferFilter(), limit=PAGE + 1, after=after)
        shown = [sender_view(each) for each in page[:PAGE]]
        following = page[PAGE - 1].id if len(page) > PAGE else ""
        return self._sheets.page(request, "transfers", transfers=shown, following=following, first=not after)

    # --- a new one ---------------------------------------------------------------------------------------------------

    async def new_transfer(self, request: web.Request) -> web.StreamResponse:
        """GET /transfers/new."""
        return await self._form(request, {}, None)

    async def open_transfer(self, request: web.Request) -> web.StreamResponse:
        """POST /transfers/new: the same form again with what is wrong, or the page of the transfer."""
        form = await self._read(request, self._limits.json)
        try:
            project, _, endpoint = form.get("target", "").partition(" ")
            if not endpoint:
                raise Unusable("choose where the data go", code="nothing-chosen")
            opened = await self._intake.open_transfer(
                request[PRINCIPAL],
                endpoint=endpoint,
                project=project,
                dataset=form.get("dataset", "").strip(),
                declaration=declaring.parse_answers(form),
                idempotency_key=_key(form),
            )
        except CallerError as wrong:
            return await self._form(request, form, wrong)
        return see(f"/transfers/{opened.id}")

    async def _form(
        self, request: web.Request, filled: Mapping[str, str], wrong: GatewayError | None
    ) -> web.StreamResponse:
        endpoints = await self._enquiry.endpoints(request[PRINCIPAL])
        targets = [
            {"value": f"{project} {each['id']}", "project": project, "endpoint": each["name"], "place": each["place"]}
            for each in endpoints
            for project in each["projects"]
        ]
        return self._sheets.page(
            request,
            "new",
            status=STATUS[known_code(wrong)] if wrong else 200,
            targets=targets,
            filled=defaultdict(str, filled),
            key=_key(filled) or f"page-{secrets.token_hex(16)}",
            wrong=self._sheets.complaint(wrong, request[LANGUAGE]) if wrong else None,
            declaring=declaring,
        )

    # --- one of them -------------------------------------------------------------------------------------------------

    async def show_transfer(self, request: web.Request) -> web.StreamResponse:
        """GET /transfers/{id}: it takes files while it is open, and tells what became of it afterwards."""
        return await self._page_of(request, await self._own(request), None)

    async def _page_of(
        self, request: web.Request, transfer: Transfer, wrong: GatewayError | None
    ) -> web.StreamResponse:
        shown, opened = sender_view(transfer), transfer.state is State.OPEN
        files = await self._enquiry.files(request[PRINCIPAL], transfer.id)
        about: dict[str, Any] = {
            "transfer": {"reason": "", **shown},
            "files": files[:SHOWN_FILES],
            "more_files": max(0, len(files) - SHOWN_FILES),
            "bytes": sum(each["size"] for each in files),
            "wrong": self._sheets.complaint(wrong, request[LANGUAGE]) if wrong else None,
            "withdrawable": (transfer.state, Tag.WITHDRAWN) in TRANSITIONS,
        }
        if not opened:
            about |= self._told(shown, request[LANGUAGE])
        status = STATUS[known_code(wrong)] if wrong else 200
        return self._sheets.page(request, "open" if opened else "transfer", status=status, **about)

    def _told(self, shown: Mapping[str, Any], language: str) -> dict[str, Any]:
        """What became of it: the rules by name, what has no rule to it, and whether more will come."""
        remedies = shown["decision"]["remedies"] if shown["decision"] else []
        return {
            "rules": self._rules(shown["decision"], language),
            "advices": [self._sheets.text(f"remedy.{each['code']}", language) for each in remedies if "code" in each],
            "final": shown["owner"] is None,
        }

    def _rules(self, decision: Mapping[str, Any] | None, language: str) -> list[dict[str, Any]]:
        """What a decision says, by rule: title, articles, and what would help."""
        if not decision:
            return []
        known = (
            {rule.id: rule for rule in self._rulebook.rules} if self._rulebook.digest == decision["rulebook"] else {}
        )
        return [
            {
                "id": rule,
                "title": known[rule].titles[language] if rule in known else "",
                "articles": [
                    f"{self._instrument(each['instrument'], language)} {each['article']}"
                    for each in decision["citations"]
                    if each["rule"] == rule
                ],
                "remedies": [each[language] for each in decision["remedies"] if each.get("rule") == rule],
            }
            for rule in decision["rules"]
        ]

    def _instrument(self, name: str, language: str) -> str:
        found = self._rulebook.instruments.get(name)
        return found.titles[language] if found else name

    async def state(self, request: web.Request) -> web.StreamResponse:
        """GET /transfers/{id}/state, for the script: whether there is something new to show."""
        return web.json_response({"state": (await self._own(request)).state.value})

    async def list_files(self, request: web.Request) -> web.StreamResponse:
        """GET /transfers/{id}/files, for the script: what was received."""
        files = await self._enquiry.files(request[PRINCIPAL], transfer_id(request))
        return web.json_response({"files": {each["path"]: each["size"] for each in files}})

    async def remove_file(self, request: web.Request) -> web.StreamResponse:
        """POST /transfers/{id}/remove."""
        form = await self._read(request, self._limits.json)
        transfer = await self._own(request)
        try:
            await self._intake.drop_file(request[PRINCIPAL], transfer.id, form.get("path", ""))
        except CallerError as wrong:
            return await self._page_of(request, await self._own(request), wrong)
        return see(f"/transfers/{transfer.id}")

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST /transfers/{id}/submit: with the names and sizes the browser chose, where the script is there to say."""
        form = await self._read(request, self._limits.listing)
        transfer = await self._own(request)
        try:
            listed = form.get("files", "")
            names = parse_listing(parse_object(listed.encode(), self._limits.listing)) if listed else None
            await self._intake.submit(request[PRINCIPAL], transfer.id, listed=names)
        except CallerError as wrong:
            return await self._page_of(request, await self._own(request), wrong)
        return see(f"/transfers/{transfer.id}")

    async def withdraw(self, request: web.Request) -> web.StreamResponse:
        """POST /transfers/{id}/withdraw."""
        await self._read(request, self._limits.form)
        transfer = await self._own(request)
        try:
            await self._intake.withdraw(request[PRINCIPAL], transfer.id)
        except Conflict as wrong:
            return await self._page_of(request, await self._own(request), wrong)
        return see(f"/transfers/{transfer.id}")

    async def receipt(self, request: web.Request) -> web.StreamResponse:
        """GET /transfers/{id}/receipt: the signed document, byte by byte as it was signed."""
        receipt, _ = await self._enquiry.receipt(request[PRINCIPAL], transfer_id(request))
        return _saved(request, receipt, "application/json", "json")

    async def signature(self, request: web.Request) -> web.StreamResponse:
        """GET /transfers/{id}/receipt.sig."""
        _, signature = await self._enquiry.receipt(request[PRINCIPAL], transfer_id(request))
        return _saved(request, signature, SIGNATURE_TYPE, "json.sig")

    async def _own(self, request: web.Request) -> Transfer:
        return await self._enquiry.transfer(request[PRINCIPAL], transfer_id(request))

    async def _read(self, request: web.Request, bound: int) -> Mapping[str, str]:
        return await read_form(request, self._limits, bound=bound, token=request[SESSION].form_token)


def _key(form: Mapping[str, str]) -> str:
    """The form's own name: sent twice, it opens one transfer."""
    given = form.get("key", "")
    return given if given.isascii() and given.isalnum() | ("-" in given) and len(given) <= 64 else ""


def _saved(request: web.Request, text: str, media_type: str, suffix: str) -> web.Response:
    """A document to save; its name is the transfer's id, which tells nothing."""
    name = f"receipt-{transfer_id(request)}.{suffix}"
    headers = {"Content-Type": media_type, "Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=text.encode(), headers=headers)
