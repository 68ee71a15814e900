"""The edge: what a call costs before anything is done for it, and what its limit is worth.

Every answer is checked; a sample with a refusal that should not be has no figure.
"""

# redis-py leaves much untyped.
# pyright: reportUnknownMemberType=false

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from functools import partial
from itertools import cycle

import msgspec
import uvloop
from redis import Redis

from benchmarks import peer_process
from benchmarks.api_process import HELLO
from benchmarks.callers import WARM_UP, p50_and_p99
from benchmarks.harness import (
    Benchmark,
    Kind,
    Reading,
    Result,
    Row,
    Sample,
    Site,
    Verdict,
    client_cpu,
)
from benchmarks.load import connected, get, keep_asking
from benchmarks.people import Person, move_in, settings_of, signed_in
from benchmarks.processes import Served, peak_bytes_of_servers, serving_api, serving_peer
from domain.rate_limits import Limit

CALLERS = 48
IDENTITIES = 50
"""Of each caller: so many that none of them reaches the limit."""
BURST = 600
LIMIT = peer_process.LIMIT
SLICES = 8
"""Turns that two servers take in one sample, where the one is measured beside the other."""
STOCK_HELLO = [[get(peer_process.HELLO)]]

GET, LIMITER, AT_ONCE = (
    f"a GET, {CALLERS} callers",
    f"a limiter, {CALLERS} callers",
    f"{BURST} calls at once, limit {LIMIT}",
)
SIGNED_IN, READ_MODEL = "MediaNest, signed in", "MediaNest, and a row"
GATE, STOCK_LIMIT = "MediaNest's gate", "Litestar's rate limit"
OURS_AT_ONCE = "MediaNest, whole"
TARGET_SIGNED_IN, TARGET_READ_MODEL, TARGET_LIMITER = 1.8, 4.0, 5.0
TIMES_HELLO, LIMITER_CPU, REDIS_CPU = "x hello", "limiter µs", "Redis µs"
PASSED, OVER = "passed", "over"

PEOPLE = "edge_people"
REQUESTS_EACH = 20


def benchmark(*, quick: bool) -> Benchmark:
    """The rows; ``quick`` has shorter samples."""
    seconds = 0.5 if quick else 4.0
    row = partial(Row, template=PEOPLE)
    return Benchmark(
        name="edge",
        title="calls that are known, counted and traced, on one process",
        templates={PEOPLE: _make_people},
        rows=(
            row(GET, SIGNED_IN, Kind.OURS, measure=partial(_ours, of=_hello, seconds=seconds)),
            row(GET, READ_MODEL, Kind.OURS, measure=partial(_ours, of=_show, seconds=seconds)),
            row(GET, "Litestar, hello", Kind.PEER, measure=partial(_hello_alone, seconds=seconds)),
            row(
                GET,
                "Litestar, our writes",
                Kind.LIMIT,
                measure=partial(_peer, name="gathering", seconds=seconds),
            ),
            row(
                GET,
                "bare ASGI, hello",
                Kind.LIMIT,
                measure=partial(_peer, name="bare", seconds=seconds),
            ),
            row(LIMITER, GATE, Kind.OURS, measure=partial(_limiter, name="gated", seconds=seconds)),
            row(
                LIMITER,
                STOCK_LIMIT,
                Kind.PEER,
                measure=partial(_limiter, name="limited", seconds=seconds),
            ),
            row(AT_ONCE, OURS_AT_ONCE, Kind.OURS, measure=_burst_of_ours),
            row(AT_ONCE, STOCK_LIMIT, Kind.PEER, measure=_burst_of_peer),
        ),
        verdicts=_verdicts,
        remarks=lambda _: (
            f"CPU is of who answers; {TIMES_HELLO}: beside that of a Litestar hello, in turns.",
            "MediaNest: `medianest api`; token, session, limit, correlation id, access log, ETag.",
            f"{LIMITER_CPU}: CPU of a Litestar hello with the limiter less without, in turns.",
            f"{LIMIT} of {BURST}: over 2 processes and 2 routes of each, by one caller.",
        ),
        compared=_cost,
    )


def _cost(sample: Sample) -> float:
    """What is compared: CPU, of the limiter alone where it is known, or beside a hello."""
    return sample.more.get(LIMITER_CPU) or sample.more.get(TIMES_HELLO) or client_cpu(sample)


def _verdicts(results: Sequence[Result]) -> list[Verdict]:
    rows = {(row.group, row.name): row for row in results}
    limiter = rows[LIMITER, GATE].ratio
    passed = rows[AT_ONCE, OURS_AT_ONCE].more.get(PASSED)
    return [
        _at_most(rows[GET, SIGNED_IN], TARGET_SIGNED_IN),
        _at_most(rows[GET, READ_MODEL], TARGET_READ_MODEL),
        Verdict(
            f"{GATE}: at least {TARGET_LIMITER:g} times cheaper than {STOCK_LIMIT}",
            f"{1 / limiter.median:.1f} times" if limiter else "-",
            met=limiter.median <= 1 / TARGET_LIMITER if limiter else None,
        ),
        Verdict(
            f"{OURS_AT_ONCE}, of {BURST} at once: exactly {LIMIT} pass",
            f"{passed.lowest:.0f} to {passed.highest:.0f}" if passed else "-",
            met=passed.lowest == passed.highest == LIMIT if passed else None,
        ),
    ]


def _at_most(row: Result, target: float) -> Verdict:
    times = row.more.get(TIMES_HELLO)
    return Verdict(
        f"{row.name}: at most {target:g} times the CPU of a Litestar hello",
        f"{times.median:.2f} times" if times else "-",
        met=times.median <= target if times else None,
    )


def _make_people(database_url: str) -> None:
    uvloop.run(move_in(database_url, CALLERS, REQUESTS_EACH))


# A GET


def _hello(person: Person) -> list[bytes]:
    return [get(HELLO, Authorization=f"Bearer {person.token}")]


def _show(person: Person) -> list[bytes]:
    bearer = f"Bearer {person.token}"
    return [get(f"/api/v1/media/requests/{own}", Authorization=bearer) for own in person.requests]


def _ours(site: Site, *, of: Callable[[Person], list[bytes]], seconds: float) -> Sample:
    people = _fresh_people(site)
    serving = serving_api(settings_of(site.database_url, site.redis_url))
    return _beside_hello(site, serving, [of(person) for person in people], seconds)


def _peer(site: Site, *, name: str, seconds: float) -> Sample:
    return _beside_hello(site, serving_peer(name, site.redis_url), STOCK_HELLO, seconds)


def _hello_alone(site: Site, *, seconds: float) -> Sample:
    with serving_peer("litestar", site.redis_url) as served:
        sample = uvloop.run(_loaded(site, served, STOCK_HELLO, seconds))
    more = {TIMES_HELLO: 1.0, **sample.more}
    return msgspec.structs.replace(sample, more=more, peak_bytes=peak_bytes_of_servers())


def _beside_hello(
    site: Site,
    serving: AbstractContextManager[Served],
    requests: Sequence[Sequence[bytes]],
    seconds: float,
) -> Sample:
    with serving_peer("litestar", site.redis_url) as peer, serving as served:
        hello, sample = uvloop.run(
            _in_turns(site, (peer, STOCK_HELLO), (served, requests), seconds / SLICES)
        )
    more = {TIMES_HELLO: client_cpu(sample) / client_cpu(hello), **sample.more}
    return msgspec.structs.replace(sample, more=more, peak_bytes=peak_bytes_of_servers())


async def _in_turns(
    site: Site,
    one: tuple[Served, Sequence[Sequence[bytes]]],
    other: tuple[Served, Sequence[Sequence[bytes]]],
    seconds: float,
) -> tuple[Sample, Sample]:
    """Measure two servers in slices that take turns, so that both meet the same noise."""
    samples = [
        [await _loaded(site, served, requests, seconds) for served, requests in (one, other)]
        for _ in range(SLICES)
    ]
    of_one, of_other = zip(*samples, strict=True)
    return _sum(of_one), _sum(of_other)


def _sum(samples: Sequence[Sample]) -> Sample:
    """All of them as one, without the percentiles, which have no sum."""
    readings = [sample.reading for sample in samples]
    reading = Reading(
        wall=sum(one.wall for one in readings),
        client_cpu=sum(one.client_cpu for one in readings),
        server_cpu=sum(one.server_cpu for one in readings),
    )
    answers = sum(sample.events for sample in samples)
    redis = sum(sample.more[REDIS_CPU] * sample.events for sample in samples) / answers
    return Sample(answers, reading, more={REDIS_CPU: redis})


async def _loaded(
    site: Site, served: Served, requests: Sequence[Sequence[bytes]], seconds: float
) -> Sample:
    async with connected(served.port, CALLERS) as connections:
        await keep_asking(connections, requests, seconds * WARM_UP)
        busy = _redis_cpu(site)
        with site.clock(served.pid) as reading:
            load = await keep_asking(connections, requests, seconds)
        answers = len(load.latencies)
        redis_us = (_redis_cpu(site) - busy) / answers * 1e6
    assert load.statuses.keys() == {200}, f"the answers are {load.statuses}"
    return Sample(answers, reading, p50_and_p99(load.latencies), more={REDIS_CPU: redis_us})


def _fresh_people(site: Site) -> list[Person]:
    """The people, of whom no limit and no cache knows anything yet."""
    _forget_all(site)
    return uvloop.run(signed_in(site))


# A limiter alone


def _limiter(site: Site, *, name: str, seconds: float) -> Sample:
    _forget_all(site)
    requests = [
        [get(peer_process.HELLO, x_caller=f"{caller}-{n}") for n in range(IDENTITIES)]
        for caller in range(CALLERS)
    ]
    with (
        serving_peer("litestar", site.redis_url) as plain,
        serving_peer(name, site.redis_url) as limited,
    ):
        without, sample = uvloop.run(
            _in_turns(site, (plain, requests), (limited, requests), seconds / SLICES)
        )
    limiter = (client_cpu(sample) - client_cpu(without)) * 1e6
    more = {LIMITER_CPU: limiter, **sample.more}
    return msgspec.structs.replace(sample, more=more, peak_bytes=peak_bytes_of_servers())


# Many at once


def _burst_of_ours(site: Site) -> Sample:
    person = _fresh_people(site)[0]
    settings = settings_of(site.database_url, site.redis_url, Limit(LIMIT, 3600))
    with serving_api(settings) as one, serving_api(settings) as other:
        sample = uvloop.run(_burst(site, (one, other), [*_hello(person), _show(person)[0]]))
    return msgspec.structs.replace(sample, peak_bytes=peak_bytes_of_servers())


def _burst_of_peer(site: Site) -> Sample:
    _forget_all(site)
    with (
        serving_peer("limited", site.redis_url) as one,
        serving_peer("limited", site.redis_url) as other,
    ):
        paths = (peer_process.HELLO, peer_process.OTHER)
        requests = [get(path, x_caller="one") for path in paths]
        sample = uvloop.run(_burst(site, (one, other), requests))
    return msgspec.structs.replace(sample, peak_bytes=peak_bytes_of_servers())


async def _burst(site: Site, served: Sequence[Served], requests: Sequence[bytes]) -> Sample:
    """Ask all at once on connections that are open already, half of each process."""
    each = BURST // len(served)
    async with AsyncExitStack() as stack:
        connections = [
            connection
            for one in served
            for connection in await stack.enter_async_context(connected(one.port, each))
        ]
        busy = _redis_cpu(site)
        with site.clock(*(one.pid for one in served)) as reading:
            answers = await asyncio.gather(
                *(c.ask(request) for c, request in zip(connections, cycle(requests), strict=False))
            )
        redis_us = (_redis_cpu(site) - busy) / BURST * 1e6
    statuses = Counter(answer.status for answer in answers)
    assert statuses.keys() <= {200, 429}, f"the answers are {statuses}"
    passed = statuses[200]
    more = {PASSED: passed, OVER: max(0, passed - LIMIT), REDIS_CPU: redis_us}
    latencies = p50_and_p99([answer.seconds for answer in answers])
    return Sample(BURST, reading, latencies, more=more)


# Redis


def _forget_all(site: Site) -> None:
    with Redis.from_url(site.redis_url) as redis:
        redis.flushall()


def _redis_cpu(site: Site) -> float:
    """The seconds of CPU that it has used so far."""
    with Redis.from_url(site.redis_url) as redis:
        used = redis.info("cpu")
    return used["used_cpu_user"] + used["used_cpu_sys"]
