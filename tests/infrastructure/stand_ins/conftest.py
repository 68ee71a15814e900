"""The stand-ins, and a plain HTTP client to hold them against their originals' documentation."""

from collections.abc import AsyncIterator

import httpx
import pytest

from infrastructure.stand_ins.running import StandIns

TLS = httpx.create_ssl_context()
"""Not used, as all is plain HTTP, but without it each client would read the certificates again."""


@pytest.fixture
async def stand_ins() -> AsyncIterator[StandIns]:
    async with StandIns() as running:
        yield running


@pytest.fixture
async def tmdb(stand_ins: StandIns) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {stand_ins.tmdb.token}"}
    url = stand_ins.tmdb.url
    async with httpx.AsyncClient(base_url=url, headers=headers, verify=TLS) as client:
        yield client


@pytest.fixture
async def overseerr(stand_ins: StandIns) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"X-Api-Key": stand_ins.overseerr.api_key}
    url = f"{stand_ins.overseerr.url}/api/v1"
    async with httpx.AsyncClient(base_url=url, headers=headers, verify=TLS) as client:
        yield client


@pytest.fixture
async def plex(stand_ins: StandIns) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stand_ins.plex.url, verify=TLS) as client:
        yield client


@pytest.fixture
async def plex_tv(stand_ins: StandIns) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"X-Plex-Client-Identifier": "a-client", "Accept": "application/json"}
    url = stand_ins.plex_tv.url
    async with httpx.AsyncClient(base_url=url, headers=headers, verify=TLS) as client:
        yield client
