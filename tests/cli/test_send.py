"""`hetao send` against a gateway that misbehaves: whatever happens, what arrives is what lies here, or it is said."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import PrivateFormat
from typer.testing import CliRunner

from certs.authority import DevelopmentAuthority
from gateway.cli.dataset import find_dataset
from gateway.cli.send import Job, _watch, content, news, send, uploads
from gateway.cli.send.board import Board, Events, Lines, plain
from gateway.cli.send.connection import Address, Connection, connected, parse_url
from gateway.cli.send.delivery import Delivery, Outcome, Wishes
from gateway.cli.send.keys import FileKey
from gateway.cli.send.receipts import Pins
from gateway.cli.send.signin import SignIn
from gateway.cli.send.state import Target, open_state
from gateway.core.errors import CallerError, Conflict, EndpointError, GatewayError, Unusable
from gateway.stores.locales import load_catalogue
from tests.cli.send_site import Misbehaving, soon
from tests.cli.test_send_told import write_key
from tests.flow.rig import RigLedgerSigner, public_line, seeded_key

BIG = bytes(range(256)) * 40


class Told(Board):
    """A board that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(load_catalogue(), "en")
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.lines: list[str] = []

    def event(self, kind: str, **fields: object) -> None:
        self.events.append((kind, fields))

    def line(self, text: str, style: str = "") -> None:
        self.lines.append(text)

    def paths(self, kind: str) -> list[str]:
        return sorted(str(fields["path"]) for each, fields in self.events if each == kind)


class Machine:
    """A researcher's machine with a dataset of a big and two small files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "birds"
        self.folder.mkdir()
        (self.folder / "big.bin").write_bytes(BIG)
        (self.folder / "数据 %.csv").write_bytes(b"a\n1\n")
        (self.folder / "empty.txt").write_bytes(b"")
        self.state_folder = folder / "state"
        self.receipts = folder / "receipts"
        self.site = Misbehaving()
        self.board = Told()
        self.sleep = soon

    def lies(self) -> dict[str, bytes]:
        return {each.path: each.place.read_bytes() for each in find_dataset([self.folder]).files}

    @asynccontextmanager
    async def connection(self, patience: float = 600) -> AsyncIterator[Connection]:
        async with self.site.served() as url:
            address = Address(parse_url(url), None, None, None, "en")
            sign_in = SignIn("lab", url, FileKey(Ed25519PrivateKey.generate()))
            told = self.board.waits
            async with connected(address, sign_in, parallel=4, patience=patience, told=told, sleep=self.sleep) as made:
                yield made

    def wishes(self, **changes: Any) -> Wishes:
        target = Target("gw", "lab", "hku", "trial", "birds", (str(self.folder),))
        about = {"parallel": 3, "wait": True, "wait_held": False, "again": False, "receipts": self.receipts}
        return Wishes(**{"target": target, "declaration": {}, "pins": Pins("", ""), **about, **changes})

    def state(self) -> Any:
        return open_state(self.state_folder, self.wishes().target)

    async def send(self, *, patience: float = 600, **changes: Any) -> Outcome:
        wishes = self.wishes(**changes)
        with self.state() as state:
            async with self.connection(patience) as connection:
                dataset = find_dataset([self.folder]).whole()
                return await Delivery(connection, state, self.board, wishes).run(dataset)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(uploads, "SMALL", 100)
    monkeypatch.setattr(content, "PIECE", 1000)
    return Machine(tmp_path)


async def test_what_lies_here_arrives_and_is_submitted_exactly(machine: Machine):
    assert await machine.send() is Outcome.RECEIPTED
    assert machine.site.files == machine.lies()
    assert machine.site.listed == {path: len(data) for path, data in machine.lies().items()}
    assert machine.site.brought == len(BIG) + 4
    assert machine.site.calls.count("token") == 1
    assert machine.board.paths("sent") == ["big.bin", "empty.txt", "数据 %.csv"]
    assert any("NOT checked" in line for line in machine.board.lines)


FAULTS: dict[str, dict[str, list[str]]] = {
    "cut in the middle": {"PATCH": ["cut 3000"]},
    "cut again and again": {"PATCH": ["cut 1000"] * 8},
    "cut before the first byte": {"PATCH": ["cut 0", "cut 0", "cut 0"]},
    "the answer to the last byte is lost": {"PATCH": ["lost"]},
    "and then the upload is gone": {"PATCH": ["lost"], "HEAD": ["gone"]},
    "the gateway is not ready": {name: ["slow", "slow"] for name in ("create", "PATCH", "PUT file", "open", "files")},
    "the upload is gone halfway": {"PATCH": ["cut 3000"], "HEAD": ["gone"]},
    "the upload is gone while sending": {"PATCH": ["gone"]},
    "the token ends": {name: ["stale"] for name in ("open", "create", "PATCH", "PUT file", "submit", "show")},
    "answers are lost everywhere": {name: ["lost"] for name in ("open", "create", "PUT file", "submit", "show")},
    "a small file is cut": {"PUT file": ["cut 2", "cut 1"]},
    "asking fails too": {"PATCH": ["cut 3000"], "HEAD": ["lost", "status 502", "slow"]},
    "it says the bytes are others": {"PATCH": ["wrong"], "PUT file": ["wrong"]},
    "nobody can sign in for a while": {"token": ["status 503", "lost"]},
    "no tus at all": {"create": ["status 405"]},
}


@pytest.mark.parametrize("what", FAULTS)
async def test_whatever_goes_wrong_it_arrives(machine: Machine, what: str):
    machine.site.faults.update({name: list(faults) for name, faults in FAULTS[what].items()})
    assert await machine.send() is Outcome.RECEIPTED
    assert machine.site.files == machine.lies()
    assert not any(machine.site.faults.values())


async def test_a_cut_upload_sends_no_byte_twice(machine: Machine):
    machine.site.faults["PATCH"] = ["cut 3000", "cut 4000"]
    await machine.send()
    assert machine.site.brought == len(BIG) + 4


async def test_the_next_run_goes_on_where_a_killed_one_was(machine: Machine):
    machine.site.faults["PATCH"] = ["cut 7000", "status 400"]
    with pytest.raises(CallerError):
        await machine.send()
    with machine.state() as state:
        assert set(state.memory.uploads) == {"big.bin"}
        assert state.memory.transfer == "t1"
    machine.site.brought = 0
    machine.site.calls.clear()
    # Another port, the same gateway: an upload's address is a path of the origin it is sent to.
    assert await machine.send() is Outcome.RECEIPTED
    assert machine.site.brought <= len(BIG) - 7000 + 4
    assert "create" not in machine.site.calls
    assert machine.site.files == machine.lies()
    assert len(machine.site.keys) == 1


async def test_what_changed_between_two_runs_is_not_gone_on_with(machine: Machine):
    machine.site.faults["PATCH"] = ["cut 7000", "status 400"]
    with pytest.raises(CallerError):
        await machine.send()
    (machine.folder / "big.bin").write_bytes(b"x" * 5000)
    (machine.folder / "empty.txt").unlink()
    assert await machine.send() is Outcome.RECEIPTED
    assert "DELETE" in machine.site.calls
    assert machine.site.files == machine.lies()


async def test_an_upload_of_a_file_that_went_is_given_up(machine: Machine):
    machine.site.faults["PATCH"] = ["cut 7000", "status 400"]
    with pytest.raises(CallerError):
        await machine.send()
    (machine.folder / "big.bin").unlink()
    assert await machine.send() is Outcome.RECEIPTED
    assert machine.site.uploads == {}
    assert set(machine.site.files) == {"empty.txt", "数据 %.csv"}


async def test_files_that_are_there_are_left_out_and_others_deleted(machine: Machine):
    machine.site.faults["submit"] = ["status 400"]
    with pytest.raises(CallerError):
        await machine.send()
    machine.site.files["left-over.csv"] = b"x"
    machine.site.brought = 0
    machine.board = Told()
    await machine.send()
    assert machine.site.brought == 0
    assert machine.board.paths("skipped") == ["big.bin", "empty.txt", "数据 %.csv"]
    assert machine.board.paths("deleted") == ["left-over.csv"]


@pytest.mark.parametrize("name", ["big.bin", "数据 %.csv"])
async def test_a_file_that_changes_while_it_is_sent_is_sent_again(machine: Machine, name: str):
    changes = iter([b"y" * 9000])

    def change() -> None:
        for new in changes:
            (machine.folder / name).write_bytes(new)

    machine.site.during = change
    assert await machine.send() is Outcome.RECEIPTED
    assert machine.site.files == machine.lies()
    assert machine.board.paths("changed") == [name]


async def test_a_file_that_never_rests_is_an_error_that_names_it(machine: Machine):
    sizes = iter(range(2000, 9000))

    def change() -> None:
        (machine.folder / "big.bin").write_bytes(b"y" * next(sizes))

    machine.site.during = change
    with pytest.raises(Conflict, match=r"big\.bin changes while it is being sent"):
        await machine.send()
    assert machine.site.state == "open"


async def test_a_file_that_vanishes_is_an_error_that_names_it(machine: Machine):
    machine.site.during = lambda: (machine.folder / "big.bin").unlink(missing_ok=True)
    with pytest.raises(Conflict, match=r"big\.bin vanished"):
        await machine.send()


async def test_no_token_goes_to_another_address(machine: Machine):
    machine.site.faults["create"] = ["elsewhere"]
    with pytest.raises(EndpointError, match="another address"):
        await machine.send()


async def test_patience_has_an_end_when_nothing_goes_forward(machine: Machine):
    machine.site.faults["PATCH"] = ["cut 0"] * 1000
    with pytest.raises(EndpointError, match="cannot be reached"):
        await machine.send(patience=0.5)


async def test_a_certificate_is_shown_and_nothing_is_signed(machine: Machine, tmp_path: Path):
    now = datetime.now(UTC)
    authority = DevelopmentAuthority.create(now, accept_risk=True)
    root = authority.save(tmp_path / "ca")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(root))
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(*authority.issue_server(["localhost"], now).save(tmp_path / "server", "server"))
    certificate, key = authority.issue_client("sz-lab", now).save(tmp_path / "client", "client")
    async with machine.site.served(server) as url:
        address = Address(parse_url(url), root, certificate, key, "en")
        way = connected(address, SignIn("lab", url, None), parallel=1, patience=5, told=machine.board.waits, sleep=soon)
        async with way as connection:
            assert (await connection.call("GET", "/v1/transfers/t1/files")).body == {"files": []}
    assert machine.site.signed_in == {"grant_type": "client_credentials", "client_id": "lab"}
    assert (("commonName", "sz-lab"),) in machine.site.certificate["subject"]


async def test_a_certificate_of_an_unknown_authority_is_said_at_once(machine: Machine, tmp_path: Path):
    now = datetime.now(UTC)
    authority = DevelopmentAuthority.create(now, accept_risk=True)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(*authority.issue_server(["localhost"], now).save(tmp_path / "server", "server"))
    async with machine.site.served(server) as url:
        address = Address(parse_url(url), None, None, None, "en")
        way = connected(address, SignIn("lab", url, None), parallel=1, patience=5, told=machine.board.waits, sleep=soon)
        async with way as connection:
            with pytest.raises(EndpointError, match="--authority"):
                await connection.call("GET", "/v1/endpoints")
    assert machine.site.calls == []


def test_a_certificate_that_cannot_be_used_is_usage(tmp_path: Path):
    (tmp_path / "cert.pem").write_text("none")
    with pytest.raises(Unusable, match="cannot be used"):
        Address(parse_url("https://gw"), None, tmp_path / "cert.pem", None, "en").context()


async def test_a_refused_sign_in_is_not_tried_again(machine: Machine):
    machine.site.faults["token"] = ["status 401"]
    with pytest.raises(GatewayError, match="signing in as lab was refused"):
        await machine.send()
    assert machine.site.calls == ["token"]


@pytest.mark.parametrize(
    ("states", "outcome", "how"),
    [
        (["submitted", "refused"], Outcome.FALLEN, {}),
        (["submitted", "held"], Outcome.HELD, {}),
        (["submitted", "held", "held", "cleared", "receipted"], Outcome.HELD, {}),
        (["submitted", "held", "cleared", "receipted"], Outcome.RECEIPTED, {"wait_held": True}),
        (["submitted", "classified", "failed"], Outcome.FALLEN, {}),
        (["submitted", "receipted"], Outcome.SUBMITTED, {"wait": False}),
    ],
)
async def test_it_follows_until_somebody_else_must_act(machine: Machine, states, outcome, how):
    machine.site.states = states
    assert await machine.send(**how) is outcome


async def test_an_event_wakes_who_waits_and_nobody_polls_meanwhile(machine: Machine):
    machine.site.stream = asyncio.Event()
    waits: list[float] = []

    async def for_ever(seconds: float) -> None:
        waits.append(seconds)
        if seconds == news.HEARD:
            assert machine.site.stream is not None
            machine.site.stream.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    machine.sleep = for_ever
    assert await machine.send() is Outcome.RECEIPTED
    assert news.HEARD in waits
    assert machine.site.calls.count("events") == 1


async def test_the_same_again_is_followed_and_a_change_is_a_new_transfer(machine: Machine):
    await machine.send()
    await machine.send()
    assert (len(machine.site.keys), machine.site.calls.count("submit")) == (1, 1)
    await machine.send(again=True)
    (machine.folder / "empty.txt").write_bytes(b"no more")
    await machine.send()
    await machine.send(declaration={"data": {"level": "general"}})
    assert (len(machine.site.keys), machine.site.calls.count("submit")) == (4, 4)
    assert machine.site.declared == {"data": {"level": "general"}}


async def test_a_transfer_that_ended_before_it_was_submitted_is_left(machine: Machine):
    machine.site.faults["submit"] = ["status 400"]
    with pytest.raises(CallerError):
        await machine.send()
    machine.site.state = "expired"
    assert await machine.send() is Outcome.RECEIPTED
    assert len(machine.site.keys) == 2


async def test_a_run_that_ended_just_before_it_submitted_is_gone_on_with(machine: Machine):
    machine.site.faults["submit"] = ["status 400"]
    with pytest.raises(CallerError):
        await machine.send()
    with machine.state() as state:  # as a kill between the note and the request leaves it
        state.memory.submitted = "noted"
        state.save()
    machine.site.brought = 0
    assert await machine.send() is Outcome.RECEIPTED
    assert (len(machine.site.keys), machine.site.brought) == (1, 0)


@pytest.mark.parametrize("name", ["../../t1", "t1/x", "", "t" * 65])
async def test_an_id_that_could_be_a_path_is_none(machine: Machine, name: str):
    machine.site.id = name
    with pytest.raises(EndpointError, match="no gateway"):
        await machine.send()


def test_what_a_gateway_says_does_not_steer_the_terminal():
    assert plain("a\x1b[2Jb\r\nc\td\x9bx　中") == "a?[2Jb?\nc\td?x　中"


async def test_a_receipt_that_does_not_hold_is_an_error(machine: Machine):
    pins = Pins(public_line(seeded_key("gateway")), RigLedgerSigner().verifier_key)
    with pytest.raises(GatewayError, match="does not hold"):
        await machine.send(pins=pins)


async def test_many_files_go_a_few_at_a_time(machine: Machine):
    machine.site.crowd = 5
    for number in range(300):
        (machine.folder / f"{number}.csv").write_bytes(b"%d" % number)
    assert await machine.send(parallel=5) is Outcome.RECEIPTED
    assert machine.site.files == machine.lies()
    assert machine.site.most == 5


async def test_a_stopped_run_ends_at_once_and_can_go_on(machine: Machine):
    began = asyncio.Event()
    machine.site.during = began.set
    held: list[asyncio.Task[Outcome]] = []

    async def stop_in_the_middle() -> None:
        async with asyncio.TaskGroup() as group:
            held.append(group.create_task(machine.send()))
            await began.wait()
            held[0].cancel()

    await stop_in_the_middle()
    assert held[0].cancelled()
    machine.site.during = None
    assert await machine.send() is Outcome.RECEIPTED
    assert machine.site.files == machine.lies()
    assert len(machine.site.keys) == 1


async def test_a_watched_folder_is_sent_when_it_changed_and_trouble_is_said_once(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.cli.send.LOOK", 0.001)
    told: asyncio.Queue[str] = asyncio.Queue()
    keep = machine.board.event

    def event(kind: str, **fields: object) -> None:
        keep(kind, **fields)
        if kind in {"receipt-kept", "trouble"}:
            told.put_nowait(kind)

    machine.board.event = event
    job = Job([machine.folder], follow=False, exclude=(), wishes=machine.wishes)
    with machine.state() as state:
        async with machine.connection() as connection, asyncio.timeout(60):
            watching = asyncio.ensure_future(_watch(job, connection, state, machine.board, 0.0))
            assert await told.get() == "receipt-kept"
            (machine.folder / "new.csv").write_bytes(b"n")
            assert await told.get() == "receipt-kept"
            assert machine.site.files == machine.lies()
            (machine.folder / "link").symlink_to("new.csv")
            machine.folder.joinpath("new.csv").write_bytes(b"nn")
            assert await told.get() == "trouble"
            machine.folder.joinpath("link").unlink()
            assert await told.get() == "receipt-kept"
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    assert len(machine.site.keys) == 3
    assert machine.site.files == machine.lies()


# --- the command ---------------------------------------------------------------------------------------------------------


def run(*words: object, **environment: str) -> Any:
    app = typer.Typer()
    app.command()(send)
    return CliRunner(env=environment).invoke(app, [str(word) for word in words])


def test_what_is_not_told_is_usage(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a")
    nothing = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    refused = run(tmp_path, **nothing).exception
    assert isinstance(refused, Unusable)
    assert "gateway is not told" in refused.message
    told = ("--gateway", "https://gw", "--client", "lab", "--to", "hku", "--project", "trial")
    assert "key is not told" in run(tmp_path, *told, **nothing).exception.message
    assert "--dataset" in run(tmp_path / "a.csv", tmp_path, *told, **nothing).exception.message


def test_a_dry_run_needs_no_gateway_and_no_key(tmp_path: Path):
    (tmp_path / "a.csv").write_text("time,celsius\n08:00,21.4\n")
    result = run(tmp_path, "--dry-run", "--json", XDG_CONFIG_HOME=str(tmp_path))
    assert result.exit_code == 0
    page = json.loads(result.stdout)
    assert (page["event"], page["files"], page["low"]["verdict"]) == ("forecast", 1, "deny")


def test_a_gateway_that_is_not_there_is_said_soon(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a")
    key = tmp_path / "key"
    write_key(key, Ed25519PrivateKey.generate(), PrivateFormat.PKCS8)
    told = ("--gateway", "http://127.0.0.1:1", "--client", "lab", "--to", "hku", "--project", "trial", "--key", key)
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    refused = run(tmp_path, *told, "--patience", 1, **environment).exception
    assert isinstance(refused, EndpointError)
    assert "cannot be reached" in refused.message


def test_lines_and_events_say_how_it_stands(capsys: pytest.CaptureFixture[str]):
    for kind in (Lines, Events):
        board = kind(load_catalogue(), "en")
        board.begin(2, 100)
        board.waits("no route")
        board.line(board.status())
        board.say("submitted", event="submitted", files=2)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "0 of 2 files, 0 bytes of 100 bytes: waiting"
    assert json.loads(said[-1]) == {"event": "submitted", "files": 2}
