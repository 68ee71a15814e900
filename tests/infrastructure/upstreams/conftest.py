"""The stand-ins that the clients are tested against."""

from collections.abc import AsyncIterator

import pytest

from infrastructure.stand_ins.running import StandIns


@pytest.fixture
async def stand_ins() -> AsyncIterator[StandIns]:
    async with StandIns() as running:
        yield running
