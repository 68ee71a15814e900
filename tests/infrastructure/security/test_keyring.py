import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from psycopg_pool import AsyncConnectionPool

from infrastructure.security import keyring as keyrings
from infrastructure.security.access_tokens import JwtAccessTokens
from infrastructure.security.keyring import (
    PUBLISHED_AHEAD,
    SigningKey,
    SigningKeys,
    WrongSecretKey,
    open_keyring,
)
from infrastructure.settings import SettingsError
from tests.events import NOON
from tests.infrastructure.security.clock import Clock

SECRET = "a secret of at least 32 characters"


async def rows(pool: AsyncConnectionPool) -> list[tuple[str, bytes]]:
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT kid, wrapped FROM signing_keys ORDER BY kid")
        return await cursor.fetchall()


async def test_the_first_key_is_made_once_and_signs_at_once(pool: AsyncConnectionPool) -> None:
    async with open_keyring(pool, SECRET, Clock()) as keyring:
        first = keyring.current
    async with open_keyring(pool, SECRET, Clock()) as keyring:
        assert keyring.current == first
        assert keyring.find(first.kid) == first
        assert keyring.find("another") is None
    assert len(first.secret) == 32


async def test_processes_that_start_together_agree_on_the_first_key(
    pool: AsyncConnectionPool,
) -> None:
    async def first() -> SigningKey:
        async with open_keyring(pool, SECRET, Clock()) as keyring:
            return keyring.current

    async with asyncio.TaskGroup() as group:
        starts = [group.create_task(first()) for _ in range(12)]
    assert len({start.result().kid for start in starts}) == 1
    assert len(await rows(pool)) == 1


async def test_a_first_key_that_another_process_is_just_making_is_waited_for(
    pool: AsyncConnectionPool,
) -> None:
    async def first() -> SigningKey:
        async with open_keyring(pool, SECRET, Clock()) as keyring:
            return keyring.current

    theirs = await first()
    async with pool.connection() as other, asyncio.timeout(10):
        await other.execute("CREATE TABLE aside AS SELECT * FROM signing_keys")
        await other.execute("DELETE FROM signing_keys")
        async with other.transaction():
            await other.execute("INSERT INTO signing_keys SELECT * FROM aside")
            ours = asyncio.create_task(first())
            while not await (await other.execute(WAITING)).fetchall():
                await asyncio.sleep(0.01)
    assert await ours == theirs


WAITING = "SELECT FROM pg_locks WHERE relation = 'signing_keys'::regclass AND NOT granted"


async def test_keys_are_kept_wrapped(pool: AsyncConnectionPool) -> None:
    async with open_keyring(pool, SECRET, Clock()) as keyring:
        key = keyring.current
    ((_, wrapped),) = await rows(pool)
    assert key.secret not in wrapped
    assert repr(key) == f"SigningKey('{key.kid}')"


async def test_a_new_key_signs_when_every_process_knows_it(pool: AsyncConnectionPool) -> None:
    clock = Clock()
    async with open_keyring(pool, SECRET, clock) as ours, open_keyring(pool, SECRET, clock) as far:
        first = ours.current
        clock.now += timedelta(days=90)
        second = await ours.rotate()
        clock.now += PUBLISHED_AHEAD - timedelta(seconds=1)
        assert ours.current.kid == far.current.kid == first.kid
        await far.load()  # as it does every few seconds
        clock.now += timedelta(seconds=1)
        assert ours.current == far.current == second
        retired = far.find(first.kid)
        assert retired is not None
        assert retired.retired_at == clock.now


async def test_tokens_outlive_a_rotation_but_not_by_more_than_their_lifetime(
    pool: AsyncConnectionPool,
) -> None:
    clock = Clock()
    async with open_keyring(pool, SECRET, clock) as keyring:
        tokens = JwtAccessTokens(keyring, clock, lifetime=timedelta(minutes=15))
        await keyring.rotate()
        clock.now += PUBLISHED_AHEAD - timedelta(seconds=1)
        last_of_the_old = tokens.issue(UUID(int=1), UUID(int=2)).token
        clock.now += timedelta(seconds=1)
        first_of_the_new = tokens.issue(UUID(int=1), UUID(int=2)).token
        clock.now += timedelta(minutes=14, seconds=58)
        assert tokens.read(last_of_the_old) is not None
        clock.now += timedelta(seconds=1)
        assert tokens.read(last_of_the_old) is None
        assert tokens.read(first_of_the_new) is not None


async def test_rotations_one_after_the_other_keep_every_key_in_its_turn(
    pool: AsyncConnectionPool,
) -> None:
    clock = Clock()
    async with open_keyring(pool, SECRET, clock) as keyring:
        first = keyring.current
        clock.now += timedelta(seconds=1)
        second = await keyring.rotate()
        clock.now += timedelta(seconds=10)
        third = await keyring.rotate()
        turns: list[str] = []
        for _ in range(5):
            turns.append(keyring.current.kid)
            clock.now += timedelta(seconds=10)
    assert turns == [first.kid, first.kid, second.kid, third.kid, third.kid]
    retired = keyring.find(first.kid)
    assert retired is not None
    assert retired.retired_at == second.made_at + PUBLISHED_AHEAD  # as its own successor has it


async def test_an_open_keyring_hears_of_keys_that_others_make(
    pool: AsyncConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyrings, "RELOAD_SECONDS", 0.02)
    clock = Clock()
    async with open_keyring(pool, SECRET, clock) as ours, open_keyring(pool, SECRET, clock) as far:
        new = await ours.rotate()
        async with asyncio.timeout(10):
            while far.find(new.kid) is None:
                await asyncio.sleep(0.01)


async def test_another_secret_is_refused_by_name_and_changes_nothing(
    pool: AsyncConnectionPool,
) -> None:
    async with open_keyring(pool, SECRET, Clock()):
        before = await rows(pool)
    with pytest.raises(WrongSecretKey, match="MEDIANEST_SECRET_KEY") as refusal:
        async with open_keyring(pool, "another secret of 32 characters!", Clock()):
            pass
    assert isinstance(refusal.value, SettingsError)  # which every command tells in one line
    with pytest.raises(WrongSecretKey):
        await keyrings.Keyring(pool, "another secret of 32 characters!", Clock()).rotate()
    assert await rows(pool) == before


async def test_a_wrapped_key_under_another_id_is_refused(pool: AsyncConnectionPool) -> None:
    async with open_keyring(pool, SECRET, Clock()):
        pass
    async with pool.connection() as connection:
        await connection.execute("UPDATE signing_keys SET kid = 'moved'")
    with pytest.raises(WrongSecretKey, match="signing key moved"):
        async with open_keyring(pool, SECRET, Clock()):
            pass


def test_without_any_key_of_age_the_oldest_signs() -> None:
    keys = [SigningKey(f"k{age}", bytes(32), NOON - timedelta(seconds=age)) for age in (1, 3, 2)]
    assert SigningKeys(keys, Clock()).current.kid == "k3"
