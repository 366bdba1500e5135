"""An endpoint's own table from the registry, read key by key into typed values.

What this is not: `gateway.settings`, the gateway's own configuration. These tables come from the signed registry and
differ by connector kind.

The rules a change must keep:
1. Every complaint is `Unusable` and names the key, the kind and the allowed form; a value is never echoed (it may be
   a path or a name).
2. Unknown keys are refused: a misspelt `range` must not quietly pin nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path

from gateway.core.errors import Unusable

CODE = "bad-endpoint-settings"


class Table:
    """Typed access to one endpoint's settings; `finish` refuses what was never asked for."""

    def __init__(self, kind: str, values: Mapping[str, object]) -> None:
        self._kind = kind
        self._values = values
        self._known: set[str] = set()

    def text(self, key: str, default: str | None = None) -> str:
        """A non-empty string without control characters; required where there is no default."""
        value = self._value(key, default)
        if not isinstance(value, str) or not value or not value.isprintable():
            raise self.refusal(key, "a non-empty line of text")
        return value

    def word(self, key: str, words: tuple[str, ...]) -> str:
        """One of `words`, the first being the default."""
        value = self.text(key, words[0])
        if value not in words:
            raise self.refusal(key, "one of " + ", ".join(words))
        return value

    def number(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self._value(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.refusal(key, f"a whole number from {low} to {high}")
        return value

    def path(self, key: str) -> Path:
        """An absolute path."""
        value = Path(self.text(key))
        if not value.is_absolute():
            raise self.refusal(key, "an absolute path")
        return value

    def optional_path(self, key: str) -> Path | None:
        """An absolute path, or None where the key is absent."""
        self._known.add(key)
        return self.path(key) if key in self._values else None

    def ranges(self, key: str = "ranges") -> tuple[str, ...]:
        """Address blocks in CIDR form, at least one: an endpoint without pinned ranges can never be reached."""
        value = self._value(key, None)
        if not isinstance(value, (list, tuple)) or not value:
            raise self.refusal(key, "a list of at least one address block such as 203.0.113.0/28")
        for block in value:
            try:
                ipaddress.ip_network(block if isinstance(block, str) else "")
            except ValueError as broken:
                raise self.refusal(key, "a list of address blocks such as 203.0.113.0/28") from broken
        return tuple(str(block) for block in value)

    def finish(self) -> None:
        """Refuse keys that nothing asked for.

        Raises:
            Unusable: Naming the first of them and listing the known ones.
        """
        for key in self._values:
            if key not in self._known:
                raise Unusable(
                    f"{self._kind} endpoint: unknown setting {key!r}; known are {', '.join(sorted(self._known))}",
                    code=CODE,
                )

    def refusal(self, key: str, form: str) -> Unusable:
        """The error for a value of the wrong form."""
        return Unusable(f"{self._kind} endpoint: setting {key!r} must be {form}", code=CODE)

    def _value(self, key: str, default: object) -> object:
        self._known.add(key)
        value = self._values.get(key, default)
        if value is None:
            raise Unusable(f"{self._kind} endpoint: setting {key!r} is missing", code=CODE)
        return value
