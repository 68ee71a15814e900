"""The benchmarks run, check what they measure, and answer in the shape they promise."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psutil
import psycopg
import pytest

from benchmarks import edge, rebuild
from benchmarks.__main__ import BENCHMARKS
from benchmarks.callers import p50_and_p99, tasks, threads
from benchmarks.harness import (
    Benchmark,
    Figure,
    Kind,
    Reading,
    Result,
    Row,
    Sample,
    Site,
    Unavailable,
    run,
)
from benchmarks.mixed_log import MixedLog
from benchmarks.probe import probe_loop
from benchmarks.processes import serving
from benchmarks.report import Report
from benchmarks.server import Server
from domain.kernel import Event
from domain.media_requests import media_request_id, media_requests
from infrastructure.embedded import ServerUrls


@pytest.mark.timeout(600)  # it starts two dozen servers
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_quick_run_prints_one_json_object_for_each_benchmark(name: str, tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks", name, "--quick", "--json"],
        env={"PATH": "", "PYTHONPATH": str(Path(__file__).parents[1])},
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    (outcome,) = msgspec.json.decode(finished.stdout, type=list[Report])
    assert (outcome.benchmark, outcome.quick, outcome.rounds) == (name, True, 1)
    assert outcome.noise.keys() == {"spinMs", "fsyncMs", "loadAverage"}
    assert outcome.machine.cores >= 1
    assert {row.kind for row in outcome.rows} == set(Kind)
    for row in outcome.rows:
        assert row.unavailable is None, row
        figures = row.events_per_second, row.client_cpu_us, row.peak_memory_mb
        assert all(figure and figure.median > 0 for figure in figures), row
    assert all(verdict.met is not None for verdict in outcome.targets)
    assert not list((tmp_path / ".benchmarks").iterdir())


def test_an_unknown_benchmark_is_refused() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks", "guess"], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2
    assert "'append', 'rebuild', 'edge', 'sign_in'" in finished.stderr


@pytest.mark.parametrize(("passed", "met"), [(99.0, False), (100.0, True), (101.0, False)])
def test_one_call_too_many_or_too_few_misses_the_target(passed: float, met: bool) -> None:
    benchmark = edge.benchmark(quick=True)
    once, other = Figure.of([100.0, passed]), Figure.of([1.0])
    more = {edge.PASSED: once, edge.TIMES_HELLO: other}
    results = [
        Result(group=row.group, name=row.name, kind=row.kind, ratio=other, more=more)
        for row in benchmark.rows
    ]
    *_, verdict = benchmark.verdicts(results)
    assert verdict.met is met


async def test_the_probe_sees_when_the_loop_stands_still() -> None:
    looking = asyncio.create_task(probe_loop(0.2))
    await asyncio.sleep(0.05)
    time.sleep(0.1)  # noqa: ASYNC251 - what it is to see
    assert max((await looking).seconds) > 0.05


def test_a_server_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(RuntimeError, match="'guess' is not one of"),
        serving("benchmarks.peer_process", "guess"),
    ):
        pass


def _three_events(_: Site, *, seconds: float) -> Sample:
    return Sample(3, Reading(wall=seconds), latencies=(0.001, 0.002))


def _not_to_be_had(_: Site) -> Sample:
    raise Unavailable("it is not to be had here")


def _one_table(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE things (name text)")


def _things(site: Site) -> Sample:
    """Fails when another sample has used the same database."""
    with psycopg.connect(site.database_url) as connection, site.clock() as reading:
        assert connection.execute("SELECT * FROM things").fetchall() == []
        connection.execute("INSERT INTO things SELECT md5(n::text) FROM generate_series(1, 9) n")
        sum(range(3_000_000))
    return Sample(9, reading)


@pytest.fixture
def measured(servers: ServerUrls, tmp_path: Path) -> Callable[..., dict[str, Result]]:
    """Runs rows, and gives the result of each by its name."""
    with psycopg.connect(servers.database_url) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        server = Server(servers.database_url, tmp_path, backend.ppid(), "18", servers.redis_url)

    def measure(*rows: Row, rounds: int = 2) -> dict[str, Result]:
        template = {row.template: _one_table for row in rows}
        benchmark = Benchmark("test", "test", template, rows, lambda _: [], lambda _: [])
        results, noise = run(benchmark, server, rounds)
        assert len(noise.spin_ms) == len(noise.fsync_ms) == rounds + 1
        return {result.name: result for result in results}

    return measure


def test_every_sample_has_a_fresh_database_and_its_own_times(
    measured: Callable[..., dict[str, Result]],
) -> None:
    result = measured(Row("group", "ours", Kind.OURS, "fresh", _things))["ours"]
    assert result.events_per_second is not None
    assert result.client_cpu_us is not None
    assert result.client_cpu_us.lowest > 0
    assert result.peak_memory_mb is not None
    assert 10 < result.peak_memory_mb.median < 1000


def test_a_ratio_is_over_the_peer_of_the_same_group(
    measured: Callable[..., dict[str, Result]],
) -> None:
    def row(group: str, name: str, kind: Kind, seconds: float) -> Row:
        return Row(group, name, kind, "ratio", partial(_three_events, seconds=seconds))

    results = measured(
        row("few", "ours, few", Kind.OURS, 0.5),
        row("few", "peer, few", Kind.PEER, 2.0),
        row("many", "ours, many", Kind.OURS, 0.5),
        row("many", "peer, many", Kind.PEER, 5.0),
        rounds=1,
    )
    ratios = {name: result.ratio and result.ratio.median for name, result in results.items()}
    assert ratios == {"ours, few": 4, "peer, few": None, "ours, many": 10, "peer, many": None}
    ours = results["ours, few"]
    assert ours.events_per_second is not None
    assert ours.events_per_second.median == 6
    assert ours.p99_ms is not None
    assert ours.p99_ms.median == 2


def test_a_peer_that_cannot_be_had_is_named_and_never_filled_in(
    measured: Callable[..., dict[str, Result]],
) -> None:
    results = measured(
        Row("group", "ours", Kind.OURS, "missing", partial(_three_events, seconds=1.0)),
        Row("group", "peer", Kind.PEER, "missing", _not_to_be_had),
        rounds=1,
    )
    assert results["ours"].ratio is None
    assert results["peer"] == Result(
        group="group", name="peer", kind=Kind.PEER, unavailable="it is not to be had here"
    )


async def test_latencies_are_of_every_call_of_every_caller() -> None:
    calls: list[None] = []

    async def call() -> None:
        calls.append(None)

    assert len(await tasks(3, 0.01, call)) == len(calls) > 0
    calls.clear()
    assert len(threads(3, 0.01, lambda: calls.append(None))) == len(calls) >= 3


def test_percentiles_are_of_all_latencies() -> None:
    assert p50_and_p99([float(number) for number in range(1000, 0, -1)]) == (501, 991)


def test_the_mixed_log_is_what_deciders_could_have_made() -> None:
    log = MixedLog(3_000, open_requests=40)
    streams: dict[Any, list[Event]] = {}
    for stream_id, version, _, event in log:
        streams.setdefault(stream_id, []).append(event)
        assert version == len(streams[stream_id])
    requests = [
        [event for event in events if media_requests.owns(event)] for events in streams.values()
    ]
    states = [state for events in requests if (state := media_requests.fold(events))]
    assert all(media_request_id(state.media) in streams for state in states)
    statuses = Counter(state.status.value for state in states)
    assert {status: number for status, number, _, _ in log.expected} == statuses
    assert sum(versions for *_, versions in log.expected) == sum(map(len, requests))
    assert [*MixedLog(100, open_requests=40)] == [*MixedLog(100, open_requests=40)]


def test_a_read_model_that_is_not_what_its_log_says_has_no_time(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "CREATE TABLE expected (status text, requests bigint, attempts bigint, versions bigint)"
        )
        connection.execute("INSERT INTO expected VALUES ('forwarded', 1, 0, 2)")
    with pytest.raises(AssertionError, match="should be"):
        rebuild.check(database_url)
