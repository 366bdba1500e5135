"""Locks a process down before it reads a stranger's bytes (design.md section 6).

Four walls, each of which holds by itself against most of what a captured parser could try:
1. Limits (setrlimit): address space, no core dumps, bounded file sizes; no new privileges, no capabilities, not dumpable.
2. Landlock (Linux 5.13): no file is opened but for reading, and only below the folders of Python and of our own packages.
3. seccomp: an allow-list of system calls. No sockets are made, no programs started, no processes forked, none traced.
4. The parent kills what takes too long.

Where the system has no Landlock or no seccomp, `lock` says which walls stand, files may not grow at all (RLIMIT_FSIZE 0), and the
caller decides whether that is enough.

Source: landlock(7), seccomp(2), capabilities(7), prctl(2); numbers from the kernel's uapi headers.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

SCRATCH: Final = 512 * 1024 * 1024  # bytes of an anonymous file for a library that needs a path

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 22, 38
_SIGKILL: Final = 9
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_HANDLED_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}  # 5 and later: IOCTL_DEV too
_RULE_PATH_BENEATH: Final = 1
_CREATE_VERSION: Final = 1

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*
# System call: (x86_64, aarch64); -1 where an architecture has none. What Python, NumPy and the parsers' libraries need.
_CALLS: Final = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62), "mmap": (9, 222),
    "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "pread64": (17, 67), "pwrite64": (18, 68), "readv": (19, 65), "writev": (20, 66),
    "access": (21, -1), "faccessat": (269, 48), "faccessat2": (439, 439), "select": (23, -1), "sched_yield": (24, 124),
    "mremap": (25, 216), "madvise": (28, 233), "dup": (32, 23), "nanosleep": (35, 101), "getpid": (39, 172),
    "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211), "recvmsg": (47, 212), "exit": (60, 93),
    "uname": (63, 160), "fcntl": (72, 25), "ftruncate": (77, 46), "getcwd": (79, 17), "readlink": (89, -1),
    "readlinkat": (267, 78), "stat": (4, -1), "lstat": (6, -1), "poll": (7, -1), "ppoll": (271, 73), "open": (2, -1),
    "openat": (257, 56), "newfstatat": (262, 79), "statx": (332, 291), "getdents64": (217, 61), "getrusage": (98, 165),
    "sysinfo": (99, 179), "times": (100, 153), "getuid": (102, 174), "getgid": (104, 176), "geteuid": (107, 175),
    "getegid": (108, 177), "getppid": (110, 173), "sigaltstack": (131, 132), "gettid": (186, 178), "futex": (202, 98),
    "sched_getaffinity": (204, 123), "set_tid_address": (218, 96), "fadvise64": (221, 223), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "exit_group": (231, 94), "set_robust_list": (273, 99),
    "getrandom": (318, 278), "memfd_create": (319, 279), "membarrier": (324, 283), "rseq": (334, 293),
    "get_mempolicy": (239, 236), "sched_getscheduler": (145, 120), "sched_getparam": (143, 121), "statfs": (137, 43),
    "fstatfs": (138, 44), "gettimeofday": (96, 169), "time": (201, -1), "getcpu": (309, 168), "pselect6": (270, 72),
    "epoll_create1": (291, 20), "fsync": (74, 82), "fdatasync": (75, 83),
}  # fmt: skip
_CLONE, _CLONE3, _IOCTL, _PRLIMIT = (56, 220), (435, 435), (16, 29), (302, 261)
_TGKILL: Final = (234, 131)
_CLONE_THREAD: Final = 0x00010000
_EPERM, _ENOSYS, _ENOTTY = 1, 38, 25

_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_X32: Final = 0x40000000


@dataclass(frozen=True)
class Walls:
    """Which walls stand."""

    landlock: bool
    seccomp: bool


def lock(*, memory: int, readable: Sequence[Path] | None = None) -> Walls:
    """Lock this process down, for ever.

    Args:
        memory: Bytes of address space.
        readable: Folders below which files may be read; Python's and our own where not given.

    Raises:
        OSError: The system refused something it has: nothing may be parsed.
    """
    places = _packages() if readable is None else readable
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _drop_capabilities()
    fenced = _landlock(places)
    filtered = platform.machine() in _ARCHITECTURES
    limit = SCRATCH if fenced and filtered else 0
    for which, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, limit),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, 1024),
    ):
        resource.setrlimit(which, (most, most))
    if filtered:
        _seccomp(platform.machine())
    return Walls(fenced, filtered)


def _packages() -> list[Path]:
    """Folders of Python, of what is installed, and of the packages the parsers are made of."""
    paths = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    for package in ("gateway", "policies"):
        spec = find_spec(package)
        paths |= set(spec.submodule_search_locations or ()) if spec else set()
    system = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache")
    own = {str(Path(sys.base_prefix) / "lib"), str(Path(sys.executable).resolve().parent.parent / "lib")}
    return [Path(path) for path in sorted({*paths, *system, *own}) if Path(path).exists()]


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        _fail("prctl")


def _fail(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")


def _drop_capabilities() -> None:
    """No capability is left, whoever the user is: root is then a user that owns root's files."""
    for capability in range(64):
        _libc.prctl(
            _PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0
        )  # those that do not exist fail, the next step counts
    header = struct.pack("<Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    capset = {"x86_64": 126, "aarch64": 91}.get(platform.machine())
    if capset is not None and _libc.syscall(capset, header, bytes(24)):
        _fail("capset")


def _landlock(places: Iterable[Path]) -> bool:
    abi = _libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), _CREATE_VERSION)
    if abi < 1:
        return False
    handled = _HANDLED_BY_ABI.get(abi, (1 << 16) - 1)
    network = 3 if abi >= 4 else 0  # bind and connect of TCP
    scopes = 3 if abi >= 6 else 0  # abstract sockets and signals
    sizes = {1: 8, 2: 8, 3: 8, 4: 16, 5: 16}
    attributes = struct.pack("<QQQ", handled, network, scopes)[: sizes.get(abi, 24)]
    ruleset = _libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        _fail("landlock_create_ruleset")
    try:
        for place in places:
            _allow_reading(ruleset, place)
        if _libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0):
            _fail("landlock_restrict_self")
    finally:
        os.close(ruleset)
    return True


def _allow_reading(ruleset: int, place: Path) -> None:
    descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = _READ_FILE | (_READ_DIR if place.is_dir() else 0)
        rule = struct.pack("<Qi", rights, descriptor)
        if _libc.syscall(_LANDLOCK_ADD, ruleset, _RULE_PATH_BENEATH, rule, 0):
            _fail("landlock_add_rule")
    finally:
        os.close(descriptor)


def _seccomp(machine: str) -> None:
    program = filter_program(machine, os.getpid())
    count = len(program) // 8
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("<H6xQ", count, ctypes.addressof(buffer))
    if _libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(2), ctypes.create_string_buffer(header, len(header)), 0, 0):
        _fail("seccomp")


def filter_program(machine: str, process: int) -> bytes:
    """The seccomp filter as classic BPF: kill on a foreign architecture, else the allow-list, else EPERM.

    Threads may be made and processes not (`clone` without CLONE_THREAD); `clone3`, whose flags no filter can see, does not exist,
    so that the C library falls back to `clone`. Signals go to this process alone (`process`). Whether a descriptor is a terminal
    is answered with no. Limits can be read, not set.
    """
    which = list(_ARCHITECTURES).index(machine)
    steps = [_step(_LD, 4), _step(_JEQ, _ARCHITECTURES[machine], yes=1), _step(_RET, _KILL), _step(_LD, 0)]
    if machine == "x86_64":
        steps += [_step(_JGE, _X32, no=1), _step(_RET, _KILL)]
    for numbers in _CALLS.values():
        if numbers[which] >= 0:
            steps += [_step(_JEQ, numbers[which], no=1), _step(_RET, _ALLOW)]
    steps += [_step(_JEQ, _CLONE3[which], no=1), _step(_RET, _ERRNO | _ENOSYS)]
    steps += [_step(_JEQ, _IOCTL[which], no=1), _step(_RET, _ERRNO | _ENOTTY)]
    steps += [  # the new limit is the third argument, a pointer: null in both halves
        _step(_JEQ, _PRLIMIT[which], no=6),
        _step(_LD, 32), _step(_JEQ, 0, no=3),
        _step(_LD, 36), _step(_JEQ, 0, no=1), _step(_RET, _ALLOW),
        _step(_RET, _ERRNO | _EPERM),
    ]  # fmt: skip
    steps += [  # whose thread it is for is the first argument
        _step(_JEQ, _TGKILL[which], no=4),
        _step(_LD, 16), _step(_JEQ, process, no=1), _step(_RET, _ALLOW),
        _step(_RET, _ERRNO | _EPERM),
    ]  # fmt: skip
    steps += [  # the flags are the first argument
        _step(_JEQ, _CLONE[which], no=3),
        _step(_LD, 16), _step(_JSET, _CLONE_THREAD, no=1), _step(_RET, _ALLOW),
        _step(_RET, _ERRNO | _EPERM),
    ]  # fmt: skip
    return b"".join(steps)


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)
