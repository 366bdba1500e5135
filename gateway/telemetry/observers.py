"""Several observers as one."""

from __future__ import annotations

from gateway.ports import Observer


class Observers:
    """`gateway.ports.Observer` that tells each of several, in order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def saw(self, event: str, **fields: str | float | bool | None) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.saw(event, **fields)
