import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.ports import Forgotten, StoreUnavailable
from application.ports.idempotency import Answered, Claimed, IdempotencyKeyReused
from infrastructure import postgres
from infrastructure.idempotency import PostgresIdempotencyKeys
from infrastructure.security.personal_data import KeyedPseudonym, UnreadablePersonalData, Vault

SECRET = "a secret of at least 32 characters"
ANN = UUID(int=1)
BOB = UUID(int=2)
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
REQUEST = b"POST /api/v1/media/request"


def keys_in(
    pool: AsyncConnectionPool, *, hold: timedelta = timedelta(seconds=10)
) -> PostgresIdempotencyKeys:
    return PostgresIdempotencyKeys(pool, Vault(pool, SECRET), KeyedPseudonym(SECRET), hold=hold)


@pytest.fixture
def keys(pool: AsyncConnectionPool) -> PostgresIdempotencyKeys:
    return keys_in(pool)


async def claim(
    keys: PostgresIdempotencyKeys, account_id: UUID = ANN, key: str = KEY, request: bytes = REQUEST
) -> Claimed:
    claimed = await keys.claim(account_id, key, request)
    assert isinstance(claimed, Claimed)
    return claimed


async def rows(pool: AsyncConnectionPool) -> list[tuple[object, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute("SELECT * FROM idempotency_keys")).fetchall()


async def age(pool: AsyncConnectionPool, by: timedelta) -> None:
    async with pool.connection() as connection:
        await connection.execute("UPDATE idempotency_keys SET made_at = made_at - %s", (by,))


async def test_who_comes_again_is_given_the_first_answer(
    keys: PostgresIdempotencyKeys, pool: AsyncConnectionPool
) -> None:
    await keys.keep(await claim(keys), "Zoë's answer")
    for _ in range(2):
        assert await keys_in(pool).claim(ANN, KEY, REQUEST) == Answered("Zoë's answer")


async def test_a_key_is_of_one_request_whatever_became_of_it(
    keys: PostgresIdempotencyKeys,
) -> None:
    claimed = await claim(keys)
    for settle in (keys.abandon(claimed), keys.keep(claimed, "an answer")):
        with pytest.raises(IdempotencyKeyReused):
            await keys.claim(ANN, KEY, b"another request")
        await settle
    with pytest.raises(IdempotencyKeyReused):
        await keys.claim(ANN, KEY, b"another request")


async def test_accounts_and_keys_are_apart(keys: PostgresIdempotencyKeys) -> None:
    await keys.keep(await claim(keys), "Ann's answer")
    others = [await claim(keys, BOB, request=b"Bob's"), await claim(keys, key=KEY.upper())]
    assert [other.fence for other in others] == [1, 1]
    await keys.keep(others[0], "Bob's answer")
    assert await keys.claim(BOB, KEY, b"Bob's") == Answered("Bob's answer")
    assert await keys.claim(ANN, KEY, REQUEST) == Answered("Ann's answer")


async def test_of_many_at_once_one_answers_and_the_others_wait_for_it(
    pool: AsyncConnectionPool,
) -> None:
    async def send() -> Claimed | Answered:
        keys = keys_in(pool)
        got = await keys.claim(ANN, KEY, REQUEST)
        if isinstance(got, Claimed):
            await asyncio.sleep(0.1)
            await keys.keep(got, f"the answer to {got.command_id}")
        return got

    got = await asyncio.gather(*(send() for _ in range(16)))
    (first,) = [one for one in got if isinstance(one, Claimed)]
    answer = Answered(f"the answer to {first.command_id}")
    assert [one for one in got if one != first] == [answer] * 15


async def test_a_holder_who_fell_silent_is_taken_over_under_the_same_command_id(
    pool: AsyncConnectionPool,
) -> None:
    silent = await claim(keys_in(pool, hold=timedelta(seconds=0.2)))
    keys = keys_in(pool)
    taken = await claim(keys)
    assert (taken.command_id, taken.fence) == (silent.command_id, 2)
    await keys.keep(silent, "too late")
    await keys.abandon(silent)
    await keys.free(silent)
    await keys.keep(taken, "an answer")
    await keys.free(silent)
    assert await keys.claim(ANN, KEY, REQUEST) == Answered("an answer")


async def test_what_was_abandoned_is_taken_over_at_once_and_by_one(
    keys: PostgresIdempotencyKeys,
) -> None:
    abandoned = await claim(keys)
    waiting = [asyncio.create_task(claim(keys)) for _ in range(8)]
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in waiting)
    await keys.abandon(abandoned)
    done, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    (taken,) = [task.result() for task in done]
    assert (taken.command_id, taken.fence) == (abandoned.command_id, 2)
    for task in others:
        task.cancel()
    await asyncio.wait(others)


async def test_a_key_that_is_free_again_takes_any_request_as_a_new_command(
    keys: PostgresIdempotencyKeys,
) -> None:
    first = await claim(keys)
    await keys.free(first)
    second = await claim(keys, request=b"a mended request")
    assert second.command_id != first.command_id
    await keys.keep(second, "an answer")
    assert await keys.claim(ANN, KEY, b"a mended request") == Answered("an answer")


async def test_who_waits_goes_on_when_the_key_is_freed(keys: PostgresIdempotencyKeys) -> None:
    first = await claim(keys)
    waiting = asyncio.create_task(claim(keys))
    await asyncio.sleep(0.1)
    await keys.free(first)
    assert (await waiting).command_id != first.command_id


async def test_the_table_shows_neither_keys_nor_requests_nor_answers(
    keys: PostgresIdempotencyKeys, pool: AsyncConnectionPool
) -> None:
    await keys.keep(await claim(keys, key="ann@example.org", request=b"hunter2"), "a new API key")
    (row,) = await rows(pool)
    shown = " ".join(str(value) for value in row)
    assert not any(text in shown for text in ("ann", "hunter2", "API"))


async def test_answers_cannot_change_places(
    keys: PostgresIdempotencyKeys, pool: AsyncConnectionPool
) -> None:
    await keys.keep(await claim(keys), "an answer")
    await keys.keep(await claim(keys, key="another"), "another answer")
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE idempotency_keys AS one SET answer = other.answer"
            " FROM idempotency_keys AS other WHERE one.key <> other.key"
        )
    with pytest.raises(UnreadablePersonalData):
        await keys.claim(ANN, KEY, REQUEST)


async def test_the_answers_of_a_forgotten_person_are_gone(
    keys: PostgresIdempotencyKeys, pool: AsyncConnectionPool
) -> None:
    await keys.keep(await claim(keys), "an answer")
    going = await claim(keys, key="another")
    await Vault(pool, SECRET).destroy(ANN)
    with pytest.raises(Forgotten):
        await keys_in(pool).keep(going, "an answer")
    with pytest.raises(Forgotten):
        await keys_in(pool).claim(ANN, KEY, REQUEST)


async def test_keys_are_forgotten_after_a_day_a_few_at_a_time(
    keys: PostgresIdempotencyKeys, pool: AsyncConnectionPool
) -> None:
    for number in range(12):
        await claim(keys, key=str(number))
    await age(pool, timedelta(hours=25))
    kept = await claim(keys)
    await keys.keep(kept, "an answer")
    assert len(await rows(pool)) == 3
    await age(pool, timedelta(hours=23))
    assert await keys.claim(ANN, KEY, REQUEST) == Answered("an answer")
    assert len(await rows(pool)) == 1
    await age(pool, timedelta(hours=2))
    assert (await claim(keys)).command_id != kept.command_id


async def test_a_key_that_is_freed_between_two_looks_is_claimed_after_all(
    keys: PostgresIdempotencyKeys, pool: AsyncConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await claim(keys)
    execute = AsyncConnection[tuple[object, ...]].execute

    async def free_before_looking(
        connection: AsyncConnection[tuple[object, ...]], query: str, values: tuple[object, ...] = ()
    ) -> object:
        if query.startswith("SELECT request"):
            await keys.free(first)
        return await execute(connection, query.encode(), values)

    monkeypatch.setattr(AsyncConnection, "execute", free_before_looking)
    assert (await claim(keys)).command_id != first.command_id


async def test_without_a_database_nothing_is_claimed() -> None:
    async with postgres.pool("postgresql://127.0.0.1:1/none", "tests", size=1) as nowhere:
        nowhere.timeout = 0.1
        with pytest.raises(StoreUnavailable):
            await keys_in(nowhere).claim(ANN, KEY, REQUEST)
