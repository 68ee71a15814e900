"""A child that is kept running: started, watched, restarted when it dies, stopped at the end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator

import msgspec
import structlog

from infrastructure.supervision.processes import ChildProcess, StartFailed, describe

LOG = structlog.get_logger()


class RestartPolicy(msgspec.Struct, frozen=True):
    """How long to wait before a restart, in seconds: doubling, from first to longest.

    A run of ``stable_after`` seconds earns the first delay again.
    """

    first_delay: float = 1.0
    longest_delay: float = 30.0
    stable_after: float = 60.0

    def delays(self) -> Iterator[float]:
        """The waits before one restart after another."""
        delay = self.first_delay
        while True:
            yield delay
            delay = min(2 * delay, self.longest_delay)


class Service:
    """Keeps one child running.

    ``start`` starts it and returns once it is ready, or raises StartFailed and leaves nothing
    behind. ``hurry`` being set cuts a stop short.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[], Awaitable[ChildProcess]],
        *,
        policy: RestartPolicy,
        hurry: asyncio.Event | None = None,
    ) -> None:
        self.name = name
        self._start = start
        self._policy = policy
        self._hurry = hurry
        self._child: ChildProcess | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once it is ready. A failure of this first start is raised, not repeated."""
        started = time.monotonic()
        self._child = await self._start()
        LOG.info("child ready", child=self.name, pid=self._child.pid, took=_since(started))
        self._keeping = asyncio.create_task(self._keep(self._child))

    async def stop(self) -> None:
        """Stop it for good; a no-op when it does not run."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait((self._keeping,))
        if self._child is not None:
            started = time.monotonic()
            await self._child.stop(self._hurry)
            LOG.info("child stopped", child=self.name, took=_since(started))
            self._child = None

    async def _keep(self, child: ChildProcess) -> None:
        delays = self._policy.delays()
        while True:
            ready = time.monotonic()
            reason = describe(await child.wait())
            if time.monotonic() - ready >= self._policy.stable_after:
                delays = self._policy.delays()
            child = await self._restart(reason, delays)

    async def _restart(self, reason: str, delays: Iterator[float]) -> ChildProcess:
        while True:
            delay = next(delays)
            LOG.error("child died", child=self.name, reason=reason, restart_in=delay)
            await asyncio.sleep(delay)
            try:
                self._child = await self._start()
            except (StartFailed, OSError) as failure:
                reason = str(failure)
            else:
                LOG.info("child restarted", child=self.name, pid=self._child.pid)
                return self._child


async def start_all(services: Iterable[Service]) -> None:
    """Start all at once and return when all are ready; the first failure ends the others' start.

    What was started before a failure still runs: stop it.
    """
    try:
        async with asyncio.TaskGroup() as starting:
            for service in services:
                starting.create_task(service.start())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _since(moment: float) -> float:
    return round(time.monotonic() - moment, 3)
