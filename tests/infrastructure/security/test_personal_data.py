import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.ports import Forgotten
from infrastructure.security import base64url, personal_data
from infrastructure.security.personal_data import KeyedPseudonym, UnreadablePersonalData, Vault

SECRET = "a secret of at least 32 characters"
ANN = UUID(int=1)
BOB = UUID(int=2)
NO_TIME = timedelta()


def after_each_use(
    pool: AsyncConnectionPool, monkeypatch: pytest.MonkeyPatch, then: Callable[[], Awaitable[None]]
) -> None:
    """Do something whenever a connection was used."""
    connection_of = pool.connection

    @asynccontextmanager
    async def watched() -> AsyncGenerator[AsyncConnection]:
        async with connection_of() as connection:
            yield connection
        await then()

    monkeypatch.setattr(pool, "connection", watched)


@pytest.fixture
def vault(pool: AsyncConnectionPool) -> Vault:
    return Vault(pool, SECRET)


async def execute(pool: AsyncConnectionPool, statement: bytes, *values: UUID) -> None:
    async with pool.connection() as connection:
        await connection.execute(statement, values)


async def test_what_was_sealed_is_revealed_here_and_in_every_other_process(
    vault: Vault, pool: AsyncConnectionPool
) -> None:
    for text in ("ann@example.org", "", "Zoë 🎬", "x" * 10_000):
        sealed = await vault.seal(ANN, "email", text)
        assert await vault.reveal(ANN, "email", sealed) == text
        assert await Vault(pool, SECRET).reveal(ANN, "email", sealed) == text


async def test_a_sealed_text_shows_nothing_and_is_never_the_same(vault: Vault) -> None:
    sealed = {await vault.seal(ANN, "email", "ann@example.org") for _ in range(10)}
    assert len(sealed) == 10
    assert not any(b"ann" in base64url.decode(text) for text in sealed)


async def test_keys_are_kept_wrapped_and_each_owner_has_one(
    vault: Vault, pool: AsyncConnectionPool
) -> None:
    for owner in (ANN, ANN, BOB):
        await vault.seal(owner, "email", "text")
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT wrapped FROM personal_keys")
        wrapped = [row[0] for row in await cursor.fetchall()]
    assert [len(key) for key in wrapped] == [61, 61]  # version, nonce, 32 bytes and the tag


async def test_processes_that_seal_first_together_agree_on_the_key(
    pool: AsyncConnectionPool,
) -> None:
    vaults = [Vault(pool, SECRET) for _ in range(8)]
    sealed = await asyncio.gather(*(vault.seal(ANN, "email", "ann") for vault in vaults))
    revealed = await vaults[0].reveal_all((ANN, "email", text) for text in sealed)
    assert revealed == ["ann"] * 8


async def test_a_destroyed_key_reveals_and_seals_nothing_for_ever(
    vault: Vault, pool: AsyncConnectionPool
) -> None:
    sealed = await vault.seal(ANN, "email", "ann@example.org")
    of_bob = await vault.seal(BOB, "email", "bob@example.org")
    await vault.destroy(ANN)
    await vault.destroy(ANN)  # again does no harm
    for each in (vault, Vault(pool, SECRET)):
        assert await each.reveal(ANN, "email", sealed) is None
        assert await each.reveal(BOB, "email", of_bob) == "bob@example.org"
        with pytest.raises(Forgotten):
            await each.seal(ANN, "email", "ann@example.org")


async def test_who_is_forgotten_before_anything_was_sealed_gets_no_key_later(
    vault: Vault,
) -> None:
    await vault.destroy(ANN)
    with pytest.raises(Forgotten):
        await vault.seal(ANN, "email", "ann@example.org")


async def test_another_process_reads_no_more_once_it_hears_of_it_or_after_a_while(
    vault: Vault, pool: AsyncConnectionPool
) -> None:
    sealed = await vault.seal(ANN, "email", "ann@example.org")
    hearing, waiting = Vault(pool, SECRET), Vault(pool, SECRET, remembered=NO_TIME)
    for other in (hearing, waiting):
        assert await other.reveal(ANN, "email", sealed) is not None
    await vault.destroy(ANN)
    hearing.drop(ANN)
    for other in (hearing, waiting):
        assert await other.reveal(ANN, "email", sealed) is None


async def test_a_key_that_is_dropped_while_it_is_being_read_is_not_remembered(
    vault: Vault, pool: AsyncConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = await vault.seal(ANN, "email", "ann@example.org")
    other = Vault(pool, SECRET)

    async def destroy() -> None:
        monkeypatch.undo()
        await vault.destroy(ANN)
        other.drop(ANN)

    after_each_use(pool, monkeypatch, destroy)
    assert await other.reveal(ANN, "email", sealed) == "ann@example.org"
    assert await other.reveal(ANN, "email", sealed) is None


async def test_many_are_revealed_in_their_order_with_one_query(
    vault: Vault, pool: AsyncConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = [uuid4() for _ in range(50)]
    items = [
        (owner, field, await vault.seal(owner, field, f"{field} of {owner}"))
        for field in ("email", "name")
        for owner in owners
    ]
    await vault.destroy(owners[7])
    fresh = Vault(pool, SECRET)
    uses = 0

    async def count() -> None:
        nonlocal uses
        uses += 1

    after_each_use(pool, monkeypatch, count)
    for _ in range(2):
        revealed = await fresh.reveal_all(items)
        assert revealed == [
            None if owner == owners[7] else f"{field} of {owner}" for owner, field, _ in items
        ]
    assert uses == 1
    assert await fresh.reveal_all([]) == []


async def test_more_owners_than_are_remembered_are_still_revealed(
    vault: Vault, pool: AsyncConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_data, "REMEMBERED_KEYS", 3)
    owners = [UUID(int=number) for number in range(10)]
    items = [(owner, "name", await vault.seal(owner, "name", "x")) for owner in owners]
    assert await Vault(pool, SECRET).reveal_all(items) == ["x"] * 10
    fresh = Vault(pool, SECRET)
    uses = 0

    async def count() -> None:
        nonlocal uses
        uses += 1

    after_each_use(pool, monkeypatch, count)
    for item, expected in (*zip(items, range(1, 11), strict=True), (items[-3], 10), (items[0], 11)):
        assert await fresh.reveal(*item) == "x"
        assert uses == expected


async def test_a_text_does_not_open_for_another_owner_or_field(vault: Vault) -> None:
    of_ann, of_bob = [await vault.seal(owner, "email", "text") for owner in (ANN, BOB)]
    for owner, field, sealed in ((ANN, "email", of_bob), (BOB, "email", of_ann)):
        with pytest.raises(UnreadablePersonalData, match=f"{field} of {owner}.*another owner"):
            await vault.reveal(owner, field, sealed)
    with pytest.raises(UnreadablePersonalData, match=f"name of {ANN}.*or field"):
        await vault.reveal(ANN, "name", of_ann)


def altered(sealed: str) -> dict[str, str]:
    return {
        "empty": "",
        "never sealed": "ann@example.org",
        "cut": sealed[:-1],
        "cut by whole bytes": sealed[:-4],
        "grown": sealed + "AAAA",
        "other letters": sealed.swapcase(),
        "of another version": f"B{sealed[1:]}",
    }


@pytest.mark.parametrize("how", altered("A"))
async def test_an_altered_text_is_told_as_such(vault: Vault, how: str) -> None:
    sealed = await vault.seal(ANN, "email", "ann@example.org")
    with pytest.raises(UnreadablePersonalData, match="altered"):
        await vault.reveal(ANN, "email", altered(sealed)[how])


async def test_a_damaged_text_hides_none_of_the_others_in_a_list(
    vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    sealed = await vault.seal(ANN, "email", "ann@example.org")
    items = [(ANN, "email", sealed), (ANN, "name", sealed), (BOB, "email", sealed)]
    assert await vault.reveal_all(items) == ["ann@example.org", None, None]
    assert f"name of {ANN}" in caplog.text
    assert f"email of {BOB}" in caplog.text


async def test_another_secret_opens_nothing_and_makes_no_new_key(
    vault: Vault, pool: AsyncConnectionPool
) -> None:
    sealed = await vault.seal(ANN, "email", "ann@example.org")
    stranger = Vault(pool, "another secret of 32 characters!")
    with pytest.raises(UnreadablePersonalData, match="MEDIANEST_SECRET_KEY"):
        await stranger.reveal(ANN, "email", sealed)
    with pytest.raises(UnreadablePersonalData, match="MEDIANEST_SECRET_KEY"):
        await stranger.seal(ANN, "email", "ann@example.org")
    assert await Vault(pool, SECRET).reveal(ANN, "email", sealed) == "ann@example.org"


async def test_a_key_that_was_lost_or_moved_is_told_and_not_taken_for_a_destroyed_one(
    vault: Vault, pool: AsyncConnectionPool
) -> None:
    sealed = await vault.seal(ANN, "email", "ann@example.org")
    await execute(pool, b"UPDATE personal_keys SET owner = %s WHERE owner = %s", BOB, ANN)
    for owner in (ANN, BOB):
        with pytest.raises(UnreadablePersonalData, match="no key of this owner"):
            await Vault(pool, SECRET).reveal(owner, "email", sealed)


def test_a_pseudonym_is_always_the_same_and_of_one_kind_and_value_only() -> None:
    pairs = [("email", "ann"), ("emaila", "nn"), ("", "emailann"), ("address", "ann")]
    names = [KeyedPseudonym(SECRET)(kind, value) for kind, value in pairs]
    assert names == [KeyedPseudonym(SECRET)(kind, value) for kind, value in pairs]
    names.append(KeyedPseudonym(SECRET + " ")("email", "ann"))
    assert len(set(names)) == len(names)


def test_a_pseudonym_is_a_uuid_of_version_8() -> None:
    names = [KeyedPseudonym(SECRET)("email", str(number)) for number in range(200)]
    assert all(name.variant == "specified in RFC 4122" and name.version == 8 for name in names)
    varying = 0
    for one, other in pairwise(names):
        varying |= one.int ^ other.int
    assert varying.bit_count() == 122
