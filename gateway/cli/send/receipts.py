"""The receipt: fetched, checked against pinned keys and against what was sent, kept.

A change must keep these:
1. Without the two pinned keys a receipt is kept and said to be unchecked, never called good.
2. A receipt that holds is held against the digests made here: it must list exactly the files that were sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.cli.desk import read_file
from gateway.cli.send.plan import Received, parse_received
from gateway.core.errors import Unusable
from gateway.core.receipt import check_receipt


@dataclass(frozen=True)
class Pins:
    """The gateway's two public keys, as `hetao keys show` prints them; empty where nobody gave them."""

    gateway: str
    ledger: str

    @property
    def complete(self) -> bool:
        """Whether a receipt can be checked."""
        return bool(self.gateway and self.ledger)


def parse_pin(given: str) -> str:
    """A key itself, or the content of the file that is named; the comment of an SSH key is left out."""
    if not given:
        return ""
    text = given if given.startswith("ssh-") or "+" in given else read_file(Path(given)).decode("utf-8", "replace")
    words = text.split()
    return " ".join(words[:2]) if words and words[0].startswith("ssh-") else text.strip()


def faults_of(
    receipt: str, signature: str, pins: Pins, transfer: str, sent: Mapping[str, Received] | None
) -> list[str]:
    """What does not hold; empty where everything does.

    Args:
        receipt: Canonical JSON.
        signature: Armored SSHSIG.
        pins: The two keys; both must be there.
        transfer: The transfer's id.
        sent: What was sent, by path; None where this run does not know.

    Raises:
        Unusable: A pinned key is no key.
    """
    try:
        checked = check_receipt(receipt.encode(), signature.encode(), pins.gateway, pins.ledger)
    except ValueError as wrong:
        raise Unusable(f"--gateway-key or --ledger-key is no key: {wrong}; take them from `hetao keys show`") from wrong
    if checked.problems:
        return list(checked.problems)
    if checked.body["transfer"]["id"] != transfer:
        return ["the receipt is for another transfer"]
    if sent is not None and _listed(checked.body) != dict(sent):
        return ["the receipt lists other files than were sent"]
    return []


def _listed(body: Mapping[str, Any]) -> dict[str, Received] | None:
    try:
        return parse_received(body["files"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def keep(folder: Path, name: str, receipt: str, signature: str) -> Path:
    """Write both beside each other, for `hetao ledger check-receipt` and `ssh-keygen -Y verify`; raises Unusable."""
    path = folder / f"{name}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(receipt, encoding="utf-8")
        path.with_suffix(".json.sig").write_text(signature, encoding="utf-8")
    except OSError as wrong:
        raise Unusable(f"the receipt cannot be kept at {path}: {wrong.strerror}") from wrong
    return path
