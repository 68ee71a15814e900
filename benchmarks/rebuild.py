"""Rebuilding: a read model folded again from the whole log.

Every result is checked against what the log was made of; a wrong one has no time.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import psycopg
import uvloop
from eventsourcing.postgres import PostgresApplicationRecorder
from psycopg.sql import SQL, Identifier

from benchmarks.harness import Benchmark, Kind, Result, Row, Sample, Site, Verdict
from benchmarks.mixed_log import ACCOUNT_SHARE, MixedLog
from benchmarks.projection_runner import EVENTS_TABLE, run_to_the_end
from infrastructure import postgres
from infrastructure.event_store import schema
from infrastructure.event_store.codec import EventCodec
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.recorder import datastore
from infrastructure.garbage import collect_seldom
from infrastructure.migrations import migrate
from infrastructure.subscriptions.hub import SubscriptionHub
from infrastructure.subscriptions.projector import Projector
from infrastructure.subscriptions.subscriber import PAGE_SIZE, Subscriber
from projections.media_requests import MEDIA_REQUESTS

REBUILD = "MediaNest, rebuild"
RUNNER = "eventsourcing ProjectionRunner"
TARGET_RATE = 100_000
TARGET_MEMORY_MB = 300

LOG, SHORT_LOG = "rebuild_log", "rebuild_short_log"


def benchmark(*, quick: bool) -> Benchmark:
    """The rows; ``quick`` has a shorter log."""
    total, open_requests = (5_000, 200) if quick else (1_000_000, 4_000)
    short = 300 if quick else 5_000
    group = f"{total:,} events"
    return Benchmark(
        name="rebuild",
        title="the list of requests, folded again from the whole log",
        templates={
            LOG: partial(_make_log, log=MixedLog(total, open_requests)),
            SHORT_LOG: partial(_make_short_log, log=MixedLog(short, open_requests=50)),
        },
        rows=(
            Row(group, REBUILD, Kind.OURS, LOG, partial(_rebuild, total=total)),
            Row(group, "MediaNest, read and decode", Kind.OURS, LOG, partial(_read, total=total)),
            Row(group, "COPY out, raw", Kind.LIMIT, LOG, partial(_copy_out, total=total)),
            Row(group, RUNNER, Kind.PEER, SHORT_LOG, partial(_runner, total=short)),
        ),
        verdicts=_verdicts,
        remarks=partial(_remarks, total=total, short=short, open_requests=open_requests),
    )


def _verdicts(results: Sequence[Result]) -> list[Verdict]:
    row = next(result for result in results if result.name == REBUILD)
    rate, memory = row.events_per_second, row.peak_memory_mb
    return [
        Verdict(
            f"{REBUILD}: at least {TARGET_RATE:,} events/s",
            f"{rate.median:,.0f}" if rate else "-",
            met=rate.median >= TARGET_RATE if rate else None,
        ),
        Verdict(
            f"{REBUILD}: at most {TARGET_MEMORY_MB} MB at its peak",
            f"{memory.highest:.0f}" if memory else "-",
            met=memory.highest <= TARGET_MEMORY_MB if memory else None,
        ),
    ]


def _remarks(results: Sequence[Result], *, total: int, short: int, open_requests: int) -> list[str]:
    runner = next(result for result in results if result.name == RUNNER)
    between = open_requests / (1 - ACCOUNT_SHARE)
    remarks = [f"In the log, {between:,.0f} events lie between two of one request, on average."]
    if runner.events_per_second:
        minutes = total / runner.events_per_second.median / 60
        remarks.append(
            f"{RUNNER} ran on {short:,} events. At its rate {total:,} would take {minutes:.1f} min"
            " (extrapolated, not measured)."
        )
    return remarks


# The logs


def _make_log(database_url: str, *, log: MixedLog) -> None:
    uvloop.run(migrate(database_url))
    _fill(database_url, schema.EVENTS_TABLE, log)


def _make_short_log(database_url: str, *, log: MixedLog) -> None:
    with datastore(database_url) as store:
        PostgresApplicationRecorder(store, events_table_name=EVENTS_TABLE).create_table()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(MEDIA_REQUESTS.ddl().encode())
    _fill(database_url, EVENTS_TABLE, log)


def _fill(database_url: str, table: str, log: MixedLog) -> None:
    """Load the log, and beside it what is expected of its read model."""
    encode = EventCodec().encode
    columns = "(originator_id, originator_version, topic, state)"
    statement = SQL(f"COPY {{}} {columns} FROM STDIN (FORMAT BINARY)").format(Identifier(table))
    with psycopg.connect(database_url, autocommit=True) as connection:
        with connection.cursor().copy(statement) as copy:
            copy.set_types(["uuid", "int8", "text", "bytea"])
            for stream_id, version, metadata, event in log:
                copy.write_row((stream_id, version, *encode(metadata, event)))
        connection.execute(
            "CREATE TABLE expected (status text, requests bigint, attempts bigint, versions bigint)"
        )
        connection.cursor().executemany(
            "INSERT INTO expected VALUES (%s, %s, %s, %s)", log.expected
        )
        connection.execute("VACUUM ANALYZE")


def check(database_url: str) -> None:
    """Raises AssertionError when the read model is not what its log says."""
    with psycopg.connect(database_url) as connection:
        shown = connection.execute(
            "SELECT status, count(*), sum(attempts)::bigint, sum(version)::bigint"
            " FROM media_requests_v2 GROUP BY status ORDER BY status"
        ).fetchall()
        expected = connection.execute("SELECT * FROM expected ORDER BY status").fetchall()
    assert shown == expected, f"the read model is {shown}, and should be {expected}"


# What is measured


def _rebuild(site: Site, *, total: int) -> Sample:
    async def run() -> Sample:
        async with (
            postgres.pool(site.database_url, "benchmark", size=2) as pool,
            SubscriptionHub(site.database_url, EventReader(pool, EventCodec())) as hub,
        ):
            subscriber = Subscriber(Projector(MEDIA_REQUESTS), site.database_url, hub)
            with site.clock() as reading:
                running = asyncio.create_task(subscriber.run())
                done = asyncio.create_task(
                    hub.reached(subscriber.name, hub.head, timedelta(days=1))
                )
                await asyncio.wait((running, done), return_when=asyncio.FIRST_COMPLETED)
            assert done.done(), running.exception()
            running.cancel()
            await asyncio.wait([running])
        return Sample(total, reading)

    collect_seldom()  # as the process of the projector does
    sample = uvloop.run(run())
    check(site.database_url)
    return sample


def _read(site: Site, *, total: int) -> Sample:
    async def run() -> Sample:
        async with (
            postgres.pool(site.database_url, "benchmark", size=1) as pool,
            pool.connection() as connection,
        ):
            reader = EventReader(pool, EventCodec())
            position = read = 0
            with site.clock() as reading:
                while page := await reader.read_log(position, PAGE_SIZE, connection=connection):
                    position = page[-1].position
                    read += len(page)
        assert read == total, f"{read} of {total} events were read"
        return Sample(total, reading)

    collect_seldom()
    return uvloop.run(run())


def _copy_out(site: Site, *, total: int) -> Sample:
    statement = SQL(
        "COPY (SELECT notification_id, originator_id, originator_version, topic, state"
        " FROM {} ORDER BY notification_id) TO STDOUT (FORMAT BINARY)"
    ).format(Identifier(schema.EVENTS_TABLE))
    with psycopg.connect(site.database_url) as connection, site.clock() as reading:
        cursor = connection.cursor()
        with cursor.copy(statement) as copy:
            for _ in copy:
                pass
        assert cursor.rowcount == total, f"{cursor.rowcount} of {total} events were read"
    return Sample(total, reading)


def _runner(site: Site, *, total: int) -> Sample:
    with site.clock() as reading:
        run_to_the_end(site.database_url)
    check(site.database_url)
    return Sample(total, reading)
