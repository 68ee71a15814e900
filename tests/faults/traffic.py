"""People who ask again and again, each at one API process, while something is done to it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any, NamedTuple, TypeVar

import httpx
import websockets

from tests.journeys.people import AT_ONCE
from tests.running import Running

EVERY = 0.05
"""Seconds between an answer and the next question."""

Headers = Mapping[str, str]
T = TypeVar("T")


class Answer(NamedTuple):
    """``remaining`` is what is left of the limit, if anybody could count."""

    asked_at: float
    answered_at: float
    status: int
    remaining: int | None


class Asking:
    """Asks the same for ever."""

    def __init__(self, pid: int, client: httpx.AsyncClient, request: httpx.Request) -> None:
        self.pid = pid
        self.answers: list[Answer] = []
        self._task = asyncio.create_task(self._ask_for_ever(client, request))

    async def stop(self) -> None:
        """Raises what has ended it before."""
        self._task.cancel()
        await asyncio.wait((self._task,))
        if not self._task.cancelled():
            self._task.result()

    def statuses(self, *, since: float = 0.0, before: float | None = None) -> set[int]:
        """What was answered to what was asked ``since`` then, and answered ``before`` then."""
        return {
            answer.status
            for answer in self.answers
            if answer.asked_at >= since and (before is None or answer.answered_at <= before)
        }

    @property
    def admitted(self) -> int:
        """How many calls were not refused by a limit."""
        return sum(answer.status != 429 for answer in self.answers)

    async def until(self, wanted: Callable[[Answer], bool]) -> None:
        """Wait for such an answer to something asked from now on."""
        now = monotonic()
        async with asyncio.timeout(20):
            while not any(wanted(answer) for answer in self.answers if answer.asked_at >= now):
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.01)

    async def _ask_for_ever(self, client: httpx.AsyncClient, request: httpx.Request) -> None:
        while True:
            asked_at = monotonic()
            answer = await client.send(request)
            remaining = answer.headers.get("x-rate-limit-remaining")
            self.answers.append(
                Answer(
                    asked_at,
                    monotonic(),
                    answer.status_code,
                    None if remaining is None else int(remaining),
                )
            )
            await asyncio.sleep(EVERY)


class Doomed:
    """A session that is used at every process, over HTTP and by a socket, until it is closed."""

    def __init__(
        self,
        running: Running,
        headers: Headers,
        asking: Sequence[Asking],
        sockets: Sequence[websockets.ClientConnection],
    ) -> None:
        self._running = running
        self._headers = headers
        self._asking = asking
        self._sockets = sockets
        self._closed_by: int | None = None
        self._closing_at = self._closed_at = 0.0

    async def close(
        self, pid: int, path: str = "/auth/logout", *, by: Headers | None = None
    ) -> None:
        """Close it at one process; its sockets at all of them must end at once."""
        async with self._running.client_at(pid) as client:
            self._closing_at = monotonic()
            answer = await client.post(path, headers=by or self._headers)
        assert answer.is_success, answer.text
        self._closed_by, self._closed_at = pid, monotonic()
        async with asyncio.timeout(AT_ONCE):
            for socket in self._sockets:
                await socket.wait_closed()
        assert [socket.close_code for socket in self._sockets] == [4401] * len(self._asking)

    async def check(self, *, excused: Collection[int] = ()) -> None:
        """It stood until it was closed, and at most AT_ONCE later it opened nothing anywhere."""
        for one in self._asking:
            await one.until(lambda answer: answer.status == 401)
            assert one.statuses(before=self._closing_at) - {*excused} == {200}
            grace = 0.0 if one.pid == self._closed_by else AT_ONCE
            assert one.statuses(since=self._closed_at + grace) - {*excused} == {401}


class Traffic:
    """Everybody who asks."""

    def __init__(self, running: Running, stack: AsyncExitStack) -> None:
        self._running = running
        self._stack = stack
        self.processes = running.pids("api")

    async def ask(
        self,
        path: str,
        headers: Headers | None = None,
        *,
        body: Any = None,
        address: str = "127.0.0.1",
    ) -> list[Asking]:
        """Let somebody ask from now on, at each process; what has a ``body`` is posted."""
        asking: list[Asking] = []
        for pid in self.processes:
            client = await self.enter(self._running.client_at(pid, address=address))
            method = "GET" if body is None else "POST"
            one = Asking(
                pid, client, client.build_request(method, path, headers=headers, json=body)
            )
            self._stack.push_async_callback(one.stop)
            asking.append(one)
        return asking

    async def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """What is to last as long as the traffic."""
        return await self._stack.enter_async_context(context)

    async def doomed(self, headers: Headers) -> Doomed:
        """A session that will be closed."""
        asking = await self.ask("/auth/me", headers)
        sockets: list[websockets.ClientConnection] = []
        for pid in self.processes:
            async with httpx.AsyncClient(headers=headers) as client, self._running.accepting(pid):
                sockets.append(await self.enter(self._running.socket(client, "requests")))
        return Doomed(self._running, headers, asking, sockets)


@asynccontextmanager
async def traffic(running: Running) -> AsyncGenerator[Traffic]:
    """Traffic that ends with the context."""
    async with AsyncExitStack() as stack:
        yield Traffic(running, stack)
