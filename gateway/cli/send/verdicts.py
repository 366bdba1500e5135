"""A transfer as the gateway tells of it, in lines for people: where it stands, the verdict, its reasons and what to do.

Pure. The gateway sends ids of rules and articles, and remedies in three languages; titles of laws are those of the rule pack
that came with this program, and ids where it does not know them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from gateway.core.catalogue import Catalogue

if TYPE_CHECKING:  # it brings the rules' language, which takes its time to load
    from gateway.core.rulebook import Rulebook

FINE: Final = frozenset({"receipted"})
FALLEN: Final = frozenset({"refused", "rejected", "withdrawn", "expired", "failed"})
WITH_OFFICERS: Final = "held"


def verdict_lines(
    transfer: Mapping[str, Any], catalogue: Catalogue, language: str, rulebook: Rulebook
) -> Iterator[str]:
    """The verdict, each rule with its articles, and each remedy; nothing where there is no decision yet."""
    decision = transfer.get("decision")
    if not isinstance(decision, Mapping):
        return
    verdict = str(decision.get("verdict", ""))
    told = catalogue.text(f"verdict.{verdict}", language) if verdict in {"allow", "hold", "deny"} else verdict
    yield catalogue.text("send.verdict", language, verdict=told, code=verdict)
    cited = _tables(decision.get("citations"))
    for name in decision.get("rules") or ():
        rule = rulebook.rule(str(name))
        title = rule.titles[language] if rule is not None and decision.get("rulebook") == rulebook.digest else ""
        yield f"  {name}  {title}".rstrip()
        for article in (each for each in cited if each.get("rule") == name):
            yield f"    {_instrument(article, rulebook, language)} {article.get('article', '')}".rstrip()
    for remedy in _tables(decision.get("remedies")):
        if text := remedy.get(language) or remedy.get("en"):
            yield f"  {remedy.get('rule', '')}: {text}".replace("  : ", "  ")


def state_line(transfer: Mapping[str, Any], catalogue: Catalogue, language: str) -> str:
    """Where it stands, and who has to act."""
    says = transfer.get("says") or transfer.get("state", "")
    line = catalogue.text("send.state", language, says=says, state=transfer.get("state", ""))
    reason = transfer.get("reason")
    return f"{line} {reason}" if reason else line


def _instrument(article: Mapping[str, Any], rulebook: Rulebook, language: str) -> str:
    name = str(article.get("instrument", ""))
    known = rulebook.instruments.get(name)
    return known.titles[language] if known is not None else name


def _tables(listed: Any) -> list[Mapping[str, Any]]:
    return [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
