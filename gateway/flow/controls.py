"""The gateway's own prerequisites (rule T1): is the channel protected, is the ledger whole, is the clock believable?

The rules:
1. Each answer is True only where it was shown in this moment; what cannot be shown is False, and T1 denies.
2. The ledger is whole where the newest checkpoint verifies under the ledger's key and the tree the database holds now
   contains exactly the tree that checkpoint speaks of; and so for the one kept in the keyring, which a database that was
   cut back or restored from yesterday does not reach.
3. The clock is believable where it has not gone back behind the newest entry by more than the slack.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.core.documents import parse_document
from gateway.core.situation import Technical
from gateway.flow.tree import high_water, root_of
from gateway.ports import Keyring, LedgerSigner, Reading
from gateway.wire import Malformed, checkpoint

CLOCK_SLACK = timedelta(minutes=5)


class Controls:
    """Checks the prerequisites.

    Args:
        ledger: Whose checkpoints count.
        keyring: Where the newest checkpoint is kept beside the database.
        protected: Whether every control of the profile is kept (`policies/profiles.toml`).
    """

    def __init__(self, *, ledger: LedgerSigner, keyring: Keyring, protected: bool) -> None:
        self._keyring = keyring
        self._key = checkpoint.parse_verifier_key(ledger.verifier_key)
        self._protected = protected

    async def check(self, view: Reading, now: datetime) -> Technical:
        """The state of the controls, inside a transaction."""
        return Technical(
            controls_ok=self._protected,
            ledger_ok=await self._ledger_ok(view),
            clock_ok=await self._clock_ok(view, now),
        )

    async def _ledger_ok(self, view: Reading) -> bool:
        kept = await high_water(self._keyring)
        for signed in (await view.latest_checkpoint(), kept):
            if signed is not None and not await self._contains(view, signed):
                return False
        return await view.tree_size() > 0

    async def _contains(self, view: Reading, signed: bytes) -> bool:
        """Whether the tree holds exactly the tree a checkpoint speaks of."""
        try:
            note = checkpoint.parse_note(signed)
            checkpoint.verify(note, [self._key])
            head = checkpoint.parse_checkpoint(note.text)
        except Malformed:
            return False
        return head.size <= await view.tree_size() and await root_of(view, head.size) == head.root

    async def _clock_ok(self, view: Reading, now: datetime) -> bool:
        size = await view.tree_size()
        if not size:
            return True
        entries = await view.entries(size - 1, 1)
        newest = parse_document(entries[0][1], max_size=1 << 22, max_depth=12)["at"]
        return now + CLOCK_SLACK >= datetime.fromisoformat(newest)
