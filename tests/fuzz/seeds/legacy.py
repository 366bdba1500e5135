"""Seeds of 7z archives and of legacy Office documents, and the checksums of a 7z header made right after a mutation."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tests.inspect.test_legacy import SAMPLE, compound, properties, record, workbook, written

# By 7-Zip 26.02, of a table, an empty file and a few words, so that fuzzing needs no such program.
_SEVENS: Final = (
    # as 7-Zip does by itself
    (
        "N3q8ryccAAQItuMEvgAAAAAAAAAhAAAAAAAAAKkx1JDgAG4AQl0AO5vKqtSvvg176gunmL00NptTpFQ6iZsfzxl4vAuxwfpbNC2pOq7qs2c1se0Y"
        "fbejqVlsVWwtZ4B8lp3ySaWq8QAAAAAAgTMHrg/SdAR9QMCQ0v99aU2MFRAYCaL7MDs7dbmTTPYVZ0e+B2J6T/HZJEaytIIASqxXNj6Q4R2QxG1Z"
        "RGQ/SpZYuafTX7VfMSZlXtLER0YQd0lPJiYnTBWcS1O2TIBeKLEmH76uvOpOORNhuDqoAAAAFwZKAQl0AAcLAQABIwMBAQVdABAAAAyAkgoBnBB9"
        "lQAA"
    ),
    # -m0=Copy -mhc=off -ms=off
    (
        "N3q8ryccAARFwn8VbwAAAAAAAACiAAAAAAAAANBrHlB3b3Jkcwp3b3Jkcwp3b3Jkcwp3b3Jkcwp3b3Jkcwp3b3Jkcwp3b3Jkcwp3b3Jkcwp3b3Jk"
        "cwpuYW1lLGlkX251bWJlcgpBLDExMDEwNTE5NDkxMjMxMDAyWApCLDQ0MDMwMDE5OTAwMTAxMTIzOAoBBAYAAgk2OQAHCwIAAQEAAQEADDY5AAgK"
        "AZ4/yBDW+3LjAAAFAw4BgA8BgBkPAAAAAAAAAAAAAAAAAAAAES8AenouAHQAeAB0AAAAYQAuAHQAeAB0AAAAcABlAG8AcABsAGUALgBjAHMAdgAA"
        "ABkEAAAAABQaAQCZPaDPd3zdAf1BoM93fN0BmT2gz3d83QEVDgEAIICkgSCApIEggKSBAAA="
    ),
    # -m0=BCJ -m1=LZMA:d=64k -mhc=off
    (
        "N3q8ryccAARZ/0f+QwAAAAAAAACiAAAAAAAAAOObojUAO5vKqtSvvg176gunmL00NptTpFQ6iZsfzxl4vAuxwfpbNC2pOq7qs2c1se0YfbejqVls"
        "VWwtZ4B8lp3ySaWq8QAAAQQGAAEJQwAHCwEAAiMDAQEFXQAQAAAEAwMBAwEADG9vAAgNAgk2CgGeP8gQ1vty4wAABQMOAYAPAYAZABEvAHp6LgB0"
        "AHgAdAAAAGEALgB0AHgAdAAAAHAAZQBvAHAAbABlAC4AYwBzAHYAAAAZBAAAAAAUGgEA/7mlz3d83QESv6XPd3zdAf+5pc93fN0BFQ4BACCApIEg"
        "gKSBIICkgQAA"
    ),
    # -m0=Delta:4 -m1=Deflate -mhc=off -mta=on
    (
        "N3q8ryccAARzI/AVVgAAAAAAAADCAAAAAAAAAInWW36VxMENQDAUAND+tNU2nCzRxBjG4OoucTGMWIWjGYjEBhxbza9vhr7DG/uhw0nm1KSMMbSL"
        "dqEuDHdxvrbVPpIEaCHYS54+skcZzupWiJAZRt4BAFf7DwEEBgABCVYABwsBAAIDBAEIIQMBAwEADG9vAAgNAgk2CgGeP8gQ1vty4wAABQMOAYAP"
        "AYAZBwAAAAAAAAARLwB6ei4AdAB4AHQAAABhAC4AdAB4AHQAAABwAGUAbwBwAGwAZQAuAGMAcwB2AAAAGQQAAAAAExoBAPnhuM93fN0B+eG4z3d8"
        "3QGFfLjPd3zdARkCAAAUGgEA+eG4z3d83QF65rjPd3zdAfnhuM93fN0BFQ4BACCApIEggKSBIICkgQAA"
    ),
    # -m0=BZip2
    (
        "N3q8ryccAARdgeL92AAAAAAAAAAhAAAAAAAAAEvUr/BCWmg5MUFZJlNZB6ke+AAAN1+AABAABH5gMAAAQLYjmoAgAECURGQPRDR6TQoAAAGDtdA3"
        "alqtxwopSEViMucaxgKVJyllOGUipOzu9kCDt9fa+EC2EBkBpIH4u5IpwoSAPUj3wAAAgTMHrg/T0Gg9QMCQzuXLdvZPmykbFAeUFyAiIpF6gZcA"
        "8krq8HwxX7SvQoB1fG3NciTv54OwT6+8HSWGtTPxZAU3At+nsmBImUU0+i7d14MHPlius7t/dQy0HBVwqcisy536oZt0+GK9GRQWtXQAAAAXBmUB"
        "CXMABwsBAAEjAwEBBV0AEAAADICSCgGAWECgAAA="
    ),
    # -m0=PPMd
    (
        "N3q8ryccAAQFh/zotwAAAAAAAAAhAAAAAAAAAOWE/bkAdvZZcR1xBeXeYWOqOoLO+PgqwN2rneu4AsThFfonFt1fVN54O1EEkt26QfKLbkiK3gxf"
        "3R67Ma+gAAAAgTMHrg/Rp0+UoJCgd7D++v1R570Z1NXuJPIMqFljGXkm+iZ3fio868xLrTB3YHLaqAOyLxMNv5yp+euTOP4ID/tlOBOjbT2H6Ep9"
        "WPFCp9kvnJX7kOVxiiHK5+e3uer34oh0whfjT5gVR/lY9tQ59Slx9q5zKxUAAAAXBjsBCXwABwsBAAEjAwEBBV0AEAAADICiCgFBINDgAAA="
    ),
    # -psecret
    (
        "N3q8ryccAAQ3qC3L4wAAAAAAAAAiAAAAAAAAAEl2GENumctsHnROsG8IAGOzJIOHL4PJTQ+N8fr9QNeI5fkkDMBUzb7qCPBH0zsPm2HQIi0E4Lra"
        "tdgpV1c2MG8HFpagovzS8DrJ0C+98WzXHLrb8wAAgTMHrg/SwW/9QLuUZDs5pHrnaiJs+iiAK6F0gqoFfGNHsIDrEuTZm5t4rOTkjchjuiPq1wUN"
        "T+KlCWEUGLGTKaxXHvkXdbowgI+MEQPxKMI62UDMOYEqeX2MqaF8sYz4sn3BnMEPqRhoCB9EGYfedPatmj18fIi46wCbJUYNH/0pP2mBVlvlT/8I"
        "iGLL8AAAABcGUAEJgJMABwsBAAEjAwEBBV0AEAAADICyCgGlPatVAAA="
    ),
    # -psecret -mhe=on
    (
        "N3q8ryccAARrZMWx8AAAAAAAAAA+AAAAAAAAAFgfvhNXFP0D2H0qVJNBj/Tuelf+9L1sbCFK18QEOa75+mZl6CbvC9pGY6wQrEy8RcqcgzW+s9z+"
        "Pg6A2xSFyLR0RTnHD17SG53cFR4uQda2CgZAn+qbtM/K9cSERxquMuOZUsInDWxDNy7PmxhwoaQy/7HB99wVc+8Z3rZBRZ6NtH3pPIwwyzRyUiJv"
        "uc2kKIFBc756x9xV3OzxBVFz5JTzTS1o0exDUorOSMmKszIRc9RzeCOfNXOX1BNLzccw0ZchGoHk8VFnVmACpqV2VmTaC89k7oYNFSfJJva/2RtU"
        "mcsJcw5aTvR7dnzaKBv1wIAl3eYXBlABCYCgAAcLAQACJAbxBwESUw9fm9TxmdMf/I4MoEp8o0sBIwMBAQVdABAAAAEADICTgLIKAbJPQLoAAA=="
    ),
)


def _seven() -> Iterator[bytes]:
    yield from map(base64.b64decode, _SEVENS)


def _legacy() -> Iterator[bytes]:
    yield SAMPLE.read_bytes()
    yield written()
    yield compound(("Workbook", workbook()), ("\x05SummaryInformation", properties(b"\x1e\0\0\0\6\0\0\0words\0")))
    cells = struct.pack("<HHHHB", 0, 0, 0, 5, 0) + b"words", struct.pack("<3HIHIH", 1, 0, 0, 7, 0, 9, 1)
    yield compound(("Workbook", workbook(record(0x0204, cells[0]), record(0x00BD, cells[1]))))
    yield compound(("WordDocument", b"words" * 1000), ("VBA", None))


def repaired(content: bytes) -> bytes:
    """CRC-32 of the header and of the start that leads to it."""
    if len(content) < 32:
        return content
    start, size = struct.unpack_from("<QQ", content, 12)
    header = content[32 + start :][:size]
    lead = content[12:28] + struct.pack("<I", zlib.crc32(header))
    return content[:8] + struct.pack("<I", zlib.crc32(lead)) + lead + content[32:]


SEEDS: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = {"seven": _seven, "legacy": _legacy}
REPAIRS: Final[Mapping[str, Callable[[bytes], bytes]]] = {"seven": repaired}
