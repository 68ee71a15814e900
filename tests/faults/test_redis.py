"""Redis is hung, killed, stopped and emptied in the middle of traffic; PostgreSQL with it.

Nobody is signed out, nobody is let in, and the limit of sign-in stays strict.
"""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import httpx
import jwt
import msgspec
import psutil
import pytest
import redis.asyncio
import websockets

from tests.faults.crowd import ADMIN_CALLS, ALONE, ENVIRONMENT, SIGN_INS, Crowd, refused
from tests.faults.test_servers import server
from tests.faults.traffic import Headers, traffic
from tests.running import Running, medianest

A_WHILE = 6.0
"""Seconds; what tries again after pauses that double would have come to long ones."""


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Running]:
    async with medianest(tmp_path, "--api", "2", environment=ENVIRONMENT) as started:
        yield started


# What is done to Redis

Harm = Callable[[Running], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def hung(running: Running) -> AsyncGenerator[None]:
    """It takes connections and questions, and does not answer."""
    valkey = psutil.Process(server(running, "valkey-server"))
    valkey.suspend()
    try:
        yield
    finally:
        valkey.resume()


@asynccontextmanager
async def killed(running: Running) -> AsyncGenerator[None]:
    async with ended(running, signal.SIGKILL):
        yield


@asynccontextmanager
async def stopped(running: Running) -> AsyncGenerator[None]:
    async with ended(running, signal.SIGTERM):
        yield


@asynccontextmanager
async def ended(running: Running, how: signal.Signals) -> AsyncGenerator[None]:
    """It comes back after the context; the supervisor, which would start it again, stands still.

    Else it would be back within a second, which is too short to look at everything.
    """
    valkey = psutil.Process(server(running, "valkey-server"))
    supervisor = psutil.Process(running.process.pid)
    supervisor.suspend()
    try:
        valkey.send_signal(how)
        async with asyncio.timeout(10):
            while valkey.status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.01)
        yield
    finally:
        supervisor.resume()


def client_of_redis(running: Running) -> Any:
    redis_py: Any = redis.asyncio  # whose annotations leave keyword arguments open
    return redis_py.Redis.from_url(running.servers.redis_url)


async def empty(running: Running) -> None:
    """Flush it, scripts and all."""
    async with client_of_redis(running) as client:
        await client.flushall()
        await client.script_flush()


# What is told of it


async def is_told(
    running: Running, pid: int, *, redis_away: bool = False, postgres_away: bool = False
) -> None:
    """The health page and the metric of a process say so, within the time this waits."""
    wanted = {"postgres": not postgres_away, "redis": not redis_away}
    metric = f"\nmedianest_redis_away {float(redis_away)}\n"
    async with running.client_at(pid) as client, asyncio.timeout(20):
        while metric not in (await client.get(f"{running.url}/metrics")).text:
            await asyncio.sleep(0.02)
        while not wanted.items() <= (parts := await ready(client)).items():
            await asyncio.sleep(0.02)
    assert parts == wanted | {"projector": not postgres_away}


async def ready(client: httpx.AsyncClient) -> dict[str, bool]:
    """What the health page says: which part is well."""
    answer = await client.get("/health/ready")
    parts = {part["name"]: part["ok"] for part in answer.json()["parts"]}
    assert answer.status_code == (200 if all(parts.values()) else 503)
    return parts


async def open_alerts(running: Running, admin: Headers) -> list[tuple[str, str]]:
    async with running.client(None) as client:
        answer = await client.get("/admin/alerts", params={"open": True}, headers=admin)
    assert answer.status_code == 200, answer.text
    return [(alert["kind"], alert["subject"]) for alert in answer.json()["items"]]


async def heard(
    socket: websockets.ClientConnection, kind: str, *, within: float = 20
) -> dict[str, Any]:
    """The next event of this kind."""
    async with asyncio.timeout(within):
        while True:
            message = msgspec.json.decode(await socket.recv())
            if message["type"] == "event" and message["data"]["type"] == kind:
                return message["data"]["data"]


# The tests


@pytest.mark.parametrize("harm", [hung, killed, stopped])
async def test_while_redis_is_away_and_when_it_is_back_everything_holds(
    running: Running, harm: Harm
) -> None:
    async with traffic(running) as all_traffic:
        crowd = Crowd(running, all_traffic)
        await crowd.gather("before", "just before", "here", "there", "after")
        here, there = all_traffic.processes
        audit = await crowd.audit()
        await crowd.doomed["before"].close(here)
        await crowd.use_up_the_limits()

        await crowd.doomed["just before"].close(there)
        async with harm(running):
            await all_holds_while_it_is_away(running, crowd, audit, (here, there))

        for pid in all_traffic.processes:
            await is_told(running, pid)
        await heard(audit, "alert.resolved")
        await crowd.doomed["after"].close(there)
        for one in crowd.spent:
            await one.until(refused)
        for one in crowd.good:
            await one.until(lambda answer: answer.remaining is not None)
        assert sum(one.admitted for one in await crowd.guess()) == SIGN_INS
        assert await open_alerts(running, crowd.steward) == []
        await crowd.check()


async def all_holds_while_it_is_away(
    running: Running,
    crowd: Crowd,
    audit: websockets.ClientConnection,
    processes: tuple[int, int],
) -> None:
    before = [one.admitted for one in crowd.guesses[0]]
    for pid in processes:
        await is_told(running, pid, redis_away=True)
    raised = await heard(audit, "alert.raised")
    assert (raised["kind"], raised["subject"]) == ("service", "redis")
    assert await open_alerts(running, crowd.steward) == [("service", "redis")]
    await crowd.doomed["here"].close(processes[0])
    await crowd.doomed["there"].close(processes[1])
    for one in (*crowd.good, *crowd.spent):
        await one.until(lambda answer: (answer.status, answer.remaining) == (200, None))
    for one, admitted in zip(crowd.guesses[0], before, strict=True):
        await one.until(refused)
        assert one.admitted == max(admitted, ALONE)
    assert [one.admitted for one in await crowd.guess()] == [ALONE, ALONE]
    # In the first minute of a day nothing is told; of an admin more may be told meanwhile.
    while (await heard(audit, "rate_limit_violation.recorded", within=80))["policy"] != "auth":
        pass


async def test_however_often_redis_goes_away_and_forgets_everything_holds(running: Running) -> None:
    rounds = range(4)
    async with traffic(running) as all_traffic:
        crowd = Crowd(running, all_traffic)
        await crowd.gather(*(f"{when} {n}" for n in rounds for when in ("before", "meanwhile")))
        here, there = all_traffic.processes
        await crowd.use_up_the_limits()
        for n in rounds:
            await crowd.doomed[f"before {n}"].close(here)
            async with hung(running):
                await crowd.doomed[f"meanwhile {n}"].close(there)
            await empty(running)
        for pid in all_traffic.processes:
            await is_told(running, pid)
        for one in crowd.guesses[0]:
            await one.until(refused)
        await crowd.check()


async def test_an_emptied_redis_forgets_only_what_was_counted(running: Running) -> None:
    async with traffic(running) as all_traffic:
        crowd = Crowd(running, all_traffic)
        await crowd.gather("before", "just before", "meanwhile", "after")
        here, there = all_traffic.processes
        await crowd.doomed["before"].close(here)
        await crowd.use_up_the_limits()

        await crowd.doomed["just before"].close(there)
        await empty(running)
        await asyncio.gather(
            crowd.doomed["meanwhile"].close(here), *(empty(running) for _ in range(5))
        )
        await crowd.doomed["after"].close(there)
        for one in (*crowd.spent, *crowd.guesses[0]):
            await one.until(refused)
        assert sum(one.admitted for one in crowd.spent) > ADMIN_CALLS
        assert [one.admitted for one in crowd.guesses[0]] == [SIGN_INS, SIGN_INS]
        for pid in all_traffic.processes:
            await is_told(running, pid)
        await crowd.check()


async def test_postgres_restarts_while_redis_is_emptied(running: Running) -> None:
    async with traffic(running) as all_traffic:
        crowd = Crowd(running, all_traffic)
        await crowd.gather("before", "just before", "after", "later")
        here, there = all_traffic.processes
        await crowd.doomed["before"].close(here)
        await crowd.doomed["just before"].close(there)
        psutil.Process(server(running, "postgres")).kill()
        await empty(running)
        await all_well_again(running, crowd, here, there)


async def test_postgres_and_redis_are_away_together_for_a_while(running: Running) -> None:
    async with traffic(running) as all_traffic:
        crowd = Crowd(running, all_traffic)
        await crowd.gather("before", "just before", "after", "later")
        here, there = all_traffic.processes
        await crowd.doomed["before"].close(here)
        await crowd.doomed["just before"].close(there)
        async with killed(running):
            psutil.Process(server(running, "postgres")).kill()
            for pid in all_traffic.processes:
                await is_told(running, pid, redis_away=True, postgres_away=True)
            await asyncio.sleep(A_WHILE)
        await all_well_again(running, crowd, here, there)


async def all_well_again(running: Running, crowd: Crowd, here: int, there: int) -> None:
    """As soon as both processes say so, everything is as if nothing had been."""
    for pid in (here, there):
        await is_told(running, pid)
    well_since = monotonic()
    await crowd.doomed["after"].close(here)
    await crowd.doomed["later"].close(there)
    async with asyncio.timeout(20):
        while await open_alerts(running, crowd.steward):
            await asyncio.sleep(2)
    await crowd.check(excused={503})
    for one in crowd.good:
        assert one.statuses(since=well_since) == {200}


async def test_a_session_closed_by_a_process_that_died_before_redis_was_back_stays_closed(
    running: Running,
) -> None:
    here, there = running.pids("api")
    async with running.client_at(there) as client:
        token = await running.token(client, "user")
        session = {"Authorization": f"Bearer {token}"}
        assert (await client.get("/auth/me", headers=session)).status_code == 200
    async with hung(running):
        async with running.client_at(here) as client:
            assert (await client.post("/auth/logout", headers=session)).status_code == 204
        psutil.Process(here).kill()
    assert await is_open_in_redis(running, token), "nobody was left to tell it"
    async with running.client_at(there) as client:
        assert (await client.get("/auth/me", headers=session)).status_code == 401
    assert not await is_open_in_redis(running, token)


async def is_open_in_redis(running: Running, token: str) -> bool:
    """What Redis remembers of the token's session."""
    session_id = UUID(jwt.decode(token, options={"verify_signature": False})["sid"])
    async with client_of_redis(running) as client:
        remembered = await client.get(f"medianest:standing:{session_id.hex}")
    return msgspec.json.decode(remembered)["open"]


async def test_an_alert_that_is_open_when_the_processes_die_is_resolved_by_the_next(
    running: Running,
) -> None:
    async with httpx.AsyncClient(base_url=f"{running.url}/api/v1", trust_env=False) as client:
        admin = {"Authorization": f"Bearer {await running.token(client, 'admin')}"}
    async with hung(running), asyncio.timeout(20):
        while await open_alerts(running, admin) != [("service", "redis")]:
            await asyncio.sleep(0.2)
        before = running.pids("api")
        running.kill("api")
    async with asyncio.timeout(30):
        while len(running.pids("api")) < len(before) or {*before} & {*running.pids("api")}:
            await asyncio.sleep(0.1)
        while await open_alerts(running, admin):
            await asyncio.sleep(1)
