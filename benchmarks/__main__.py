"""``python -m benchmarks [NAME] [--quick] [--json]``."""

import logging
import sys
from collections.abc import Callable

import click
import msgspec
import structlog
from rich.console import Console

from benchmarks import append, harness, rebuild, report
from benchmarks.harness import Benchmark
from benchmarks.server import running_server

BENCHMARKS: dict[str, Callable[[bool], Benchmark]] = {
    "append": append.benchmark,
    "rebuild": rebuild.benchmark,
}
ROUNDS = 3
TABLE_WIDTH = 150
"""Where the output is no terminal, and has no width of its own."""


@click.command()
@click.argument("name", type=click.Choice(list(BENCHMARKS)), required=False)
@click.option("--quick", is_flag=True, help="One short round: shows that it runs, not how fast.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, one object for each.")
@click.option("--rounds", type=click.IntRange(1), help=f"How often; {ROUNDS} unless --quick.")
def main(name: str | None, *, quick: bool, as_json: bool, rounds: int | None) -> None:
    """Measure MediaNest beside its peers and the limits of this machine."""
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet, logger_factory=structlog.WriteLoggerFactory(sys.stderr))
    rounds = rounds or (1 if quick else ROUNDS)
    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    outcomes: list[report.Report] = []
    with running_server() as server:
        machine = report.Machine.here(server.version)
        for chosen in [name] if name else BENCHMARKS:
            benchmark = BENCHMARKS[chosen](quick)
            results, noise = harness.run(benchmark, server, rounds)
            outcome = report.report(
                benchmark, results, noise, machine=machine, rounds=rounds, quick=quick
            )
            outcomes.append(outcome)
            if not as_json:
                report.show(outcome, console)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(outcomes)))


if __name__ == "__main__":
    main()
