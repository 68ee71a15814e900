"""Sixteen writers in two processes, one of which is killed again and again."""

import asyncio
import random
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from domain.kernel import Event, Recorded
from infrastructure.event_store.reader import EventReader
from infrastructure.subscriptions.hub import SubscriptionHub

SECONDS = 10
CALLERS = 8


async def start_writer(database_url: str, log: Path) -> asyncio.subprocess.Process:
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.writer", database_url, str(CALLERS)),
            stdout=output,
        )


async def kill_again_and_again(database_url: str, log: Path, kills: list[float]) -> None:
    """Run a writer, kill it at random moments, start it anew, for ever."""
    while True:
        writer = await start_writer(database_url, log)
        try:
            await asyncio.sleep(random.uniform(0.8, 2.0))
        finally:
            writer.kill()
            await writer.wait()
        kills.append(asyncio.get_running_loop().time())


async def follow(hub: SubscriptionHub, seen: list[Recorded[Event]]) -> None:
    async for page in hub.subscribe(0):
        seen += page


@pytest.mark.timeout(120)
async def test_nothing_committed_is_lost_doubled_or_out_of_order(
    database_url: str, reader: EventReader, tmp_path: Path
) -> None:
    seen: list[Recorded[Event]] = []
    kills: list[float] = []
    steady_log, killed_log = tmp_path / "steady", tmp_path / "killed"
    async with SubscriptionHub(database_url, reader, ring_size=200) as hub:
        following = asyncio.create_task(follow(hub, seen))
        steady = await start_writer(database_url, steady_log)
        killing = asyncio.create_task(kill_again_and_again(database_url, killed_log, kills))
        await asyncio.sleep(SECONDS)
        killing.cancel()
        with suppress(asyncio.CancelledError):
            await killing
        steady.kill()
        await steady.wait()
        await asyncio.sleep(1.5)  # what the last kill left behind in the server ends
        head = await reader.head()
        async with asyncio.timeout(30):
            while not seen or seen[-1].position < head:
                await asyncio.sleep(0.05)
        following.cancel()

    stored: list[Recorded[Event]] = []
    while page := await reader.read_log(stored[-1].position if stored else 0, 5000):
        stored += page
    assert len(kills) >= 4
    assert seen == stored
    assert [event.position for event in seen] == sorted({event.position for event in seen})
    commands = Counter(event.metadata.command_id for event in stored)
    assert set(commands.values()) == {2}, "each command is stored whole, and once"
    last_positions = {event.metadata.command_id: event.position for event in stored}
    acknowledged = [
        line.split() for log in (steady_log, killed_log) for line in log.read_text().splitlines()
    ]
    assert len(acknowledged) > 1000
    for command_id, position in acknowledged:
        assert last_positions[UUID(command_id)] == int(position)
