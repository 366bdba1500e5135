"""The virtual tree every door with folders shows: places, what is there, and what a caller may do in it.

What it is not: a protocol. The SFTP and the WebDAV door stand on it and say the same in their own words.
"""

from __future__ import annotations
