"""The database's schema, revision after revision, run by `gateway.stores.database.Database.migrate`.

What it is not: generated. A revision is written by hand in `versions/` as `v<number>_<what>.py` and frozen once
released: it imports nothing of the gateway, so that it does the same next year as on the day it was tested.

A change must keep these:
1. Revisions are only ever added; `down_revision` makes them one line.
2. What a revision makes equals `gateway.stores.tables` after the last one (a test compares the two on both engines).
3. There is no way down: the ledger does not shrink, and a backup is the way back.
"""
