"""WebDAV class 2 at `/dav/` (RFC 4918): the virtual tree of `doors.outbox`, over the HTTPS door's socket and guard.

What it is not: a file system, or a second set of rules. It says in WebDAV's words what the SFTP door says in its own.

In reading order: `desk` is what requests work with, `targets` turns addresses into places, `gate` asks locks and conditions,
`reading`, `writing`, `patching` and `locking` are the methods, `properties` is what is told of a place, `forgotten` what file
managers leave.
"""

from __future__ import annotations
