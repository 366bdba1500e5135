"""The upload page in Debian's Chromium: a line that is cut, a page that is loaded again, a verdict; two worker processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.core.facts import local_day
from gateway.core.identity import SENDER_SCOPES
from gateway.core.records import password_digest
from tests.e2e.conftest import Running, build
from tests.interop.chromium import Line, Page, browsing
from tests.interop.sftp_world import need

SECRET = "hap_" + "q2" * 16
SIZE = 200_000_000
FORM = "application/x-www-form-urlencoded"
ROW = b"lamma,egret,12,clear,north-east\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    need("chromium")
    made = build(tmp_path_factory.mktemp("page"), more=_password_record(), HETAO_GATEWAY__WORKERS="2")
    made.start()
    yield made
    made.world.stop()


def _password_record() -> str:
    """A password of Lin Yue's, among what two officers sign at the beginning."""
    today = local_day(datetime.now(UTC))
    return f"""
[[password]]
id = "lin-page"
institution = "sz-genomics"
person = "lin"
digest = "{password_digest("lin-page", SECRET)}"
valid_from = {today}
valid_to = {today + timedelta(days=30)}
scopes = {json.dumps(SENDER_SCOPES)}
"""


async def sign_in(page: Page, base: str, user: str, secret: str) -> None:
    await page.go(f"{base}/")
    await page.submit("form.card", user=user, password=secret)
    assert await page.run("location.pathname") == "/transfers"


async def open_transfer(page: Page, base: str, dataset: str) -> str:
    """Fill the form in as a person does: general data, and no to every other question."""
    await page.go(f"{base}/transfers/new")
    await page.run("document.querySelectorAll('input[type=radio][value=no]').forEach((each) => each.click())")
    await page.click("input[name=data_level][value=general]")
    await page.submit("main form", target="island-ecology hku-genomics", dataset=dataset)
    return (await page.run("location.pathname")).removeprefix("/transfers/")


def big_file(folder: Path) -> tuple[Path, str]:
    content = b"island,bird,count,sky,wind\n" + ROW * (SIZE // len(ROW))
    path = folder / "birds 鸟.csv"
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


async def test_a_person_sends_200_mb_over_a_line_that_breaks_and_reads_the_verdict(
    running: Running, tmp_path: Path
) -> None:
    file, digest = big_file(tmp_path)
    line = Line(running.world.page_port)
    await line.mend()
    base = f"https://localhost:{line.port}"
    certificate = running.world.config.parent / "keys" / "https.crt"
    async with browsing(need("chromium"), tmp_path / "browser", certificate) as page:
        await sign_in(page, base, "lin-page", SECRET)
        transfer = await open_transfer(page, base, "birds")
        await page.choose("#choose-files", file)
        await line.until(line.passed + SIZE // 4)
        line.cut()
        await page.until("document.querySelector('#told').textContent.includes('connection is gone')")
        assert await page.run("document.querySelector('#submit button').disabled")
        await line.mend()
        await line.until(line.passed + SIZE // 4)

        await page.go(
            f"{base}/transfers/{transfer}"
        )  # the page is loaded again in the middle: the file is chosen again
        kept = await page.run("Object.values(localStorage).join()")
        assert "/files/" in kept
        assert "birds" not in await page.run("Object.keys(localStorage).join() + Object.values(localStorage).join()")
        before = line.passed
        await page.choose("#choose-files", file)
        await page.until("document.querySelector('#told').textContent.includes('All files were received: 1')")
        assert line.passed - before < SIZE * 3 // 4  # it went on, and did not begin again

        sender = running.sender()
        sender.sign_in()
        shown = sender.api("GET", f"/v1/transfers/{transfer}/files")["files"]
        assert shown == [{"path": file.name, "size": file.stat().st_size, "sha256": digest}]

        await page.submit("#submit")
        await page.until("document.querySelector('.state.receipted') !== null")
        assert "may go" in await page.run("document.querySelector('.verdict').textContent")
        assert {url.split("/")[2] for url in page.asked if url.startswith("http")} == {f"localhost:{line.port}"}
        assert not [each for each in page.complaints if "Content Security Policy" in each or "exception" in each]
    line.cut()


async def test_many_files_a_name_that_cannot_be_a_pause_and_a_sign_in_that_ended(
    running: Running, tmp_path: Path
) -> None:
    base = f"https://localhost:{running.world.page_port}"
    certificate = running.world.config.parent / "keys" / "https.crt"
    files = [tmp_path / f"part-{number}.csv" for number in range(12)]
    for each in files:
        each.write_bytes(ROW * 10_000)
    strange = tmp_path / "\u202egnp.csv"  # it would be read from right to left
    strange.write_bytes(ROW)
    async with browsing(need("chromium"), tmp_path / "browser", certificate) as page:
        await sign_in(page, base, "lin-page", SECRET)
        transfer = await open_transfer(page, base, "parts")
        await page.click("#pause")
        await page.choose("#choose-files", *files, strange)
        assert await page.run("document.querySelectorAll('#items li').length") == 0
        await page.click("#pause")
        await page.until("document.querySelector('#told').textContent.includes('not received: 1')")
        assert "file name cannot be accepted" in await page.run("document.querySelector('#items').textContent")
        assert (
            len(await page.run("[...document.querySelectorAll('#received tbody th')].map((each) => each.textContent)"))
            == 12
        )
        assert await page.run("document.querySelector('#received-count').textContent") == "Files: 12, 3.84 MB"

        await page.submit("form[action$='/remove']")  # what was removed is sent again, whatever the browser remembers
        assert await page.run("document.querySelector('#received-count').textContent") == "Files: 11, 3.52 MB"
        files[0].write_bytes(ROW * 9_000)
        await page.choose("#choose-files", *files)
        await page.until("document.querySelector('#told').textContent.includes('All files were received: 12')")
        files[1].write_bytes(ROW * 8_000)
        await page.choose("#choose-files", files[1])  # it was received, and then changed
        await page.until("document.querySelector('#received-count').textContent === 'Files: 12, 3.74 MB'")
        sender = running.sender()
        sender.sign_in()
        assert len(sender.api("GET", f"/v1/transfers/{transfer}/files")["files"]) == 12

        kept = await page.run("document.querySelector('.who [name=form_token]').value")
        signed_out = {"method": "POST", "redirect": "manual", "headers": {"Content-Type": FORM}}
        await page.run(f"fetch('/sign-out', {{...{json.dumps(signed_out)}, body: 'form_token={kept}'}}).then(() => 1)")
        (tmp_path / "late.csv").write_bytes(ROW)
        await page.choose("#choose-files", tmp_path / "late.csv")
        await page.until("document.querySelector('#told').textContent.includes('sign-in has ended')")
        await page.click("#again a")
        await page.until("location.pathname === '/sign-in' && document.readyState === 'complete'")
        await page.submit("form.card", user="lin-page", password=SECRET)
        assert await page.run("location.pathname") == f"/transfers/{transfer}"
        await page.choose("#choose-files", tmp_path / "late.csv")
        await page.until("document.querySelector('#told').textContent.includes('All files were received: 1')")
