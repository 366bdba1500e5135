"""`hetao filings` and `hetao ledger forget`: what they print, in three languages, and refuse with which exit code."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import date
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from gateway.cli import REFUSED, USAGE, exit_code, filings, ledger
from gateway.core.errors import Conflict, GatewayError, Unusable
from gateway.core.records import EvidenceDocument, FiledMechanism
from gateway.flow.filings import Filings
from gateway.flow.incidents import Incidents
from gateway.flow.retention import Retention
from gateway.stores.rulebooks import load_retention, prc_calendar
from gateway.wire import sshsig
from tests.flow.rig import OFFICERS, Rig, filing
from tests.flow.test_usage import sent

DECISION = b"%PDF a decision"
PAPER = {"name": "decision.pdf", "sha256": hashlib.sha256(DECISION).hexdigest(), "what": "decision"}
CSV = (
    "id,institution,kind,recipients,data_types,effective,filed,persons_cap,number,evidence\n"
    f"scc-9,sz-lab,SCC,hku; hku,contact;diagnosis,2026-11-02,2026-11-10,500,GD-1,decision.pdf|{PAPER['sha256']}|decision\n"
)

TOML = '[[filing]]\nid = "scc-9"\ninstitution = "sz-lab"\nkind = "SCC"\nrecipients = ["hku"]\n'


@pytest.fixture
def rig() -> Rig:
    made = Rig()

    async def begin() -> None:
        await made.found()
        overdue = filing("SCC", filed=None)[1]
        del overdue["filed"]
        await made.register(
            filing("SA", persons_cap=4, valid_to="2029-11-02", evidence=[PAPER]),
            ("filing", {**overdue, "recipients": []}),
        )
        assert (await sent(made, 3, dataset="a"))[0] == "receipted"

    asyncio.run(begin())
    return made


@pytest.fixture
def run(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    def opened(_config, work):
        rig.restart()  # a process of its own, as a command is
        gateway = SimpleNamespace(
            registrar=rig.registrar,
            filings=Filings(recorder=rig.recorder, registrar=rig.registrar, calendar=prc_calendar()),
            retention=Retention(
                recorder=rig.recorder, incidents=Incidents(rig.recorder), table=load_retention(), years=3
            ),
        )
        return asyncio.run(work(gateway))

    monkeypatch.setattr(filings.out, "width", 250)  # a cell on one line, whatever terminal runs the tests
    for module in (filings, ledger):
        monkeypatch.setattr(module, "with_gateway", opened)

    def invoke(*arguments: str, app=filings.app):
        return CliRunner().invoke(app, arguments, env={"COLUMNS": "250", "LANG": "en_US.UTF-8"})

    return invoke


def test_the_list_says_state_days_and_persons(run) -> None:
    found = {each["filing"]: each for each in json.loads(run("list", "--json").stdout)}
    assert found["sa"] == {
        "filing": "sa",
        "institution": "sz-lab",
        "kind": "SA",
        "state": "in_force",
        "ends": "2029-11-02",
        "days_left": 1078,
        "act_by": None,
        "window_from": found["sa"]["window_from"],
        "used": 3,
        "used_exact": True,
        "cap": 4,
        "transfers": 1,
        "provisional": True,
    }
    assert (found["scc"]["state"], found["scc"]["act_by"]) == ("overdue", "2026-11-16")
    assert json.loads(run("list", "--institution", "other", "--json").stdout) == []
    assert json.loads(run("list", "--on", "2030-01-01", "--json").stdout)[0]["state"] == "expired"


@pytest.mark.parametrize(
    ("language", "word"), [("en", "filing is overdue"), ("zh-Hans", "备案逾期"), ("zh-Hant", "備案逾期")]
)
def test_three_languages(run, language: str, word: str) -> None:
    assert word in run("list", "--lang", language).stdout
    assert run("show", "sa", "--lang", language).exit_code == 0


def test_check_tells_what_to_do_and_fails_where_it_is_late(run) -> None:
    answer = run("check", "--json")
    assert ([each["filing"] for each in json.loads(answer.stdout)], answer.exit_code) == (["scc"], REFUSED)
    answer = run("check", "--on", "2026-11-16", "--json")
    assert ([each["state"] for each in json.loads(answer.stdout)], answer.exit_code) == (["unfiled"], 0)


def test_show_has_documents_and_how_long_they_are_kept(run) -> None:
    told = json.loads(run("show", "sa", "--json").stdout)
    assert (told["evidence"], told["documents_kept_to"], told["cap"]) == ([PAPER], "2032-11-02", 4)
    assert exit_code(run("show", "nothing").exception) == REFUSED


def test_documents_are_held_against_what_was_signed(run, tmp_path) -> None:
    good, other = tmp_path / "archive.pdf", tmp_path / "other.pdf"
    good.write_bytes(DECISION)
    other.write_bytes(DECISION + b" ")
    answer = run("verify", "sa", str(good), "--json")
    assert (json.loads(answer.stdout), answer.exit_code) == (
        {"documents": {str(good): "decision.pdf"}, "missing": []},
        0,
    )
    answer = run("verify", "sa", str(other))
    assert answer.exit_code == REFUSED
    assert "not among the documents" in answer.stdout
    assert "missing" in answer.stdout
    assert exit_code(run("verify", "sa", str(tmp_path / "nothing")).exception) == USAGE


@pytest.mark.parametrize("form", ["csv", "toml"])
def test_an_import_is_a_proposal_that_a_second_officer_approves(run, rig, tmp_path, form, monkeypatch) -> None:
    file, key = tmp_path / f"filings.{form}", tmp_path / "key"
    file.write_text(CSV if form == "csv" else TOML)
    monkeypatch.setattr(
        filings, "sign_file", lambda _, space, message: sshsig.sign(OFFICERS["chen"][1], message, space)
    )
    digest = json.loads(run("import", str(file), "--key", str(key), "--json").stdout)["digest"]
    assert "scc-9" not in {each["filing"] for each in json.loads(run("list", "--json").stdout)}

    async def approve() -> None:
        rig.restart()
        (waiting,) = await rig.registrar.proposals()
        assert waiting.change.digest == digest
        await rig.registrar.approve(digest, sshsig.sign(OFFICERS["zhao"][1], waiting.change.document, "hetao-registry"))

    asyncio.run(approve())
    told = json.loads(run("show", "scc-9", "--json").stdout)
    assert told["kind"] == "SCC"
    if form == "csv":
        assert (told["data_types"], told["persons_cap"], told["number"]) == (["contact", "diagnosis"], 500, "GD-1")
        assert told["evidence"] == [PAPER]


@pytest.mark.parametrize(
    ("suffix", "content", "says"),
    [
        (".csv", b"id,institution\nx\n", "more or fewer cells"),
        (".csv", b"id,institution\nx,y,z\n", "more or fewer cells"),
        (".csv", b"id,kind\nx,NDA\n", "institution is missing"),
        (
            ".csv",
            b"id,institution,kind,recipients,persons_cap\nx,y,SCC,hku,many\n",
            "persons_cap must be a whole number",
        ),
        (".csv", b"id,institution,kind,recipients,extended\nx,y,SCC,hku,yes\n", "extended must be true or false"),
        (".csv", b"id,institution,kind,recipients,evidence\nx,y,SCC,hku,a|b\n", "sha256 is 64 hex digits"),
        (".csv", b"id\n", "1 to 1000 filings"),
        (".csv", b'id\n"x', "cannot be read as csv"),
        (".csv", b"\xff\xfe", "cannot be read as csv"),
        (".toml", b"[[endpoint]]\nid = 'x'\n", "[[filing]] tables and nothing else"),
        (".toml", b"filing = 1", "[[filing]] tables and nothing else"),
        (".toml", b"[[", "cannot be read as toml"),
        (".xlsx", b"", "name a .toml or .csv file"),
        (".csv", b"a" * ((1 << 22) + 1), "more than 4 MiB"),
    ],
)
def test_files_that_cannot_be_used(suffix: str, content: bytes, says: str) -> None:
    with pytest.raises(Unusable) as found:
        filings.parse_filings(suffix, content)
    assert says in found.value.message


def test_a_cell_is_what_its_column_is() -> None:
    (record,) = filings.parse_filings(".csv", b"\xef\xbb\xbf" + CSV.encode())
    assert record == FiledMechanism(
        "scc-9",
        "sz-lab",
        "SCC",
        ("hku", "hku"),
        data_types=("contact", "diagnosis"),
        effective=date(2026, 11, 2),
        filed=date(2026, 11, 10),
        persons_cap=500,
        number="GD-1",
        evidence=(EvidenceDocument(**PAPER),),
    )


def test_forgetting_is_refused_with_the_day_and_done_after_it(run, rig) -> None:
    (transfer,) = rig.records.state.transfers
    failure = run("forget", transfer, app=ledger.app).exception
    assert isinstance(failure, Conflict)
    assert "it may be destroyed from 2029-11-21 on" in failure.message
    rig.clock.advance(days=1097)
    told = json.loads(run("forget", transfer, "--json", app=ledger.app).stdout)
    assert (told["transfer"], told["evidence"]) == (transfer, "gone")
    assert isinstance(run("forget", "t-nothing", app=ledger.app).exception, GatewayError)


@pytest.mark.parametrize("text", ["tomorrow", "2026-13-01"])
def test_what_is_no_day(run, text: str) -> None:
    assert exit_code(run("list", "--on", text).exception) == USAGE
