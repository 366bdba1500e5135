"""Submission of drafts that are whole: by a complete manifest, or after quiet time where a project turned it on.

What it is not: the rules (`core.completeness`), or a way round `intake`: what is submitted here is submitted as its sender
could have submitted it at this moment, with the exact list that was looked at.

The rules:
1. The stage of open transfers in the conductor. A change of a draft in a folder makes it due `SETTLE` later (`incoming.changed`);
   a draft that waits for its sender is due never again, until the next change. So nothing is kept in memory between rounds.
2. The credential that opened the draft must still hold, for submitting, at this moment. A retired or revoked one submits nothing.
3. What was looked at is what is submitted: the transaction that freezes the list compares its root.
4. Anything else than `Complete` leaves the draft open. What it waits for is kept in the row's `reason`, for the status text.

When a step fails: the files changed meanwhile, or an upload began -> Conflict, Incomplete: looked at again; any other refusal
is noted in the row, and the draft stays open for its sender; the database away -> StoreError, the next round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from gateway.core.completeness import SETTLE, Complete, Draft, Waiting, judge, parse_note
from gateway.core.errors import CallerError, Conflict, Incomplete, NotPermitted
from gateway.core.identity import Permission, Principal
from gateway.core.intake import ReceivedFile, files_root
from gateway.core.manifests import Manifest
from gateway.core.records import Project
from gateway.core.transfer import State, Transfer
from gateway.flow.intake import Intake
from gateway.flow.keeper import FOLDER_DOORS
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.registrar import Registrar


class Senders(Protocol):
    """Who may still speak for a draft (`gateway.identity.holders`)."""

    async def holder(self, institution: str, person: str, client: str) -> Principal | None:
        """The principal of a registered credential, where it holds at this moment; else None."""


class Completion:
    """Submits what is whole.

    Args:
        recorder: The only writer.
        registrar: Who is registered.
        intake: The senders' verbs.
        senders: Whose credentials hold.
    """

    def __init__(self, *, recorder: Recorder, registrar: Registrar, intake: Intake, senders: Senders) -> None:
        self._recorder = recorder
        self._registrar = registrar
        self._intake = intake
        self._senders = senders

    async def step(self, transfer: Transfer) -> Transfer:
        """Submit an open transfer, or note what it waits for."""
        if transfer.door not in FOLDER_DOORS:
            return transfer
        since = changed_at(transfer)
        found = await self._judged(transfer, since)
        if isinstance(found, Waiting):
            return await self._wait(transfer, found, since)
        complete, files = found
        try:
            return await self._submit(transfer, complete, files)
        except NotPermitted:
            return await self._wait(transfer, Waiting("may-not-submit", {}), since)
        except (Conflict, Incomplete):  # something changed while it was looked at: once more, a little later
            raise
        except CallerError as refusal:
            return await self._wait(transfer, Waiting("cannot-submit", {"why": refusal.message}), since)

    async def _judged(self, transfer: Transfer, since: datetime) -> Waiting | tuple[Complete, Sequence[ReceivedFile]]:
        now = self._recorder.clock.now()
        if unfinished := await self._intake.unfinished(transfer.id):  # before anything large is read
            return Waiting("upload-open", {"count": unfinished}, now + SETTLE)
        project = (await self._registrar.registry()).get(Project, transfer.project)
        async with self._recorder.records.read() as view:
            manifests = await view.manifests(transfer.id)
            connections = await view.connections(transfer.id)
            files = await view.received(transfer.id)
        draft = Draft(
            files={each.path: (each.size, each.sha256) for each in files},
            manifests=[_as_read(each) for each in manifests],
            declared=bool(transfer.declaration or project.declaration),
            unfinished=await self._intake.unfinished(transfer.id),
            connected=any(lost is None for _, lost in connections),
            lost_at=max((lost for _, lost in connections if lost is not None), default=None),
            changed_at=since,
            now=now,
            quiet=timedelta(minutes=project.quiet_minutes) if project.quiet_minutes else None,
        )
        verdict = judge(draft)
        return (verdict, files) if isinstance(verdict, Complete) else verdict

    async def _submit(self, transfer: Transfer, complete: Complete, received: Sequence[ReceivedFile]) -> Transfer:
        principal = await self._senders.holder(transfer.institution, transfer.person, transfer.client)
        if principal is None or not principal.may(Permission.TRANSFERS_SUBMIT):
            raise NotPermitted("the credential that opened this draft may not submit it any more")
        return await self._intake.submit(
            principal,
            transfer.id,
            listed={file.path: file.size for file in received},
            only_changed=True,
            root=files_root(received).hex(),
            by=complete.by,
        )

    async def _wait(self, looked_at: Transfer, waiting: Waiting, since: datetime) -> Transfer:
        async def job(ledger: Ledgering) -> Transfer:
            current = await ledger.transfer(looked_at.id)
            if current.state is not State.OPEN or current.next_at != looked_at.next_at:
                return current  # changed meanwhile: it is due again by itself
            noted = replace(current, next_at=waiting.until, reason=waiting.note(since))
            await ledger.tx.put_transfer(noted)
            return noted

        return await self._recorder.do(job)


def changed_at(transfer: Transfer) -> datetime:
    """When a draft was last changed: as its row notes, or `SETTLE` before it was due; never earlier than it was."""
    noted = parse_note(transfer.reason)
    if noted is not None:
        return noted[1]
    return (transfer.next_at or transfer.since) - SETTLE


def _as_read(manifest: Manifest) -> Manifest:
    """A row's manifest; a document altered into something else is one that cannot be read."""
    shaped = isinstance(manifest.document.get("entries", {}), dict)
    return manifest if shaped else replace(manifest, document={"fault": "what was read of it is lost"})
