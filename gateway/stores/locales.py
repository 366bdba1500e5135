"""The packaged texts: `gateway/locales/*.toml`, read once at the start and checked by `gateway.core.catalogue`."""

from __future__ import annotations

from importlib.resources import files

from gateway.core.catalogue import LANGUAGES, Catalogue, parse_catalogue


def load_catalogue() -> Catalogue:
    """The texts that ship with the gateway; raises Unusable where a language lacks anything."""
    folder = files("gateway") / "locales"
    return parse_catalogue({each: (folder / f"{each}.toml").read_text("utf-8") for each in LANGUAGES})
