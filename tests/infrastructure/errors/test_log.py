from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from psycopg_pool import AsyncConnectionPool

from application.ports import StoreUnavailable
from application.ports.errors import LoggedError
from infrastructure import postgres
from infrastructure.errors.log import PostgresErrorLog

NOON = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)


def logged(number: int = 1, *, at: datetime = NOON, count: int = 1) -> LoggedError:
    return LoggedError(
        fingerprint=f"{number:016x}",
        kind="ValueError",
        place="domain.tested:run",
        caught_in="loop",
        message="“…” is wrong",
        frames=("domain.tested:run:1", "domain.tested:walk:2"),
        critical=True,
        process="api",
        count=count,
        first_at=at,
        last_at=at,
        first_correlation_id=f"first at {at:%H:%M}",
        last_correlation_id=f"last at {at:%H:%M}",
    )


@pytest.fixture
def error_log(pool: AsyncConnectionPool) -> PostgresErrorLog:
    return PostgresErrorLog(pool)


async def test_an_error_reads_as_it_was_added(error_log: PostgresErrorLog) -> None:
    await error_log.add([logged()])
    assert await error_log.page(before=None, limit=10) == [logged()]


async def test_what_comes_again_is_counted_and_keeps_its_beginning(
    error_log: PostgresErrorLog,
) -> None:
    later = NOON + timedelta(hours=1)
    again = msgspec.structs.replace(
        logged(at=later, count=41), message="later", process="worker", critical=False, frames=()
    )
    await error_log.add([logged()])
    await error_log.add([again])
    (row,) = await error_log.page(before=None, limit=10)
    assert row == msgspec.structs.replace(
        again, count=42, first_at=NOON, first_correlation_id="first at 12:00"
    )


async def test_processes_whose_clocks_differ_never_turn_the_time_back(
    error_log: PostgresErrorLog,
) -> None:
    earlier = NOON - timedelta(minutes=1)
    await error_log.add([logged()])
    await error_log.add([logged(at=earlier)])
    (row,) = await error_log.page(before=None, limit=10)
    assert (row.first_at, row.last_at) == (earlier, NOON)


async def test_pages_follow_each_other_newest_first_whatever_shares_a_moment(
    error_log: PostgresErrorLog,
) -> None:
    errors = [logged(number, at=NOON + timedelta(seconds=number // 3)) for number in range(10)]
    await error_log.add(errors)
    shown: list[LoggedError] = []
    before: tuple[datetime, str] | None = None
    while page := await error_log.page(before=before, limit=4):
        shown += page
        before = (page[-1].last_at, page[-1].fingerprint)
    assert shown == errors[::-1]


async def test_those_that_have_not_come_for_the_longest_time_make_room(
    pool: AsyncConnectionPool,
) -> None:
    error_log = PostgresErrorLog(pool, limit=3)
    await error_log.add(
        [logged(number, at=NOON + timedelta(seconds=number)) for number in range(4)]
    )
    await error_log.add([logged(1, at=NOON + timedelta(minutes=1))])
    await error_log.add([logged(9, at=NOON + timedelta(minutes=2))])
    kept = await error_log.page(before=None, limit=10)
    assert [int(row.fingerprint, 16) for row in kept] == [9, 1, 3]


async def test_without_a_database_it_says_so() -> None:
    pool = postgres.pool("postgresql://127.0.0.1:1/nowhere?connect_timeout=1", "tests", size=1)
    pool.timeout = 0.1
    await pool.open()
    try:
        with pytest.raises(StoreUnavailable):
            await PostgresErrorLog(pool).add([logged()])
        with pytest.raises(StoreUnavailable):
            await PostgresErrorLog(pool).page(before=None, limit=1)
    finally:
        await pool.close()
