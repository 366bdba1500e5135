"""Whether an open dataset is whole, so that it is submitted without a word from its sender.

What it is not: a look at bytes, or the submission. It compares what was received with what manifests say.

The rules:
1. Only the full set completes. What is not known, cannot be read or cannot be checked waits; `SUBMIT` is always open.
2. A bag is complete when `bagit.txt` is there and every manifest and tag manifest holds. We record SHA-256: each kind that is
   there needs one with sha256, all of whose entries are compared; one of another algorithm must list the same files.
3. An RO-Crate counts only if every File in it has `sha256`; then every file received must be described.
4. Quiet time is off unless the project turns it on. A bag, or a crate that counts, is never overtaken by it.
5. A temporary name, an upload under way or cut off, and a write within `SETTLE` hold every rule; a connection that wrote and
   has not ended in order since holds quiet time.

Sources: design.md section 3; RFC 8493 sections 2.1.3, 2.2.1, 2.2.3 and 3; RO-Crate 1.1 and 1.2.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.core.manifests import BAGIT, CRATE, FETCH, INFO, MANIFEST, TAG_MANIFEST, Manifest, manifest_kind
from gateway.core.names import is_temporary
from gateway.wire import bagit

SETTLE: Final = timedelta(seconds=10)
ALGORITHM: Final = "sha256"
BY_BAG, BY_CRATE, BY_QUIET = "bag", "ro-crate", "quiet-time"
_CRATE_OWN: Final = ("ro-crate-metadata.json", "ro-crate-preview.html", "declaration.toml")
_CRATE_FOLDER: Final = "ro-crate-preview_files/"


@dataclass(frozen=True)
class Draft:
    """An open dataset as it stands.

    Attributes:
        files: Received files: path to size in bytes and SHA-256.
        manifests: What was read of those that are manifests.
        declared: Whether the transfer or its project has a declaration.
        unfinished: Uploads under way or cut off.
        connected: Whether a connection that wrote here is not known to have ended.
        lost_at: When a connection that wrote here last broke off; None where none did.
        changed_at: The last write, deletion, renaming or declaration.
        now: The current time.
        quiet: How long nothing may change before it is submitted; None where quiet time is off.
    """

    files: Mapping[str, tuple[int, bytes]]
    manifests: Sequence[Manifest]
    declared: bool
    unfinished: int
    connected: bool
    lost_at: datetime | None
    changed_at: datetime
    now: datetime
    quiet: timedelta | None


@dataclass(frozen=True)
class Complete:
    """Nothing is missing.

    Attributes:
        by: The rule that says so: `bag`, `ro-crate` or `quiet-time`.
    """

    by: str


@dataclass(frozen=True)
class Waiting:
    """Something is missing.

    Attributes:
        code: What, in a word; texts are under `waiting.<code>`.
        about: Values of the text.
        until: When only time is missing, or something that nobody tells of: then it is to be looked at again.
    """

    code: str
    about: Mapping[str, str | int]
    until: datetime | None = None

    def note(self, since: datetime) -> str:
        """As one line a transfer's row can keep, with the time of the last change."""
        return json.dumps({"waits": self.code, "about": dict(self.about), "since": since.isoformat()})


def parse_note(text: str) -> tuple[Waiting, datetime] | None:
    """What `Waiting.note` wrote; None where a row says something else."""
    try:
        kept = json.loads(text)
        return Waiting(kept["waits"], kept["about"]), datetime.fromisoformat(kept["since"])
    except (ValueError, KeyError, TypeError):
        return None


def judge(draft: Draft) -> Complete | Waiting:
    """Whether a draft is complete, and by which rule; else the first thing it waits for."""
    if (held := _held(draft)) is not None:
        return held
    by = _by_manifest(draft)
    if isinstance(by, Waiting) and (by.code not in {"nothing-tells", "crate-without-sha256"} or draft.quiet is None):
        return by
    if not draft.declared:
        return Waiting("not-declared", {})
    return by if isinstance(by, Complete) else _by_quiet_time(draft, draft.quiet or timedelta.max)


def _held(draft: Draft) -> Waiting | None:
    """What holds every rule."""
    if draft.unfinished:
        return Waiting("upload-open", {"count": draft.unfinished}, draft.now + SETTLE)
    if not draft.files:
        return Waiting("no-files", {})
    if temporary := [path for path in draft.files if is_temporary(path)]:
        return _about("temporary-names", temporary)
    if draft.now < draft.changed_at + SETTLE:
        return Waiting("just-written", {}, draft.changed_at + SETTLE)
    return None


def _by_quiet_time(draft: Draft, quiet: timedelta) -> Complete | Waiting:
    if draft.lost_at is not None and draft.lost_at >= draft.changed_at:
        return Waiting("connection-lost", {})
    if draft.connected:
        return Waiting("connected", {}, draft.now + 3 * SETTLE)
    if draft.now < draft.changed_at + quiet:
        return Waiting("quiet-time", {"minutes": int(quiet.total_seconds() // 60)}, draft.changed_at + quiet)
    return Complete(BY_QUIET)


def _by_manifest(draft: Draft) -> Complete | Waiting:
    read = {each.path: each for each in draft.manifests}
    kinds: dict[str, list[Manifest]] = {}
    for path, (_, sha256) in sorted(draft.files.items()):
        if kind := manifest_kind(path):
            found = read.get(path)
            if found is None or found.sha256 != sha256:
                return Waiting("manifest-unread", {"file": path, "why": "it was not read when it came in"})
            if found.fault:
                return Waiting("manifest-unread", {"file": path, "why": found.fault})
            kinds.setdefault(kind, []).append(found)
    if FETCH in kinds:
        return Waiting("bag-remote", {})
    if {BAGIT, MANIFEST, TAG_MANIFEST} & set(kinds):
        return _bag(draft, kinds)
    return _crate(draft, kinds[CRATE][0]) if CRATE in kinds else Waiting("nothing-tells", {})


# --- bags ------------------------------------------------------------------------------------------------------------


def _bag(draft: Draft, kinds: Mapping[str, Sequence[Manifest]]) -> Complete | Waiting:
    if BAGIT not in kinds:
        return Waiting("no-bagit-txt", {})
    if MANIFEST not in kinds:
        return Waiting("no-sha256", {"file": "manifest-sha256.txt", "algorithms": "-"})
    payload = {path for path in draft.files if path.startswith(bagit.PAYLOAD)}
    own = {manifest.path for manifest in kinds[MANIFEST]}
    amiss = (
        _manifests_amiss(draft, kinds[MANIFEST], must_list=payload)
        or _manifests_amiss(draft, kinds.get(TAG_MANIFEST, ()), must_list=own)
        or _oxum_amiss(draft, kinds.get(INFO, ()), payload)
    )
    return amiss or Complete(BY_BAG)


def _manifests_amiss(draft: Draft, manifests: Sequence[Manifest], *, must_list: set[str]) -> Waiting | None:
    """What is wrong with manifests of one kind; None where they hold."""
    algorithms = sorted(manifest.algorithm for manifest in manifests)
    if manifests and ALGORITHM not in algorithms:
        kind = "tagmanifest" if manifests[0].kind == TAG_MANIFEST else "manifest"
        return Waiting("no-sha256", {"file": f"{kind}-sha256.txt", "algorithms": ", ".join(algorithms)})
    if len(set(algorithms)) != len(algorithms):
        return Waiting("manifest-twice", {"file": manifests[0].path})
    for manifest in manifests:
        if (amiss := _entries_amiss(draft, manifest, compared=manifest.algorithm == ALGORITHM)) is not None:
            return amiss
        if not manifest.entries:
            return Waiting("nothing-listed", {"file": manifest.path})
        if unlisted := must_list - manifest.entries.keys():
            return _about("file-unlisted", unlisted, manifest.path)
    return None


def _oxum_amiss(draft: Draft, infos: Iterable[Manifest], payload: set[str]) -> Waiting | None:
    """What `bag-info.txt` says of the payload's bytes and files, where it is something else (RFC 8493 section 2.2.2)."""
    sizes = [draft.files[path][0] for path in payload]
    for info in infos:
        if (said := info.document["oxum"]) and list(said) != [sum(sizes), len(sizes)]:
            return Waiting("oxum-differs", {"said": f"{said[0]}.{said[1]}"})
    return None


# --- crates ----------------------------------------------------------------------------------------------------------


def _crate(draft: Draft, crate: Manifest) -> Complete | Waiting:
    if bare := [path for path, digest in crate.entries.items() if not digest]:
        return _about("crate-without-sha256", bare)
    if not crate.entries:
        return Waiting("nothing-listed", {"file": crate.path})
    if (amiss := _entries_amiss(draft, crate, compared=True)) is not None:
        return amiss
    known = {*crate.entries, *_CRATE_OWN}
    unlisted = [path for path in draft.files if path not in known and not path.startswith(_CRATE_FOLDER)]
    return _about("file-unlisted", unlisted, crate.path) if unlisted else Complete(BY_CRATE)


# --- both ------------------------------------------------------------------------------------------------------------


def _entries_amiss(draft: Draft, manifest: Manifest, *, compared: bool) -> Waiting | None:
    """The files a manifest lists that are not there, or are others; None where all hold."""
    if missing := manifest.entries.keys() - draft.files.keys():
        return _about("file-missing", missing, manifest.path)
    if compared and (
        other := [path for path, digest in manifest.entries.items() if draft.files[path][1].hex() != digest.lower()]
    ):
        return _about("digest-differs", other, manifest.path)
    return None


def _about(code: str, paths: Iterable[str], manifest: str = "") -> Waiting:
    found = sorted(paths)
    # A manifest may list anything: what is shown of it is one line that reads as it stands.
    first = "".join(character if character.isprintable() else "\ufffd" for character in found[0])
    about: dict[str, Any] = {"count": len(found), "first": first}
    return Waiting(code, about | {"file": manifest} if manifest else about)
