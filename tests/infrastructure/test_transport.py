"""Writes that are gathered: over a real socket, and what the transport is told."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from infrastructure.transport import MOST_GATHERED, GatheringTransport


class Written(asyncio.Transport):
    """Keeps each write apart."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.ended: str | None = None

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.ended is not None

    def resume_reading(self) -> None: ...

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return f"the {name}"


def gathering() -> tuple[GatheringTransport, Written]:
    written = Written()
    return GatheringTransport(written, asyncio.get_running_loop()), written


async def test_what_is_written_in_one_turn_leaves_at_its_end_together() -> None:
    transport, written = gathering()
    transport.write(b"head, ")
    transport.write(b"body")
    assert written.writes == []
    await asyncio.sleep(0)
    assert written.writes == [b"head, body"]
    transport.write(b"next")
    await asyncio.sleep(0)
    assert written.writes == [b"head, body", b"next"]


async def test_whoever_writes_much_is_told_to_pause_as_ever() -> None:
    transport, written = gathering()
    for _ in range(3):
        transport.write(b"x" * (MOST_GATHERED // 2))
    assert [len(write) for write in written.writes] == [MOST_GATHERED // 2 * 3]
    transport.write(b"rest")
    await asyncio.sleep(0)
    assert written.writes[1:] == [b"rest"]


async def test_closing_writes_what_was_gathered_first() -> None:
    transport, written = gathering()
    transport.write(b"goodbye")
    transport.close()
    assert (written.writes, written.ended) == ([b"goodbye"], "closed")
    await asyncio.sleep(0)
    assert written.writes == [b"goodbye"]


async def test_aborting_writes_nothing_more() -> None:
    transport, written = gathering()
    transport.write(b"never said")
    transport.abort()
    await asyncio.sleep(0)
    assert (written.writes, written.ended) == ([], "aborted")


async def test_a_connection_that_was_lost_meanwhile_is_not_written_to() -> None:
    transport, written = gathering()
    transport.write(b"too late")
    written.ended = "lost"
    await asyncio.sleep(0)
    assert written.writes == []


async def test_everything_else_is_the_transports() -> None:
    transport, _ = gathering()
    assert transport.get_extra_info("peername") == "the peername"
    assert transport.is_closing() is False


@asynccontextmanager
async def pair() -> AsyncGenerator[tuple[GatheringTransport, asyncio.StreamReader]]:
    loop = asyncio.get_running_loop()
    made: asyncio.Future[asyncio.Transport] = loop.create_future()

    class Server(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            made.set_result(transport)

    server = await loop.create_server(Server, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        yield GatheringTransport(await made, loop), reader
        writer.close()
        await writer.wait_closed()


async def test_over_a_socket_nothing_is_lost_and_nothing_changes_places() -> None:
    async with pair() as (transport, reader):
        sent = [b"%d," % number for number in range(50_000)]
        for number, part in enumerate(sent):
            transport.write(part)
            if number % 1000 == 0:
                await asyncio.sleep(0)
        transport.close()
        assert await reader.read() == b"".join(sent)
