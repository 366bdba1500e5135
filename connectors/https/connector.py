"""Delivers over HTTPS: PUT straight to the final name (`atomic = "put"`) or to a temporary one and MOVE (`"move"`).

What this is not: tus or the gateway's peer protocol; a broken PUT starts again from its beginning.

RFC 9110 section 9.3.4 makes a PUT all or nothing, and the body's length is announced, so a server that keeps the
standard shows no half file; where one is not trusted with that, `atomic = "move"` asks for WebDAV's MOVE with
`Overwrite: F`.

What proves the arrival is the setting `verify`: `size` (default) compares Content-Length, and the ETags of PUT and
HEAD; `checksum` asks the server for its SHA-256 (RFC 9530, `Want-Repr-Digest`); `readback` fetches the file and
compares BLAKE3.

What happens when a step fails:
1. PUT breaks off: nothing was stored, or a temporary name that the next attempt overwrites.
2. PUT or MOVE succeeded but we do not hear it: the next attempt finds the final name and compares it.
3. A final name that holds something else: permanent; `If-None-Match: *` keeps us from overwriting it (RFC 9110 13.1.2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing

from connectors.https.session import Answer, Session, read_site, refusal
from connectors.naming import Layout, Notice, Placed, lay_out
from connectors.outgoing import SealedCheck, header_of, pieces
from connectors.settings import Table
from gateway.core.errors import EndpointError
from gateway.ports import Channel, Consignment, Delivery, Parcel, ParcelSource
from gateway.wire import Malformed
from gateway.wire.digests import parse_digest

_STORED = frozenset({200, 201, 204})


class HttpsConnector:
    """An endpoint that is an HTTPS server.

    Settings: `base_url`, `ranges`, `ca_file`, `client_cert_file` with `client_key_file`, `bearer_token_file`,
    `tls_minimum` (`1.3` or `1.2`), `atomic` (`put` or `move`), `verify` (`size`, `checksum` or `readback`),
    `connect_timeout` (15) and `io_timeout` (60) in seconds.

    Raises:
        Unusable: A setting is missing, unknown or of the wrong form.
    """

    kind = "https"

    def __init__(self, settings: Mapping[str, object], channel: Channel) -> None:
        table = Table(self.kind, settings)
        self._site = read_site(table)
        self._moves = table.word("atomic", ("put", "move")) == "move"
        self._verify = table.word("verify", ("size", "checksum", "readback"))
        table.finish()
        self._channel = channel

    def deliver(self, consignment: Consignment, source: ParcelSource) -> Delivery:
        """Bring every parcel, then signature and manifest. See `gateway.ports.Connector`."""
        layout = lay_out(consignment)
        with closing(Session(self._site, self._channel)) as session:
            run = _Run(session, source, verify=self._verify, moves=self._moves)
            run.enter(layout)
            detail = {placed.parcel.name: run.parcel(placed) for placed in layout.placed}
            for notice in layout.notices:
                run.notice(layout.folder, notice)
        return Delivery(self._verify, detail, run.sent)

    def probe(self) -> str:
        """Whether the server is trusted and lets us ask about the base URL."""
        with closing(Session(self._site, self._channel)) as session:
            answer = session.ask("HEAD", session.url([""]))
        if answer.status in {401, 403} or answer.status >= 500:
            raise refusal(answer, "answer for its base URL")
        return f"https certificate accepted, base URL answers with status {answer.status}"


class _Run:
    """One attempt to deliver one consignment."""

    def __init__(self, session: Session, source: ParcelSource, *, verify: str, moves: bool) -> None:
        self._session = session
        self._source = source
        self._verify = verify
        self._moves = moves
        self._folders: set[tuple[str, ...]] = set()
        self.sent = 0

    def enter(self, layout: Layout) -> None:
        """Refuse another manifest in this version's folder before the first byte is sent."""
        for notice in layout.notices:
            target = self._session.url((*layout.folder, notice.name))
            if self._head(target) is not None:
                self._confirm_notice(target, notice)

    def parcel(self, placed: Placed) -> str:
        """Bring one parcel; returns its proof for the receipt."""
        parcel, final = placed.parcel, self._session.url((*placed.folder, placed.name))
        found = self._head(final)
        digest = hashlib.sha256()
        content = pieces(self._source, parcel)
        if self._verify == "checksum":
            content = _hashed(content, digest)
        if found is None:
            found = self._publish(placed.folder, placed.name, placed.temporary, parcel.size, content)
        elif self._verify == "checksum":
            for _ in content:
                pass  # only the digest is wanted: the bytes are there already
        if not self._as_promised(final, found, parcel, digest.digest()):
            raise _foreign()
        return _proof(self._verify, found, parcel, digest.hexdigest())

    def notice(self, folder: tuple[str, ...], notice: Notice) -> None:
        """Publish the signature or the manifest."""
        target = self._session.url((*folder, notice.name))
        if self._head(target) is None:
            self._publish(folder, notice.name, notice.temporary, len(notice.content), [notice.content])
        self._confirm_notice(target, notice)

    # --- sending ---

    def _publish(
        self, folder: tuple[str, ...], name: str, temporary: str, size: int, content: Iterable[bytes | memoryview]
    ) -> Answer:
        """Send to the final name, or to the temporary one and move it; returns the final name's HEAD."""
        final = self._session.url((*folder, name))
        if self._moves:
            self._make_folders(folder)
            half = self._session.url((*folder, temporary))
            self._put(half, size, content, {})
            self._move(half, final)
            etag = ""
        else:
            etag = self._put(final, size, content, {"If-None-Match": "*"}).field("ETag")
        stored = self._head(final)
        if stored is None or (etag and stored.field("ETag") not in {"", etag}):
            raise EndpointError(
                "the HTTPS endpoint took a file but does not show it as sent; it is tried again: check the server's"
                " storage and what stands before it",
                code="readback",
                retry=True,
            )
        return stored

    def _put(self, target: str, size: int, content: Iterable[bytes | memoryview], fields: Mapping[str, str]) -> Answer:
        fields = {"Content-Type": "application/octet-stream", **fields}
        answer = self._session.put(target, size, self._counted(content), fields)
        if answer.status == 412 and "If-None-Match" in fields:
            return answer  # somebody was quicker, an earlier attempt of ours perhaps: the caller compares
        if answer.status not in _STORED:
            raise refusal(answer, "take a file" + (" (is its folder missing?)" if answer.status == 409 else ""))
        return answer

    def _move(self, half: str, final: str) -> None:
        answer = self._session.ask("MOVE", half, {"Destination": final, "Overwrite": "F"})
        if answer.status == 412:  # the name is taken: our copy goes, and the caller compares what is there
            self._session.ask("DELETE", half)
        elif answer.status not in {201, 204}:
            raise refusal(answer, "give a file its final name (MOVE)")

    def _make_folders(self, folder: tuple[str, ...]) -> None:
        for depth in range(1, len(folder) + 1):
            part = folder[:depth]
            if part in self._folders:
                continue
            answer = self._session.ask("MKCOL", self._session.url(part) + "/")
            if answer.status not in {201, 405}:  # 405: it exists (RFC 4918 section 9.3.1)
                raise refusal(answer, "make a folder (MKCOL)")
            self._folders.add(part)

    def _counted(self, content: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
        for piece in content:
            self.sent += len(piece)
            yield piece

    # --- comparing ---

    def _head(self, target: str) -> Answer | None:
        fields = {"Want-Repr-Digest": "sha-256=10"} if self._verify == "checksum" else {}
        answer = self._session.ask("HEAD", target, fields)
        if answer.status in {404, 410}:
            return None
        if answer.status != 200:
            raise refusal(answer, "say whether a file is there (HEAD)")
        return answer

    def _as_promised(self, target: str, stored: Answer, parcel: Parcel, sha256: bytes) -> bool:
        if stored.field("Content-Length") != str(parcel.size):
            return False
        if self._verify == "checksum":
            return _server_digest(stored) == sha256
        if self._verify == "readback":
            check = SealedCheck(parcel, header_of(self._source, parcel))
            for piece in self._session.get(target):
                check.update(piece)
            return check.agrees()
        return True

    def _confirm_notice(self, target: str, notice: Notice) -> None:
        stored = b""
        for piece in self._session.get(target):
            stored += piece
            if len(stored) > len(notice.content):
                break
        if stored != notice.content:
            raise _foreign()


def _hashed(content: Iterable[memoryview], digest: hashlib._Hash) -> Iterator[memoryview]:
    for piece in content:
        digest.update(piece)
        yield piece


def _server_digest(stored: Answer) -> bytes:
    """The server's SHA-256 of what it stored (RFC 9530 section 3)."""
    try:
        return parse_digest(stored.field("Repr-Digest"))["sha-256"]
    except (Malformed, KeyError) as missing:
        raise EndpointError(
            "the HTTPS endpoint gives no Repr-Digest with sha-256, but `verify` is checksum: choose another",
            code="https",
            retry=False,
        ) from missing


def _proof(verify: str, stored: Answer, parcel: Parcel, sha256: str) -> str:
    if verify == "readback":
        return f"blake3:{parcel.blake3.hex()}"
    if verify == "checksum":
        return f"sha-256:{sha256}"
    etag = stored.field("ETag")  # opaque (RFC 9110 section 8.8.3): noted, but it proves no more than the size
    return f"size:{parcel.size}" + (f" etag:{etag}" if etag.isprintable() and etag else "")


def _foreign() -> EndpointError:
    return EndpointError(
        "at the HTTPS endpoint something else stands where this consignment belongs; nothing was overwritten: have its"
        " operator look at the folder and move it away",
        code="foreign-content",
        retry=False,
    )
