"""The parent of several processes, with workers that are a few lines each; and what keeps gateways apart."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.cli.workers import Parent, alone, held_ports, serve
from gateway.core.errors import StoreError, Unusable
from gateway.settings import load_settings
from tests.doors.site import ToldObserver

READY = "os.write(0, b'+')\n"
UNTIL_PARENT_ENDS = "os.read(0, 1)\n"


class Crew:
    """A parent whose workers run some lines of Python in a folder, and note there that they began."""

    def __init__(self, folder: Path, lines: str, **about: float) -> None:
        self.folder = folder
        self.observer = ToldObserver()
        begin = "import os, signal, sys\nfrom pathlib import Path\nbegun = sys.argv[-1]\n"
        note = f"number = len(list(Path({str(folder)!r}).glob(f'{{begun}}-*')))\n"
        note += f"Path({str(folder)!r}, f'{{begun}}-{{number}}').write_text(str(os.getpid()))\n"
        command = [sys.executable, "-c", begin + note + lines]
        self.parent = Parent(command=command, environment={}, observer=self.observer, **{"pause": 0.01, **about})

    @property
    def begun(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def pid(self, name: str) -> int:
        return int((self.folder / name).read_text())

    async def saw(self, event: str) -> dict[str, object]:
        async with asyncio.timeout(60):
            while not (found := self.observer.of(event)):
                self.observer.told.clear()
                await self.observer.told.wait()
            return found[-1]

    @asynccontextmanager
    async def working(self, wanted: int = 2):
        running = asyncio.ensure_future(self.parent.run(wanted))
        await self.saw("workers.started")
        yield running
        self.parent._stopping.set()
        await running


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_workers_begin_and_end_with_their_parent(tmp_path):
    crew = Crew(tmp_path, READY + UNTIL_PARENT_ENDS)
    async with crew.working(3) as running:
        assert crew.begun == ["1-0", "2-0", "3-0"]
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(running, 60) == 0
    assert not any(is_running(crew.pid(name)) for name in crew.begun)
    assert crew.observer.of("worker.failed") == []


async def test_a_worker_that_died_is_started_again_and_the_other_goes_on(tmp_path):
    crew = Crew(tmp_path, READY + UNTIL_PARENT_ENDS)
    async with crew.working() as running:
        os.kill(crew.pid("2-0"), signal.SIGKILL)
        assert (await crew.saw("worker.restarted"))["worker"] == 2
        told = await crew.saw("worker.failed")
        assert (told["worker"], told["status"], told["ready"]) == (2, -signal.SIGKILL, True)
        assert crew.begun == ["1-0", "2-0", "2-1"]
        assert is_running(crew.pid("1-0"))
    assert running.result() == 0


async def test_what_keeps_the_first_from_starting_is_told_once(tmp_path):
    crew = Crew(tmp_path, "sys.exit(2)\n")
    assert await asyncio.wait_for(crew.parent.run(4), 60) == 2
    assert crew.begun == ["1-0"]


async def test_a_program_that_cannot_be_run_is_told(tmp_path):
    observer = ToldObserver()
    parent = Parent(command=[str(tmp_path / "none")], environment={}, observer=observer)
    assert await asyncio.wait_for(parent.run(2), 60) == 1
    assert [each["worker"] for each in observer.of("worker.refused")] == [1]


async def test_a_worker_the_system_refuses_to_start_again_is_tried_on(tmp_path):
    crew = Crew(tmp_path, READY + UNTIL_PARENT_ENDS)
    async with crew.working() as running:
        whole = crew.parent._command
        crew.parent._command = (str(tmp_path / "none"),)
        os.kill(crew.pid("2-0"), signal.SIGKILL)
        await crew.saw("worker.refused")
        crew.parent._command = whole
        await crew.saw("worker.restarted")
        assert "2-1" in crew.begun
    assert running.result() == 0


async def test_when_another_cannot_start_none_stays(tmp_path):
    crew = Crew(tmp_path, "if begun == '2':\n    sys.exit(3)\n" + READY + UNTIL_PARENT_ENDS)
    assert await asyncio.wait_for(crew.parent.run(2), 60) == 3
    assert not any(is_running(crew.pid(name)) for name in crew.begun)


async def test_one_that_cannot_start_again_is_tried_on_while_another_works(tmp_path):
    lines = "if begun == '2' and 0 < number < 4:\n    sys.exit(3)\n" + READY + UNTIL_PARENT_ENDS
    crew = Crew(tmp_path, lines)
    async with crew.working() as running:
        os.kill(crew.pid("2-0"), signal.SIGKILL)
        await crew.saw("worker.restarted")
        assert crew.begun == ["1-0", "2-0", "2-1", "2-2", "2-3", "2-4"]
        pauses = [each["seconds"] for each in crew.observer.of("worker.failed")]
        assert pauses == [0.01, 0.02, 0.04, 0.08]
    assert running.result() == 0


async def test_when_none_is_left_and_none_can_start_the_parent_ends_with_the_reason(tmp_path):
    crew = Crew(tmp_path, "if number:\n    sys.exit(3)\n" + READY + UNTIL_PARENT_ENDS)
    running = asyncio.ensure_future(crew.parent.run(2))
    await crew.saw("workers.started")
    for name in ("1-0", "2-0"):
        os.kill(crew.pid(name), signal.SIGKILL)
    assert await asyncio.wait_for(running, 60) == 3


async def test_a_worker_that_does_not_end_is_killed(tmp_path):
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY + "while True:\n    signal.pause()\n"
    crew = Crew(tmp_path, deaf, patience=0.2)
    async with crew.working(1):
        pass
    assert [each["worker"] for each in crew.observer.of("worker.killed")] == [1]
    assert not is_running(crew.pid("1-0"))


# --- one gateway a data folder, one program a port -------------------------------------------------------------------


def test_one_gateway_serves_from_a_data_folder(tmp_path):
    with alone(tmp_path / "data"):
        with (
            pytest.raises(StoreError, match=r"another gateway serves from .*/data.*--workers") as refused,
            alone(tmp_path / "data"),
        ):
            pass
        assert (refused.value.code, refused.value.retry) == ("already-serving", False)
    with alone(tmp_path / "data"):
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_worker_holds_the_lock_with_its_parent(tmp_path):
    with alone(tmp_path / "data") as lock:
        waiting = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        worker = subprocess.Popen(waiting, stdin=subprocess.PIPE, pass_fds=(lock,))
    with pytest.raises(StoreError), alone(tmp_path / "data"):
        pass
    worker.communicate()
    with alone(tmp_path / "data"):
        pass


def settings_with(tmp_path, *, served="yes", **ports):
    chosen = {f"HETAO_{door.upper()}__PORT": str(port) for door, port in ({"page": 0} | ports).items()}
    return load_settings(None, {**chosen, "HETAO_PAGE__SERVED": served})


def test_a_page_that_is_not_served_holds_no_port(tmp_path):
    with held_ports(settings_with(tmp_path, served="no", https=0, sftp=0, metrics=0)) as ports:
        assert set(ports) == {"https", "sftp", "metrics"}


def test_free_ports_are_picked_and_held_for_sharing(tmp_path):
    with held_ports(settings_with(tmp_path, https=0, sftp=0, page=0, metrics=0)) as ports:
        assert len({*ports.values()} - {0}) == 4
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind(("127.0.0.1", ports["sftp"]))
        listeners = [socket.create_server(("127.0.0.1", ports["sftp"]), reuse_port=True) for _ in range(2)]
        with socket.create_connection(("127.0.0.1", ports["sftp"]), timeout=5):
            pass  # answered by one of them, and never by what holds the port
        for each in listeners:
            each.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports["sftp"]), timeout=5)


@pytest.mark.parametrize("shared", [False, True])
def test_a_port_somebody_listens_on_is_refused_even_where_it_could_be_shared(tmp_path, shared):
    with socket.create_server(("127.0.0.1", 0), reuse_port=shared) as stranger:
        taken = stranger.getsockname()[1]
        with pytest.raises(StoreError, match=f"sftp door .{taken}.*another gateway"):
            held_ports(settings_with(tmp_path, https=0, sftp=taken, metrics=0)).__enter__()


def test_a_number_of_workers_that_makes_no_sense(tmp_path):
    (tmp_path / "gateway.toml").write_text("[gateway]\nworkers = 0\n")
    with pytest.raises(Unusable, match="1 to 64"):
        serve(tmp_path / "gateway.toml")
