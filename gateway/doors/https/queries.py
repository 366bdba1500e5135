"""What a request asks for beside its body: parameters of the query, pages of long lists, the Idempotency-Key.

A change must keep these:
1. Unknown and repeated parameters are refused: a misspelt filter must not show everything.
2. A page is bounded, and the address of the next one holds no name: its cursor is an id or a number.
3. What a query may say is its model's (`models`); the document is drawn from the same.

Sources: RFC 8288 (Link), draft-ietf-httpapi-idempotency-key-header, RFC 9651 section 3.3.3 (strings).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar, get_origin
from urllib.parse import urlencode

from aiohttp import web

from gateway.core.errors import Unusable
from gateway.core.transfer import State
from gateway.doors.https.models import MAX_PAGE, PageQuery, TransferQuery
from gateway.doors.https.schema import check, members, plain
from gateway.ports import TransferFilter

_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
_QUOTED_KEY: Final = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')  # RFC 9651 section 3.3.3
_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]{0,15})", re.ASCII)
_WORDS: Final = ("endpoint", "project", "dataset", "verdict", "rule", "digest", "text")

T = TypeVar("T")


def read_query(request: web.Request, model: Any) -> dict[str, Any]:
    """A query as its model has it; raises Unusable on anything else."""
    query = request.query
    named, _ = members(model)
    lists = {name for name, kind in named.items() if get_origin(plain(kind)) is list}
    if any(len(query.getall(name)) > 1 for name in set(query) - lists) or set(query) - set(named):
        known = ", ".join(sorted(named)) or "none: this takes no query"
        raise Unusable(f"use each of these parameters once: {known}", code="bad-query")
    found: dict[str, Any] = {}
    for name in query:
        values = query.getall(name)
        whole = plain(named[name]) is int and _NUMBER.fullmatch(values[0])
        found[name] = values if name in lists else int(values[0]) if whole else values[0]
    check(model, found, "bad-query")
    return found


def read_filter(request: web.Request) -> tuple[TransferFilter, int, str]:
    """What a list of transfers is asked for: filter, page size and the id after which it continues.

    Raises:
        Unusable: An unknown or repeated parameter, or a value that cannot be.
    """
    asked = read_query(request, TransferQuery)
    since, until = _instant(asked.get("since")), _instant(asked.get("until"))
    wanted = TransferFilter(states=tuple(State(each) for each in asked.get("state", [])), since=since, until=until)
    words: dict[str, Any] = {name: asked.get(name, "") for name in _WORDS}
    return replace(wanted, **words), asked.get("limit", 100), asked.get("after", "")


def _instant(written: str | None) -> datetime | None:
    if written is None:
        return None
    try:
        at = datetime.fromisoformat(written)
        if at.tzinfo is not None and at.timestamp():
            return at
    except (ValueError, OverflowError):
        pass  # told below, as a time without an offset is
    raise Unusable("times are RFC 3339 with an offset, as 2026-11-20T02:00:00Z", code="bad-query")


def read_page(request: web.Request) -> tuple[int, int]:
    """Entries a page, and the number after which it begins (-1: at the beginning)."""
    asked = read_query(request, PageQuery)
    return asked.get("limit", MAX_PAGE), asked.get("after", -1)


def page_of(found: Sequence[T], limit: int) -> tuple[Sequence[T], bool]:
    """A page of what was asked for with one more, and whether there is a next one."""
    return found[:limit], len(found) > limit


def link_to_next(request: web.Request, after: str | int) -> dict[str, str]:
    """The Link field of a page that has a next one."""
    kept = [(name, value) for name, value in request.query.items() if name != "after"]
    return {"Link": f'<{request.rel_url.raw_path}?{urlencode([*kept, ("after", after)])}>; rel="next"'}


def idempotency_key(request: web.Request) -> str:
    """The Idempotency-Key, as the draft writes it (a quoted string) or bare, as most clients do; empty where absent."""
    given = request.headers.getall("Idempotency-Key", [])
    if not given:
        return ""
    quoted = _QUOTED_KEY.fullmatch(given[0].strip())
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else given[0].strip()
    if len(given) > 1 or not _KEY.fullmatch(key):
        raise Unusable("Idempotency-Key is one string of 1 to 200 printable characters", code="bad-header")
    return key
