"""How a verdict is shown to people: the words of three languages, and the decision with its rules, articles and remedies."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from gateway.core.decide import Decision, cures
from gateway.core.rulebook import Rule, Rulebook

STYLE: Final = {"allow": "bold green", "hold": "bold yellow", "deny": "bold red"}
WORDS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "allow": "ALLOW",
        "hold": "HOLD",
        "deny": "DENY",
        "rule": "Rule",
        "title": "What it says",
        "articles": "Articles",
        "remedy": "What to do",
        "mechanism": "Mechanism",
        "flags": "Flags",
        "pack": "Rule pack",
        "documents": "Cleared by documents: record them and it is decided again.",
        "judgement": "Cleared by two officers' votes.",
        "none": "Cannot be cleared by votes.",
        "nothing": "No rule fired, and nothing is allowed by default.",
    },
    "zh-Hans": {
        "allow": "放行",
        "hold": "暂缓",
        "deny": "拒绝",
        "rule": "规则",
        "title": "内容",
        "articles": "条文",
        "remedy": "如何处理",
        "mechanism": "出境机制",
        "flags": "标记",
        "pack": "规则包",
        "documents": "补交文件后重新判定。",
        "judgement": "由两名审核人员表决。",
        "none": "不能通过表决放行。",
        "nothing": "没有规则适用；没有默认放行。",
    },
    "zh-Hant": {
        "allow": "放行",
        "hold": "暫緩",
        "deny": "拒絕",
        "rule": "規則",
        "title": "內容",
        "articles": "條文",
        "remedy": "如何處理",
        "mechanism": "出境機制",
        "flags": "標記",
        "pack": "規則包",
        "documents": "補交文件後重新判定。",
        "judgement": "由兩名審核人員表決。",
        "none": "不能通過表決放行。",
        "nothing": "沒有規則適用；沒有預設放行。",
    },
}


def show_decision(console: Console, decision: Decision, rulebook: Rulebook, lang: str) -> None:
    """The verdict, each rule that fired with its articles, and what to do, in a language of the catalogue."""
    words = WORDS[lang]
    style = STYLE[decision.verdict]
    cure = cures(decision)
    lines = [f"[{style}]{words[decision.verdict]}[/]", f"{words['mechanism']}: {decision.mechanism}"]
    lines += [f"{words['flags']}: {', '.join(decision.flags)}"] if decision.flags else []
    lines += [words[cure]] if cure else []
    console.print(Panel("\n".join(lines), border_style=style.removeprefix("bold "), expand=False))
    for fired in decision.fired:
        console.print(f"\n[bold]{fired.id}[/]  [{STYLE[fired.verdict]}]{words[fired.verdict]}[/]  ", end="")
        rule = rulebook.rule(fired.id)
        if rule is None:
            console.print(words["nothing"], soft_wrap=True)
            continue
        console.print(escape(f"{rule.titles[lang]}  {fired.error}".strip()), soft_wrap=True)
        console.print(f"  {words['articles']}: {articles(rule, rulebook, lang)}", soft_wrap=True)
        if fired.verdict != "allow":
            console.print(f"  {words['remedy']}: {escape(rule.remedies[lang])}", soft_wrap=True)
    console.print(f"\n{words['pack']}: {decision.rulebook}", style="dim", soft_wrap=True)


def articles(rule: Rule, rulebook: Rulebook, lang: str) -> str:
    """The articles a rule rests on, by instrument, in a language."""
    listed: dict[str, list[str]] = {}
    for cited in rule.citations:
        listed.setdefault(rulebook.instruments[cited.instrument].titles[lang], []).append(cited.article)
    return escape("; ".join(f"{title} {', '.join(articles)}" for title, articles in listed.items()))
