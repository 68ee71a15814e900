import psycopg
import pytest

from application.ports import StoreUnavailable
from infrastructure import postgres

END_THE_POOL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = 'medianest tests' AND datname = current_database()"
)


async def test_a_server_that_is_away_is_told_in_words_of_the_ports() -> None:
    nowhere = postgres.pool("postgresql://127.0.0.1:1/none", "tests", size=1)
    nowhere.timeout = 0.2
    async with nowhere:
        with pytest.raises(StoreUnavailable) as unavailable:
            async with nowhere.connection():
                pass
    assert unavailable.value.retry_after is not None
    assert "127.0.0.1" not in str(unavailable.value)


async def test_a_connection_that_is_lost_in_use_is_told_so_too_and_replaced(
    database_url: str,
) -> None:
    async with postgres.pool(database_url, "tests", size=1) as pool:

        async def lose_the_connection() -> None:
            async with pool.connection() as connection:
                with psycopg.connect(database_url, autocommit=True) as other:
                    other.execute(END_THE_POOL)
                await connection.execute("SELECT 1")

        with pytest.raises(StoreUnavailable):
            await lose_the_connection()
        async with pool.connection() as connection:
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


async def test_a_connection_that_is_lost_between_uses_is_replaced_unnoticed(
    database_url: str,
) -> None:
    async with postgres.pool(database_url, "tests", size=1) as pool:
        async with pool.connection() as connection:
            lost = connection.info.backend_pid
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [lost])
        async with pool.connection() as connection:
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
            assert connection.info.backend_pid != lost


async def test_an_error_in_a_statement_stays_what_it_is(database_url: str) -> None:
    async with postgres.pool(database_url, "tests", size=1) as pool:
        with pytest.raises(psycopg.errors.DivisionByZero):
            async with pool.connection() as connection:
                await connection.execute("SELECT 1 / 0")
