"""How noisy the machine was: two fixed pieces of work, timed between the rounds."""

import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryFile

ADDITIONS = 2_000_000
SYNCS = 20


class Noise:
    """Probes of one run; ``folder`` is on the disk that the databases are on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.spin_ms: list[float] = []
        """Of a loop that only computes: what else ran on the cores shows here."""
        self.fsync_ms: list[float] = []
        """The median of ``SYNCS`` durable writes of 8 kB: what else used the disk shows here."""
        self.load_average: list[float] = []
        """Over the last minute; our own work is a part of it."""

    def probe(self) -> None:
        """Take each once."""
        began = time.perf_counter()
        total = 0
        for number in range(ADDITIONS):
            total += number
        self.spin_ms.append((time.perf_counter() - began) * 1e3)
        self.fsync_ms.append(_fsync_ms(self._folder))
        self.load_average.append(os.getloadavg()[0])


def _fsync_ms(folder: Path) -> float:
    took: list[float] = []
    with TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            began = time.perf_counter()
            os.pwrite(file.fileno(), bytes(8192), 0)
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1e3)
    return statistics.median(took)
