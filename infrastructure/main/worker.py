"""The worker process: what reactors have asked for."""

from datetime import timedelta

from infrastructure.compose import new_id, open_use_cases, utc_now
from infrastructure.database import open_database
from infrastructure.errors.log import PostgresErrorLog
from infrastructure.errors.recorder import open_errors
from infrastructure.outbox import Outbox
from infrastructure.settings import Settings
from infrastructure.supervision import announce_ready
from infrastructure.worker import Worker


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
        await worker.run()
