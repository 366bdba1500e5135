"""The upload page: who gets in and for how long, what other sites cannot do, and what every page is like."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.core.catalogue import LANGUAGES
from gateway.core.facts import SHANGHAI
from gateway.core.identity import Credential, Door
from gateway.core.records import AppPassword
from gateway.core.situation import parse_situation
from gateway.doors.page import declaring
from gateway.doors.page.app import HEADERS, POLICY
from gateway.doors.page.guard import ROUTES, TABLE
from gateway.doors.page.session import COOKIE
from gateway.doors.page.sheets import LANGUAGE_COOKIE, human_size
from gateway.doors.page.sign_in import parse_back
from gateway.flow.defender import Defence, Defender
from gateway.flow.incoming import Announced
from tests.doors.page_site import PASSWORDS, PageSite
from tests.flow.rig import GENERAL, chunks, policies
from tests.identity.parties import ISSUER

ID = "t" + "a" * 24
ANSWERS = {"data_level": "general"} | {
    declaring.field_name(word): "no" for word in (*declaring.KINDS, *declaring.DUTIES)
}


@pytest.fixture
async def site(tmp_path):
    return await PageSite(tmp_path).found()


@pytest.fixture
async def browser(site):
    async with site.paged() as browser:
        yield browser


async def opened(browser, dataset: str = "birds", **changes: str) -> str:
    fields = {"target": "trial hku", "dataset": dataset, "key": f"page-{dataset}", **ANSWERS, **changes}
    answer = await browser.submit("/transfers/new", **fields)
    assert answer.status == 303, answer.sheet.text
    return answer.headers["Location"]


async def filled(site, address: str, content: bytes = b"island,birds\nlamma,12\n", path: str = "birds.csv") -> None:
    transfer = address.rpartition("/")[2]
    await site.rig.intake.receive(site.sender(), transfer, path, chunks(content), Announced(len(content)))


# --- getting in ------------------------------------------------------------------------------------------------------


async def test_a_password_begins_a_session_in_a_cookie_no_script_reads_and_no_other_site_sends(browser):
    answer = await browser.sign_in()
    assert (answer.status, answer.headers["Location"]) == (303, "/transfers")
    (cookie,) = answer.cookies
    name, *attributes = cookie.split("; ")
    assert name.startswith("__Host-")
    assert set(attributes) == {"HttpOnly", "Path=/", "SameSite=Strict", "Secure"}
    listed = await browser.get("/transfers")
    assert listed.status == 200
    assert "lin-page" in listed.sheet.text


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("lin-page", "hap_" + "a" * 32),
        ("nobody", PASSWORDS["lin-page"]),
        ("", ""),
        ("lin-page", PASSWORDS["li-page"]),
        ("lin-page", "x" * 300),
        ("山" * 90, "\x00"),
    ],
)
async def test_whatever_is_wrong_has_one_answer_and_no_cookie(browser, user, password):
    right = (await browser.post("/sign-in", user="lin-page", password="wrong")).sheet
    answer = await browser.post("/sign-in", user=user, password=password)
    assert (answer.status, answer.cookies) == (401, [])
    assert answer.sheet.text == right.text
    assert not answer.sheet.all("input", name="password")[0].get("value")


async def test_wrong_passwords_are_counted_until_the_ban(site):
    rig = site.rig
    defender = Defender(
        records=rig.records, clock=rig.clock, observer=rig.observer, defence=Defence(failures=3, exempt=())
    )
    async with site.paged(defender) as browser:
        assert [(await browser.sign_in(password="hap_wrong")).status for _ in range(3)] == [401] * 3
        banned = await browser.sign_in()
        assert (banned.status, banned.cookies) == (429, [])
        assert int(banned.headers["Retry-After"]) > 0
        assert "Wait" in banned.sheet.text
    assert {each["door"] for each in rig.observer.of("login.failed")} == {Door.PAGE.value}


# --- how long --------------------------------------------------------------------------------------------------------


async def test_a_session_holds_in_every_process_and_ends_in_all_when_signed_out(site, browser):
    await browser.sign_in()
    cookie, other = browser.cookies[COOKIE], site.sessions()
    session = await other.current(cookie)
    assert session.principal == replace(
        site.sender(), client="app-password:lin-page", credential=Credential.APP_PASSWORD, door=Door.PAGE
    )
    assert (await browser.submit("/sign-out")).headers["Location"] == "/sign-in"
    assert COOKIE not in browser.cookies
    browser.cookies[COOKIE] = cookie  # somebody kept it
    assert (await browser.get("/transfers")).headers["Location"] == "/sign-in?back=%2Ftransfers"


@pytest.mark.parametrize(
    ("minutes", "holds"), [([29], True), ([31], False), ([25] * 19, True), ([25] * 20, False)], ids=str
)
async def test_half_an_hour_without_a_step_or_eight_hours_end_it(site, browser, minutes, holds):
    await browser.sign_in()
    for each in minutes:
        site.rig.clock.advance(timedelta(minutes=each))
        answer = await browser.get("/transfers")
    assert (answer.status == 200) is holds
    assert (COOKIE in browser.cookies) is holds


async def test_a_cookie_is_made_anew_while_it_is_used_and_left_alone_within_a_minute(site, browser):
    await browser.sign_in()
    assert (await browser.get("/transfers")).cookies == []
    site.rig.clock.advance(timedelta(minutes=2))
    assert len((await browser.get("/transfers")).cookies) == 1


async def ends_by_revocation(site):
    async with site.rig.records.write() as tx:
        await tx.revoke("app-password:lin-page", "", site.rig.clock.now())


async def ends_by_another_password(site):
    await site.rig.register(site.password("lin-page", digest="0" * 64))


@pytest.mark.parametrize("end", [ends_by_revocation, ends_by_another_password], ids=lambda each: each.__name__)
async def test_a_session_is_worth_what_its_password_is(site, browser, end):
    await browser.sign_in()
    assert (await browser.get("/transfers")).status == 200
    await end(site)
    assert (await browser.get("/transfers")).status == 303
    assert COOKIE not in browser.cookies


async def test_a_session_ends_with_its_passwords_last_day(site, browser):
    last = (await site.rig.registrar.registry()).get(AppPassword, "lin-page").valid_to
    site.rig.clock.set(datetime(last.year, last.month, last.day, 23, 50, tzinfo=SHANGHAI))
    await browser.sign_in()
    site.rig.clock.advance(timedelta(minutes=9))
    assert (await browser.get("/transfers")).status == 200
    site.rig.clock.advance(timedelta(minutes=2))
    assert (await browser.get("/transfers")).status == 303


@pytest.mark.parametrize(
    ("typ", "changes"),
    [
        ("hetao-page+jwt", {}),
        ("at+jwt", {}),
        ("hetao-page+jwt", {"aud": ISSUER}),
        ("hetao-page+jwt", {"aud": "https://other.example#page"}),
        ("hetao-page+jwt", {"iat": 1 << 40}),
        ("hetao-page+jwt", {"auth_time": "now"}),
        ("hetao-page+jwt", {"mark": ""}),
        ("hetao-page+jwt", {"jti": ["x"]}),
    ],
    ids=str,
)
async def test_the_gateways_own_key_signs_no_session_by_another_name(site, browser, typ, changes):
    await browser.sign_in()
    body = browser.cookies[COOKIE].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    browser.cookies[COOKIE] = site.key.sign(json.dumps(claims | changes).encode(), typ)
    holds = (typ, changes) == ("hetao-page+jwt", {})
    assert (await browser.get("/transfers")).status == (200 if holds else 303)


async def test_nothing_else_that_is_signed_is_a_session_and_no_session_is_a_token(site, browser):
    token = (await site.bearer())["Authorization"].removeprefix("Bearer ")
    await browser.sign_in()
    cookie = browser.cookies[COOKIE]
    head, body, signature = cookie.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    claims["sub"] = "li-page"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    for wrong in (token, "", "x", f"{head}.{forged}.{signature}", f"{head}.{body}.", "." * 3000, cookie[:-2]):
        browser.cookies[COOKIE] = wrong
        assert (await browser.get("/transfers")).status == 303
    async with site.served():
        answer = await site.request("GET", "/v1/transfers", client="", headers={"Authorization": f"Bearer {cookie}"})
        assert answer.json()["code"] == "invalid-token"
    secret = PASSWORDS["lin-page"]
    assert secret not in json.dumps(claims)
    assert site.password("lin-page")[1]["digest"] not in json.dumps(claims)


# --- who may what ----------------------------------------------------------------------------------------------------


def target(path: str) -> str:
    return path.replace("{id}", ID).replace("{upload}", "0" * 48).replace("{digest}", "0").replace("{name}", "page.js")


@pytest.mark.parametrize("row", [row for row in TABLE if not row.open], ids=lambda row: f"{row.method} {row.path}")
async def test_without_a_session_nothing_else_answers(browser, row):
    answer = await browser.ask(row.method, target(row.path), data="" if row.method not in {"GET", "HEAD"} else None)
    assert answer.status == (303 if row.method == "GET" else 401)
    as_script = await browser.ask(row.method, target(row.path), {"Accept": "application/json"})
    assert as_script.status == 401
    assert "WWW-Authenticate" not in as_script.headers


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.method not in {"GET", "HEAD"}], ids=lambda row: f"{row.method} {row.path}"
)
async def test_another_site_makes_a_browser_do_nothing(browser, row):
    await browser.sign_in()
    form = f"form_token={await browser.token()}"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for site, said in (
        ("cross-site", {}),
        ("same-site", {}),
        ("none", {}),
        (None, {}),
        (None, {"Origin": "null"}),
        (None, {"Origin": "https://evil.example"}),
        ("cross-site", {"Origin": f"http://127.0.0.1:{browser.site.port}"}),
    ):
        browser.fetch_site = site
        answer = await browser.ask(row.method, target(row.path), {**kind, **said}, data=form)
        assert answer.status == 403, (site, said)
        assert answer.cookies == []


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.method not in {"GET", "HEAD"}], ids=lambda row: f"{row.method} {row.path}"
)
async def test_without_its_token_a_session_does_nothing(browser, row):
    if row.path in {"/sign-in", "/language"}:
        return  # there is no session yet, or nothing of it is used
    await browser.sign_in("lin-page")
    address = await opened(browser)
    path = target(row.path).replace(ID, address.rpartition("/")[2])
    for wrong in ({}, {"form_token": ""}, {"form_token": "0" * 64}):
        answer = await browser.post(path, **wrong) if row.form else await browser.ask(row.method, path)
        assert answer.status == 403
    assert (await browser.get(address)).status == 200


async def test_a_browser_that_knows_origin_alone_is_served(browser):
    browser.fetch_site = None
    said = {"Origin": f"http://127.0.0.1:{browser.site.port}"}
    fields = {"user": "lin-page", "password": PASSWORDS["lin-page"]}
    assert (await browser.ask("POST", "/sign-in", said, data=fields)).status == 303


async def test_another_institutions_transfer_is_not_there(site, browser):
    await browser.sign_in()
    address = await opened(browser)
    await filled(site, address)
    await browser.sign_in("li-page")
    none = (await browser.get(f"/transfers/{ID}")).sheet.text
    for path in ("", "/state", "/files", "/receipt", "/receipt.sig"):
        answer = await browser.get(address + path)
        assert answer.status == 404
        assert answer.sheet.text.replace(address.rpartition("/")[2], ID) == none
    for path in ("/submit", "/withdraw", "/remove"):
        assert (await browser.submit(address + path, path="birds.csv")).status == 404
    assert "birds" not in (await browser.get("/transfers")).sheet.text
    assert (await site.rig.transfer(address.rpartition("/")[2])).state == "open"


async def test_a_password_does_what_its_scopes_say(browser):
    await browser.sign_in("lin-reader")
    assert (await browser.get("/transfers")).status == 200
    refused = await browser.get("/transfers/new")
    assert refused.status == 403
    assert "was not given this right" in refused.sheet.text


# --- what pages are like ---------------------------------------------------------------------------------------------


async def every_page(site, browser):
    """One of each kind, refusals included."""
    yield await browser.get("/")
    yield await browser.get("/sign-in")
    yield await browser.sign_in(password="wrong")
    yield await browser.get("/nowhere")
    yield await browser.sign_in()
    yield await browser.get("/transfers")
    yield await browser.get("/transfers/new")
    yield await browser.submit("/transfers/new", dataset="x")
    address = await opened(browser, '<b onclick="x">&amp;')
    await filled(site, address, path="<script>alert(1)</script>.csv")
    yield await browser.get(address)
    yield await browser.get(address + "/files")
    yield await browser.get(address + "/receipt")
    yield await browser.ask("OPTIONS", "/files/")
    await browser.submit(address + "/submit")
    await site.rig.settle()
    yield await browser.get(address)
    yield await browser.get("/nowhere")
    yield await browser.get(f"/transfers/{ID}")
    yield await browser.ask("PATCH", "/transfers")
    yield await browser.ask("GET", "/transfers", {"Expect": "x"})


async def test_every_answer_is_dressed_and_no_page_brings_code(site, browser):
    kinds = 0
    async for seen in every_page(site, browser):
        for name, value in HEADERS.items():
            assert seen.headers[name] == value
        assert seen.headers["Cache-Control"] == "no-store"
        assert "Server" not in seen.headers
        if seen.headers.get("Content-Type", "").startswith("text/html"):
            kinds += 1
            check_sheet(seen.sheet)
    assert kinds > 10
    assert "unsafe" not in POLICY
    assert "*" not in POLICY


def check_sheet(sheet) -> None:
    assert sheet.inline == []
    assert [each["src"].startswith("/static/") for each in sheet.all("script")] == [True]
    assert sheet.all("script")[0]["integrity"].startswith("sha384-")
    assert {each["rel"] for each in sheet.all("link")} == {"stylesheet"}
    for tag, attributes in sheet.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        for name in ("src", "href", "action"):
            assert attributes.get(name, "/").startswith(("/", "#")), (tag, attributes)
            assert not attributes.get(name, "").startswith("//")
    labelled = {each["for"] for each in sheet.all("label") if "for" in each}
    for kind in ("input", "select"):
        for each in sheet.all(kind):
            assert each.get("type") in {"hidden", "radio"} or each["id"] in labelled
    assert [each["lang"] for each in sheet.all("html")] == ["en"]
    assert len(sheet.all("h1")) == len(sheet.all("main")) == 1


async def test_names_are_text_whatever_they_look_like(site, browser):
    await browser.sign_in()
    address = await opened(browser, "<img src=x>")
    await filled(site, address, path='"><script>alert(1)</script>.csv')
    sheet = (await browser.get(address)).sheet
    assert "<img src=x>" in sheet.text
    assert '"><script>alert(1)</script>.csv' in sheet.text
    assert not sheet.all("img")
    assert len(sheet.all("script")) == 1


async def test_the_script_and_the_style_sheet_are_kept_and_checked(browser):
    sheet = (await browser.get("/sign-in")).sheet
    for address in (sheet.all("script")[0], {**sheet.all("link")[0], "src": sheet.all("link")[0]["href"]}):
        answer = await browser.get(address["src"])
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Type"].startswith(("text/javascript", "text/css"))
        assert b"http" not in answer.body.replace(b"https://tus.io", b"")  # it asks nobody else
    assert (await browser.get("/static/0/page.js")).status == 404
    assert (await browser.get("/static/../app.py")).status in {303, 404}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_is_in_the_readers_language(site, browser, language):
    browser.language = {"zh-Hans": "zh-CN", "zh-Hant": "zh-HK"}.get(language, language)
    title = {"en": "Sign in", "zh-Hans": "登录", "zh-Hant": "登入"}[language]
    first = await browser.get("/sign-in")
    assert (first.sheet.all("h1") and title in first.sheet.text, first.headers["Content-Language"]) == (True, language)
    other = next(each for each in LANGUAGES if each != language)
    switched = await browser.post("/language", language=other, back="/sign-in")
    assert switched.headers["Location"] == "/sign-in"
    assert (await browser.get("/sign-in")).headers["Content-Language"] == other
    assert LANGUAGE_COOKIE in browser.cookies
    assert (await browser.post("/language", language="fr")).status == 400


@pytest.mark.parametrize(
    ("given", "back"),
    [
        ("/transfers", "/transfers"),
        ("/transfers/new", "/transfers/new"),
        (f"/transfers/{ID}", f"/transfers/{ID}"),
        (f"/transfers?after={ID}", f"/transfers?after={ID}"),
        ("//evil.example", "/transfers"),
        ("https://evil.example/", "/transfers"),
        ("/transfers/../x", "/transfers"),
        ("/transfers\r\nX: y", "/transfers"),
        ("", "/transfers"),
    ],
)
def test_nobody_is_sent_anywhere_else(given, back):
    assert parse_back(given) == back


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_500_000, "1.5 MB"), (999_999, "1 MB"), (200_000_000, "200 MB")],
)
def test_sizes_are_short(count, shown):
    assert human_size(count) == shown


# --- a transfer from beginning to end --------------------------------------------------------------------------------


async def test_a_person_opens_sends_submits_and_reads_the_verdict(site, browser):
    await browser.sign_in()
    address = await opened(browser)
    token, transfer = await browser.token(), address.rpartition("/")[2]
    content = b"island,birds\n" + b"lamma,12\n" * 100
    said = {"transfer": transfer, "path": "鸟/birds.csv", "mtime": "1795140000.123"}
    metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in said.items())
    tus = {"Tus-Resumable": "1.0.0", "X-Form-Token": token}
    made = await browser.ask(
        "POST", "/files/", {**tus, "Upload-Length": str(len(content)), "Upload-Metadata": metadata}
    )
    assert made.status == 201
    url = "/files/" + made.headers["Location"].rpartition("/")[2]
    patch = {**tus, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    assert (await browser.ask("PATCH", url, patch, data=content)).headers["Upload-Offset"] == str(len(content))
    listed = json.loads((await browser.get(address + "/files")).body)
    assert listed == {"files": {"鸟/birds.csv": len(content)}}

    missing = await browser.submit(address + "/submit", files=json.dumps({**listed["files"], "b.csv": 1}))
    assert missing.status == 400
    assert "ended early" in missing.sheet.text
    assert (await site.rig.transfer(transfer)).state == "open"
    assert (await browser.submit(address + "/submit", files=json.dumps(listed["files"]))).status == 303
    await site.rig.settle()
    shown = (await browser.get(address)).sheet
    assert "delivered and receipted" in shown.text
    assert "may go" in shown.text
    assert shown.all("a", href=f"{address}/receipt")
    receipt = await browser.get(f"{address}/receipt")
    assert receipt.headers["Content-Disposition"] == f'attachment; filename="receipt-{transfer}.json"'
    told = await site.rig.transfer(transfer)
    assert receipt.body.decode() == told.receipt
    assert (await browser.get(f"{address}/receipt.sig")).body.decode() == told.receipt_signature


@pytest.mark.parametrize(
    ("language", "article", "remedy"),
    [
        ("en", "Data Security Law 25", "MOFCOM licence"),
        ("zh-CN", "数据安全法", "商务部"),
        ("zh-HK", "數據安全法", "商務部"),
    ],
)
async def test_what_may_not_go_is_told_with_rules_articles_and_remedies(site, browser, language, article, remedy):
    browser.language = language
    await browser.sign_in()
    address = await opened(browser, data_controlled_technology="yes")
    await filled(site, address)
    await browser.submit(address + "/submit")
    await site.rig.settle()
    text = (await browser.get(address)).sheet.text
    assert article in text
    assert remedy in text
    assert "D5" in text


async def test_a_secrecy_mark_tells_the_sender_nothing_of_the_rules(site, browser):
    await browser.sign_in()
    address = await opened(browser, data_level="secret")
    await filled(site, address)
    await browser.submit(address + "/submit")
    await site.rig.settle()
    text = (await browser.get(address)).sheet.text
    assert "security officer" in text
    for secret in ("D1", "secrets", "Secrets", "State secret"):
        assert secret not in text


async def test_a_form_sent_twice_opens_one_transfer_and_a_wrong_one_comes_back_filled_in(site, browser):
    await browser.sign_in()
    assert await opened(browser, "once") == await opened(browser, "once")
    wrong = await browser.submit("/transfers/new", target="trial hku", dataset="a/b", key="page-2", **ANSWERS)
    assert wrong.status == 400
    assert wrong.sheet.all("input", name="dataset")[0]["value"] == "a/b"
    assert wrong.sheet.all("input", name="key")[0]["value"] == "page-2"
    assert wrong.sheet.all("div", role="alert")
    personal = await browser.submit(
        "/transfers/new", target="trial hku", dataset="p", **{**ANSWERS, "data_personal": "yes"}
    )
    assert personal.status == 422
    assert "about how many" in personal.sheet.text
    assert (await browser.submit("/transfers/new", dataset="p", **ANSWERS)).status == 422
    elsewhere = await browser.submit("/transfers/new", target="other hku", dataset="p", **ANSWERS)
    assert elsewhere.status == 404  # another institution's project


async def test_files_are_removed_and_a_transfer_is_withdrawn_without_the_script(site, browser):
    await browser.sign_in()
    address = await opened(browser)
    await filled(site, address)
    assert (await browser.submit(address + "/remove", path="birds.csv")).status == 303
    assert (await browser.submit(address + "/remove", path="birds.csv")).status == 404
    assert (await browser.submit(address + "/submit")).status == 422
    assert (await browser.submit(address + "/withdraw")).status == 303
    assert "withdrawn by the sender" in (await browser.get(address)).sheet.text


async def test_the_list_has_pages(site, browser):
    await browser.sign_in()
    for number in range(27):
        await site.rig.send({"a.csv": b"a\n"}, GENERAL, dataset=f"set-{number:02}", submit=False)
    first = (await browser.get("/transfers")).sheet
    (link,) = [each for each in first.all("a") if each.get("rel") == "next"]
    second = (await browser.get(link["href"])).sheet
    found = [each["href"] for sheet in (first, second) for each in sheet.all("a") if "/transfers/t" in each["href"]]
    assert len(found) == len(set(found)) == 27
    assert (await browser.get("/transfers?after=x")).status == 400


async def test_no_name_and_no_secret_is_told_to_logs(site, browser):
    await browser.sign_in()
    address = await opened(browser, "secret-name")
    await filled(site, address, path="patient-zhang.csv")
    await browser.get(address)
    await browser.submit(address + "/remove", path="patient-zhang.csv")
    told = repr([each for each in site.rig.observer.seen if each[0].startswith(("request.", "login."))])
    for secret in ("patient", "secret-name", PASSWORDS["lin-page"], browser.cookies[COOKIE], await browser.token()):
        assert secret not in told
    assert {each["route"] for each in site.rig.observer.of("request.answered")} <= ROUTES | {"other"}


# --- the questions ---------------------------------------------------------------------------------------------------


def test_every_question_is_a_word_of_the_vocabulary_with_its_texts(site):
    facts = policies().vocabulary.facts
    assert set(declaring.LEVELS) | {"unknown"} == set(facts["data.level"].words)
    for word in ("data.level", *declaring.KINDS, *declaring.DUTIES, *declaring.COUNTS, declaring.DATE):
        assert word in facts
        assert f"page.q-{declaring.field_name(word)}" in site.catalogue.ids()
    for word in declaring.HINTED:
        assert f"page.h-{declaring.field_name(word)}" in site.catalogue.ids()
    assert {f"page.level-{level}" for level in declaring.LEVELS} <= site.catalogue.ids()


def test_not_sure_says_nothing():
    assert declaring.parse_answers({}) == {}
    unsure = {declaring.field_name(word): "unsure" for word in ("data.level", *declaring.KINDS, *declaring.DUTIES)}
    assert declaring.parse_answers(unsure) == {}


def test_answers_become_a_declaration():
    said = declaring.parse_answers(
        ANSWERS
        | {"data_personal": "yes", "persons_nonsensitive": "12", "duties_pipia": "2026-10-01"}
        | {"purpose_stated": " trial A ", "filings": "scc-1, scc-2;scc-3\nscc-4、scc-5"}
    )
    assert said["data"] == {"level": "general"} | {
        word.partition(".")[2]: word == "data.personal" for word in declaring.KINDS if word.startswith("data.")
    }
    assert said["persons"] == {"nonsensitive": 12}
    assert said["duties"]["pipia"] == "2026-10-01"
    assert said["purpose"] == {"stated": "trial A"}
    assert said["filings"] == [f"scc-{number}" for number in range(1, 6)]
    situation = parse_situation({"data": said["data"], "hgr": said["hgr"]}, policies().vocabulary)
    assert situation.data.level == "general"


async def test_many_requests_at_once_share_a_session(browser):
    await browser.sign_in()
    answers = await asyncio.gather(*(browser.get("/transfers") for _ in range(20)))
    assert {each.status for each in answers} == {200}
