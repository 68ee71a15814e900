"""The stand-ins that the clients are tested against."""

from collections.abc import AsyncIterator

import httpx
import pytest

from infrastructure.stand_ins.running import StandIns
from infrastructure.upstreams.overseerr import OverseerrForwarder


@pytest.fixture
async def stand_ins() -> AsyncIterator[StandIns]:
    async with StandIns() as running:
        yield running


@pytest.fixture
async def forwarder(stand_ins: StandIns) -> AsyncIterator[OverseerrForwarder]:
    forwarder = OverseerrForwarder(stand_ins.overseerr.url, stand_ins.overseerr.api_key)
    yield forwarder
    await forwarder.aclose()


@pytest.fixture
async def impatient(stand_ins: StandIns) -> AsyncIterator[OverseerrForwarder]:
    """For faults that keep it waiting; on a busy machine it might give up on any other, too."""
    url, api_key = stand_ins.overseerr.url, stand_ins.overseerr.api_key
    forwarder = OverseerrForwarder(url, api_key, timeout=0.3)
    yield forwarder
    await forwarder.aclose()


@pytest.fixture
async def overseerr(stand_ins: StandIns) -> AsyncIterator[httpx.AsyncClient]:
    """The hand of somebody else in the same Overseerr."""
    headers = {"X-Api-Key": stand_ins.overseerr.api_key}
    url = f"{stand_ins.overseerr.url}/api/v1"
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        yield client
