from __future__ import annotations

import pytest

from tests.doors.site import Site


@pytest.fixture
async def site(tmp_path):
    founded = await Site(tmp_path).found()
    async with founded.served():
        yield founded
