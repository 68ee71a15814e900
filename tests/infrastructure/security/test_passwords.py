import asyncio
import os
import sys
import threading
from collections.abc import Generator
from datetime import timedelta

import pytest

from application.ports import HasherBusy
from infrastructure.security.passwords import Argon2idHasher


@pytest.fixture
def hasher() -> Generator[Argon2idHasher]:
    hasher = Argon2idHasher()
    yield hasher
    hasher.close()


async def test_passwords_are_hashed_and_verified(hasher: Argon2idHasher) -> None:
    hashed = await hasher.hash("correct horse")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hasher.verify("correct horse", hashed)
    assert not await hasher.verify("wrong horse", hashed)
    assert not await hasher.verify("correct horse", None)
    assert not await hasher.verify("correct horse", "not a hash")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priorities")
async def test_hashing_gives_way_to_the_event_loop(hasher: Argon2idHasher) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    in_its_thread = await hasher._run(niceness)  # pyright: ignore[reportPrivateUsage]
    assert in_its_thread == min(19, niceness() + 5)


async def test_a_hash_with_other_parameters_verifies_and_is_outdated(
    hasher: Argon2idHasher,
) -> None:
    weak = Argon2idHasher(time_cost=1, memory_cost=8)
    hashed = await weak.hash("correct horse")
    weak.close()
    assert await hasher.verify("correct horse", hashed)
    assert hasher.is_outdated(hashed)
    assert not hasher.is_outdated(await hasher.hash("correct horse"))


async def test_a_crowd_is_told_to_come_again(hasher: Argon2idHasher) -> None:
    crowd = [asyncio.create_task(hasher.verify("password", None)) for _ in range(80)]
    results = await asyncio.gather(*crowd, return_exceptions=True)
    busy = [result for result in results if isinstance(result, HasherBusy)]
    assert len(busy) == 16
    assert busy[0].retry_after == timedelta(seconds=2)
    assert results.count(False) == 64
