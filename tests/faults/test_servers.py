"""PostgreSQL and Valkey are killed under load; the supervisor starts them again."""

import asyncio
import os
import signal
from collections import Counter
from itertools import count
from pathlib import Path

import httpx
import psutil
import pytest

from tests.running import Running, medianest


def server(running: Running, name: str) -> int:
    """The pid of the server with this name, not of its children."""
    for process in psutil.Process(running.process.pid).children(recursive=True):
        try:
            parent = process.parent()
            if process.name() == name and parent is not None and parent.name() != name:
                return process.pid
        except psutil.NoSuchProcess:
            continue
    raise LookupError(name)


@pytest.mark.parametrize("victim", ["postgres", "valkey-server"])
async def test_what_was_acknowledged_is_kept_and_done_once(tmp_path: Path, victim: str) -> None:
    answers: dict[int, int] = {}
    ids = count(700_000)

    async def ask_for_ever(client: httpx.AsyncClient) -> None:
        while True:
            tmdb_id = next(ids)
            body = {"mediaType": "movie", "tmdbId": tmdb_id}
            answers[tmdb_id] = (await client.post("/media/request", json=body)).status_code
            await asyncio.sleep(0.05)

    async with medianest(tmp_path) as running, running.client("user") as client:
        asking = [asyncio.create_task(ask_for_ever(client)) for _ in range(3)]
        await asyncio.sleep(1)
        os.kill(server(running, victim), signal.SIGKILL)
        await asyncio.sleep(8)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert set(answers.values()) <= {201, 503}
        acknowledged = [tmdb_id for tmdb_id, status in answers.items() if status == 201]
        assert len(acknowledged) > 20
        async with asyncio.timeout(60):
            while not set(acknowledged) <= set(await in_overseerr(running)):
                await asyncio.sleep(0.2)
        counts = Counter(await in_overseerr(running))
        assert {tmdb_id: counts[tmdb_id] for tmdb_id in acknowledged} == dict.fromkeys(
            acknowledged, 1
        )
        async with asyncio.timeout(20):
            while (await client.get("/health/ready")).status_code != 200:
                await asyncio.sleep(0.2)


async def in_overseerr(running: Running) -> list[int]:
    return await running.in_overseerr(take=10_000)
