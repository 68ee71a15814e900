"""A port on the loopback that can be closed for a while and opened again."""

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

HOST = "127.0.0.1"


class Listener:
    """Serves one ASGI application with uvicorn's protocol, many listeners to one event loop.

    ``uvicorn.Server`` is left out: it takes the process's signal handlers, and it cannot stop
    listening and begin again.
    """

    def __init__(self, application: Any, port: int = 0) -> None:
        self._config = uvicorn.Config(
            application, interface="asgi3", lifespan="off", ws="none", log_config=None,
            proxy_headers=False, server_header=False,
        )  # fmt: skip
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._socket = _bind(port)
        self.port: int = self._socket.getsockname()[1]

    async def open(self) -> None:
        """Answer; nothing happens if it answers already."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._connection, sock=self._socket)

    async def refuse(self) -> None:
        """Cut all connections and refuse new ones; the port stays ours, for nobody else to take.

        Work that was under way goes on, as it does in a server whose network fails.
        """
        if self._server is not None:
            self._server.close()
            self._server = None
            self._cut()
            self._socket = _bind(self.port)
            await asyncio.sleep(0)  # transports that were aborted are closed in the next turn

    async def close(self) -> None:
        """End for good."""
        if self._server is not None:
            self._server.close()
        self._cut()
        self._socket.close()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def _connection(self) -> asyncio.Protocol:
        connection = _Connection(self._config, self._state, {})
        connection.access_log = False  # URLs have secrets in them; the record of calls masks them
        return connection

    def _cut(self) -> None:
        for connection in list(self._state.connections):
            connection.transport.abort()


class _Connection(HttpToolsProtocol):
    """Lets the application drop the connection, as ``scope["state"]["drop"]()``."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.app_state["drop"] = transport.abort


def _bind(port: int) -> socket.socket:
    """A bound socket that does not listen: the kernel refuses its callers."""
    # asyncio switches Nagle's algorithm off only where the protocol is named; without that, every
    # answer waits 40 ms for the caller's delayed acknowledgement.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound
