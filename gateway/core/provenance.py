"""Where each fact of a decision came from: said by the sender, seen in the bytes, registered, counted, or assumed.

For officers who must answer for a decision. It reads the same sources as `known.know`, and tells which of them spoke; it
decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from gateway.core.lineage import ADDED, PROVEN, UNPROVEN

Source = Literal["declared", "detected", "declared and detected", "registry", "ledger", "gateway", "assumed"]

# Facts that one source alone tells.
_FIXED: Final[Mapping[str, Source]] = {
    "on": "gateway", "direction": "gateway", "sender.splitting_suspected": "ledger", "data.inspectable": "detected",
    "persons.nonsensitive": "ledger", "persons.sensitive": "ledger", "hgr.subjects": "ledger",
    "hgr.wes_wgs_subjects": "ledger",
}  # fmt: skip
_SECTIONS: Final[Mapping[str, Source]] = {
    "sender": "registry", "recipient": "registry", "filings": "registry", "technical": "gateway"
}  # fmt: skip
# What the bytes are asked for besides the sender: path in the situation, key in the joined findings.
_SEEN: Final[Mapping[str, tuple[str, ...]]] = {
    "data.level": ("level",),
    "data.secrecy_mark": ("secrecy_mark",),
    "data.precise_geo": ("precise_geo",),
    "data.personal": ("personal",),
    "data.sensitive": ("sensitive",),
    "hgr.information": ("hgr", "information"),
    "hgr.aggregate_only": ("hgr", "aggregate_only"),
}


def sources(
    situation: Mapping[str, Any],
    declared: Mapping[str, Any],
    findings: Mapping[str, Any],
    lineage: Mapping[str, Any] | None = None,
) -> dict[str, Source]:
    """The source of every fact, by dotted path; `filings` as a whole.

    Args:
        situation: As `situation_document` gives it.
        declared: The declaration.
        findings: The joined findings.
        lineage: What was found of a claim that data came from abroad (`Lineage.to_json`).
    """
    found: dict[str, Source] = {}
    for section, values in situation.items():
        if section in {"filings", "on", "direction"}:
            found[section] = _FIXED.get(section) or _SECTIONS[section]
            continue
        for name, value in values.items():
            path = f"{section}.{name}"
            found[path] = _FIXED.get(path) or _SECTIONS.get(section) or _told(path, value, declared, findings)
    state = (lineage or {}).get("state", UNPROVEN)
    if state != UNPROVEN:  # then the people in the bytes decided, or that they could not be compared
        found["exemption.mainland_data_added"] = "detected" if state in {PROVEN, ADDED} else "assumed"
    if state == PROVEN:
        found["exemption.evidence"] = "detected"
    return found


def _told(path: str, value: Any, declared: Mapping[str, Any], findings: Mapping[str, Any]) -> Source:
    section, name = path.split(".")
    said = name in declared.get(section, {})
    seen = _seen(path, findings)
    agrees = said and declared[section][name] == value
    if seen is not None and seen == value:
        return "declared and detected" if agrees else "detected"
    if said:
        return "declared"
    return "registry" if path == "purpose.stated" and value else "assumed"


def _seen(path: str, findings: Mapping[str, Any]) -> Any:
    """What the bytes say; None where they are not asked, or say nothing that adds to what the sender said."""
    value: Any = findings
    for key in _SEEN.get(path, ("",)):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value or None
