"""Measures the rows of a benchmark in turn, for several rounds, each sample in a fresh process.

The machine is noisy, so rows are compared within a round, where they met the same noise, and every
figure is a median with its extremes.
"""

import logging
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from enum import StrEnum
from typing import Self

import msgspec
import psutil
import structlog

from benchmarks.noise import Noise
from benchmarks.server import Server


class Kind(StrEnum):
    """Whose figure a row is."""

    OURS = "ours"
    PEER = "peer"
    LIMIT = "limit"


class Unavailable(Exception):
    """A peer or a limit cannot be had here; the message says why, and takes the figure's place."""


class Reading(msgspec.Struct):
    """Seconds: of the clock, of the processes that were measured, and of PostgreSQL."""

    wall: float = 0.0
    client_cpu: float = 0.0
    server_cpu: float = 0.0


class Site(msgspec.Struct, frozen=True):
    """Where a sample is taken: a database of its own, the pid of its server, and Redis."""

    database_url: str
    server_pid: int
    redis_url: str

    @contextmanager
    def clock(self, *pids: int) -> Generator[Reading]:
        """Measures its body; the reading is filled when the body has ended.

        The client is this process with its children, or else the processes ``pids``.
        """
        reading = Reading()
        client, server = _client_cpu(pids), _tree_cpu(self.server_pid)
        began = time.perf_counter()
        yield reading
        reading.wall = time.perf_counter() - began
        reading.client_cpu = _client_cpu(pids) - client
        reading.server_cpu = _tree_cpu(self.server_pid) - server


class Sample(msgspec.Struct, frozen=True):
    """What one run of a row gave: times in seconds, ``latencies`` their p50 and p99.

    ``peak_bytes`` is of this process if it is 0. ``more`` is what only this benchmark measures, by
    the heading of its column.
    """

    events: int
    reading: Reading
    latencies: tuple[float, float] | None = None
    peak_bytes: int = 0
    more: Mapping[str, float] = {}


def rate(sample: Sample) -> float:
    """Events in a second."""
    return sample.events / sample.reading.wall


def client_cpu(sample: Sample) -> float:
    """Seconds of the client's CPU for each event."""
    return sample.reading.client_cpu / sample.events


class Row(msgspec.Struct, frozen=True):
    """One thing to measure. Rows of the same ``group`` are compared with each other.

    ``measure`` runs in a fresh process, so it has to be picklable; ``template`` names the database
    that a copy is made of for it.
    """

    group: str
    name: str
    kind: Kind
    template: str
    measure: Callable[[Site], Sample]


class Figure(msgspec.Struct, frozen=True):
    """The median over the rounds, and the extremes."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The figure of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


class Result(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A row over all rounds. CPU is in microseconds for each event, memory in MB of 10^6 bytes.

    ``ratio`` is the rate, or what else the benchmark compares, over that of the peer in the same
    group and round. A row that could not be measured has its reason in ``unavailable`` and no
    figure.
    """

    group: str
    name: str
    kind: Kind
    events_per_second: Figure | None = None
    ratio: Figure | None = None
    p50_ms: Figure | None = None
    p99_ms: Figure | None = None
    client_cpu_us: Figure | None = None
    server_cpu_us: Figure | None = None
    peak_memory_mb: Figure | None = None
    more: Mapping[str, Figure] = {}
    unavailable: str | None = None


class Verdict(msgspec.Struct, frozen=True):
    """A target, what was measured, and whether that meets it; ``None`` when nothing was."""

    target: str
    measured: str
    met: bool | None


class Benchmark(msgspec.Struct, frozen=True):
    """A benchmark: its rows, the databases they start from, and what to say of the results.

    The first peer of a group is what the others are ``compared`` with.
    """

    name: str
    title: str
    templates: Mapping[str, Callable[[str], None]]
    rows: Sequence[Row]
    verdicts: Callable[[Sequence[Result]], Sequence[Verdict]]
    remarks: Callable[[Sequence[Result]], Sequence[str]]
    compared: Callable[[Sample], float] = rate


def run(benchmark: Benchmark, server: Server, rounds: int) -> tuple[list[Result], Noise]:
    """Measure every row in every round. The order turns, so that no row is always the first."""
    for name, fill in benchmark.templates.items():
        url = server.make_database(name)
        with _fresh_process() as process:  # for its parent's memory would count as its own
            process.submit(fill, url).result()
    noise = Noise(server.folder)
    samples: dict[Row, list[Sample | str]] = {row: [] for row in benchmark.rows}
    for number in range(rounds):
        noise.probe()
        turn = number * len(benchmark.rows) // rounds
        for row in (*benchmark.rows[turn:], *benchmark.rows[:turn]):
            _progress(f"{benchmark.name} {number + 1}/{rounds}: {row.group}, {row.name}")
            samples[row].append(_sample(row, server))
    noise.probe()
    _progress("")
    for name in benchmark.templates:
        server.drop(name)
    return [_result(row, benchmark.compared, samples) for row in samples], noise


def _sample(row: Row, server: Server) -> Sample | str:
    with server.fresh_database(row.template) as url, _fresh_process() as process:
        try:
            site = Site(url, server.pid, server.redis_url)
            return process.submit(_measure, row, site).result()
        except Unavailable as reason:
            return str(reason)


def log_warnings_only() -> None:
    """On standard error, so that standard output has the results alone."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def _fresh_process() -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(max_workers=1, mp_context=spawn, initializer=log_warnings_only)


def _measure(row: Row, site: Site) -> Sample:
    sample = row.measure(site)
    kilobytes = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes
    return msgspec.structs.replace(sample, peak_bytes=sample.peak_bytes or peak)


def _result(
    row: Row, compared: Callable[[Sample], float], samples: Mapping[Row, Sequence[Sample | str]]
) -> Result:
    taken = samples[row]
    good = [sample for sample in taken if isinstance(sample, Sample)]
    if not good:
        return Result(group=row.group, name=row.name, kind=row.kind, unavailable=str(taken[0]))
    latencies = [sample.latencies for sample in good if sample.latencies is not None]
    return Result(
        group=row.group,
        name=row.name,
        kind=row.kind,
        events_per_second=Figure.of([rate(sample) for sample in good]),
        ratio=_ratio(row, compared, samples),
        p50_ms=Figure.of([p50 * 1e3 for p50, _ in latencies]) if latencies else None,
        p99_ms=Figure.of([p99 * 1e3 for _, p99 in latencies]) if latencies else None,
        client_cpu_us=Figure.of([client_cpu(sample) * 1e6 for sample in good]),
        server_cpu_us=Figure.of(
            [sample.reading.server_cpu / sample.events * 1e6 for sample in good]
        ),
        peak_memory_mb=Figure.of([sample.peak_bytes / 1e6 for sample in good]),
        more={
            heading: Figure.of([sample.more[heading] for sample in good])
            for heading in good[0].more
        },
    )


def _ratio(
    row: Row, compared: Callable[[Sample], float], samples: Mapping[Row, Sequence[Sample | str]]
) -> Figure | None:
    peer = next((r for r in samples if r.group == row.group and r.kind is Kind.PEER), None)
    if peer is None or row is peer:
        return None
    ratios = [
        compared(mine) / compared(theirs)
        for mine, theirs in zip(samples[row], samples[peer], strict=True)
        if isinstance(mine, Sample) and isinstance(theirs, Sample)
    ]
    return Figure.of(ratios) if ratios else None


def _client_cpu(pids: Sequence[int]) -> float:
    if pids:
        return sum(map(_tree_cpu, pids))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _tree_cpu(pid: int) -> float:
    """CPU seconds of a process and its children so far, those that have ended included."""
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # it has just ended, and counts among its parent's children now
        total += used.user + used.system
        if process is root:
            total += used.children_user + used.children_system
    return total


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
