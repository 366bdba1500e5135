"""The virtual tree one caller sees: folders of the registry, files of its datasets, texts made when they are read.

What it is not: a file system. Nothing of the host is behind it, and file contents come back from nowhere: this door
cannot read what it stored.

A change must keep these:
1. Another institution's things are not there: not listed, and the same answer as for nothing at all.
2. Sizes and times are true at every moment: of files under way the bytes received without a hole, of received ones what
   was recorded, in open and in submitted versions alike. A file under way is seen by the process that receives it; for the
   others it is not there, or is what it was before, until it is received. Everything else here is the database's.
3. Nothing of ours stands inside a dataset folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from gateway.core.catalogue import LANGUAGES, Catalogue
from gateway.core.completeness import parse_note
from gateway.core.identity import Principal
from gateway.core.names import DatasetName
from gateway.core.transfer import State, Transfer
from gateway.doors.outbox.places import AREAS, OUTBOX, README, RECEIPTS, Place, nothing_there
from gateway.flow.enquiry import Enquiry, sender_view
from gateway.flow.folders import FolderFile, Folders
from gateway.flow.marks import FOLDER
from gateway.ports import Mark

_SIGNATURE: Final = ".json.sig"


@dataclass(frozen=True)
class Node:
    """What stat tells of a place; folders have no size, and no digest has what is a folder or not whole."""

    folder: bool
    size: int
    modified: float
    writable: bool = False
    sha256: bytes = b""


class Arriving(Protocol):
    """A file while a door receives it in pieces."""

    modified: datetime | None

    @property
    def size(self) -> int:
        """Bytes received without a hole."""

    async def abandon(self) -> None:
        """End it; what came may be gone on with."""


@dataclass
class Underway:
    """What this process is receiving, of all datasets, for every session.

    Attributes:
        arrivals: Files being written.
        stopping: Whether the door cuts its connections: asyncssh then tells sessions the same as of an end in order.
    """

    arrivals: dict[tuple[DatasetName, str], Arriving] = field(default_factory=dict)
    stopping: bool = False

    def in_dataset(self, name: DatasetName) -> dict[str, Arriving]:
        """The files of a dataset that are being written, by path."""
        return {path: arrival for (dataset, path), arrival in self.arrivals.items() if dataset == name}


class Tree:
    """The tree of one caller."""

    def __init__(
        self, *, enquiry: Enquiry, folders: Folders, catalogue: Catalogue, underway: Underway, began: datetime
    ) -> None:
        self._enquiry = enquiry
        self._folders = folders
        self._catalogue = catalogue
        self._underway = underway
        self._began = began.timestamp()

    # --- looking -----------------------------------------------------------------------------------------------------

    async def stat(self, principal: Principal, place: Place) -> Node:
        """What is at a place; raises NotFound where nothing is."""
        if place.path:
            return await self._stat_in_dataset(principal, place)
        if place.leaf or place.area == README:
            nodes = await self.listed(principal, _parent(place))
            name = place.leaf or README
            if name not in nodes:
                raise nothing_there()
            return nodes[name]
        await self._check_registered(principal, place)
        return self._folder()

    async def listed(self, principal: Principal, place: Place) -> Mapping[str, Node]:
        """What is in a folder, by name; raises NotFound where there is no such folder."""
        if place.area == README:
            raise nothing_there()
        if not place.area:
            readme = _text(self._readme(), self._began)
            return {README: readme, **{area: self._folder() for area in AREAS}}
        if place.leaf:
            return await self._listed_in_dataset(principal, place)
        await self._check_registered(principal, place)
        if place.project:
            return await self._listed_in_project(principal, place)
        endpoints = {each["id"]: each["projects"] for each in await self._enquiry.endpoints(principal)}
        return {name: self._folder() for name in (endpoints[place.endpoint] if place.endpoint else endpoints)}

    async def read(self, principal: Principal, place: Place) -> bytes | None:
        """A text of ours; None where a place is a folder or a dataset's file, which nobody can read here."""
        if place.area == README:
            return self._readme()
        if place.area in {"", OUTBOX} or not place.leaf:
            return None
        await self._check_registered(principal, place)
        datasets = await self._folders.datasets(principal, place.endpoint, place.project)
        if place.area == RECEIPTS:
            return await self._receipt(principal, place)
        found = datasets.get(place.leaf.removesuffix(".txt")) if place.leaf.endswith(".txt") else None
        if found is None:
            raise nothing_there()
        return self._status(found)

    async def check_project(self, principal: Principal, place: Place) -> None:
        """Raise NotFound unless the endpoint and project are the caller's."""
        await self._check_registered(principal, place)

    # --- the registry's folders --------------------------------------------------------------------------------------

    def _folder(self, modified: float = 0.0, *, writable: bool = False) -> Node:
        return Node(folder=True, size=0, modified=modified or self._began, writable=writable)

    async def _check_registered(self, principal: Principal, place: Place) -> None:
        if not place.endpoint:
            return
        for each in await self._enquiry.endpoints(principal):
            if each["id"] == place.endpoint and (not place.project or place.project in each["projects"]):
                return
        raise nothing_there()

    async def _listed_in_project(self, principal: Principal, place: Place) -> Mapping[str, Node]:
        datasets = await self._folders.datasets(principal, place.endpoint, place.project)
        if place.area == OUTBOX:
            return {
                name: self._folder(transfer.since.timestamp(), writable=True) for name, transfer in datasets.items()
            }
        nodes: dict[str, Node] = {}
        for name, newest in datasets.items():
            if place.area != RECEIPTS:
                nodes[f"{name}.txt"] = _text(self._status(newest), newest.since.timestamp())
                continue
            dataset = DatasetName(principal.institution, place.endpoint, place.project, name)
            for each in await self._folders.versions(principal, dataset):
                if each.receipt:
                    nodes |= _receipts(each)
        return nodes

    # --- inside a dataset --------------------------------------------------------------------------------------------

    async def _stat_in_dataset(self, principal: Principal, place: Place) -> Node:
        await self._check_registered(principal, place)
        name = place.dataset(principal.institution)
        arrival = self._underway.arrivals.get((name, place.path))
        if arrival is not None:
            return Node(folder=False, size=arrival.size, modified=self._began, writable=True)
        found = await self._folders.file(principal, name, place.path)
        if found is not None:
            return _file(found)
        mark, inside = await self._folders.beside(principal, name, place.path)
        if mark is not None:
            return self._marked(mark)
        if inside or any(path.startswith(f"{place.path}/") for path in self._underway.in_dataset(name)):
            return self._folder(writable=True)
        raise nothing_there()

    def _marked(self, mark: Mark) -> Node:
        folder = mark.kind == FOLDER
        return Node(folder=folder, size=mark.size, modified=mark.at.timestamp(), writable=folder)

    async def _listed_in_dataset(self, principal: Principal, place: Place) -> Mapping[str, Node]:
        await self._check_registered(principal, place)
        if place.area != OUTBOX:
            raise nothing_there()
        name = place.dataset(principal.institution)
        held = await self._folders.held(principal, name)
        if held is None:
            raise nothing_there()
        nodes = {path: _file(each) for path, each in held.files.items()}
        for path, arrival in self._underway.in_dataset(name).items():
            nodes[path] = Node(folder=False, size=arrival.size, modified=self._began, writable=True)
        folders = {path: self._marked(mark) for path, mark in held.marks.items() if mark.kind == FOLDER}
        nodes = {**folders, **nodes}
        inside = f"{place.path}/" if place.path else ""
        shown: dict[str, Node] = {}
        for path, node in nodes.items():
            if path.startswith(inside) and path != inside:
                first, deeper, _ = path.removeprefix(inside).partition("/")
                shown[first] = self._folder(writable=True) if deeper else node
        if place.path and not shown and place.path not in folders:
            raise nothing_there()
        return shown

    # --- texts -------------------------------------------------------------------------------------------------------

    def _readme(self) -> bytes:
        return "\n".join(self._catalogue.text("sftp.readme", language) for language in LANGUAGES).encode()

    async def _receipt(self, principal: Principal, place: Place) -> bytes:
        name, _, rest = place.leaf.rpartition(".v")
        dataset = DatasetName(principal.institution, place.endpoint, place.project, name)
        for each in await self._folders.versions(principal, dataset) if name and rest else ():
            if place.leaf in _receipts(each):
                receipt, signature = await self._enquiry.receipt(principal, each.id)
                return (signature if rest.endswith(_SIGNATURE) else receipt).encode()
        raise nothing_there()

    def _status(self, transfer: Transfer) -> bytes:
        shown = sender_view(transfer)
        told = ([*self._told(shown, each), *self._awaited(transfer, each)] for each in LANGUAGES)
        return "\n".join("".join(f"{line}\n" for line in lines) for lines in told).encode()

    def _awaited(self, transfer: Transfer, language: str) -> list[str]:
        """What an open dataset waits for before it is submitted by itself, as it was found last."""
        if transfer.state is not State.OPEN:
            return []
        text, noted = self._catalogue.text, parse_note(transfer.reason)
        code, about = (noted[0].code, noted[0].about) if noted else ("just-written", {})
        if transfer.next_at is None and not noted:
            code = "no-files"  # nothing was written yet
        return [
            text("sftp.waiting", language, reason=text(f"waiting.{code}", language, **about)),
            text("sftp.remedy", language, remedy=text(f"awaited.{code}", language)),
        ]

    def _told(self, shown: Mapping[str, Any], language: str) -> list[str]:
        text = self._catalogue.text
        state = text(f"state.{shown['state']}", language)
        lines = [
            f"{shown['endpoint']}/{shown['project']}/{shown['dataset']}",
            text("sftp.version", language, version=shown["version"], files=shown["files"], bytes=shown["bytes"]),
            text("sftp.state", language, state=state, code=shown["state"]),
            text("sftp.transfer", language, id=shown["id"]),
            text("sftp.direction", language, direction=text(f"lineage.{shown['direction']}", language)),
        ]
        if shown.get("escalated_at"):
            lines.append(text("sftp.escalated", language, at=shown["escalated_at"]))
        if shown.get("reason"):
            lines.append(text("sftp.reason", language, reason=shown["reason"]))
        if decision := shown["decision"]:
            verdict = text(f"verdict.{decision['verdict']}", language)
            lines.append(text("sftp.verdict", language, verdict=verdict, code=decision["verdict"]))
            named = ("rule", "instrument", "article")
            lines += [
                text("sftp.citation", language, **{key: each[key] for key in named}) for each in decision["citations"]
            ]
            remedies = [each.get(language) or text(f"remedy.{each['code']}", language) for each in decision["remedies"]]
            lines += [text("sftp.remedy", language, remedy=remedy) for remedy in remedies]
            if added := decision.get("lineage", {}).get("added"):
                lines.append(text("sftp.lineage", language, added=added))
        return lines


def _text(text: bytes, modified: float) -> Node:
    return Node(folder=False, size=len(text), modified=modified, sha256=hashlib.sha256(text).digest())


def _file(found: FolderFile) -> Node:
    at = found.modified.timestamp()
    return Node(folder=False, size=found.size, modified=at, writable=True, sha256=found.sha256)


def _parent(place: Place) -> Place:
    return Place(place.area, place.endpoint, place.project) if place.leaf else Place()


def _receipts(transfer: Transfer) -> dict[str, Node]:
    """The receipt and its signature, where there is one."""
    if not transfer.receipt:
        return {}
    name, at = f"{transfer.dataset}.v{transfer.version}.json", (transfer.ended_at or transfer.since).timestamp()
    return {
        name: Node(folder=False, size=len(transfer.receipt.encode()), modified=at),
        f"{name}.sig": Node(folder=False, size=len(transfer.receipt_signature.encode()), modified=at),
    }
