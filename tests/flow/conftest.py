from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.flow.rig import Rig


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    await made.found()
    yield made
    made.pool.shutdown()
