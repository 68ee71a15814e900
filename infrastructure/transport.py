"""Fewer, larger writes: what is written in one turn of the event loop leaves in one system call.

Uvicorn writes the head and the body of an answer apart. The system call is dearer than anything
else that an answer costs, and a browser would be sent two packets.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_GATHERED = 64 * 1024
"""Bytes that may wait for the end of the turn; with more, the transport tells who must pause."""


class GatheringTransport:
    """Stands before a transport; all but ``write`` and the two ways to end is the transport's."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._gathered: list[bytes] = []
        self._size = 0
        # Asked at every answer, and faster so than through ``__getattr__``.
        self.is_closing = transport.is_closing
        self.resume_reading = transport.resume_reading

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write ``data`` at the end of this turn, behind what was written before."""
        if not self._gathered:
            self._loop.call_soon(self._flush)
        self._gathered.append(data)
        self._size += len(data)
        if self._size > MOST_GATHERED:
            self._flush()

    def close(self) -> None:
        """Write what was gathered, and close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._gathered.clear()
        self._size = 0
        self._transport.abort()

    def _flush(self) -> None:
        gathered, self._gathered, self._size = self._gathered, [], 0
        if gathered and not self._transport.is_closing():
            self._transport.write(b"".join(gathered))


class GatheringProtocol(HttpToolsProtocol):
    """Uvicorn's own, on a transport that gathers; it asks no more of one than ours has."""

    def connection_made(self, transport: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """See ``asyncio.Protocol``."""
        super().connection_made(GatheringTransport(transport, self.loop))  # pyright: ignore[reportArgumentType]
