"""What of the people in the data gets out: nothing to logs and metrics, rounded numbers to senders, nothing else."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest
import structlog

from gateway.doors.https import ROUTES
from gateway.telemetry.logs import LogObserver, configure_logs
from gateway.telemetry.metrics import PrometheusObserver
from gateway.telemetry.observers import Observers
from tests.doors.dav_site import DavSite
from tests.flow.rig import GENERAL, filing, personal
from tests.flow.test_decide import resident_numbers

NAME, ILLNESS, HEADER, FOLDER = "王金丝雀", "canary-illness-7731", "canary_header_诊断", "kanarienvogel"
EXACT = 1237
PEOPLE = [number for number, _ in zip(resident_numbers(40_000), range(EXACT), strict=False)]
CONTENT = f"姓名,身份证号,{HEADER}\n" + "".join(f"{NAME},{number},{ILLNESS}\n" for number in PEOPLE)


@pytest.fixture
def logs():
    """Everything anybody logs, down to the libraries' debugging."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    logger = configure_logs("debug", stream)
    root.setLevel(logging.DEBUG)
    yield stream, LogObserver(logger)
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
async def told(tmp_path, logs):
    stream, observer = logs
    metrics = PrometheusObserver(version="1", routes=ROUTES)
    site = DavSite(tmp_path)
    site.rig.observer = Observers(observer, metrics)
    site.rig.restart()
    await site.found()
    return site, lambda: stream.getvalue() + metrics.exposed().decode()


def leaks(text: str) -> list[str]:
    """What of the content stands in a text, in any part: whole values, and numbers cut short."""
    looked_for = [NAME, ILLNESS, HEADER, *PEOPLE[:50], *(number[6:14] + number[14:] for number in PEOPLE[:50])]
    return [each for each in looked_for if each in text]


def exact(text: str) -> list[str]:
    return re.findall(rf"(?<![0-9a-f]){EXACT}(?![0-9a-f])", text)


@pytest.mark.parametrize("people", [0, EXACT])
async def test_nothing_of_the_content_is_logged_and_no_exact_number_told(told, people):
    site, everything = told
    await site.rig.register(filing("SCC"))
    said = personal(sensitive=people) if people else GENERAL
    async with site.served(), site.session() as session:
        body = {"endpoint": "hku", "project": "trial", "dataset": "d", "declaration": said}
        opened = await (await session.post("/v1/transfers", json=body)).json()
        url = f"/v1/transfers/{opened['id']}"
        path = f"{url}/files/{FOLDER}/{NAME}_{PEOPLE[0]}.csv"
        assert (await session.put(path, data=CONTENT.encode())).status in {200, 201}
        wrong = await session.put(path, data=b"x", headers={"Content-Digest": "sha-256=:" + "A" * 43 + "=:"})
        assert wrong.status >= 400
        assert (await session.post(f"{url}/submit")).status == 202
        await site.rig.settle()
        shown = await (await session.get(url)).json()
        assert shown["state"] == ("receipted" if people else "held")
        assert shown["decision"]["persons"]["sensitive"] == 1300
        pages = [json.dumps(shown, ensure_ascii=False)]
        pages += [await (await session.get(url + rest)).text() for rest in ("/files", "/ledger", "/receipt")]
        for language in ("en", "zh-Hans", "zh-Hant"):
            status = await site.dav("GET", "/dav/status/hku/trial/d.txt", **{"Accept-Language": language})
            pages.append(status.body.decode())
    codes = {each.get("code") for each in shown["decision"]["remedies"]}
    assert codes >= ({"declared-less-personal"} if not people else set())
    said_of = [each for each in shown["decision"]["remedies"] if each.get("code", "").startswith("declared-less")]
    assert all({"en", "zh-Hans", "zh-Hant"} <= set(each) for each in said_of)
    assert [page for page in pages if exact(page)] == []
    logged = everything()
    assert '"event": "transfer.classified"' in logged  # it did log
    assert leaks(logged) == []
    assert FOLDER not in logged
    assert not exact(logged)


async def test_officers_see_exact_numbers_and_masks(told):
    site, _ = told
    sent = await site.rig.send({"a.csv": CONTENT.encode()}, personal(sensitive=3))
    await site.rig.settle()
    shown = await site.rig.review.show(sent.id)
    assert exact(json.dumps(shown))
    assert leaks(json.dumps(shown, ensure_ascii=False)) == [HEADER]  # the name of a column that says what it holds
    samples = [
        each["samples"] for each in shown["files"][0]["findings"]["findings"] if each["kind"] == "cn_resident_id"
    ]
    assert all("*" * 8 in each for each in samples[0])
