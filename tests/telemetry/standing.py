"""A transfer that stands somewhere, for gauges."""

from __future__ import annotations

from datetime import datetime

from gateway.core.transfer import State, Transfer, deadline


def held(identifier: str, since: datetime) -> Transfer:
    return Transfer(
        id=identifier,
        institution="sz-lab",
        endpoint="hku-genomics",
        project="trial-a",
        dataset="cohort",
        version=1,
        direction="outbound",
        door="https",
        person="zhang-san",
        client="sz-lab-ec",
        state=State.HELD,
        since=since,
        due=deadline(State.HELD, since),
        opened_at=since,
    )
