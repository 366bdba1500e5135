"""The one command that is answered: `sha256sum PATH...`, from recorded digests, without a shell.

What it is not: a shell. The command is split as a shell would and nothing in it is expanded or run.

A change must keep these:
1. What is not exactly this command is refused before anything is looked at.
2. Output and exit status are those of coreutils, so that `sha256sum -c` and sync clients read it.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from typing import Final

from gateway.core.errors import GatewayError
from gateway.core.identity import Principal
from gateway.doors.outbox.places import OUTBOX, parse_place
from gateway.flow.folders import Folders

MAX_COMMAND: Final = 1 << 16
# What rclone asks to learn whether the program is there: it compares the answer with the digest it knows.
_PROBE: Final = "echo 'abc' | sha256sum"
_PROBED: Final = f"{hashlib.sha256(b'abc' + bytes([10])).hexdigest()}  -\n"


def parse_command(command: str) -> Sequence[str] | None:
    """The paths asked for, none for rclone's probe; None where the command is another."""
    if len(command) > MAX_COMMAND or not command.isprintable():
        return None
    if command == _PROBE:
        return ()
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if not words or words[0] != "sha256sum":
        return None
    paths = words[2:] if words[1:2] == ["--"] else words[1:]
    return paths if paths and not paths[0].startswith("-") else None


async def sums(folders: Folders, principal: Principal, paths: Sequence[str]) -> tuple[bytes, bytes, int]:
    """Standard output, standard error and exit status."""
    if not paths:
        return _PROBED.encode(), b"", 0
    lines, complaints = [], []
    for path in paths:
        try:
            place = parse_place(path.encode())
            inside = place.area == OUTBOX and place.path
            found = await folders.file(principal, place.dataset(principal.institution), place.path) if inside else None
        except GatewayError:
            found = None
        if found is None or not found.sha256:
            complaints.append(f"sha256sum: {path}: No such file or directory\n")
        else:
            lines.append(f"{found.sha256.hex()}  {path}\n")
    return "".join(lines).encode(), "".join(complaints).encode(), 1 if complaints else 0
