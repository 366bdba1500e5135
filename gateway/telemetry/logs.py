"""Logs: one JSON object a line on standard error, with times in UTC and nothing in it that names a person or opens a door.

What it is not: the ledger. A log line is for whoever runs the gateway; what counts as evidence is a fact.

A change must keep these:
1. What must not be logged is masked here, last, whoever wrote it: fields by their names, values by their looks. The
   lines of libraries (asyncssh, aiohttp, SQLAlchemy) pass the same processor, tracebacks included.
2. A name of a file is masked whole: names are data too (design.md section 2, point 11). Logs speak of transfer ids and
   file numbers.
3. Logging never fails the work it tells about: what has no JSON form is written as text, a long value is cut.

Source: RFC 3339 for times; structlog's processor chain.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final, TextIO

import structlog

MASK: Final = "***"
MAX_VALUE: Final = 4096
MAX_DEPTH: Final = 6
LEVELS: Final = ("debug", "info", "warning", "error")

# A field whose name has one of these words is masked, unless the whole name is among the harmless ones below.
_WORDS: Final = """
assertion authorization bearer body content cookie credential dataset declaration filename filenames findings jwk jwt key
keys name names opening passphrase password path paths person persons query salt sample samples secret signature title
token tokens uri url
"""
_SECRET_WORDS: Final = frozenset(_WORDS.split())
_HARMLESS: Final = frozenset({"token_id", "key_id", "setting_name", "logger_name", "event_name", "content_type"})
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_LOOKS: Final = (
    re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"PRIVATE KEY[^\n]*"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){1,4}"),  # a JWS or JWE: base64url of '{"'
    re.compile(r"(?i)\b(?:bearer|basic|digest)\s+[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"\bhap_[A-Za-z0-9]{8,}"),  # an application password (gateway.identity.apppasswords)
    re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])"),  # shaped like a resident identity number
    re.compile(r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"),  # user and password in a URL
)

Event = MutableMapping[str, Any]


class LogObserver:
    """`gateway.ports.Observer` that writes a line for everything seen."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger.bind()  # once: structlog's proxy binds anew at every call

    def saw(self, event: str, **fields: str | float | bool | None) -> None:
        """Write it: what faltered as a warning, what was a mistake of ours as an error."""
        if event.endswith((".mistaken", ".crashed")):
            level = "error"
        elif event.endswith((".faltered", ".refused", ".failed", ".cut")):
            level = "warning"
        else:
            level = "debug" if fields.get("probe") else "info"
        getattr(self._logger, level)(event, **fields)


def configure_logs(level: str = "info", stream: TextIO | None = None, *, worker: int = 0) -> Any:
    """Set up the process's logging, structlog's and the standard library's alike; returns the gateway's logger.

    Args:
        level: One of `LEVELS`; nothing below it is written.
        stream: Where lines go; standard error where not given.
        worker: This process's number, on every line; 0 where it is the only one.
    """
    out = stream if stream is not None else sys.stderr
    least = getattr(logging, level.upper())
    shared: list[Callable[..., Any]] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    if worker:
        shared.append(lambda _logger, _method, event: {"worker": worker, **event})
    last: list[Callable[..., Any]] = [
        structlog.processors.format_exc_info,
        masked_fields,
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False, sort_keys=True),
    ]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(least, logging.WARNING))  # libraries speak of names and queries below that
    return structlog.get_logger()


def masked_fields(_logger: Any, _method: str, event: Event) -> Event:
    """The processor: an event without what must not be logged."""
    return {key: masked_value(value, key) for key, value in event.items()}


def masked_value(value: Any, key: str = "", depth: int = MAX_DEPTH) -> Any:
    """A value as a log may show it under that field name."""
    if value is None or isinstance(value, bool | int | float):
        return MASK if is_secret(key) and not isinstance(value, bool | None) else value
    if is_secret(key):
        return MASK if value else value
    if depth <= 0:
        return "..."
    if isinstance(value, Mapping):
        return {str(inner): masked_value(held, str(inner), depth - 1) for inner, held in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [masked_value(held, "", depth - 1) for held in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    return masked_text(str(value))


def masked_text(text: str) -> str:
    """A text with whatever looks like a secret or an identity number replaced, and cut at 4,096 characters."""
    shown = text[:MAX_VALUE]  # cut first: what strangers sent must not cost the patterns more than a line's time
    for looks in _LOOKS:
        shown = looks.sub(MASK, shown)
    return shown if len(text) <= MAX_VALUE else shown + "..."


def is_secret(key: str) -> bool:
    """Whether a field of this name is masked, whatever it holds."""
    if key.lower() in _HARMLESS:
        return False
    return any(word.lower() in _SECRET_WORDS for word in _WORD.findall(key.replace("_", " ")))
