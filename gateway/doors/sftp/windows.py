"""How far a client may send ahead of what was read: SSH's receive windows, granted as bytes are read.

What it is not: a bound on speed (`bandwidth`), or on writes out of order (`arrivals`).

A change must keep these:
1. What a client may still send and what waits here are together at most its window. asyncssh (2.24) grants a whole window
   again whenever the first packet of a backlog is read, and so lets it grow without bound: 16 MiB a client of OpenSSH's.
2. All sessions together have `ALL`, down to `LEAST` each, which everybody gets. Who came when there were few gets smaller
   windows as others come.

Source: RFC 4254 section 5.2.
"""

from __future__ import annotations

from typing import Any, Final

from asyncssh.constants import MSG_CHANNEL_WINDOW_ADJUST
from asyncssh.packet import UInt32

MOST: Final = 8 << 20  # of few: what comes while a piece is in work; OpenSSH has 16 MiB under way
LEAST: Final = 128 << 10
ALL: Final = 16 << 20


def window(sessions: int) -> int:
    """Bytes each of so many sessions may be ahead."""
    return max(LEAST, min(MOST, ALL // max(1, sessions)))


def grant_nothing_early(channel: Any) -> None:
    """Let a channel that is about to open grant no window by itself."""
    channel._init_recv_window = 0  # noqa: SLF001  # see rule 1; a test watches it


def grant(channel: Any, waiting: int, bound: int) -> None:
    """Let the client send what it may.

    Args:
        channel: Its channel.
        waiting: Bytes of it that were not read yet.
        bound: Its window.
    """
    more = bound - channel._recv_window - waiting  # noqa: SLF001  # the same
    if more >= bound // 2 and not channel.is_closing():
        channel._recv_window += more  # noqa: SLF001  # the same
        channel.send_packet(MSG_CHANNEL_WINDOW_ADJUST, UInt32(more))
