"""CloudEvents 1.0 in structured mode: one event as one JSON document, `application/cloudevents+json`.

What it is not: the transport, or the list of the gateway's event types. A change must keep that the same event always gives
the same bytes (RFC 8785): whoever receives it twice can tell by `source` and `id`, and a signature covers the bytes.

Source: CloudEvents 1.0.2 sections 3.1 to 3.3 and its JSON event format, section 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.wire import Malformed, canonical
from gateway.wire.canonical import Json

MEDIA_TYPE: Final = "application/cloudevents+json"
_SPACELESS: Final = re.compile(r"[!-~]+")
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True)
class CloudEvent:
    """An event.

    Attributes:
        id: With `source` it names the event for ever.
        source: URI reference of where it happened.
        type: Reverse domain name of what happened.
        subject: What it happened to.
        time: RFC 3339.
        data: JSON.
    """

    id: str
    source: str
    type: str
    subject: str
    time: str
    data: Mapping[str, Json]

    def encode(self) -> bytes:
        """The document, in canonical form.

        Raises:
            Malformed: An attribute is empty, has a space, or the time is none.
        """
        named = (self.id, self.source, self.type, self.subject)
        if not all(_SPACELESS.fullmatch(value) for value in named) or not _RFC3339.fullmatch(self.time):
            raise Malformed("an attribute of the event is empty, has a space, or is no time")
        return canonical.encode(
            {
                "specversion": "1.0",
                "id": self.id,
                "source": self.source,
                "type": self.type,
                "subject": self.subject,
                "time": self.time,
                "datacontenttype": "application/json",
                "data": dict(self.data),
            }
        )
