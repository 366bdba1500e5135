"""An observer that remembers."""

from __future__ import annotations


class FakeObserver:
    """`gateway.ports.Observer`; `seen` holds `(event, fields)` in order."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str | float | bool | None]]] = []

    def saw(self, event: str, **fields: str | float | bool | None) -> None:
        self.seen.append((event, fields))

    def events(self) -> list[str]:
        return [event for event, _ in self.seen]

    def of(self, event: str) -> list[dict[str, str | float | bool | None]]:
        """The fields of every time this event was seen."""
        return [fields for name, fields in self.seen if name == event]
