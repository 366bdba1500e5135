"""Gathers what reports are made of: cleared transfers of a period, their persons, filings, refusals, the ledger's head.

What it is not: layout (`core.reporting`, `gateway.cli.paper`).

The rules:
1. A transfer is in the period of its clearance (Asia/Shanghai), as its persons are (design.md section 7).
2. Persons are the distinct digests of the period, with those known only by number added: an upper bound, and said to be one.
3. Every figure can be traced: the decision's digest of each transfer, the documents' digests of each filing, the tree's head.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, Final

from gateway.core.errors import NotFound, Unusable
from gateway.core.facts import local_day
from gateway.core.persons import merge, unpack
from gateway.core.records import Endpoint, FiledMechanism, Institution, Project
from gateway.core.registry import Registry
from gateway.core.reporting import Left, Report, Section, by_recipient, details
from gateway.core.terms import last_day
from gateway.core.transfer import State, Transfer
from gateway.flow.census import GBA, NATIONAL
from gateway.flow.recorder import Recorder
from gateway.flow.registrar import Registrar
from gateway.ports import LedgerSigner, PersonSet, Reading, TransferFilter

PAGE: Final = 500
# A clearance is at most so much younger than the opening of its transfer: the deadlines of all states together, and appeals.
LONGEST: Final = timedelta(days=120)


@dataclass(frozen=True)
class Period:
    """Days [first, last], Asia/Shanghai, within one calendar year."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if not self.first <= self.last or self.first.year != self.last.year:
            raise Unusable("a report's period lies within one calendar year: persons are counted by it")


def year_of(year: int) -> Period:
    """A calendar year."""
    return Period(date(year, 1, 1), date(year, 12, 31))


def month_of(year: int, month: int) -> Period:
    """A calendar month."""
    after = date(year + month // 12, month % 12 + 1, 1)
    return Period(date(year, month, 1), after - timedelta(days=1))


@dataclass(frozen=True)
class Gathered:
    """Everything a report of one institution and period draws on."""

    institution: Institution
    period: Period
    registry: Registry
    left: Sequence[Left]
    sets: Sequence[PersonSet]
    refused: Mapping[str, int]
    head: tuple[int, str]
    made_at: datetime


class Reports:
    """Makes reports.

    Args:
        recorder: Its records and clock.
        registrar: Who is registered.
        ledger: The ledger's name.
    """

    def __init__(self, *, recorder: Recorder, registrar: Registrar, ledger: LedgerSigner) -> None:
        self._recorder = recorder
        self._registrar = registrar
        self._ledger = ledger

    async def outbound(self, institution: str, period: Period, *, kind: str) -> Report:
        """What left in a year or a month: by recipient and mechanism, then one by one."""
        found = await self._gather(institution, period)
        sections = (
            details(found.left),
            by_recipient(found.left, _distinct_by_route(found)),
            Section("refused", ("rule", "count"), tuple(sorted(found.refused.items()))),
            _filings(found.registry, institution, found.left, period.last),
        )
        return Report(kind, _about(found), sections, _evidence(found, self._ledger.origin))

    async def assessment(self, institution: str, project: str, period: Period) -> Report:
        """The annex of an impact assessment: the facts its points rest on, for one project."""
        found = await self._gather(institution, period, project=project)
        registered = found.registry.get(Project, project)
        recipients = tuple(
            (each.id, each.name, each.place, " ".join(each.onward), each.mainland_controlled)
            for each in (found.registry.get(Endpoint, name) for name in registered.endpoints)
        )
        sections = (
            details(found.left),
            Section("recipients", ("endpoint", "name", "place", "onward", "mainland_controlled"), recipients),
            by_recipient(found.left, _distinct_by_route(found)),
            _filings(found.registry, institution, found.left, period.last),
        )
        about = {**_about(found), "project": project, "purpose": registered.purpose}
        return Report("pipia", about, sections, _evidence(found, self._ledger.origin))

    async def filing(self, filing_id: str, period: Period) -> Report:
        """The annex of a filing: what was cleared under it, against its cap and term."""
        registry = await self._registrar.registry()
        filed = registry.get(FiledMechanism, filing_id)
        found = await self._gather(filed.institution, period)
        async with self._recorder.records.read() as view:
            used = {each.transfer_id for each in await view.filing_uses(filing_id)}
        under = [each for each in found.left if each.id in used]
        narrowed = Gathered(**{**{f.name: getattr(found, f.name) for f in fields(Gathered)}, "left": under})
        sections = (
            details(under),
            by_recipient(under, _distinct_by_route(narrowed)),
            _filings(registry, filed.institution, under, period.last, only=filing_id),
        )
        about = {**_about(found), "filing": filing_id, "mechanism": filed.kind, "cap": filed.persons_cap or None}
        return Report("filing", about, sections, _evidence(narrowed, self._ledger.origin))

    async def _gather(self, institution: str, period: Period, *, project: str = "") -> Gathered:
        registry = await self._registrar.registry()
        sender = registry.find(Institution, institution)
        if sender is None:
            raise NotFound(f"institution {institution!r} is not registered", code="not-registered")
        async with self._recorder.records.read() as view:
            transfers = await _cleared(view, institution, project, period)
            refused = await _refused(view, institution, project, period)
            sets = [
                each
                for track in (NATIONAL, GBA)
                for each in await view.person_sets(institution, period.first.year, track)
            ]
            size = await view.tree_size()
            checkpoint = await view.latest_checkpoint()
        mine = {each.id for each in transfers}
        sets = [each for each in sets if each.transfer_id in mine]
        by_id = {each.transfer_id: each for each in sets}
        left = [_left(each, by_id.get(each.id)) for each in transfers]
        root = checkpoint.decode().split("\n")[2] if checkpoint else ""
        return Gathered(sender, period, registry, left, sets, refused, (size, root), self._recorder.clock.now())


async def _cleared(view: Reading, institution: str, project: str, period: Period) -> list[Transfer]:
    return [
        transfer
        async for transfer in _opened(view, institution, project, period)
        # What came in is no export, and no report of what left.
        # What was forgotten has no evidence a report could rest on.
        if transfer.clearance
        and transfer.evidence == "kept"
        and transfer.decision["derived"]["export"]
        and period.first <= _cleared_on(transfer) <= period.last
    ]


async def _refused(view: Reading, institution: str, project: str, period: Period) -> dict[str, int]:
    """Refused and rejected transfers by the rule that came first."""
    counted: Counter[str] = Counter()
    async for transfer in _opened(view, institution, project, period):
        ended = (
            transfer.state in {State.REFUSED, State.REJECTED}
            and period.first <= local_day(transfer.since) <= period.last
        )
        if ended and transfer.decision.get("rules"):
            counted[transfer.decision["rules"][0]] += 1
    return dict(counted)


async def _opened(view: Reading, institution: str, project: str, period: Period) -> Any:
    """Transfers opened early enough and not too late to be of the period."""
    wanted, after = TransferFilter(institution=institution, project=project), ""
    while True:
        page = await view.transfers(wanted, limit=PAGE, after=after)
        for transfer in page:
            day = local_day(transfer.opened_at)
            if day < period.first - LONGEST:
                return
            if day <= period.last:
                yield transfer
        if len(page) < PAGE:
            return
        after = page[-1].id


def _cleared_on(transfer: Transfer) -> date:
    return local_day(datetime.fromisoformat(json.loads(transfer.clearance)["at"]))


def _left(transfer: Transfer, counted: PersonSet | None) -> Left:
    situation = transfer.decision["situation"]
    clearance = json.loads(transfer.clearance)
    return Left(
        id=transfer.id,
        dataset=transfer.dataset,
        version=transfer.version,
        project=transfer.project,
        endpoint=transfer.endpoint,
        mechanism=transfer.decision["mechanism"],
        purpose=situation["purpose"]["stated"],
        level=situation["data"]["level"],
        types=tuple(situation["data"]["types"]),
        files=transfer.files,
        bytes=transfer.bytes,
        state=transfer.state.value,
        day=_cleared_on(transfer),
        rules=tuple(transfer.decision["rules"]),
        sensitive=_persons(counted, "sensitive"),
        nonsensitive=_persons(counted, "nonsensitive"),
        subjects=transfer.findings["hgr"]["subjects"],
        sequenced=transfer.findings["hgr"]["sequencing_subjects"],
        officers=tuple(clearance["officers"]),
        decision=transfer.decision["digest"],
        root=transfer.root,
        rulebook=transfer.decision["rulebook"],
        receipt=bool(transfer.receipt),
    )


def _persons(counted: PersonSet | None, kind: str) -> int:
    if counted is None:
        return 0
    return len(unpack(getattr(counted, kind))) + int(getattr(counted, f"unkeyed_{kind}"))


def _distinct_by_route(found: Gathered) -> dict[tuple[str, str], tuple[int, int]]:
    routes: dict[tuple[str, str], set[str]] = {}
    for each in found.left:
        routes.setdefault((each.endpoint, each.mechanism), set()).add(each.id)
    return {
        route: (_distinct(found.sets, ids, "sensitive"), _distinct(found.sets, ids, "nonsensitive"))
        for route, ids in routes.items()
    }


def _distinct(sets: Sequence[PersonSet], ids: set[str], kind: str) -> int:
    mine = [each for each in sets if each.transfer_id in ids]
    together = merge(*(unpack(getattr(each, kind)) for each in mine))
    return len(together) + sum(int(getattr(each, f"unkeyed_{kind}")) for each in mine)


def _filings(registry: Registry, institution: str, left: Sequence[Left], on: date, *, only: str = "") -> Section:
    rows = []
    for filed in registry.all(FiledMechanism):
        if filed.institution != institution or (only and filed.id != only):
            continue
        under = [each for each in left if each.mechanism == filed.kind and each.endpoint in filed.recipients]
        ends = valid_to(filed)
        rows.append(
            (
                filed.id, filed.kind, filed.recipients, filed.purpose, filed.effective, filed.filed, ends,
                ends is None or on <= ends, filed.persons_cap or None, len(under), filed.digests(),
            )
        )  # fmt: skip
    columns = (
        "filing", "mechanism", "recipients", "purpose", "effective", "filed", "valid_to", "in_force", "cap", "count",
        "evidence",
    )  # fmt: skip
    return Section("filings", columns, tuple(rows))


def valid_to(filed: FiledMechanism) -> date | None:
    """The last valid day of a filing, as `core.terms` reads it; None where it has none."""
    last = last_day(filed)
    return None if last == date.max else last


def _about(found: Gathered) -> dict[str, Any]:
    everybody = {each.transfer_id for each in found.sets}
    return {
        "institution": found.institution.id,
        "name_zh": found.institution.name_zh,
        "name_en": found.institution.name_en,
        "uscc": found.institution.uscc,
        "filing_number": found.institution.filing_number,
        "first": found.period.first,
        "last": found.period.last,
        "count": len(found.left),
        "bytes": sum(each.bytes for each in found.left),
        "sensitive": _distinct(found.sets, everybody, "sensitive"),
        "nonsensitive": _distinct(found.sets, everybody, "nonsensitive"),
        "made_at": found.made_at.isoformat(timespec="seconds"),
    }


def _evidence(found: Gathered, origin: str) -> dict[str, str]:
    packs = sorted({each.rulebook for each in found.left})
    return {
        "ledger": origin,
        "ledger_size": str(found.head[0]),
        "ledger_root": found.head[1],
        **{f"rulebook {number + 1}": pack for number, pack in enumerate(packs)},
    }
