"""A request reaches Overseerr exactly once, whatever fails and whoever is killed on the way."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from psycopg.sql import SQL, Literal

from infrastructure.stand_ins.faults import Drop, Fault, Hang, Refuse, Slow, Status
from tests.running import Running, medianest

POST, GET = "POST", "GET"


ENVIRONMENT = {"MEDIANEST_LEASE_SECONDS": "2"}


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    """One for all tests that kill nobody."""
    path: Path = tmp_path_factory.mktemp("forwarding")
    async with medianest(path, environment=ENVIRONMENT) as started:
        yield started


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Running]:
    """One for each test that kills: its supervisor waits longer before every further restart."""
    async with medianest(tmp_path, environment=ENVIRONMENT) as started:
        yield started


@pytest.fixture
async def user(request: pytest.FixtureRequest) -> AsyncGenerator[httpx.AsyncClient]:
    name = "running" if "running" in request.fixturenames else "shared"
    async with request.getfixturevalue(name).client("user") as client:
        yield client


_ids = iter(range(100_000, 200_000))


async def ask(user: httpx.AsyncClient) -> tuple[str, int]:
    """Request a title that nobody has asked for; its request and its TMDB id."""
    tmdb_id = next(_ids)
    answer = await user.post("/media/request", json={"mediaType": "movie", "tmdbId": tmdb_id})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return answer.json()["id"], tmdb_id


async def history(user: httpx.AsyncClient, request_id: str) -> list[dict[str, Any]]:
    return (await user.get(f"/media/requests/{request_id}/history")).json()["items"]


async def until(condition: Callable[[], Awaitable[Any]], *, seconds: float = 40) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def forwarded(user: httpx.AsyncClient, request_id: str, *, seconds: float = 40) -> list[str]:
    """Wait until Overseerr has it; the types of the events that led there."""

    async def is_forwarded() -> bool:
        entries = await history(user, request_id)
        return entries[-1]["type"] == "media_request.forwarded"

    await until(is_forwarded, seconds=seconds)
    return [
        entry["type"].removeprefix("media_request.") for entry in await history(user, request_id)
    ]


async def called(running: Running, method: str, tmdb_id: int) -> bool:
    """Whether Overseerr has been called about a title."""
    for call in await running.overseerr.calls():
        about = call.path.endswith(f"/{tmdb_id}") or str(tmdb_id) in str(call.body)
        if call.method == method and about:
            return True
    return False


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([Refuse(seconds=3)], id="refused"),
        pytest.param([Status(status=500, times=2)], id="500"),
        pytest.param([Status(status=500, times=2, method=POST)], id="500 on the way in"),
        pytest.param(
            [Status(status=500, times=1, method=POST, work_first=True)], id="500 after all"
        ),
        pytest.param([Drop(times=2)], id="cut off"),
        pytest.param([Drop(times=1, method=POST, work_first=True)], id="cut off after all"),
        pytest.param([Hang(times=1, method=POST)], id="hung"),
        pytest.param([Slow(delay=12, times=1, method=POST)], id="too slow"),
        pytest.param(
            [Slow(delay=12, times=1, method=POST, work_first=True)], id="too slow after all"
        ),
    ],
)
async def test_overseerr_fails_and_gets_it_once_when_it_is_back(
    shared: Running, user: httpx.AsyncClient, faults: Sequence[Fault]
) -> None:
    await shared.overseerr.fail(*faults)
    request_id, tmdb_id = await ask(user)
    types = await forwarded(user, request_id)
    assert types[0] == "requested"
    assert set(types[1:-1]) == {"forwarding_failed"}
    assert (await shared.in_overseerr()).count(tmdb_id) == 1


@pytest.mark.timeout(180)
async def test_overseerr_asks_for_patience_for_a_minute_and_is_given_it(
    shared: Running, user: httpx.AsyncClient
) -> None:
    too_many = Status(status=429, headers={"Retry-After": "20"}, seconds=60)
    await shared.overseerr.fail(too_many)
    request_id, tmdb_id = await ask(user)
    types = await forwarded(user, request_id, seconds=120)
    assert types == ["requested", *["forwarding_failed"] * 3, "forwarded"]
    assert (await shared.in_overseerr()).count(tmdb_id) == 1


@pytest.mark.parametrize(
    ("fault", "method"),
    [
        pytest.param(Slow(delay=3, times=1, method=GET), GET, id="looking whether it is there"),
        pytest.param(Slow(delay=3, times=1, method=POST), POST, id="before Overseerr has made it"),
        pytest.param(
            Slow(delay=3, times=1, method=POST, work_first=True),
            POST,
            id="after Overseerr has made it",
        ),
    ],
)
async def test_the_worker_is_killed_while_it_talks_to_overseerr(
    running: Running, user: httpx.AsyncClient, fault: Fault, method: str
) -> None:
    await running.overseerr.fail(fault)
    request_id, tmdb_id = await ask(user)
    await until(lambda: called(running, method, tmdb_id))
    running.kill("worker")
    assert (await forwarded(user, request_id))[-1] == "forwarded"
    assert (await running.in_overseerr()).count(tmdb_id) == 1


@pytest.mark.parametrize(
    ("victim", "lock"),
    [
        pytest.param(
            "projector",
            "SELECT FROM checkpoints WHERE subscriber = 'forward_requests' FOR UPDATE",
            id="before the reactor has stored the job",
        ),
        pytest.param("worker", "LOCK TABLE outbox IN SHARE MODE", id="before the job is taken"),
        pytest.param(
            "worker",
            "SELECT pg_advisory_xact_lock(19790, 'public.events'::regclass::oid::integer)",
            id="before what came of it is stored",
        ),
    ],
)
async def test_a_process_is_killed_at_its_next_write(
    running: Running, user: httpx.AsyncClient, victim: str, lock: str
) -> None:
    """The lock holds the process at the step; it dies there, and the lock goes."""
    await running.overseerr.fail(Slow(delay=1, times=1, method=POST))
    with running.connect() as connection, connection.transaction():
        if "advisory" in lock:  # the request itself is stored the same way, so it comes first
            request_id, tmdb_id = await ask(user)
            connection.execute(lock.encode())
        else:
            connection.execute(lock.encode())
            request_id, tmdb_id = await ask(user)
        await until(lambda: waiting_for_a_lock(running, victim))
        running.kill(victim)
    assert (await forwarded(user, request_id))[-1] == "forwarded"
    assert (await running.in_overseerr()).count(tmdb_id) == 1


async def test_the_worker_is_killed_between_storing_what_came_of_it_and_ending_the_job(
    running: Running, user: httpx.AsyncClient
) -> None:
    await running.overseerr.fail(Slow(delay=1, times=1, method=POST))
    request_id, tmdb_id = await ask(user)
    await until(lambda: called(running, POST, tmdb_id))
    with running.connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE outbox IN SHARE MODE")
        assert (await forwarded(user, request_id))[-1] == "forwarded"
        await until(lambda: waiting_for_a_lock(running, "worker"))
        running.kill("worker")
    await until(lambda: outbox_is_empty(running))
    assert (await forwarded(user, request_id)).count("forwarded") == 1
    assert (await running.in_overseerr()).count(tmdb_id) == 1


async def test_the_api_is_killed_right_after_its_answer(
    running: Running, user: httpx.AsyncClient
) -> None:
    request_id, tmdb_id = await ask(user)
    running.kill("api")
    async with asyncio.timeout(30):
        while True:
            try:
                assert (await forwarded(user, request_id))[-1] == "forwarded"
                break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    assert (await running.in_overseerr()).count(tmdb_id) == 1


@pytest.mark.timeout(180)
async def test_everybody_is_killed_at_random_moments(
    running: Running, user: httpx.AsyncClient
) -> None:
    asked: dict[int, str] = {}
    flaky = [Status(status=500, times=3), Drop(times=3, method=POST, work_first=True)]
    await running.overseerr.fail(*flaky)
    for _ in range(12):
        try:
            request_id, tmdb_id = await ask(user)
            asked[tmdb_id] = request_id
        except httpx.TransportError:
            continue
        finally:
            running.kill(random.choice(["worker", "projector", "api"]))
            await asyncio.sleep(random.uniform(0, 1.5))

    async def all_forwarded() -> bool:
        try:
            return all(
                [
                    (await history(user, request_id))[-1]["type"] == "media_request.forwarded"
                    for request_id in asked.values()
                ]
            )
        except httpx.TransportError:
            return False

    await until(all_forwarded, seconds=120)
    assert len(asked) >= 5
    counts = Counter(await running.in_overseerr())
    assert {tmdb_id: counts[tmdb_id] for tmdb_id in asked} == dict.fromkeys(asked, 1)


async def waiting_for_a_lock(running: Running, role: str) -> bool:
    """Whether a statement of a role's processes waits for a lock."""
    application = {"worker": "medianest w%", "projector": "medianest forward%"}[role]
    with running.connect() as connection:
        cursor = connection.execute(
            SQL(
                "SELECT 1 FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND application_name LIKE {}"
            ).format(Literal(application))
        )
        return cursor.fetchone() is not None


async def outbox_is_empty(running: Running) -> bool:
    with running.connect() as connection:
        return connection.execute("SELECT 1 FROM outbox").fetchone() is None
