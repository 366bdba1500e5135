"""Problem details for HTTP APIs (RFC 9457), media type `application/problem+json`.

What it is not: the gateway's list of problem types; doors own that table.

A change must keep these:
1. Extension members never shadow the five of the standard.
2. A stranger's member of the wrong type is ignored, as RFC 9457 section 3.1 asks, not an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.wire import Malformed, canonical
from gateway.wire.canonical import Json

MEDIA_TYPE: Final = "application/problem+json"
MAX_SIZE: Final = 65_536

_MEMBERS: Final = frozenset({"type", "title", "status", "detail", "instance"})
_EXTENSION: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{2,}", re.ASCII)  # RFC 9457 section 3.2


@dataclass(frozen=True)
class Problem:
    """One problem.

    Attributes:
        type: URI reference that identifies the kind of problem; dereferencing it should explain it.
        title: Short summary of the kind, the same for every occurrence.
        status: HTTP status code, None where not said.
        detail: What happened this time and what to do.
        instance: URI reference of this occurrence.
        extensions: Further members, names of three or more letters, digits and underscores.
    """

    type: str = "about:blank"
    title: str = ""
    status: int | None = None
    detail: str = ""
    instance: str = ""
    extensions: Mapping[str, Json] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The JSON document, in canonical form; empty members are left out.

        Raises:
            ValueError: When an extension's name shadows a member or is not of the standard's form.
            Malformed: When an extension's value has no JSON form.
        """
        if any(name in _MEMBERS or not _EXTENSION.fullmatch(name) for name in self.extensions):
            raise ValueError("an extension's name is taken, or not three or more letters, digits and underscores")
        members: dict[str, Json] = {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": self.instance,
        }
        return canonical.encode({name: value for name, value in members.items() if value} | {**self.extensions})


def parse_problem(data: bytes, *, max_size: int = MAX_SIZE) -> Problem:
    """Read a stranger's problem document in any spelling of JSON.

    Raises:
        Malformed: When it is not a JSON object or over the bound.
    """
    document = canonical.parse(data, max_size=max_size)
    if not isinstance(document, dict):
        raise Malformed("a problem is a JSON object")
    return Problem(
        type=_text(document, "type") or "about:blank",
        title=_text(document, "title"),
        status=_status(document),
        detail=_text(document, "detail"),
        instance=_text(document, "instance"),
        extensions={
            name: value for name, value in document.items() if name not in _MEMBERS and _EXTENSION.fullmatch(name)
        },
    )


def _text(document: Mapping[str, Json], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _status(document: Mapping[str, Json]) -> int | None:
    value = document.get("status")
    in_range = isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599
    return value if isinstance(value, int) and in_range else None
