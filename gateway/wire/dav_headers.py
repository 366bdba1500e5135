"""WebDAV's header fields (RFC 4918 section 10): Depth, Destination, If, Lock-Token, Overwrite, Timeout; and hrefs and dates.

What it is not: HTTP's own conditional fields, or the places that are named.

A change must keep these:
1. A field is read as the standard writes it, or it is Malformed. The If field decides whether a write happens: what cannot be
   read holds for nothing.
2. A path is handed on as it stood on the wire, still encoded: whoever owns the names decodes it, once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from gateway.wire import Malformed

MAX_LISTS: Final = 64
MAX_CONDITIONS: Final = 256
INFINITY: Final = 2
"""What `parse_depth` gives for `infinity`."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE: Final = re.compile(
    rf"(?:{'|'.join(_WEEKDAYS)}), ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([0-9]{{4}}) ([0-9]{{2}}):([0-9]{{2}}):([0-9]{{2}}) GMT"
)
_DEPTHS: Final = {"0": 0, "1": 1, "infinity": INFINITY}
_DESTINATION: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://([^/?#@\s]+))?(/[^?#\s]*)")
_CODED: Final = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]*:[\x21-\x3b\x3d\x3f-\x7e]+)>")
_TIMEOUT: Final = re.compile(r"Second-([0-9]{1,10})|Infinite", re.IGNORECASE)
_WORD: Final = re.compile(r'[ \t]*(?:<([^<>\s]+)>|\[((?:W/)?"[^"]*")\]|(\()|(\))|(Not)(?=[\s<\[]))', re.IGNORECASE)


@dataclass(frozen=True)
class Condition:
    """A state token or an entity tag that must be, or must not be, that of the resource."""

    negated: bool
    token: str = ""
    etag: str = ""


@dataclass(frozen=True)
class StateList:
    """Conditions that must all hold of one resource; an empty `resource` is the request's own."""

    resource: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class ResourceState:
    """What conditions are compared with: the entity tag, empty where there is none, and the tokens of its locks."""

    etag: str = ""
    tokens: frozenset[str] = frozenset()


def parse_depth(given: str | None, default: int) -> int:
    """0, 1 or `INFINITY`; raises Malformed for anything else."""
    if given is None:
        return default
    depth = _DEPTHS.get(given.strip().lower())
    if depth is None:
        raise Malformed("Depth is 0, 1 or infinity")
    return depth


def parse_overwrite(given: str | None) -> bool:
    """Whether a destination may be replaced (section 10.6); it may where nothing is said."""
    words = {"T": True, "F": False}
    word = (given or "T").strip().upper()
    if word not in words:
        raise Malformed("Overwrite is T or F")
    return words[word]


def parse_destination(given: str) -> tuple[str, str]:
    """Authority, empty where only a path is given, and raw path; raises Malformed (section 10.3)."""
    found = _DESTINATION.fullmatch(given.strip()) if given.isascii() else None
    if found is None:
        raise Malformed("Destination is an absolute URI or a path, without a query")
    return (found[1] or "").lower(), found[2]


def parse_timeout(given: str | None, longest: int) -> int:
    """Seconds of the first kind of timeout that is known, at most `longest` (section 10.7); `longest` where nothing is said."""
    for each in (given or "").split(","):
        found = _TIMEOUT.fullmatch(each.strip())
        if found is not None:
            return max(1, min(int(found[1] or longest), longest))
    return longest


def parse_lock_token(given: str | None) -> str:
    """The state token of a Lock-Token field (section 10.5)."""
    found = _CODED.fullmatch((given or "").strip())
    if found is None:
        raise Malformed("Lock-Token is one URI in angle brackets")
    return found[1]


def parse_if(given: str) -> tuple[StateList, ...]:
    """An If field (section 10.4.2).

    Raises:
        Malformed: Not of the grammar, or over a bound.
    """
    lists: list[StateList] = []
    resource, tagged, at, conditions, end = "", None, 0, 0, len(given.rstrip())
    while at < end:
        uri, _, opened, _, _ = _word(given, at)
        if uri and tagged is not False:
            resource, at = uri, _end(given, at)
            opened = _word(given, at)[2]
        elif uri or not opened:
            raise _no_list()
        tagged = bool(resource)
        if not opened:
            raise _no_list()
        found, at = _list(given, _end(given, at))
        conditions += len(found)
        lists.append(StateList(resource, found))
        if len(lists) > MAX_LISTS or conditions > MAX_CONDITIONS:
            raise Malformed(f"If has at most {MAX_LISTS} lists and {MAX_CONDITIONS} conditions")
    if not lists:
        raise _no_list()
    return tuple(lists)


def _no_list() -> Malformed:
    return Malformed("If is a sequence of lists in parentheses, all of them or none after a resource")


def _word(given: str, at: int) -> tuple[str, str, str, str, str]:
    found = _WORD.match(given, at)
    if found is None:
        raise Malformed("If has something that is no part of it")
    uri, etag, opened, closed, negated = (each or "" for each in found.groups())
    return uri, etag, opened, closed, negated


def _end(given: str, at: int) -> int:
    found = _WORD.match(given, at)
    assert found is not None, "it was read a moment ago"
    return found.end()


def _list(given: str, at: int) -> tuple[tuple[Condition, ...], int]:
    """The conditions up to the closing parenthesis, and where that ends."""
    found: list[Condition] = []
    negated = False
    while True:
        token, etag, _, closed, no = _word(given, at)
        at = _end(given, at)
        if token or etag:
            found.append(Condition(negated, token, etag))
            negated = False
        elif no and not negated:
            negated = True
        elif closed and found and not negated:
            return tuple(found), at
        else:
            raise Malformed("a list of If holds state tokens and entity tags, each perhaps after Not")


def if_holds(lists: tuple[StateList, ...], state: Callable[[str], ResourceState]) -> bool:
    """Whether any of the lists holds; `state` is asked for each resource (section 10.4.3)."""
    return any(all(_holds(each, state(one.resource)) for each in one.conditions) for one in lists)


def _holds(condition: Condition, state: ResourceState) -> bool:
    same = bool(state.etag) and condition.etag == state.etag
    met = condition.token in state.tokens if condition.token else same
    return met is not condition.negated


def submitted_tokens(lists: tuple[StateList, ...]) -> frozenset[str]:
    """Every state token that a request shows it has; one after Not is none."""
    return frozenset(each.token for one in lists for each in one.conditions if each.token and not each.negated)


# --- hrefs and dates -------------------------------------------------------------------------------------------------


def encode_path(path: str) -> str:
    """A path as it stands in an href: every byte but those RFC 3986 calls unreserved is escaped, segment by segment."""
    return "/".join(quote(segment, safe="") for segment in path.split("/"))


def format_date(seconds: float) -> str:
    """A time in the form of HTTP (RFC 9110 section 5.6.7)."""
    at = _EPOCH + timedelta(seconds=int(seconds))
    return f"{_WEEKDAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} {at:%H:%M:%S} GMT"


def parse_date(given: str) -> datetime:
    """A time in the form of HTTP; raises Malformed."""
    found = _DATE.fullmatch(given.strip())
    if found is None:
        raise Malformed("a time is written as HTTP writes it: Tue, 24 Nov 2026 08:00:00 GMT")
    day, month, year, hour, minute, second = found.groups()
    try:
        at = datetime(int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError as wrong:
        raise Malformed("there is no such time") from wrong
    return at
