"""The lock file: every package pinned and hashed, nothing said about where it was fetched from."""

from __future__ import annotations

import re
import tomllib

from tests.architecture.source import ROOT

TEXT = (ROOT / "requirements.lock").read_text("utf-8")
PINS = re.split(r"\n(?=[A-Za-z0-9])", "\n".join(line for line in TEXT.splitlines() if not line.startswith("#")))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def name(requirement: str) -> str:
    """The package's name as PEP 503 compares it, without extras and versions."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


def test_every_package_is_pinned_and_hashed() -> None:
    assert len(PINS) > 50
    for pin in PINS:
        first, *rest = pin.splitlines()
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*(?:\[[a-z0-9,._-]+\])?==[0-9][^ ]*(?: ; [^\\]+)? \\", first), first
        assert rest, f"{first} has no hash"
        assert all(re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}(?: \\)?", line) for line in rest), first


def test_no_host_and_no_option_is_named() -> None:
    assert not re.search(r"://|--(?:extra-)?index|--find-links|--trusted-host| @ ", TEXT)


def test_everything_the_project_asks_for_is_locked() -> None:
    locked = {name(pin) for pin in PINS}
    asked = [*PROJECT["dependencies"], *(each for extra in PROJECT["optional-dependencies"].values() for each in extra)]
    assert {name(each) for each in asked} <= locked


def test_extras_that_are_asked_for_stand_in_the_lock() -> None:
    """Whoever reads the lock sees why their packages are in it, and an installer that follows dependencies agrees."""
    asked = [*PROJECT["dependencies"], *(each for extra in PROJECT["optional-dependencies"].values() for each in extra)]
    wanted = {re.split(r"[<>=!~; ]", each)[0] for each in asked if "[" in each}
    assert wanted
    assert wanted <= {pin.partition("==")[0] for pin in PINS}
