"""PostgreSQL and Valkey, private to one data folder, for the length of an ``async with``."""

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from infrastructure.embedded.data_folder import DataFolder, ServerUrls
from infrastructure.embedded.errors import DataFolderUnusable
from infrastructure.embedded.identity import usual_identities
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.embedded.valkey import EmbeddedValkey
from infrastructure.supervision.launch import Identity
from infrastructure.supervision.processes import ChildProcess, leash_for, to_the_end
from infrastructure.supervision.services import RestartPolicy, Service, start_all

LONGEST_LOG = 5_000_000
"""Bytes of a log before it is put aside; the last one put aside is kept."""

LOG_CHECK_EVERY = 60.0
"""Seconds."""


class EmbeddedServers:
    """Runs the servers that were not given, and restarts one that dies.

    Entering returns where both listen, once both serve; the data folder has published it by then.
    A server given by its URL is passed through. Raises EmbeddedError, or StartFailed when a server
    ends by itself or does not serve within ``ready_within`` seconds (PostgreSQL may have much to
    recover after a power cut); nothing is then left running. Use it from the main thread.

    ``postgres_settings`` and ``valkey_settings`` come on top of ours. ``portable`` does without
    Linux's own ways, and ``identities`` are tried in order for PostgreSQL: both for tests.
    """

    def __init__(
        self,
        folder: DataFolder,
        *,
        database_url: str | None = None,
        redis_url: str | None = None,
        postgres_settings: Mapping[str, str] | None = None,
        valkey_settings: Mapping[str, str] | None = None,
        ready_within: float = 1800.0,
        policy: RestartPolicy | None = None,
        hurry: asyncio.Event | None = None,
        portable: bool = sys.platform != "linux",
        identities: Sequence[Identity] | None = None,
    ) -> None:
        self._folder = folder
        self._given = database_url, redis_url
        self._postgres_settings = postgres_settings or {}
        self._valkey_settings = valkey_settings or {}
        self._ready_within = ready_within
        self._policy = policy or RestartPolicy()
        self._hurry = hurry
        self._leash = leash_for(native=True, portable=portable)
        self._identities = identities or usual_identities()
        self._services: list[Service] = []
        self._limiting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> ServerUrls:
        try:
            urls = self._declare()
            await start_all(self._services)
            self._folder.publish(urls)
        except BaseException as problem:
            await self._stop()
            if isinstance(problem, OSError):  # a full disk, say
                reason = f"cannot be used: {problem.strerror} ({problem.filename})"
                raise DataFolderUnusable(self._folder.path, reason) from problem
            raise
        self._limiting = asyncio.create_task(_limit_logs(self._folder.folder("log")))
        return urls

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stop()

    def _declare(self) -> ServerUrls:
        self._services.clear()
        database_url, redis_url = self._given
        run_folder = self._folder.fresh_run()
        if database_url is None:
            postgres = EmbeddedPostgres(
                self._folder,
                run_folder,
                leash=self._leash,
                candidates=self._identities,
                settings=self._postgres_settings,
                ready_within=self._ready_within,
            )
            self._keep("postgres", postgres.start)
            database_url = postgres.url
        if redis_url is None:
            valkey = EmbeddedValkey(
                self._folder,
                run_folder,
                leash=self._leash,
                settings=self._valkey_settings,
                ready_within=self._ready_within,
            )
            self._keep("valkey", valkey.start)
            redis_url = valkey.url
        return ServerUrls(database_url, redis_url)

    def _keep(self, name: str, start: Callable[[], Awaitable[ChildProcess]]) -> None:
        self._services.append(Service(name, start, policy=self._policy, hurry=self._hurry))

    async def _stop(self) -> None:
        await to_the_end(self._stop_all())

    async def _stop_all(self) -> None:
        if self._limiting is not None:
            self._limiting.cancel()
        self._folder.withdraw()
        await asyncio.gather(*(service.stop() for service in self._services))


async def _limit_logs(folder: Path) -> None:
    while True:
        put_long_logs_aside(folder)
        await asyncio.sleep(LOG_CHECK_EVERY)


def put_long_logs_aside(folder: Path) -> None:
    """By copying and cutting, because the servers have them open, and append."""
    for log in folder.glob("*.log"):
        if log.stat().st_size > LONGEST_LOG:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)
