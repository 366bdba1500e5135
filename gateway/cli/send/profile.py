"""What `hetao send` is told: the command line goes before the environment, the environment before the profile.

A change must keep these:
1. `NAMES` is the only list; unknown names are refused in the profile and in the environment, all at once.
2. No secret is in it: keys are files, or held by ssh-agent.

Source: XDG Base Directory Specification 0.8 (`$XDG_CONFIG_HOME`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.cli.desk import read_file
from gateway.core.errors import Unusable
from gateway.settings import SEND_ENVIRONMENT

NAMES: Final[Mapping[str, str]] = {
    "gateway": "text",
    "client": "text",
    "key": "path",
    "cert": "path",
    "authority": "path",
    "audience": "text",
    "to": "text",
    "project": "text",
    "gateway_key": "text",
    "ledger_key": "text",
    "receipts": "path",
    "parallel": "count",
    "patience": "count",
    "lang": "text",
}
DEFAULTS: Final[Mapping[str, str | int]] = {"parallel": 4, "patience": 600}
MAX_PARALLEL: Final = 64


@dataclass(frozen=True)
class Profile:
    """Everything told, by name."""

    told: Mapping[str, str | int]

    def text(self, name: str) -> str:
        """A value, or an empty string."""
        return str(self.told.get(name, ""))

    def need(self, name: str) -> str:
        """A value that must be there; raises Unusable saying where to tell it."""
        if not self.told.get(name):
            option, variable = f"--{name.replace('_', '-')}", SEND_ENVIRONMENT + name.upper()
            raise Unusable(f"{name} is not told: give {option}, {variable}, or {name} in the profile")
        return self.text(name)

    def number(self, name: str) -> int:
        """A count."""
        return int(self.told[name])

    def path(self, name: str) -> Path | None:
        """A file, its `~` expanded; None where not told."""
        return Path(self.text(name)).expanduser() if self.told.get(name) else None


def make_profile(
    options: Mapping[str, str | int | Path | None], file: Path | None, environment: Mapping[str, str]
) -> Profile:
    """What was told, together.

    Args:
        options: From the command line, by name; None and empty where not given.
        file: The profile named on the command line; else `send.toml` in the user's configuration, where there is one.
        environment: As `os.environ`.

    Raises:
        Unusable: With every complaint at once.
    """
    faults: list[str] = []
    chosen = file or default_file(environment)
    told: dict[str, str | int] = dict(DEFAULTS)
    if file is not None or chosen.is_file():
        told |= _checked(_read(chosen), f"in {chosen}", faults, base=chosen.resolve().parent)
    variables = {
        name.removeprefix(SEND_ENVIRONMENT).lower(): value
        for name, value in environment.items()
        if name.startswith(SEND_ENVIRONMENT)
    }
    told |= _checked(variables, "in the environment", faults, base=None)
    told |= _checked(
        {name: value for name, value in options.items() if value}, "on the command line", faults, base=None
    )
    if not 1 <= int(told["parallel"]) <= MAX_PARALLEL:
        faults.append(f"parallel is 1 to {MAX_PARALLEL}")
    if faults:
        raise Unusable("what is told cannot be used: " + "; ".join(faults))
    return Profile(told)


def default_file(environment: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/hetao/send.toml`, or below `~/.config`; a relative value does not count."""
    named = environment.get("XDG_CONFIG_HOME", "")
    return (Path(named) if named.startswith("/") else Path.home() / ".config") / "hetao" / "send.toml"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_file(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise Unusable(f"{path} is not TOML: {wrong}") from wrong


def _checked(table: Mapping[str, Any], where: str, faults: list[str], base: Path | None) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    for name, value in table.items():
        kind = NAMES.get(name)
        if kind is None:
            faults.append(f"unknown name {name!r} {where}: use {', '.join(NAMES)}")
        elif kind == "count":
            number = _count(value)
            if number is None:
                faults.append(f"{name} {where} must be a whole number")
            else:
                found[name] = number
        elif not isinstance(value, str | Path):
            faults.append(f"{name} {where} must be a string")
        else:
            # A file named in the profile lies beside it; one named elsewhere where the command runs.
            expanded = str(Path(value).expanduser()) if kind == "path" else str(value)
            found[name] = str(base / expanded) if base is not None and kind == "path" else expanded
    return found


def _count(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if type(value) is int and 0 <= value < 10**9 else None
