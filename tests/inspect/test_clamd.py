"""clamd: what a daemon says, what it leaves unsaid, and a real one with a signature of our own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import struct
import subprocess
import threading

import pytest

from gateway.inspect.clamd import OVERLAP, Clamd

MARK = b"HETAO-TEST-MALWARE-" + bytes(range(65, 91))


class Daemon:
    """A clamd that keeps what it is sent and answers as told; `answers` are bytes, or None to hang up."""

    def __init__(self, *answers: bytes | None) -> None:
        self.streams: list[bytes] = []
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            link, _ = self._socket.accept()
            with link, link.makefile("rb") as read:
                assert read.read(10) == b"zINSTREAM\0"
                content = b""
                while length := struct.unpack(">I", read.read(4))[0]:
                    content += read.read(length)
                self.streams.append(content)
                if answer is not None:
                    link.sendall(answer)

    def close(self) -> None:
        self._thread.join(30)
        self._socket.close()


def asked(pieces, *answers, stream=25 << 20, timeout=20.0):
    daemon = Daemon(*answers)
    try:
        return Clamd(daemon.address, stream=stream, timeout=timeout).scan(pieces), daemon.streams
    finally:
        daemon.close()


@pytest.mark.parametrize(
    ("answer", "verdict", "told"),
    [
        (b"stream: OK\0", "clean", ""),
        (b"stream: Win.Test.EICAR_HDB-1 FOUND\0", "found", "Win.Test.EICAR_HDB-1"),
        (b"INSTREAM size limit exceeded. ERROR\0", "unscanned", "StreamMaxLength"),
        (b"stream: OK", "unscanned", "EOFError"),
        (None, "unscanned", "EOFError"),
        (b"", "unscanned", "EOFError"),
        (b"stream: OK\nstream: OK\0", "unscanned", ""),
        (b"x" * 10_000, "unscanned", "EOFError"),
    ],
)
def test_clean_is_only_what_was_said_to_be(answer, verdict, told):
    said, streams = asked([b"abc", b"", b"def"], answer)
    assert said.verdict == verdict
    assert told in said.told
    assert streams == [b"abcdef"]


def test_no_daemon_is_not_scanned(tmp_path):
    for address in (str(tmp_path / "clamd.ctl"), "127.0.0.1:1"):
        assert Clamd(address, stream=1 << 20, timeout=5).scan([b"x"]).verdict == "unscanned"


def test_a_daemon_that_says_nothing_is_not_waited_for_ever():
    silent = socket.create_server(("127.0.0.1", 0))
    with silent:
        said = Clamd(f"127.0.0.1:{silent.getsockname()[1]}", stream=1 << 22, timeout=0.2).scan([b"x"])
    assert said.verdict == "unscanned"


def test_a_long_file_goes_in_streams_that_overlap():
    content = os.urandom(5 << 20)
    said, streams = asked([content], *[b"stream: OK\0"] * 4, stream=2 * OVERLAP)
    assert (said.verdict, said.told) == ("clean", f"in {len(streams)} pieces")
    whole = streams[0]
    for stream in streams[1:]:
        assert stream[:OVERLAP] == whole[-OVERLAP:]
        whole += stream[OVERLAP:]
    assert whole == content
    assert all(len(stream) <= 2 * OVERLAP for stream in streams)


def test_what_is_found_in_a_later_piece_is_found():
    said, _ = asked([bytes(3 << 20)], b"stream: OK\0", b"stream: Bad FOUND\0", stream=2 * OVERLAP)
    assert (said.verdict, said.told) == ("found", "Bad")


@pytest.fixture(scope="module")
def clamd(tmp_path_factory):
    if shutil.which("clamd") is None:
        message = "LOUD: clamd is not installed (apt-get install clamav-daemon): not tested against a real one"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
    folder = tmp_path_factory.mktemp("clamd")
    (folder / "own.ndb").write_text(f"Hetao.Test:0:*:{MARK.hex()}\n")
    config = folder / "clamd.conf"
    config.write_text(
        f"DatabaseDirectory {folder}\nLocalSocket {folder}/ctl\nForeground yes\nStreamMaxLength 2M\n"
        f"TemporaryDirectory {folder}\nUser {getpass.getuser()}\n"
    )
    arguments = ["clamd", "--config-file", str(config)]
    daemon = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert daemon.stdout is not None
    try:
        told = []
        for line in daemon.stdout:  # the last thing it says before it serves
            told.append(line)
            if "Self checking" in line:
                break
        assert daemon.poll() is None, "".join(told)
        yield str(folder / "ctl")
    finally:
        daemon.terminate()
        daemon.communicate(timeout=30)


def test_a_real_clamd(clamd):
    scanner = Clamd(clamd, stream=2 << 20, timeout=60)
    assert scanner.scan([b"nothing ", b"much"]).verdict == "clean"
    found = scanner.scan([b"a" * 1000 + MARK[:10], MARK[10:] + b"b"])
    assert (found.verdict, found.told) == ("found", "Hetao.Test.UNOFFICIAL")
    late = scanner.scan([bytes(2 << 20), bytes((1 << 20) - 5), MARK, bytes(1 << 20)])
    assert late.verdict == "found"  # across what would have been a cut
    assert Clamd(clamd, stream=64 << 20, timeout=60).scan([os.urandom(1 << 20)] * 5).verdict == "unscanned"
    assert scanner.scan([]).verdict == "clean"
