"""Delivers over SFTP: temporary name, pipelined writes, rename; a half-sent file is continued.

What this is not: a proof by the other side. SFTP version 3 has no digest, so what is proved is the setting `verify`:
`size` (default) trusts acknowledged writes, sizes and, for what an earlier attempt left, samples; `readback` reads
every file back through the channel and compares its BLAKE3.

What happens when a step fails:
1. Writing: the temporary file stays; the next attempt continues `WINDOW_BYTES` before its end, because a server may
   have written out of order, and only where its header and the 64 KiB before that point are ours.
2. The rename answers, but we do not hear it: the next attempt finds the final file and compares it.
3. A final name that holds something else: permanent; plain SFTP rename refuses an existing name (draft 02 section 6.5).
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping, Sequence

from connectors.naming import Layout, Notice, Placed, lay_out
from connectors.outgoing import SAMPLE, SealedCheck, excerpt, header_of, pieces, spans
from connectors.settings import Table
from connectors.sftp.client import WINDOW_BYTES, Client
from connectors.sftp.session import blamed, opened_session, read_peer
from gateway.core.errors import EndpointError
from gateway.ports import Channel, Consignment, Delivery, Parcel, ParcelSource


class SftpConnector:
    """An endpoint that is an SFTP server.

    Settings: `host`, `port` (22), `ranges`, `username`, `private_key_file`, `host_key` (one `ssh-ed25519 AAAA...`
    line), `base` (an existing folder), `verify` (`size` or `readback`), `connect_timeout` (15),
    `handshake_timeout` (30), `io_timeout` (60) and `keepalive` (30), all in seconds.

    Raises:
        Unusable: A setting is missing, unknown or of the wrong form.
    """

    kind = "sftp"
    resumes = True

    def __init__(self, settings: Mapping[str, object], channel: Channel) -> None:
        table = Table(self.kind, settings)
        self._peer = read_peer(table)
        self._base = table.text("base")
        self._readback = table.word("verify", ("size", "readback")) == "readback"
        table.finish()
        self._channel = channel

    def deliver(self, consignment: Consignment, source: ParcelSource) -> Delivery:
        """Bring every parcel, then signature and manifest. See `gateway.ports.Connector`."""
        layout = lay_out(consignment)
        with opened_session(self._peer, self._channel) as client:
            run = _Run(client, self._base, source, readback=self._readback)
            run.enter(layout)
            detail = {placed.parcel.name: run.parcel(placed) for placed in layout.placed}
            for notice in layout.notices:
                run.notice(layout.folder, notice)
        return Delivery("readback" if self._readback else "size", detail, run.sent)

    def probe(self) -> str:
        """Whether host key, account and base folder are as the registry says."""
        with opened_session(self._peer, self._channel) as client:
            _Run(client, self._base, None, readback=False).check_base()
        return "sftp host key and account accepted, base folder is there"


class _Run:
    """One attempt to deliver one consignment over one session."""

    def __init__(self, client: Client, base: str, source: ParcelSource | None, *, readback: bool) -> None:
        self._client = client
        self._base = base.rstrip("/") or "/"
        self._source = source
        self._readback = readback
        self._known: set[tuple[str, ...]] = {()}
        self._fresh: set[tuple[str, ...]] = set()
        self.sent = 0

    def check_base(self) -> None:
        """Refuse a base that is missing: it is never made, or a typing error would send data to the wrong place."""
        with blamed("show its base folder"):
            mode = self._client.stat(self._base).st_mode
        if mode is not None and not stat.S_ISDIR(mode):
            raise EndpointError("the SFTP endpoint's base is not a folder: correct `base`", code="sftp", retry=False)

    def enter(self, layout: Layout) -> None:
        """Make the version's folder and refuse another manifest in it before the first byte is sent."""
        self.check_base()
        self._make_folder(layout.folder)
        for notice in layout.notices:
            path = self._path(layout.folder, notice.name)
            if self._found(layout.folder, path) is not None:
                self._confirm_notice(path, notice)

    def parcel(self, placed: Placed) -> str:
        """Bring one parcel; returns its proof for the receipt."""
        self._make_folder(placed.folder)
        final, temporary = self._path(placed.folder, placed.name), self._path(placed.folder, placed.temporary)
        leftover = self._found(placed.folder, temporary)
        if (found := self._found(placed.folder, final)) is not None:
            if found != placed.parcel.size or not self._same_body(final, placed.parcel):
                raise _foreign()
            if leftover is not None:
                self._remove(temporary)
        else:
            resumed = self._send_parcel(placed, temporary, leftover)
            self._confirm_sent(placed, temporary, sampled=resumed)
            self._rename(temporary, final)
        return f"blake3:{placed.parcel.blake3.hex()}" if self._readback else f"size:{placed.parcel.size}"

    def notice(self, folder: tuple[str, ...], notice: Notice) -> None:
        """Publish the signature or the manifest."""
        final, temporary = self._path(folder, notice.name), self._path(folder, notice.temporary)
        if self._found(folder, temporary) is not None:
            self._remove(temporary)
        if self._found(folder, final) is not None:
            self._confirm_notice(final, notice)
            return
        with blamed("take the manifest"):
            self._store(self._client.open_new(temporary), 0, [notice.content])
        self._confirm_notice(temporary, notice)
        self._rename(temporary, final)

    # --- sending ---

    def _send_parcel(self, placed: Placed, temporary: str, leftover: int | None) -> bool:
        """Send what is missing; returns whether an earlier attempt's bytes were kept."""
        assert self._source is not None
        start = 0 if leftover is None else self._resume_point(placed.parcel, temporary, leftover)
        if leftover is not None and not start:
            self._remove(temporary)
        content = pieces(self._source, placed.parcel, start=start)
        with blamed(f"take {placed.ordinal}"):
            handle = self._client.open_existing(temporary) if start else self._client.open_new(temporary)
            self._store(handle, start, content)
        return start > 0

    def _store(self, handle: bytes, start: int, content: Iterable[bytes | memoryview]) -> None:
        self.sent += self._client.write(handle, start, content)
        self._client.sync(handle)
        self._client.close_handle(handle)

    def _resume_point(self, parcel: Parcel, temporary: str, size: int) -> int:
        """The offset from which an earlier attempt's file may be continued; 0 to begin again."""
        point = min(size, parcel.size) - WINDOW_BYTES
        if size > parcel.size or point < parcel.header_size + SAMPLE:
            return 0
        kept = ((0, parcel.header_size), (point - SAMPLE, SAMPLE))
        return point if self._same(temporary, parcel, kept) else 0

    # --- comparing ---

    def _confirm_sent(self, placed: Placed, temporary: str, *, sampled: bool) -> None:
        size = self._size(temporary)
        whole = size == placed.parcel.size
        if whole and (sampled or self._readback):
            whole = self._same_body(temporary, placed.parcel)
        if not whole:
            self._remove(temporary)
            raise EndpointError(
                f"{placed.ordinal} is not at the SFTP endpoint as it was sent: check its disk; it is tried again",
                code="readback",
                retry=True,
            )

    def _same_body(self, path: str, parcel: Parcel) -> bool:
        if not self._readback:
            return self._same(path, parcel, spans(parcel))
        assert self._source is not None
        check = SealedCheck(parcel, header_of(self._source, parcel))
        with blamed("read a file back"):
            for data in self._client.read(path, 0, parcel.size):
                check.update(data)
        return check.agrees()

    def _same(self, path: str, parcel: Parcel, places: Sequence[tuple[int, int]]) -> bool:
        assert self._source is not None
        for offset, length in places:
            ours = excerpt(self._source, parcel, offset, length)
            with blamed("read a sample back"):
                theirs = b"".join(self._client.read(path, offset, length))
            if theirs != ours:
                return False
        return True

    def _confirm_notice(self, path: str, notice: Notice) -> None:
        with blamed("read the manifest back"):
            content = b"".join(self._client.read(path, 0, len(notice.content) + 1))
        if content != notice.content:
            raise _foreign()

    # --- names ---

    def _make_folder(self, folder: tuple[str, ...]) -> None:
        for depth in range(1, len(folder) + 1):
            part = folder[:depth]
            if part in self._known:
                continue
            path = self._path(part[:-1], part[-1])
            with blamed("show a folder"):
                mode = self._mode(path)
            if mode is None:
                with blamed("make a folder"):
                    self._client.mkdir(path, 0o750)
                self._fresh.add(part)
            elif not stat.S_ISDIR(mode):
                raise _foreign()
            self._known.add(part)

    def _found(self, folder: tuple[str, ...], path: str) -> int | None:
        """What an earlier attempt left; a folder made a moment ago is not asked, which saves round trips."""
        return None if folder in self._fresh else self._size(path)

    def _size(self, path: str) -> int | None:
        """A regular file's bytes; None where nothing is there."""
        with blamed("show a file"):
            try:
                found = self._client.lstat(path)
            except FileNotFoundError:
                return None
        if found.st_mode is None or found.st_size is None or not stat.S_ISREG(found.st_mode):
            raise _foreign()
        return found.st_size

    def _mode(self, path: str) -> int | None:
        try:
            return self._client.lstat(path).st_mode or 0
        except FileNotFoundError:
            return None

    def _rename(self, temporary: str, final: str) -> None:
        with blamed("give a file its final name"):
            self._client.rename(temporary, final)

    def _remove(self, path: str) -> None:
        with blamed("remove a temporary file"):
            self._client.remove(path)

    def _path(self, folder: tuple[str, ...], name: str) -> str:
        return "/".join((self._base.rstrip("/"), *folder, name))


def _foreign() -> EndpointError:
    return EndpointError(
        "at the SFTP endpoint something else stands where this consignment belongs; nothing was overwritten: have its"
        " operator look at the folder and move it away",
        code="foreign-content",
        retry=False,
    )
