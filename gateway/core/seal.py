"""The clearance, which only `clear` can make, and the manifest that binds what is sealed.

The rules:
1. `Cleared` cannot be constructed elsewhere; sealing takes a `Cleared` and nothing else. It is made again from
   signatures right before sealing, never read from a database column.
2. An allow clears by itself. A hold clears only where every rule that holds asks for a judgement and two officers gave it:
   by their votes, or beforehand by the channel they signed (`gateway.core.channel`). One rejection keeps it held even then.
   Everything else does not clear, and says why.
3. Crypt4GH authenticates segments but not their order or number (samtools/hts-specs#649), so the manifest binds every
   file by path, sizes, digests of plaintext and ciphertext, and segment count; the receiver checks it before believing.

Sources: GA4GH Crypt4GH 1.0; OpenSSH PROTOCOL.sshsig for the manifest's detached signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from typing import Any, NoReturn, SupportsIndex, final

from gateway.core.channel import Passage, cures_all
from gateway.core.decide import Decision, cures
from gateway.core.intake import SEALED_SUFFIX, ReceivedFile, file_leaf
from gateway.core.review import Case, Tally
from gateway.wire import canonical, crypt4gh, merkle

CLEARANCE_NAMESPACE = "hetao-clearance"
MANIFEST_NAMESPACE = "hetao-manifest"
_EARNED = object()  # what only this module can hand to `Cleared`


@final
@dataclass(frozen=True)
class Cleared:
    """A transfer that may leave: to this endpoint, under this key, with exactly these files.

    Attributes:
        case: What was decided, digest included.
        basis: `rules`, `votes` or `channel`.
        officers: Who voted for it, or signed the channel; empty where the rules allowed.
        channel: Id of the channel's record; else empty.
        record: The record's digest, hex; else empty.
    """

    case: Case
    basis: str
    officers: tuple[str, ...]
    earned: InitVar[object]
    channel: str = ""
    record: str = ""

    def __post_init__(self, earned: object) -> None:
        if earned is not _EARNED:
            raise TypeError("a clearance is earned from gateway.core.seal.clear, not constructed")

    def __init_subclass__(cls) -> None:
        raise TypeError("a clearance has no other kinds: a subclass could leave out the check")

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a clearance is neither copied nor stored: earn it again from signatures")


@dataclass(frozen=True)
class NotCleared:
    """Why a transfer may not leave."""

    reason: str


def clear(case: Case, decision: Decision, count: Tally, passage: Passage | None = None) -> Cleared | NotCleared:
    """Whether a decision, with the votes on it or a passage through a channel, lets a transfer leave.

    1. The decision is the case's: same rule pack, same rules.
    2. An allow clears.
    3. A deny never does.
    4. A hold clears by two approvals, on this very case, where nothing but a judgement is missing.
    5. Or by a passage for this very case that cures every rule that holds, unless an officer rejected it.
    """
    if case.rulebook != decision.rulebook or case.rules != tuple(rule.id for rule in decision.fired):  # step 1
        return NotCleared("the decision is not about this case")
    if decision.verdict == "allow":  # step 2
        return Cleared(case, "rules", (), _EARNED)
    if decision.verdict != "hold":  # step 3
        return NotCleared("a rule denies it; a denial is not voted away")
    cure = cures(decision)  # step 4
    if cure == "documents":
        return NotCleared("a document is missing; it is decided again once that is recorded")
    if cure != "judgement":
        return NotCleared("no rule allows it, or a rule could not be evaluated; votes cannot mend that")
    if any(each.ballot.case != case.digest() for each in count.approvals):
        return NotCleared("the votes are on another case")
    if passage is not None and not count.rejections and not count.approved:  # step 5
        if passage.case != case.digest() or not cures_all(passage, decision):
            return NotCleared("the channel is not for this case")
        return Cleared(case, "channel", passage.officers, _EARNED, passage.channel, passage.record)
    if not count.approved:
        return NotCleared("rejected by an officer" if count.rejections else f"{count.missing} approval(s) missing")
    return Cleared(case, "votes", tuple(each.officer.id for each in count.approvals), _EARNED)


def clearance_document(cleared: Cleared, decision_digest: str, at: str) -> bytes:
    """The clearance as canonical JSON, signed by the gateway when it is recorded and checked before sealing.

    Args:
        cleared: The clearance.
        decision_digest: SHA-256 of the whole decision, hex.
        at: RFC 3339.
    """
    return canonical.encode(
        {
            "v": 1,
            "type": "hetao-clearance",
            "case": cleared.case.digest(),
            "transfer": cleared.case.transfer_id,
            "files_root": cleared.case.files_root,
            "endpoint": cleared.case.endpoint,
            "endpoint_key": cleared.case.endpoint_key,
            "rulebook": cleared.case.rulebook,
            "decision": decision_digest,
            "basis": cleared.basis,
            "officers": list(cleared.officers),
            "at": at,
            **({"channel": cleared.channel, "record": cleared.record} if cleared.channel else {}),
        }
    )


@dataclass(frozen=True)
class Carried:
    """Where a file's bytes lie at the endpoint already: an earlier version of the dataset brought them.

    Attributes:
        version: That version.
        name: The sealed file in that version's folder; it may have had another name then.
        header_size: Bytes of its Crypt4GH header there.
        recipient_key: Fingerprint of the key it was sealed to, which may not be the endpoint's key of today.
    """

    version: int
    name: str
    header_size: int
    recipient_key: str


def sealed_name(path: str) -> str:
    """The file's name at the endpoint."""
    return path + SEALED_SUFFIX


def compose_manifest(
    cleared: Cleared,
    *,
    dataset: Mapping[str, Any],
    files: Sequence[ReceivedFile],
    header_sizes: Mapping[str, int],
    sealed_at: str,
    carried: Mapping[str, Carried] | None = None,
) -> bytes:
    """The manifest of a sealed version, canonical JSON. It lists the whole version, carried files among them.

    Args:
        cleared: The clearance it is sealed under.
        dataset: `institution`, `project`, `dataset`, `version`.
        files: The files, whose root must be the cleared one.
        header_sizes: Bytes of each file's Crypt4GH header for the recipient, by path; carried files have theirs already.
        sealed_at: RFC 3339.
        carried: Files that are not sent again, by path.

    Raises:
        ValueError: Where the files are not the cleared ones.
    """
    ordered = sorted(files, key=lambda each: each.path.encode())
    root = merkle.root([merkle.leaf_hash(file_leaf(each)) for each in ordered])
    if root.hex() != cleared.case.files_root:
        raise ValueError("these are not the files that were cleared")
    elsewhere = carried or {}
    sizes = {**header_sizes, **{path: each.header_size for path, each in elsewhere.items()}}
    return canonical.encode(
        {
            "v": 1,
            "type": "hetao-manifest",
            "transfer": cleared.case.transfer_id,
            "dataset": dict(dataset),
            "endpoint": cleared.case.endpoint,
            "recipient_key": cleared.case.endpoint_key,
            "rules": list(cleared.case.rules),
            "rulebook": cleared.case.rulebook,
            "sealed_at": sealed_at,
            "files_root": cleared.case.files_root,
            "files": [
                {
                    "name": sealed_name(each.path),
                    "path": each.path,
                    "size": each.size,
                    "sha256": each.sha256.hex(),
                    "header_size": sizes[each.path],
                    "body_size": each.body_size,
                    "body_blake3": each.body_blake3.hex(),
                    "segments": -(-each.body_size // crypt4gh.CIPHER_SEGMENT),
                    **_place(elsewhere.get(each.path)),
                }
                for each in ordered
            ],
        }
    )


def _place(carried: Carried | None) -> dict[str, Any]:
    if carried is None:
        return {}
    place = {"version": carried.version, "name": carried.name, "recipient_key": carried.recipient_key}
    return {"carried": place}


def manifest_digest(manifest: bytes) -> str:
    """SHA-256 of the manifest, hex."""
    return hashlib.sha256(manifest).hexdigest()
