"""A TCP proxy that lets so many bytes through and then holds the rest back: time to do something in the middle."""

from __future__ import annotations

import contextlib
import socket
import threading


class Valve:
    """Between clients and a port.

    Attributes:
        port: Where clients connect to.
        brought: Bytes clients sent since `shut`.
        full: Set when a bound is reached.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._turn = threading.Condition()
        self._bound: int | None = None
        self._times = 0
        self.brought = 0
        self.full = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def shut(self, after: int | None) -> None:
        """Cut what is held, then let so many bytes through; all of them where None."""
        with self._turn:
            self._bound, self.brought = after, 0
            self._times += 1
            self.full.clear()
            self._turn.notify_all()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self._target)) as server:
            back = threading.Thread(target=self._back, args=(server, client), daemon=True)
            back.start()
            try:
                while data := client.recv(1 << 16):
                    self._take(len(data))
                    server.sendall(data)
            finally:  # a socket another thread reads from does not end by being closed
                for each in (server, client):
                    with contextlib.suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)
            back.join(30)

    def _take(self, count: int) -> None:
        with self._turn:
            self.brought += count
            times = self._times
            while self._bound is not None and self.brought > self._bound:
                self.full.set()
                self._turn.wait()
                if times != self._times:
                    raise ConnectionAbortedError

    @staticmethod
    def _back(server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
