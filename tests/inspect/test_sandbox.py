"""The walls around a parser, tried from inside: each attempt runs in a process of its own that has locked itself down."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

from gateway.inspect.process import Allowance, Inspector, Subject
from gateway.stores.detectors import read_documents

TABLES = read_documents()

ATTEMPT = """
import ctypes, errno, json, os, resource, socket, sys, threading, tempfile
from gateway.inspect.sandbox import lock
walls = lock(memory=2 * 1024**3)
def tried():
{body}
try:
    answer = ["did", repr(tried())]
except BaseException as wrong:
    answer = ["failed", type(wrong).__name__ + " " + str(getattr(wrong, "errno", ""))]
os.write(1, json.dumps([walls.landlock and walls.seccomp, *answer]).encode())
os._exit(0)
"""


def tried(body: str, *arguments: str) -> tuple[str, str]:
    program = ATTEMPT.format(body=textwrap.indent(textwrap.dedent(body).strip(), "    "))
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done
    walls, outcome, told = json.loads(done.stdout)
    if not walls:
        pytest.skip("LOUD: this kernel has no Landlock or no seccomp: the sandbox's walls were not tested")
    return outcome, told


REFUSED = {
    "the network": "socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    "a local socket": "socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)",
    "a socket pair": "socket.socketpair()",
    "a new file": "open(sys.argv[1] + '/spilled', 'wb')",
    "a temporary file": "tempfile.TemporaryFile()",
    "a file that exists, to write": "open(sys.argv[1] + '/there', 'r+b')",
    "a file that exists, to read": "open(sys.argv[1] + '/there', 'rb').read()",
    "the accounts": "open('/etc/passwd').read()",
    "another process's memory": "open('/proc/1/mem', 'rb').read()",
    "its own environment": "open('/proc/self/environ', 'rb').read()",
    "to list the disk": "os.listdir(sys.argv[1])",
    "to delete": "os.unlink(sys.argv[1] + '/there')",
    "to rename": "os.rename(sys.argv[1] + '/there', sys.argv[1] + '/gone')",
    "to link": "os.symlink('/etc/passwd', sys.argv[1] + '/link')",
    "a folder": "os.mkdir(sys.argv[1] + '/folder')",
    "a signal to its parent's thread": (
        "ctypes.CDLL(None, use_errno=True).syscall({'x86_64': 234, 'aarch64': 131}[os.uname().machine], os.getppid(), "
        "os.getppid(), 0) < 0 and (_ for _ in ()).throw(PermissionError(1, 'no'))"
    ),
    "a fork bomb": "[os.fork() for _ in range(100)]",
    "a program": "os.execv('/bin/true', ['true'])",
    "a shell": "os.posix_spawn('/bin/true', ['true'], {})",
    "to kill its parent": "os.kill(os.getppid(), 9)",
    "a higher limit": "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "8 GiB": "len(bytearray(8 * 1024**3))",
    "another user": "os.setuid(12345)",
    "to trace": "ctypes.CDLL(None, use_errno=True).ptrace(0, 0, 0, 0) and (_ for _ in ()).throw(PermissionError(1, 'no'))",
    "an executable file in memory, run": "os.execve(os.memfd_create('x'), ['x'], {})",
    "io_uring": "ctypes.CDLL(None, use_errno=True).syscall(425, 1, 0) < 0 and (_ for _ in ()).throw(PermissionError(1, 'no'))",
    "a file larger than the scratch": "os.ftruncate(os.memfd_create('x'), 1 << 33)",
}


@pytest.mark.parametrize("attempt", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(attempt, tmp_path):
    (tmp_path / "there").write_text("secret")
    outcome, told = tried("return " + attempt, str(tmp_path))
    assert outcome == "failed"
    assert told.split()[0] in {"PermissionError", "MemoryError", "OSError", "ValueError", "FileNotFoundError"}
    assert (tmp_path / "there").read_text() == "secret"
    assert [each.name for each in tmp_path.iterdir()] == ["there"]


ALLOWED = {
    "a thread": "t = threading.Thread(target=lambda: found.append(1)); t.start(); t.join(); return found",
    "an anonymous file": "f = os.memfd_create('x'); os.write(f, b'abc'); "
    "return open(f'/proc/self/fd/{f}', 'rb').read()",
    "an import from the standard library": "import sqlite3, csv, lzma, decimal; return sqlite3.sqlite_version",
    "arithmetic": "import numpy; return int(numpy.arange(10).sum())",
}


@pytest.mark.parametrize("attempt", ALLOWED.values(), ids=ALLOWED)
def test_what_a_parser_needs(attempt):
    assert tried("found = []\n" + attempt.replace("; ", "\n"))[0] == "did"


def test_a_worker_out_of_memory_makes_its_file_uninspectable(tmp_path):
    """64 MiB of address space are fewer than the worker has at its start: the first allocation fails, nothing else does."""
    path = tmp_path / "x.gz"
    path.write_bytes(b"\x1f\x8b")
    with path.open("rb") as file, Inspector(TABLES, Allowance(memory=64 * 1024**2)) as inspector:
        found = inspector.ask(Subject("x.gz", 2, [(file.fileno(), 2)]))
    assert not found.inspectable
    assert found.level == "unknown"
