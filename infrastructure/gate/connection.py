"""The gate's one connection to Redis.

Below redis-py's client, whose own work for a command costs more than all of the gate's. Importing
redis-py takes a tenth of a second, so this module is imported when it is first needed.
"""

# redis-py and hiredis leave much untyped.
# pyright: reportUnknownMemberType=false

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any, cast

import hiredis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import NoScriptError

DEADLINE = 0.25
"""Seconds for one answer. A Redis that is slower than this does more harm than none."""
PROBE = "medianest:probe"

Part = str | bytes | int


class _Script:
    def __init__(self, name: str) -> None:
        self.text = Path(__file__).with_name(f"{name}.lua").read_bytes()
        self.digest = sha1(self.text, usedforsecurity=False).hexdigest()


_pack = cast("Callable[[tuple[Part, ...]], bytes]", hiredis.pack_command)
_ENTER = _Script("enter")
_REMEMBER = _Script("remember")


class GateConnection:
    """Asks one thing at a time; after any error it is only good for closing.

    Every call raises RedisError, OSError or TimeoutError when Redis does not do it in time.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, redis_url: str) -> "GateConnection":
        """A connection to a server that takes writes."""
        unlimited = {"socket_timeout": None, "socket_connect_timeout": None}  # DEADLINE is ours
        pool = ConnectionPool.from_url(
            redis_url, protocol=2, client_name="medianest-gate", **unlimited
        )
        opened = cls(pool.make_connection())
        try:
            async with _deadline():
                await opened._connection.connect()
            await opened._ask("SET", PROBE, "", "PX", 1000)  # not a replica, and not full
        except BaseException:
            await opened.aclose()
            raise
        return opened

    async def aclose(self) -> None:
        """Let go of it."""
        await self._connection.disconnect(nowait=True)

    async def is_closed(self) -> bool:
        """Whether the server has closed it meanwhile, as far as is known here."""
        return await self._connection.can_read()

    async def enter(self, keys: Sequence[Part], arguments: Sequence[Part]) -> list[Any]:
        """What ``enter.lua`` returns."""
        return await self._run(_ENTER, keys, arguments)

    async def remember(self, keys: Sequence[Part], arguments: Sequence[Part]) -> None:
        """Run ``remember.lua``."""
        await self._run(_REMEMBER, keys, arguments)

    async def _run(self, script: _Script, keys: Sequence[Part], arguments: Sequence[Part]) -> Any:
        command = ("EVALSHA", script.digest, len(keys), *keys, *arguments)
        try:
            return await self._ask(*command)
        except NoScriptError:  # a new server, or one that was told to forget its scripts
            await self._ask("SCRIPT", "LOAD", script.text)
            return await self._ask(*command)

    async def _ask(self, *command: Part) -> Any:
        async with _deadline():
            await self._connection.send_packed_command([_pack(command)])
            return cast("Any", await self._connection.read_response())


@asynccontextmanager
async def _deadline() -> AsyncGenerator[None]:
    """Raise TimeoutError after DEADLINE, set in two halves.

    When the event loop stands still, a deadline passes that nobody has seen. The second half begins
    when the loop goes on, so an answer that came meanwhile is read.
    """
    loop = asyncio.get_running_loop()

    def begin_second_half() -> None:
        limit.reschedule(loop.time() + DEADLINE / 2)

    async with asyncio.timeout(None) as limit:
        first_half = loop.call_later(DEADLINE / 2, begin_second_half)
        try:
            yield
        finally:
            first_half.cancel()
