from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.catalogue import LANGUAGES, Catalogue, negotiated, parse_catalogue
from gateway.core.errors import Unusable
from gateway.core.transfer import STANDING, State
from gateway.stores.locales import load_catalogue

GOOD = {
    "en": '[a]\nb = "hello {name}"\nc = "{{plain}}"',
    "zh-Hans": '[a]\nb = "你好 {name}"\nc = "{{x}}"',
    "zh-Hant": '[a]\nb = "{name} 你好"\nc = "y"',
}


@pytest.fixture(scope="module")
def packaged() -> Catalogue:
    return load_catalogue()


def test_a_text_is_filled_and_braces_in_values_stay():
    catalogue = parse_catalogue(GOOD)
    assert catalogue.text("a.b", name="{x} {0.__class__}") == "hello {x} {0.__class__}"
    assert catalogue.text("a.b", "zh-Hant", name=7) == "7 你好"
    assert catalogue.text("a.c") == "{plain}"
    assert catalogue.all("a.c") == {"en": "{plain}", "zh-Hans": "{x}", "zh-Hant": "y"}
    assert catalogue.ids() == {"a.b", "a.c"}


@pytest.mark.parametrize("values", [{}, {"nam": "x"}, {"name": "x", "more": "y"}])
def test_values_are_exactly_the_places(values):
    with pytest.raises(ValueError, match="places"):
        parse_catalogue(GOOD).text("a.b", **values)


def test_an_unknown_id_is_our_mistake():
    with pytest.raises(KeyError):
        parse_catalogue(GOOD).text("a.z")


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"zh-Hans": '[a]\nb = "{name}"'}, "a.c is missing in zh-Hans"),
        ({"zh-Hans": '[a]\nb = "{other}"\nc = "x"'}, "a.b has other placeholders"),
        ({"en": '[a]\nb = "{name}"\nc = "x"\nd = "y"'}, "a.d is missing in zh-Hans"),
        ({"en": "[a"}, "en is not TOML"),
        ({"en": '[a]\nb = "{name}"\nc = ""'}, "a.c in en is no id with a text"),
        ({"en": '[a]\nb = "{name}"\nc = 7'}, "a.c in en is no id with a text"),
        ({"en": '[A]\nb = "x"'}, "A.b in en is no id with a text"),
        ({"en": 'top = "x"'}, "top in en is no id with a text"),
        ({"en": '[a]\nb = "{name"\nc = "x"'}, "a.b in en has a broken placeholder"),
        ({"en": '[a]\nb = "{name.x}"\nc = "x"'}, "more than a name"),
        ({"en": '[a]\nb = "{name!r}"\nc = "x"'}, "more than a name"),
        ({"en": '[a]\nb = "{name:>9}"\nc = "x"'}, "more than a name"),
        ({"en": '[a]\nb = "{}"\nc = "x"'}, "more than a name"),
        ({"fr": ""}, "exactly the languages"),
    ],
)
def test_a_catalogue_that_lacks_anything_is_refused(changed, complaint):
    with pytest.raises(Unusable, match=complaint) as refused:
        parse_catalogue(GOOD | changed)
    assert refused.value.code == "bad-catalogue"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("en-GB", "en"),
        ("*", "en"),
        ("fr, de;q=0.9", "en"),
        ("zh", "zh-Hans"),
        ("zh-CN", "zh-Hans"),
        ("zh-SG", "zh-Hans"),
        ("zh-HK", "zh-Hant"),
        ("zh-TW", "zh-Hant"),
        ("zh-MO", "zh-Hant"),
        ("ZH-hk", "zh-Hant"),
        ("zh-Hant", "zh-Hant"),
        ("zh-Hant-CN", "zh-Hant"),
        ("zh-Hans-HK", "zh-Hans"),
        ("cmn-Hant-TW", "zh-Hant"),
        ("yue-HK", "zh-Hant"),
        ("en;q=0.5, zh-HK", "zh-Hant"),
        ("en;q=0.5, zh-HK;q=0.4", "en"),
        ("fr, zh-CN;q=0.1", "zh-Hans"),
        ("zh-CN;q=0, en", "en"),
        ("zh-CN;q=0", "en"),
        ("zh-CN , zh;q=0.9 , en;q=0.8", "zh-Hans"),
        ("zh-CN;q=2", "en"),
        ("zh-CN;q=0.9999, zh-TW;q=0.5", "zh-Hant"),
        ("x" * 2000 + ", zh", "en"),
        (";;;,,,q=1", "en"),
    ],
)
def test_languages_are_negotiated(header, language):
    assert negotiated(header) == language


@given(st.text(max_size=80) | st.text(alphabet="zh-CNTWenq=;,.01* ", max_size=80))
def test_any_header_gets_a_language(header):
    assert negotiated(header) in LANGUAGES


def test_the_packaged_texts_cover_what_the_core_names(packaged):
    ids = packaged.ids()
    assert {f"state.{state}" for state in State} <= ids
    assert {f"owner.{standing.owner}" for standing in STANDING.values()} <= ids
    assert {"verdict.allow", "verdict.hold", "verdict.deny", "remedy.see-security-officer"} <= ids
    assert {f"cure.{cure}" for cure in ("documents", "judgement", "none")} <= ids
    codes = {each.removeprefix("problem.") for each in ids if each.startswith("problem.")}
    assert {f"remedy.{code}" for code in codes} <= ids


@pytest.mark.parametrize(("language", "charset"), [("zh-Hans", "gb2312"), ("zh-Hant", "big5hkscs")])
def test_each_script_keeps_to_its_characters(packaged, language, charset):
    """GB 2312 has no traditional characters and Big5 no simplified ones: a slip of script does not encode."""
    for message, text in packaged.texts[language].items():
        try:
            text.encode(charset)
        except UnicodeEncodeError as slip:
            pytest.fail(f"{message}: {slip.object[slip.start : slip.end]!r} is not of this script")
