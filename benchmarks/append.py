"""Appending: events made durable in a second, and how long each caller waits.

Every append is one event on a new stream. The bytes are the same in every row; ours are encoded
each time, those of the others only once.
"""

import os
import re
import subprocess
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import psycopg
import uvloop
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder
from psycopg.conninfo import conninfo_to_dict

from application.execute import Context, Executor
from application.ports import NewEvents
from benchmarks.callers import WARM_UP, p50_and_p99, tasks, threads
from benchmarks.harness import Benchmark, Kind, Result, Row, Sample, Site, Unavailable, Verdict
from domain.kernel import Metadata
from domain.media_requests import (
    Media,
    MediaRequested,
    MediaType,
    RequestMedia,
    media_request_id,
    media_requests,
)
from infrastructure import postgres
from infrastructure.compose import new_id, utc_now
from infrastructure.embedded.binaries import find_postgres
from infrastructure.event_store.codec import EventCodec
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.recorder import datastore
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.migrations import migrate

APPEND = "MediaNest, append"
COMMAND = "MediaNest, whole command"
STOCK = "eventsourcing recorder"
TARGET_GROUP = "32 callers"
TARGET_RATIO = 20
TARGET_P99_MS = 15

INSERTED_AT_ONCE = 1_000
COPIED_AT_ONCE = 10_000

OURS_TABLES, STOCK_TABLES = "append_ours", "append_stock"


def benchmark(*, quick: bool) -> Benchmark:
    """The rows; ``quick`` has one number of callers, for a short time."""
    seconds = 0.3 if quick else 3.0
    rows: list[Row] = []
    for number in (32,) if quick else (1, 8, 32, 128):
        group = "1 caller" if number == 1 else f"{number} callers"
        for name, kind, tables, measure in (
            (APPEND, Kind.OURS, OURS_TABLES, _append),
            (COMMAND, Kind.OURS, OURS_TABLES, _command),
            (STOCK, Kind.PEER, STOCK_TABLES, _stock),
            ("pgbench, plain INSERT", Kind.LIMIT, STOCK_TABLES, _pgbench),
        ):
            loop = partial(measure, number=number, seconds=seconds)
            rows.append(Row(group, name, kind, tables, loop))
    inserts = f"INSERT, {INSERTED_AT_ONCE:,} at once"
    copies = f"COPY, {COPIED_AT_ONCE:,} at once"
    rows += [
        Row("batches", inserts, Kind.LIMIT, STOCK_TABLES, partial(_inserts, seconds=seconds)),
        Row("batches", copies, Kind.LIMIT, STOCK_TABLES, partial(_copies, seconds=seconds)),
    ]
    return Benchmark(
        name="append",
        title="durable events, each a transaction for its caller",
        templates={OURS_TABLES: _make_ours, STOCK_TABLES: _make_stock},
        rows=rows,
        verdicts=_verdicts,
        remarks=_remarks,
    )


def _remarks(_: Sequence[Result]) -> tuple[str, ...]:
    return (
        "MediaNest: tasks of one process; a whole command is load, fold, decide and append.",
        "eventsourcing: PostgresApplicationRecorder as its factory makes it, called by threads.",
        "pgbench: the same table, no order among the events and nobody told of them.",
    )


def _verdicts(results: Sequence[Result]) -> list[Verdict]:
    rows = {row.name: row for row in results if row.group == TARGET_GROUP}
    ratio = rows[APPEND].ratio if APPEND in rows else None
    return [
        Verdict(
            f"{APPEND}, {TARGET_GROUP}: at least {TARGET_RATIO} times the {STOCK}",
            f"{ratio.median:.1f} times" if ratio else "-",
            met=ratio.median >= TARGET_RATIO if ratio else None,
        ),
        *(_p99_verdict(name, rows.get(name)) for name in (APPEND, COMMAND)),
    ]


def _p99_verdict(name: str, row: Result | None) -> Verdict:
    p99 = row.p99_ms if row else None
    return Verdict(
        f"{name}, {TARGET_GROUP}: p99 below {TARGET_P99_MS} ms",
        f"{p99.median:.1f} ms" if p99 else "-",
        met=p99.median < TARGET_P99_MS if p99 else None,
    )


# What is appended

_SOMEBODY = UUID("0197f0a0-0000-7000-8000-000000000001")
_ACTOR = f"account:{_SOMEBODY}"
_CORRELATION_ID = f"request-{_SOMEBODY}"


def _metadata(command_id: UUID) -> Metadata:
    return Metadata(new_id(), utc_now(), _ACTOR, _CORRELATION_ID, command_id)


def _wish(number: int) -> RequestMedia:
    return RequestMedia(
        Media(MediaType.TV, number),
        title="The Long Way Home",
        requested_by=_SOMEBODY,
        year=2019,
        poster_path="/ggFHVNu6YYI5L9pCfOacjizRGt.jpg",
        tvdb_id=81189,
        seasons=(1, 2, 3),
    )


def _event() -> MediaRequested:
    (event,) = media_requests.decide(_wish(1396), None)
    assert isinstance(event, MediaRequested)
    return event


def _stored() -> tuple[str, bytes]:
    return EventCodec().encode(_metadata(new_id()), _event())


# Ours


def _make_ours(database_url: str) -> None:
    uvloop.run(migrate(database_url))


def _append(site: Site, *, number: int, seconds: float) -> Sample:
    async def run() -> Sample:
        event = _event()
        async with GroupCommitWriter(site.database_url, EventCodec()) as writer:

            async def append() -> None:
                command_id = new_id()
                added = [(_metadata(command_id), event)]
                await writer.append(NewEvents(uuid4(), 0, command_id, added))

            return await _measured(site, number, seconds, append)

    return uvloop.run(run())


def _command(site: Site, *, number: int, seconds: float) -> Sample:
    async def run() -> Sample:
        codec, numbers = EventCodec(), count(1)
        async with (
            postgres.pool(site.database_url, "benchmark", size=8) as pool,
            GroupCommitWriter(site.database_url, codec) as writer,
        ):
            store = PostgresEventStore(writer, EventReader(pool, codec))
            executor = Executor(store, utc_now, new_id)

            async def request_media() -> None:
                wish = _wish(next(numbers))
                stream_id = media_request_id(wish.media)
                context = Context(_ACTOR, _CORRELATION_ID, new_id())
                await executor.execute(media_requests, stream_id, wish, context)

            return await _measured(site, number, seconds, request_media)

    return uvloop.run(run())


async def _measured(
    site: Site, number: int, seconds: float, call: Callable[[], Awaitable[None]]
) -> Sample:
    await tasks(number, seconds * WARM_UP, call)
    with site.clock() as reading:
        latencies = await tasks(number, seconds, call)
    return Sample(len(latencies), reading, p50_and_p99(latencies))


# The peer


def _make_stock(database_url: str) -> None:
    with _stock_recorder(database_url) as recorder:
        recorder.create_table()


@contextmanager
def _stock_recorder(database_url: str) -> Generator[PostgresApplicationRecorder]:
    # The pool is that of the library's factory, which takes it from no default of the class.
    with datastore(database_url, pool_size=5, max_overflow=10) as store:
        yield PostgresApplicationRecorder(store, events_table_name="events")


def _stock(site: Site, *, number: int, seconds: float) -> Sample:
    topic, state = _stored()
    with _stock_recorder(site.database_url) as recorder:

        def insert() -> None:
            recorder.insert_events([StoredEvent(uuid4(), 1, topic, state)])

        threads(number, seconds * WARM_UP, insert)
        with site.clock() as reading:
            latencies = threads(number, seconds, insert)
    return Sample(len(latencies), reading, p50_and_p99(latencies))


# The limits

_INSERT = "INSERT INTO events (originator_id, originator_version, topic, state)"


def _pgbench(site: Site, *, number: int, seconds: float) -> Sample:
    program = find_postgres().bin / "pgbench"
    if not program.exists():
        raise Unavailable("pgbench is not beside this PostgreSQL")
    topic, state = _stored()
    parts = conninfo_to_dict(site.database_url)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    with TemporaryDirectory() as folder:
        script = Path(folder) / "insert.sql"
        values = f"(gen_random_uuid(), 1, '{topic}', '\\x{state.hex()}')"
        script.write_text(f"{_INSERT} VALUES {values};\n", encoding="utf-8")
        with site.clock() as reading:
            finished = subprocess.run(
                [
                    *(program, "--no-vacuum", "--protocol=prepared", f"--file={script}"),
                    *(f"--client={number}", f"--jobs={min(number, os.cpu_count() or 1)}"),
                    *(f"--time={max(1, round(seconds))}", "--log", "--log-prefix=latency"),
                    str(parts["dbname"]),
                ],
                env={**os.environ, **{names[key]: str(parts[key]) for key in names}},
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
            )
        lines = [
            line
            for log in Path(folder).glob("latency.*")
            for line in log.read_text(encoding="utf-8").splitlines()
        ]
    latencies = [int(line.split()[2]) / 1e6 for line in lines]
    per_second = re.search(r"tps = ([\d.]+) \(without", finished.stdout)
    assert per_second is not None, finished.stdout
    reading.wall = len(latencies) / float(per_second[1])  # without the time to connect
    return Sample(len(latencies), reading, p50_and_p99(latencies))


def _inserts(site: Site, *, seconds: float) -> Sample:
    topic, state = _stored()
    statement = (
        f"{_INSERT} SELECT id, 1, %s, state FROM unnest(%b::uuid[], %b::bytea[]) _(id, state)"
    )

    def insert(connection: psycopg.Connection) -> None:
        ids = [uuid4() for _ in range(INSERTED_AT_ONCE)]
        connection.execute(statement, (topic, ids, [state] * INSERTED_AT_ONCE))

    return _batches(site, seconds, INSERTED_AT_ONCE, insert)


def _copies(site: Site, *, seconds: float) -> Sample:
    topic, state = _stored()
    statement = (
        "COPY events (originator_id, originator_version, topic, state) FROM STDIN (FORMAT BINARY)"
    )

    def copy(connection: psycopg.Connection) -> None:
        with connection.cursor().copy(statement) as rows:
            rows.set_types(["uuid", "int8", "text", "bytea"])
            for _ in range(COPIED_AT_ONCE):
                rows.write_row((uuid4(), 1, topic, state))

    return _batches(site, seconds, COPIED_AT_ONCE, copy)


def _batches(
    site: Site, seconds: float, size: int, store: Callable[[psycopg.Connection], None]
) -> Sample:
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        store(connection)
        with site.clock() as reading:
            latencies = threads(1, seconds, lambda: store(connection))
    return Sample(len(latencies) * size, reading)
