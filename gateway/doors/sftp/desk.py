"""What every session of the door works with, and the door's own bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.doors.outbox.tree import Tree, Underway
from gateway.doors.sftp.arrivals import Budget
from gateway.doors.sftp.shares import Shares
from gateway.flow.defender import Defender
from gateway.flow.folders import Folders
from gateway.flow.intake import Intake
from gateway.flow.resume import Resume
from gateway.ports import Observer


@dataclass(frozen=True)
class DoorLimits:
    """Bounds of the door; those on files are `core.intake.Limits`.

    They are of one process. The system spreads connections over workers as it likes, so that a bound divided among them
    would refuse an institution that is within it: with N workers the door's bound is N times as high.

    Attributes:
        session_handles: Open files a session, and open folders as many.
        connections: Signed-in connections an institution, in this process; 0 is no bound.
        knocking: Connections of an address that have not signed in yet, in this process; 0 is no bound.
        handles: Open files an institution, over all its sessions in this process; 0 is no bound.
        uploads: Of them, files being written; 0 is no bound.
        bandwidth: Bytes a second an institution may send to this process; 0 is no bound.
        login: Seconds a caller has to sign in.
        idle: Seconds a connection may go without a request, four times that while it writes a file; 0 is no bound.
        keepalive: Seconds of silence after which a peer is asked whether it is there; the third silence ends it; 0 asks nobody.
    """

    session_handles: int = 128
    connections: int = 64
    knocking: int = 100
    handles: int = 1_024
    uploads: int = 256
    bandwidth: int = 0
    login: float = 30.0
    idle: float = 900.0
    keepalive: float = 30.0


@dataclass(frozen=True)
class Desk:
    """What every session of the door uses.

    Attributes:
        room: Bytes of the vault's disk, all and free.
    """

    intake: Intake
    folders: Folders
    resume: Resume
    tree: Tree
    underway: Underway
    budget: Budget
    observer: Observer
    limits: DoorLimits
    room: Callable[[], tuple[int, int]]
    shares: Shares
    defender: Defender
