import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import structlog
from psycopg_pool import AsyncConnectionPool
from structlog.testing import capture_logs

from application.alerts import Alerts
from application.execute import Executor
from application.ports import StoreUnavailable, UnreadableStream
from application.ports.errors import LoggedError
from domain.alerts import AlertRaised, AlertRepeated, alert_id
from infrastructure.errors import recorder as recorder_module
from infrastructure.errors.log import PostgresErrorLog
from infrastructure.errors.recorder import ErrorRecorder, open_errors
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.metrics import PrometheusMetrics
from tests.fakes import InMemoryEventStore, new_id, now


class Timer:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 5, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Sent:
    """A reporter that keeps what it is to send."""

    def __init__(self) -> None:
        self.errors: list[LoggedError] = []

    def send(self, error: LoggedError) -> None:
        self.errors.append(error)


class AwayLog(PostgresErrorLog):
    """The real log of a database that is away while ``away``."""

    away = False
    calls = 0

    async def add(self, noted: Iterable[LoggedError]) -> None:
        self.calls += 1
        if self.away:
            raise StoreUnavailable("The database does not answer.")
        await super().add(noted)


def raised(error: Exception) -> Exception:
    """The error with a traceback, as it is when it is caught."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


class House:
    """A recorder with all around it: the log in PostgreSQL, alerts in memory."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self.clock = Timer()
        self.log = AwayLog(pool)
        self.store = InMemoryEventStore()
        self.alerts = Alerts(Executor(self.store, self.clock, new_id), self.store, self.clock)
        self.sent = Sent()
        self.metrics = PrometheusMetrics()
        self.recorder = self.another_process()

    def another_process(self) -> ErrorRecorder:
        return ErrorRecorder(
            self.log,
            "api",
            self.clock,
            new_id,
            alerts=self.alerts,
            reporter=self.sent,
            metrics=self.metrics,
        )

    async def rows(self) -> list[LoggedError]:
        return list(await self.log.page(before=None, limit=2000))

    def alert_events(self) -> list[Any]:
        return [recorded.event for recorded in self.store.events]


@pytest.fixture
def house(pool: AsyncConnectionPool) -> House:
    return House(pool)


async def test_an_error_becomes_a_row_with_its_correlation_id(house: House) -> None:
    with structlog.contextvars.bound_contextvars(correlation_id="click-1"):
        house.recorder.note(raised(ValueError("no 'hunter2' here")), "GET /x")
    await house.recorder.flush()
    (row,) = await house.rows()
    assert (row.kind, row.message, row.caught_in) == ("ValueError", "no “…” here", "GET /x")
    assert row.place == "tests.infrastructure.errors.test_recorder:raised"
    assert (row.first_correlation_id, row.last_correlation_id) == ("click-1", "click-1")
    assert (row.process, row.count, row.critical) == ("api", 1, True)
    assert row.first_at == row.last_at == house.clock.at


async def test_without_a_cause_that_is_known_there_is_no_correlation_id(house: House) -> None:
    house.recorder.note(raised(ValueError()), "loop")
    await house.recorder.flush()
    assert (await house.rows())[0].last_correlation_id is None


async def test_the_first_and_the_last_of_many_are_kept(house: House) -> None:
    for number in range(3):
        with structlog.contextvars.bound_contextvars(correlation_id=f"click-{number}"):
            house.recorder.note(raised(ValueError()), f"loop {number}")
        house.clock.move(0.1)
    await house.recorder.flush()
    (row,) = await house.rows()
    assert (row.first_correlation_id, row.last_correlation_id) == ("click-0", "click-2")
    assert (row.count, row.caught_in) == (3, "loop 2")
    assert row.last_at - row.first_at == timedelta(seconds=0.2)


async def test_each_error_of_a_group_is_one_of_its_own(house: House) -> None:
    group = ExceptionGroup("all", [raised(ValueError()), raised(LookupError())])
    house.recorder.note(raised(group), "loop")
    await house.recorder.flush()
    assert {row.kind for row in await house.rows()} == {"ValueError", "LookupError"}


async def test_a_storm_is_one_row_with_the_right_count_few_statements_and_one_alert(
    pool: AsyncConnectionPool, reader: EventReader, writer: GroupCommitWriter, house: House
) -> None:
    store = PostgresEventStore(writer, reader)
    alerts = Alerts(Executor(store, now, new_id), store, now)
    async with open_errors(house.log, "api", now, new_id, alerts=alerts) as errors:
        for number in range(10_000):
            error = raised(ValueError(f"storm {number}"))
            errors.note(error, "loop")
            if number % 1000 == 0:
                await asyncio.sleep(0.01)
    (row,) = await house.rows()
    assert row.count == 10_000
    assert house.log.calls <= 3
    history = await store.read_stream(alert_id("error", row.fingerprint))
    assert [type(recorded.event) for recorded in history] == [AlertRaised]


async def test_errors_outlive_a_database_that_is_away(house: House) -> None:
    house.log.away = True
    with capture_logs() as lines:
        for _ in range(3):
            house.recorder.note(raised(ValueError()), "loop")
            await house.recorder.flush()
    assert [line["event"] for line in lines] == ["errors not stored"]
    house.log.away = False
    await house.recorder.flush()
    assert [row.count for row in await house.rows()] == [3]
    await house.recorder.flush()
    assert [row.count for row in await house.rows()] == [3]


async def test_more_errors_than_there_is_room_for_are_counted_and_told_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MOST_WAITING", 2)
    house.log.away = True
    kinds = [type(f"Failure{number}", (Exception,), {}) for number in range(5)]
    with capture_logs() as lines:
        for kind in kinds:
            house.recorder.note(raised(kind()), "loop")
        await house.recorder.flush()
        house.recorder.note(raised(kinds[4]()), "loop")
        house.recorder.note(raised(kinds[0]()), "loop")
        await house.recorder.flush()
    assert [line["event"] for line in lines].count("errors dropped") == 1
    assert b"medianest_error_queue_dropped_total 4.0" in house.metrics.exposition()
    assert b'medianest_errors_total{critical="true"} 7.0' in house.metrics.exposition()
    house.log.away = False
    await house.recorder.flush()
    assert sorted(row.count for row in await house.rows()) == [1, 2]


async def test_people_are_told_at_once_and_then_once_a_minute_with_all_that_came_since(
    house: House,
) -> None:
    for _ in range(125):
        house.recorder.note(raised(ValueError("no")), "GET /x")
        await house.recorder.flush()
        house.clock.move(1)
    first, second, third = house.alert_events()
    assert isinstance(first, AlertRaised)
    assert first.title == "Unexpected ValueError"
    assert "raised, caught in GET /x: no" in first.detail
    assert first.times == 1
    assert [type(event) for event in (second, third)] == [AlertRepeated, AlertRepeated]
    assert [second.times, third.times] == [60, 60]
    assert [error.count for error in house.sent.errors] == [1, 60, 60]


async def test_what_came_last_is_told_even_when_nothing_follows(house: House) -> None:
    house.recorder.note(raised(ValueError()), "loop")
    await house.recorder.flush()
    house.recorder.note(raised(ValueError()), "loop")
    await house.recorder.flush()
    house.clock.move(60)
    await house.recorder.flush()
    assert [event.times for event in house.alert_events()] == [1, 1]


async def test_two_processes_with_the_same_error_raise_one_alert(house: House) -> None:
    other = house.another_process()
    for recorder in (house.recorder, other):
        recorder.note(raised(ValueError()), "loop")
        await recorder.flush()
        house.clock.move(1)
    assert [type(event) for event in house.alert_events()] == [AlertRaised]
    house.clock.move(60)
    await other.flush()
    assert [event.times for event in house.alert_events()] == [1, 1]


async def test_an_alert_waits_for_a_store_that_is_away_and_is_then_told_whole(
    house: House,
) -> None:
    house.store.failure = StoreUnavailable("away")
    for _ in range(3):
        house.recorder.note(raised(ValueError()), "loop")
        await house.recorder.flush()
    house.store.failure = None
    await house.recorder.flush()
    assert [event.times for event in house.alert_events()] == [3]
    assert len(house.sent.errors) == 1


async def test_what_is_not_critical_is_stored_and_told_to_nobody(house: House) -> None:
    house.recorder.note(raised(StoreUnavailable("away")), "GET /x")
    await house.recorder.flush()
    assert [row.critical for row in await house.rows()] == [False]
    assert house.sent.errors == house.alert_events() == []


async def test_noting_never_raises(house: House) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("and nothing can be said about it")

    with capture_logs() as lines:
        house.recorder.note(raised(Unspeakable()), "loop")
    assert [line["event"] for line in lines] == ["error not noted"]


async def test_a_recorder_stores_by_itself_and_what_it_has_at_the_end(house: House) -> None:
    async with open_errors(house.log, "worker", now, new_id) as errors:
        errors.note(raised(ValueError()), "loop")
        async with asyncio.timeout(10):
            while not await house.rows():
                await asyncio.sleep(0.05)
        errors.note(raised(LookupError()), "loop")
    assert {row.kind for row in await house.rows()} == {"LookupError", "ValueError"}


async def test_an_error_that_says_what_no_database_can_hold_is_stored(house: House) -> None:
    house.recorder.note(raised(ValueError("nul \x00 and half a pair \ud800")), "loop")
    await house.recorder.flush()
    assert [row.message for row in await house.rows()] == ["nul and half a pair"]


async def test_an_alert_that_cannot_be_raised_is_given_up_and_stops_no_other(
    house: House,
) -> None:
    house.store.failure = UnreadableStream()
    house.recorder.note(raised(ValueError()), "loop")
    house.recorder.note(raised(LookupError()), "loop")
    with capture_logs() as lines:
        await house.recorder.flush()
        await house.recorder.flush()
    assert [line["event"] for line in lines] == ["alert not raised", "alert not raised"]


async def test_a_recorder_outlives_a_log_that_fails_in_a_way_nobody_thought_of(
    house: House, database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE error_log RENAME TO elsewhere")
        house.recorder.note(raised(ValueError()), "loop")
        await house.recorder.flush()
        assert len(house.alert_events()) == 1
        connection.execute("ALTER TABLE elsewhere RENAME TO error_log")
    await house.recorder.flush()
    assert [row.count for row in await house.rows()] == [1]
