from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.policy import app
from tests.policies.packed import pack

POLICIES = Path(__file__).parents[2] / "policies"


def run(*args: object, stdin: str = ""):
    return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)


@pytest.fixture
def facts(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "facts.toml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(POLICIES, tmp_path / "pack"))


@pytest.mark.parametrize(
    ("text", "verdict", "rules"),
    [
        ("", "allow", ["P0"]),
        ("[data]\nlevel = 'unknown'\n", "hold", ["D7"]),
        ("[data]\nlevel = 'core'\n", "deny", ["D2"]),
    ],
)
def test_check_exits_0_whatever_the_verdict(facts, text, verdict, rules):
    result = run("check", facts(text), "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert (told["verdict"], told["rules"]) == (verdict, rules)
    assert set(told) == {"verdict", "rules", "flags", "citations", "mechanism", "remedies", "rulebook"}


@pytest.mark.parametrize(
    "text", ["typo = 1\n", "on = '2026-11-20'\n", "[persons]\nsensitive = -1\n", "not toml", "a = '\udcff'"]
)
def test_check_exits_2_where_the_facts_cannot_be_used(tmp_path, text):
    path = tmp_path / "facts.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    result = run("check", path, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.strip()


def test_check_exits_2_where_there_is_no_file(tmp_path):
    assert run("check", tmp_path / "missing.toml").exit_code == 2
    assert run("check").exit_code == 2


def test_check_reads_standard_input():
    result = run("check", "-", "--json", stdin="[data]\npersonal = true\n")
    assert json.loads(result.stdout)["rules"] == ["P7"]


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", ["HOLD", "P8", "standard contract", "CAC", "documents"]),
        ("zh-Hans", ["暂缓", "需要标准合同", "促进和规范数据跨境流动规定 8", "补交文件"]),
        ("zh-Hant", ["暫緩", "需要標準合同", "促進和規範數據跨境流動規定 8", "補交文件"]),
    ],
)
def test_check_speaks_to_people(facts, lang, words):
    result = run("check", facts("[data]\nsensitive = true\n"), "--lang", lang)
    assert result.exit_code == 0
    assert all(word in result.stdout for word in words if word != "CAC")


def test_check_shows_flags_and_what_cannot_be_cleared(facts):
    text = """
    data = { sensitive = true, secrecy_mark = true }
    persons = { sensitive = 10000 }
    [[filings]]
    kind = "GBA"
    recipients = ["hku-genomics"]
    effective = 2026-11-02
    filed = 2026-11-16
    """
    shown = run("check", facts(text)).stdout
    assert "volume" in shown
    assert "Cannot be cleared by votes" in shown


def test_check_before_the_pack_begins_says_that_nothing_is_allowed_by_default(facts):
    shown = run("check", facts("on = 2020-01-01\n")).stdout
    assert "NONE" in shown
    assert "nothing is allowed by default" in shown


def test_the_golden_cases_pass():
    result = run("test")
    assert result.exit_code == 0
    told = json.loads(run("test", "--json").stdout)
    assert (told["cases"], told["failed"], told["uncovered"]) == (len(pack().cases), [], [])


def test_a_failing_case_and_a_gap_exit_1(folder):
    for path in (folder / "cases").glob("[234]*.toml"):
        path.unlink()
    cases = folder / "cases/1-the-brief.toml"
    cases.write_text(cases.read_text("utf-8").replace('verdict = "deny"', 'verdict = "allow"', 1), "utf-8")
    result = run("test", "--policies", folder)
    assert result.exit_code == 1
    assert "13.2" in result.stdout
    assert "no case is a near miss of it" in result.stdout
    assert run("test", "--json", "--policies", folder).exit_code == 1


def test_rules_lists_all():
    ids = [rule["id"] for rule in json.loads(run("rules", "--json").stdout)]
    assert ids == [rule.id for rule in pack().rulebook.rules]
    shown = run("rules", "--lang", "zh-Hant").stdout
    assert "國家秘密" in shown


def test_explain_shows_one_rule():
    shown = run("explain", "P8").stdout
    assert 'band == "contract"' in shown
    assert "CAC Order 16" in shown
    assert "13.5" in shown
    assert json.loads(run("explain", "P8", "--json").stdout)["cure"] == "documents"
    assert run("explain", "P99").exit_code == 2


def test_digest_prints_and_states(folder):
    assert run("digest").stdout.strip() == pack().rulebook.digest
    (folder / "DIGEST").write_text("0" * 64, "ascii")
    assert run("rules", "--policies", folder).exit_code == 2
    failed = run("test", "--policies", folder)
    assert failed.exit_code == 1
    assert "DIGEST states another content" in failed.stdout
    assert run("digest", "--policies", folder, "--write").exit_code == 0
    assert (folder / "DIGEST").read_text("ascii").strip() == pack().rulebook.digest
    assert run("test", "--policies", folder).exit_code == 0


def test_a_digest_that_cannot_be_written_or_read_is_told(folder):
    (folder / "DIGEST").unlink()
    assert "cannot be read" in run("test", "--policies", folder).stdout
    (folder / "DIGEST").mkdir()
    result = run("digest", "--policies", folder, "--write")
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_pack_that_cannot_be_used_exits_2(tmp_path, facts):
    result = run("check", facts(""), "--policies", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


# --- what the law leaves open ---


def test_choices_are_listed_for_people_and_for_machines():
    told = run("choices", "--lang", "zh-Hans")
    assert told.exit_code == 0
    assert "labour_rules = both" in told.stdout.replace("\n", " ")
    listed = json.loads(run("choices", "--json").stdout)
    assert [each["id"] for each in listed] == list(pack().rulebook.choices.entries)
    assert not any(each["laxer"] for each in listed)
    assert set(listed[0]) == {
        "id", "point", "question", "options", "default", "taken", "laxer", "read_by", "citations",
    }  # fmt: skip


def test_a_laxer_reading_is_marked_and_flagged(folder, facts):
    path = folder / "choices.toml"
    text = path.read_text("utf-8")
    path.write_text(text.replace('taken = "both"', 'taken = "either"'), "utf-8")
    assert run("digest", "--policies", folder, "--write").exit_code == 0
    assert "laxer" in run("choices", "--policies", folder).stdout
    made = json.loads(run("check", facts(""), "--policies", folder, "--json").stdout)
    assert (made["verdict"], made["flags"]) == ("allow", ["choice-labour_rules"])
    # Cases state flags exactly: a pack with a laxer reading says so in each of its cases, or does not pass.
    assert run("test", "--policies", folder).exit_code == 1


def test_facts_without_a_rule_fail_the_packs_test(folder):
    path = folder / "rules/3-personal-information.toml"
    text = path.read_text("utf-8")
    path.write_text(
        text.replace("when = 'band == \"small\"'", "when = 'band == \"small\" && sender.government_funded'"), "utf-8"
    )
    result = run("test", "--policies", folder, "--json")
    assert (result.exit_code, "no rule fires on 2024-03-22, export: band = 'small'" in result.stdout) == (1, True)
