from __future__ import annotations

from typing import Any

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.decide.decision import _variables
from gateway.core.derive import derive
from gateway.core.errors import Unusable
from gateway.core.rulebook import operands, parse_condition, parse_rulebook
from gateway.core.rulebook.choices import with_choices
from gateway.core.rulebook.condition import Junction, Listing, Literal, Node, Not, Path, Relation
from gateway.core.situation import close_upwards
from gateway.stores.rulebooks import prc_calendar
from tests.policies.packed import CALM, pack, situations

INSTRUMENTS = """
[[instrument]]
id = "law"
issuer = "somebody"
number = "1"
in_force = { from = 2020-01-01 }
version = 2020-01-01
status = "verified"
[instrument.title]
en = "Law"
zh-Hans = "法"
zh-Hant = "法"
[instrument.articles]
1 = { status = "verified", text = "says so" }
"""

RULE = """
[[rule]]
id = "X1"
row = "X1"
verdict = "deny"
cure = "none"
mechanism = "none"
certainty = "verified"
directions = ["export"]
in_force = { from = 2024-01-01 }
when = 'data.level == "secret"'
citations = ["law:1"]
[rule.title]
en = "a"
zh-Hans = "b"
zh-Hant = "c"
[rule.remedy]
en = "a"
zh-Hans = "b"
zh-Hant = "c"
"""


def load(rules: str = RULE, instruments: str = INSTRUMENTS, **more: bytes):
    documents = {"rules/x.toml": rules.encode(), "instruments/x.toml": instruments.encode(), **more}
    return parse_rulebook(documents, pack().vocabulary)


def refusal(*args: str, **more: bytes) -> str:
    with pytest.raises(Unusable) as caught:
        load(*args, **more)
    return caught.value.message


def condition(text: str) -> Node:
    return parse_condition(text, pack().vocabulary)


# --- conditions ---


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('data.level == "secret" && data.typo', "names 'data.typo'"),
        ('data.level == "secret" || dta.level == "core"', "names 'dta.level'"),
        ("data.level.x == 'secret'", "names 'data.level.x'"),
        ("data", "names 'data'"),
        ("on", "names 'on'"),
        ("duties.pipia == 'none'", "names 'duties.pipia'"),
        ("recipient.in_hetao_hk_park", "names 'recipient.in_hetao_hk_park'"),
        ("filings", "names 'filings'"),
        ('data.level == "scret"', "'scret', which is none of its words"),
        ('"scret" == data.level', "'scret', which is none of its words"),
        ('data.level in ["core", "scret"]', "'scret', which is none of its words"),
        ('"SSC" in in_force', "'SSC', which is none of its words"),
        ("data.level == band", "share no word"),
        ("band in in_force", "share no word"),
        ("size(in_force) > 0", "calls 'size'"),
        ("in_force.exists(x, x == 'SA')", "calls 'exists'"),
        ("has(data.level)", "calls 'has'"),
        ("data.level.startsWith('s')", "calls 'startsWith'"),
        ("matches(data.level, 'x')", "calls 'matches'"),
        ("data.level", "not a yes-or-no question"),
        ("persons.sensitive", "not a yes-or-no question"),
        ("in_force", "not a yes-or-no question"),
        ("1", "not a yes-or-no question"),
        ('"secret"', "not a yes-or-no question"),
        ('["secret"]', "not a yes-or-no question"),
        ("true", "constant"),
        ("!false && true", "constant"),
        ('"a" == "a"', "constant"),
        ("data.personal && persons.sensitive", "'&&' a count where a flag belongs"),
        ('data.personal || "x"', "'||' a text where a flag belongs"),
        ("!data.level", "'!' a text where a flag belongs"),
        ("data.personal == 1", "'==' a count where a flag belongs"),
        ("data.level != 1", "'!=' a count where a text belongs"),
        ('persons.sensitive < "1"', "'<' a text where a count belongs"),
        ("data.personal >= 1", "'>=' a flag where a count belongs"),
        ('in_force == ["SA"]', "cannot compare lists"),
        ('"SA" in band', "'in' a text where a list belongs"),
        ('1 in ["a"]', "'in' a count where a text belongs"),
        ("data.level == null", "names 'null'"),
        ("data.level == 'a' == true", "chains"),
        ("persons.sensitive + 1 > 2", "cannot be read"),
        ("data.personal ? true : false", "cannot be read"),
        ("persons.sensitive > -1", "cannot be read"),
        ("persons.sensitive > 1u", "cannot be read"),
        ("persons.sensitive > 1.5", "cannot be read"),
        ("persons.sensitive > 0x10", "cannot be read"),
        ("persons.sensitive > 9007199254740992", "cannot go on"),
        (r'data.level == "sec\x72et"', "cannot be read"),
        ('data.level == r"secret"', "names 'r'"),
        ("data.level == 'a\nb'", "cannot be read"),
        ("data.personal // true", "cannot be read"),
        ("data['level'] == 'core'", "names 'data'"),
        ("data.level == in", "names 'in'"),
        ('data.level in [1, "core"]', "a list holds texts only"),
        ('data.level in ["core" "secret"]', "misses ','"),
        ("data.level in []", "empty list"),
        ("data.5", "after a dot"),
        ("data.'level' == 'core'", "after a dot"),
        ("data.", "ends too early"),
        ("", "ends too early"),
        ("data.personal &&", "ends too early"),
        ("(data.personal", "misses ')'"),
        ("data.personal)", "cannot go on at ')'"),
        ("data.personal data.personal", "cannot go on"),
        ("(" * 20 + "data.personal" + ")" * 20, "nested deeper"),
        ("!" * 20 + "data.personal", "nested deeper"),
        ("data.personal" + " " * 2000, "longer than 2000"),
    ],
)
def test_a_condition_outside_the_subset_is_refused(text, why):
    with pytest.raises(Unusable) as caught:
        condition(text)
    assert why in caught.value.message


def test_the_tree_of_a_condition():
    tree = condition('data.personal && (persons.sensitive > 500 || !("SA" in in_force)) && band in ["small", "none"]')
    assert operands(tree) == {"data.personal", "persons.sensitive", "in_force", "band"}
    assert isinstance(tree, Junction)
    assert len(tree.parts) == 3
    band = Path("band", "text", ("none", "small", "contract", "assessment"))
    assert tree.parts[2] == Relation("in", band, Listing(("small", "none")))


@pytest.mark.parametrize(
    "text",
    [
        "data.personal == true",
        "data.personal == data.sensitive",
        "recipient.place == 'HK'",
        "'HK' == recipient.place",
        "persons.sensitive == 5",
        "persons.sensitive <= persons.nonsensitive",
        "!!data.personal",
        "\n data.personal\n&& export ",
    ],
)
def test_accepted_conditions(text):
    assert operands(condition(text))


def judge(tree: Node, values: dict[str, Any]) -> Any:
    """What a tree means, said independently of the CEL library."""
    match tree:
        case Literal(value=value):
            return value
        case Listing(items=items):
            return list(items)
        case Path(path=path):
            section, _, name = path.rpartition(".")
            return values[section][name] if section else values[name]
        case Not(inner=inner):
            return not judge(inner, values)
        case Junction(sign="&&", parts=parts):
            return all(judge(part, values) for part in parts)
        case Junction(parts=parts):
            return any(judge(part, values) for part in parts)
        case Relation(sign=sign, left=left, right=right):
            one, other = judge(left, values), judge(right, values)
            return {
                "==": lambda: one == other,
                "!=": lambda: one != other,
                "<": lambda: one < other,
                "<=": lambda: one <= other,
                ">": lambda: one > other,
                ">=": lambda: one >= other,
                "in": lambda: one in other,
            }[sign]()
    raise AssertionError(tree)


def values_of(found) -> dict[str, Any]:
    closed = close_upwards(found)
    return _variables(pack().rulebook, closed, derive(closed, prc_calendar()))


@CALM
@given(situations())
def test_the_library_reads_every_rule_as_the_tree_does(found):
    values = values_of(found)
    context = cel.Context(variables=values)
    vocabulary = with_choices(pack().vocabulary, pack().rulebook.choices.entries)
    for rule in pack().rulebook.rules:
        tree = parse_condition(rule.condition, vocabulary)
        assert rule.program.execute(context) is judge(tree, values), rule.id


_ATOMS = st.sampled_from(
    [
        "data.personal",
        "export",
        "true",
        "false",
        'data.level == "core"',
        'data.level in ["core", "unknown"]',
        "'general' != data.level",
        '"SA" in in_force',
        "persons.sensitive > 500",
        "persons.sensitive <= persons.nonsensitive",
        "9999 < hgr.subjects",
        "hgr.wes_wgs_subjects >= 501",
        "data.sensitive == data.personal",
        'recipient.place == "HK"',
    ]
)


@st.composite
def _sentences(draw, depth=0):
    if depth == 5 or draw(st.integers(0, 2)) == 0:
        return draw(_ATOMS)
    inner = draw(_sentences(depth=depth + 1))
    shape = draw(st.sampled_from(["!", "(", "&&", "||"]))
    if shape in {"!", "("}:
        return f"{shape.replace('(', '')}({inner})"
    return f"{inner} {shape} {draw(_sentences(depth=depth + 1))}"


@CALM
@given(_sentences(), situations())
def test_an_accepted_sentence_means_the_same_to_the_library(text, found):
    tree = condition(f"export || {text}").parts[1:]
    values = values_of(found)
    want = any(judge(part, values) for part in tree)
    assert cel.compile(text).execute(cel.Context(variables=values)) is want


@CALM
@given(st.text(st.sampled_from("data.lev=!<>&|()[]\"' 5,inxSA\\\n"), max_size=40))
def test_no_text_breaks_the_reader(text):
    try:
        condition(text)
    except Unusable:
        return
    cel.compile(text)


# --- packs ---


def test_a_small_pack_loads():
    rulebook = load()
    rule = rulebook.rule("X1")
    assert rule is not None
    assert rulebook.rule("X2") is None
    assert (rule.verdict, rule.row, rule.until, rule.flags) == ("deny", "X1", None, ())
    assert rulebook.instruments["law"].articles["1"].text == "says so"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('data.level == "secret"', 'data.level == "secret" && data.typo', "X1: the condition names 'data.typo'"),
        ('data.level == "secret"', 'data.level == "secret" && size(in_force) > 0', "X1: the condition calls 'size'"),
        ('data.level == "secret"', "1", "X1: the condition is not a yes-or-no question"),
        ('citations = ["law:1"]', "citations = []", "X1: it cites nothing"),
        ('citations = ["law:1"]', 'citations = "law:1"', "X1: it cites nothing"),
        ('"law:1"', '"lore:1"', "X1: it cites the unknown instrument 'lore'"),
        ('"law:1"', '"law:2"', "X1: it cites law article '2', which is not recorded"),
        ("2024-01-01", "2019-01-01", "X1: it starts before any instrument"),
        ("{ from = 2024-01-01 }", "{ from = 2024-01-01, to = 2023-01-01 }", "X1: in_force ends before"),
        ("{ from = 2024-01-01 }", "{ to = 2024-01-01 }", "X1: in_force needs a day"),
        ("{ from = 2024-01-01 }", "2024-01-01", "X1: in_force needs a day"),
        ('verdict = "deny"', 'verdict = "refuse"', "X1: unknown verdict 'refuse'"),
        ('verdict = "deny"', 'verdict = "hold"', "X1: a hold needs a cure"),
        ('cure = "none"', 'cure = "judgement"', "X1: a hold needs a cure"),
        ('cure = "none"', 'cure = "prayer"', "X1: unknown cure 'prayer'"),
        ('mechanism = "none"', 'mechanism = "BCR"', "X1: unknown mechanism 'BCR'"),
        ('certainty = "verified"', 'certainty = "sure"', "X1: unknown certainty 'sure'"),
        ('["export"]', "[]", "X1: directions must be among"),
        ('["export"]', '"export"', "X1: directions must be among"),
        ('["export"]', '["sideways"]', "X1: directions must be among"),
        ('["export"]', '["export"]\nflags = ["odd"]', "X1: unknown flag 'odd'"),
        ('row = "X1"', 'row = "X2"', "X1: the id must be its row's code"),
        ('row = "X1"', 'row = "x"', "X1: the id must be its row's code"),
        ('id = "X1"', 'id = "NONE"', "NONE: the id must be its row's code"),
        ('id = "X1"\n', "", "a rule without id: keys ['id'] are missing"),
        ('row = "X1"', 'row = "X1"\nextra = 1', "X1: keys ['extra'] are missing or unknown"),
        ('zh-Hant = "c"', "", "X1: title needs"),
        ('zh-Hant = "c"', 'zh-Hant = " "', "X1: title needs"),
        ("[[rule]]", "[rule]", "rules/x.toml: must be a list of tables"),
        ("[[rule]]", "[[rules]]", "rules/x.toml:"),
    ],
)  # fmt: skip
def test_a_rule_that_does_not_fit_is_refused_by_its_id(old, new, why):
    assert old in RULE
    assert why in refusal(RULE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('id = "law"\n', "", "an instrument without id: keys ['id']"),
        ('number = "1"', 'number = ""', "law: number is empty"),
        ('status = "verified"\n[', 'status = "sworn"\n[', "law: unknown status 'sworn'"),
        ("version = 2020-01-01", "version = 2020", "law: version must be a date"),
        ("{ from = 2020-01-01 }", "{ from = 2020 }", "law: in_force needs a day"),
        ('en = "Law"\n', "", "law: title needs"),
        ('{ status = "verified", text = "says so" }', '{ status = "verified", text = "" }', "law: article 1 needs"),
        ('{ status = "verified", text = "says so" }', '"says so"', "law: article 1 needs"),
        ('1 = { status = "verified", text = "says so" }', "", "law: it records no articles"),
    ],
)
def test_an_instrument_that_does_not_fit_is_refused(old, new, why):
    assert old in INSTRUMENTS
    assert why in refusal(RULE, INSTRUMENTS.replace(old, new))


def test_ids_are_unique_across_files():
    assert "X1: the id is taken twice" in refusal(**{"rules/y.toml": RULE.encode()})
    assert "law: the id is taken twice" in refusal(**{"instruments/y.toml": INSTRUMENTS.encode()})


def test_all_faults_are_told_at_once():
    why = refusal(RULE.replace("secret", "scret") + RULE.replace('"X1"', '"X2"').replace('["law:1"]', "[]"))
    assert "X1:" in why
    assert "X2:" in why


@pytest.mark.parametrize("data", [b"[[rule]", b"\xff"])
def test_what_is_not_toml_is_refused_by_its_path(data):
    assert "rules/bad.toml" in refusal(**{"rules/bad.toml": data})


def test_a_pack_without_rules_is_no_pack():
    assert "no rules" in refusal("")


def test_the_digest_covers_meaning_not_layout():
    assert load("# a comment\n" + RULE.replace(" = ", "  =  ")).digest == load().digest
    assert load(RULE.replace('en = "a"', 'en = "A"')).digest != load().digest
    assert load(**{"vocabulary.toml": b"version = 2"}).digest != load().digest


def test_a_rule_applies_between_its_days_in_its_directions():
    from datetime import date

    rule = load(RULE.replace("{ from = 2024-01-01 }", "{ from = 2024-01-01, to = 2026-12-31 }")).rule("X1")
    assert rule is not None
    assert [rule.applies(day, "export") for day in map(date.fromisoformat, DAYS)] == [False, True, True, False]
    assert not rule.applies(date(2025, 1, 1), "inbound")


DAYS = ["2023-12-31", "2024-01-01", "2026-12-31", "2027-01-01"]


def test_a_derived_fact_that_only_the_vocabulary_has_is_refused():
    from dataclasses import replace

    vocabulary = pack().vocabulary
    short = replace(vocabulary, derived={name: found for name, found in vocabulary.derived.items() if name != "band"})
    with pytest.raises(Unusable, match="derived fact band"):
        parse_rulebook({"rules/x.toml": RULE.encode(), "instruments/x.toml": INSTRUMENTS.encode()}, short)
