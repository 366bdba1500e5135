"""`hetao serve`: one process, or a parent of several that share the ports.

What it is not: the doors or the work behind them (`serve`). The parent opens no database and reads no key.

A change must keep these:
1. One gateway serves from a data folder. Whoever serves holds a lock on it, and workers hold it with their parent, so that
   a parent that was killed frees nothing while a worker of its still answers.
2. Workers are fresh interpreters that run the same command again: nothing of a parent's threads, loops or locks is in them.
3. A worker has a socket to its parent as standard input. It says there that its doors are open; the socket's end means that
   the parent is gone, and the worker stops as if it were told to.
4. What is wrong with the settings, the database or a port is told once: the first worker starts alone.
5. A worker that ended unasked is started again, later each time. When none is left and another cannot start, the parent ends
   with its exit status: whoever supervises the parent takes over.
6. Ports are held by the parent, bound and not listening, as long as it lives: no other program gets one between two workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.cli.desk import Config, find_settings
from gateway.core.errors import StoreError, Unusable
from gateway.ports import Observer
from gateway.settings import Settings
from gateway.telemetry.logs import LogObserver, configure_logs

DOORS: Final = ("https", "sftp", "metrics")
MAX_WORKERS: Final = 64
FIRST_PAUSE: Final = 1.0  # seconds before a worker is started again; doubled each time
LONGEST_PAUSE: Final = 30.0
SETTLED: Final = 60.0  # seconds after which a worker's end is taken as its first
END_SECONDS: Final = 40.0  # deploy/systemd gives the whole service 45
SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client keeps what processes share
LOCK: Final = "serving.lock"

Workers = Annotated[
    int | None, typer.Option("--workers", "-w", min=1, max=MAX_WORKERS, help="Processes; else gateway.workers.")
]
Number = Annotated[int, typer.Option("--worker", hidden=True, help="Set by the parent.")]


def serve(config: Config = None, workers: Workers = None, worker: Number = 0) -> None:
    """Run the gateway in the foreground, in one process or in several that share the ports."""
    settings = find_settings(config)
    if worker:
        _serve_here(settings, worker)
        return
    wanted = workers or settings.number("gateway.workers")
    if not 1 <= wanted <= MAX_WORKERS:
        raise Unusable(f"gateway.workers is 1 to {MAX_WORKERS}", code="bad-settings")
    with alone(settings.path("gateway.data")) as lock:
        if wanted == 1:
            _serve_here(settings, 0)
        elif status := _supervise(settings, wanted, lock):
            raise typer.Exit(status)


def _serve_here(settings: Settings, worker: int) -> None:
    from gateway.cli.serve import serve as serve_here  # noqa: PLC0415  # it imports every ring; a parent needs none

    serve_here(settings, worker)


def _supervise(settings: Settings, wanted: int, lock: int) -> int:
    observer = LogObserver(configure_logs(settings.text("telemetry.log_level")))
    with held_ports(settings) as ports, tempfile.TemporaryDirectory(prefix="hetao-counts-") as shared:
        chosen = {f"HETAO_{door.upper()}__PORT": str(port) for door, port in ports.items()}
        parent = Parent(
            command=[sys.executable, *sys.orig_argv[1:]],
            environment={**os.environ, **chosen, SHARED: shared},
            keeps=(lock,),
            observer=observer,
        )
        return asyncio.run(parent.run(wanted))


@contextlib.contextmanager
def alone(data: Path) -> Iterator[int]:
    """The lock on a data folder, as a descriptor; raises StoreError where another gateway holds it."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as wrong:
        raise Unusable(f"gateway.data cannot be used ({wrong.strerror}): mend the setting or the folder") from wrong
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    except BlockingIOError:
        raise StoreError(
            f"another gateway serves from {data}: stop it first; for several processes use `hetao serve --workers N`",
            code="already-serving",
            retry=False,
        ) from None
    finally:
        os.close(descriptor)


# --- ports -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def held_ports(settings: Settings) -> Iterator[Mapping[str, int]]:
    """The port of every door, bound for sharing until the end of the block; where the setting is 0, a free one.

    Raises:
        StoreError: A port is taken, also where whoever has it would share it.
    """
    with contextlib.ExitStack() as held:
        ports: dict[str, int] = {}
        for door in (*DOORS, *(("page",) if settings.text("page.served") == "yes" else ())):
            host, port = settings.text(f"{door}.host"), settings.number(f"{door}.port")
            try:
                ports[door] = _hold(held, host, port)
            except OSError as busy:
                raise StoreError(
                    f"the port of the {door} door ({port}) cannot be opened: {busy.strerror}; is another gateway on it?"
                ) from busy
        yield ports


def _hold(held: contextlib.ExitStack, host: str, port: int) -> int:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in dict.fromkeys(found):
        if port:  # SO_REUSEPORT would share with any program of this user; asked without it, the system tells of them
            with socket.socket(family, kind, protocol) as probe:
                _bind(probe, address, port, socket.SO_REUSEADDR)
        kept = held.enter_context(socket.socket(family, kind, protocol))
        _bind(kept, address, port, socket.SO_REUSEPORT)
        port = int(kept.getsockname()[1])
    return port


def _bind(place: socket.socket, address: tuple[object, ...], port: int, option: int) -> None:
    place.setsockopt(socket.SOL_SOCKET, option, 1)
    if place.family == socket.AF_INET6:
        place.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # as asyncio does
    place.bind((address[0], port, *address[2:]))


# --- the parent ------------------------------------------------------------------------------------------------------


@dataclass
class _Worker:
    """One that was started.

    Attributes:
        ready: Whether it said that its doors are open.
        began: When it was started, by the loop's clock.
    """

    process: asyncio.subprocess.Process
    socket: socket.socket
    began: float
    ready: bool = False


class Parent:
    """Starts workers, starts them again, and ends them.

    Args:
        command: What a worker runs, without its number.
        environment: What it sees.
        keeps: Descriptors it holds open as long as it lives.
        observer: Told what happens to them.
        pause: Seconds before the first time one is started again.
        patience: Seconds they have to end.
    """

    def __init__(
        self,
        *,
        command: Sequence[str],
        environment: Mapping[str, str],
        keeps: Sequence[int] = (),
        observer: Observer,
        pause: float = FIRST_PAUSE,
        patience: float = END_SECONDS,
    ) -> None:
        self._command = tuple(command)
        self._environment = environment
        self._keeps = tuple(keeps)
        self._observer = observer
        self._pause = pause
        self._patience = patience
        self._stopping = asyncio.Event()
        self._workers: dict[int, _Worker] = {}
        self._status = 0

    async def run(self, wanted: int) -> int:
        """Keep so many workers until SIGTERM or SIGINT; 0 then, or the exit status of one that could not start."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stopping.set)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._end_when_told())
            group.create_task(self._begin(group, wanted))
        return self._status

    async def _begin(self, group: asyncio.TaskGroup, wanted: int) -> None:
        """The first alone, then the others at once; none where one cannot start."""
        begun = [await self._start(1)]
        if begun[0] and begun[0].ready:
            begun += await asyncio.gather(*(self._start(number) for number in range(2, wanted + 1)))
        for worker in begun:
            if worker is None or not worker.ready:
                self._give_up(await worker.process.wait() if worker else 1)
                return
        self._observer.saw("workers.started", workers=wanted)
        for number in range(1, wanted + 1):
            group.create_task(self._tend(number))

    async def _start(self, number: int) -> _Worker | None:
        """Start one; returns when its doors are open, or when it has ended. None where the system refuses."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    "--worker",
                    str(number),
                    stdin=theirs.fileno(),
                    env=self._environment,
                    pass_fds=self._keeps,
                    process_group=0,  # Ctrl-C reaches the parent, which passes it on
                )
        except OSError as refused:
            ours.close()
            self._observer.saw("worker.refused", worker=number, reason=refused.strerror)
            return None
        worker = self._workers[number] = _Worker(process, ours, loop.time())
        if self._stopping.is_set():
            _signal(worker, signal.SIGTERM)
        with contextlib.suppress(ConnectionResetError):
            worker.ready = bool(await loop.sock_recv(ours, 1))
        return worker

    async def _tend(self, number: int) -> None:
        """Start a worker again whenever it ended unasked."""
        loop, pause = asyncio.get_running_loop(), self._pause
        while True:
            worker = self._workers[number]
            status = await worker.process.wait()
            worker.socket.close()
            if self._stopping.is_set():
                return
            if worker.ready and loop.time() - worker.began > SETTLED:
                pause = self._pause
            self._observer.saw("worker.failed", worker=number, status=status, ready=worker.ready, seconds=pause)
            others = [each for other, each in self._workers.items() if other != number and each.ready]
            if not worker.ready and all(each.process.returncode is not None for each in others):
                self._give_up(status)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
                return
            pause = min(pause * 2, LONGEST_PAUSE)
            started = await self._start(number)
            if started is None:
                worker.ready = False  # the one that ended stands for it in the next round
            elif started.ready:
                self._observer.saw("worker.restarted", worker=number)

    def _give_up(self, status: int) -> None:
        if not self._stopping.is_set():
            self._status = status if status > 0 else 1
            self._stopping.set()

    async def _end_when_told(self) -> None:
        await self._stopping.wait()
        for worker in list(self._workers.values()):
            _signal(worker, signal.SIGTERM)
        late = await self._late()
        for number in late:
            self._observer.saw("worker.killed", worker=number, seconds=self._patience)
            _signal(self._workers[number], signal.SIGKILL)
        for worker in list(self._workers.values()):
            await worker.process.wait()
            worker.socket.close()

    async def _late(self) -> list[int]:
        """Workers that have not ended within the bound."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                for worker in list(self._workers.values()):
                    await worker.process.wait()
        return [number for number, worker in self._workers.items() if worker.process.returncode is None]


def _signal(worker: _Worker, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        worker.process.send_signal(number)
