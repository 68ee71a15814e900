"""Appends as fast as it can until it is killed, and says of each command when it was acknowledged.

``python -m tests.faults.writer DATABASE_URL CALLERS`` prints a line with the command id for each.
"""

import asyncio
import os
import sys
from uuid import UUID

from infrastructure.event_store.codec import EventCodec
from infrastructure.event_store.writer import GroupCommitWriter
from tests.events import new_events, requested


async def append_for_ever(writer: GroupCommitWriter) -> None:
    while True:
        command = new_events(requested(1), requested(2))
        appended = await writer.append(command)
        acknowledge(command.command_id, appended.position)


def acknowledge(command_id: UUID, position: int) -> None:
    os.write(sys.stdout.fileno(), f"{command_id} {position}\n".encode())  # one write: whole or not


async def main(database_url: str, callers: int) -> None:
    async with GroupCommitWriter(database_url, EventCodec()) as writer:
        await asyncio.gather(*(append_for_ever(writer) for _ in range(callers)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
