"""The roles of one ``medianest up``: N processes of each, kept running, stopped in order."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from io import FileIO
from types import TracebackType
from typing import Self

import msgspec

from infrastructure.supervision.child import READY_FD
from infrastructure.supervision.processes import ChildProcess, Command, leash_for, to_the_end
from infrastructure.supervision.services import RestartPolicy, Service, start_all

LONGEST_SILENCE = 86_400.0
"""Seconds a child waits for its words; what they wait for has limits of its own."""


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """A role: ``count`` equal processes that call ``watch_parent`` first and ``announce_ready``.

    ``env`` is added to our own environment; ``pass_fds`` (a listening socket, say) are shared by
    all of them. ``words`` is said on the standard input of each once it is known: what is told so
    is in nobody's process list, and a child may get ready to listen before there is anything to
    say. One that has not ended ``stop_within`` seconds after SIGTERM is killed.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = {}
    pass_fds: Sequence[int] = ()
    count: int = 1
    words: asyncio.Future[bytes] | None = None
    stop_within: float = 10.0


class Supervisor:
    """Keeps ``children`` running for the length of an ``async with``.

    Entering starts all at once and returns when every process has announced that it is ready;
    raises StartFailed, with nothing left running, for one that ends before or needs more than
    ``ready_within`` seconds from when it was told its words. Leaving stops them in reverse order,
    the processes of one child together. In between, one that dies is restarted after the delays of
    ``policy``.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        ready_within: float = 60.0,
        policy: RestartPolicy | None = None,
        hurry: asyncio.Event | None = None,
        portable: bool = sys.platform != "linux",
    ) -> None:
        self._ready_within = ready_within
        self._portable = portable
        self._groups = [
            [
                self._service(child, number, policy or RestartPolicy(), hurry)
                for number in range(1, child.count + 1)
            ]
            for child in children
        ]

    async def __aenter__(self) -> Self:
        try:
            await start_all(service for group in self._groups for service in group)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        await to_the_end(self._stop_in_order())

    async def _stop_in_order(self) -> None:
        for group in reversed(self._groups):
            await asyncio.gather(*(service.stop() for service in group))

    def _service(
        self, child: Child, number: int, policy: RestartPolicy, hurry: asyncio.Event | None
    ) -> Service:
        name = child.name if child.count == 1 else f"{child.name} {number}"

        async def start() -> ChildProcess:
            return await self._start(child, name)

        return Service(name, start, policy=policy, hurry=hurry)

    async def _start(self, child: Child, name: str) -> ChildProcess:
        ours, theirs = os.pipe()
        with os.fdopen(ours, "rb", buffering=0) as announcement:
            try:
                process = await ChildProcess.spawn(
                    Command(
                        name=name,
                        argv=child.argv,
                        leash=leash_for(native=False, portable=self._portable),
                        watches=True,
                        env={**os.environ, **child.env, READY_FD: str(theirs)},
                        pass_fds=(*child.pass_fds, theirs),
                        listens=child.words is not None,
                        stop_within=child.stop_within,
                    )
                )
            finally:
                os.close(theirs)
            if child.words is not None:
                await process.ready(_tell(process, child.words), within=LONGEST_SILENCE)
            await process.ready(_line_from(announcement), within=self._ready_within)
        return process


async def _tell(process: ChildProcess, words: asyncio.Future[bytes]) -> None:
    await process.tell(await asyncio.shield(words))


async def _line_from(pipe: FileIO) -> None:
    """Return when a line comes. The end of the pipe is no line: then the child's end says more."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        if not await reader.readline():
            await asyncio.Event().wait()
    finally:
        transport.close()


@asynccontextmanager
async def until_signal() -> AsyncGenerator[asyncio.Event]:
    """Run the body until SIGTERM or Ctrl-C, which cancels it; a second one sets the event.

    The body's own clean-up (``async with``) is the orderly stop. Main thread only.
    """
    loop, body, hurry = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
    if body is None:
        raise RuntimeError("there is no task to cancel")
    asked = False

    def ask() -> None:
        nonlocal asked
        if asked:
            hurry.set()
        else:
            asked = True
            body.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    try:
        yield hurry
    except asyncio.CancelledError:
        if not asked or body.uncancel():
            raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
