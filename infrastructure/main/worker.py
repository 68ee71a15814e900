"""The worker process: what reactors have asked for."""

import asyncio
from datetime import timedelta

from infrastructure.compose import new_id, open_use_cases, utc_now
from infrastructure.database import open_database
from infrastructure.errors.log import PostgresErrorLog
from infrastructure.errors.recorder import open_errors
from infrastructure.loops import keep_running
from infrastructure.outbox import Outbox
from infrastructure.settings import Settings
from infrastructure.supervision import announce_ready
from infrastructure.sweep import UpstreamSweep
from infrastructure.worker import Worker
from projections.media_requests import MediaRequestQueries


async def run(settings: Settings) -> None:
    """Perform jobs until cancelled."""
    async with (
        open_database(settings, "worker", connections=8) as database,
        open_use_cases(settings, database) as use_cases,
        open_errors(
            PostgresErrorLog(database.pool),
            "worker",
            utc_now,
            new_id,
            sentry_dsn=settings.sentry_dsn,
            alerts=use_cases.alerts,
        ),
    ):
        outbox = Outbox(database.pool, lease=timedelta(seconds=settings.lease_seconds))
        worker = Worker(outbox, use_cases.performer.perform, settings.required("redis_url"))
        announce_ready()
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run())
            if settings.overseerr_url is not None:
                sweep = UpstreamSweep(
                    database.url,
                    use_cases.upstream_news,
                    MediaRequestQueries(database.pool),
                    seconds=settings.overseerr_poll_seconds,
                )
                group.create_task(keep_running("upstream sweep", sweep.run))
