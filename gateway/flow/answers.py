"""What officers and auditors are answered about a decision: its certificate, its reasons, and what other rules would do.

What it is not: a decision. Everything here is read, and computed again from what was recorded.

The rules:
1. Only for the operator's shell and the console: facts and exact counts never go to senders or abroad (design.md section 7).
2. A certificate is put together from the row and must verify: a row that was altered gives none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.amend import smallest
from gateway.core.calendar import WorkCalendar
from gateway.core.certificate import NAMESPACE, compose
from gateway.core.decide import decide
from gateway.core.errors import BrokenPromise, Conflict, NotFound, Unusable
from gateway.core.provenance import sources
from gateway.core.review import Case
from gateway.core.rulebook import Rulebook
from gateway.core.situation import Situation, Vocabulary, thaw_situation
from gateway.core.transfer import Transfer
from gateway.flow.recorder import Recorder
from gateway.ports import Rulebooks, Signer, TransferFilter
from gateway.wire import Malformed, sshsig

PAGE: Final = 500


@dataclass(frozen=True)
class Replayed:
    """One recorded decision under other rules.

    Attributes:
        transfer: Which.
        before: Verdict and rules as recorded.
        after: The same under the other pack.
    """

    transfer: Transfer
    before: tuple[str, tuple[str, ...]]
    after: tuple[str, tuple[str, ...]]

    @property
    def differs(self) -> bool:
        """Whether the verdict or the rules are others."""
        return self.before != self.after


class Answers:
    """Answers about decisions.

    Args:
        recorder: Its records.
        rulebooks: Installed rule packs.
        vocabulary: Of facts.
        calendar: The mainland's working days.
        signer: The gateway's key, of which only the public half is used here.
    """

    def __init__(
        self,
        *,
        recorder: Recorder,
        rulebooks: Rulebooks,
        vocabulary: Vocabulary,
        calendar: WorkCalendar,
        signer: Signer,
    ) -> None:
        self._recorder = recorder
        self._rulebooks = rulebooks
        self._vocabulary = vocabulary
        self._calendar = calendar
        self._signer = signer

    async def certificate(self, transfer_id: str) -> tuple[bytes, str]:
        """The certificate of a transfer's standing decision and the signature over it.

        Raises:
            NotFound, Conflict: There is no such transfer, or nothing was decided yet.
            BrokenPromise: The row is not what was signed.
        """
        transfer = await self._decided(transfer_id)
        signed: Mapping[str, Any] = transfer.decision.get("certificate", {})
        if not signed:
            raise Conflict("this decision was made before certificates were: decide it again", code="no-certificate")
        case = Case(
            transfer_id=transfer.id,
            files_root=transfer.root,
            endpoint=transfer.endpoint,
            endpoint_key=signed["endpoint_key"],
            rulebook=transfer.decision["rulebook"],
            rules=tuple(transfer.decision["rules"]),
            known=transfer.decision["situation"],
        )
        document = compose(case, transfer.decision, signed["at"])
        try:
            by = sshsig.verify(signed["signature"].encode(), document, NAMESPACE)
        except Malformed as wrong:
            raise BrokenPromise("the recorded decision is not the one that was signed: open an incident") from wrong
        if by != sshsig.public_blob(self._signer.public_line):
            raise BrokenPromise("the recorded decision was signed by another key: open an incident")
        return document, signed["signature"]

    async def explained(self, transfer_id: str) -> dict[str, Any]:
        """A decision with what was known, from where, and the smallest changes that would make it pass."""
        transfer = await self._decided(transfer_id)
        pack = self._rulebooks.rulebook(transfer.decision["rulebook"])
        known = thaw_situation(transfer.decision["situation"], self._vocabulary)
        return {
            "transfer": transfer.id,
            "state": transfer.state.value,
            "decision": dict(transfer.decision),
            "sources": sources(
                transfer.decision["situation"],
                transfer.declaration,
                transfer.findings,
                transfer.decision.get("lineage"),
            ),
            "differences": [*transfer.decision.get("differences", ())],
            "smallest": [list(names) for names in smallest(pack, known, self._calendar)],
        }

    async def replayed(
        self, rulebook: Rulebook, vocabulary: Vocabulary, wanted: TransferFilter
    ) -> AsyncIterator[Replayed]:
        """Recorded decisions, oldest page last, made again under another pack; facts only, no payload is touched."""
        after = ""
        while True:
            async with self._recorder.records.read() as view:
                page = await view.transfers(wanted, limit=PAGE, after=after)
            for transfer in page:
                if transfer.decision:
                    yield replay(transfer, rulebook, vocabulary, self._calendar)
            if len(page) < PAGE:
                return
            after = page[-1].id

    async def _decided(self, transfer_id: str) -> Transfer:
        async with self._recorder.records.read() as view:
            transfer = await view.transfer(transfer_id)
        if transfer is None:
            raise NotFound(f"there is no transfer {transfer_id}", code="no-such-transfer")
        if not transfer.decision:
            raise Conflict("nothing was decided on this transfer yet", code="not-decided")
        return transfer


def replay(transfer: Transfer, rulebook: Rulebook, vocabulary: Vocabulary, calendar: WorkCalendar) -> Replayed:
    """A recorded decision made again under another pack; facts that pack cannot read count as a hold that names why."""
    before = (transfer.decision["verdict"], tuple(transfer.decision["rules"]))
    try:
        known: Situation = thaw_situation(transfer.decision["situation"], vocabulary)
    except Unusable as wrong:
        return Replayed(transfer, before, ("hold", (f"unreadable facts: {wrong.message[:200]}",)))
    again = decide(rulebook, known, calendar)
    return Replayed(transfer, before, (again.verdict, again.rules))
