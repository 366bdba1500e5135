"""URLs as records hold them: of `https`, in one spelling, so that what officers signed names one host and one place on it.

Source: RFC 3986.
"""

from __future__ import annotations

import re

_URL = re.compile(
    r"https://(?P<host>[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<target>/[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*)",
    re.ASCII,
)


def split_url(url: str) -> tuple[str, int, str]:
    """Host, port and request target of a webhook's URL.

    Raises:
        ValueError: It is not `https://host[:port]/path[?query]` in lower case and ASCII: no user, no fragment, no IPv6 literal.
    """
    found = _URL.fullmatch(url)
    if found is None or int(found["port"] or 443) > 65535:
        raise ValueError("must be https://host[:port]/path, the host in lower case, without user or fragment")
    return found["host"], int(found["port"] or 443), found["target"]
