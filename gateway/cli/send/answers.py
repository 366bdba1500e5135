"""What an answer of the gateway means for the next step.

Pure. What it is not: sending. A change must keep these:
1. Every answer gives a step; what nobody knows is refused, never taken for success.
2. Where an upload stands is what the gateway says, never what was sent.

Sources: tus 1.0.0 (https://tus.io/protocols/resumable-upload), RFC 9110, RFC 6585 (429).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

AGAIN: Final = frozenset({408, 423, 425, 429, 500, 502, 503, 504, 507})
GONE: Final = frozenset({403, 404, 410})
_COUNT: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class Step(Enum):
    """What to do next with an upload."""

    CREATE = "make a new upload"
    ASK = "ask where it stands"
    SEND = "send from where it stands"
    DONE = "it is whole"
    WAIT = "try again after a while"
    CHANGED = "the bytes are not those announced: begin anew with a fresh look at the file"
    REFUSED = "it will never be taken"


@dataclass(frozen=True)
class Answer:
    """An answer of the gateway.

    Attributes:
        status: HTTP status.
        headers: By lower-case name.
        body: Parsed JSON, or an empty table.
    """

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def fine(self) -> bool:
        """Whether it is a success."""
        return 200 <= self.status < 300

    @property
    def code(self) -> str:
        """The permanent code of a problem; empty where it is none of the gateway's."""
        return str(self.body.get("code", ""))

    @property
    def again(self) -> bool:
        """Whether the same request may succeed later."""
        # What is incomplete becomes whole by sending, not by asking again.
        return self.status in AGAIN or (self.body.get("retry") is True and self.code != "incomplete")

    @property
    def wait(self) -> float:
        """Seconds asked for by Retry-After, at most an hour; 0 where none."""
        asked = self.headers.get("retry-after", "")
        return float(min(int(asked), 3600)) if _COUNT.fullmatch(asked) else 0.0

    @property
    def says(self) -> str:
        """What a problem says, in one line: title, detail and what to do."""
        parts = [self.body.get(name) for name in ("title", "detail", "error_description", "remedy")]
        told = ". ".join(str(each).rstrip(". ") for each in parts if each)
        return told or f"the gateway answered {self.status}"

    @property
    def offset(self) -> int | None:
        """`Upload-Offset`, where it is a number."""
        return _count(self.headers.get("upload-offset", ""))


def after_create(answer: Answer) -> Step:
    """After the POST that makes an upload."""
    if answer.status == 201 and answer.headers.get("location"):
        return Step.SEND
    if answer.code == "no-such-route" or answer.status == 405:
        return Step.REFUSED
    return _otherwise(answer)


def after_ask(answer: Answer, size: int) -> Step:
    """After a HEAD of an upload for a file of `size` bytes."""
    if not answer.fine:
        return Step.CREATE if answer.status in GONE else _otherwise(answer)
    offset, length = answer.offset, _count(answer.headers.get("upload-length", ""))
    if offset is None or offset > size or (length is not None and length != size):
        return Step.CREATE  # another file, or no upload at all
    return Step.DONE if offset == size else Step.SEND


def after_send(answer: Answer, size: int) -> Step:
    """After a PATCH of an upload for a file of `size` bytes."""
    if answer.status == 204:
        return Step.DONE if answer.offset == size else Step.ASK
    if answer.code == "digest-mismatch" or answer.status == 460:
        return Step.CHANGED
    if answer.status in GONE:
        return Step.CREATE
    if answer.status == 409:
        return Step.ASK  # it stands elsewhere than was thought
    return _otherwise(answer)


def after_put(answer: Answer, sha256: str) -> Step:
    """After a PUT of a whole file with this digest."""
    if answer.status in {200, 201}:
        return Step.DONE if answer.body.get("sha256") == sha256 else Step.CHANGED
    return Step.CHANGED if answer.code == "digest-mismatch" else _otherwise(answer)


def _otherwise(answer: Answer) -> Step:
    return Step.WAIT if answer.again else Step.REFUSED


def _count(field: str) -> int | None:
    return int(field) if _COUNT.fullmatch(field) else None
