"""The language a command speaks: the one asked for, else the one the environment is set to, else English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import typer

from gateway.core.catalogue import DEFAULT, negotiated

Language = Literal["en", "zh-Hans", "zh-Hant"]
LanguageOption = Annotated[
    Language | None, typer.Option("--lang", help="Language of what is said; else the environment's, else English.")
]
_ORDER: Final = ("LC_ALL", "LC_MESSAGES", "LANG")  # POSIX.1-2017, section 8.2: the first that is set decides


def spoken(asked: str | None, environment: Mapping[str, str]) -> str:
    """A language of the catalogue.

    Args:
        asked: What the command line says, if anything.
        environment: As `os.environ`.
    """
    if asked:
        return asked
    locale = next((environment[name] for name in _ORDER if environment.get(name)), "")
    tag = locale.partition(".")[0].partition("@")[0].replace("_", "-")
    return negotiated(tag) if tag else DEFAULT
