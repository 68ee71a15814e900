"""The limits in force, changed while everything runs; and the record of who tried more."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import structlog

from application.execute import Context, Executed, Executor
from application.ports import Clock, EventStore, Ids, Retriable
from domain.kernel import Event, History, Recorded
from domain.rate_limits import (
    INTERVAL,
    ChangeLimit,
    Limit,
    Policy,
    RateLimitChanged,
    RecordedJustNow,
    RecordViolations,
    rate_limit_policies,
    rate_limit_policy_id,
    rate_limit_violations,
    rate_limit_violations_id,
)

log = structlog.get_logger()

MOST_WAITING = 1000
"""Subjects whose violations wait to be recorded; those of others are only counted in the log."""


class RateLimits:
    """The limits as this process knows them.

    Start to ``hear`` the store's events, then ``load``: in this order no change is missed.
    """

    def __init__(
        self, executor: Executor, store: EventStore, defaults: Mapping[Policy, Limit]
    ) -> None:
        self._executor = executor
        self._store = store
        self._limits = dict(defaults)
        self._versions: dict[Policy, int] = {}

    def limit_of(self, policy: Policy) -> Limit:
        """The limit in force: what an admin has chosen last, or else the default."""
        return self._limits[policy]

    async def load(self) -> None:
        """Learn every limit that was changed before this process started."""
        for policy in Policy:
            for recorded in await self.history(policy):
                self.hear(recorded)

    async def history(self, policy: Policy) -> History:
        """Every change of a limit, in order; empty while it is the default."""
        return await self._store.read_stream(rate_limit_policy_id(policy))

    def hear(self, recorded: Recorded[Event]) -> None:
        """Follow a change that another process has made; anything else is passed over."""
        if isinstance(recorded.event, RateLimitChanged):
            event = recorded.event
            limit = Limit(event.limit, event.window_seconds)
            self._learn(event.policy, limit, recorded.version)

    async def change(
        self, policy: Policy, limit: int, window_seconds: int, context: Context
    ) -> Executed[Limit]:
        """Change a limit; it is in force here at once, and elsewhere as soon as they hear of it.

        Raises LimitOutOfRange, WindowOutOfRange, LocksAdminsOut, and what the executor raises.
        """
        executed = await self._executor.execute(
            rate_limit_policies,
            rate_limit_policy_id(policy),
            ChangeLimit(policy, limit, window_seconds),
            context,
        )
        self._learn(policy, executed.state, executed.version)
        return executed

    def _learn(self, policy: Policy, limit: Limit, version: int) -> None:
        if version >= self._versions.get(policy, 0):
            self._limits[policy] = limit
            self._versions[policy] = version


class _Waiting(msgspec.Struct):
    """Violations of one subject under one policy that are to be recorded from ``due_at`` on."""

    count: int
    correlation_id: str
    due_at: datetime


class _Attempt(msgspec.Struct, frozen=True):
    """A command under an id that stays, so that however often it is tried it counts once."""

    stream_id: UUID
    command: RecordViolations
    context: Context


class RateLimitViolations:
    """The violations that this process has seen, on their way into the store.

    All processes record by turns, once a minute for each subject and policy; those that wait when
    a process ends are lost.
    """

    def __init__(self, executor: Executor, clock: Clock, ids: Ids) -> None:
        self._executor = executor
        self._clock = clock
        self._ids = ids
        self._waiting: dict[tuple[Policy, str], _Waiting] = {}
        self._attempt: _Attempt | None = None
        self._lost = 0
        self._noted = asyncio.Event()

    def note(self, policy: Policy, subject: str, count: int, correlation_id: str) -> None:
        """Have ``count`` refusals recorded soon. Never waits, and never fails.

        ``subject`` is ``account:<uuid>`` or ``address:<uuid>``, the pseudonym of an address.
        """
        self._wait(policy, subject, _Waiting(count, correlation_id, self._clock()))

    async def record(self) -> None:
        """Record what was noted, for ever.

        Ends with StoreBusy or StoreUnavailable, and goes on where it stopped when it is run again:
        what was noted meanwhile is kept, and what may be stored already is not counted twice.
        """
        while True:
            self._noted.clear()
            if self._attempt is not None:
                await self._try(self._attempt)
            for policy, subject in tuple(self._waiting):
                waiting = self._waiting[policy, subject]
                if waiting.due_at <= self._clock():
                    del self._waiting[policy, subject]
                    self._attempt = self._attempt_of(policy, subject, waiting)
                    await self._try(self._attempt)
            self._tell_lost()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._idle_for().total_seconds()):
                    await self._noted.wait()

    def _wait(self, policy: Policy, subject: str, more: _Waiting) -> None:
        """Add to what waits; of the two, the later time and the first correlation id count."""
        waiting = self._waiting.get((policy, subject))
        if waiting is not None:
            waiting.count += more.count
            waiting.due_at = max(waiting.due_at, more.due_at)
        elif len(self._waiting) < MOST_WAITING:
            waiting = self._waiting[policy, subject] = more
        else:
            self._lost += more.count
            return
        if waiting.due_at <= self._clock():
            self._noted.set()

    def _idle_for(self) -> timedelta:
        """How long there is nothing to record, unless more is noted, or the clock is set."""
        now = self._clock()
        waits = (waiting.due_at - now for waiting in self._waiting.values())
        return max(timedelta(), min((INTERVAL, *waits)))

    def _attempt_of(self, policy: Policy, subject: str, waiting: _Waiting) -> _Attempt:
        now = self._clock()
        return _Attempt(
            rate_limit_violations_id(policy, subject, now),
            RecordViolations(policy, subject, waiting.count, now),
            Context("system:rate_limits", waiting.correlation_id, command_id=self._ids()),
        )

    async def _try(self, attempt: _Attempt) -> None:
        command, context = attempt.command, attempt.context
        try:
            await self._executor.execute(rate_limit_violations, attempt.stream_id, command, context)
        except RecordedJustNow as early:  # by another process
            more = _Waiting(command.count, context.correlation_id, early.due_at)
            self._wait(command.policy, command.subject, more)
        except Retriable:
            raise
        except Exception:
            # Trying the same again would keep all others waiting for ever.
            log.exception("violations not recorded", policy=command.policy, count=command.count)
        self._attempt = None

    def _tell_lost(self) -> None:
        if self._lost:
            log.warning("violations lost", count=self._lost, waiting=len(self._waiting))
            self._lost = 0
