"""The seed's rate-limiting flow, over two API processes: who gets in, and what is told of it."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from itertools import count, cycle
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
import websockets

from tests.interfaces.problems import problem
from tests.journeys.people import AT_ONCE, SignedIn, add_person, sign_in
from tests.running import Running, medianest

HOUR = 3600
ROUTES = ("/auth/me", "/media/requests")
OF_ONE_CLIENT = 20
"""Calls that one client of ours has under way; with many more it is slow."""
GUESS = {"email": "nobody@example.org", "password": "a guess"}

Call = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]

_hosts = count(2)


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    """One with the seed's limit of 100 calls an hour."""
    path: Path = tmp_path_factory.mktemp("rate_limits")
    limits = {"MEDIANEST_LIMIT_GENERAL": "100/hour"}
    async with medianest(path, "--api", "2", environment=limits) as started:
        yield started


@pytest.fixture
async def held(running: Running, here: httpx.AsyncClient) -> SignedIn:
    """Somebody who has made no call yet."""
    return await sign_in(here, await add_person(running))


@asynccontextmanager
async def client_of(running: Running, **options: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of whichever process; ``options`` are those of its transport."""
    async with httpx.AsyncClient(
        base_url=f"{running.url}/api/v1",
        transport=httpx.AsyncHTTPTransport(trust_env=False, **options),
        timeout=60,
    ) as client:
        yield client


def new_address() -> str:
    """One from which nobody has called."""
    return f"127.0.8.{next(_hosts)}"


def check_headers(
    answer: httpx.Response, limit: int, window: int = HOUR, policy: str = "general"
) -> int:
    """The headers of the contract agree with each other; what is left."""
    headers = answer.headers
    remaining, reset = int(headers["X-Rate-Limit-Remaining"]), int(headers["X-Rate-Limit-Reset"])
    assert headers["X-Rate-Limit-Limit"] == str(limit)
    assert 0 <= remaining < max(limit, 1)
    assert 0 < reset <= window + 1
    assert headers["RateLimit-Policy"] == f'"{policy}";q={limit};w={window}'
    assert headers["RateLimit"] == f'"{policy}";r={remaining};t={reset}'
    return remaining


def check_refusal(
    answer: httpx.Response, limit: int, window: int = HOUR, policy: str = "general"
) -> int:
    """How many seconds the refused one is told to wait."""
    body = problem(answer, 429, "too-many-requests")
    assert check_headers(answer, limit, window, policy) == 0
    retry_after = int(answer.headers["Retry-After"])
    assert 1 <= retry_after <= window + 1
    assert body["retryAfter"] == retry_after
    return retry_after


async def change(
    running: Running, admin: httpx.AsyncClient, limit: int, seconds: int, policy: str = "general"
) -> httpx.Response:
    """Change a limit, and see that it is in force at every process at once."""
    wish = {"limit": limit, "windowSeconds": seconds}
    answer = await admin.put(f"/admin/rate-limits/{policy}", json=wish)
    assert answer.status_code == 200, answer.text
    changed_at = monotonic()
    for pid in running.pids("api"):
        async with running.client_at(pid, address=new_address()) as client:
            while True:
                asked_at = monotonic()
                shown = await (guess(client) if policy == "auth" else ask(client))
                if shown.headers["RateLimit-Policy"] == f'"{policy}";q={limit};w={seconds}':
                    break
                assert asked_at < changed_at + AT_ONCE, "not in force everywhere"
    return answer


@asynccontextmanager
async def limited(
    running: Running, admin: httpx.AsyncClient, limit: int, seconds: int, policy: str = "general"
) -> AsyncGenerator[httpx.Response]:
    """Another limit for the length of the context."""
    shown = (await admin.get("/admin/rate-limits")).json()["policies"]
    (before,) = (each for each in shown if each["policy"] == policy)
    try:
        yield await change(running, admin, limit, seconds, policy)
    finally:
        await change(running, admin, before["limit"], before["windowSeconds"], policy)


async def ask(client: httpx.AsyncClient) -> httpx.Response:
    return await client.get("/auth/me")


async def guess(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/auth/login", json=GUESS)


# How many get in


class Measured(NamedTuple):
    """How often one process has answered so."""

    passed: dict[str, int]
    refused: int


async def measured(running: Running, pid: int) -> Measured:
    async with running.client_at(pid) as client:
        text = (await client.get(f"{running.url}/metrics")).text

    def value(sample: str) -> int:
        found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
        return int(float(found[1])) if found else 0

    name = 'medianest_http_requests_total{{method="GET",route="/api/v1{}",status="200"}}'
    return Measured(
        {route: value(name.format(route)) for route in ROUTES},
        value('medianest_rate_limit_refusals_total{policy="general"}'),
    )


async def test_of_six_hundred_at_once_over_two_processes_and_two_routes_a_hundred_pass(
    running: Running, held: SignedIn
) -> None:
    before = [await measured(running, pid) for pid in running.pids("api")]
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(client_of(running)) for _ in range(600 // OF_ONE_CLIENT)
        ]
        calls = zip(range(600), cycle(clients), strict=False)
        answers = await asyncio.gather(
            *(client.get(ROUTES[n % 2], headers=held.headers) for n, client in calls)
        )
    after = [await measured(running, pid) for pid in running.pids("api")]

    assert Counter(answer.status_code for answer in answers) == {200: 100, 429: 500}
    passed = [answer for answer in answers if answer.status_code == 200]
    assert sorted(check_headers(answer, 100) for answer in passed) == [*range(100)]
    for answer in answers:
        if answer.status_code == 429:
            assert HOUR - 60 < check_refusal(answer, 100) <= HOUR + 1

    for then, now in zip(before, after, strict=True):
        assert all(now.passed[route] > then.passed[route] for route in ROUTES), "left out"
        assert now.refused > then.refused, "left out"
    passed_in_all = [sum(sum(one.passed.values()) for one in each) for each in (before, after)]
    refused_in_all = [sum(one.refused for one in each) for each in (before, after)]
    assert passed_in_all[1] - passed_in_all[0] == 100
    assert refused_in_all[1] - refused_in_all[0] == 500


async def test_somebody_who_is_not_signed_in_is_counted_by_their_address(
    running: Running, admin: httpx.AsyncClient, held: SignedIn
) -> None:
    forged = {"Authorization": f"Bearer {held.access_token[:-8]}forgery-"}
    one, another = new_address(), new_address()
    here, there = running.pids("api")
    async with (
        limited(running, admin, 4, HOUR),
        running.client_at(here, address=one) as first,
        running.client_at(there, address=one) as second,
        running.client_at(there, address=another) as other,
    ):
        answers = [
            await client.get("/auth/me", headers=headers)
            for client in (first, second)
            for headers in ({}, forged)
        ]
        assert [answer.status_code for answer in answers] == [401] * 4
        assert [check_headers(answer, 4) for answer in answers] == [3, 2, 1, 0]
        for client in (first, second):
            for headers in ({}, forged):
                check_refusal(await client.get("/media/requests", headers=headers), 4)
        assert (await other.get("/auth/me")).status_code == 401
        mine = await first.get("/auth/me", headers=held.headers)
        assert (mine.status_code, check_headers(mine, 4)) == (200, 3)
    found = await violations(admin, lambda items: any(_of_an_address(item) for item in items))
    assert one not in str(found)


def _of_an_address(item: dict[str, Any]) -> bool:
    return re.fullmatch(r"address:[0-9a-f-]{36}", item["subject"]) is not None


# When the next gets in


@pytest.mark.parametrize(("policy", "call"), [("general", ask), ("auth", guess)])
async def test_after_retry_after_the_next_passes_and_none_clearly_before(
    running: Running, admin: httpx.AsyncClient, policy: str, call: Call
) -> None:
    limit, window, address = 5, 3, new_address()
    waits: list[int] = []
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(limited(running, admin, limit, window, policy))
        doors = cycle(
            [
                await stack.enter_async_context(running.client_at(pid, address=address))
                for pid in running.pids("api")
            ]
        )
        too_early = 0
        for pause in (0.0, 0.35, 0.1, 0.25):
            while True:
                asked_at = monotonic()
                answer = await call(next(doors))
                told_at = monotonic()
                if answer.status_code == 429:
                    break
                check_headers(answer, limit, window, policy)
                await asyncio.sleep(pause)
            wait = check_refusal(answer, limit, window, policy)
            waits.append(wait)
            # It is told in whole seconds, so what it is exactly may be up to a second less.
            while monotonic() < asked_at + wait - 1:
                again = await call(next(doors))
                if monotonic() < asked_at + wait - 1:
                    check_refusal(again, limit, window, policy)
                    too_early += 1
                await asyncio.sleep(0.1)
            await asyncio.sleep(told_at + wait - monotonic())
            assert (await call(next(doors))).status_code != 429
    assert too_early > 3
    assert len({*waits}) > 1


# What admins do about it, and what is told of it


async def test_a_change_is_in_force_at_every_process_at_once_and_is_an_event(
    running: Running, admin: httpx.AsyncClient, held: SignedIn
) -> None:
    async with (
        running.socket(admin, "audit") as audit,
        limited(running, admin, 3, HOUR) as changed,
        client_of(running) as client,
    ):
        event = await heard(audit, "rate_limit_policy.changed")
        assert event["data"] == {"policy": "general", "limit": 3, "windowSeconds": HOUR}
        assert event["actor"].startswith("account:")
        for remaining in (2, 1, 0):
            answer = await client.get("/auth/me", headers=held.headers)
            assert (answer.status_code, check_headers(answer, 3)) == (200, remaining)
        check_refusal(await client.get("/auth/me", headers=held.headers), 3)
        async with limited(running, admin, 5, HOUR):  # those that were counted still count
            for remaining in (1, 0):
                answer = await client.get("/auth/me", headers=held.headers)
                assert (answer.status_code, check_headers(answer, 5)) == (200, remaining)
        check_refusal(await client.get("/auth/me", headers=held.headers), 3)

        shown = changed.json()
        assert (shown["limit"], shown["windowSeconds"]) == (3, HOUR)
        assert shown["changedBy"] == event["actor"]
        for pid in running.pids("api"):
            async with running.client_at(pid) as one:
                after = {"after": changed.headers["X-Position"]}
                answer = await one.get("/admin/rate-limits", params=after, headers=admin.headers)
            (policy,) = (each for each in answer.json()["policies"] if each["policy"] == "general")
            assert (policy["limit"], policy["windowSeconds"]) == (3, HOUR)


async def heard(
    socket: websockets.ClientConnection, kind: str, *, within: float = 10
) -> dict[str, Any]:
    """The next event of this kind."""
    async with asyncio.timeout(within):
        while True:
            message = msgspec.json.decode(await socket.recv())
            if message["type"] == "event" and message["data"]["type"] == kind:
                return message["data"]


@pytest.mark.timeout(300)
async def test_refusals_are_told_at_most_once_a_minute_and_add_up(
    running: Running, admin: httpx.AsyncClient, held: SignedIn
) -> None:
    subject, told = f"account:{held.user['id']}", list[dict[str, Any]]()
    here, there = running.pids("api")

    async with limited(running, admin, 2, HOUR), running.socket(admin, "audit") as audit:
        async with running.client_at(here) as client:
            for status in (200, 200, 429):
                answer = await client.get("/auth/me", headers=held.headers)
                assert answer.status_code == status
        told.append(await told_of(audit, subject))
        async with running.client_at(there) as client:
            for _ in range(24):
                check_refusal(await client.get("/auth/me", headers=held.headers), 2)
        while sum(entry["count"] for entry in told) < 25:
            told.append(await told_of(audit, subject))
    assert [entry["count"] for entry in told] == [1, 24]
    assert {entry["policy"] for entry in told} == {"general"}
    first, second = [datetime.fromisoformat(entry["at"]) for entry in told]
    assert second - first >= timedelta(minutes=1)

    def shown(items: Sequence[dict[str, Any]]) -> bool:
        (of_subject,) = (item for item in items if item["subject"] == subject)
        return of_subject["count"] == 25

    await violations(admin, shown)


async def told_of(audit: websockets.ClientConnection, subject: str) -> dict[str, Any]:
    """The next event of refusals of the subject. In the first minute of a day nothing is told."""
    while True:
        entry = await heard(audit, "rate_limit_violation.recorded", within=125)
        if entry["data"]["subject"] == subject:
            return entry["data"]


async def violations(
    admin: httpx.AsyncClient, wanted: Callable[[Sequence[dict[str, Any]]], bool]
) -> Sequence[dict[str, Any]]:
    """Who was refused, as soon as the read model shows what is wanted."""
    async with asyncio.timeout(80):
        while True:
            answer = await admin.get("/admin/rate-limits", params={"limit": 100})
            items = answer.json()["violations"]["items"]
            if wanted(items):
                return items
            await asyncio.sleep(0.2)
