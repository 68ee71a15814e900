"""Gathers unexpected errors in memory, and hands them on every second: counted, not repeated.

Noting one costs a walk over its traceback, and a description when it is the first of its kind since
the last second. So a storm of errors is no second failure: neither a request nor the database feels
it.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from datetime import datetime
from importlib import import_module
from typing import Protocol

import msgspec
import structlog
from structlog.contextvars import get_contextvars

from application.alerts import Alerts
from application.execute import Context
from application.ports import Clock, Ids, Retriable, StoreUnavailable
from application.ports.errors import LoggedError
from application.ports.metrics import Metrics
from domain.alerts import REPEAT_AFTER
from infrastructure.errors.description import (
    Identity,
    frames_of,
    identify,
    leaves_of,
    message_with_causes,
)
from infrastructure.errors.log import PostgresErrorLog
from infrastructure.errors.noting import UNNOTED, noting
from infrastructure.errors.severity import is_critical

log = structlog.get_logger(**{UNNOTED: True})

MOST_WAITING = 1000
"""Fingerprints that wait to be stored; while PostgreSQL is away, more are dropped and counted."""
FLUSH_SECONDS = 1.0
"""How often they are handed on, and how long a process that stops tries to do so once more."""
ALERT_KIND = "error"


class Reporter(Protocol):
    """Where critical errors are sent; ``infrastructure.errors.sentry`` has one."""

    def send(self, error: LoggedError) -> None:
        """Send it. Never waits."""
        ...


def _count_in(errors: dict[str, LoggedError], later: LoggedError) -> bool:
    """Add ``later`` to what is known of its fingerprint; ``False`` when there is no room."""
    earlier = errors.get(later.fingerprint)
    if earlier is not None:
        later = msgspec.structs.replace(
            later,
            count=earlier.count + later.count,
            first_at=earlier.first_at,
            first_correlation_id=earlier.first_correlation_id,
        )
    elif len(errors) >= MOST_WAITING:
        return False
    errors[later.fingerprint] = later
    return True


class _Paced:
    """What is still to be told: each fingerprint once a minute, with all that came since."""

    def __init__(self) -> None:
        self._waiting: dict[str, LoggedError] = {}
        self._told: dict[str, datetime] = {}

    def add(self, error: LoggedError) -> None:
        """Tell it when it is due."""
        _count_in(self._waiting, error)

    def due(self, now: datetime) -> list[LoggedError]:
        """What may be told now."""
        self._told = {
            fingerprint: at for fingerprint, at in self._told.items() if now - at < REPEAT_AFTER
        }
        return [error for error in self._waiting.values() if error.fingerprint not in self._told]

    def told(self, error: LoggedError, now: datetime) -> None:
        """All of it is told."""
        del self._waiting[error.fingerprint]
        self._told[error.fingerprint] = now

    def postpone(self, error: LoggedError, now: datetime) -> None:
        """Another process has told it a moment ago."""
        self._told[error.fingerprint] = now


class ErrorRecorder:
    """Takes what nobody expected in one process; tells ``alerts`` and ``reporter`` the critical."""

    def __init__(
        self,
        error_log: PostgresErrorLog,
        process: str,
        clock: Clock,
        ids: Ids,
        *,
        alerts: Alerts | None = None,
        reporter: Reporter | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._log = error_log
        self._process = process
        self._clock = clock
        self._ids = ids
        self._alerts = alerts
        self._reporter = reporter
        self._metrics = metrics
        self._noted: dict[Identity, LoggedError] = {}  # since the last flush
        self._unstored: dict[str, LoggedError] = {}
        self._for_alerts = _Paced()
        self._for_reporter = _Paced()
        self._dropping = self._failing = False

    def note(self, error: BaseException, where: str) -> None:
        """Take ``error``, which was caught in ``where``: a stable name, such as a route or a loop.

        Belongs to the correlation id that is bound for the logs. Never waits, never raises.
        """
        try:
            for leaf in leaves_of(error):
                self._note(leaf, where)
        except Exception:
            log.exception("error not noted")

    async def run(self) -> None:
        """Hand on what was noted, every second until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except Exception:
                log.exception("errors not handed on")

    async def flush(self) -> None:
        """Hand on what was noted; what PostgreSQL does not take is kept for the next time."""
        noted, self._noted = self._noted, {}
        for error in noted.values():
            if not _count_in(self._unstored, error):
                self._drop(error.count)
            if error.critical:
                self._for_reporter.add(error)
                self._for_alerts.add(error)
        self._report()
        if await self._store():
            await self._alert()

    def _note(self, error: BaseException, where: str) -> None:
        identity, critical = identify(error), is_critical(error)
        if self._metrics is not None:
            self._metrics.error_noted(critical)
        known = self._noted.get(identity)
        if known is None and len(self._noted) >= MOST_WAITING:
            self._drop(1)
            return
        now = self._clock()
        correlation_id: str | None = get_contextvars().get("correlation_id")
        if known is None:
            known = LoggedError(
                fingerprint=identity.fingerprint,
                kind=identity.kind,
                place=identity.place,
                caught_in=where,
                message=message_with_causes(error),
                frames=frames_of(error),
                critical=critical,
                process=self._process,
                count=0,
                first_at=now,
                last_at=now,
                first_correlation_id=correlation_id,
            )
        self._noted[identity] = msgspec.structs.replace(
            known,
            count=known.count + 1,
            caught_in=where,
            last_at=now,
            last_correlation_id=correlation_id,
        )

    def _drop(self, times: int) -> None:
        if not self._dropping:
            log.error("errors dropped", waiting=MOST_WAITING)
        self._dropping = True
        if self._metrics is not None:
            self._metrics.errors_dropped(times)

    async def _store(self) -> bool:
        """Store what waits; ``False`` when the database is away."""
        if not self._unstored:
            return True
        try:
            await self._log.add(self._unstored.values())
        except Exception as error:
            if not self._failing:
                log.exception("errors not stored")
            self._failing = True
            return not isinstance(error, StoreUnavailable)
        self._unstored = {}
        self._dropping = self._failing = False
        return True

    def _report(self) -> None:
        now = self._clock()
        for error in self._for_reporter.due(now):
            self._for_reporter.told(error, now)
            if self._reporter is not None:
                self._reporter.send(error)

    async def _alert(self) -> None:
        now = self._clock()
        for error in self._for_alerts.due(now):
            try:
                told = self._alerts is None or await self._raise_alert(self._alerts, error)
            except Retriable:
                return
            except Exception:
                log.exception("alert not raised")
                told = True
            if told:
                self._for_alerts.told(error, now)
            else:
                self._for_alerts.postpone(error, now)

    async def _raise_alert(self, alerts: Alerts, error: LoggedError) -> bool:
        command_id = self._ids()
        context = Context(
            actor=f"system:{self._process}",
            correlation_id=error.last_correlation_id or str(command_id),
            command_id=command_id,
        )
        return await alerts.raise_alert(
            ALERT_KIND,
            error.fingerprint,
            title=f"Unexpected {error.kind}",
            detail=f"In {error.place}, caught in {error.caught_in}: {error.message}",
            context=context,
            times=error.count,
        )


@asynccontextmanager
async def open_errors(
    error_log: PostgresErrorLog,
    process: str,
    clock: Clock,
    ids: Ids,
    *,
    sentry_dsn: str | None = None,
    alerts: Alerts | None = None,
    metrics: Metrics | None = None,
) -> AsyncGenerator[ErrorRecorder]:
    """Record what is logged with a traceback, for the length of the context.

    What is not handed on yet is so at its end.
    """
    async with AsyncExitStack() as stack:
        reporter = None
        if sentry_dsn is not None:
            sentry = await asyncio.to_thread(import_module, "infrastructure.errors.sentry")
            reporter = await stack.enter_async_context(aclosing(sentry.SentryReporter(sentry_dsn)))
        recorder = ErrorRecorder(
            error_log, process, clock, ids, alerts=alerts, reporter=reporter, metrics=metrics
        )
        running = asyncio.create_task(recorder.run(), name="errors")
        try:
            with noting(recorder.note):
                yield recorder
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await recorder.flush()
