"""Keeping a folder in sync: when what lies there has changed and nobody has touched it for a while, it is time for a version.

Pure. It looks at names, sizes and times only, so that it works on every file system, one of another machine included.
"""

from __future__ import annotations


class Quiet:
    """Tells when a change has come to rest.

    Args:
        seconds: How long nothing may have changed.
        sent: The mark of what was sent last; empty where nothing was.
    """

    def __init__(self, seconds: float, sent: str = "") -> None:
        self._seconds = seconds
        self._sent = sent
        self._seen = ""
        self._since = 0.0

    def due(self, now: float, mark: str) -> bool:
        """Whether to send now.

        Args:
            now: Monotonic seconds.
            mark: What tells one state of the folder from another.
        """
        if mark != self._seen:
            self._seen, self._since = mark, now
        return mark != self._sent and now - self._since >= self._seconds

    def sent(self, mark: str) -> None:
        """This state was taken to its end, a good one or not: only another one is due again."""
        self._sent = mark
