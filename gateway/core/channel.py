"""The green channel (绿色通道): whether a held transfer lies inside what two officers described and signed beforehand.

The rules:
1. A channel cures holds for a judgement, of rules it names, and nothing else: never a deny, a missing document, a broken rule.
   It is no exemption: what a statute asks for is asked for by other rules, and those it cannot name its way around.
2. Everything must lie inside: parties, days, filings, formats, classes, columns, kinds by column, files, bytes, persons, of
   this transfer and of all together. What is not known (a table whose columns nobody read) is outside.
3. General data only. Data of people under 14, a secrecy mark, content that was not read and data seen from abroad are outside.
4. The two signatures on the record are the votes: by a security and an audit officer, both in office on the day, neither
   in the sender's line. They are checked again before sealing.
5. An objection to one transfer closes the channel until two officers sign another record; so does a look that is overdue.

`broken` says every bound that does not hold; `Passage` can only be made here, by `pass_through`.

Sources: rules.md section 11 (only *judgement* is cured by people); the separation of the three administrators, GB/T 22239-2019.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass
from datetime import date
from typing import Any, Final, final

from gateway.core.decide import Decision
from gateway.core.detectors.headers import normal_form
from gateway.core.records import Channel, FiledMechanism, Officer, record_table
from gateway.core.registry import CHANNEL_SIGNERS, Registry
from gateway.core.review import Case
from gateway.wire import canonical

# Formats without columns by their nature; every other one must have had its columns read.
COLUMNLESS: Final = frozenset({
    "bai", "bam", "bcf", "bed", "cel", "cram", "csi", "dicom", "empty", "fasta", "fastq", "gff", "idat", "jpeg", "nifti", "pdf",
    "plink_bed", "plink_bim", "png", "protein_fasta", "sam", "text", "tiff", "vcf",
})  # fmt: skip
_PASSED = object()  # what only this module can hand to `Passage`


@dataclass(frozen=True)
class Shape:
    """What a transfer is made of.

    Attributes:
        formats: Of its files.
        classes: Of its data.
        columns: Names of columns and keys, in their normal form.
        unread: Formats of files whose columns nobody could read.
        kinds: (column in its normal form, or empty; kind of finding), sure or doubtful.
        files: How many.
        bytes: Of all.
        persons: Declared or found, whichever is more, both kinds added up: an upper bound.
    """

    formats: frozenset[str]
    classes: frozenset[str]
    columns: frozenset[str]
    unread: frozenset[str]
    kinds: frozenset[tuple[str, str]]
    files: int
    bytes: int
    persons: int


@dataclass(frozen=True)
class Used:
    """What went through a channel before; `objected` and `unlooked` say that looks into it stand open or ended badly."""

    files: int = 0
    bytes: int = 0
    persons: int = 0
    passages: int = 0
    objected: bool = False
    unlooked: bool = False


@dataclass(frozen=True)
class Request:
    """Who sends what to whom, on which day."""

    institution: str
    project: str
    endpoint: str
    direction: str
    person: str
    on: date


@dataclass(frozen=True)
class Bound:
    """A bound that does not hold: its word, and what is outside (a column, a rule, a number against its bound)."""

    word: str
    outside: str = ""


@final
@dataclass(frozen=True)
class Passage:
    """A transfer that lies inside a channel.

    Attributes:
        channel: The record's id.
        record: The record's digest, hex.
        officers: Who signed it.
        case: Digest of the case it was examined for.
        rules: Whose holds it cures.
    """

    channel: str
    record: str
    officers: tuple[str, ...]
    case: str
    rules: frozenset[str]
    earned: InitVar[object]

    def __post_init__(self, earned: object) -> None:
        if earned is not _PASSED:
            raise TypeError("a passage is earned from gateway.core.channel.pass_through, not constructed")


def channel_digest(channel: Channel) -> str:
    """SHA-256 of the record's canonical JSON, hex: an objection is to this record, not to what replaces it."""
    return hashlib.sha256(canonical.encode(record_table(channel))).hexdigest()


def shape_of(
    told: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], *, files: int, size: int, persons: int
) -> Shape:
    """The shape of a transfer.

    Args:
        told: (findings, facts) of every file: `FileFindings.to_json` and `flow.findings.decision_facts`.
        files: How many there are.
        size: Their bytes.
        persons: See `Shape`.
    """
    formats, classes, columns, unread = set[str](), set[str](), set[str](), set[str]()
    kinds = set[tuple[str, str]]()
    for findings, facts in told:
        formats.add(facts["format"])
        classes |= set(facts["classes"])
        named = facts.get("columns")
        if named is None and facts["format"] not in COLUMNLESS:
            unread.add(facts["format"])
        columns |= {normal_form(name) for name in named or ()}
        kinds |= {place for found in findings.get("findings", ()) for place in _places(found)}
    return Shape(
        formats=frozenset(formats),
        classes=frozenset(classes),
        columns=frozenset(columns),
        unread=frozenset(unread),
        kinds=frozenset(kinds),
        files=files,
        bytes=size,
        persons=persons,
    )


def _places(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part in found["where"].split(" + "):
        word, _, name = part.partition(" ")
        yield (normal_form(name) if word in {"column", "key"} and name else "", found["kind"])


def pass_through(
    channel: Channel, case: Case, decision: Decision, shape: Shape, used: Used, request: Request, registry: Registry
) -> Passage | tuple[Bound, ...]:
    """The passage of a transfer through a channel, or every bound it breaks."""
    bounds = broken(channel, decision, shape, used, request, registry)
    if bounds:
        return bounds
    officers = tuple(sorted(each.id for each in registry.signed[channel.id]))
    return Passage(channel.id, channel_digest(channel), officers, case.digest(), frozenset(channel.rules), _PASSED)


def broken(
    channel: Channel, decision: Decision, shape: Shape, used: Used, request: Request, registry: Registry
) -> tuple[Bound, ...]:
    """Every bound of the channel that does not hold for a transfer; none where it lies inside."""
    return (
        *_cure_bounds(channel, decision),
        *_signature_bounds(channel, request, registry),
        *_party_bounds(channel, request),
        *_filing_bounds(channel, decision, request, registry),
        *_content_bounds(decision),
        *_shape_bounds(channel, shape),
        *_volume_bounds(channel, shape, used),
        *([Bound("objection")] if used.objected else []),
        *([Bound("unlooked")] if used.unlooked else []),
    )


def _cure_bounds(channel: Channel, decision: Decision) -> Iterator[Bound]:
    if decision.verdict != "hold":
        yield Bound("verdict", decision.verdict)
    for rule in decision.fired:
        if rule.verdict == "allow":
            continue
        if rule.verdict != "hold" or rule.cure != "judgement" or rule.error:
            yield Bound("cure", rule.id)
        elif rule.id not in channel.rules:
            yield Bound("rule", rule.id)


def _signature_bounds(channel: Channel, request: Request, registry: Registry) -> Iterator[Bound]:
    signers = registry.signed.get(channel.id, ())
    people = {each.person for each in signers}
    if {each.role for each in signers} != CHANNEL_SIGNERS or len(people) != len(signers):
        yield Bound("signers")
    for each in signers:
        now = registry.find(Officer, each.id)
        if now is None or (now.person, now.role) != (each.person, each.role) or _over(now.valid_to, request.on):
            yield Bound("office", each.id)
    if people & registry.line_of(request.person):
        yield Bound("line")


def _party_bounds(channel: Channel, request: Request) -> Iterator[Bound]:
    for name in ("institution", "project", "endpoint"):
        if getattr(request, name) != getattr(channel, name):
            yield Bound(name, getattr(request, name))
    if request.direction != "outbound":
        yield Bound("direction", request.direction)
    if request.on < channel.valid_from:
        yield Bound("early", channel.valid_from.isoformat())
    if request.on > channel.valid_to:
        yield Bound("expired", channel.valid_to.isoformat())


def _filing_bounds(channel: Channel, decision: Decision, request: Request, registry: Registry) -> Iterator[Bound]:
    for name in channel.filings:
        filing = registry.find(FiledMechanism, name)
        begun = filing is not None and filing.effective is not None and filing.effective <= request.on
        if filing is None or not begun or _over(filing.valid_to, request.on) or not _reaches(filing, channel, decision):
            yield Bound("filing", name)


def _reaches(filing: FiledMechanism, channel: Channel, decision: Decision) -> bool:
    """Whether a filing names the recipient and its kind covers the transfer today, by the rules' own reckoning."""
    return channel.endpoint in filing.recipients and filing.kind in decision.derived.in_force


def _over(last: date | None, on: date) -> bool:
    return last is not None and on > last


def _content_bounds(decision: Decision) -> Iterator[Bound]:
    data = decision.situation.data
    if data.level != "general":
        yield Bound("level", data.level)
    for word in ("under14", "secrecy_mark", "controlled_technology", "remote_access"):
        if getattr(data, word):
            yield Bound(word)
    if not data.inspectable:
        yield Bound("uninspectable")


def _shape_bounds(channel: Channel, shape: Shape) -> Iterator[Bound]:
    allowed = {normal_form(name): frozenset(kinds) for name, kinds in channel.columns.items()}
    for word, found, known in (
        ("format", shape.formats, channel.formats),
        ("class", shape.classes, channel.classes),
        ("column", shape.columns, allowed),
    ):
        yield from (Bound(word, each) for each in sorted(found - set(known)))
    yield from (Bound("unread", each) for each in sorted(shape.unread))
    elsewhere = frozenset(channel.kinds)
    for column, kind in sorted(shape.kinds):
        if kind not in (allowed.get(column, frozenset()) if column else elsewhere):
            yield Bound("kind", f"{kind} ({column})" if column else kind)


def _volume_bounds(channel: Channel, shape: Shape, used: Used) -> Iterator[Bound]:
    for word, found, most in volumes(channel, shape, used):
        if found > most:
            yield Bound(word, f"{found} > {most}")


def volumes(channel: Channel, shape: Shape, used: Used) -> Sequence[tuple[str, int, int]]:
    """(bound, what there is, the most there may be); persons may exceed the usual number by the tolerance, rounded down."""
    return (
        ("files", shape.files, channel.files),
        ("bytes", shape.bytes, channel.bytes),
        ("persons", shape.persons, channel.persons * (100 + channel.tolerance) // 100),
        ("total_files", used.files + shape.files, channel.total_files),
        ("total_bytes", used.bytes + shape.bytes, channel.total_bytes),
        ("total_persons", used.persons + shape.persons, channel.total_persons),
    )


def cures_all(passage: Passage, decision: Decision) -> bool:
    """Whether every rule that does not allow is a hold for a judgement that the passage cures; asked again by the clearance."""
    against = [each for each in decision.fired if each.verdict != "allow"]
    return bool(against) and all(
        each.id in passage.rules and (each.verdict, each.cure, each.error) == ("hold", "judgement", "")
        for each in against
    )
