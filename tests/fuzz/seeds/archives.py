"""Text, compression, archives."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import lz4.frame
from backports import zstd

from tests.inspect.test_alignments import blocked
from tests.inspect.test_closed import OLE2
from tests.inspect.test_compressed import tarred
from tests.inspect.test_zip import packed

TABLE: Final = b"name,id_number\nA,11010519491231002X\nB,440300199001011238\n"
_LONG: Final = "long/" * 30 + "name.csv"


def _text() -> Iterator[bytes]:
    yield b"\x10" + TABLE
    yield b"\x01" + TABLE.decode().encode("utf-16")
    yield b"\x40" + "姓名,身份证号\n张三,11010519491231002X\n".encode("gb18030")
    yield b"\x03" + b'{"name": "A", "id": "440300199001011238"}\n' * 3
    yield b"\x05" + b"@r1\nACGT\n+\nIIII\n"


def _gzip() -> Iterator[bytes]:
    yield gzip.compress(TABLE, mtime=0)
    yield gzip.compress(TABLE[:20], mtime=0) + gzip.compress(TABLE[20:], mtime=0)
    yield blocked(TABLE)


def _compressed() -> Iterator[bytes]:
    skippable = b"\x50\x2a\x4d\x18\x05\x00\x00\x00words"
    yield bz2.compress(TABLE[:20]) + bz2.compress(TABLE[20:])
    yield lzma.compress(TABLE) + bytes(8) + lzma.compress(b"words\n", check=lzma.CHECK_SHA256)
    yield zstd.compress(TABLE) + skippable + zstd.compress(b"words\n")
    yield zstd.compress(TABLE, options={zstd.CompressionParameter.checksum_flag: 1})
    yield lz4.frame.compress(TABLE) + skippable
    yield lz4.frame.compress(TABLE, content_checksum=True, block_checksum=True, block_linked=False)


def _tar() -> Iterator[bytes]:
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        yield tarred(form, ("people.csv", TABLE))[:4096]
        yield tarred(form, (_LONG, TABLE), ("名单.zip", packed(("a.txt", "words"))))[:8192]


def zipped() -> Iterator[bytes]:
    """Archives that are nothing more."""
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield packed(("a/people.csv", TABLE), ("empty/", ""), method=method, comment=b"words")
    yield packed(("a.zip", packed(("b.zip", packed(("people.csv", TABLE))))))
    yield packed(("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n"), ("a.txt", "words"))


def _closed() -> Iterator[bytes]:
    yield OLE2 + bytes(100)
    yield OLE2 + bytes(100) + "EncryptedPackage".encode("utf-16-le")
    yield b"Rar!\x1a\x07\x01\x00" + bytes(50)
    yield b"7z\xbc\xaf\x27\x1c" + bytes(50)


SEEDS: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = {
    "text": _text,
    "gzip": _gzip,
    "compressed": _compressed,
    "tar": _tar,
    "closed": _closed,
}
