"""Shows what a benchmark gave: one table for people, one JSON object for programs."""

import os
import platform
from collections.abc import Callable, Sequence
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


_COLUMNS: tuple[tuple[str, Callable[[Result], Figure | None]], ...] = (
    ("events/s", lambda result: result.events_per_second),
    ("x peer", lambda result: result.ratio),
    ("p50 ms", lambda result: result.p50_ms),
    ("p99 ms", lambda result: result.p99_ms),
    ("CPU µs", lambda result: result.client_cpu_us),
    ("server µs", lambda result: result.server_cpu_us),
    ("peak MB", lambda result: result.peak_memory_mb),
)


def show(outcome: Report, console: Console) -> None:
    """Print the table, with what it means below it."""
    table = Table(
        title=f"{outcome.benchmark}: {outcome.title}",
        caption=f"median \\[lowest..highest] of {outcome.rounds} rounds; CPU for each event, "
        "ours and the server's",
    )
    table.add_column("")
    table.add_column("")
    shown = [column for column in _COLUMNS if any(column[1](row) for row in outcome.rows)]
    for heading, _ in shown:
        table.add_column(heading, justify="right", no_wrap=True)
    previous = ""
    for row in outcome.rows:
        if previous and row.group != previous:
            table.add_section()
        label = "" if row.group == previous else row.group
        previous = row.group
        if row.unavailable is not None:
            table.add_row(label, f"{row.name} ({row.kind})", f"missing: {row.unavailable}")
            continue
        figures = (_text(figure(row)) for _, figure in shown)
        table.add_row(label, f"{row.name} ({row.kind})", *figures)
    console.print(table)
    for verdict in outcome.targets:
        word = {True: "met", False: "MISSED", None: "not measured"}[verdict.met]
        console.print(f"{word}: {verdict.target}: {verdict.measured}", highlight=False)
    for remark in outcome.remarks:
        console.print(f"- {remark}", highlight=False)
    console.print(_noise(outcome.noise), highlight=False)
    console.print(str(outcome.machine), highlight=False)
    if outcome.quick:
        console.print("quick: this shows that it runs, not how fast.", style="bold")


def _text(figure: Figure | None) -> str:
    if figure is None:
        return ""
    median, lowest, highest = (
        _number(value) for value in (figure.median, figure.lowest, figure.highest)
    )
    return median if lowest == highest else f"{median} \\[{lowest}..{highest}]"


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
