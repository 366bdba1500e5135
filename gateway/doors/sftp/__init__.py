"""The SFTP door: SSH in, the flow's verbs out. No decision is made here.

In reading order: `server` is the socket and what SSH may do, `sessions` one channel of it, `files` the SFTP requests,
`metered` the bounds and counts around them (`shares`, `bandwidth`), `arrivals` bytes that come in any order, `sums` the one
command that is answered, `answers` what went wrong. The virtual tree itself is `doors.outbox`.
"""

from gateway.doors.sftp.desk import DoorLimits
from gateway.doors.sftp.server import serving

__all__ = ["DoorLimits", "serving"]
