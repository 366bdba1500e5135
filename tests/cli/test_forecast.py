"""`hetao forecast`: ranges and verdicts, held against what a gateway then decides."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli.forecast import forecast
from gateway.cli.forecast.ends import span
from gateway.cli.language import spoken
from gateway.core.errors import Unusable
from tests.flow.rig import DUTIES, GENERAL, NOW, Rig, filing, personal
from tests.flow.test_decide import table

ON = NOW.date()
FACTS = """
on = 2026-11-20
[sender]
id = "sz-lab"
gba_city = "Shenzhen"
[recipient]
id = "hku"
place = "HK"
[purpose]
stated = "trial A"
"""
SCC = '[[filings]]\nkind = "SCC"\nrecipients = ["hku"]\neffective = 2026-11-02\nfiled = 2026-11-10\n'


def run(*words: object) -> Any:
    app = typer.Typer()
    app.command()(forecast)
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def told(*words: object) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def write_toml(path: Path, declaration: dict[str, Any]) -> Path:
    lines = []
    for section, values in declaration.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {value if key == 'pipia' else json.dumps(value)}" for key, value in values.items()]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "facts.toml").write_text(FACTS)
    return tmp_path


@pytest.mark.parametrize(
    ("before", "own", "low", "high"),
    [(0, 0, 0, 0), (91_204, 12_676, 91_204, 103_880), (5, 12, 12, 17), (None, 7, 7, None), (0, 7, 7, 7)],
)
def test_the_truth_lies_between_all_sent_before_and_nobody(before, own, low, high):
    found = span(before, own)
    assert (found.low, found.high) == (low, high)


def test_the_range_and_the_verdict_at_both_ends(folder: Path):
    (folder / "data" / "a.csv").write_bytes(table(12_676))
    declaration = write_toml(folder / "d.toml", personal(nonsensitive=12_676))
    words = (folder / "data", "--declaration", declaration, "--facts", folder / "facts.toml")
    page = told(*words, "--sent-nonsensitive", 91_204, "--sent-sensitive", 0)
    assert page["counts"]["nonsensitive"] == {"now": 91_204, "own": 12_676, "low": 91_204, "high": 103_880}
    assert (page["low"]["verdict"], page["high"]["verdict"], page["same"]) == ("allow", "hold", False)
    assert (page["low"]["rules"], page["high"]["rules"]) == (["P7"], ["P8"])
    assert page["shared_unknown"]
    assert page["unstated"] == []
    said = run(*words, "--sent-nonsensitive", 91_204, "--sent-sensitive", 0, "--lang", "en").stdout
    assert "91,204 now; 91,204 to 103,880 after, depending on how many were sent before" in said
    assert "Provisions on Promoting and Regulating Cross-border Data Flows" in said
    assert "110105" not in said


def test_who_is_not_counted_yet_has_no_upper_end(folder: Path):
    (folder / "data" / "a.csv").write_bytes(table(50))
    declaration = write_toml(folder / "d.toml", personal(nonsensitive=50))
    page = told(folder / "data", "--declaration", declaration, "--facts", folder / "facts.toml")
    assert page["counts"]["nonsensitive"] == {"now": None, "own": 50, "low": 50, "high": None}
    assert (page["low"]["verdict"], page["high"]["verdict"]) == ("allow", "deny")
    assert page["unstated"] == ["counts"]


def test_nothing_said_is_never_allowed(folder: Path):
    (folder / "data" / "b.csv").write_text("time,celsius\n2026-11-22T08:00,21.4\n")
    page = told(folder / "data")
    assert "allow" not in {page["low"]["verdict"], page["high"]["verdict"]}
    assert page["unstated"] == ["sender", "recipient", "declaration", "counts"]
    facts_only = told(folder / "data", "--facts", folder / "facts.toml")
    assert facts_only["low"]["verdict"] != "allow"


def test_a_declaration_in_the_folder_counts_and_words_stand_on_it(folder: Path):
    (folder / "data" / "b.csv").write_text("time,celsius\n2026-11-22T08:00,21.4\n")
    write_toml(folder / "data" / "declaration.toml", GENERAL)
    words = (folder / "data", "--facts", folder / "facts.toml", "--sent-sensitive", 0, "--sent-nonsensitive", 0)
    assert told(*words)["low"]["verdict"] == "allow"
    assert run(*words, "--check").exit_code == 0
    assert told(*words, "--declare", "data.level=important")["low"]["rules"] == ["D6"]
    assert run(*words, "--declare", "data.level=important", "--check").exit_code == 1
    assert told(*words, "--declare", "data.personal=true", "--declare", "persons.nonsensitive=3")["high"]["rules"]


def test_facts_about_the_data_are_the_ground_and_only_made_stricter(folder: Path):
    (folder / "data" / "b.csv").write_text("time,celsius\n2026-11-22T08:00,21.4\n")
    facts = folder / "facts.toml"
    facts.write_text(FACTS + '[data]\nlevel = "important"\n')
    declaration = write_toml(folder / "d.toml", GENERAL)
    words = (folder / "data", "--facts", facts, "--declaration", declaration)
    assert told(*words)["low"]["rules"] == ["D6"]


@pytest.mark.parametrize(
    ("facts", "words", "complaint"),
    [
        ("[persons]\nsensitive = 1\n", (), "leave .persons. out"),
        ("[sender]\nfilled = true\n", (), "filed"),
        ("[sender", (), "is not TOML"),
        ("", ("--declare", "level=general"), "section.key=value"),
        ("", ("--declare", "data.level=mild"), "data.level must be one of"),
        ("", ("--declare", "data.personal=true"), "how many people"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_do(folder: Path, facts, words, complaint):
    (folder / "data" / "b.csv").write_text("a\n")
    (folder / "facts.toml").write_text(facts)
    with pytest.raises(Unusable, match=complaint):
        run(folder / "data", "--facts", folder / "facts.toml", *words)


def test_files_nobody_can_read_are_named(folder: Path):
    (folder / "data" / "a.bin").write_bytes(bytes(range(256)) * 10)
    page = told(folder / "data", "--facts", folder / "facts.toml")
    assert (page["uninspectable"], page["found"]["inspectable"]) == (["a.bin"], False)
    assert "D10" in page["low"]["rules"]


@pytest.mark.parametrize(
    ("asked", "environment", "language"),
    [
        ("zh-Hant", {"LANG": "en_GB.UTF-8"}, "zh-Hant"),
        (None, {"LANG": "zh_CN.UTF-8"}, "zh-Hans"),
        (None, {"LC_ALL": "zh_HK.UTF-8", "LANG": "en_GB.UTF-8"}, "zh-Hant"),
        (None, {"LC_ALL": "", "LANG": "zh_TW@radical"}, "zh-Hant"),
        (None, {"LANG": "C.UTF-8"}, "en"),
        (None, {}, "en"),
    ],
)
def test_the_language_is_the_one_asked_for_or_the_environments(asked, environment, language):
    assert spoken(asked, environment) == language


CASES = {
    "nothing personal": ({"b.csv": b"time,celsius\n08:00,21.4\n"}, GENERAL, ()),
    "fifty people": ({"a.csv": table(50)}, personal(nonsensitive=50), ()),
    "undeclared people": ({"a.csv": table(50)}, GENERAL, ()),
    "sensitive by contract": (
        {"a.csv": table(40), "b/c.csv": table(40, 20)},
        personal(nonsensitive=60, sensitive=60),
        ("SCC",),
    ),
    "sensitive without one": ({"a.csv": table(40)}, personal(nonsensitive=40, sensitive=90), ()),
    "one number alone": ({"a.csv": b"ref\n11010519491231002X\n"}, GENERAL, ()),
    "a secrecy mark": ({"a.txt": "绝密★启用前\n".encode()}, GENERAL, ()),
    "nobody can read it": ({"a.bin": bytes(range(256))}, GENERAL, ()),
    "genetic data": (
        {"a.csv": b"x\n1\n"},
        {**GENERAL, "hgr": {"information": True, "material": False, "subjects": 700}, "duties": DUTIES},
        (),
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_the_gateway_decides_what_was_forecast(folder: Path, case: str):
    """With nobody sent before, both ends are one, and they are what the gateway then says."""
    files, declaration, filings = CASES[case]
    rig = Rig()
    await rig.found()
    if filings:
        await rig.register(*(filing(kind) for kind in filings))
    sent = await rig.send(files, declaration)
    await rig.settle()
    decision = (await rig.transfer(sent.id)).decision

    for name, content in files.items():
        (folder / "data" / name).parent.mkdir(exist_ok=True)
        (folder / "data" / name).write_bytes(content)
    (folder / "facts.toml").write_text(FACTS + (SCC if filings else ""))
    page = told(
        *(folder / "data", "--facts", folder / "facts.toml"),
        *("--declaration", write_toml(folder / "d.toml", declaration)),
        *(word for name in ("sensitive", "nonsensitive", "subjects", "sequenced") for word in (f"--sent-{name}", 0)),
    )
    assert page["on"] == ON.isoformat() == date(2026, 11, 20).isoformat()
    persons = decision["situation"]["persons"]
    for end in ("low", "high"):
        assert (page[end]["verdict"], page[end]["rules"]) == (decision["verdict"], decision["rules"]), persons
        assert page[end]["rulebook"] == decision["rulebook"]
        assert page[end]["remedies"] == decision["remedies"]
