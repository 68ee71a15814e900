"""Signing in: how long the event loop keeps everybody else waiting, and what a refusal gives away.

Every password is hashed for real, with Argon2id and the parameters of production.
"""

import asyncio
import statistics
from collections.abc import Sequence
from functools import partial
from itertools import cycle

import msgspec
import uvloop

from benchmarks import api_process, peer_process
from benchmarks.callers import p50_and_p99
from benchmarks.harness import Benchmark, Kind, Result, Row, Sample, Site, Verdict
from benchmarks.load import Answer, Connection, connected, get, post
from benchmarks.people import PASSWORD, email_of, move_in, settings_of, signed_in
from benchmarks.probe import Lags
from benchmarks.processes import Served, peak_bytes_of_servers, serving_api, serving_peer

SIGN_INS = 40
OTHERS = 8
"""Callers who go on asking for what costs little."""
LAG, OTHER_P99 = "lag p99", "others p99"
UNKNOWN, KNOWN, APART = "unknown ms", "known ms", "slower"

WHILE, REFUSED = f"{SIGN_INS} sign-ins at once", "wrong passwords"
OURS, PEER, NOBODY = "MediaNest", "Litestar, sync_to_thread", "MediaNest, no sign-ins"
TELLS = "MediaNest, two e-mails"
TARGET_LAG_MS = 20
TELL_TALE = 0.1
"""So far from a half may lie what a coin would give: thrice its standard error for 150 pairs."""

PEOPLE = "sign_in_people"
LOGIN = "/api/v1/auth/login"


def benchmark(*, quick: bool) -> Benchmark:
    """The rows; ``quick`` has shorter samples."""
    seconds, pairs = (1.0, 5) if quick else (6.0, 150)
    return Benchmark(
        name="sign_in",
        title="passwords that are hashed beside everything else",
        templates={PEOPLE: _make_people},
        rows=(
            Row(WHILE, OURS, Kind.OURS, PEOPLE, partial(_ours, seconds=seconds)),
            Row(WHILE, PEER, Kind.PEER, PEOPLE, partial(_peer, seconds=seconds)),
            Row(WHILE, NOBODY, Kind.LIMIT, PEOPLE, partial(_nobody, seconds=seconds)),
            Row(REFUSED, TELLS, Kind.OURS, PEOPLE, partial(_refused, pairs=pairs)),
        ),
        verdicts=_verdicts,
        remarks=lambda _: (
            f"{SIGN_INS} people sign in again and again, while {OTHERS} callers ask for a hello.",
            "events: sign-ins, or hellos where nobody signs in, or wrong passwords.",
            f"{LAG}: ms by which the event loop was late; {OTHER_P99}: ms of the hellos.",
            f"{APART}: how often an unknown e-mail took longer than a known one; 0.5 is chance.",
        ),
    )


def _verdicts(results: Sequence[Result]) -> list[Verdict]:
    rows = {row.name: row for row in results}
    lag, apart = rows[OURS].more.get(LAG), rows[TELLS].more.get(APART)
    return [
        Verdict(
            f"{OURS}: p99 of the loop's lag at most {TARGET_LAG_MS} ms",
            f"{lag.median:.1f} ms" if lag else "-",
            met=lag.median <= TARGET_LAG_MS if lag else None,
        ),
        Verdict(
            f"unknown e-mail slower than known as often as not: 0.5 ± {TELL_TALE}",
            f"{apart.median:.2f}" if apart else "-",
            met=abs(apart.median - 0.5) <= TELL_TALE if apart else None,
        ),
    ]


def _make_people(database_url: str) -> None:
    uvloop.run(move_in(database_url, SIGN_INS, requests_each=0))


# While many sign in


def _ours(site: Site, *, seconds: float) -> Sample:
    logins = [
        post(LOGIN, {"email": email_of(number), "password": PASSWORD}) for number in range(SIGN_INS)
    ]
    return _of_ours(site, logins, seconds)


def _nobody(site: Site, *, seconds: float) -> Sample:
    return _of_ours(site, [], seconds)


def _of_ours(site: Site, logins: Sequence[bytes], seconds: float) -> Sample:
    token = f"Bearer {uvloop.run(signed_in(site))[0].token}"
    other = get(api_process.HELLO, Authorization=token)
    probe = get(f"{api_process.PROBE}/{round(seconds * 1000)}", Authorization=token)
    with serving_api(settings_of(site.database_url, site.redis_url)) as served:
        sample = uvloop.run(_measured(site, served, logins, other, probe))
    return msgspec.structs.replace(sample, peak_bytes=peak_bytes_of_servers())


def _peer(site: Site, *, seconds: float) -> Sample:
    login = post(peer_process.LOGIN, {"email": email_of(0), "password": PASSWORD})
    other = get(peer_process.HELLO)
    probe = get(f"{peer_process.PROBE}/{round(seconds * 1000)}")
    with serving_peer("litestar", site.redis_url) as served:
        sample = uvloop.run(_measured(site, served, [login] * SIGN_INS, other, probe))
    return msgspec.structs.replace(sample, peak_bytes=peak_bytes_of_servers())


async def _measured(
    site: Site, served: Served, logins: Sequence[bytes], other: bytes, probe: bytes
) -> Sample:
    """Sign in and ask for as long as the probe looks at the loop."""
    async with (
        connected(served.port, len(logins)) as signing_in,
        connected(served.port, OTHERS) as others,
        connected(served.port, 1) as (looking,),
    ):
        with site.clock(served.pid) as reading:
            looked = asyncio.create_task(looking.ask(probe))
            answers, asked = await asyncio.gather(
                _each_again(signing_in, logins, looked), _each_again(others, [other], looked)
            )
    answer = await looked
    for one in (answer, *answers, *asked):
        assert one.status in {200, 201}, one
    lags = msgspec.json.decode(answer.body, type=Lags).seconds
    counted = answers or asked
    return Sample(
        len(counted),
        reading,
        p50_and_p99([one.seconds for one in counted]),
        more={
            LAG: p50_and_p99(lags)[1] * 1e3,
            OTHER_P99: p50_and_p99([one.seconds for one in asked])[1] * 1e3,
        },
    )


async def _each_again(
    connections: Sequence[Connection], requests: Sequence[bytes], until: asyncio.Task[Answer]
) -> list[Answer]:
    """Ask on every connection, each for one of ``requests``, until the task is done."""
    answers: list[Answer] = []

    async def ask(connection: Connection, request: bytes) -> None:
        while not until.done():
            answers.append(await connection.ask(request))

    await asyncio.gather(*map(ask, connections, cycle(requests)))
    return answers


# What a refusal gives away


def _refused(site: Site, *, pairs: int) -> Sample:
    with serving_api(settings_of(site.database_url, site.redis_url)) as served:
        sample = uvloop.run(_told(site, served, pairs))
    return msgspec.structs.replace(sample, peak_bytes=peak_bytes_of_servers())


async def _told(site: Site, served: Served, pairs: int) -> Sample:
    """Ask in turns with an e-mail address that is known and with one that is not."""
    wrong = "a password that is nobody's"
    known: list[float] = []
    unknown: list[float] = []
    async with connected(served.port, 1) as (connection,):
        with site.clock(served.pid) as reading:
            for number in range(pairs):
                for email, took in (
                    (email_of(number % SIGN_INS), known),
                    (f"nobody-{number}@example.org", unknown),
                ):
                    answer = await connection.ask(post(LOGIN, {"email": email, "password": wrong}))
                    assert answer.status == 401, answer
                    took.append(answer.seconds)
    slower = sum(mine > theirs for mine in unknown for theirs in known)
    return Sample(
        2 * pairs,
        reading,
        p50_and_p99([*known, *unknown]),
        more={
            UNKNOWN: statistics.median(unknown) * 1e3,
            KNOWN: statistics.median(known) * 1e3,
            APART: slower / pairs**2,
        },
    )
