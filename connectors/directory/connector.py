"""Delivers into a directory: each file written under a temporary name, read back, and only then given its name.

What this is not: a connector over the channel. The directory is a mount that somebody else carries to Hong Kong, so the
ranges of `BoundChannel` do not apply and its receipts are self-certified.

What happens when a step fails:
1. Writing: the temporary file stays and the next attempt replaces it.
2. Read-back differs: the temporary file is removed; the medium is bad, another attempt may help.
3. Between the name and the removal of the temporary name: both are the same file; the next attempt removes the second.
4. After the last parcel and before the manifest: the next attempt finds every parcel whole and publishes the manifest.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from connectors.directory import tree
from connectors.naming import Layout, Notice, Placed, lay_out
from connectors.outgoing import SealedCheck, header_of, pieces
from connectors.settings import Table
from gateway.core.errors import EndpointError
from gateway.ports import Channel, Consignment, Delivery, Parcel, ParcelSource


class DirectoryConnector:
    """An endpoint that is a directory.

    Settings: `path`, absolute; it must exist.

    Raises:
        Unusable: A setting is missing, unknown or of the wrong form.
    """

    kind = "directory"

    def __init__(self, settings: Mapping[str, object], channel: Channel) -> None:
        del channel  # part of every connector's signature; a mounted directory opens no connection
        table = Table(self.kind, settings)
        self._path = table.path("path")
        table.finish()

    def deliver(self, consignment: Consignment, source: ParcelSource) -> Delivery:
        """Bring every parcel, then signature and manifest; proof is `readback`. See `gateway.ports.Connector`."""
        layout = lay_out(consignment)
        with tree.opened_base(self._path) as base:
            _refuse_foreign_notices(base, layout)
            sent = sum(_deliver_parcel(base, placed, source) for placed in layout.placed)
            sent += sum(_deliver_notice(base, layout.folder, notice) for notice in layout.notices)
        return Delivery("readback", {each.name: f"blake3:{each.blake3.hex()}" for each in consignment.parcels}, sent)

    def probe(self) -> str:
        """Whether the directory is there and writable, and its free space."""
        with tree.opened_base(self._path) as base, tree.blamed("tell its free space"):
            if not os.access(".", os.W_OK | os.X_OK, dir_fd=base):
                raise EndpointError(
                    "the endpoint's directory is not writable: give it to the gateway's user", retry=False
                )
            free = shutil.disk_usage(base).free
        return f"directory is writable, {free / 1e9:.1f} GB free"


def _refuse_foreign_notices(base: int, layout: Layout) -> None:
    """Fail before the first byte where another manifest is already published in this version's folder."""
    with tree.opened_folder(base, layout.folder) as folder:
        for notice in layout.notices:
            if tree.exists(folder, notice.name):
                _confirm_notice(folder, notice)


def _deliver_parcel(base: int, placed: Placed, source: ParcelSource) -> int:
    with tree.opened_folder(base, placed.folder) as folder:
        if tree.exists(folder, placed.name):
            if not _stored_as_promised(folder, placed.name, placed.parcel, source):
                raise tree.foreign()
            tree.discard(folder, placed.temporary)
            return 0
        tree.discard(folder, placed.temporary)
        sent = tree.write(folder, placed.temporary, pieces(source, placed.parcel))
        if not _stored_as_promised(folder, placed.temporary, placed.parcel, source):
            tree.discard(folder, placed.temporary)
            raise EndpointError(
                f"{placed.ordinal} reads back differently from what was written: check the endpoint's disk",
                code="readback",
                retry=True,
            )
        tree.publish(folder, placed.temporary, placed.name)
    return sent


def _deliver_notice(base: int, segments: tuple[str, ...], notice: Notice) -> int:
    with tree.opened_folder(base, segments) as folder:
        if tree.exists(folder, notice.name):
            _confirm_notice(folder, notice)
            tree.discard(folder, notice.temporary)
            return 0
        tree.discard(folder, notice.temporary)
        sent = tree.write(folder, notice.temporary, [notice.content])
        tree.publish(folder, notice.temporary, notice.name)
    return sent


def _confirm_notice(folder: int, notice: Notice) -> None:
    stored = b""
    for piece in tree.read(folder, notice.name):
        stored += piece
        if not notice.content.startswith(stored):
            break
    if stored != notice.content:
        raise tree.foreign()


def _stored_as_promised(folder: int, name: str, parcel: Parcel, source: ParcelSource) -> bool:
    check = SealedCheck(parcel, header_of(source, parcel))
    for piece in tree.read(folder, name):
        check.update(piece)
        if check.size > parcel.size:
            return False
    return check.agrees()
