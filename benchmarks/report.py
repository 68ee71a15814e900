"""Shows what a benchmark gave: one table for people, one JSON object for programs."""

import os
import platform
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.harness import Benchmark, Figure, Result, Verdict
from benchmarks.noise import Noise


class Machine(msgspec.Struct, frozen=True, rename="camel"):
    """What the figures were measured on."""

    processor: str
    cores: int
    memory_gb: int
    system: str
    python: str
    postgres: str

    @classmethod
    def here(cls, postgres: str) -> "Machine":
        """This machine, with a PostgreSQL of this version."""
        affinity = getattr(os, "sched_getaffinity", None)
        return cls(
            processor=_processor(),
            cores=len(affinity(0)) if affinity else os.cpu_count() or 1,
            memory_gb=round(psutil.virtual_memory().total / 1e9),
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            postgres=postgres,
        )

    def __str__(self) -> str:
        return (
            f"{self.cores} cores of {self.processor}, {self.memory_gb} GB, {self.system}, "
            f"PostgreSQL {self.postgres}, Python {self.python}"
        )


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """A benchmark's outcome, as ``--json`` prints it."""

    benchmark: str
    title: str
    quick: bool
    rounds: int
    machine: Machine
    noise: dict[str, Figure]
    rows: Sequence[Result]
    targets: Sequence[Verdict]
    remarks: Sequence[str]


def report(
    benchmark: Benchmark,
    results: Sequence[Result],
    noise: Noise,
    *,
    machine: Machine,
    rounds: int,
    quick: bool,
) -> Report:
    """Put together what was measured."""
    return Report(
        benchmark=benchmark.name,
        title=benchmark.title,
        quick=quick,
        rounds=rounds,
        machine=machine,
        noise={
            "spinMs": Figure.of(noise.spin_ms),
            "fsyncMs": Figure.of(noise.fsync_ms),
            "loadAverage": Figure.of(noise.load_average),
        },
        rows=results,
        targets=benchmark.verdicts(results),
        remarks=benchmark.remarks(results),
    )


class _Column(msgspec.Struct, frozen=True):
    heading: str
    figure: Callable[[Result], Figure | None]
    with_extremes: bool = True


_COLUMNS: tuple[_Column, ...] = (
    _Column("events/s", lambda row: row.events_per_second),
    _Column("x peer", lambda row: row.ratio),
    _Column("p50 ms", lambda row: row.p50_ms),
    _Column("p99 ms", lambda row: row.p99_ms),
    _Column("CPU µs", lambda row: row.client_cpu_us, with_extremes=False),
    _Column("server µs", lambda row: row.server_cpu_us, with_extremes=False),
    _Column("peak MB", lambda row: row.peak_memory_mb, with_extremes=False),
)


def show(outcome: Report, console: Console) -> None:
    """Print the table, with what it means below it."""
    table = Table(
        title=f"{outcome.benchmark}: {outcome.title}",
        caption=f"Medians \\[lowest..highest] of {outcome.rounds} rounds. CPU time is that of one "
        "event: in the client's processes, and in the server's.",
    )
    headings = dict.fromkeys(heading for row in outcome.rows for heading in row.more)
    columns = [
        column
        for column in (*_COLUMNS, *map(_more, headings))
        if any(map(column.figure, outcome.rows))
    ]
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    for group, rows in groupby(outcome.rows, key=lambda row: row.group):
        table.add_section()
        table.add_row(f"[bold]{group}")
        for row in rows:
            if row.unavailable is None:
                cells = [
                    _text(column.figure(row), with_extremes=column.with_extremes)
                    for column in columns
                ]
            else:
                cells = [f"missing: {row.unavailable}"]
            table.add_row(f"{row.name} ({row.kind})", *cells)
    console.print(table)
    _show_remarks(outcome, console)


def _more(heading: str) -> _Column:
    return _Column(heading, lambda row: row.more.get(heading))


def _show_remarks(outcome: Report, console: Console) -> None:
    for verdict in outcome.targets:
        word = {True: "met", False: "MISSED", None: "not measured"}[verdict.met]
        console.print(f"{word}: {verdict.target}: {verdict.measured}", highlight=False)
    for remark in outcome.remarks:
        console.print(f"- {remark}", highlight=False)
    console.print(_noise(outcome.noise), highlight=False)
    console.print(str(outcome.machine), highlight=False)
    if outcome.quick:
        console.print("quick: this shows that it runs, not how fast.", style="bold")


def _text(figure: Figure | None, *, with_extremes: bool) -> str:
    if figure is None:
        return ""
    median, lowest, highest = map(_number, (figure.median, figure.lowest, figure.highest))
    if not with_extremes or lowest == highest:
        return median
    return f"{median} \\[{lowest}..{highest}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _noise(noise: dict[str, Figure]) -> str:
    parts = [
        f"{name} {figure.median:.2f} [{figure.lowest:.2f}..{figure.highest:.2f}]"
        for name, figure in noise.items()
    ]
    spin = noise["spinMs"]
    return f"noise: {', '.join(parts)}; the same loop took up to {spin.highest / spin.lowest:.2f}x"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
