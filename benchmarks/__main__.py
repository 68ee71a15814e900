"""``python -m benchmarks [NAME] [--quick] [--json]``."""

import sys
from typing import Protocol

import click
import msgspec
from rich.console import Console

from benchmarks import append, edge, harness, rebuild, report, sign_in
from benchmarks.harness import Benchmark
from benchmarks.server import running_server


class Declares(Protocol):
    """What every benchmark's module has under the name ``benchmark``."""

    def __call__(self, *, quick: bool) -> Benchmark:
        """Declare it; ``quick`` is a smaller one, to see that it runs."""
        ...


BENCHMARKS: dict[str, Declares] = {
    "append": append.benchmark,
    "rebuild": rebuild.benchmark,
    "edge": edge.benchmark,
    "sign_in": sign_in.benchmark,
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
    harness.log_warnings_only()
    rounds = rounds or (1 if quick else ROUNDS)
    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    outcomes: list[report.Report] = []
    with running_server() as server:
        machine = report.Machine.here(server.version)
        for chosen in [name] if name else BENCHMARKS:
            benchmark = BENCHMARKS[chosen](quick=quick)
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
