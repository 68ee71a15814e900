"""A way to a server that can be cut and mended at once, where the server itself needs a while."""

import asyncio
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

COPIED_AT_ONCE = 2**16


class Relay:
    """From the socket ``path`` to the one of a server, for the length of an ``async with``."""

    def __init__(self, server: Path, path: Path) -> None:
        self._target = server
        self._path = path
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cut()
        if self._serving:
            await asyncio.wait(self._serving)

    async def mend(self) -> None:
        """Let everybody through from now on."""
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    def cut(self) -> None:
        """End every connection, and refuse new ones."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        from_server, to_server = await asyncio.open_unix_connection(self._target)
        both = {writer, to_server}
        self._writers |= both
        try:
            await asyncio.gather(_copy(reader, to_server), _copy(from_server, writer))
        finally:
            self._writers -= both


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(COPIED_AT_ONCE):
            writer.write(data)
            await writer.drain()
    writer.close()
